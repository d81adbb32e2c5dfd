//! The transforms of Winograd's method along one axis, and of whole tiles.

use crate::element::{Element, read};
use crate::simd::{LANES, Simd};

/// The side of a tile of outputs, the side of the inputs that it reads, and the number of transformed values per tile.
pub(super) const OUT: usize = 4;
pub(super) const IN: usize = 6;
pub(super) const POINTS: usize = IN * IN;

/// The squares of the points: a^2 = 1/2 and b^2 = 2, so that a^2 b^2 = 1.
const A2: f32 = 0.5;
const B2: f32 = 2.0;
const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
const B: f32 = std::f32::consts::SQRT_2;

/// A transform along the columns, then along the rows. `$store` receives the value of each point. `$rows` and `$c` list the rows
/// and columns of `$d`. There are no loops, because arrays that are indexed in loops would be in memory and not in registers.
macro_rules! transform {
    ($s:expr, $d:expr, $store:expr, $along:ident, $rows:tt, [$($c:literal),*]) => {{
        let d = $d;
        let columns = [$(crate::conv::winograd::transform::transform!(@column $s, d, $along, $c, $rows)),*];
        crate::conv::winograd::transform::transform!(@row $s, columns, $store, $along, 0, [$($c),*]);
        crate::conv::winograd::transform::transform!(@row $s, columns, $store, $along, 1, [$($c),*]);
        crate::conv::winograd::transform::transform!(@row $s, columns, $store, $along, 2, [$($c),*]);
        crate::conv::winograd::transform::transform!(@row $s, columns, $store, $along, 3, [$($c),*]);
        crate::conv::winograd::transform::transform!(@row $s, columns, $store, $along, 4, [$($c),*]);
        crate::conv::winograd::transform::transform!(@row $s, columns, $store, $along, 5, [$($c),*]);
    }};
    (@column $s:expr, $d:ident, $along:ident, $c:literal, [$($r:literal),*]) => {
        $along($s, [$($d($r, $c)),*])
    };
    (@row $s:expr, $columns:ident, $store:expr, $along:ident, $r:literal, [$($c:literal),*]) => {{
        let turned = $along($s, [$($columns[$c][$r]),*]);
        $store($r * IN, turned[0]);
        $store($r * IN + 1, turned[1]);
        $store($r * IN + 2, turned[2]);
        $store($r * IN + 3, turned[3]);
        $store($r * IN + 4, turned[4]);
        $store($r * IN + 5, turned[5]);
    }};
}
pub(super) use transform;

/// The sizes of the input and the output, without channels.
#[derive(Clone, Copy)]
pub(super) struct Image {
    pub(super) batch: usize,
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    /// The number of zeros above and to the left of the input.
    pub(super) padding: [usize; 2],
}

impl Image {
    /// The number of tiles of one sample along both axes.
    pub(super) fn tiles(&self) -> [usize; 2] {
        self.output.map(|side| side.div_ceil(OUT))
    }
}

impl Image {
    /// The sample, the first output row and the first output column of a tile.
    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> [usize; 3] {
        let [rows, columns] = self.tiles();
        [tile / (rows * columns), tile / columns % rows * OUT, tile % columns * OUT]
    }

    /// The upper left input pixel of a tile.
    #[inline(always)]
    pub(super) fn corner(&self, tile: usize) -> Corner {
        let [sample, row, column] = self.place(tile);
        Corner { sample, row: row.wrapping_sub(self.padding[0]), column: column.wrapping_sub(self.padding[1]) }
    }

    /// B^T d B of one tile and up to sixteen channels: `store` receives the value of each point.
    #[inline(always)]
    pub(super) fn transform<E: Element, S: Simd>(
        &self,
        s: S,
        x: &[E],
        channels: usize,
        corner: Corner,
        first: usize,
        mut store: impl FnMut(usize, S::V),
    ) {
        let Corner { sample, row, column } = corner;
        let [height, width] = self.input;
        // Negative rows and columns wrap to huge numbers, so one comparison checks both bounds.
        let is_inside = row < height && column < width && row + IN <= height && column + IN <= width;
        if is_inside && first + LANES <= channels {
            let at = ((sample * height + row) * width + column) * channels + first;
            let (down, right) = (width * channels, channels);
            assert!(at + (IN - 1) * (down + right) + LANES <= x.len(), "tile outside the input");
            // SAFETY: the assertion covers the last pixel.
            let pixel = |r: usize, c: usize| unsafe { E::load(s, x.as_ptr().add(at + r * down + c * right)) };
            transform!(s, pixel, store, input_1d, [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]);
        } else if first + LANES <= channels {
            // At the border, pixels outside the image are read from zeros.
            let zeros = [E::default(); LANES];
            let at = ((sample * height).wrapping_add(row).wrapping_mul(width)).wrapping_add(column);
            let (start, down, right) = (at.wrapping_mul(channels).wrapping_add(first), width * channels, channels);
            assert!((sample + 1) * height * width * channels <= x.len(), "sample outside the input");
            let pixel = |r: usize, c: usize| {
                let is_inside = row.wrapping_add(r) < height && column.wrapping_add(c) < width;
                let at = x.as_ptr().wrapping_add(start.wrapping_add(r * down + c * right));
                // SAFETY: the pixel is inside the sample, and its vector inside the channels, or it is one of zeros.
                unsafe { E::load(s, if is_inside { at } else { zeros.as_ptr() }) }
            };
            transform!(s, pixel, store, input_1d, [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]);
        } else {
            let last = channels.min(first + LANES);
            let mut d = [[s.splat(0.0); IN]; IN];
            for (r, d) in d.iter_mut().enumerate() {
                let row = row.wrapping_add(r);
                if row >= height {
                    continue;
                }
                for (c, d) in d.iter_mut().enumerate() {
                    let column = column.wrapping_add(c);
                    if column < width {
                        let pixel = ((sample * height + row) * width + column) * channels;
                        *d = read(s, &x[pixel + first..pixel + last]);
                    }
                }
            }
            transform!(s, |r: usize, c: usize| d[r][c], store, input_1d, [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]);
        }
    }
}

/// The upper left input pixel of a tile; rows above the image and columns left of it wrap around.
#[derive(Clone, Copy)]
pub(super) struct Corner {
    sample: usize,
    row: usize,
    column: usize,
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

/// Writes the first `lanes` values, at most 16.
///
/// # Safety
/// `p` is valid for writing them.
#[inline(always)]
pub(super) unsafe fn write<S: Simd>(s: S, p: *mut f32, v: S::V, lanes: usize) {
    // SAFETY: the caller guarantees `lanes` values.
    unsafe { if lanes == LANES { s.store(p, v) } else { s.store_partial(p, v, lanes) } }
}
