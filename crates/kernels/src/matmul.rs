//! Matrix products, row-major, on the register tiles of the convolutions.

use crate::element::{Element, Units, per_unit};
use crate::outer::{self, Outer, Pairs};
use crate::panel::{Packed, Plain, Weights};
use crate::shared::{SharedMut, for_each_job};
use crate::simd::{LANES, Level};
use crate::tile::{self, Epilogue, Phase, Problem, Source, Tap};
use std::marker::PhantomData;

/// The right matrix of a product, `[depth, columns]`, packed for elements of type `E`. Both sizes may be 0.
#[derive(Debug)]
pub struct PackedMatrix<E = f32> {
    packed: Packed,
    depth: usize,
    element: PhantomData<E>,
}

impl<E: Element> PackedMatrix<E> {
    /// Packs b `[depth, columns]`, whose rows are `stride` values apart.
    ///
    /// # Panics
    /// When `b` is too short.
    pub fn new(depth: usize, columns: usize, b: &[f32], stride: usize) -> Self {
        assert!(fits(b, depth, columns, stride), "right matrix is too short");
        Self::pack(depth, columns, b, [stride, 1])
    }

    /// Packs the transpose of b `[columns, depth]`, whose rows are `stride` values apart.
    ///
    /// # Panics
    /// When `b` is too short.
    pub fn transposed(depth: usize, columns: usize, b: &[f32], stride: usize) -> Self {
        assert!(fits(b, columns, depth, stride), "right matrix is too short");
        Self::pack(depth, columns, b, [1, stride])
    }

    /// Packs a matrix whose neighbouring rows and columns are so far apart.
    fn pack(depth: usize, columns: usize, values: &[f32], [in_step, out_step]: [usize; 2]) -> Self {
        let weights = Weights { values, taps: 1, in_channels: depth, out_channels: columns, in_step, out_step };
        Self { packed: Packed::new::<E, _>(Level::best(), weights, &Plain::<1>), depth, element: PhantomData }
    }

    /// The number of rows.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.packed.out_channels
    }
}

/// An output matrix.
#[derive(Debug)]
pub struct Output<'a> {
    /// The values.
    pub data: &'a mut [f32],
    /// The distance from one row to the next in values; at least the number of columns.
    pub stride: usize,
    /// Whether the product is added to the present values.
    pub accumulate: bool,
}

/// c = a b + bias: a `[rows, depth]` with rows `a_stride` apart, b packed, bias `[columns]`, c `[rows, columns]`.
///
/// The result of a row does not depend on the other rows or on the number of threads, to the last bit. With 0 rows or columns
/// nothing happens; with a depth of 0 the sums are 0.
///
/// # Panics
/// When a slice is too short, or when `E` is `Bf16` and the depth or the left stride is odd.
pub fn matmul<E: Element>(
    level: Level,
    rows: usize,
    a: &[E],
    a_stride: usize,
    b: &PackedMatrix<E>,
    bias: Option<&[f32]>,
    c: Output<'_>,
) {
    let Output { data, stride, accumulate } = c;
    assert!(fits(a, rows, b.depth(), a_stride), "left matrix is too short");
    assert!(fits(data, rows, b.columns(), stride), "output is too short");
    assert!(bias.is_none_or(|bias| bias.len() == b.columns()), "length of the bias");
    let unit = per_unit::<E>();
    assert!(
        b.depth().is_multiple_of(unit) && a_stride.is_multiple_of(unit),
        "bf16 products need an even depth and an even left stride"
    );
    if rows == 0 || b.columns() == 0 {
        return;
    }
    if b.depth() == 0 {
        return without_depth(rows, b.columns(), bias, Output { data, stride, accumulate });
    }
    let channels = b.depth() / unit;
    let sources = [Source { data: Units::new(a), channels, stride: a_stride / unit, first: 0 }];
    let problem = Problem {
        batch: rows,
        input: [1, 1],
        output: [1, 1],
        sources: &sources,
        packed: &b.packed,
        epilogue: Epilogue { bias, accumulate, ..Epilogue::default() },
        out_stride: stride,
    };
    let taps = vec![Tap { row: 0, column: 0, weight: 0 }];
    let phase = Phase { rows: 1, columns: 1, origin: [0, 0], out_step: 1, in_step: 1, taps };
    tile::run::<E>(level, &problem, &[phase], data);
}

/// c = bias, or c += bias, because the sums are empty.
fn without_depth(rows: usize, columns: usize, bias: Option<&[f32]>, c: Output<'_>) {
    let Output { data, stride, accumulate } = c;
    for row in 0..rows {
        let values = &mut data[row * stride..][..columns];
        if !accumulate {
            values.fill(0.0);
        }
        values.iter_mut().zip(bias.into_iter().flatten()).for_each(|(value, bias)| *value += bias);
    }
}

/// c = a^T b: a `[depth, rows]` with rows `a_stride` apart, b `[depth, columns]` with rows `b_stride` apart, c `[rows,
/// columns]`.
///
/// The sum over `depth` is divided at positions that depend only on the shape, so results do not depend on the number of
/// threads. With 0 rows or columns nothing happens; with a depth of 0 the sums are 0.
///
/// # Panics
/// When a slice is too short.
pub fn matmul_transposed<E: Element>(
    level: Level,
    [rows, depth, columns]: [usize; 3],
    a: &[E],
    a_stride: usize,
    b: &[E],
    b_stride: usize,
    c: Output<'_>,
) {
    let Output { data, stride, accumulate } = c;
    assert!(fits(a, depth, rows, a_stride) && fits(b, depth, columns, b_stride), "a matrix is too short");
    assert!(fits(data, rows, columns, stride), "output is too short");
    if rows == 0 || columns == 0 {
        return;
    }
    let outer = Outer { a, a_stride, rows, b, b_stride, columns, pixels: depth, taps: 1, pairs: Pairs::Own };
    let partial = outer::run(level, &outer);
    let out = SharedMut::new(data);
    for_each_job(rows.div_ceil(LANES), 2 * rows * columns, |block| {
        for row in block * LANES..rows.min((block + 1) * LANES) {
            // SAFETY: the row lies inside c, and each job has its own rows.
            let out = unsafe { out.slice(row * stride, columns) };
            for (strip, out) in out.chunks_mut(LANES).enumerate() {
                let total = partial.total(0, row, strip);
                for (value, sum) in out.iter_mut().zip(total) {
                    *value = if accumulate { *value + sum } else { sum };
                }
            }
        }
    });
}

/// Whether `x` holds `rows` rows of `columns` values, `stride` apart.
fn fits<E>(x: &[E], rows: usize, columns: usize, stride: usize) -> bool {
    // If the length overflows, no slice can hold it.
    let len = || (rows - 1).checked_mul(stride)?.checked_add(columns);
    rows == 0 || columns == 0 || (stride >= columns && len().is_some_and(|len| len <= x.len()))
}
