//! Training one generator, and sampling from it: configuration, methods, trainer, checkpoints, run directories, sampler.
//!
//! [`train::train`] is the whole of `pig train`, [`sample::sample`] the whole of `pig sample`. Nothing here prints: progress goes to
//! an [`observer::Observer`].

pub mod arrays;
pub mod batch;
pub mod build;
pub mod checkpoint;
pub mod config;
pub mod curves;
pub mod error;
pub mod evaluate;
pub mod given;
pub mod imported;
pub mod latents;
pub mod load;
pub mod loaded;
pub mod logged;
pub mod meter;
pub mod methods;
pub mod metrics_log;
pub mod model_card;
pub mod models;
pub mod observer;
pub mod pictures;
pub mod preview;
pub mod role;
pub mod run_data;
pub mod run_dir;
pub mod sample;
pub mod sampler;
pub mod samples;
pub mod sets;
pub mod train;
pub mod trainer;

pub use config::Config;
pub use error::{Error, Result};
