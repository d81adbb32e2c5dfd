//! Adam, AdamW or Muon with the moving average of weights on tensors, for devices whose memory the host does not share.
//!
//! All parameters are concatenated in one long tensor, and so are their gradients, moments and averages: a step takes a dozen
//! operations on long tensors, whatever the number of layers. Muon adds some for each matrix. The arithmetic is that of [`crate::host`]; the two agree up to
//! rounding.

use crate::{
    config::{OptimConfig, OptimizerKind},
    host::{EPS, FIRST_MOMENT, SECOND_MOMENT},
    muon,
};
use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};
use pig_weights::{Array, StateDict};

/// The optimiser's state, the averaged weights, and the gradient that is being summed, on one device.
#[derive(Clone, Debug)]
pub struct DeviceOptimizer {
    config: OptimConfig,
    layout: Vec<Entry>,
    state: State,
    gradient: Option<Tensor<1>>,
}

/// A parameter's place in the long tensors; the places follow each other.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    shape: Vec<usize>,
}

impl Entry {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Long tensors, one value for each value of a parameter.
#[derive(Clone, Debug)]
struct State {
    values: Tensor<1>,
    exp_avg: Tensor<1>,
    exp_avg_sq: Tensor<1>,
    ema: Tensor<1>,
}

/// The inputs of one step that are not tensors.
#[derive(Clone, Copy, Debug)]
struct Step {
    kind: OptimizerKind,
    beta1: f64,
    beta2: f64,
    weight_decay: f64,
    learning_rate: f64,
    ema_decay: f64,
    /// Number of steps, including this one.
    count: i32,
}

/// A part of the long tensors that Muon updates as a matrix.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    /// Where it begins.
    at: usize,
    /// Rows and columns.
    shape: [usize; 2],
}

/// The matrices that Muon updates, in the order of their places; none for another optimiser.
fn matrices(kind: OptimizerKind, layout: &[Entry]) -> Vec<Matrix> {
    if kind != OptimizerKind::Muon {
        return Vec::new();
    }
    let mut end = 0;
    let place = |entry: &Entry| {
        let at = end;
        end += entry.len();
        muon::matrix(&entry.name, &entry.shape).map(|shape| Matrix { at, shape })
    };
    layout.iter().filter_map(place).collect()
}

impl State {
    /// One step along `gradient`.
    fn step(&mut self, gradient: Tensor<1>, step: Step, matrices: &[Matrix]) {
        if matrices.is_empty() {
            self.adam(gradient, step);
        } else {
            let before = self.clone();
            self.adam(gradient.clone(), step);
            self.muon(&before, &gradient, step, matrices);
        }
        let behind = self.values.clone() - self.ema.clone();
        self.ema = self.ema.clone() + behind.mul_scalar(1.0 - step.ema_decay);
    }

    /// Steps from `before` by Muon in the places of matrices.
    fn muon(&mut self, before: &Self, gradient: &Tensor<1>, step: Step, matrices: &[Matrix]) {
        let (mut values, mut means, mut squares) = (Vec::new(), Vec::new(), Vec::new());
        let mut keep = |of: &Self, from: usize, to: usize| {
            if from < to {
                let part = |x: &Tensor<1>| x.clone().narrow(0, from, to - from);
                values.push(part(&of.values));
                means.push(part(&of.exp_avg));
                squares.push(part(&of.exp_avg_sq));
            }
        };
        let mut at = 0;
        for &Matrix { at: start, shape } in matrices {
            keep(self, at, start);
            let len = shape[0] * shape[1];
            let part = |x: &Tensor<1>| x.clone().narrow(0, start, len);
            let (momentum, mean) = muon::momentum_on_device(part(&before.exp_avg), part(gradient));
            let direction = muon::direction_on_device(momentum.reshape(shape)).reshape([len]);
            let kept = part(&before.values).mul_scalar(1.0 - step.learning_rate * step.weight_decay);
            let moved = kept - direction.mul_scalar(step.learning_rate);
            let own =
                Self { values: moved, exp_avg: mean, exp_avg_sq: part(&before.exp_avg_sq), ema: part(&before.ema) };
            keep(&own, 0, len);
            at = start + len;
        }
        keep(self, at, self.values.dims()[0]);
        [self.values, self.exp_avg, self.exp_avg_sq] = [values, means, squares].map(|parts| Tensor::cat(parts, 0));
    }

