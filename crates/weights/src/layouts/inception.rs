//! The Inception-v3 of the FID: the names of torchvision (pytorch-fid's file), of TensorFlow (StyleGAN's script) and of pig, which
//! are torchvision's with the batch normalisation of each convolution folded into it.

use super::names::size_of;
use crate::array::{Array, StateDict};

/// Added to the variance in each batch normalisation.
const EPS: f64 = 1e-3;

const STEM: [(&str, &str); 5] = [
    ("Conv2d_1a_3x3", "conv"),
    ("Conv2d_2a_3x3", "conv_1"),
    ("Conv2d_2b_3x3", "conv_2"),
    ("Conv2d_3b_1x1", "conv_3"),
    ("Conv2d_4a_3x3", "conv_4"),
];
const BLOCKS: [(&str, &[(&str, &str)]); 11] = [
    ("Mixed_5b", &A),
    ("Mixed_5c", &A),
    ("Mixed_5d", &A),
    ("Mixed_6a", &B),
    ("Mixed_6b", &C),
    ("Mixed_6c", &C),
    ("Mixed_6d", &C),
    ("Mixed_6e", &C),
    ("Mixed_7a", &D),
    ("Mixed_7b", &E),
    ("Mixed_7c", &E),
];
const A: [(&str, &str); 7] = [
    ("branch1x1", "conv"),
    ("branch5x5_1", "tower.conv"),
    ("branch5x5_2", "tower.conv_1"),
    ("branch3x3dbl_1", "tower_1.conv"),
    ("branch3x3dbl_2", "tower_1.conv_1"),
    ("branch3x3dbl_3", "tower_1.conv_2"),
    ("branch_pool", "tower_2.conv"),
];
const B: [(&str, &str); 4] = [
    ("branch3x3", "conv"),
    ("branch3x3dbl_1", "tower.conv"),
    ("branch3x3dbl_2", "tower.conv_1"),
    ("branch3x3dbl_3", "tower.conv_2"),
];
const C: [(&str, &str); 10] = [
    ("branch1x1", "conv"),
    ("branch7x7_1", "tower.conv"),
    ("branch7x7_2", "tower.conv_1"),
    ("branch7x7_3", "tower.conv_2"),
    ("branch7x7dbl_1", "tower_1.conv"),
    ("branch7x7dbl_2", "tower_1.conv_1"),
    ("branch7x7dbl_3", "tower_1.conv_2"),
    ("branch7x7dbl_4", "tower_1.conv_3"),
    ("branch7x7dbl_5", "tower_1.conv_4"),
    ("branch_pool", "tower_2.conv"),
];
const D: [(&str, &str); 6] = [
    ("branch3x3_1", "tower.conv"),
    ("branch3x3_2", "tower.conv_1"),
    ("branch7x7x3_1", "tower_1.conv"),
    ("branch7x7x3_2", "tower_1.conv_1"),
    ("branch7x7x3_3", "tower_1.conv_2"),
    ("branch7x7x3_4", "tower_1.conv_3"),
];
const E: [(&str, &str); 9] = [
    ("branch1x1", "conv"),
    ("branch3x3_1", "tower_conv"),
    ("branch3x3_2a", "tower_mixed_conv"),
    ("branch3x3_2b", "tower_mixed_conv_1"),
    ("branch3x3dbl_1", "tower_1_conv"),
    ("branch3x3dbl_2", "tower_1_conv_1"),
    ("branch3x3dbl_3a", "tower_1_mixed_conv"),
    ("branch3x3dbl_3b", "tower_1_mixed_conv_1"),
    ("branch_pool", "tower_2_conv"),
];

/// (torchvision's name, TensorFlow's name) of every convolution.
fn names() -> impl Iterator<Item = (String, String)> {
    let stem = STEM.iter().map(|(ours, theirs)| ((*ours).to_owned(), format!("layers.{theirs}")));
    let blocks = BLOCKS.iter().enumerate().flat_map(|(index, (block, convs))| {
        let mixed = if index == 0 { "mixed".to_owned() } else { format!("mixed_{index}") };
        convs.iter().map(move |(ours, theirs)| (format!("{block}.{ours}"), format!("layers.{mixed}.{theirs}")))
    });
    stem.chain(blocks)
}

/// Folds torchvision's convolutions, scales, shifts, means and variances. The classifier after the features is left out.
pub(super) fn from_torchvision(arrays: &StateDict) -> Result<StateDict, String> {
    let ends = ["conv.weight", "bn.bias", "bn.running_mean", "bn.running_var"];
    names().try_fold(StateDict::new(), |mut folded, (name, _)| {
        let scale = get(arrays, &format!("{name}.bn.weight"))?;
        fold(&mut folded, arrays, &name, ends.map(|end| format!("{name}.{end}")), Some(scale))?;
        Ok(folded)
    })
}

/// Folds the arrays of a script whose normalisation has no scale.
pub(super) fn from_tensorflow(arrays: &StateDict) -> Result<StateDict, String> {
    let ends = ["weight", "beta", "mean", "var"];
    names().try_fold(StateDict::new(), |mut folded, (name, theirs)| {
        fold(&mut folded, arrays, &name, ends.map(|end| format!("{theirs}.{end}")), None)?;
        Ok(folded)
    })
}

fn get<'a>(arrays: &'a StateDict, name: &str) -> Result<&'a Array, String> {
    arrays.get(name).ok_or_else(|| format!("{name} is missing"))
}

/// Writes scale (W x - mean) / sqrt(var + eps) + shift as one convolution, computed in f64.
fn fold(
    folded: &mut StateDict,
    arrays: &StateDict,
    name: &str,
    [weight, shift, mean, variance]: [String; 4],
    scale: Option<&Array>,
) -> Result<(), String> {
    let out = size_of(arrays, &weight, 0)?;
    let weight = get(arrays, &weight)?;
    let per_channel = [get(arrays, &shift)?, get(arrays, &mean)?, get(arrays, &variance)?];
    if per_channel.iter().copied().chain(scale).any(|array| array.values.len() != out) {
        return Err(format!("{name}: its normalisation does not have {out} channels, as its convolution has"));
    }
    let [shift, mean, variance] = per_channel.map(|array| &array.values);
    let scale = |channel: usize| {
        let gamma = scale.map_or(1.0, |scale| f64::from(scale.values[channel]));
        gamma / (f64::from(variance[channel]) + EPS).sqrt()
    };
    let each = weight.values.len() / out.max(1);
    let values = weight.values.iter().enumerate().map(|(i, &w)| (f64::from(w) * scale(i / each)) as f32).collect();
    let bias = |channel: usize| (f64::from(shift[channel]) - f64::from(mean[channel]) * scale(channel)) as f32;
    folded.insert(format!("{name}.weight"), Array { shape: weight.shape.clone(), values });
    folded.insert(format!("{name}.bias"), Array { shape: vec![out], values: (0..out).map(bias).collect() });
    Ok(())
}
