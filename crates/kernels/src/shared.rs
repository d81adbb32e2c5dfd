//! Jobs on rayon's pool, and the pointer with which they write disjoint parts of one buffer.

use rayon::prelude::*;
use std::marker::PhantomData;

/// A buffer of which several jobs write disjoint parts. The lifetime keeps the buffer borrowed.
#[derive(Debug)]
pub(crate) struct SharedMut<'a, T> {
    pointer: *mut T,
    buffer: PhantomData<&'a mut [T]>,
}

impl<T> Clone for SharedMut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SharedMut<'_, T> {}

// SAFETY: the pointer is dereferenced only in `unsafe` blocks that state why no two jobs touch the same element.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    pub(crate) fn new(buffer: &'a mut [T]) -> Self {
        Self { pointer: buffer.as_mut_ptr(), buffer: PhantomData }
    }

    /// The first element.
    pub(crate) fn get(self) -> *mut T {
        self.pointer
    }

    /// Elements `start..start + len` as a slice.
    ///
    /// # Safety
    /// The range lies inside the buffer, and no other job touches it during the lifetime of the slice.
    pub(crate) unsafe fn slice(self, start: usize, len: usize) -> &'a mut [T] {
        // SAFETY: the caller guarantees the range.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(start), len) }
    }
}

/// The amount of work (in multiply-adds or elements of the same cost) below which starting another thread costs more than it
/// saves.
const SERIAL: usize = 1 << 17;

/// Runs jobs `0..count`, on the current rayon pool if there is enough `work` in total.
pub(crate) fn for_each_job(count: usize, work: usize, job: impl Fn(usize) + Sync) {
    if count <= 1 || work < SERIAL || rayon::current_num_threads() == 1 {
        (0..count).for_each(job);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(&job);
    }
}
