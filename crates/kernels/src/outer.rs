//! Sums of outer products over pixels: weight gradients, and matrix products with a transposed left matrix.
//!
//! For every tap, `sum[i][j] = sum over pairs (p, q) of a[p][i] b[q][j]`, where a pair is two pixels that the tap connects. The
//! division of pixels into pieces, and of pieces into blocks, depends only on the shape. Each piece has its own partial sum, and
//! the partial sums are added in order, so the result does not depend on the number of threads.

use crate::element::{Element, dispatch, multiply_add, per_unit};
use crate::lines::{Line, Lines};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};
use std::ops::Range;

/// The number of pixels per block: their values in two strips stay in the L1 cache.
const fn block_pixels<E: Element>() -> usize {
    128 * per_unit::<E>()
}

/// The number of pixels per piece, unless there are more than [`MAX_PIECES`] pieces.
const PIECE: usize = 2048;

/// The largest number of pieces.
const MAX_PIECES: usize = 16;

/// The number of rows of a register tile.
const ROWS: usize = 8;

/// Marks a pixel outside the image: all its values are zero.
pub(crate) const OUTSIDE: usize = usize::MAX;

/// Lists the pairs of a tap for a range of pixels.
pub(crate) type List<'a> = dyn Fn(usize, Range<usize>, &mut Vec<[usize; 2]>) + Sync + 'a;

/// The pairs (pixel of `a`, pixel of `b`) that a tap connects.
#[derive(Clone, Copy)]
pub(crate) enum Pairs<'a> {
    /// Lists them for a range of pixels. Pairs with a pixel [`OUTSIDE`] are omitted for `f32`, and listed for `Bf16`, so that the list of
    /// output pixels is the same for every tap.
    Listed(&'a List<'a>),
    /// Each tap has its own pixels: those of tap t begin at pixel t times the number of pixels, in both tensors.
    Own,
}

/// The operands of a sum.
#[derive(Clone, Copy)]
pub(crate) struct Outer<'a, E> {
    /// The operand whose values are broadcast, and its distance from one pixel to the next in values.
    pub(crate) a: &'a [E],
    pub(crate) a_stride: usize,
    /// The number of channels of `a` in the sums.
    pub(crate) rows: usize,
    /// The operand that is read in vectors, and its distance from one pixel to the next in values.
    pub(crate) b: &'a [E],
    pub(crate) b_stride: usize,
    /// The number of channels of `b` in the sums.
    pub(crate) columns: usize,
    pub(crate) pixels: usize,
    pub(crate) taps: usize,
    pub(crate) pairs: Pairs<'a>,
}

/// Partial sums `[piece][tap][row][column, padded to a multiple of 16]`.
pub(crate) struct Partial {
    data: Lines,
    /// Whether nothing was added yet, so that the values are not defined.
    is_new: bool,
    pieces: usize,
    taps: usize,
    rows: usize,
    width: usize,
}

impl Partial {
    /// The sum over the pieces of one vector of columns.
    #[inline(always)]
    pub(crate) fn total(&self, tap: usize, row: usize, strip: usize) -> [f32; LANES] {
        let strips = self.width / LANES;
        let size = self.taps * self.rows * strips;
        let at = (tap * self.rows + row) * strips + strip;
        let mut total = self.data[at].0;
        for piece in 1..self.pieces {
            let part = &self.data[piece * size + at].0;
            for lane in 0..LANES {
                total[lane] += part[lane];
            }
        }
        total
    }

    /// As [`total`](Self::total), as a vector.
    #[inline(always)]
    pub(crate) fn vector<S: Simd>(&self, s: S, tap: usize, row: usize, strip: usize) -> S::V {
        let strips = self.width / LANES;
        let size = self.taps * self.rows * strips;
        let at = (tap * self.rows + row) * strips + strip;
        let mut total = s.read(&self.data[at].0);
        for piece in 1..self.pieces {
            total = s.add(total, s.read(&self.data[piece * size + at].0));
        }
        total
    }
}

/// Computes the partial sums.
pub(crate) fn run<E: Element>(level: Level, outer: &Outer<'_, E>) -> Partial {
    let mut partial = Partial::new(outer);
    partial.add(level, outer);
    partial
}

impl Partial {
    /// Sums in the shape for `outer`, to which [`add`](Self::add) gives their first values.
    pub(crate) fn new<E: Element>(outer: &Outer<'_, E>) -> Self {
        let width = outer.columns.next_multiple_of(LANES);
        let pieces = outer.pixels.div_ceil(PIECE).clamp(1, MAX_PIECES);
        let data = Lines::new(pieces * outer.taps * outer.rows * width);
        Self { data, is_new: true, pieces, taps: outer.taps, rows: outer.rows, width }
    }

