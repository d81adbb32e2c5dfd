//! Channels-last SIMD kernels for diffusion U-Nets: pure Rust, no tensor library, `f32` and `bf16`.
//!
//! Tensors are plain slices. Images are `[batch, height, width, channels]` without gaps, weights are `[out, in, kernel, kernel]`
//! as in PyTorch, and matrices are row-major. A wrong length panics, because lengths are shapes of the caller and not input of
//! a user. Sizes whose product overflows panic, too. A size of 0 either panics or means that there is nothing to do; the
//! documentation of each type says which.
//!
//! | operation | forward | backward |
//! |---|---|---|
//! | convolution 1x1 and 3x3, stride 1 and 2 | [`Conv2d::forward`] | [`Conv2d::backward_data`], [`Conv2d::backward_weights`] |
//! | convolution with sample bias, residual and two concatenated inputs | [`Conv2d::forward_fused`] | [`Conv2d::pack_backward_part`], [`Conv2d::backward_weights_fused`] |
//! | 3x3 convolution with stride 1 in `f32` by Winograd's method, if [`Conv2d::is_winograd`] | [`Conv2d::forward_winograd`] | [`Conv2d::backward_data_winograd`], [`Conv2d::backward_weights_winograd`] |
//! | nearest upsampling by two and a 3x3 convolution | [`UpsampleConv2d::forward`] | [`UpsampleConv2d::backward_data`], [`UpsampleConv2d::backward_weights`] |
//! | linear layer | `Conv2d::same(rows, 1, 1, in, out, 1)` | the same |
//! | group norm, optionally followed by SiLU | [`GroupNorm::forward`] | [`GroupNorm::backward`] |
//! | SiLU | [`silu`] | [`silu_backward`] |
//! | matrix product | [`matmul`] | [`matmul`], [`matmul_transposed`] |
//! | attention | [`Attention::forward`] | [`Attention::backward`] |
//! | nearest upsampling by two | [`upsample`] | [`upsample_backward`] |
//! | concatenation of channels | [`concat()`] | [`split`] |
//! | Adam, AdamW and a moving average | [`adam`] | |
//!
//! # Levels
//! Every function takes a [`Level`]: AVX-512, AVX2 with FMA, or portable code for the compiler's vectoriser (SSE2, NEON).
//! [`Level::best`] detects the processor's best level. It costs only a few loads, so there is no need to store its result.
//!
//! # Precision
//! Convolutions and products take inputs and weights as `f32` or as [`Bf16`] (an [`Element`]); sums, outputs and gradients are
//! always `f32`. [`to_bf16`] rounds to the nearest value, ties to even, and [`GroupNorm::forward`] can write `Bf16` directly.
//! On processors without `bf16` instructions ([`Level::has_bf16`]), `Bf16` is emulated: correct, but slower than `f32`.
//!
//! # No padded buffers
//! A convolution reads its input in place: each register tile has a pointer for each pixel and tap, and for taps outside the
//! image the pointer leads to zeros. So the operation that writes the input, such as a norm, writes an ordinary tensor.
//!
//! # Threads
//! Work runs on the current rayon pool; calls may be nested in other rayon work. Small work stays on the calling thread.
//!
//! # Same bits
//! Outputs and gradients of activations are computed for every sample independently of the batch and of the number of
//! threads, to the last bit. Gradients of parameters sum over the batch in an order that depends only on the shape.
//! AVX-512 and AVX2 give the same bits; the portable level rounds more often.
//!
//! # Unsafe code
//! Unsafe code is used only for vector loads and stores, for the instructions of a [`Level`] (whose values exist only after
//! detection), and for writing disjoint parts of one output from several threads. Every block states its conditions.
//!
//! `crates/kernels/sanitize` runs the tests under AddressSanitizer, at every level that the processor supports and at the
//! portable one, with overflow checks and the standard library's checks of unsafe calls. The command for a stable toolchain is:
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/sanitize cargo test \
//!   --config profile.dev.package.pig-kernels.debug-assertions=true \
//!   --config profile.dev.package.pig-kernels.overflow-checks=true \
//!   --target x86_64-unknown-linux-gnu -p pig-kernels --lib --tests
//! ```
//!
//! Miri needs a nightly toolchain with the component `miri`, and runs only the portable level. It has not been run yet:
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
mod lines;
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
mod transpose;
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
pub use reduce::column_sums;
pub use resample::{concat, split, upsample, upsample_backward};
pub use simd::Level;
