//! Segmenters that are trained on real pairs, on generated pairs, or on both, to measure how useful generated pairs are.
//!
//! [`run::train`] does all of `pig segment train`, [`predict::predict`] all of `pig segment predict`. A cross-validation calls
//! [`run::train_on`] and [`predict::SegmentModel`] with data that it has already loaded.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod config;
mod decision;
mod network;
mod origin;
pub mod pairs;
pub mod predict;
pub mod run;
pub mod scores;
mod trainer;
pub mod truth;

pub use config::{PairUse, SegmentConfig, SegmentFile, SegmentTrainConfig, TestTimeFlips};
pub use decision::Decision;

/// The name of the network in checkpoints and logs.
pub const SEGMENTER: &str = "segmenter";
