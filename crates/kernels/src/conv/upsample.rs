//! Nearest upsampling by two and a 3x3 convolution as one operation.
//!
//! An upsampled pixel and its neighbours show at most 2x2 different pixels of the small image. So each of the four kinds of
//! output pixels (even or odd row, even or odd column) is a 2x2 convolution of the small image whose weights are sums of the
//! 3x3 weights. This takes 4/9 of the multiplications, and the upsampled image is never stored.

use super::gradient::{self, Reduction};
use super::run::sources;
use super::{BackwardWeights, ForwardWeights, check_channels};
use crate::checked;
use crate::element::{Element, whole_units};
use crate::lines::Line;
use crate::outer::OUTSIDE;
use crate::panel::{Packed, Turn, Weights};
use crate::reduce;
use crate::simd::{Level, Simd};
use crate::tile::{self, Epilogue, Phase, Problem, Tap};
use std::marker::PhantomData;
use std::ops::Range;

/// Nearest upsampling by two, then a 3x3 convolution with stride 1 and padding 1.
///
/// x is `[batch, height, width, in]`, y `[batch, 2 height, 2 width, out]`, weights `[out, in, 3, 3]`.
///
/// Without samples, rows or columns there is nothing to do: outputs are empty, and gradients of parameters are 0. All functions
/// panic for other impossible sizes: 0 input or output channels, or more values than can be addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UpsampleConv2d {
    /// The number of samples.
    pub batch: usize,
    /// The number of input rows, half of the output rows.
    pub height: usize,
    /// The number of input columns, half of the output columns.
    pub width: usize,
    /// The number of input channels.
    pub in_channels: usize,
    /// The number of output channels.
    pub out_channels: usize,
}

/// The number of taps of all four kinds of output pixels.
const TAPS: usize = 16;

/// One of the sixteen taps: the remainders of the output row and column modulo two, and which of the two input rows and columns
/// it reads.
#[derive(Clone, Copy)]
struct Corner {
    rest: [usize; 2],
    side: [usize; 2],
}

impl Corner {
    fn new(tap: usize) -> Self {
        Self { rest: [tap >> 3 & 1, tap >> 2 & 1], side: [tap >> 1 & 1, tap & 1] }
    }

    /// The number of rows (axis 0) or columns (axis 1) from the small pixel of the output pixel to the one that the tap reads.
    fn offset(self, axis: usize) -> isize {
        (self.rest[axis] + self.side[axis]) as isize - 1
    }

    /// The rows (axis 0) or columns (axis 1) of the 3x3 kernel that are summed in the tap.
    fn kernel(self, axis: usize) -> Range<usize> {
        match (self.rest[axis], self.side[axis]) {
            (0, 0) => 0..1,
            (0, _) => 1..3,
            (_, 0) => 0..2,
            _ => 2..3,
        }
    }
}

/// The sum of the 3x3 weights of each tap.
struct Merged;

impl Turn for Merged {
    const TAPS: usize = TAPS;

    #[inline(always)]
    fn turn<S: Simd>(&self, s: S, weights: &[Line], mut store: impl FnMut(usize, S::V)) {
        let mut w = [s.splat(0.0); 9];
        for k in 0..9 {
            w[k] = s.read(&weights[k].0);
        }
        // First along rows: for both remainders of the output row, both input rows, all columns of the kernel. Then the same
        // along columns.
        let (mut upper, mut lower) = ([w[0]; 3], [w[0]; 3]);
        for c in 0..3 {
            upper[c] = s.add(w[c], w[3 + c]);
            lower[c] = s.add(w[3 + c], w[6 + c]);
        }
        let rows = [[[w[0], w[1], w[2]], lower], [upper, [w[6], w[7], w[8]]]];
        for tap in 0..TAPS {
            let Corner { rest, side } = Corner::new(tap);
            let w = rows[rest[0]][side[0]];
            store(tap, [[w[0], s.add(w[1], w[2])], [s.add(w[0], w[1]), w[2]]][rest[1]][side[1]]);
        }
    }
}

impl UpsampleConv2d {
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
    /// When the number is too large to address.
    pub fn output_len(&self) -> usize {
        checked::len("output", [self.batch, 2, self.height, 2, self.width, self.out_channels])
    }

    /// The number of weights.
    ///
    /// # Panics
    /// When the number is too large to address.
    pub fn weight_len(&self) -> usize {
        checked::len("weight", [self.out_channels, self.in_channels, 3, 3])
    }

    /// Packs `weights` `[out, in, 3, 3]` for [`forward`](Self::forward).
    ///
    /// # Panics
    /// When the length is not [`weight_len`](Self::weight_len), or there are no input or no output channels.
    pub fn pack_forward<E: Element>(&self, weights: &[f32]) -> ForwardWeights<E> {
        let packed = Packed::new::<E, _>(Level::best(), self.weights(weights), &Merged);
        ForwardWeights { packed, element: PhantomData }
    }

    /// Packs `weights` `[out, in, 3, 3]` for [`backward_data`](Self::backward_data).
    ///
    /// # Panics
    /// When the length is not [`weight_len`](Self::weight_len), or there are no input or no output channels.
    pub fn pack_backward<E: Element>(&self, weights: &[f32]) -> BackwardWeights<E> {
        let packed = Packed::new::<E, _>(Level::best(), self.weights(weights).backward(), &Merged);
        BackwardWeights { packed, element: PhantomData }
    }