    /// Adds the sums of `outer`, which has the same taps, rows and columns as before.
    pub(crate) fn add<E: Element>(&mut self, level: Level, outer: &Outer<'_, E>) {
        assert_eq!((outer.taps, outer.rows), (self.taps, self.rows), "shape of the sums");
        assert_eq!(outer.columns.next_multiple_of(LANES), self.width, "shape of the sums");
        let size = self.taps * self.rows * self.width;
        // If there are few pieces, several jobs share the taps and rows of a piece; each sum is still computed by one job.
        let wanted = (MAX_PIECES / self.pieces).max(1);
        let tap_parts = if outer.taps > 1 { wanted.min(outer.taps) } else { 1 };
        let row_parts = (wanted / tap_parts).clamp(1, outer.rows.div_ceil(ROWS));
        let (pieces, width) = (self.pieces, self.width);
        let blocks = outer.pixels.div_ceil(block_pixels::<E>());
        let is_new = std::mem::replace(&mut self.is_new, false);
        let shared = SharedMut::new(&mut self.data);
        for_each_job(pieces * tap_parts * row_parts, outer.pixels * size, |job| {
            let (piece, part) = (job / (tap_parts * row_parts), job % (tap_parts * row_parts));
            let (tap, row) = (part / row_parts, part % row_parts);
            let tiles = cut(outer.rows.div_ceil(ROWS), row_parts, row);
            let job = Job {
                outer,
                blocks: cut(blocks, pieces, piece),
                taps: cut(outer.taps, tap_parts, tap),
                rows: ROWS * tiles.start..outer.rows.min(ROWS * tiles.end),
                width,
                is_new,
                // SAFETY: the piece lies inside the buffer.
                out: unsafe { shared.get().cast::<f32>().add(piece * size) },
                _buffer: shared,
            };
            dispatch::<E, _>(level, job);
        });
    }
}

/// Part `i` of `n` of `0..len`.
fn cut(len: usize, n: usize, i: usize) -> Range<usize> {
    i * len / n..(i + 1) * len / n
}

struct Job<'a, E> {
    outer: &'a Outer<'a, E>,
    blocks: Range<usize>,
    taps: Range<usize>,
    rows: Range<usize>,
    width: usize,
    /// Whether the first block replaces the values of the sums.
    is_new: bool,
    /// The partial sums of the piece; only this job touches the sums of its taps and rows.
    out: *mut f32,
    _buffer: SharedMut<'a, Line>,
}

impl<E: Element> Kernel for Job<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let outer = self.outer;
        let mut scratch = Scratch::default();
        let mut pairs = Vec::with_capacity(block_pixels::<E>());
        if self.is_new && self.blocks.is_empty() {
            self.taps.clone().for_each(|tap| self.clear(s, tap));
        }
        for block in self.blocks.clone() {
            let is_first = self.is_new && block == self.blocks.start;
            let size = block_pixels::<E>();
            let pixels = block * size..outer.pixels.min((block + 1) * size);
            if matches!(outer.pairs, Pairs::Own) && !E::IS_PAIRED && outer.columns == self.width {
                // All taps have the same list, and begin at other pixels.
                pairs.clear();
                pairs.extend((0..pixels.len()).map(|pixel| [pixel * outer.a_stride, pixel * outer.b_stride]));
                for tap in self.taps.clone() {
                    let first = tap * outer.pixels + pixels.start;
                    check(outer, &[[first + pixels.len() - 1; 2]]);
                    let a = outer.a.as_ptr().wrapping_add(first * outer.a_stride);
                    let b = outer.b.as_ptr().wrapping_add(first * outer.b_stride);
                    self.tap(s, tap, is_first, &pairs, a.cast(), b.cast());
                }
                continue;
            }
            for tap in self.taps.clone() {
                pairs.clear();
                match outer.pairs {
                    Pairs::Listed(list) => list(tap, pixels.clone(), &mut pairs),
                    Pairs::Own => pairs.extend(pixels.clone().map(|pixel| [tap * outer.pixels + pixel; 2])),
                }
                check(outer, &pairs);
                let (a, b) = if E::IS_PAIRED {
                    scratch.interleave(outer, &mut pairs, self.width)
                } else if outer.columns == self.width {
                    for pair in &mut pairs {
                        *pair = [pair[0] * outer.a_stride, pair[1] * outer.b_stride];
                    }
                    (outer.a.as_ptr().cast(), outer.b.as_ptr().cast())
                } else {
                    scratch.fill_up(outer, &mut pairs, self.width)
                };
                self.tap(s, tap, is_first, &pairs, a, b);
            }
        }
    }
}

