//! A bound on the memory that all threads together may use.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use pig_data::read::read_header;

use crate::error::Result;
use crate::sources::{BYTES_A_PIXEL, Cost, Reading, Volume, within};

/// Bytes per pixel of a picture from its decoding on, on top of the decoder's. 14 were measured for an 8-bit gray JPEG in
/// preparation and 20 in inspection.
const PICTURE_BYTES: u64 = 20;

/// More bytes per pixel of a colour picture, whose three channels are decoded before they are reduced to one.
const COLOUR_BYTES: u64 = 14;

/// Bytes per pixel of a picture whose three channels are kept: each takes what a gray picture takes.
const RGB_BYTES: u64 = 3 * PICTURE_BYTES;

/// Slices of volumes may use one part in this many of the memory, so that preparing a volume of hundreds of megabytes takes less
/// memory than the volume itself, on any number of processors. Single images, which are larger, may use all of it.
const VOLUME_PART: u64 = 10;

/// A number of bytes that all threads share.
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

/// Bytes taken from the budget; they are returned when this is dropped.
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    held: Used,
}

impl Budget {
    pub(crate) fn of(cost: &Cost) -> Self {
        Self { limit: cost.max_bytes, used: Mutex::default(), freed: Condvar::new() }
    }

    /// The greatest number of parts into which a volume's slices are divided. Each part may run on a separate thread, and the
    /// thread's allocator keeps the memory that a slice needed.
    pub(crate) fn parts(&self, size: [usize; 2]) -> usize {
        (self.limit / VOLUME_PART / bytes(size).max(1)).max(1) as usize
    }

    /// Waits until a slice of `volume` fits into the budget; `None` for a picture, whose share is held since it was opened.
    pub(crate) fn slice(&self, volume: &Volume) -> Option<Share<'_>> {
        (!matches!(volume, Volume::Picture(_))).then(|| self.take(volume.size(), volume.slices()))
    }

    /// Waits until a slice of `size`, one of `slices`, fits into the budget. A slice that exceeds the limit by itself waits until
    /// nothing else is in use. While a share is held, the thread must not wait for other threads of the pool.
    fn take(&self, size: [usize; 2], slices: usize) -> Share<'_> {
        let bytes = bytes(size);
        self.wait(Used { all: bytes, volumes: if slices > 1 { bytes } else { 0 } })
    }

    /// Waits until a picture fits into the budget, from its decoding until it is prepared: [`Self::take`] is not called for it.
    ///
    /// # Errors
    /// When its header cannot be read, or the picture alone would take more than the limit.
    pub(crate) fn picture(&self, path: &Path, reading: Reading) -> Result<Share<'_>> {
        let header = read_header(path)?;
        let each = match reading {
            Reading::Rgb => RGB_BYTES,
            Reading::Luma | Reading::Channel(_) if header.colour => PICTURE_BYTES + COLOUR_BYTES,
            Reading::Luma | Reading::Channel(_) => PICTURE_BYTES,
        };
        let needed = (header.width as u64).saturating_mul(header.height as u64).saturating_mul(each);
        within(path, "the picture", needed, self.limit)?;
        Ok(self.wait(Used { all: needed, volumes: 0 }))
    }

    fn wait(&self, held: Used) -> Share<'_> {
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

    /// The greatest number of shares that eight threads held at once.
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
        // Ten images of 1000 pixels fit, but only one slice of a volume; images beyond the limit are taken one at a time.
        assert_eq!(most_at_once([10, 100], 60), 1);
        assert_eq!(most_at_once([1000, 1000], 1), 1);
        assert!((2..=5).contains(&most_at_once([20, 100], 1)));
        assert!((2..=8).contains(&most_at_once([10, 50], 1)));
    }
}
