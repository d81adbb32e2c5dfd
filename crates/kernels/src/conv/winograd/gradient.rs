//! The gradient of the weights by Winograd's method: dw = G^T (sum over tiles of (B^T d B) x (A dy A^T)) G.

use super::transform::{IN, Image, OUT, POINTS, output_back_1d, transform, weights_back_1d, write};
use crate::conv::Conv2d;
use crate::element::Element;
use crate::lines::{Line, lines};
use crate::outer::{Outer, Pairs, Partial};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};
use crate::transpose;
use std::cell::Cell;
use std::ops::Range;

/// The largest size in bytes of the transformed values, so that they stay in the caches, and the smallest number of tiles, which
/// takes precedence, so that sums stay in registers for long. Both depend only on the shape, and so does the order of the sums.
const CHUNK_BYTES: usize = 2 << 20;
const MIN_TILES: usize = 128;

/// Tiles per job of the transforms.
const JOB: usize = 8;

thread_local! {
    /// Buffers for transformed values, reused by later calls.
    static SCRATCH: Cell<[Vec<Line>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
}

/// dw `[out, in, 3, 3]` from x and dy.
pub(super) fn weights<E: Element>(level: Level, conv: &Conv2d, x: &[E], dy: &[f32], dw: &mut [f32]) {
    let image = conv.image();
    let (ci, co) = (conv.in_channels, conv.out_channels);
    let width = co.next_multiple_of(LANES);
    let tiles = image.batch * image.tiles()[0] * image.tiles()[1];
    let chunk = (CHUNK_BYTES / (4 * POINTS * (ci + width))).max(MIN_TILES).clamp(1, tiles.max(1));
    let [mut values, mut slopes] = SCRATCH.take();
    for (buffer, len) in [(&mut values, POINTS * chunk * ci), (&mut slopes, POINTS * chunk * width)] {
        if buffer.len() < len.div_ceil(LANES) {
            *buffer = lines(len);
        }
    }
    let mut partial = None;
    for first in (0..tiles).step_by(chunk) {
        let count = chunk.min(tiles - first);
        // SAFETY: `Line` is sixteen `f32` without gaps, and the buffers hold this many of them.
        let (a, b) = unsafe {
            (
                std::slice::from_raw_parts_mut(values.as_mut_ptr().cast::<f32>(), POINTS * count * ci),
                std::slice::from_raw_parts_mut(slopes.as_mut_ptr().cast::<f32>(), POINTS * count * width),
            )
        };
        transform_tiles(level, image, (x, dy), [ci, co], first..first + count, [&mut *a, &mut *b]);
        let outer = Outer {
            a,
            a_stride: ci,
            rows: ci,
            b,
            b_stride: width,
            columns: width,
            pixels: count,
            taps: POINTS,
            pairs: Pairs::Own,
        };
        partial.get_or_insert_with(|| Partial::new(&outer)).add(level, &outer);
    }
    SCRATCH.set([values, slopes]);
    match partial {
        Some(partial) => transform_back(level, &partial, ci, co, dw),
        None => dw.fill(0.0),
    }
}

/// B^T d B and A dy A^T of a range of tiles, point by point.
fn transform_tiles<E: Element>(
    level: Level,
    image: Image,
    from: (&[E], &[f32]),
    channels: [usize; 2],
    tiles: Range<usize>,
    to: [&mut [f32]; 2],
) {
    let work = 8 * tiles.len() * POINTS * (channels[0] + channels[1]);
    let to = to.map(SharedMut::new);
    for_each_job(tiles.len().div_ceil(JOB), work, |job| {
        let rows = job * JOB..tiles.len().min((job + 1) * JOB);
        level.dispatch(Transforms { image, from, channels, first: tiles.start, count: tiles.len(), rows, to });
    });
}

struct Transforms<'a, E> {
    image: Image,
    from: (&'a [E], &'a [f32]),
    channels: [usize; 2],
    /// The tile of row 0, the number of rows, and the rows of this job.
    first: usize,
    count: usize,
    rows: Range<usize>,
    to: [SharedMut<'a, f32>; 2],
}

impl<E: Element> Kernel for Transforms<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [ci, co] = self.channels;
        let width = co.next_multiple_of(LANES);
        for row in self.rows {
            let tile = self.first + row;
            let (corner, place) = (self.image.corner(tile), self.image.place(tile));
            for first in (0..ci).step_by(LANES) {
                let lanes = LANES.min(ci - first);
                self.image.transform(s, self.from.0, ci, corner, first, |point, v| {
                    // SAFETY: each job has its own rows, which lie inside the buffer.
                    unsafe { write(s, self.to[0].get().add((point * self.count + row) * ci + first), v, lanes) };
                });
            }
            for first in (0..co).step_by(LANES) {
                slopes(s, &self.image, self.from.1, co, place, first, |point, v| {
                    // SAFETY: each job has its own rows, which lie inside the buffer and have a width of whole vectors.
                    unsafe { s.store(self.to[1].get().add((point * self.count + row) * width + first), v) };
                });
            }
        }
    }
}

