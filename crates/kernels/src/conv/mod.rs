//! Convolutions, channels last: forward, gradient of the input, gradient of the weights.

mod gradient;
mod run;
mod upsample;
mod winograd;

use crate::checked;
use crate::element::Element;
use crate::panel::{Packed, Plain, Weights};
use crate::simd::Level;
use crate::tile::{Phase, Tap};
pub use run::{Extras, Input};
use std::marker::PhantomData;
use std::ops::Range;
pub use upsample::UpsampleConv2d;
pub use winograd::{WinogradBackward, WinogradForward};

/// A two-dimensional convolution of one size: 1x1 or 3x3, stride 1 or 2.
///
/// Tensors are `[batch, height, width, channels]` without gaps; weights and their gradients are `[out, in, kernel, kernel]`.
///
/// With a batch of 0 there is nothing to do: outputs are empty, and gradients of parameters are 0. All functions panic for
/// other impossible sizes: 0 input or output channels, a kernel or stride of another size, an image with padding that is
/// smaller than the kernel, or more values than can be addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// The number of samples.
    pub batch: usize,
    /// The number of input rows.
    pub height: usize,
    /// The number of input columns.
    pub width: usize,
    /// The number of input channels.
    pub in_channels: usize,
    /// The number of output channels.
    pub out_channels: usize,
    /// The side of the square kernel: 1 or 3.
    pub kernel: usize,
    /// The step between output pixels: 1 or 2.
    pub stride: usize,
    /// The number of zeros around the input: top, bottom, left, right.
    pub padding: [usize; 4],
}

/// Weights of one convolution, packed for [`Conv2d::forward`] with elements of type `E`.
#[derive(Debug)]
pub struct ForwardWeights<E = f32> {
    packed: Packed,
    element: PhantomData<E>,
}

/// Weights of one convolution, packed for [`Conv2d::backward_data`] with elements of type `E`.
#[derive(Debug)]
pub struct BackwardWeights<E = f32> {
    packed: Packed,
    element: PhantomData<E>,
}

impl<E> ForwardWeights<E> {
    /// The same weights in memory of their own. Without this, the memory returns to the operations of the thread that drops them, and it may
    /// be larger than the weights.
    #[must_use]
    pub fn kept(self) -> Self {
        Self { packed: self.packed.kept(), ..self }
    }
}

impl Conv2d {
    /// Stride 1 with the padding that keeps the size.
    pub fn same(
        batch: usize,
        height: usize,
        width: usize,
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
    ) -> Self {
        Self { batch, height, width, in_channels, out_channels, kernel, stride: 1, padding: [kernel / 2; 4] }
    }

    /// The number of output rows.
    ///
    /// # Panics
    /// When the kernel is larger than the image with its padding, or the stride is 0.
    pub fn out_height(&self) -> usize {
        self.out_side("rows", self.height, [self.padding[0], self.padding[1]])
    }

    /// The number of output columns.
    ///
    /// # Panics
    /// As [`out_height`](Self::out_height).
    pub fn out_width(&self) -> usize {
        self.out_side("columns", self.width, [self.padding[2], self.padding[3]])
    }

    fn out_side(&self, name: &str, side: usize, padding: [usize; 2]) -> usize {
        let padded = padding.iter().try_fold(side, |sum, &zeros| sum.checked_add(zeros));
        let Some(padded) = padded.filter(|&padded| isize::try_from(padded).is_ok()) else {
            panic!("{side} {name} with a padding of {padding:?} are too many to address");
        };
        let Self { kernel, stride, .. } = *self;
        assert!(padded >= kernel, "a kernel of {kernel} is larger than {side} {name} with a padding of {padding:?}");
        assert!(stride > 0, "the kernel must be 1 or 3, the stride 1 or 2");
        (padded - kernel) / stride + 1
    }

    /// The number of input values.
    ///
    /// # Panics
    /// When the number is too large to address.
    pub fn input_len(&self) -> usize {
        checked::len("input", [self.batch, self.height, self.width, self.in_channels])
    }

    /// The number of output values.
    ///
    /// # Panics
    /// When the number is too large to address, or the kernel is larger than the image with its padding.
    pub fn output_len(&self) -> usize {
        checked::len("output", [self.batch, self.out_height(), self.out_width(), self.out_channels])
    }

    /// The number of weights.
    ///
    /// # Panics
    /// When the number is too large to address.
    pub fn weight_len(&self) -> usize {
        checked::len("weight", [self.out_channels, self.in_channels, self.kernel, self.kernel])
    }

    /// The number of input pixels.
    fn input_pixels(&self) -> usize {
        checked::len("input", [self.batch, self.height, self.width])
    }

    /// The number of output pixels.
    fn output_pixels(&self) -> usize {
        checked::len("output", [self.batch, self.out_height(), self.out_width()])
    }

