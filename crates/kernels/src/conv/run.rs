//! The passes of a convolution.

use super::gradient::{self, Reduction};
use super::{BackwardWeights, Conv2d, ForwardWeights};
use crate::checked;
use crate::element::{Element, Units, per_unit, whole_units};
use crate::reduce;
use crate::simd::Level;
use crate::tile::{self, Epilogue, Phase, Problem, Source};
use std::borrow::Cow;
use std::ops::Range;

/// The input of a convolution or a norm: one tensor, or two tensors whose channels are concatenated without a copy. Each of the
/// two has at least one channel.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, E = f32> {
    /// `[batch, height, width, channels]`.
    One(&'a [E]),
    /// Two tensors of the same size; the second has the remaining channels.
    Concat {
        /// `[batch, height, width, first_channels]`.
        first: &'a [E],
        /// The number of channels of the first tensor; it must be even if `E` is `Bf16`.
        first_channels: usize,
        /// `[batch, height, width, in - first_channels]`.
        second: &'a [E],
    },
}

impl<'a, E: Element> Input<'a, E> {
    /// Each tensor with its number of channels. All tensors have `pixels` pixels; together they have `all` channels.
    pub(crate) fn parts(self, pixels: usize, all: usize) -> Vec<(&'a [E], usize)> {
        let parts = match self {
            Input::One(x) => vec![(x, all)],
            Input::Concat { first, first_channels, second } => {
                assert!(first_channels > 0, "the first tensor needs at least one channel");
                assert!(first_channels < all, "the second tensor needs at least one channel");
                assert!(
                    first_channels.is_multiple_of(per_unit::<E>()),
                    "the first tensor needs an even number of channels in bf16"
                );
                vec![(first, first_channels), (second, all - first_channels)]
            }
        };
        for (x, channels) in &parts {
            assert_eq!(x.len(), checked::len("input", [pixels, *channels]), "length of the input");
        }
        parts
    }
}

/// Terms that are added to the sums of a convolution before they are stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras<'a> {
    /// `[out]`: added to every pixel.
    pub bias: Option<&'a [f32]>,
    /// `[batch, out]`: added to every pixel of a sample, for example a projected time embedding.
    pub sample_bias: Option<&'a [f32]>,
    /// `[batch, out_height, out_width, out]`: added to every output.
    pub residual: Option<&'a [f32]>,
}

impl Conv2d {
    /// y = x * w + bias: x `[batch, height, width, in]`, y `[batch, out_height, out_width, out]`, bias `[out]`.
    ///
    /// The result of a sample does not depend on the other samples or on the number of threads, to the last bit.
    ///
    /// # Panics
    /// When a length does not match, or the weights were packed for other channels or another kernel.
    pub fn forward<E: Element>(
        &self,
        level: Level,
        x: &[E],
        weights: &ForwardWeights<E>,
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) {
        self.forward_fused(level, Input::One(x), weights, Extras { bias, ..Extras::default() }, y);
    }

    /// y = x * w + bias + sample bias + residual, with one input or two concatenated inputs. Otherwise as
    /// [`forward`](Self::forward).
    ///
    /// # Panics
    /// When a length does not match, or the weights were packed for other channels or another kernel.
    pub fn forward_fused<E: Element>(
        &self,
        level: Level,
        x: Input<'_, E>,
        weights: &ForwardWeights<E>,
        extras: Extras<'_>,
        y: &mut [f32],
    ) {
        let packed = &weights.packed;
        self.check();
        packed.check::<E>(self.kernel * self.kernel, self.in_channels, self.out_channels);
        assert_eq!(y.len(), self.output_len(), "length of the output");
        check_extras(self, &extras);
        let held: Vec<_> = x
            .parts(self.input_pixels(), self.in_channels)
            .into_iter()
            .map(|(x, channels)| (whole_units(x, channels), channels))
            .collect();
        let problem = Problem {
            batch: self.batch,
            input: [self.height, self.width],
            output: [self.out_height(), self.out_width()],
            sources: &sources(&held),
            packed,
            epilogue: Epilogue {
                bias: extras.bias,
                sample_bias: extras.sample_bias,
                residual: extras.residual,
                accumulate: false,
            },
            out_stride: self.out_channels,
        };
        tile::run::<E>(level, &problem, &[self.forward_phase()], y);
    }

