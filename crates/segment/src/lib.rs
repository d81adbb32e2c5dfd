//! Segmenters: trained on real pairs, on generated ones, or on both, to show what generated pairs are worth.
//!
//! [`run::train`] is the whole of `pig segment train`, [`predict::predict`] the whole of `pig segment predict`. A cross-validation
//! calls [`run::train_on`] and [`predict::SegmentModel`] on data that it holds.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod config;
mod network;
pub mod pairs;
pub mod predict;
pub mod run;
pub mod scores;
mod trainer;

pub use config::{SegmentConfig, SegmentFile, SegmentTrainConfig};
pub use network::lesion;

/// The name of the network in checkpoints and logs.
pub const SEGMENTER: &str = "segmenter";
