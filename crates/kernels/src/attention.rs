//! Attention over the pixels of small images: softmax(q k^T scale) v.

use crate::checked;
use crate::math;
use crate::matmul::{Output, PackedMatrix, matmul, matmul_transposed};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{Kernel, LANES, Level, Simd};

/// Attention of one size. Every tensor is `[batch, tokens, heads x head_dim]`. If a size is 0, there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// The number of samples.
    pub batch: usize,
    /// The number of tokens (pixels) per sample.
    pub tokens: usize,
    /// The number of heads; their channels follow each other.
    pub heads: usize,
    /// The number of channels per head.
    pub head_dim: usize,
    /// The factor of the scores, usually `head_dim^-0.5`.
    pub scale: f32,
}

/// The number of query rows whose scores are in memory at the same time.
const QUERIES: usize = 96;

impl Attention {
    /// The number of values of each tensor.
    ///
    /// # Panics
    /// When the number is too large to address.
    pub fn len(&self) -> usize {
        checked::len("tensor", [self.batch, self.tokens, self.heads, self.head_dim])
    }

    /// Whether the tensors are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// The offset of a head of a sample.
    fn head(&self, index: usize) -> usize {
        index / self.heads * self.tokens * self.width() + index % self.heads * self.head_dim
    }

    /// out = softmax(q k^T scale) v, head by head.
    ///
    /// Each thread holds the scores of at most 96 queries at a time. The result of a sample does not depend on the other
    /// samples or on the number of threads, to the last bit.
    ///
    /// # Panics
    /// When a length is not [`len`](Self::len).
    pub fn forward(&self, level: Level, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32]) {
        for tensor in [q, k, v, out] {
            assert_eq!(tensor.len(), self.len(), "length of an attention tensor");
        }
        if self.is_empty() {
            return;
        }
        let (t, d, width) = (self.tokens, self.head_dim, self.width());
        let heads = self.batch * self.heads;
        let out = SharedMut::new(out);
        let work = 2 * heads * t * t * d;
        for_each_job(heads, work, |head| {
            let at = self.head(head);
            let keys = PackedMatrix::transposed(d, t, &k[at..], width);
            let values = PackedMatrix::new(t, d, &v[at..], width);
            for_each_job(t.div_ceil(QUERIES), work / heads, |block| {
                let first = block * QUERIES;
                let rows = QUERIES.min(t - first);
                let mut scores = vec![0.0; rows * t];
                let start = at + first * width;
                self.probabilities(level, rows, &q[start..], &keys, &mut scores);
                let mut result = vec![0.0; rows * d];
                let c = Output { data: &mut result, stride: d, accumulate: false };
                matmul(level, rows, &scores, t, &values, None, c);
                for (row, result) in result.chunks_exact(d).enumerate() {
                    // SAFETY: rows of distinct blocks, heads and samples do not overlap.
                    unsafe { out.slice(start + row * width, d) }.copy_from_slice(result);
                }
            });
        });
    }

    /// The gradients of q, k and v. The probabilities are recomputed, 96 queries at a time.
    ///
    /// The result of a sample does not depend on the other samples or on the number of threads, to the last bit.
    ///
    /// # Panics
    /// When a length is not [`len`](Self::len).
    pub fn backward(
        &self,
        level: Level,
        q: &[f32],
        k: &[f32],
        v: &[f32],
        dout: &[f32],
        dq: &mut [f32],
        dk: &mut [f32],
        dv: &mut [f32],
    ) {
        for tensor in [q, k, v, dout, dq, dk, dv] {
            assert_eq!(tensor.len(), self.len(), "length of an attention tensor");
        }
        if self.is_empty() {
            return;
        }
        let (t, d, width) = (self.tokens, self.head_dim, self.width());
        let heads = self.batch * self.heads;
        let outputs = [dq, dk, dv].map(SharedMut::new);
        for_each_job(heads, 5 * heads * t * t * d, |head| {
            let at = self.head(head);
            let from = [q, k, v, dout].map(|x| &x[at..]);
            let gradients = self.head_backward(level, from);
            for (gradient, output) in gradients.iter().zip(outputs) {
                for (row, gradient) in gradient.chunks_exact(d).enumerate() {
                    // SAFETY: rows of distinct heads and samples do not overlap.
                    unsafe { output.slice(at + row * width, d) }.copy_from_slice(gradient);
                }
            }
        });
    }

    /// dq, dk and dv of one head, `[tokens, head_dim]` each, from slices that begin at the head.
    fn head_backward(&self, level: Level, [q, k, v, dout]: [&[f32]; 4]) -> [Vec<f32>; 3] {
        let (t, d, width) = (self.tokens, self.head_dim, self.width());
        let keys = PackedMatrix::transposed(d, t, k, width);
        let keys_back = PackedMatrix::new(t, d, k, width);
        let values = PackedMatrix::transposed(d, t, v, width);
        let [mut dq, mut dk, mut dv] = [(); 3].map(|()| vec![0.0; t * d]);
        let mut p = vec![0.0; QUERIES.min(t) * t];
        let mut ds = p.clone();
        for first in (0..t).step_by(QUERIES) {
            let rows = QUERIES.min(t - first);
            let (q, dout) = (&q[first * width..], &dout[first * width..]);
            let (p, ds) = (&mut p[..rows * t], &mut ds[..rows * t]);
            self.probabilities(level, rows, q, &keys, p);
            matmul(level, rows, dout, width, &values, None, Output { data: ds, stride: t, accumulate: false });
            let sum = Output { data: &mut dv, stride: d, accumulate: true };
            matmul_transposed(level, [t, rows, d], p, t, dout, width, sum);
            for (p, ds) in p.chunks_exact(t).zip(ds.chunks_exact_mut(t)) {
                level.dispatch(SoftmaxBackward { p, ds, scale: self.scale });
            }
            let block = Output { data: &mut dq[first * d..], stride: d, accumulate: false };
            matmul(level, rows, ds, t, &keys_back, None, block);
            let sum = Output { data: &mut dk, stride: d, accumulate: true };
            matmul_transposed(level, [t, rows, d], ds, t, q, width, sum);
        }
        [dq, dk, dv]
    }

    /// softmax(q k^T scale) for some rows of queries.
    fn probabilities(&self, level: Level, rows: usize, q: &[f32], keys: &PackedMatrix, scores: &mut [f32]) {
        let t = self.tokens;
        matmul(level, rows, q, self.width(), keys, None, Output { data: scores, stride: t, accumulate: false });
        for row in scores.chunks_exact_mut(t) {
            level.dispatch(Softmax { row, scale: self.scale });
        }
    }
}