    /// The number of floating-point operations of one pass: two per multiply-add, including those on padding.
    pub fn flops(&self) -> f64 {
        2.0 * self.output_pixels() as f64 * self.weight_len() as f64
    }

    fn check(&self) {
        assert!(
            matches!(self.kernel, 1 | 3) && matches!(self.stride, 1 | 2),
            "the kernel must be 1 or 3, the stride 1 or 2"
        );
        check_channels(self.in_channels, self.out_channels);
    }

    /// Packs `weights` `[out, in, kernel, kernel]` for [`forward`](Self::forward). Batch and image size do not matter.
    ///
    /// # Panics
    /// When the length is not [`weight_len`](Self::weight_len), or there are no input or no output channels.
    pub fn pack_forward<E: Element>(&self, weights: &[f32]) -> ForwardWeights<E> {
        self.check();
        assert_eq!(weights.len(), self.weight_len(), "length of the weights");
        ForwardWeights { packed: pack::<E>(self.weights(weights)), element: PhantomData }
    }

    /// Packs `weights` `[out, in, kernel, kernel]` for [`backward_data`](Self::backward_data).
    ///
    /// # Panics
    /// When the length is not [`weight_len`](Self::weight_len), or there are no input or no output channels.
    pub fn pack_backward<E: Element>(&self, weights: &[f32]) -> BackwardWeights<E> {
        self.pack_backward_part(weights, 0..self.in_channels)
    }

    /// As [`pack_backward`](Self::pack_backward), for the gradient of a part of the input channels: those of one of two
    /// concatenated inputs.
    ///
    /// # Panics
    /// When the length is not [`weight_len`](Self::weight_len), or the channels are empty or out of range.
    pub fn pack_backward_part<E: Element>(&self, weights: &[f32], channels: Range<usize>) -> BackwardWeights<E> {
        self.check();
        assert_eq!(weights.len(), self.weight_len(), "length of the weights");
        assert!(channels.end <= self.in_channels, "a part must lie within the {} input channels", self.in_channels);
        assert!(!channels.is_empty(), "a part needs at least one channel, found {channels:?}");
        let part = &weights[channels.start * self.kernel * self.kernel..];
        let weights = Weights { out_channels: channels.len(), ..self.weights(part).backward() };
        BackwardWeights { packed: pack::<E>(weights), element: PhantomData }
    }

    /// Weights `[out, in, kernel, kernel]`.
    fn weights<'w>(&self, weights: &'w [f32]) -> Weights<'w> {
        Weights::forward(weights, self.kernel * self.kernel, self.in_channels, self.out_channels)
    }

    /// The taps of the forward pass.
    fn taps(&self) -> Vec<Tap> {
        let tap = |t: usize| Tap {
            row: (t / self.kernel) as isize - self.padding[0] as isize,
            column: (t % self.kernel) as isize - self.padding[2] as isize,
            weight: t,
        };
        (0..self.kernel * self.kernel).map(tap).collect()
    }

    /// The phases of the backward pass: the same taps read all input pixels whose coordinates have the same remainder modulo
    /// the stride.
    fn backward_phases(&self) -> Vec<Phase> {
        let stride = self.stride as isize;
        // Along one axis: the taps that read pixels with the remainder `rest`, and their offsets in output pixels.
        let along = |rest: usize, pad: usize| -> Vec<(usize, isize)> {
            let shift = (rest + pad) as isize;
            (0..self.kernel)
                .filter(|&k| (shift - k as isize).rem_euclid(stride) == 0)
                .map(|k| (k, (shift - k as isize).div_euclid(stride)))
                .collect()
        };
        let mut phases = Vec::new();
        for a in 0..self.stride.min(self.height) {
            for b in 0..self.stride.min(self.width) {
                let mut taps = Vec::new();
                for &(i, row) in &along(a, self.padding[0]) {
                    for &(j, column) in &along(b, self.padding[2]) {
                        taps.push(Tap { row, column, weight: i * self.kernel + j });
                    }
                }
                phases.push(Phase {
                    rows: (self.height - a).div_ceil(self.stride),
                    columns: (self.width - b).div_ceil(self.stride),
                    origin: [a, b],
                    out_step: self.stride,
                    in_step: 1,
                    taps,
                });
            }
        }
        phases
    }
}

/// Packs weights as they are.
fn pack<E: Element>(weights: Weights<'_>) -> Packed {
    match weights.taps {
        1 => Packed::new::<E, _>(Level::best(), weights, &Plain::<1>),
        _ => Packed::new::<E, _>(Level::best(), weights, &Plain::<9>),
    }
}

fn check_channels(input: usize, output: usize) {
    assert!(
        input > 0 && output > 0,
        "a convolution needs input and output channels, found {input} in and {output} out"
    );
}
