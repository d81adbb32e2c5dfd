//! Chooses the optimiser for a device: on the host's memory for the CPU, on tensors for other devices.

use crate::{
    config::OptimConfig,
    device::DeviceOptimizer,
    host::{NamedGradients, Optimizer, added, collected, norm, scale},
};
use burn::{
    module::Module,
    tensor::{Device, Gradients},
};
use pig_nn::ops::is_cpu;
use pig_weights::StateDict;

/// One of the two optimisers, with the gradient that is being summed for its next step.
#[derive(Clone, Debug)]
pub enum Updates {
    /// The fused kernel over slices.
    Host(Optimizer, NamedGradients),
    /// Operations on tensors.
    Device(Box<DeviceOptimizer>),
}

impl Updates {
    /// The optimiser at the start of a training on `device`.
    pub fn new(config: &OptimConfig, network: &impl Module, device: &Device) -> Self {
        if is_cpu(device) {
            Self::Host(Optimizer::new(config, network), NamedGradients::new())
        } else {
            Self::Device(Box::new(DeviceOptimizer::new(config, network)))
        }
    }

    /// Adds `share` of every parameter's gradient to the sum for the next step.
    pub fn accumulate(&mut self, network: &impl Module, gradients: &mut Gradients, share: f32) {
        match self {
            Self::Host(_, sum) => *sum = added(std::mem::take(sum), collected(network, gradients, share)),
            Self::Device(optimizer) => optimizer.accumulate(network, gradients, share),
        }
    }

    /// Whether the optimiser works on the host's memory. Then parts of a step may be computed apart and their gradients
    /// [added](Self::add) as a sum.
    pub fn is_on_host(&self) -> bool {
        matches!(self, Self::Host(..))
    }

    /// Adds a gradient that was collected on the host; an optimiser on another device has no such sum and ignores it.
    pub fn add(&mut self, gradients: NamedGradients) {
        if let Self::Host(_, sum) = self {
            *sum = added(std::mem::take(sum), gradients);
        }
    }

    /// The norm of the whole summed gradient.
    pub fn norm(&self) -> f64 {
        match self {
            Self::Host(_, sum) => norm(sum),
            Self::Device(optimizer) => optimizer.norm(),
        }
    }

    /// Scales the whole summed gradient, whose norm is `norm`, down to the norm `limit` if it is larger (0 means no limit).
    pub fn clip(&mut self, norm: f64, limit: f64) {
        if limit > 0.0 && norm > limit {
            match self {
                Self::Host(_, sum) => scale(sum, limit / norm),
                Self::Device(optimizer) => optimizer.scale(limit / norm),
            }
        }
    }

    /// Makes one step along the summed gradient and clears the sum. `step` counts from 0.
    pub fn step<M: Module>(&mut self, network: M, learning_rate: f64, step: usize) -> M {
        match self {
            Self::Host(optimizer, sum) => optimizer.step(network, &std::mem::take(sum), learning_rate, step),
            Self::Device(optimizer) => optimizer.step(network, learning_rate, step),
        }
    }

    /// The averaged weights.
    pub fn ema(&self) -> StateDict {
        match self {
            Self::Host(optimizer, _) => optimizer.ema(),
            Self::Device(optimizer) => optimizer.ema(),
        }
    }

    /// The two moments, as `exp_avg.NAME` and `exp_avg_sq.NAME`.
    pub fn moments(&self) -> StateDict {
        match self {
            Self::Host(optimizer, _) => optimizer.moments(),
            Self::Device(optimizer) => optimizer.moments(),
        }
    }

    /// Restores the state from [`Updates::moments`] and [`Updates::ema`]. The error is the name of the first array that is
    /// missing or has a different shape.
    pub fn restore(&mut self, moments: &StateDict, ema: &StateDict) -> Result<(), String> {
        match self {
            Self::Host(optimizer, _) => optimizer.restore(moments, ema),
            Self::Device(optimizer) => optimizer.restore(moments, ema),
        }
    }
}
