//! Adam, AdamW or Muon with the moving average of weights, in one pass over the parameters on the host.

use crate::{
    config::{OptimConfig, OptimizerKind},
    muon,
};
use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Gradients, Tensor},
};
use pig_kernels::{AdamStep, Level, adam};
use pig_nn::parameters::{self, Updater};
use pig_weights::{Array, StateDict};
use rayon::prelude::*;
use std::collections::{BTreeMap, btree_map::Entry};

/// Gradients by parameter name.
pub type NamedGradients = BTreeMap<String, Vec<f32>>;

/// The optimiser's state and the averaged weights. The second moments of parameters that Muon updates stay 0.
#[derive(Clone, Debug)]
pub struct Optimizer {
    config: OptimConfig,
    slots: BTreeMap<String, Slot>,
}

#[derive(Clone, Debug)]
struct Slot {
    shape: Vec<usize>,
    exp_avg: Vec<f32>,
    exp_avg_sq: Vec<f32>,
    ema: Vec<f32>,
}

/// Added to the root of the second moment, PyTorch's default.
pub(crate) const EPS: f64 = 1e-8;

pub(crate) const FIRST_MOMENT: &str = "exp_avg";
pub(crate) const SECOND_MOMENT: &str = "exp_avg_sq";

impl Optimizer {
    /// The optimiser at the start of a training: the moments are zero, and the average is the network's weights.
    pub fn new(config: &OptimConfig, network: &impl Module) -> Self {
        let slots = parameters::export(network)
            .into_iter()
            .map(|(name, Array { shape, values })| {
                let zeros = vec![0.0; values.len()];
                (name, Slot { shape, exp_avg: zeros.clone(), exp_avg_sq: zeros, ema: values })
            })
            .collect();
        Self { config: *config, slots }
    }

    /// Makes one step. `step` counts from 0; `gradients` are the mean gradients of the loss.
    pub fn step<M: Module>(&mut self, network: M, gradients: &NamedGradients, learning_rate: f64, step: usize) -> M {
        let ema_decay = self.config.ema_decay_at(step);
        let directions = self.directions(gradients);
        let mut pass =
            Pass { optimizer: self, gradients, directions, learning_rate, ema_decay, count: step as u32 + 1 };
        parameters::update(network, &mut pass)
    }

    /// The directions of Muon by name, of the parameters that it updates; their running means go one step on. Matrices do not depend on each
    /// other, so each thread takes whole ones.
    fn directions(&mut self, gradients: &NamedGradients) -> NamedGradients {
        if self.config.optimizer != OptimizerKind::Muon {
            return NamedGradients::new();
        }
        let direction = |(name, slot): (&String, &mut Slot)| {
            let (matrix, gradient) = (muon::matrix(name, &slot.shape)?, gradients.get(name)?);
            Some((name.clone(), muon::direction(&muon::momentum(&mut slot.exp_avg, gradient), matrix)))
        };
        self.slots.par_iter_mut().filter_map(direction).collect()
    }

    /// The averaged weights.
    pub fn ema(&self) -> StateDict {
        self.named(|slot| &slot.ema)
    }

    fn named(&self, values: impl Fn(&Slot) -> &Vec<f32>) -> StateDict {
        let array = |slot: &Slot| Array { shape: slot.shape.clone(), values: values(slot).clone() };
        self.slots.iter().map(|(name, slot)| (name.clone(), array(slot))).collect()
    }

    /// The two moments, as `exp_avg.NAME` and `exp_avg_sq.NAME`.
    pub fn moments(&self) -> StateDict {
        let with_prefix = |prefix: &str, arrays: StateDict| -> StateDict {
            arrays.into_iter().map(|(name, array)| (format!("{prefix}.{name}"), array)).collect()
        };
        let mut moments = with_prefix(FIRST_MOMENT, self.named(|slot| &slot.exp_avg));
        moments.extend(with_prefix(SECOND_MOMENT, self.named(|slot| &slot.exp_avg_sq)));
        moments
    }

    /// Restores the state from [`Optimizer::moments`] and [`Optimizer::ema`]. The error is the name of the first array that is
    /// missing or has a different shape.
    pub fn restore(&mut self, moments: &StateDict, ema: &StateDict) -> Result<(), String> {
        for (name, slot) in &mut self.slots {
            let take = |arrays: &StateDict, key: String| match arrays.get(&key) {
                Some(array) if array.shape == slot.shape => Ok(array.values.clone()),
                _ => Err(key),
            };
            slot.exp_avg = take(moments, format!("{FIRST_MOMENT}.{name}"))?;
            slot.exp_avg_sq = take(moments, format!("{SECOND_MOMENT}.{name}"))?;
            slot.ema = take(ema, name.clone())?;
        }
        Ok(())
    }
}

