//! The transforms of Winograd's method along one axis, and of whole tiles.

use crate::simd::{LANES, Simd};

/// Side of a tile of outputs, and of the inputs that it reads.
pub(super) const OUT: usize = 4;
pub(super) const IN: usize = 6;
pub(super) const POINTS: usize = IN * IN;

/// The squares of the points: a^2 = 1/2 and b^2 = 2, so that a^2 b^2 = 1.
const A2: f32 = 0.5;
const B2: f32 = 2.0;
const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;

/// What is read and written, without channels.
#[derive(Clone, Copy)]
pub(super) struct Image {
    pub(super) batch: usize,
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    /// Zeros above and to the left.
    pub(super) padding: [usize; 2],
}

impl Image {
    /// Tiles along rows and columns of one sample.
    pub(super) fn tiles(&self) -> [usize; 2] {
        self.output.map(|side| side.div_ceil(OUT))
    }
}

impl Image {
    /// Sample, first output row and first output column of a tile.
    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> [usize; 3] {
        let [rows, columns] = self.tiles();
        [tile / (rows * columns), tile / columns % rows * OUT, tile % columns * OUT]
    }

    /// B^T d B of one tile and of up to sixteen channels: `store` gets each point's value.
    #[inline(always)]
    pub(super) fn transform<S: Simd>(
        &self,
        s: S,
        x: &[f32],
        channels: usize,
        tile: usize,
        first: usize,
        mut store: impl FnMut(usize, S::V),
    ) {
        let [sample, row, column] = self.place(tile);
        let [height, width] = self.input;
        let last = channels.min(first + LANES);
        let mut columns = [[s.splat(0.0); IN]; IN];
        for c in 0..IN {
            let mut d = [s.splat(0.0); IN];
            let at_column = (column + c).wrapping_sub(self.padding[1]);
            for r in 0..IN {
                let at_row = (row + r).wrapping_sub(self.padding[0]);
                if at_row < height && at_column < width {
                    let pixel = ((sample * height + at_row) * width + at_column) * channels;
                    d[r] = s.read(&x[pixel + first..pixel + last]);
                }
            }
            let turned = input_1d(s, d);
            for r in 0..IN {
                columns[r][c] = turned[r];
            }
        }
        for r in 0..IN {
            let turned = input_1d(s, columns[r]);
            for c in 0..IN {
                store(r * IN + c, turned[c]);
            }
        }
    }
}

/// G g: row p is (1, p, p^2) / product of (p - other points).
#[inline(always)]
pub(super) fn weights_1d<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; IN] {
    // 1 / (2 a^2 (a^2 - b^2)) and 1 / (2 b^2 (b^2 - a^2)).
    let near = s.splat(1.0 / (2.0 * A2 * (A2 - B2)));
    let far = s.splat(1.0 / (2.0 * B2 * (B2 - A2)));
    let even_near = s.mul(near, s.fma(g[2], s.splat(A2), g[0]));
    let odd_near = s.mul(near, s.mul(g[1], s.splat(A)));
    let even_far = s.mul(far, s.fma(g[2], s.splat(B2), g[0]));
    let odd_far = s.mul(far, s.mul(g[1], s.splat(B)));
    [
        g[0],
        s.add(even_near, odd_near),
        s.sub(even_near, odd_near),
        s.add(even_far, odd_far),
        s.sub(even_far, odd_far),
        g[2],
    ]
}

/// B^T d.
#[inline(always)]
fn input_1d<S: Simd>(s: S, d: [S::V; IN]) -> [S::V; IN] {
    let [near, far] = [A2, B2].map(|square| s.splat(-square));
    let sum = s.splat(-(A2 + B2));
    let even_near = s.fma(d[2], far, d[4]);
    let odd_near = s.fma(d[1], far, d[3]);
    let even_far = s.fma(d[2], near, d[4]);
    let odd_far = s.fma(d[1], near, d[3]);
    [
        s.fma(d[2], sum, s.add(d[0], d[4])),
        s.fma(odd_near, s.splat(A), even_near),
        s.fma(odd_near, s.splat(-A), even_near),
        s.fma(odd_far, s.splat(B), even_far),
        s.fma(odd_far, s.splat(-B), even_far),
        s.fma(d[3], sum, s.add(d[1], d[5])),
    ]
}

/// G^T u, the transpose of [`weights_1d`].
#[inline(always)]
pub(super) fn weights_back_1d<S: Simd>(s: S, u: [S::V; IN]) -> [S::V; 3] {
    let near = s.splat(1.0 / (2.0 * A2 * (A2 - B2)));
    let far = s.splat(1.0 / (2.0 * B2 * (B2 - A2)));
    let (even_near, odd_near) = (s.mul(near, s.add(u[1], u[2])), s.mul(near, s.sub(u[1], u[2])));
    let (even_far, odd_far) = (s.mul(far, s.add(u[3], u[4])), s.mul(far, s.sub(u[3], u[4])));
    [
        s.add(u[0], s.add(even_near, even_far)),
        s.fma(odd_near, s.splat(A), s.mul(odd_far, s.splat(B))),
        s.add(u[5], s.fma(even_near, s.splat(A2), s.mul(even_far, s.splat(B2)))),
    ]
}

/// A y, the transpose of [`output_1d`].
#[inline(always)]
pub(super) fn output_back_1d<S: Simd>(s: S, y: [S::V; OUT]) -> [S::V; IN] {
    let even_near = s.fma(y[2], s.splat(A2), y[0]);
    let odd_near = s.mul(s.splat(A), s.fma(y[3], s.splat(A2), y[1]));
    let even_far = s.fma(y[2], s.splat(B2), y[0]);
    let odd_far = s.mul(s.splat(B), s.fma(y[3], s.splat(B2), y[1]));
    [
        y[0],
        s.add(even_near, odd_near),
        s.sub(even_near, odd_near),
        s.add(even_far, odd_far),
        s.sub(even_far, odd_far),
        y[3],
    ]
}

/// A^T m: row k is the k-th power of each point.
#[inline(always)]
pub(super) fn output_1d<S: Simd>(s: S, m: [S::V; IN]) -> [S::V; OUT] {
    let (even_near, odd_near) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (even_far, odd_far) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(m[0], s.add(even_near, even_far)),
        s.fma(odd_near, s.splat(A), s.mul(odd_far, s.splat(B))),
        s.fma(even_near, s.splat(A2), s.mul(even_far, s.splat(B2))),
        s.add(m[5], s.fma(odd_near, s.splat(A * A2), s.mul(odd_far, s.splat(B * B2)))),
    ]
}
