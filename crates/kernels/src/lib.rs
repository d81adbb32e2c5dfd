//! Channels-last SIMD kernels for diffusion U-Nets: pure Rust, no tensor library, `f32`.
//!
//! Tensors are plain slices. Images are `[batch, height, width, channels]` without gaps, weights `[out, in, kernel, kernel]`
//! as PyTorch stores them, matrices row-major. Lengths are checked, and a wrong one panics: they are the caller's shapes, not
//! a user's input.
//!
//! | operation | forward | backward |
//! |---|---|---|
//! | convolution 1x1 and 3x3, stride 1 and 2 | [`Conv2d::forward`] | [`Conv2d::backward_data`], [`Conv2d::backward_weights`] |
//! | linear layer | `Conv2d::same(rows, 1, 1, in, out, 1)` | the same |
//! | group norm, SiLU behind it | [`GroupNorm::forward`] | [`GroupNorm::backward`] |
//! | SiLU | [`silu`] | [`silu_backward`] |
//! | matrix product | [`matmul`] | [`matmul`], [`matmul_transposed`] |
//! | attention | [`Attention::forward`] | [`Attention::backward`] |
//! | nearest upsampling by two | [`upsample`] | [`upsample_backward`] |
//! | concatenation of channels | [`concat`] | [`split`] |
//!
//! # Levels
//! Every function takes a [`Level`]: AVX-512, AVX2 with FMA, or portable code for the compiler's vectoriser (SSE2, NEON).
//! [`Level::best`] asks the processor; it costs a few loads, so there is no need to keep the answer.
//!
//! # Threads
//! Work runs on the current rayon pool; calls may be nested in other rayon work. Small work stays on the calling thread.
//!
//! # Same bits
//! Outputs and gradients of activations are computed for every sample independently of the batch and of the number of
//! threads, to the last bit. Gradients of parameters sum over the batch in an order that depends on the shape alone.
//! AVX-512 and AVX2 give the same bits; the portable level rounds more often.
//!
//! # Unsafe code
//! It is confined to vector loads and stores, to the instructions behind [`Level`] (whose values exist only after detection),
//! and to writing disjoint parts of one output from several threads. Every block states its conditions.

mod activation;
mod attention;
mod conv;
mod dot;
mod element;
mod math;
mod matmul;
mod norm;
mod optim;
mod outer;
mod panel;
pub mod peak;
mod reduce;
mod resample;
mod shared;
mod simd;
mod tile;
mod walk;

pub use activation::{silu, silu_backward};
pub use attention::Attention;
pub use conv::{BackwardWeights, Conv2d, Extras, ForwardWeights, Input};
pub use element::{Bf16, Element, from_bf16, to_bf16};
pub use matmul::{Output, PackedMatrix, matmul, matmul_transposed};
pub use norm::GroupNorm;
pub use optim::{AdamStep, adam};
pub use resample::{concat, split, upsample, upsample_backward};
pub use simd::Level;
