//! The exponential function and functions that use it, sixteen lanes at a time.

use crate::simd::{ROUND, Simd};

/// e^x with a relative error of about 1e-7, for x in [-87, 88]; outside this range, the value at the nearer end.
///
/// x = n ln 2 + r with an integer n and |r| <= ln 2 / 2; e^r is its Taylor series up to the seventh power, whose remainder is
/// below 6e-9.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    // ln 2 in two parts: the first has so few bits that its product with n is exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let x = s.min(s.splat(88.0), s.max(s.splat(-87.0), x));
    let round = s.splat(ROUND);
    let n = s.sub(s.add(s.mul(x, s.splat(std::f32::consts::LOG2_E)), round), round);
    let r = s.fma(n, s.splat(-HIGH), x);
    let r = s.fma(n, s.splat(-LOW), r);
    let mut p = s.splat(1.0 / 5040.0);
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = s.fma(p, r, s.splat(c));
    }
    s.mul(p, s.pow2(n))
}

/// x / (1 + e^-x).
#[inline(always)]
pub(crate) fn silu<S: Simd>(s: S, x: S::V) -> S::V {
    s.div(x, s.add(s.splat(1.0), exp(s, s.sub(s.splat(0.0), x))))
}

/// The derivative of silu: g (1 + x (1 - g)) with g = 1 / (1 + e) and 1 - g = e g, where e = e^-x.
#[inline(always)]
pub(crate) fn silu_slope<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    let e = exp(s, s.sub(s.splat(0.0), x));
    let g = s.div(one, s.add(one, e));
    s.mul(g, s.fma(x, s.mul(e, g), one))
}
