//! Channels-last SIMD kernels for diffusion U-Nets: pure Rust, no tensor library, `f32` and `bf16`.
//!
//! Tensors are plain slices. Images are `[batch, height, width, channels]` without gaps, weights `[out, in, kernel, kernel]`
//! as PyTorch stores them, matrices row-major. Lengths are checked, and a wrong one panics: they are the caller's shapes, not
//! a user's input. So do sizes whose product overflows. A size of 0 either panics or leaves nothing to do; each type says
//! which.
//!
//! | operation | forward | backward |
//! |---|---|---|
//! | convolution 1x1 and 3x3, stride 1 and 2 | [`Conv2d::forward`] | [`Conv2d::backward_data`], [`Conv2d::backward_weights`] |
//! | the same with sample bias, residual, two inputs side by side | [`Conv2d::forward_fused`] | [`Conv2d::pack_backward_part`], [`Conv2d::backward_weights_fused`] |
//! | 3x3 with stride 1 in `f32` by Winograd's method, where [`Conv2d::is_winograd`] | [`Conv2d::forward_winograd`] | [`Conv2d::backward_data_winograd`], [`Conv2d::backward_weights_winograd`] |
//! | nearest upsampling by two and a 3x3 convolution | [`UpsampleConv2d::forward`] | [`UpsampleConv2d::backward_data`], [`UpsampleConv2d::backward_weights`] |
//! | linear layer | `Conv2d::same(rows, 1, 1, in, out, 1)` | the same |
//! | group norm, SiLU behind it | [`GroupNorm::forward`] | [`GroupNorm::backward`] |
//! | SiLU | [`silu`] | [`silu_backward`] |
//! | matrix product | [`matmul`] | [`matmul`], [`matmul_transposed`] |
//! | attention | [`Attention::forward`] | [`Attention::backward`] |
//! | nearest upsampling by two | [`upsample`] | [`upsample_backward`] |
//! | concatenation of channels | [`concat()`] | [`split`] |
//! | Adam, AdamW and a moving average | [`adam`] | |
//!
//! # Levels
//! Every function takes a [`Level`]: AVX-512, AVX2 with FMA, or portable code for the compiler's vectoriser (SSE2, NEON).
//! [`Level::best`] asks the processor; it costs a few loads, so there is no need to keep the answer.
//!
//! # Precision
//! Convolutions and products take inputs and weights as `f32` or as [`Bf16`] (an [`Element`]); sums, outputs and gradients are
//! `f32` always. [`to_bf16`] rounds to the nearest value, ties to even, and [`GroupNorm::forward`] can write `Bf16` itself.
//! Without the processor's own instructions ([`Level::has_bf16`]) `Bf16` is emulated, correct but slower than `f32`.
//!
//! # No padded buffers
//! A convolution reads its input in place: each register tile holds a pointer for each pixel and tap, and taps outside the image
//! point to zeros. So whatever writes the input (a norm, say) writes an ordinary tensor.
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
//!
//! `crates/kernels/sanitize` runs the tests under AddressSanitizer, at every level that the processor has and at the portable
//! one, with overflow checks and the standard library's checks of unsafe calls. Its command, for a stable toolchain:
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/sanitize cargo test \
//!   --config profile.dev.package.pig-kernels.debug-assertions=true \
//!   --config profile.dev.package.pig-kernels.overflow-checks=true \
//!   --target x86_64-unknown-linux-gnu -p pig-kernels --lib --tests
//! ```
//!
//! Miri needs a nightly toolchain with the component `miri`, and runs the portable level alone. Nobody has run it yet:
//!
//! ```text
//! MIRIFLAGS="-Zmiri-tree-borrows -Zmiri-ignore-leaks" cargo +nightly miri test -p pig-kernels --test edges
//! ```

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod activation;
mod attention;
mod checked;
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
pub use conv::{
    BackwardWeights, Conv2d, Extras, ForwardWeights, Input, UpsampleConv2d, WinogradBackward, WinogradForward,
};
pub use element::{Bf16, Element, from_bf16, to_bf16};
pub use matmul::{Output, PackedMatrix, matmul, matmul_transposed};
pub use norm::GroupNorm;
pub use optim::{AdamStep, adam};
pub use resample::{concat, split, upsample, upsample_backward};
pub use simd::Level;
