//! Measures the arithmetic peak of this machine, to which shares of the peak refer.

use crate::element::{Bf16, Element, dispatch, multiply_add, per_unit};
use crate::simd::{Kernel, LANES, Level, Simd};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::time::Instant;

/// The number of parallel multiply-add chains: enough to hide the latency of two units.
const CHAINS: usize = 12;

/// The number of rounds in a measurement of about a millisecond.
const ROUNDS: usize = 200_000;

/// Floating-point operations per second of fused multiply-adds in registers, on all threads of the pool; the best of ten runs.
pub fn f32_flops(level: Level) -> f64 {
    flops::<f32>(level)
}

/// As [`f32_flops`], for products of [`Bf16`] pairs; they are emulated unless [`Level::has_bf16`].
pub fn bf16_flops(level: Level) -> f64 {
    flops::<Bf16>(level)
}

fn flops<E: Element>(level: Level) -> f64 {
    let threads = rayon::current_num_threads();
    let flops = (threads * ROUNDS * CHAINS * LANES * per_unit::<E>() * 2) as f64;
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        let run = |_| dispatch::<E, _>(level, Chains(PhantomData::<E>));
        let sum: f32 = (0..threads).into_par_iter().with_max_len(1).map(run).sum();
        std::hint::black_box(sum);
        best = best.min(start.elapsed().as_secs_f64());
    }
    flops / best
}

struct Chains<E>(PhantomData<E>);

impl<E: Element> Kernel for Chains<E> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let factor = s.splat(std::hint::black_box(0.999));
        let term = s.splat(std::hint::black_box(1e-3));
        let mut chains = [s.splat(std::hint::black_box(0.5)); CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = multiply_add::<E, S>(s, factor, term, *chain);
            }
        }
        let mut sum = 0.0;
        for chain in chains {
            sum += s.sum(chain);
        }
        sum
    }
}
