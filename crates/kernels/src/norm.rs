//! Group normalisation, optionally with a fused SiLU.

use crate::checked;
use crate::conv::Input;
use crate::element::{Element, write};
use crate::math;
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};
use std::ops::Range;

/// Group normalisation of one size: `z = (x - mean) rstd gamma + beta` over the pixels and channels of each group of each
/// sample, followed by `silu(z)` if [`silu`](Self::silu) is set.
///
/// Tensors are `[batch, pixels, channels]`, `mean` and `rstd` are `[batch, groups]`, `gamma` and `beta` are `[channels]`. The
/// input may be two tensors with concatenated channels, see [`Input`]: the result has the same bits as for one joined tensor.
///
/// With a batch of 0 there is nothing to do: outputs are empty, and gradients of parameters are 0. Every other size of 0 panics,
/// and so do more values than can be addressed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// The number of samples.
    pub batch: usize,
    /// The number of pixels per sample.
    pub pixels: usize,
    /// The number of channels; a multiple of `groups`.
    pub channels: usize,
    /// The number of groups of neighbouring channels.
    pub groups: usize,
    /// The value added to the variance.
    pub eps: f32,
    /// Whether SiLU follows.
    pub silu: bool,
}

/// The number of values per chunk; a chunk stays in the L1 cache.
const CHUNK: usize = 6144;

impl GroupNorm {
    /// Computes y from x, as `f32` or rounded to `Bf16`, and the mean and the reciprocal standard deviation of each group, which the
    /// backward pass needs.
    ///
    /// Variances are computed from squared deviations from the mean of each chunk, which are merged in `f64`, so an offset of the
    /// input does not reduce the accuracy. The result of a sample does not depend on the other samples or on the number of threads,
    /// to the last bit.
    ///
    /// # Panics
    /// When a length does not match.
    pub fn forward<E: Element>(
        &self,
        level: Level,
        x: Input<'_>,
        gamma: &[f32],
        beta: &[f32],
        y: &mut [E],
        mean: &mut [f32],
        rstd: &mut [f32],
    ) {
        self.check(gamma, beta, mean, rstd);
        let parts = self.parts(x);
        let size = self.pixels * self.channels;
        assert_eq!(y.len(), self.len(), "length of the output");
        let (y, mean, rstd) = (SharedMut::new(y), SharedMut::new(mean), SharedMut::new(rstd));
        for_each_job(self.batch, 8 * self.batch * size, |sample| {
            let parts: Vec<Part<'_>> = parts.iter().map(|part| part.sample(sample, self.batch)).collect();
            // SAFETY: each sample has its own part of every output.
            let (y, mean, rstd) = unsafe {
                (
                    y.slice(sample * size, size),
                    mean.slice(sample * self.groups, self.groups),
                    rstd.slice(sample * self.groups, self.groups),
                )
            };
            self.statistics(level, &parts, mean, rstd);
            let y = SharedMut::new(y);
            let (mean, rstd) = (self.spread(mean), self.spread(rstd));
            let scale: Vec<f32> = rstd.iter().zip(gamma).map(|(r, g)| r * g).collect();
            for_each_job(self.chunks(), 8 * size, |chunk| {
                let pixels = self.chunk(chunk);
                // SAFETY: each chunk has its own part of the output.
                let y = unsafe { y.slice(pixels.start * self.channels, pixels.len() * self.channels) };
                for part in &parts {
                    let part = part.pixels(pixels.clone());
                    level.dispatch(Apply { part, mean: &mean, scale: &scale, beta, silu: self.silu, y });
                }
            });
        });
    }

