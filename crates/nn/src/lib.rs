//! Networks: the U-Net of the paper, those that find lesions, the operations they stand on, parameters as named arrays, and the exponential
//! moving average of weights.
//!
//! Activations are channels-last, `[batch, height, width, channels]`; weights are stored as PyTorch stores them
//! (`[out, in, height, width]`), under diffusers' names. Everything heavy goes through [`ops`].

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod attention;
pub mod autoencoder;
pub mod config;
pub mod control;
pub mod cost;
mod device;
pub mod dropout;
pub mod embedding;
pub mod inception;
pub mod layers;
pub mod network;
pub mod ops;
pub mod parameters;
pub mod pass;
mod precision;
pub mod recompute;
pub mod resnet;
pub mod segmentation;
mod stage;
pub mod unet;
pub mod volume;
