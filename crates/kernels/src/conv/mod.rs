//! Convolutions, channels last: forward, gradient of the input, gradient of the weights.

mod gradient;

use crate::panel::Packed;
use crate::simd::Level;
use crate::tile::{self, Epilogue, Phase, Problem, Source, Tap};

/// A two-dimensional convolution of one size: 1x1 or 3x3, stride 1 or 2.
///
/// Tensors are `[batch, height, width, channels]` without gaps; weights come and go as `[out, in, kernel, kernel]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2d {
    /// Samples.
    pub batch: usize,
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Side of the square kernel: 1 or 3.
    pub kernel: usize,
    /// Step between output pixels: 1 or 2.
    pub stride: usize,
    /// Zeros around the input: top, bottom, left, right.
    pub padding: [usize; 4],
}

/// Weights of one convolution, packed for [`Conv2d::forward`].
#[derive(Clone, Debug)]
pub struct ForwardWeights(Packed);

/// Weights of one convolution, packed for [`Conv2d::backward_data`].
#[derive(Clone, Debug)]
pub struct BackwardWeights(Packed);

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

    /// Rows of the output.
    pub fn out_height(&self) -> usize {
        (self.height + self.padding[0] + self.padding[1] - self.kernel) / self.stride + 1
    }

    /// Columns of the output.
    pub fn out_width(&self) -> usize {
        (self.width + self.padding[2] + self.padding[3] - self.kernel) / self.stride + 1
    }

    /// Values of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.height * self.width * self.in_channels
    }

    /// Values of the output.
    pub fn output_len(&self) -> usize {
        self.batch * self.out_height() * self.out_width() * self.out_channels
    }

    /// Values of the weights.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.in_channels * self.kernel * self.kernel
    }

    /// Floating-point operations of one pass, two a multiply-add, padding counted.
    pub fn flops(&self) -> f64 {
        2.0 * (self.batch * self.out_height() * self.out_width()) as f64 * self.weight_len() as f64
    }

    /// Packs `weights` `[out, in, kernel, kernel]` for [`forward`](Self::forward). Batch and image size do not matter.
    ///
    /// # Panics
    /// When the length is not [`weight_len`](Self::weight_len).
    pub fn pack_forward(&self, weights: &[f32]) -> ForwardWeights {
        assert_eq!(weights.len(), self.weight_len(), "length of the weights");
        let (taps, ci) = (self.kernel * self.kernel, self.in_channels);
        ForwardWeights(Packed::new(taps, ci, self.out_channels, |o, i, t| weights[(o * ci + i) * taps + t]))
    }

    /// Packs `weights` `[out, in, kernel, kernel]` for [`backward_data`](Self::backward_data).
    ///
    /// # Panics
    /// When the length is not [`weight_len`](Self::weight_len).
    pub fn pack_backward(&self, weights: &[f32]) -> BackwardWeights {
        assert_eq!(weights.len(), self.weight_len(), "length of the weights");
        let (taps, ci) = (self.kernel * self.kernel, self.in_channels);
        BackwardWeights(Packed::new(taps, self.out_channels, ci, |i, o, t| weights[(o * ci + i) * taps + t]))
    }

    /// y = x * w + bias: x `[batch, height, width, in]`, y `[batch, out_height, out_width, out]`, bias `[out]`.
    ///
    /// Each sample is computed independently of the others and of the number of threads, to the last bit.
    ///
    /// # Panics
    /// When a length does not match, or the weights were packed for other channels or another kernel.
    pub fn forward(&self, level: Level, x: &[f32], weights: &ForwardWeights, bias: Option<&[f32]>, y: &mut [f32]) {
        let packed = &weights.0;
        self.check(packed, self.in_channels, self.out_channels);
        assert_eq!(x.len(), self.input_len(), "length of the input");
        assert_eq!(y.len(), self.output_len(), "length of the output");
        assert!(bias.is_none_or(|b| b.len() == self.out_channels), "length of the bias");
        let sources = [Source { data: x, channels: self.in_channels, stride: self.in_channels, first: 0 }];
        let problem = Problem {
            batch: self.batch,
            input: [self.height, self.width],
            output: [self.out_height(), self.out_width()],
            sources: &sources,
            packed,
            epilogue: Epilogue { bias, ..Epilogue::default() },
            out_stride: self.out_channels,
        };
        tile::run(level, &problem, &[self.forward_phase()], y);
    }

    /// The gradient of the input: dy `[batch, out_height, out_width, out]`, dx `[batch, height, width, in]`.
    ///
    /// Each sample is computed independently of the others and of the number of threads, to the last bit.
    ///
    /// # Panics
    /// When a length does not match, or the weights were packed for other channels or another kernel.
    pub fn backward_data(&self, level: Level, dy: &[f32], weights: &BackwardWeights, dx: &mut [f32]) {
        let packed = &weights.0;
        self.check(packed, self.out_channels, self.in_channels);
        assert_eq!(dy.len(), self.output_len(), "length of the output's gradient");
        assert_eq!(dx.len(), self.input_len(), "length of the input's gradient");
        let sources = [Source { data: dy, channels: self.out_channels, stride: self.out_channels, first: 0 }];
        let problem = Problem {
            batch: self.batch,
            input: [self.out_height(), self.out_width()],
            output: [self.height, self.width],
            sources: &sources,
            packed,
            epilogue: Epilogue::default(),
            out_stride: self.in_channels,
        };
        tile::run(level, &problem, &self.backward_phases(), dx);
    }

    /// The gradients of the weights, dw `[out, in, kernel, kernel]`, and of the bias, db `[out]`.
    ///
    /// The sum over pixels is cut at places that depend on the shape alone, so results do not depend on the number of
    /// threads.
    ///
    /// # Panics
    /// When a length does not match.
    pub fn backward_weights(&self, level: Level, x: &[f32], dy: &[f32], dw: &mut [f32], db: Option<&mut [f32]>) {
        assert_eq!(x.len(), self.input_len(), "length of the input");
        assert_eq!(dy.len(), self.output_len(), "length of the output's gradient");
        assert_eq!(dw.len(), self.weight_len(), "length of the weights' gradient");
        gradient::weights(level, self, x, dy, dw);
        if let Some(db) = db {
            assert_eq!(db.len(), self.out_channels, "length of the bias's gradient");
            crate::reduce::columns(level, dy, self.out_channels, db);
        }
    }

    fn check(&self, packed: &Packed, from: usize, to: usize) {
        assert!(matches!(self.kernel, 1 | 3) && matches!(self.stride, 1 | 2), "kernel 1 or 3, stride 1 or 2");
        assert_eq!(
            (packed.taps, packed.in_channels, packed.out_channels),
            (self.kernel * self.kernel, from, to),
            "weights were packed for other taps or channels"
        );
    }

    fn forward_phase(&self) -> Phase {
        let tap = |t: usize| Tap {
            row: (t / self.kernel) as isize - self.padding[0] as isize,
            column: (t % self.kernel) as isize - self.padding[2] as isize,
            weight: t,
        };
        Phase {
            rows: self.out_height(),
            columns: self.out_width(),
            origin: [0, 0],
            out_step: 1,
            in_step: self.stride,
            taps: (0..self.kernel * self.kernel).map(tap).collect(),
        }
    }

    /// Input pixels whose coordinates leave the same rest modulo the stride were read by the same taps.
    fn backward_phases(&self) -> Vec<Phase> {
        let stride = self.stride as isize;
        // Along one axis, the taps that read pixels with rest `rest`, and by how many output pixels they are off.
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