    /// One step of Adam or AdamW, without the average.
    fn adam(&mut self, gradient: Tensor<1>, step: Step) {
        let Step { beta1, beta2, learning_rate, weight_decay, .. } = step;
        let correction = |beta: f64| 1.0 - beta.powi(step.count);
        let values = self.values.clone();
        // Adam adds the weight decay to the gradient, AdamW shrinks the parameter.
        let (gradient, values) = match step.kind {
            _ if weight_decay == 0.0 => (gradient, values),
            OptimizerKind::Adam => (gradient + values.clone().mul_scalar(weight_decay), values),
            OptimizerKind::AdamW | OptimizerKind::Muon => {
                (gradient, values.mul_scalar(1.0 - learning_rate * weight_decay))
            }
        };
        self.exp_avg = self.exp_avg.clone().mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
        self.exp_avg_sq = self.exp_avg_sq.clone().mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);
        let root = 1.0 / correction(beta2).sqrt();
        let direction = self.exp_avg.clone() / self.exp_avg_sq.clone().sqrt().mul_scalar(root).add_scalar(EPS);
        self.values = values - direction.mul_scalar(learning_rate / correction(beta1));
    }
}

impl DeviceOptimizer {
    /// The optimiser at the start of a training: the moments are zero, and the average is the network's weights.
    pub fn new(config: &OptimConfig, network: &impl Module) -> Self {
        let mut reader = Reader::default();
        network.visit(&mut reader);
        let values = Tensor::cat(reader.values, 0);
        let zeros = values.zeros_like();
        let state = State { ema: values.clone(), exp_avg: zeros.clone(), exp_avg_sq: zeros, values };
        Self { config: *config, layout: reader.layout, state, gradient: None }
    }

    /// Adds `share` of every parameter's gradient to the sum for the next step. A parameter that the loss did not use
    /// has a gradient of zeros.
    pub fn accumulate(&mut self, network: &impl Module, gradients: &mut Gradients, share: f32) {
        let mut collector = Collector { gradients, parts: Vec::with_capacity(self.layout.len()) };
        network.visit(&mut collector);
        let gradient = Tensor::cat(collector.parts, 0).mul_scalar(share);
        self.gradient = Some(match self.gradient.take() {
            Some(sum) => sum + gradient,
            None => gradient,
        });
    }

    /// The norm of the whole summed gradient; 0 if there is none.
    pub fn norm(&self) -> f64 {
        let Some(gradient) = &self.gradient else { return 0.0 };
        f64::from(gradient.clone().square().sum().into_scalar::<f32>()).sqrt()
    }

    /// Multiplies the whole summed gradient.
    pub fn scale(&mut self, by: f64) {
        self.gradient = self.gradient.take().map(|gradient| gradient.mul_scalar(by));
    }

    /// Takes the summed gradient to the host, one value for each value of a parameter; empty if there is none.
    pub fn take_sum(&mut self) -> Vec<f32> {
        self.gradient.take().map(host).unwrap_or_default()
    }

    /// Gives a summed gradient back, as [`DeviceOptimizer::take_sum`] took it.
    pub fn put_sum(&mut self, values: Vec<f32>) {
        let count = values.len();
        let device = self.state.values.device();
        self.gradient = (count > 0).then(|| Tensor::from_data(TensorData::new(values, [count]), &device));
    }

    /// Makes one step along the summed gradient and clears the sum. `step` counts from 0.
    pub fn step<M: Module>(&mut self, network: M, learning_rate: f64, step: usize) -> M {
        let Some(gradient) = self.gradient.take() else { return network };
        let ema_decay = self.config.ema_decay_at(step);
        let OptimConfig { optimizer: kind, adam_beta1: beta1, adam_beta2: beta2, weight_decay, .. } = self.config;
        let step = Step { kind, beta1, beta2, weight_decay, learning_rate, ema_decay, count: step as i32 + 1 };
        self.state.step(gradient, step, &matrices(kind, &self.layout));
        network.map(&mut Writer { values: &self.state.values, at: 0 })
    }

    /// The averaged weights.
    pub fn ema(&self) -> StateDict {
        self.named("", &self.state.ema)
    }

    /// The two moments, as `exp_avg.NAME` and `exp_avg_sq.NAME`.
    pub fn moments(&self) -> StateDict {
        let mut moments = self.named(&format!("{FIRST_MOMENT}."), &self.state.exp_avg);
        moments.extend(self.named(&format!("{SECOND_MOMENT}."), &self.state.exp_avg_sq));
        moments
    }

    fn named(&self, prefix: &str, values: &Tensor<1>) -> StateDict {
        let values = host(values.clone());
        let mut rest = values.as_slice();
        let mut array = |entry: &Entry| {
            let (own, others) = rest.split_at(entry.len());
            rest = others;
            Array { shape: entry.shape.clone(), values: own.to_vec() }
        };
        self.layout.iter().map(|entry| (format!("{prefix}{}", entry.name), array(entry))).collect()
    }

