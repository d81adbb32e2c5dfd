//! The register tile that computes every convolution and matrix product, and the loops that move it over an image.
//!
//! A tile holds M output pixels by N strips of sixteen output channels. Each pixel has, for each tap, a pointer to the
//! input pixel that it reads; outside the image the pointer leads to zeros. So padding, strides, concatenated inputs and
//! tiles that extend over several rows and images cost a few pointers per tile and no copies. Every output is one chain of
//! multiply-adds in the order of taps and input channels, independent of its tile. So results do not depend on the batch or
//! on the division of pixels into jobs.

use crate::element::{Element, Units, dispatch, multiply_add};
use crate::lines::Line;
use crate::panel::{Group, Packed, groups};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};
use crate::walk::{MAX_TAPS, Target, Walk};
use std::marker::PhantomData;
use std::ops::Range;

/// The size in bytes of a weight panel that stays in the L2 cache together with the pixels.
const PANEL_BYTES: usize = 448 << 10;

/// An input tensor, channels last, and the position of its first channel among the input channels of the weights; all in units of
/// 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) data: Units<'a>,
    pub(crate) channels: usize,
    /// The distance from one pixel to the next in units.
    pub(crate) stride: usize,
    pub(crate) first: usize,
}

/// One tap: the input pixel of output pixel (i, j) of a phase is (i step + row, j step + column).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    pub(crate) row: isize,
    pub(crate) column: isize,
    /// The index of the packed tap.
    pub(crate) weight: usize,
}

/// Output pixels that share a list of taps: those at `origin + step (i, j)` for i < rows, j < columns.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) origin: [usize; 2],
    pub(crate) out_step: usize,
    pub(crate) in_step: usize,
    pub(crate) taps: Vec<Tap>,
}

/// Terms that are added to a sum before it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Epilogue<'a> {
    /// Added to every pixel, one value per channel.
    pub(crate) bias: Option<&'a [f32]>,
    /// Added to every pixel of a sample, `[batch, channels]`.
    pub(crate) sample_bias: Option<&'a [f32]>,
    /// Added to every output, in the shape of the output.
    pub(crate) residual: Option<&'a [f32]>,
    /// Whether the result is added to the present values of the output.
    pub(crate) accumulate: bool,
}

/// A convolution-like sum over taps and input channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem<'a> {
    pub(crate) batch: usize,
    /// Height and width of the inputs.
    pub(crate) input: [usize; 2],
    /// Height and width of the output.
    pub(crate) output: [usize; 2],
    pub(crate) sources: &'a [Source<'a>],
    pub(crate) packed: &'a Packed,
    pub(crate) epilogue: Epilogue<'a>,
    /// The distance from one output pixel to the next in values.
    pub(crate) out_stride: usize,
}

/// Computes every phase from elements of type `E` and writes the results to `y`.
pub(crate) fn run<E: Element>(level: Level, problem: &Problem<'_>, phases: &[Phase], y: &mut [f32]) {
    let pixels = problem.batch * problem.output[0] * problem.output[1];
    if pixels == 0 {
        return;
    }
    // Callers reject tensors without channels, or do not need sums for them.
    assert!(problem.packed.in_units > 0 && problem.packed.out_channels > 0, "sums need input and output channels");
    assert!(y.len() >= (pixels - 1) * problem.out_stride + problem.packed.out_channels, "output is too short");
    for source in problem.sources {
        let inputs = problem.batch * problem.input[0] * problem.input[1];
        // If the input has no pixels, every tap reads zeros.
        let len = if inputs == 0 { 0 } else { (inputs - 1) * source.stride + source.channels };
        assert!(source.data.len() >= len, "input is too short");
        assert!(source.first + source.channels <= problem.packed.in_units, "the input has too many channels");
    }
    let widest = problem.sources.iter().map(|s| s.channels).max().unwrap_or(0);
    let zeros = vec![0.0_f32; widest];
    let all = groups(problem.packed.out_channels);
    let y = SharedMut::new(y);
    for phase in phases {
        assert!(phase.taps.len() * problem.sources.len() <= MAX_TAPS, "too many taps");
        let pixels = problem.batch * phase.rows * phase.columns;
        let depth = phase.taps.len() * problem.packed.in_units;
        let work = pixels * depth * problem.packed.out_channels;
        let cut = Cut::new(pixels, if problem.packed.is_dot() { 1 } else { all.len() }, work);
        for_each_job(cut.jobs(), work, |job| {
            let (range, part) = cut.job(job);
            let element = PhantomData::<E>;
            let job = Job { problem, phase, zeros: &zeros, groups: &all[part], pixels: range, y, element };
            dispatch::<E, _>(level, job);
        });
    }
}