    /// The gradients of x, gamma and beta, from the input and the statistics of the forward pass; `dx` has one tensor for each
    /// tensor of the input.
    ///
    /// dx of a sample does not depend on the other samples or on the number of threads, to the last bit; dgamma and dbeta are
    /// sums over the batch in a fixed order.
    ///
    /// # Panics
    /// When a length does not match.
    pub fn backward(
        &self,
        level: Level,
        x: Input<'_>,
        dy: &[f32],
        gamma: &[f32],
        beta: &[f32],
        mean: &[f32],
        rstd: &[f32],
        dx: &mut [&mut [f32]],
        dgamma: &mut [f32],
        dbeta: &mut [f32],
    ) {
        self.check(gamma, beta, mean, rstd);
        let parts = self.parts(x);
        assert_eq!(dy.len(), self.len(), "length of the output's gradient");
        assert_eq!(dx.len(), parts.len(), "number of gradients and of input tensors");
        for (dx, part) in dx.iter().zip(&parts) {
            assert_eq!(dx.len(), part.x.len(), "length of the input's gradient");
        }
        assert_eq!((dgamma.len(), dbeta.len()), (self.channels, self.channels), "length of the parameters' gradients");
        let size = self.pixels * self.channels;
        let mut sums = vec![[0.0_f64; 2]; self.batch * self.channels];
        let dx: Vec<_> = dx.iter_mut().map(|dx| SharedMut::new(dx)).collect();
        let shared = SharedMut::new(&mut sums);
        for_each_job(self.batch, 16 * dy.len(), |sample| {
            let dy = &dy[sample * size..(sample + 1) * size];
            let parts: Vec<_> = parts
                .iter()
                .zip(&dx)
                .map(|(part, dx)| {
                    let part = part.sample(sample, self.batch);
                    // SAFETY: each sample has its own part of every gradient.
                    (part, SharedMut::new(unsafe { dx.slice(sample * part.x.len(), part.x.len()) }))
                })
                .collect();
            // SAFETY: each sample has its own sums.
            let sums = unsafe { shared.slice(sample * self.channels, self.channels) };
            let groups = sample * self.groups..(sample + 1) * self.groups;
            let saved =
                Saved { mean: self.spread(&mean[groups.clone()]), rstd: self.spread(&rstd[groups]), gamma, beta };
            self.sample_backward(level, &parts, dy, &saved, sums);
        });
        for c in 0..self.channels {
            let of = |which: usize| (0..self.batch).map(|n| sums[n * self.channels + c][which]).sum::<f64>() as f32;
            dbeta[c] = of(0);
            dgamma[c] = of(1);
        }
    }

    /// dx of one sample, and for each channel the sums over pixels of dz and of dz times the normalised x.
    fn sample_backward(
        &self,
        level: Level,
        parts: &[(Part<'_>, SharedMut<'_, f32>)],
        dy: &[f32],
        saved: &Saved<'_>,
        sums: &mut [[f64; 2]],
    ) {
        let (chunks, size) = (self.chunks(), dy.len());
        let mut partial = vec![0.0_f32; 2 * chunks * self.channels];
        let shared = SharedMut::new(&mut partial);
        let rows = |pixels: &Range<usize>, channels: usize| pixels.start * channels..pixels.end * channels;
        for_each_job(chunks, 16 * size, |chunk| {
            let pixels = self.chunk(chunk);
            // SAFETY: each chunk has its own partial sums.
            let partial = unsafe { shared.slice(2 * chunk * self.channels, 2 * self.channels) };
            for (part, dx) in parts {
                let range = rows(&pixels, part.channels);
                // SAFETY: each chunk has its own part of each dx.
                let dx = unsafe { dx.slice(range.start, range.len()) };
                let dy = &dy[rows(&pixels, self.channels)];
                level.dispatch(Sums { part: part.pixels(pixels.clone()), dy, saved, silu: self.silu, dx, partial });
            }
        });
        for row in partial.chunks_exact(2 * self.channels) {
            for (c, sum) in sums.iter_mut().enumerate() {
                sum[0] += f64::from(row[c]);
                sum[1] += f64::from(row[self.channels + c]);
            }
        }
        let per_group = self.channels / self.groups;
        let count = (self.pixels * per_group) as f64;
        let (mut slope, mut offset) = (vec![0.0; self.channels], vec![0.0; self.channels]);
        for group in 0..self.groups {
            let channels = group * per_group..(group + 1) * per_group;
            let total = |which: usize| -> f64 {
                channels.clone().map(|c| sums[c][which] * f64::from(saved.gamma[c])).sum::<f64>() / count
            };
            let (flat, tilted) = (total(0), total(1));
            for c in channels.clone() {
                let rstd = f64::from(saved.rstd[c]);
                offset[c] = (-rstd * flat) as f32;
                slope[c] = (-rstd * rstd * tilted) as f32;
            }
        }
        let scale: Vec<f32> = saved.rstd.iter().zip(saved.gamma).map(|(r, g)| r * g).collect();
        for_each_job(chunks, 4 * size, |chunk| {
            let pixels = self.chunk(chunk);
            for (part, dx) in parts {
                let range = rows(&pixels, part.channels);
                // SAFETY: each chunk has its own part of each dx.
                let dx = unsafe { dx.slice(range.start, range.len()) };
                let dz = if self.silu { None } else { Some(&dy[rows(&pixels, self.channels)]) };
                let (part, mean) = (part.pixels(pixels.clone()), &saved.mean);
                level.dispatch(Combine { part, dz, mean, scale: &scale, slope: &slope, offset: &offset, dx });
            }
        });
    }