struct Pass<'a> {
    optimizer: &'a mut Optimizer,
    gradients: &'a NamedGradients,
    directions: NamedGradients,
    learning_rate: f64,
    ema_decay: f64,
    count: u32,
}

impl Updater for Pass<'_> {
    fn update(&mut self, name: &str, _shape: &[usize], values: &mut [f32]) {
        let optimizer = &mut *self.optimizer;
        let (Some(slot), Some(gradient)) = (optimizer.slots.get_mut(name), self.gradients.get(name)) else { return };
        if let Some(direction) = self.directions.get(name) {
            let keep = 1.0 - self.learning_rate * optimizer.config.weight_decay;
            moved(values, direction, [keep, self.learning_rate, self.ema_decay], &mut slot.ema);
            return;
        }
        let step = AdamStep {
            learning_rate: self.learning_rate,
            beta1: optimizer.config.adam_beta1,
            beta2: optimizer.config.adam_beta2,
            eps: EPS,
            weight_decay: optimizer.config.weight_decay,
            step: self.count,
            gradient_scale: 1.0,
            ema_decay: self.ema_decay,
        };
        update_slot(optimizer.config.optimizer, step, values, gradient, slot);
    }
}

/// Makes one parameter's step. Adam adds the weight decay to the gradient, AdamW shrinks the parameter.
fn update_slot(kind: OptimizerKind, mut step: AdamStep, values: &mut [f32], gradient: &[f32], slot: &mut Slot) {
    let coupled: Vec<f32>;
    let gradient = match kind {
        OptimizerKind::Adam if step.weight_decay > 0.0 => {
            let decay = step.weight_decay as f32;
            coupled = gradient.iter().zip(&*values).map(|(g, value)| g + decay * value).collect();
            &coupled
        }
        _ => gradient,
    };
    if kind == OptimizerKind::Adam {
        step.weight_decay = 0.0;
    }
    let Slot { exp_avg, exp_avg_sq, ema, .. } = slot;
    adam(Level::best(), &step, gradient, values, exp_avg, exp_avg_sq, Some(ema));
}

/// Multiplies the values by `keep` and moves them against the direction; the average follows.
fn moved(values: &mut [f32], direction: &[f32], [keep, learning_rate, ema_decay]: [f64; 3], ema: &mut [f32]) {
    let (keep, rate, follow) = (keep as f32, learning_rate as f32, (1.0 - ema_decay) as f32);
    for ((value, average), step) in values.iter_mut().zip(ema).zip(direction) {
        *value = *value * keep - rate * step;
        *average += follow * (*value - *average);
    }
}

/// Every parameter's gradient on the host, multiplied by `share`.
pub fn collected(network: &impl Module, gradients: &mut Gradients, share: f32) -> NamedGradients {
    struct Collector<'a> {
        path: Vec<String>,
        gradients: &'a mut Gradients,
        share: f32,
        found: NamedGradients,
    }
    impl ModuleVisitor for Collector<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(gradient) = param.val().grad_remove(self.gradients) else { return };
            let mut values: Vec<f32> = gradient.into_data().try_into_vec::<f32>().expect("gradients are f32");
            if self.share != 1.0 {
                for value in &mut values {
                    *value *= self.share;
                }
            }
            self.found.insert(self.path.join("."), values);
        }
    }
    let mut collector = Collector { path: Vec::new(), gradients, share, found: NamedGradients::new() };
    network.visit(&mut collector);
    collector.found
}

/// The sum of two gradients; one that only one of them has is taken as it is.
#[must_use]
pub fn added(mut first: NamedGradients, second: NamedGradients) -> NamedGradients {
    for (name, values) in second {
        match first.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(values);
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
            }
        }
    }
    first
}

/// Number of values that one job sums or scales.
const CHUNK: usize = 1 << 14;

