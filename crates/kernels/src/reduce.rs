//! Sums over rows, divided at positions that depend only on the shape.

use crate::element::{Element, read};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};

/// The number of rows that are added in `f32`; the sums of such blocks are added in `f64`.
const BLOCK: usize = 256;

/// The sum of each column of x `[rows, columns]`.
///
/// # Panics
/// When a length does not match.
pub fn column_sums<E: Element>(level: Level, x: &[E], columns: usize, sums: &mut [f32]) {
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
    fn run<S: Simd>(mut self, s: S) {
        let strips = self.columns.div_ceil(LANES);
        let mut strip = 0;
        while strip < strips {
            // Several strips at a time, because each addition waits for the one before it.
            strip += match strips - strip {
                4.. => self.sum::<S, 4>(s, strip),
                2.. => self.sum::<S, 2>(s, strip),
                _ => self.sum::<S, 1>(s, strip),
            };
        }
    }
}

impl<E: Element> Rows<'_, E> {
    /// Sums N strips of columns; returns N.
    #[inline(always)]
    fn sum<S: Simd, const N: usize>(&mut self, s: S, strip: usize) -> usize {
        let mut sums = [s.splat(0.0); N];
        for row in self.x.chunks_exact(self.columns) {
            for n in 0..N {
                sums[n] = s.add(sums[n], read(s, &row[(strip + n) * LANES..]));
            }
        }
        for n in 0..N {
            s.write(&mut self.out[(strip + n) * LANES..], sums[n]);
        }
        N
    }
}
