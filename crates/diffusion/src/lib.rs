//! The mathematics of Zhang et al., "Paired Image Generation with Diffusion-Guided Diffusion Models" (MICCAI 2025):
//! noise schedules, the forward process, reverse steps, Algorithm 1 and Algorithm 2. No networks and no files.
//!
//! As in the paper, `x` is the mask, `y` is the image, and `t` counts from 1 to T. All other crates use the names `mask`
//! and `image`. Tensors are channels-last, `[batch, height, width, channels]`; most of the code depends on the batch axis
//! only.
//!
//! Start with [`pair`]: it is the paper's Algorithm 1 and Algorithm 2, line by line. Each extension of the paper is another
//! [`guide`], [`step`] or [`denoiser`] in a separate file; other noise levels are another [`schedule::Schedule`] and other
//! [`timesteps`] ([`karras`]).

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod autoguidance;
pub mod condition_noise;
pub mod denoiser;
pub mod forward;
pub mod gradient_guidance;
pub mod guidance;
pub mod guide;
pub mod guide_every;
pub mod independent;
pub mod joint;
pub mod karras;
pub mod level;
pub mod loss_weight;
pub mod noise;
#[allow(non_snake_case)] // x_T and y_T are the names in the paper.
pub mod pair;
pub mod prediction;
pub mod resample;
pub mod sampler;
pub mod schedule;
pub mod self_attention_guidance;
pub mod single;
pub mod step;
pub mod timesteps;

mod coefficient;

pub use burn::tensor::Tensor;