    /// The tensors of the input, each with its position among the channels.
    fn parts<'a>(&self, x: Input<'a>) -> Vec<Part<'a>> {
        let mut first = 0;
        x.parts(checked::len("input", [self.batch, self.pixels]), self.channels)
            .into_iter()
            .map(|(x, channels)| {
                first += channels;
                Part { x, channels, first: first - channels }
            })
            .collect()
    }

    /// The number of input values.
    fn len(&self) -> usize {
        checked::len("input", [self.batch, self.pixels, self.channels])
    }

    fn check(&self, gamma: &[f32], beta: &[f32], mean: &[f32], rstd: &[f32]) {
        assert!(self.groups > 0 && self.channels.is_multiple_of(self.groups), "channels must be a multiple of groups");
        assert!(self.pixels > 0 && self.channels > 0, "a norm needs at least one pixel and one channel");
        assert_eq!((gamma.len(), beta.len()), (self.channels, self.channels), "length of gamma and beta");
        let groups = checked::len("statistics", [self.batch, self.groups]);
        assert_eq!((mean.len(), rstd.len()), (groups, groups), "length of the statistics");
    }

    /// Converts one value per group to one value per channel.
    fn spread(&self, groups: &[f32]) -> Vec<f32> {
        let per_group = self.channels / self.groups;
        (0..self.channels).map(|channel| groups[channel / per_group]).collect()
    }

    /// The number of pixels per chunk; it depends only on the shape.
    fn chunk_pixels(&self) -> usize {
        (CHUNK / self.channels).clamp(1, self.pixels)
    }

    fn chunks(&self) -> usize {
        self.pixels.div_ceil(self.chunk_pixels())
    }

    /// The pixels of a chunk, within a sample.
    fn chunk(&self, chunk: usize) -> Range<usize> {
        let pixels = self.chunk_pixels();
        chunk * pixels..self.pixels.min((chunk + 1) * pixels)
    }

    /// The mean and the reciprocal standard deviation of each group of one sample.
    fn statistics(&self, level: Level, parts: &[Part<'_>], mean: &mut [f32], rstd: &mut [f32]) {
        let (chunks, width) = (self.chunks(), 3 * self.channels);
        let mut moments = vec![0.0_f32; chunks * width];
        let shared = SharedMut::new(&mut moments);
        for_each_job(chunks, 4 * self.pixels * self.channels, |chunk| {
            // SAFETY: each chunk has its own row.
            let out = unsafe { shared.slice(chunk * width, width) };
            for part in parts {
                level.dispatch(Moments { part: part.pixels(self.chunk(chunk)), total: self.channels, out });
            }
        });
        let per_group = self.channels / self.groups;
        for group in 0..self.groups {
            // A part is one channel of one chunk: its count, its mean, and the sum of squared deviations from that mean.
            let parts = (0..chunks).flat_map(|chunk| {
                let count = self.chunk(chunk).len() as f64;
                let row = &moments[chunk * width..(chunk + 1) * width];
                (group * per_group..(group + 1) * per_group).map(move |c| {
                    let [shift, first, second] = [0, 1, 2].map(|i| f64::from(row[i * self.channels + c]));
                    (count, shift + first / count, second - first * first / count)
                })
            });
            let total = (self.pixels * per_group) as f64;
            let centre = parts.clone().map(|(count, mean, _)| count * mean).sum::<f64>() / total;
            let squares: f64 = parts.map(|(count, mean, square)| square + count * (mean - centre).powi(2)).sum();
            mean[group] = centre as f32;
            rstd[group] = (1.0 / (squares.max(0.0) / total + f64::from(self.eps)).sqrt()) as f32;
        }
    }
}

