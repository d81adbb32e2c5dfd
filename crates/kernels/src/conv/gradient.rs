//! The gradient of a convolution's weights.

use super::Conv2d;
use crate::element::Element;
use crate::lines::Line;
use crate::outer::{self, OUTSIDE, Outer, Pairs, Partial};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};
use crate::transpose;
use std::ops::Range;

/// The largest number of weights between two channels.
const MAX_TAPS: usize = 9;

/// Lists the (input pixel, output pixel) pairs that a tap connects, for a range of pixels. Pairs whose input pixel is outside
/// the image are listed only if the flag is set.
type Join<'a> = dyn Fn(usize, Range<usize>, bool, &mut Vec<[usize; 2]>) + Sync + 'a;

/// How the gradient of the weights is made from the sums over pixels.
pub(super) struct Reduction<'a> {
    /// The number of pixels in the sums, and the number of taps that have sums.
    pub(super) pixels: usize,
    pub(super) taps: usize,
    pub(super) join: &'a Join<'a>,
    /// For each position of the kernel, the taps whose sums are added.
    pub(super) parts: Vec<Vec<usize>>,
    /// The channels of the weights.
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
}

/// Computes the part of dw `[out, in, kernel, kernel]` for some input channels from dy and from x, which contains only those
/// channels.
pub(super) fn weights<E: Element>(
    level: Level,
    reduction: &Reduction<'_>,
    x: &[E],
    channels: Range<usize>,
    dy: &[E],
    dw: &mut [f32],
) {
    let (ci, co) = (channels.len(), reduction.out_channels);
    // Vectors run along the output channels, unless these do not fill a vector and there are more input channels.
    let is_swapped = co < LANES && ci > co;
    let joined = |tap: usize, range: Range<usize>, pairs: &mut Vec<[usize; 2]>| {
        (reduction.join)(tap, range, E::IS_PAIRED, pairs);
        if is_swapped {
            for pair in pairs {
                pair.swap(0, 1);
            }
        }
    };
    let (a, rows, b, columns) = if is_swapped { (dy, co, x, ci) } else { (x, ci, dy, co) };
    let (pixels, taps) = (reduction.pixels, reduction.taps);
    let outer =
        Outer { a, a_stride: rows, rows, b, b_stride: columns, columns, pixels, taps, pairs: Pairs::Listed(&joined) };
    scatter(level, &outer::run(level, &outer), reduction, channels, is_swapped, dw);
}

/// Lists the pairs of a convolution's tap, for a range of output pixels.
pub(super) fn join(conv: &Conv2d, tap: usize, range: Range<usize>, is_complete: bool, pairs: &mut Vec<[usize; 2]>) {
    let (height, width) = (conv.out_height(), conv.out_width());
    let row = (tap / conv.kernel) as isize - conv.padding[0] as isize;
    let column = (tap % conv.kernel) as isize - conv.padding[2] as isize;
    // The output columns for which the tap is inside the image.
    let low = (-column).max(0) as usize;
    let high = (conv.width as isize - column).max(0) as usize;
    let inside = low.div_ceil(conv.stride)..high.div_ceil(conv.stride).min(width);
    let mut pixel = range.start;
    while pixel < range.end {
        let (sample, y, first) = (pixel / (height * width), pixel / width % height, pixel % width);
        let last = width.min(first + range.end - pixel);
        let row_start = pixel - first;
        let outside = |columns: Range<usize>| columns.map(move |x| [OUTSIDE, row_start + x]);
        let input_row = (y * conv.stride) as isize + row;
        let is_row_inside = (0..conv.height as isize).contains(&input_row);
        let from = inside.start.clamp(first, last);
        let to = if is_row_inside { inside.end.clamp(from, last) } else { from };
        if is_complete {
            pairs.extend(outside(first..from));
        }
        let start = ((sample * conv.height) as isize + input_row) * conv.width as isize + column;
        for x in from..to {
            pairs.push([(start + (x * conv.stride) as isize) as usize, row_start + x]);
        }
        if is_complete {
            pairs.extend(outside(to..last));
        }
        pixel += last - first;
    }
}

/// Adds the pieces and writes the sums in the order of the weights, in blocks that stay in the L1 cache.
fn scatter(
    level: Level,
    partial: &Partial,
    reduction: &Reduction<'_>,
    channels: Range<usize>,
    is_swapped: bool,
    dw: &mut [f32],
) {
    let (rows, columns) =
        if is_swapped { (reduction.out_channels, channels.len()) } else { (channels.len(), reduction.out_channels) };
    let (row_blocks, strips) = (rows.div_ceil(LANES), columns.div_ceil(LANES));
    assert_eq!(
        dw.len(),
        reduction.out_channels * reduction.in_channels * reduction.parts.len(),
        "length of the gradient"
    );
    let dw = SharedMut::new(dw);
    for_each_job(row_blocks * strips, 4 * reduction.parts.len() * rows * columns, |job| {
        let (block, strip) = (job / strips, job % strips);
        let rows = block * LANES..rows.min((block + 1) * LANES);
        let lanes = LANES.min(columns - strip * LANES);
        let first = channels.start;
        level.dispatch(Scatter { partial, reduction, first, is_swapped, rows, strip, lanes, dw });
    });
}

/// Writes up to sixteen rows of one strip of the sums.
struct Scatter<'a> {
    partial: &'a Partial,
    reduction: &'a Reduction<'a>,
    /// The first input channel.
    first: usize,
    is_swapped: bool,
    rows: Range<usize>,
    strip: usize,
    lanes: usize,
    dw: SharedMut<'a, f32>,
}

impl Kernel for Scatter<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (taps, ci, strip) = (self.reduction.parts.len(), self.reduction.in_channels, self.strip);
        let mut lines = [Line::ZERO; LANES * MAX_TAPS];
        for (row, lines) in self.rows.clone().zip(lines.chunks_mut(taps)) {
            for (parts, line) in self.reduction.parts.iter().zip(lines) {
                let mut total = self.partial.vector(s, parts[0], row, strip);
                for part in &parts[1..] {
                    total = s.add(total, self.partial.vector(s, *part, row, strip));
                }
                s.write(&mut line.0, total);
            }
        }
        let at = |o: usize, i: usize| self.dw.get().wrapping_add((o * ci + self.first + i) * taps);
        // SAFETY: the channels lie inside dw, and each job has its own rows or columns.
        unsafe {
            if self.is_swapped {
                for (o, lines) in self.rows.zip(lines.chunks(taps)) {
                    transpose::to_rows(s, lines, at(o, strip * LANES), taps, self.lanes);
                }
            } else {
                let lines = &lines[..self.rows.len() * taps];
                transpose::to_rows(s, lines, at(strip * LANES, self.rows.start), ci * taps, self.lanes);
            }
        }
    }
}
