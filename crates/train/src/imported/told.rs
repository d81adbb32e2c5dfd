//! Networks that were told what was changed in their training pairs, as networks of their own.

use pig_weights::StateDict;

/// The layer whose output is added to the time embedding.
const LAYER: &str = "augment_layer";
/// The last bias of the time embedding.
const BIAS: &str = "time_embedding.linear_2.bias";

/// The same network without the input: where nothing was changed, the layer adds the same numbers to each time embedding, and these become a
/// part of its bias.
pub(super) fn folded(mut arrays: StateDict) -> StateDict {
    let mut part = |name: &str| arrays.remove(&format!("{LAYER}.{name}")).map(|array| array.values);
    let parts = [part("linear_1.weight"), part("linear_1.bias"), part("linear_2.weight"), part("linear_2.bias")];
    let [Some(_), Some(first), Some(second), Some(last)] = parts else { return arrays };
    let silu = |x: f64| x / (1.0 + (-x).exp());
    let hidden: Vec<f64> = first.iter().map(|&bias| silu(f64::from(bias))).collect();
    if let Some(bias) = arrays.get_mut(BIAS) {
        for ((bias, row), last) in bias.values.iter_mut().zip(second.chunks_exact(hidden.len().max(1))).zip(last) {
            let sum: f64 = row.iter().zip(&hidden).map(|(&weight, hidden)| f64::from(weight) * hidden).sum();
            *bias = (f64::from(*bias) + sum + f64::from(last)) as f32;
        }
    }
    arrays
}