/// One of the tensors that make up the input, or some of its pixels.
#[derive(Clone, Copy)]
struct Part<'a> {
    /// `[pixels, channels]`.
    x: &'a [f32],
    channels: usize,
    /// The position of its first channel among all channels.
    first: usize,
}

impl Part<'_> {
    /// One sample of `batch`.
    fn sample(self, sample: usize, batch: usize) -> Self {
        let size = self.x.len() / batch;
        Self { x: &self.x[sample * size..(sample + 1) * size], ..self }
    }

    fn pixels(self, pixels: Range<usize>) -> Self {
        Self { x: &self.x[pixels.start * self.channels..pixels.end * self.channels], ..self }
    }

    /// Its channels in vectors: the range of each vector within this tensor, and among all channels.
    fn strips(self) -> impl Iterator<Item = [Range<usize>; 2]> {
        (0..self.channels).step_by(LANES).map(move |start| {
            let strip = start..self.channels.min(start + LANES);
            [strip.clone(), self.first + strip.start..self.first + strip.end]
        })
    }
}

/// The statistics and parameters that the backward pass reads, one value per channel.
struct Saved<'a> {
    mean: Vec<f32>,
    rstd: Vec<f32>,
    gamma: &'a [f32],
    beta: &'a [f32],
}

/// The number of rows with separate sums, to hide the latency of additions.
const SIDE: usize = 4;

/// For each channel of a chunk: its mean, and the sums of deviations and of squared deviations from it.
struct Moments<'a> {
    part: Part<'a>,
    /// The number of channels of all parts.
    total: usize,
    out: &'a mut [f32],
}

impl Kernel for Moments<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Part { x, channels, .. } = self.part;
        let pixels = x.len() / channels;
        for [strip, place] in self.part.strips() {
            let whole = x.chunks_exact(SIDE * channels);
            let rest = whole.remainder();
            let mut acc = [s.splat(0.0); SIDE];
            for rows in whole.clone() {
                for i in 0..SIDE {
                    acc[i] = s.add(acc[i], s.read(&rows[i * channels..][strip.clone()]));
                }
            }
            for row in rest.chunks_exact(channels) {
                acc[0] = s.add(acc[0], s.read(&row[strip.clone()]));
            }
            let sum = s.add(s.add(acc[0], acc[1]), s.add(acc[2], acc[3]));
            let shift = s.mul(sum, s.splat(1.0 / pixels as f32));
            let mut acc = [[s.splat(0.0); 2]; SIDE];
            for rows in whole {
                for i in 0..SIDE {
                    let d = s.sub(s.read(&rows[i * channels..][strip.clone()]), shift);
                    acc[i] = [s.add(acc[i][0], d), s.fma(d, d, acc[i][1])];
                }
            }
            for row in rest.chunks_exact(channels) {
                let d = s.sub(s.read(&row[strip.clone()]), shift);
                acc[0] = [s.add(acc[0][0], d), s.fma(d, d, acc[0][1])];
            }
            s.write(&mut self.out[place.clone()], shift);
            for i in 0..2 {
                let sum = s.add(s.add(acc[0][i], acc[1][i]), s.add(acc[2][i], acc[3][i]));
                s.write(&mut self.out[(i + 1) * self.total..][place.clone()], sum);
            }
        }
    }
}

