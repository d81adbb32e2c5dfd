//! Training one generator, and sampling from it: configuration, methods, trainer, checkpoints, run directories, sampler.
//!
//! [`training::train`] is the whole of `pig train`, [`generation::generate`] the whole of `pig sample`. Nothing here prints: progress goes to
//! an [`observer::Observer`].

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod added;
pub mod arrays;
pub mod autoguided;
pub mod batch;
pub mod build;
pub mod by_class;
pub mod chains;
pub mod checkpoint;
pub mod config;
pub mod curves;
pub mod error;
pub mod evaluate;
pub mod generation;
pub mod given;
pub mod gradient;
mod guard;
pub mod imported;
pub mod init;
pub mod latents;
pub mod legs;
pub mod load;
pub mod loaded;
pub mod locked;
pub mod logged;
pub mod mark;
pub mod matched;
pub mod matching;
pub mod memory;
pub mod meter;
pub mod methods;
pub mod metrics_log;
pub mod model_card;
pub mod networks;
pub mod observer;
pub mod passes;
pub mod pictures;
pub mod preview;
pub mod pruned;
pub mod ranks;
pub mod role;
pub mod run_data;
pub mod run_dir;
pub mod sampler;
pub mod samples;
pub mod sets;
mod stamp;
pub mod steps;
pub mod stop;
mod strength;
pub mod strips;
pub mod trainer;
pub mod training;
pub mod unlabelled;
pub mod watch;
pub mod weak;
pub mod workers;

pub use config::Config;
pub use error::{Error, Result};
