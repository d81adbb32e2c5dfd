//! Networks: the U-Net of the paper, the networks that segment lesions, their operations, and parameters as named arrays.
//!
//! Activations are channels-last, `[batch, height, width, channels]`; weights have PyTorch's layout (`[out, in, height, width]`) and
//! diffusers' names. All expensive computations go through [`ops`].

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
pub mod preconditioning;
pub mod recompute;
pub mod resnet;
pub mod segmentation;
pub mod space;
mod stage;
pub mod unet;
pub mod volume;
