//! Optimisers, learning rates and moving averages of weights.
//!
//! [`Updates`] chooses between [`host`], one fused pass over slices on the CPU, and [`device`], a dozen operations on long
//! tensors on other devices; the two agree up to rounding.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod config;
pub mod device;
#[cfg(test)]
mod golden;
pub mod host;
mod learning_rate;
mod muon;
mod updates;

pub use config::{LrSchedule, OptimConfig, OptimizerKind};
pub use learning_rate::LearningRate;
pub use updates::Updates;
