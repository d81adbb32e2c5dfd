//! Training, sampling, checkpoints and run directories: what joins data, mathematics and networks.
//!
//! [`train::train`] is the whole of `pig train`, [`sample::sample`] the whole of `pig sample`, [`segment`] that of `pig segment`, [`crossval`] that of
//! `pig crossval`, [`experiments`] that of `pig experiment`. Nothing here prints: progress
//! goes to an [`observer::Observer`].

pub mod arrays;
pub mod batch;
pub mod budget;
pub mod checkpoint;
pub mod config;
pub mod crossval;
pub mod demo;
pub mod device_optimizer;
pub mod error;
pub mod evaluate;
pub mod experiments;
pub mod given;
pub mod imported;
pub mod learning_rate;
pub mod methods;
pub mod metrics_log;
pub mod model_card;
pub mod observer;
pub mod optimizer;
pub mod plan;
pub mod preview;
pub mod report;
pub mod run_dir;
pub mod sample;
pub mod sampler;
pub mod segment;
mod showcase;
mod stepper;
pub mod train;
pub mod trainer;
pub mod updates;

pub use config::Config;
pub use error::{Error, Result};
