//! Buffers of whole cache lines.

use crate::simd::LANES;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// Sixteen values that fill one cache line, so that vector loads never cross a line boundary.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LANES]);

impl Line {
    pub(crate) const ZERO: Self = Self([0.0; LANES]);
}

/// A buffer of zeros for at least `len` values.
pub(crate) fn lines(len: usize) -> Vec<Line> {
    vec![Line::ZERO; len.div_ceil(LANES)]
}

/// Lines for one operation. The next operation of the thread uses the same memory: new memory would cost more time than the work on the
/// weights of a layer, because the system fills it with zeros, page by page.
#[derive(Debug)]
pub(crate) struct Lines {
    data: Vec<Line>,
    /// The number of lines that were asked for.
    count: usize,
    is_kept: bool,
}

thread_local! {
    /// The largest buffer that is free.
    static SPARE: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

impl Lines {
    /// Lines for at least `len` values, which are not defined before they are written.
    pub(crate) fn new(len: usize) -> Self {
        let count = len.div_ceil(LANES);
        let spare = SPARE.take();
        Self { data: if spare.len() < count { lines(len) } else { spare }, count, is_kept: false }
    }

    /// The same lines in memory of their own, which no later operation uses.
    pub(crate) fn kept(self) -> Self {
        Self { data: self.to_vec(), count: self.count, is_kept: true }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let own = std::mem::take(&mut self.data);
        // At the end of a thread there may be nothing left to keep it in.
        let _ = SPARE.try_with(|spare| {
            let other = spare.take();
            spare.set(if own.len() > other.len() { own } else { other });
        });
    }
}

impl Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        &self.data[..self.count]
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [Line] {
        &mut self.data[..self.count]
    }
}
