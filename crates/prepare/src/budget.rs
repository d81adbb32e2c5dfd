//! How much memory all threads together may hold.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::sources::Cost;

/// Bytes that a pixel costs while a slice is in work: stored, modality (f64), shown, cropped and resized values, and the mask.
/// 17 were measured (examples/volume_memory.rs).
const BYTES_A_PIXEL: u64 = 24;

/// The part of the memory that slices of volumes may hold, so that a volume of hundreds of megabytes is prepared in less than
/// itself on any number of processors. Single images, which are larger, may hold all of it.
const VOLUME_PART: u64 = 10;

/// A number of bytes shared by all threads.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: Mutex<Used>,
    freed: Condvar,
}

#[derive(Debug, Clone, Copy, Default)]
struct Used {
    all: u64,
    volumes: u64,
}

/// Bytes that are given back when this is dropped.
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    held: Used,
}

impl Budget {
    pub(crate) fn of(cost: &Cost) -> Self {
        Self { limit: cost.max_bytes, used: Mutex::default(), freed: Condvar::new() }
    }

    /// In how many parts at most the slices of a volume are worked on: each may go to a thread of its own, whose allocator
    /// keeps what a slice once needed.
    pub(crate) fn parts(&self, size: [usize; 2]) -> usize {
        (self.limit / VOLUME_PART / bytes(size).max(1)).max(1) as usize
    }

    /// Waits until a slice of `size`, one of `slices`, fits. A slice that alone is more than the limit waits until it is
    /// alone. Nothing under a share may wait for other threads of the pool.
    pub(crate) fn take(&self, size: [usize; 2], slices: usize) -> Share<'_> {
        let bytes = bytes(size);
        let held = Used { all: bytes, volumes: if slices > 1 { bytes } else { 0 } };
        let full = |used: u64, more: u64, limit: u64| used > 0 && more > 0 && used + more > limit;
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = self
            .freed
            .wait_while(used, |used| {
                full(used.all, held.all, self.limit) || full(used.volumes, held.volumes, self.limit / VOLUME_PART)
            })
            .unwrap_or_else(PoisonError::into_inner);
        used.all += held.all;
        used.volumes += held.volumes;
        Share { budget: self, held }
    }
}

fn bytes(size: [usize; 2]) -> u64 {
    size[0] as u64 * size[1] as u64 * BYTES_A_PIXEL
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut used = self.budget.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.all -= self.held.all;
        used.volumes -= self.held.volumes;
        drop(used);
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The most shares that were held at once by eight threads.
    fn most_at_once(size: [usize; 2], slices: usize) -> usize {
        let budget = Budget::of(&Cost::of_bytes(BYTES_A_PIXEL * 1000 * 10));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let share = budget.take(size, slices);
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(1));
                        now.fetch_sub(1, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        most.into_inner()
    }

    #[test]
    fn slices_wait_for_memory() {
        // Ten images of 1000 pixels fit, of which a volume may hold one; of images beyond the limit there is one at a time.
        assert_eq!(most_at_once([10, 100], 60), 1);
        assert_eq!(most_at_once([1000, 1000], 1), 1);
        assert!((2..=5).contains(&most_at_once([20, 100], 1)));
        assert!((2..=8).contains(&most_at_once([10, 50], 1)));
    }
}
