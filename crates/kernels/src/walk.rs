//! Computes from where the pixels of a tile read and to where they write.

use crate::tile::{Phase, Problem, Tap};
use std::ops::Range;

/// The largest number of taps (times inputs) of one output pixel.
pub(crate) const MAX_TAPS: usize = 32;

/// Iterates over the output pixels of a phase.
pub(crate) struct Walk<'a> {
    problem: &'a Problem<'a>,
    phase: &'a Phase,
    zeros: *const f32,
    /// Rows and columns for which every tap is inside the image.
    inner: [Range<usize>; 2],
    /// For each tap and source, the offset in units from the pixel of the tap (0, 0) to the pixel of the tap.
    offsets: [isize; MAX_TAPS],
}

/// An output pixel of a phase.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    sample: usize,
    row: usize,
    column: usize,
}

/// The destination of an output pixel: its sample, and the offset of its channels.
#[derive(Clone, Copy, Default)]
pub(crate) struct Target {
    pub(crate) sample: usize,
    pub(crate) at: usize,
}

impl<'a> Walk<'a> {
    #[inline(always)]
    pub(crate) fn new(problem: &'a Problem<'a>, phase: &'a Phase, zeros: &'a [f32]) -> Self {
        let mut inner = [0..phase.rows, 0..phase.columns];
        let mut offsets = [0; MAX_TAPS];
        let width = problem.input[1] as isize;
        for (t, tap) in phase.taps.iter().enumerate() {
            for (axis, offset) in [tap.row, tap.column].into_iter().enumerate() {
                let low = (-offset).max(0) as usize;
                let high = (problem.input[axis] as isize - offset).max(0) as usize;
                inner[axis].start = inner[axis].start.max(low.div_ceil(phase.in_step));
                inner[axis].end = inner[axis].end.min(high.div_ceil(phase.in_step));
            }
            for (q, source) in problem.sources.iter().enumerate() {
                offsets[t * problem.sources.len() + q] = (tap.row * width + tap.column) * source.stride as isize;
            }
        }
        Self { problem, phase, zeros: zeros.as_ptr(), inner, offsets }
    }

    /// The number of taps of the phase.
    #[inline(always)]
    pub(crate) fn taps(&self) -> usize {
        self.phase.taps.len()
    }

    /// The index of the packed tap for tap `t` of the phase.
    #[inline(always)]
    pub(crate) fn weight(&self, t: usize) -> usize {
        self.phase.taps[t].weight
    }

    /// The place of pixel `index` of the phase.
    #[inline(always)]
    pub(crate) fn place(&self, index: usize) -> Place {
        let (columns, image) = (self.phase.columns, self.phase.rows * self.phase.columns);
        Place { sample: index / image, row: index % image / columns, column: index % columns }
    }

    /// Fills the table for the next `valid` pixels: for each tap and source, a pointer to the input of each pixel. The other
    /// pixels of the tile repeat the first one.
    #[inline(always)]
    pub(crate) fn tile<const M: usize>(
        &self,
        place: &mut Place,
        valid: usize,
        taps: Range<usize>,
        table: &mut [[*const f32; M]; MAX_TAPS],
    ) -> [Target; M] {
        let mut out = [Target::default(); M];
        let inner = &self.inner[1];
        if valid == M
            && self.inner[0].contains(&place.row)
            && inner.start <= place.column
            && place.column + M <= inner.end
        {
            // All pixels are in one row and away from the border, so they are evenly spaced.
            let first = self.target(place);
            let step = self.phase.out_step * self.problem.out_stride;
            for m in 0..M {
                out[m] = Target { sample: first.sample, at: first.at + m * step };
            }
            self.row(place, taps, table);
            place.column += M - 1;
            self.advance(place);
            return out;
        }
        for m in 0..valid {
            self.pixel(place, taps.clone(), table, m);
            out[m] = self.target(place);
            self.advance(place);
        }
        for m in valid..M {
            for row in &mut *table {
                row[m] = row[0];
            }
        }
        out
    }

    /// Moves to the next pixel.
    #[inline(always)]
    fn advance(&self, place: &mut Place) {
        place.column += 1;
        if place.column == self.phase.columns {
            place.column = 0;
            place.row += 1;
            if place.row == self.phase.rows {
                place.row = 0;
                place.sample += 1;
            }
        }
    }

    /// The offset of the channels of a pixel in the output.
    #[inline(always)]
    fn target(&self, place: &Place) -> Target {
        let [height, width] = self.problem.output;
        let row = self.phase.origin[0] + self.phase.out_step * place.row;
        let column = self.phase.origin[1] + self.phase.out_step * place.column;
        let at = ((place.sample * height + row) * width + column) * self.problem.out_stride;
        Target { sample: place.sample, at }
    }

    /// The index of the input pixel of the tap (0, 0).
    #[inline(always)]
    fn index(&self, place: &Place) -> usize {
        let [height, width] = self.problem.input;
        (place.sample * height + place.row * self.phase.in_step) * width + place.column * self.phase.in_step
    }

    /// Fills the table for M pixels from `place` on, if all their taps are inside the image.
    #[inline(always)]
    fn row<const M: usize>(&self, place: &Place, taps: Range<usize>, table: &mut [[*const f32; M]; MAX_TAPS]) {
        let index = self.index(place);
        let sources = self.problem.sources;
        for (q, source) in sources.iter().enumerate() {
            let start = source.data.as_ptr().wrapping_add(index * source.stride);
            let step = self.phase.in_step * source.stride;
            for (t, tap) in taps.clone().enumerate() {
                let first = start.wrapping_offset(self.offsets[tap * sources.len() + q]);
                let row = &mut table[t * sources.len() + q];
                for m in 0..M {
                    row[m] = first.wrapping_add(m * step);
                }
            }
        }
    }

    /// Fills column `m` of the table, for any pixel. Outside the image a tap reads zeros.
    #[inline(always)]
    fn pixel<const M: usize>(
        &self,
        place: &Place,
        taps: Range<usize>,
        table: &mut [[*const f32; M]; MAX_TAPS],
        m: usize,
    ) {
        let [height, width] = self.problem.input;
        let (row, column) = (place.row * self.phase.in_step, place.column * self.phase.in_step);
        let index = self.index(place);
        let sources = self.problem.sources;
        for (t, tap) in taps.enumerate() {
            let Tap { row: down, column: right, .. } = self.phase.taps[tap];
            let is_inside = row.wrapping_add_signed(down) < height && column.wrapping_add_signed(right) < width;
            for (q, source) in sources.iter().enumerate() {
                let start = source.data.as_ptr().wrapping_add(index * source.stride);
                // The pointer is dereferenced only if the pixel is inside the source, whose length was checked.
                let inside = start.wrapping_offset(self.offsets[tap * sources.len() + q]);
                table[t * sources.len() + q][m] = if is_inside { inside } else { self.zeros };
            }
        }
    }
}
