//! The cost of a training, counted in operations, so that methods can be compared at one budget.
//!
//! The budget is a sum over the networks that the method trains. Each network adds the number of training images times the floating-point
//! operations of the forward passes for one image: those of the network itself, and those of the frozen networks that it learns from.
//! Backward passes cost about twice the trained network's forward pass in every method and are left out.

use burn::tensor::Device;
use pig_diffusion::schedule::Schedule;
use pig_nn::parameters;
use pig_train::{
    Config, Result,
    methods::{
        objective::{Context, Objective, ObjectiveTask},
        teachers::Teachers,
        with_objective,
    },
};

/// Two budgets count as equal if their ratio differs from 1 by at most this.
pub const TOLERANCE: f64 = 0.10;

/// A training step takes about as many operations as so many forward passes of its network: one forwards, and backwards twice that.
pub(crate) const PASSES_OF_A_STEP: f64 = 3.0;

/// The cost of one network.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkCost {
    /// Name of the network.
    pub network: &'static str,
    /// Number of parameters that are trained.
    pub parameters: usize,
    /// Floating-point operations of one image's forward pass.
    pub forward_flops: f64,
    /// Floating-point operations of one image's forward passes through frozen networks.
    pub frozen_flops: f64,
    /// Optimiser steps.
    pub steps: usize,
    /// Number of training images: steps times batch size.
    pub images: usize,
}

impl NetworkCost {
    /// The share of this network in the budget, in floating-point operations.
    pub fn flops(&self) -> f64 {
        self.images as f64 * (self.forward_flops + self.frozen_flops)
    }

    /// Floating-point operations of one image in a training step. Frozen networks have no backward pass.
    pub(crate) fn training_flops(&self) -> f64 {
        PASSES_OF_A_STEP * self.forward_flops + self.frozen_flops
    }
}

/// The cost of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// The networks in the order of training.
    pub networks: Vec<NetworkCost>,
}

impl Budget {
    /// Training images times forward operations, summed over the networks.
    pub fn flops(&self) -> f64 {
        self.networks.iter().map(NetworkCost::flops).sum()
    }

    /// Parameters of all networks.
    pub fn parameters(&self) -> usize {
        self.networks.iter().map(|network| network.parameters).sum()
    }

    /// Whether the two budgets are equal within [`TOLERANCE`].
    pub fn equals(&self, other: &Self) -> bool {
        (self.flops() / other.flops() - 1.0).abs() <= TOLERANCE
    }
}

/// Counts what a training under `config` would cost; reads no data.
pub fn budget(config: &Config, device: &Device) -> Result<Budget> {
    let (schedule, timesteps) = (Schedule::new(&config.schedule)?, config.timesteps()?);
    let teachers = Teachers::default();
    let context = Context { config, schedule: &schedule, timesteps: &timesteps, teachers: &teachers };
    let networks: Result<Vec<NetworkCost>> =
        config.trained_roles().map(|role| with_objective(role, context, Count(device))).collect();
    Ok(Budget { networks: networks? })
}

struct Count<'a>(&'a Device);

impl ObjectiveTask for Count<'_> {
    type Output = Result<NetworkCost>;

    fn run<O: Objective>(self, objective: &O) -> Result<NetworkCost> {
        let (config, role) = (objective.context().config, objective.role());
        let [forward_flops, frozen_flops] = objective.flops();
        let steps = config.steps(role);
        Ok(NetworkCost {
            network: role.name(),
            parameters: parameters::count(&objective.build(self.0)?),
            forward_flops,
            frozen_flops,
            steps,
            images: steps * config.train.images_in_step(),
        })
    }
}