    /// The gradient of the input: dy `[batch, out_height, out_width, out]`, dx `[batch, height, width, in]`.
    ///
    /// With weights of [`pack_backward_part`](Self::pack_backward_part), dx has only the channels of that part. The result of a
    /// sample does not depend on the other samples or on the number of threads, to the last bit.
    ///
    /// # Panics
    /// When a length does not match, or the weights were packed for other channels or another kernel.
    pub fn backward_data<E: Element>(&self, level: Level, dy: &[E], weights: &BackwardWeights<E>, dx: &mut [f32]) {
        let packed = &weights.packed;
        self.check();
        packed.check::<E>(self.kernel * self.kernel, self.out_channels, packed.out_channels);
        assert_eq!(dy.len(), self.output_len(), "length of the output's gradient");
        let expected = checked::len("input's gradient", [self.batch, self.height, self.width, packed.out_channels]);
        assert_eq!(dx.len(), expected, "length of the input's gradient");
        let held = [(whole_units(dy, self.out_channels), self.out_channels)];
        let problem = Problem {
            batch: self.batch,
            input: [self.out_height(), self.out_width()],
            output: [self.height, self.width],
            sources: &sources(&held),
            packed,
            epilogue: Epilogue::default(),
            out_stride: packed.out_channels,
        };
        tile::run::<E>(level, &problem, &self.backward_phases(), dx);
    }

    /// The gradients of the weights, dw `[out, in, kernel, kernel]`, and of the bias, db `[out]`.
    ///
    /// The sum over pixels is divided at positions that depend only on the shape, so results do not depend on the number of
    /// threads.
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
        self.backward_weights_fused(level, Input::One(x), dy, dw, db);
    }

    /// As [`backward_weights`](Self::backward_weights), with one input or two concatenated inputs.
    ///
    /// # Panics
    /// When a length does not match.
    pub fn backward_weights_fused<E: Element>(
        &self,
        level: Level,
        x: Input<'_, E>,
        dy: &[E],
        dw: &mut [f32],
        db: Option<&mut [f32]>,
    ) {
        self.check();
        assert_eq!(dy.len(), self.output_len(), "length of the output's gradient");
        assert_eq!(dw.len(), self.weight_len(), "length of the weights' gradient");
        let join = |tap: usize, range: Range<usize>, is_complete: bool, pairs: &mut Vec<[usize; 2]>| {
            gradient::join(self, tap, range, is_complete, pairs);
        };
        let taps = self.kernel * self.kernel;
        let reduction = Reduction {
            pixels: self.output_pixels(),
            taps,
            join: &join,
            parts: (0..taps).map(|tap| vec![tap]).collect(),
            in_channels: self.in_channels,
            out_channels: self.out_channels,
        };
        let mut first = 0;
        for (x, channels) in x.parts(self.input_pixels(), self.in_channels) {
            if x.is_empty() {
                // The input has no pixels: the batch is empty, or outputs see only padding.
                dw.fill(0.0);
                break;
            }
            gradient::weights(level, &reduction, x, first..first + channels, dy, dw);
            first += channels;
        }
        if let Some(db) = db {
            assert_eq!(db.len(), self.out_channels, "length of the bias's gradient");
            reduce::column_sums(level, dy, self.out_channels, db);
        }
    }

    fn forward_phase(&self) -> Phase {
        Phase {
            rows: self.out_height(),
            columns: self.out_width(),
            origin: [0, 0],
            out_step: 1,
            in_step: self.stride,
            taps: self.taps(),
        }
    }
}

/// The inputs in the form that the tiles read.
pub(super) fn sources<'a, E: Element>(held: &'a [(Cow<'_, [E]>, usize)]) -> Vec<Source<'a>> {
    let mut first = 0;
    held.iter()
        .map(|(x, channels)| {
            let channels = channels.div_ceil(per_unit::<E>());
            let source = Source { data: Units::new(x), channels, stride: channels, first };
            first += channels;
            source
        })
        .collect()
}

pub(super) fn check_extras(conv: &Conv2d, extras: &Extras<'_>) {
    let fits = |x: Option<&[f32]>, len: usize| x.is_none_or(|x| x.len() == len);
    assert!(fits(extras.bias, conv.out_channels), "length of the bias");
    let samples = checked::len("sample bias", [conv.batch, conv.out_channels]);
    assert!(fits(extras.sample_bias, samples), "length of the sample bias");
    assert!(fits(extras.residual, conv.output_len()), "length of the residual");
}