    /// Restores the state from [`DeviceOptimizer::moments`] and [`DeviceOptimizer::ema`]. The error is the name of the first
    /// array that is missing or has a different shape.
    pub fn restore(&mut self, moments: &StateDict, ema: &StateDict) -> Result<(), String> {
        let device = self.state.values.device();
        let exp_avg = self.gathered(moments, &format!("{FIRST_MOMENT}."), &device)?;
        let exp_avg_sq = self.gathered(moments, &format!("{SECOND_MOMENT}."), &device)?;
        let ema = self.gathered(ema, "", &device)?;
        self.state = State { values: self.state.values.clone(), exp_avg, exp_avg_sq, ema };
        Ok(())
    }

    fn gathered(&self, arrays: &StateDict, prefix: &str, device: &Device) -> Result<Tensor<1>, String> {
        let mut values = Vec::new();
        for Entry { name, shape } in &self.layout {
            let key = format!("{prefix}{name}");
            match arrays.get(&key) {
                Some(array) if array.shape == *shape => values.extend_from_slice(&array.values),
                _ => return Err(key),
            }
        }
        let count = values.len();
        Ok(Tensor::from_data(TensorData::new(values, [count]), device))
    }
}

fn host(values: Tensor<1>) -> Vec<f32> {
    values.into_data().try_into_vec().expect("parameters are f32")
}

/// All values of a tensor in one row, without its gradient history.
fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    let tensor = tensor.inner();
    let len = tensor.shape().num_elements();
    tensor.reshape([len])
}

/// Reads the parameters in the order of the network's fields.
#[derive(Default)]
struct Reader {
    path: Vec<String>,
    layout: Vec<Entry>,
    values: Vec<Tensor<1>>,
}

impl ModuleVisitor for Reader {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.layout.push(Entry { name: self.path.join("."), shape: value.dims().to_vec() });
        self.values.push(flat(value));
    }
}

/// Takes the gradients in the same order.
struct Collector<'a> {
    gradients: &'a mut Gradients,
    parts: Vec<Tensor<1>>,
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.parts.push(match value.grad_remove(self.gradients) {
            Some(gradient) => flat(gradient),
            None => flat(value).zeros_like(),
        });
    }
}

/// Writes new values to the parameters, in the same order.
struct Writer<'a> {
    values: &'a Tensor<1>,
    at: usize,
}