/// A dy A^T of one tile and of up to sixteen channels.
#[inline(always)]
fn slopes<S: Simd>(
    s: S,
    image: &Image,
    dy: &[f32],
    channels: usize,
    [sample, row, column]: [usize; 3],
    first: usize,
    mut store: impl FnMut(usize, S::V),
) {
    let [height, width] = image.output;
    let last = channels.min(first + LANES);
    let corner = ((sample * height + row) * width + column) * channels + first;
    if row + OUT <= height && column + OUT <= width && last - first == LANES {
        assert!(corner + (OUT - 1) * (width + 1) * channels + LANES <= dy.len(), "tile outside the gradient");
        // SAFETY: the assertion covers the last pixel.
        let pixel = |r: usize, c: usize| unsafe { s.load(dy.as_ptr().add(corner + (r * width + c) * channels)) };
        transform!(s, pixel, store, output_back_1d, [0, 1, 2, 3], [0, 1, 2, 3]);
    } else {
        let mut y = [[s.splat(0.0); OUT]; OUT];
        for (r, y) in y.iter_mut().enumerate().take(height - row) {
            for (c, y) in y.iter_mut().enumerate().take(width - column) {
                let at = corner + (r * width + c) * channels;
                *y = s.read(&dy[at..at + last - first]);
            }
        }
        transform!(s, |r: usize, c: usize| y[r][c], store, output_back_1d, [0, 1, 2, 3], [0, 1, 2, 3]);
    }
}

/// G^T u G, written in the order of the weights, in blocks that stay in the L1 cache.
fn transform_back(level: Level, partial: &Partial, ci: usize, co: usize, dw: &mut [f32]) {
    let strips = co.div_ceil(LANES);
    let dw = SharedMut::new(dw);
    for_each_job(ci.div_ceil(LANES) * strips, 4 * POINTS * ci * co, |job| {
        let (block, strip) = (job / strips, job % strips);
        let inputs = block * LANES..ci.min((block + 1) * LANES);
        level.dispatch(Back { partial, channels: [ci, co], inputs, strip, dw });
    });
}

/// The weights of up to sixteen input channels and of one strip of output channels.
struct Back<'a> {
    partial: &'a Partial,
    channels: [usize; 2],
    inputs: Range<usize>,
    strip: usize,
    dw: SharedMut<'a, f32>,
}

impl Kernel for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut lines = [Line::ZERO; 9 * LANES];
        for (i, lines) in self.inputs.clone().zip(lines.chunks_exact_mut(9)) {
            let mut columns = [[s.splat(0.0); IN]; 3];
            for c in 0..IN {
                let mut u = [s.splat(0.0); IN];
                for r in 0..IN {
                    u[r] = self.partial.vector(s, r * IN + c, i, self.strip);
                }
                let turned = weights_back_1d(s, u);
                for r in 0..3 {
                    columns[r][c] = turned[r];
                }
            }
            for r in 0..3 {
                let turned = weights_back_1d(s, columns[r]);
                for c in 0..3 {
                    s.write(&mut lines[3 * r + c].0, turned[c]);
                }
            }
        }
        let ([ci, co], first) = (self.channels, self.strip * LANES);
        let lines = &lines[..9 * self.inputs.len()];
        let to = self.dw.get().wrapping_add((first * ci + self.inputs.start) * 9);
        // SAFETY: the channels lie inside dw, whose length was checked, and each job has its own.
        unsafe { transpose::to_rows(s, lines, to, 9 * ci, LANES.min(co - first)) };
    }
}