/// Checks, once per list, that every pair lies inside both tensors.
fn check<E>(outer: &Outer<'_, E>, pairs: &[[usize; 2]]) {
    let (mut a, mut b) = (0, 0);
    for &[p, q] in pairs {
        a = a.max(if p == OUTSIDE { 0 } else { p });
        b = b.max(if q == OUTSIDE { 0 } else { q });
    }
    assert!(pairs.is_empty() || a * outer.a_stride + outer.rows <= outer.a.len(), "pixel outside the left tensor");
    assert!(pairs.is_empty() || b * outer.b_stride + outer.columns <= outer.b.len(), "pixel outside the right tensor");
}

/// Copies of the operands of a block, for operands that cannot be read in place.
#[derive(Default)]
struct Scratch {
    a: Woven,
    b: Woven,
}

/// A copied operand of a block, and the pixels from which it was made.
#[derive(Default)]
struct Woven {
    data: Vec<Line>,
    pixels: Vec<usize>,
}

impl Scratch {
    /// Copies the pixels of `b` to rows of whole vectors and replaces pixels with offsets.
    #[inline(always)]
    fn fill_up<E: Element>(
        &mut self,
        outer: &Outer<'_, E>,
        pairs: &mut [[usize; 2]],
        width: usize,
    ) -> (*const f32, *const f32) {
        let strips = width / LANES;
        self.b.data.resize(pairs.len() * strips, Line([0.0; LANES]));
        for (row, pair) in pairs.iter_mut().enumerate() {
            let from = &outer.b[pair[1] * outer.b_stride..][..outer.columns];
            for (line, part) in self.b.data[row * strips..(row + 1) * strips].iter_mut().zip(from.chunks(LANES)) {
                for (to, from) in line.0.iter_mut().zip(part) {
                    *to = from.to_f32();
                }
            }
            *pair = [pair[0] * outer.a_stride, row * width];
        }
        (outer.a.as_ptr().cast(), self.b.data.as_ptr().cast())
    }

    /// Copies two pixels at a time into the halves of 32 bits, and keeps one pair of offsets for both.
    #[inline(always)]
    fn interleave<E: Element>(
        &mut self,
        outer: &Outer<'_, E>,
        pairs: &mut Vec<[usize; 2]>,
        width: usize,
    ) -> (*const f32, *const f32) {
        let rows = outer.rows.next_multiple_of(LANES);
        self.a.weave(outer.a, outer.a_stride, outer.rows, pairs.iter().map(|pair| pair[0]));
        self.b.weave(outer.b, outer.b_stride, outer.columns, pairs.iter().map(|pair| pair[1]));
        let count = pairs.len().div_ceil(2);
        pairs.truncate(count);
        for (row, pair) in pairs.iter_mut().enumerate() {
            *pair = [row * rows, row * width];
        }
        (self.a.data.as_ptr().cast(), self.b.data.as_ptr().cast())
    }
}

impl Woven {
    /// Interleaves `len` values of each two neighbouring pixels, unless the last call had the same pixels.
    #[inline(always)]
    fn weave<E: Element>(&mut self, x: &[E], stride: usize, len: usize, pixels: impl Iterator<Item = usize> + Clone) {
        if self.pixels.iter().copied().eq(pixels.clone()) {
            return;
        }
        self.pixels.clear();
        self.pixels.extend(pixels);
        let strips = len.div_ceil(LANES);
        self.data.resize(self.pixels.len().div_ceil(2) * strips, Line([0.0; LANES]));
        let zeros = vec![E::default(); len];
        let values = |pixel: usize| if pixel == OUTSIDE { &zeros[..] } else { &x[pixel * stride..][..len] };
        for (two, out) in self.pixels.chunks(2).zip(self.data.chunks_exact_mut(strips)) {
            weave_two(values(two[0]), values(*two.get(1).unwrap_or(&OUTSIDE)), out);
        }
    }
}