/// y = silu((x - mean) scale + beta), or the same without silu, for the channels of the part; y has the channels of all parts.
struct Apply<'a, E> {
    part: Part<'a>,
    mean: &'a [f32],
    scale: &'a [f32],
    beta: &'a [f32],
    silu: bool,
    y: &'a mut [E],
}

impl<E: Element> Kernel for Apply<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Part { x, channels, .. } = self.part;
        for [strip, place] in self.part.strips() {
            let (mean, scale) = (s.read(&self.mean[place.clone()]), s.read(&self.scale[place.clone()]));
            let beta = s.read(&self.beta[place.clone()]);
            for (x, y) in x.chunks_exact(channels).zip(self.y.chunks_exact_mut(self.mean.len())) {
                let z = s.fma(s.sub(s.read(&x[strip.clone()]), mean), scale, beta);
                write(s, &mut y[place.clone()], if self.silu { math::silu(s, z) } else { z });
            }
        }
    }
}

/// Sums dz, and dz times the normalised x, over the pixels of a chunk; with SiLU, dz is also written to the dx of the part.
struct Sums<'a> {
    part: Part<'a>,
    dy: &'a [f32],
    saved: &'a Saved<'a>,
    silu: bool,
    dx: &'a mut [f32],
    partial: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (saved, Part { x, channels, .. }) = (self.saved, self.part);
        let total = saved.mean.len();
        for [strip, place] in self.part.strips() {
            let (mean, rstd) = (s.read(&saved.mean[place.clone()]), s.read(&saved.rstd[place.clone()]));
            let (gamma, beta) = (s.read(&saved.gamma[place.clone()]), s.read(&saved.beta[place.clone()]));
            let mut acc = [s.splat(0.0); 2];
            let rows = x.chunks_exact(channels).zip(self.dy.chunks_exact(total));
            for ((x, dy), dx) in rows.zip(self.dx.chunks_exact_mut(channels)) {
                let normed = s.mul(s.sub(s.read(&x[strip.clone()]), mean), rstd);
                let mut dz = s.read(&dy[place.clone()]);
                if self.silu {
                    dz = s.mul(dz, math::silu_slope(s, s.fma(normed, gamma, beta)));
                    s.write(&mut dx[strip.clone()], dz);
                }
                acc = [s.add(acc[0], dz), s.fma(dz, normed, acc[1])];
            }
            s.write(&mut self.partial[place.clone()], acc[0]);
            s.write(&mut self.partial[total..][place], acc[1]);
        }
    }
}

/// dx = dz scale + (x - mean) slope + offset for a part; if dz is not given, it is read from dx.
struct Combine<'a> {
    part: Part<'a>,
    dz: Option<&'a [f32]>,
    mean: &'a [f32],
    scale: &'a [f32],
    slope: &'a [f32],
    offset: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (total, Part { x, channels, .. }) = (self.mean.len(), self.part);
        for [strip, place] in self.part.strips() {
            let (mean, scale) = (s.read(&self.mean[place.clone()]), s.read(&self.scale[place.clone()]));
            let (slope, offset) = (s.read(&self.slope[place.clone()]), s.read(&self.offset[place.clone()]));
            for (row, (x, dx)) in x.chunks_exact(channels).zip(self.dx.chunks_exact_mut(channels)).enumerate() {
                let dz = match self.dz {
                    Some(dz) => s.read(&dz[row * total..][place.clone()]),
                    None => s.read(&dx[strip.clone()]),
                };
                let x = s.sub(s.read(&x[strip.clone()]), mean);
                s.write(&mut dx[strip.clone()], s.fma(dz, scale, s.fma(x, slope, offset)));
            }
        }
    }
}