/// row = softmax(row scale), in place.
struct Softmax<'a> {
    row: &'a mut [f32],
    scale: f32,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let scale = s.splat(self.scale);
        let mut largest = f32::NEG_INFINITY;
        let whole = self.row.chunks_exact(LANES);
        for x in whole.remainder() {
            largest = largest.max(*x * self.scale);
        }
        let mut lanes = s.splat(largest);
        for x in whole {
            lanes = s.max(lanes, s.mul(s.read(x), scale));
        }
        for lane in s.to_array(lanes) {
            largest = largest.max(lane);
        }
        let shift = s.splat(-largest);
        let mut sum = s.splat(0.0);
        for x in self.row.chunks_mut(LANES) {
            let e = math::exp(s, s.fma(s.read(x), scale, shift));
            s.write(x, e);
            // Lanes beyond the end of the row must not be summed, so read back the written values.
            sum = s.add(sum, s.read(x));
        }
        let factor = s.splat(1.0 / s.sum(sum));
        for x in self.row.chunks_mut(LANES) {
            s.write(x, s.mul(s.read(x), factor));
        }
    }
}

/// ds = p (dp - sum of p dp) scale; it overwrites dp.
struct SoftmaxBackward<'a> {
    p: &'a [f32],
    ds: &'a mut [f32],
    scale: f32,
}

impl Kernel for SoftmaxBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut sum = s.splat(0.0);
        for (p, dp) in self.p.chunks(LANES).zip(self.ds.chunks(LANES)) {
            sum = s.fma(s.read(p), s.read(dp), sum);
        }
        let (sum, scale) = (s.splat(s.sum(sum)), s.splat(self.scale));
        for (p, ds) in self.p.chunks(LANES).zip(self.ds.chunks_mut(LANES)) {
            s.write(ds, s.mul(s.mul(s.read(p), scale), s.sub(s.read(ds), sum)));
        }
    }
}