/// Writes the values of one pixel to the lower halves and those of the other pixel to the upper halves.
#[inline(always)]
fn weave_two<E: Element>(low: &[E], high: &[E], out: &mut [Line]) {
    let unit = |low: E, high: E| f32::from_bits(low.to_f32().to_bits() >> 16 | (high.to_f32().to_bits() & 0xffff_0000));
    let (low, low_rest) = low.as_chunks::<LANES>();
    let (high, high_rest) = high.as_chunks::<LANES>();
    for ((low, high), line) in low.iter().zip(high).zip(&mut *out) {
        // Copied, so that the compiler sees sixteen independent lanes.
        let (low, high) = (*low, *high);
        line.0 = std::array::from_fn(|i| unit(low[i], high[i]));
    }
    if let Some(line) = out.get_mut(low.len()) {
        for (to, (low, high)) in line.0.iter_mut().zip(low_rest.iter().zip(high_rest)) {
            *to = unit(*low, *high);
        }
    }
}

impl<E: Element> Job<'_, E> {
    /// Sets the sums of one tap to zero.
    #[inline(always)]
    fn clear<S: Simd>(&self, s: S, tap: usize) {
        for row in self.rows.clone() {
            for column in (0..self.width).step_by(LANES) {
                // SAFETY: the tap's rows of the job lie inside the piece.
                unsafe { s.store(self.out.add((tap * self.outer.rows + row) * self.width + column), s.splat(0.0)) };
            }
        }
    }

    /// Adds the products of the pairs of one tap to the rows of the job, or to zero.
    #[inline(always)]
    fn tap<S: Simd>(&self, s: S, tap: usize, is_first: bool, pairs: &[[usize; 2]], a: *const f32, b: *const f32) {
        if pairs.is_empty() {
            if is_first {
                self.clear(s, tap);
            }
            return;
        }
        let strips = self.width / LANES;
        let step = if S::WIDE { 2 } else { 1 };
        let mut strip = 0;
        while strip < strips {
            let n = step.min(strips - strip);
            let mut row = self.rows.start;
            while row < self.rows.end {
                let left = self.rows.end - row;
                // SAFETY: `check` found every pair inside both tensors; the sums of the tap's rows from `row` on and of
                // the strips from `strip` on lie inside the piece.
                unsafe {
                    let a = a.add(row);
                    let b = b.add(strip * LANES);
                    let out = self.out.add((tap * self.outer.rows + row) * self.width + strip * LANES);
                    row += match (n, left) {
                        (2, 8..) => add::<E, S, 8, 2>(s, pairs, a, b, out, self.width, is_first),
                        (2, 4..) => add::<E, S, 4, 2>(s, pairs, a, b, out, self.width, is_first),
                        (2, 2..) => add::<E, S, 2, 2>(s, pairs, a, b, out, self.width, is_first),
                        (2, _) => add::<E, S, 1, 2>(s, pairs, a, b, out, self.width, is_first),
                        (_, 8..) if S::WIDE => add::<E, S, 8, 1>(s, pairs, a, b, out, self.width, is_first),
                        (_, 4..) if S::ROWS >= 4 => add::<E, S, 4, 1>(s, pairs, a, b, out, self.width, is_first),
                        (_, 2..) => add::<E, S, 2, 1>(s, pairs, a, b, out, self.width, is_first),
                        _ => add::<E, S, 1, 1>(s, pairs, a, b, out, self.width, is_first),
                    };
                }
            }
            strip += n;
        }
    }
}

/// out[m][n] += sum over the pairs of a[m] b[n], where `out` counts as zero if nothing was added yet; returns M.
///
/// # Safety
/// M values of `a` and N strips of `b` are readable at every pair's offsets; `out` is valid for M rows of N strips, `width`
/// values apart.
#[inline(always)]
unsafe fn add<E: Element, S: Simd, const M: usize, const N: usize>(
    s: S,
    pairs: &[[usize; 2]],
    a: *const f32,
    b: *const f32,
    out: *mut f32,
    width: usize,
    is_first: bool,
) -> usize {
    let mut acc = [[s.splat(0.0); N]; M];
    for pair in pairs {
        // SAFETY: the caller guarantees every pair.
        unsafe {
            let (a, b) = (a.add(pair[0]), b.add(pair[1]));
            let mut row = [s.splat(0.0); N];
            for n in 0..N {
                row[n] = s.load(b.add(n * LANES));
            }
            for m in 0..M {
                let v = s.splat(*a.add(m));
                for n in 0..N {
                    acc[m][n] = multiply_add::<E, S>(s, row[n], v, acc[m][n]);
                }
            }
        }
    }
    for m in 0..M {
        for n in 0..N {
            // SAFETY: the caller guarantees the M rows of N strips.
            unsafe {
                let p = out.add(m * width + n * LANES);
                let before = if is_first { s.splat(0.0) } else { s.load(p) };
                s.store(p, s.add(before, acc[m][n]));
            }
        }
    }
    M
}
