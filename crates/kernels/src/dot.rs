//! The kernel for at most four output channels: vectors run along the input channels, and the lanes are added at the end.

use crate::element::{Element, multiply_add};
use crate::panel::DOT_MAX;
use crate::shared::SharedMut;
use crate::simd::{LANES, Simd};
use crate::tile::Problem;
use crate::walk::{MAX_TAPS, Target, Walk};
use std::ops::Range;

/// The number of pixels that share each load of the weights.
const ROWS: usize = 4;

/// Computes the pixels of a job.
#[inline(always)]
pub(crate) fn run<E: Element, S: Simd>(
    s: S,
    walk: &Walk<'_>,
    problem: &Problem<'_>,
    pixels: Range<usize>,
    y: SharedMut<'_, f32>,
) {
    match problem.packed.out_channels {
        1 => rows::<E, S, 1>(s, walk, problem, pixels, y),
        2 => rows::<E, S, 2>(s, walk, problem, pixels, y),
        3 => rows::<E, S, 3>(s, walk, problem, pixels, y),
        DOT_MAX => rows::<E, S, DOT_MAX>(s, walk, problem, pixels, y),
        other => unreachable!("this kernel does not support {other} output channels"),
    }
}

#[inline(always)]
fn rows<E: Element, S: Simd, const O: usize>(
    s: S,
    walk: &Walk<'_>,
    problem: &Problem<'_>,
    pixels: Range<usize>,
    y: SharedMut<'_, f32>,
) {
    let taps = walk.taps();
    let mut place = walk.place(pixels.start);
    let mut pixel = pixels.start;
    let mut table = [[std::ptr::null(); ROWS]; MAX_TAPS];
    while pixel < pixels.end {
        let valid = ROWS.min(pixels.end - pixel);
        let out = walk.tile(&mut place, valid, 0..taps, &mut table);
        let sums = sums::<E, S, O>(s, walk, problem, &table);
        for (m, &Target { sample, at }) in out[..valid].iter().enumerate() {
            for o in 0..O {
                let mut v = s.sum(sums[m][o]);
                let epilogue = &problem.epilogue;
                if let Some(bias) = epilogue.bias {
                    v += bias[o];
                }
                if let Some(bias) = epilogue.sample_bias {
                    v += bias[sample * O + o];
                }
                if let Some(residual) = epilogue.residual {
                    v += residual[at + o];
                }
                // SAFETY: the pixel lies inside the output and belongs only to this job.
                unsafe {
                    let y = y.get().add(at + o);
                    *y = if epilogue.accumulate { *y + v } else { v };
                }
            }
        }
        pixel += valid;
    }
}

/// Lane-wise sums of a tile.
#[inline(always)]
fn sums<E: Element, S: Simd, const O: usize>(
    s: S,
    walk: &Walk<'_>,
    problem: &Problem<'_>,
    table: &[[*const f32; ROWS]; MAX_TAPS],
) -> [[S::V; O]; ROWS] {
    let packed = problem.packed;
    let padded = packed.in_units.next_multiple_of(LANES);
    let sources = problem.sources;
    let mut sums = [[s.splat(0.0); O]; ROWS];
    for t in 0..walk.taps() {
        for (q, source) in sources.iter().enumerate() {
            let x = &table[t * sources.len() + q];
            let mut k = 0;
            while k < source.channels {
                let lanes = LANES.min(source.channels - k);
                let at = walk.weight(t) * padded + source.first + k;
                // SAFETY: `lanes` values of the pixel remain. The rows of the weights are padded to a multiple of 16, and
                // only `lanes` values of them are read.
                unsafe {
                    let mut w = [s.splat(0.0); O];
                    for o in 0..O {
                        w[o] = s.load_partial(packed.as_ptr().add(o * packed.taps * padded + at), lanes);
                    }
                    for m in 0..ROWS {
                        let v = s.load_partial(x[m].add(k), lanes);
                        for o in 0..O {
                            sums[m][o] = multiply_add::<E, S>(s, v, w[o], sums[m][o]);
                        }
                    }
                }
                k += LANES;
            }
        }
    }
    sums
}