impl ModuleMapper for Writer<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, old, mapper) = param.consume();
        let (dims, len) = (old.dims(), old.shape().num_elements());
        let new = self.values.clone().narrow(0, self.at, len).reshape(dims);
        self.at += len;
        let new = if old.is_autodiff() { new.autodiff() } else { new };
        Param::from_mapped_value(id, new.set_require_grad(old.is_require_grad()), mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::read;
    use crate::{
        Updates,
        host::{NamedGradients, Optimizer, collected},
    };
    use pig_device::testing;
    use pig_nn::{config::UNetConfig, parameters, pass::Pass, unet::UNet};

    #[test]
    fn steps_are_the_peer_s() {
        let device = testing::device();
        let tensor = |values: &[f64]| {
            let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            Tensor::<1>::from_floats(values.as_slice(), &device)
        };
        for (kind, name) in [(OptimizerKind::Adam, "adam"), (OptimizerKind::AdamW, "adamw")] {
            let values = tensor(&read("start"));
            let (zeros, mut average) = (values.zeros_like(), read("start"));
            let mut state = State { ema: values.clone(), exp_avg: zeros.clone(), exp_avg_sq: zeros, values };
            for count in 1..=10 {
                let (beta1, beta2, weight_decay, learning_rate, ema_decay) = (0.9, 0.999, 0.1, 0.01, 0.9);
                let step = Step { kind, beta1, beta2, weight_decay, learning_rate, ema_decay, count };
                state.step(tensor(&read(&format!("gradient.{count}"))), step, &[]);
                let expected = read(&format!("{name}.{count}"));
                average.iter_mut().zip(&expected).for_each(|(average, value)| *average = 0.9 * *average + 0.1 * value);
                for (what, found, expected) in [("value", &state.values, &expected), ("average", &state.ema, &average)]
                {
                    for (found, expected) in host(found.clone()).into_iter().zip(expected) {
                        assert!((f64::from(found) - expected).abs() < 2e-6, "{name}, step {count}: {what} {found}");
                    }
                }
            }
        }
    }

    fn network(device: &Device) -> UNet {
        let config = UNetConfig {
            block_out_channels: vec![8, 16],
            attention_levels: vec![1],
            norm_num_groups: 4,
            ..UNetConfig::default()
        };
        parameters::initialise(UNet::new(&config, [2, 2], device).unwrap(), 3).train()
    }

    fn gradients(network: &UNet, device: &Device, round: usize) -> Gradients {
        let values = (0..2 * 8 * 8 * 2).map(|i| ((i + 7 * round) as f32 * 0.37).sin()).collect::<Vec<f32>>();
        let x = Tensor::from_data(TensorData::new(values, [2, 8, 8, 2]), device);
        network.forward(x, &[3.0, 900.0], &Pass::default()).square().mean().backward()
    }

    /// The largest difference divided by the largest value, both over all arrays.
    fn difference(found: &StateDict, expected: &StateDict) -> f64 {
        assert!(found.keys().eq(expected.keys()));
        let values = |arrays: &StateDict| arrays.values().flat_map(|array| array.values.clone()).collect::<Vec<f32>>();
        let (found, expected) = (values(found), values(expected));
        let largest = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        f64::from(found.iter().zip(&expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / largest)
    }

    /// Both optimisers get the same gradients, in two parts per step, clipped, over five steps. The rate is small compared with
    /// the weights: if weight decay cancels a gradient, Adam's normalisation would enlarge rounding errors from step to step.
    #[test]
    fn steps_are_those_of_the_host() {
        const RATE: f64 = 1e-3;
        let device = testing::device();
        for kind in [OptimizerKind::Adam, OptimizerKind::AdamW, OptimizerKind::Muon] {
            let config = OptimConfig { optimizer: kind, weight_decay: 0.1, ema_warmup: true, ..OptimConfig::example() };
            let (mut ours, mut hosts) = (network(&device), network(&device));
            let mut on_device = Updates::Device(Box::new(DeviceOptimizer::new(&config, &ours)));
            let mut on_host = Updates::Host(Optimizer::new(&config, &hosts), NamedGradients::new());
            assert_eq!(on_device.ema(), on_host.ema());
            for step in 0..5 {
                for part in 0..2 {
                    on_device.accumulate(&ours, &mut gradients(&ours, &device, 2 * step + part), 0.5);
                    // The host's network may differ by rounding, so both get the gradient of one network.
                    let gradient = collected(&ours, &mut gradients(&ours, &device, 2 * step + part), 0.5);
                    on_host.add(gradient);
                }
                let (norm, expected) = (on_device.norm(), on_host.norm());
                assert!((norm / expected - 1.0).abs() < 1e-4 && expected > 1e-3, "{norm}, expected {expected}");
                on_device.clip(norm, 1e-3);
                on_host.clip(expected, 1e-3);
                assert!((on_device.norm() / 1e-3 - 1.0).abs() < 1e-4 && (on_host.norm() / 1e-3 - 1.0).abs() < 1e-4);
                // No limit, and one that is not reached, change nothing.
                let clipped = on_device.norm();
                on_device.clip(clipped, 0.0);
                on_device.clip(clipped, 1.0);
                assert_eq!(on_device.norm(), clipped);
                ours = on_device.step(ours, RATE, step);
                hosts = on_host.step(hosts, RATE, step);
                let networks = difference(&parameters::export(&ours), &parameters::export(&hosts));
                let averages = difference(&on_device.ema(), &on_host.ema());
                let moments = difference(&on_device.moments(), &on_host.moments());
                let most = networks.max(averages).max(moments);
                assert!(
                    most < testing::tolerance(1e-5),
                    "{kind:?}, step {step}: {networks:e} {averages:e} {moments:e}"
                );
            }
        }
    }

    #[test]
    fn a_sum_that_was_on_the_host_comes_back() {
        let device = testing::device();
        let unet = network(&device);
        let mut optimizer = DeviceOptimizer::new(&OptimConfig::example(), &unet);
        assert_eq!((optimizer.take_sum(), optimizer.norm()), (Vec::new(), 0.0));
        optimizer.accumulate(&unet, &mut gradients(&unet, &device, 0), 1.0);
        let norm = optimizer.norm();
        let sum = optimizer.take_sum();
        assert_eq!(optimizer.norm(), 0.0);
        optimizer.put_sum(sum.iter().map(|value| 2.0 * value).collect());
        assert!((optimizer.norm() / norm - 2.0).abs() < 1e-5 && norm > 0.0);
    }

    #[test]
    fn what_was_saved_is_restored() {
        let device = testing::device();
        let config = OptimConfig::example();
        let mut unet = network(&device);
        let mut optimizer = DeviceOptimizer::new(&config, &unet);
        optimizer.accumulate(&unet, &mut gradients(&unet, &device, 0), 1.0);
        unet = optimizer.step(unet, 1e-2, 0);
        let mut other = DeviceOptimizer::new(&config, &unet);
        assert_ne!(other.moments(), optimizer.moments());
        other.restore(&optimizer.moments(), &optimizer.ema()).unwrap();
        assert_eq!((other.moments(), other.ema()), (optimizer.moments(), optimizer.ema()));
        let mut moments = optimizer.moments();
        moments.remove("exp_avg.conv_in.bias");
        assert_eq!(other.restore(&moments, &optimizer.ema()), Err("exp_avg.conv_in.bias".to_owned()));
    }
}
