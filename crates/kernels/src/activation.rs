//! SiLU without other operations: x / (1 + e^-x).

use crate::math;
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};

/// Values per job.
const CHUNK: usize = 1 << 14;

/// y = silu(x), element by element.
///
/// # Panics
/// When the lengths differ.
pub fn silu(level: Level, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "length of the output");
    let shared = SharedMut::new(y);
    for_each_job(x.len().div_ceil(CHUNK), 8 * x.len(), |job| {
        let x = &x[job * CHUNK..x.len().min((job + 1) * CHUNK)];
        // SAFETY: each job has its own chunk.
        let y = unsafe { shared.slice(job * CHUNK, x.len()) };
        level.dispatch(Forward { x, y });
    });
}

/// dx = dy silu'(x), element by element; x is the input of the forward pass.
///
/// # Panics
/// When the lengths differ.
pub fn silu_backward(level: Level, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!(x.len(), dy.len(), "length of the output's gradient");
    assert_eq!(x.len(), dx.len(), "length of the input's gradient");
    let shared = SharedMut::new(dx);
    for_each_job(x.len().div_ceil(CHUNK), 8 * x.len(), |job| {
        let range = job * CHUNK..x.len().min((job + 1) * CHUNK);
        // SAFETY: each job has its own chunk.
        let dx = unsafe { shared.slice(range.start, range.len()) };
        level.dispatch(Backward { x: &x[range.clone()], dy: &dy[range], dx });
    });
}

struct Forward<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (x, y) in self.x.chunks(LANES).zip(self.y.chunks_mut(LANES)) {
            s.write(y, math::silu(s, s.read(x)));
        }
    }
}

struct Backward<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for ((x, dy), dx) in self.x.chunks(LANES).zip(self.dy.chunks(LANES)).zip(self.dx.chunks_mut(LANES)) {
            s.write(dx, s.mul(s.read(dy), math::silu_slope(s, s.read(x))));
        }
    }
}
