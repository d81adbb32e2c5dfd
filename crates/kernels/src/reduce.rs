//! Sums over rows, divided at positions that depend only on the shape.

use crate::element::Element;
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};
use std::ops::Range;

/// The number of rows that are added in `f32`; the sums of such blocks are added in `f64`.
const BLOCK: usize = 256;

/// The sum of each column of x `[rows, columns]`.
pub(crate) fn columns<E: Element>(level: Level, x: &[E], columns: usize, sums: &mut [f32]) {
    assert_eq!(sums.len(), columns, "length of the sums");
    if columns == 0 {
        return;
    }
    assert_eq!(x.len() % columns, 0, "length of the rows");
    let blocks = x.len().div_ceil(BLOCK * columns);
    let mut partial = vec![0.0_f32; blocks * columns];
    let shared = SharedMut::new(&mut partial);
    for_each_job(blocks, x.len(), |block| {
        let rows = block * BLOCK * columns..x.len().min((block + 1) * BLOCK * columns);
        // SAFETY: each job has its own row of partial sums.
        let out = unsafe { shared.slice(block * columns, columns) };
        level.dispatch(Rows { x: &x[rows], columns, out });
    });
    for (c, sum) in sums.iter_mut().enumerate() {
        *sum = (0..blocks).map(|b| f64::from(partial[b * columns + c])).sum::<f64>() as f32;
    }
}

struct Rows<'a, E> {
    x: &'a [E],
    columns: usize,
    out: &'a mut [f32],
}

impl<E: Element> Kernel for Rows<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut first = 0;
        while first < self.columns {
            let strip: Range<usize> = first..self.columns.min(first + LANES);
            let mut acc = s.splat(0.0);
            for row in self.x.chunks_exact(self.columns) {
                let mut lanes = [0.0; LANES];
                for (lane, x) in lanes.iter_mut().zip(&row[strip.clone()]) {
                    *lane = x.to_f32();
                }
                acc = s.add(acc, s.read(&lanes));
            }
            s.write(&mut self.out[strip], acc);
            first += LANES;
        }
    }
}