/// The division of pixels and groups into jobs.
struct Cut {
    pixels: usize,
    chunk: usize,
    groups: usize,
    parts: usize,
}

/// The largest number of pixels per job: a multiple of every tile height (6, 8, 12, 4, 2), small enough for the L2 cache.
const CHUNK: usize = 240;

impl Cut {
    fn new(pixels: usize, groups: usize, work: usize) -> Self {
        let wanted = if work < 1 << 20 { 1 } else { 4 * rayon::current_num_threads() };
        let chunk = pixels.div_ceil(wanted).next_multiple_of(24).min(CHUNK);
        let chunks = pixels.div_ceil(chunk);
        Self { pixels, chunk, groups, parts: wanted.div_ceil(chunks).clamp(1, groups) }
    }

    fn jobs(&self) -> usize {
        self.pixels.div_ceil(self.chunk) * self.parts
    }

    fn job(&self, job: usize) -> (Range<usize>, Range<usize>) {
        let (chunk, part) = (job / self.parts, job % self.parts);
        let start = chunk * self.chunk;
        let groups = part * self.groups / self.parts..(part + 1) * self.groups / self.parts;
        (start..self.pixels.min(start + self.chunk), groups)
    }
}

/// One job: a range of pixels of a phase and some groups of output channels.
struct Job<'a, E> {
    problem: &'a Problem<'a>,
    phase: &'a Phase,
    zeros: &'a [f32],
    groups: &'a [Group],
    pixels: Range<usize>,
    y: SharedMut<'a, f32>,
    element: PhantomData<E>,
}

impl<E: Element> Kernel for Job<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.problem.packed.is_dot() {
            return crate::dot::run::<E, S>(
                s,
                &Walk::new(self.problem, self.phase, self.zeros),
                self.problem,
                self.pixels,
                self.y,
            );
        }
        for group in self.groups {
            let tap_bytes = self.problem.packed.in_units * group.strips * LANES * 4;
            let step = (PANEL_BYTES / tap_bytes.max(1)).max(1);
            let taps = self.phase.taps.len();
            let mut first = 0;
            loop {
                let last = taps.min(first + step);
                self.panel(s, *group, first..last);
                first = last;
                if first >= taps {
                    break;
                }
            }
        }
    }
}

