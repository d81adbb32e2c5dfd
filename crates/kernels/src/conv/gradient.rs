//! The gradient of a convolution's weights.

use super::Conv2d;
use crate::element::Element;
use crate::outer::{self, OUTSIDE, Outer, Partial};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{LANES, Level};
use std::ops::Range;

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
    let outer = Outer { a, a_stride: rows, rows, b, b_stride: columns, columns, pixels, taps, pairs: &joined };
    scatter(&outer::run(level, &outer), reduction, channels, is_swapped, dw);
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
fn scatter(partial: &Partial, reduction: &Reduction<'_>, channels: Range<usize>, is_swapped: bool, dw: &mut [f32]) {
    let (taps, ci, co) = (reduction.parts.len(), reduction.in_channels, reduction.out_channels);
    let (rows, columns) = if is_swapped { (co, channels.len()) } else { (channels.len(), co) };
    let (row_blocks, strips) = (rows.div_ceil(LANES), columns.div_ceil(LANES));
    let shared = SharedMut::new(dw);
    for_each_job(row_blocks * strips, 4 * taps * rows * columns, |job| {
        let (block, strip) = (job / strips, job % strips);
        for row in block * LANES..rows.min((block + 1) * LANES) {
            for (tap, parts) in reduction.parts.iter().enumerate() {
                let mut total = partial.total(parts[0], row, strip);
                for part in &parts[1..] {
                    for (sum, value) in total.iter_mut().zip(partial.total(*part, row, strip)) {
                        *sum += value;
                    }
                }
                for (lane, value) in total.iter().enumerate().take(columns - strip * LANES) {
                    let column = strip * LANES + lane;
                    let (o, i) = if is_swapped { (row, column) } else { (column, row) };
                    let at = (o * ci + channels.start + i) * taps + tap;
                    // SAFETY: o, i and tap lie inside dw, and each job has its own rows or columns.
                    unsafe { *shared.get().add(at) = *value };
                }
            }
        }
    });
}