/// The sum of squares, in eight partial sums that the processor adds in parallel.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let whole = values.chunks_exact(sums.len());
    let rest = whole.remainder();
    for eight in whole {
        for (sum, &value) in sums.iter_mut().zip(eight) {
            *sum += f64::from(value) * f64::from(value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>()
}

/// The norm of the whole gradient.
pub(crate) fn norm(gradients: &NamedGradients) -> f64 {
    // The chunks depend only on the shapes, so that the sum does not depend on the number of threads.
    let chunks: Vec<&[f32]> = gradients.values().flat_map(|values| values.chunks(CHUNK)).collect();
    let squares: Vec<f64> = chunks.par_iter().map(|chunk| sum_of_squares(chunk)).collect();
    squares.iter().sum::<f64>().sqrt()
}

/// Multiplies the whole gradient.
pub(crate) fn scale(gradients: &mut NamedGradients, by: f64) {
    let by = by as f32;
    let mut chunks: Vec<&mut [f32]> = gradients.values_mut().flat_map(|values| values.chunks_mut(CHUNK)).collect();
    chunks.par_iter_mut().for_each(|chunk| chunk.iter_mut().for_each(|g| *g *= by));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::read;

    #[test]
    fn steps_are_the_peer_s() {
        for (kind, name) in [(OptimizerKind::Adam, "adam"), (OptimizerKind::AdamW, "adamw")] {
            let mut values: Vec<f32> = read("start").iter().map(|&v| v as f32).collect();
            let zeros = vec![0.0; values.len()];
            let mut slot =
                Slot { shape: vec![values.len()], exp_avg: zeros.clone(), exp_avg_sq: zeros, ema: values.clone() };
            let mut average = read("start");
            for count in 1..=10 {
                let gradient: Vec<f32> = read(&format!("gradient.{count}")).iter().map(|&v| v as f32).collect();
                let step = AdamStep {
                    learning_rate: 0.01,
                    beta1: 0.9,
                    beta2: 0.999,
                    eps: EPS,
                    weight_decay: 0.1,
                    step: count,
                    gradient_scale: 1.0,
                    ema_decay: 0.9,
                };
                update_slot(kind, step, &mut values, &gradient, &mut slot);
                let expected = read(&format!("{name}.{count}"));
                for (i, (value, expected)) in values.iter().zip(&expected).enumerate() {
                    assert!((f64::from(*value) - expected).abs() < 1e-6, "{name}, step {count}, value {i}: {value}");
                    average[i] = 0.9 * average[i] + 0.1 * expected;
                    assert!((f64::from(slot.ema[i]) - average[i]).abs() < 1e-6, "{name}, average, step {count}");
                }
            }
        }
    }

    #[test]
    fn muon_s_steps_are_the_peer_s() {
        let f32s = |name: String| -> Vec<f32> { read(&name).iter().map(|&v| v as f32).collect() };
        for [rows, columns] in [[4, 9], [9, 4], [6, 6]] {
            let shape = format!("{rows}x{columns}");
            let mut values = f32s(format!("start.{shape}"));
            let (mut mean, mut ema) = (vec![0.0; values.len()], values.clone());
            for step in 1..=5 {
                let momentum = muon::momentum(&mut mean, &f32s(format!("gradient.{shape}.{step}")));
                let direction = muon::direction(&momentum, [rows, columns]);
                moved(&mut values, &direction, [1.0 - 0.01 * 0.1, 0.01, 0.0], &mut ema);
                for (value, expected) in values.iter().zip(read(&format!("muon.{shape}.{step}"))) {
                    assert!((f64::from(*value) - expected).abs() < 2e-6, "{shape}, step {step}: {value}, {expected}");
                }
                assert_eq!(values, ema);
            }
        }
    }

    #[test]
    fn gradients_are_added_by_name() {
        let of = |values: &[(&str, &[f32])]| -> NamedGradients {
            values.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect()
        };
        let found = added(of(&[("a", &[1.0, 2.0]), ("b", &[3.0])]), of(&[("a", &[0.5, -2.0]), ("c", &[7.0])]));
        assert_eq!(found, of(&[("a", &[1.5, 0.0]), ("b", &[3.0]), ("c", &[7.0])]));
    }

    #[test]
    fn the_whole_gradient_has_one_norm_and_is_scaled_together() {
        let mut gradients = NamedGradients::from([("a".to_owned(), vec![3.0]), ("b".to_owned(), vec![0.0, 4.0])]);
        assert_eq!(norm(&gradients), 5.0);
        scale(&mut gradients, 0.2);
        assert!((gradients["a"][0] - 0.6).abs() < 1e-6 && (gradients["b"][1] - 0.8).abs() < 1e-6);
    }
}