impl<E: Element> Job<'_, E> {
    /// Computes some taps of one group for all pixels of the job.
    #[inline(always)]
    fn panel<S: Simd>(&self, s: S, group: Group, taps: Range<usize>) {
        if S::WIDE {
            match group.strips {
                4 => self.tiles::<S, 6, 4>(s, group, 0, taps),
                3 => self.tiles::<S, 8, 3>(s, group, 0, taps),
                2 => self.tiles::<S, 12, 2>(s, group, 0, taps),
                _ => self.tiles::<S, 12, 1>(s, group, 0, taps),
            }
        } else {
            for strip in 0..group.strips {
                match S::ROWS {
                    6 => self.tiles::<S, 6, 1>(s, group, strip, taps.clone()),
                    4 => self.tiles::<S, 4, 1>(s, group, strip, taps.clone()),
                    _ => self.tiles::<S, 2, 1>(s, group, strip, taps.clone()),
                }
            }
        }
    }

    /// Computes tiles of M pixels by N strips, starting at `strip` of `group`.
    #[inline(always)]
    fn tiles<S: Simd, const M: usize, const N: usize>(&self, s: S, group: Group, strip: usize, taps: Range<usize>) {
        let problem = self.problem;
        let packed = problem.packed;
        let (is_first, is_last) = (taps.start == 0, taps.end == self.phase.taps.len());
        let walk = Walk::new(problem, self.phase, self.zeros);
        let w_step = group.strips * LANES;
        // SAFETY: group, strip and taps lie inside the packed weights.
        let weights = unsafe { packed.as_ptr().add(packed.group_offset(group) + strip * LANES) };
        let channel = group.first + strip * LANES;
        let mut place = walk.place(self.pixels.start);
        let mut pixel = self.pixels.start;
        let mut table = [[self.zeros.as_ptr(); M]; MAX_TAPS];
        while pixel < self.pixels.end {
            let valid = M.min(self.pixels.end - pixel);
            let out = walk.tile::<M>(&mut place, valid, taps.clone(), &mut table);
            let mut acc = [[s.splat(0.0); N]; M];
            if !is_first || problem.epilogue.accumulate {
                self.reload(s, &mut acc, &out[..valid], channel);
            }
            // A local copy stays in registers from tap to tap, because nothing can alias it.
            let mut sums = acc;
            for (t, tap) in self.phase.taps[taps.clone()].iter().enumerate() {
                for (q, source) in problem.sources.iter().enumerate() {
                    let row = &table[t * problem.sources.len() + q];
                    // SAFETY: each pointer leads to `channels` readable values (a pixel or zeros), and the panel holds
                    // `channels` rows of the tap from the source's first channel on.
                    sums = unsafe {
                        let w = weights.add((tap.weight * packed.in_units + source.first) * w_step);
                        multiply::<E, S, M, N>(s, sums, row, w, w_step, source.channels)
                    };
                }
            }
            acc = sums;
            self.store(s, &acc, &out[..valid], channel, is_last);
            pixel += valid;
        }
    }

    /// Reads back the sums of the previous taps.
    #[inline(always)]
    fn reload<S: Simd, const M: usize, const N: usize>(
        &self,
        s: S,
        acc: &mut [[S::V; N]; M],
        out: &[Target],
        channel: usize,
    ) {
        let channels = self.problem.packed.out_channels;
        for m in 0..M {
            if m < out.len() {
                for n in 0..N {
                    let c = channel + n * LANES;
                    let lanes = LANES.min(channels - c);
                    // SAFETY: pixel and channels lie inside the output, and belong only to this job.
                    acc[m][n] = unsafe { read(s, self.y.get().add(out[m].at + c), lanes) };
                }
            }
        }
    }

    /// Adds the terms of the epilogue and stores the valid pixels.
    #[inline(always)]
    fn store<S: Simd, const M: usize, const N: usize>(
        &self,
        s: S,
        acc: &[[S::V; N]; M],
        out: &[Target],
        channel: usize,
        is_last: bool,
    ) {
        let channels = self.problem.packed.out_channels;
        let epilogue = &self.problem.epilogue;
        for m in 0..M {
            if m < out.len() {
                let Target { sample, at } = out[m];
                for n in 0..N {
                    let c = channel + n * LANES;
                    let lanes = LANES.min(channels - c);
                    let mut v = acc[m][n];
                    if is_last {
                        if let Some(bias) = epilogue.bias {
                            v = s.add(v, s.read(&bias[c..]));
                        }
                        if let Some(bias) = epilogue.sample_bias {
                            v = s.add(v, s.read(&bias[sample * channels + c..(sample + 1) * channels]));
                        }
                        if let Some(residual) = epilogue.residual {
                            v = s.add(v, s.read(&residual[at + c..at + c + lanes]));
                        }
                    }
                    // SAFETY: pixel and channels lie inside the output, and belong only to this job.
                    unsafe {
                        let y = self.y.get().add(at + c);
                        if lanes == LANES { s.store(y, v) } else { s.store_partial(y, v, lanes) }
                    }
                }
            }
        }
    }
}

/// A product of rows of `f32` and the weights of one tap: each row has one value for each input channel. The sums are those of a [`Job`],
/// without its search for pixels, which would take a tenth of the time where there are few channels.
pub(crate) struct Rows<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) packed: &'a Packed,
    pub(crate) tap: usize,
    /// The groups of the packed weights.
    pub(crate) groups: &'a [Group],
    /// For each row, a line for each strip of output channels.
    pub(crate) y: &'a mut [Line],
}

