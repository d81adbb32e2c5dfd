//! How much memory all threads together may hold.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::sources::Cost;

/// Bytes that a pixel costs while a slice is in work: stored, modality (f64), shown, cropped and resized values, the mask
/// and the labels of components.
const BYTES_A_PIXEL: u64 = 48;

/// A number of bytes shared by all threads.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// Bytes that are given back when this is dropped.
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    pub(crate) fn of(cost: &Cost) -> Self {
        Self { limit: cost.max_bytes, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// Waits until a slice of `size` fits. A slice that alone is more than the limit waits until it is alone. Nothing
    /// under a share may wait for other threads of the pool.
    pub(crate) fn take(&self, size: [usize; 2]) -> Share<'_> {
        let bytes = size[0] as u64 * size[1] as u64 * BYTES_A_PIXEL;
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = self
            .freed
            .wait_while(used, |used| *used > 0 && *used + bytes > self.limit)
            .unwrap_or_else(PoisonError::into_inner);
        *used += bytes;
        Share { budget: self, bytes }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.used.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.budget.freed.notify_all();
    }
}
