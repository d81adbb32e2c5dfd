//! The arithmetic peak of this machine, measured: what shares of peak refer to.

use crate::simd::{Kernel, Level, Simd};
use rayon::prelude::*;
use std::time::Instant;

/// Multiply-add chains in flight: enough to hide the latency of two units.
const CHAINS: usize = 12;

/// Rounds of a measurement, about a millisecond.
const ROUNDS: usize = 200_000;

/// Floating-point operations a second of fused multiply-adds in registers on every thread of the pool, the best of ten runs.
pub fn f32_flops(level: Level) -> f64 {
    let threads = rayon::current_num_threads();
    let flops = (threads * ROUNDS * CHAINS * 16 * 2) as f64;
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        let sum: f32 = (0..threads).into_par_iter().with_max_len(1).map(|_| level.dispatch(Chains)).sum();
        std::hint::black_box(sum);
        best = best.min(start.elapsed().as_secs_f64());
    }
    flops / best
}

struct Chains;

impl Kernel for Chains {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let factor = s.splat(std::hint::black_box(0.999));
        let term = s.splat(std::hint::black_box(1e-3));
        let mut chains = [s.splat(std::hint::black_box(0.5)); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = s.fma(*chain, factor, term);
            }
        }
        let mut sum = 0.0;
        for chain in chains {
            sum += s.sum(chain);
        }
        sum
    }
}