impl Rows<'_> {
    /// Computes all rows.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(&mut self, s: S) {
        for group in self.groups {
            if S::WIDE {
                match group.strips {
                    4 => self.tiles::<S, 6, 4>(s, *group, 0),
                    3 => self.tiles::<S, 8, 3>(s, *group, 0),
                    2 => self.tiles::<S, 12, 2>(s, *group, 0),
                    _ => self.tiles::<S, 12, 1>(s, *group, 0),
                }
            } else {
                for strip in 0..group.strips {
                    match S::ROWS {
                        6 => self.tiles::<S, 6, 1>(s, *group, strip),
                        4 => self.tiles::<S, 4, 1>(s, *group, strip),
                        _ => self.tiles::<S, 2, 1>(s, *group, strip),
                    }
                }
            }
        }
    }

    /// Computes tiles of M rows by N strips, starting at `strip` of `group`.
    #[inline(always)]
    fn tiles<S: Simd, const M: usize, const N: usize>(&mut self, s: S, group: Group, strip: usize) {
        let (packed, depth) = (self.packed, self.packed.in_units);
        let strips = packed.out_channels.div_ceil(LANES);
        let step = group.strips * LANES;
        let at = packed.group_offset(group) + self.tap * depth * step + strip * LANES;
        let weights = packed.as_ptr().wrapping_add(at);
        let first = group.first / LANES + strip;
        for (x, y) in self.x.chunks(M * depth).zip(self.y.chunks_mut(M * strips)) {
            let rows = x.len() / depth;
            assert!(rows * strips <= y.len() && first + N <= strips, "products outside their lines");
            // Rows that do not exist are those of the first one; their sums are not stored.
            let mut from = [x.as_ptr(); M];
            for m in 0..M {
                if m < rows {
                    from[m] = from[m].wrapping_add(m * depth);
                }
            }
            // SAFETY: every row has `depth` values, and the weights were packed for this group, these taps and channels.
            let sums = unsafe { multiply::<f32, S, M, N>(s, [[s.splat(0.0); N]; M], &from, weights, step, depth) };
            for m in 0..M {
                if m < rows {
                    for n in 0..N {
                        // SAFETY: as asserted, the line is inside.
                        unsafe { s.store(y.as_mut_ptr().add(m * strips + first + n).cast(), sums[m][n]) };
                    }
                }
            }
        }
    }
}

/// Reads `lanes` values.
///
/// # Safety
/// `p` is valid for reading `lanes` values, at most 16.
#[inline(always)]
unsafe fn read<S: Simd>(s: S, p: *const f32, lanes: usize) -> S::V {
    // SAFETY: the caller guarantees `lanes` values.
    unsafe { if lanes == LANES { s.load(p) } else { s.load_partial(p, lanes) } }
}

/// sums[m][n] + sum over k of x[m][k] w[k][n].
///
/// # Safety
/// Every pointer of `x` is valid for reading `depth` values, `w` for `depth` rows of N strips, `step` values apart.
#[inline(always)]
unsafe fn multiply<E: Element, S: Simd, const M: usize, const N: usize>(
    s: S,
    mut sums: [[S::V; N]; M],
    x: &[*const f32; M],
    mut w: *const f32,
    step: usize,
    depth: usize,
) -> [[S::V; N]; M] {
    let x = *x;
    let mut k = 0;
    while k + UNROLL <= depth {
        for u in 0..UNROLL {
            // SAFETY: k + u is below `depth`.
            unsafe { rank_one::<E, S, M, N>(s, &mut sums, &x, k + u, w.add(u * step)) };
        }
        // After the last row, the pointer of a strip other than the first is outside the weights; it is not dereferenced there.
        w = w.wrapping_add(UNROLL * step);
        k += UNROLL;
    }
    while k < depth {
        // SAFETY: k is below `depth`.
        unsafe { rank_one::<E, S, M, N>(s, &mut sums, &x, k, w) };
        w = w.wrapping_add(step);
        k += 1;
    }
    sums
}

/// The number of input channels between two checks of the loop counter.
const UNROLL: usize = 4;

/// acc[m][n] += x[m][k] w[n].
///
/// # Safety
/// Every pointer of `x` is valid at `k`, and `w` for N strips.
#[inline(always)]
unsafe fn rank_one<E: Element, S: Simd, const M: usize, const N: usize>(
    s: S,
    acc: &mut [[S::V; N]; M],
    x: &[*const f32; M],
    k: usize,
    w: *const f32,
) {
    // SAFETY: the caller guarantees both reads.
    unsafe {
        let mut row = [s.splat(0.0); N];
        for n in 0..N {
            row[n] = s.load(w.add(n * LANES));
        }
        for m in 0..M {
            let b = s.splat(x[m].add(k).read_unaligned());
            for n in 0..N {
                acc[m][n] = multiply_add::<E, S>(s, row[n], b, acc[m][n]);
            }
        }
    }
}