    /// Weights `[out, in, 3, 3]`.
    fn weights<'w>(&self, weights: &'w [f32]) -> Weights<'w> {
        check_channels(self.in_channels, self.out_channels);
        assert_eq!(weights.len(), self.weight_len(), "length of the weights");
        Weights::forward(weights, 9, self.in_channels, self.out_channels)
    }

    /// y = upsample(x) * w + bias. The result of a sample does not depend on the other samples or on the number of threads.
    ///
    /// # Panics
    /// When a length does not match, or the weights were packed for another operation or other channels.
    pub fn forward<E: Element>(
        &self,
        level: Level,
        x: &[E],
        weights: &ForwardWeights<E>,
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) {
        let packed = &weights.packed;
        check_channels(self.in_channels, self.out_channels);
        packed.check::<E>(TAPS, self.in_channels, self.out_channels);
        assert_eq!(x.len(), self.input_len(), "length of the input");
        assert_eq!(y.len(), self.output_len(), "length of the output");
        assert!(bias.is_none_or(|bias| bias.len() == self.out_channels), "length of the bias");
        let held = [(whole_units(x, self.in_channels), self.in_channels)];
        let problem = Problem {
            batch: self.batch,
            input: [self.height, self.width],
            output: [2 * self.height, 2 * self.width],
            sources: &sources(&held),
            packed,
            epilogue: Epilogue { bias, ..Epilogue::default() },
            out_stride: self.out_channels,
        };
        let phases = [0, 4, 8, 12].map(|first| {
            let tap = |weight: usize| {
                let corner = Corner::new(weight);
                Tap { row: corner.offset(0), column: corner.offset(1), weight }
            };
            Phase {
                rows: self.height,
                columns: self.width,
                origin: Corner::new(first).rest,
                out_step: 2,
                in_step: 1,
                taps: (first..first + 4).map(tap).collect(),
            }
        });
        tile::run::<E>(level, &problem, &phases, y);
    }

    /// The gradient of the input: dy `[batch, 2 height, 2 width, out]`, dx `[batch, height, width, in]`. The result of a sample
    /// does not depend on the other samples or on the number of threads.
    ///
    /// # Panics
    /// When a length does not match, or the weights were packed for another operation or other channels.
    pub fn backward_data<E: Element>(&self, level: Level, dy: &[E], weights: &BackwardWeights<E>, dx: &mut [f32]) {
        let packed = &weights.packed;
        check_channels(self.in_channels, self.out_channels);
        packed.check::<E>(TAPS, self.out_channels, self.in_channels);
        assert_eq!(dy.len(), self.output_len(), "length of the output's gradient");
        assert_eq!(dx.len(), self.input_len(), "length of the input's gradient");
        let held = [(whole_units(dy, self.out_channels), self.out_channels)];
        let problem = Problem {
            batch: self.batch,
            input: [2 * self.height, 2 * self.width],
            output: [self.height, self.width],
            sources: &sources(&held),
            packed,
            epilogue: Epilogue::default(),
            out_stride: self.in_channels,
        };
        // Output pixel 2 i' + rest reads small pixel i = i' + offset.
        let tap = |weight: usize| {
            let corner = Corner::new(weight);
            let along = |axis: usize| corner.rest[axis] as isize - 2 * corner.offset(axis);
            Tap { row: along(0), column: along(1), weight }
        };
        let phase = Phase {
            rows: self.height,
            columns: self.width,
            origin: [0, 0],
            out_step: 1,
            in_step: 2,
            taps: (0..TAPS).map(tap).collect(),
        };
        tile::run::<E>(level, &problem, &[phase], dx);
    }

    /// The gradients of the weights, dw `[out, in, 3, 3]`, and of the bias, db `[out]`. The order of the sums depends only on
    /// the shape.
    ///
    /// # Panics
    /// When a length does not match.
    pub fn backward_weights<E: Element>(
        &self,
        level: Level,
        x: &[E],
        dy: &[E],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        check_channels(self.in_channels, self.out_channels);
        assert_eq!(x.len(), self.input_len(), "length of the input");
        assert_eq!(dy.len(), self.output_len(), "length of the output's gradient");
        assert_eq!(dw.len(), self.weight_len(), "length of the weights' gradient");
        let join = |tap: usize, range: Range<usize>, is_complete: bool, pairs: &mut Vec<[usize; 2]>| {
            self.join(Corner::new(tap), range, is_complete, pairs);
        };
        let falls_on = |kernel: usize| {
            let falls = |tap: &usize| {
                let corner = Corner::new(*tap);
                corner.kernel(0).contains(&(kernel / 3)) && corner.kernel(1).contains(&(kernel % 3))
            };
            (0..TAPS).filter(falls).collect()
        };
        let reduction = Reduction {
            pixels: checked::len("input", [self.batch, self.height, self.width]),
            taps: TAPS,
            join: &join,
            parts: (0..9).map(falls_on).collect(),
            in_channels: self.in_channels,
            out_channels: self.out_channels,
        };
        gradient::weights(level, &reduction, x, 0..self.in_channels, dy, dw);
        if let Some(db) = db {
            assert_eq!(db.len(), self.out_channels, "length of the bias's gradient");
            reduce::column_sums(level, dy, self.out_channels, db);
        }
    }

    /// Lists the (input pixel, output pixel) pairs that a tap connects, for a range of small pixels.
    fn join(&self, corner: Corner, range: Range<usize>, is_complete: bool, pairs: &mut Vec<[usize; 2]>) {
        let (height, width) = (self.height, self.width);
        for pixel in range {
            let (sample, row, column) = (pixel / (height * width), pixel / width % height, pixel % width);
            let output = (sample * 2 * height + 2 * row + corner.rest[0]) * 2 * width + 2 * column + corner.rest[1];
            let (from, at) = (row.wrapping_add_signed(corner.offset(0)), column.wrapping_add_signed(corner.offset(1)));
            if from < height && at < width {
                pairs.push([(sample * height + from) * width + at, output]);
            } else if is_complete {
                pairs.push([OUTSIDE, output]);
            }
        }
    }
}
