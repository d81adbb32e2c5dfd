//! Exchanges the two directions of blocks of sixteen rows, between tensors and vectors.

use crate::lines::Line;
use crate::simd::{LANES, Simd};

/// Fills `lines[c]` with the values `c` of `rows` rows that are `stride` values apart; lanes without a row are zero.
///
/// # Safety
/// Every row is valid for reading `lines.len()` values, and there are at most 16 rows.
#[inline(always)]
pub(crate) unsafe fn from_rows<S: Simd>(s: S, from: *const f32, stride: usize, rows: usize, lines: &mut [Line]) {
    for (block, lines) in lines.chunks_mut(LANES).enumerate() {
        let from = from.wrapping_add(block * LANES);
        let mut v = [s.splat(0.0); LANES];
        if rows == LANES && lines.len() == LANES {
            for r in 0..LANES {
                // SAFETY: the caller guarantees the values of the row.
                v[r] = unsafe { s.load(from.add(r * stride)) };
            }
        } else {
            for r in 0..LANES {
                if r < rows {
                    // SAFETY: the caller guarantees the values of the row.
                    v[r] = unsafe { s.load_partial(from.add(r * stride), lines.len()) };
                }
            }
        }
        let turned = s.transpose(v);
        for c in 0..LANES {
            if c < lines.len() {
                s.write(&mut lines[c].0, turned[c]);
            }
        }
    }
}

/// Writes lane `r` of `lines[c]` to value `c` of row `r`, for `rows` rows that are `stride` values apart.
///
/// # Safety
/// Every row is valid for writing `lines.len()` values, and there are at most 16 rows.
#[inline(always)]
pub(crate) unsafe fn to_rows<S: Simd>(s: S, lines: &[Line], to: *mut f32, stride: usize, rows: usize) {
    for (block, lines) in lines.chunks(LANES).enumerate() {
        let mut v = [s.splat(0.0); LANES];
        for c in 0..LANES {
            if c < lines.len() {
                v[c] = s.read(&lines[c].0);
            }
        }
        let turned = s.transpose(v);
        for r in 0..LANES {
            if r < rows {
                // SAFETY: the caller guarantees the values of the row.
                unsafe {
                    let to = to.add(r * stride + block * LANES);
                    if lines.len() == LANES {
                        s.store(to, turned[r]);
                    } else {
                        s.store_partial(to, turned[r], lines.len());
                    }
                }
            }
        }
    }
}
