//! Checks that masks have the grid of their image.

use std::path::{Path, PathBuf};

use crate::error::{PrepareError, Result};
use crate::sources::Volume;

pub(super) fn mismatch(image: &Path, mask: &Path, what: &'static str, found: String, expected: String) -> PrepareError {
    PrepareError::Mismatch { image: image.to_path_buf(), mask: mask.to_path_buf(), what, found, expected }
}

pub(super) fn check_size(image: &Path, mask: &Path, found: [usize; 2], expected: [usize; 2]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let words = |[height, width]: [usize; 2]| format!("{width} x {height} pixels");
    Err(mismatch(image, mask, "size", words(found), words(expected)))
}

/// Refuses a mask with one slice for a volume with several slices.
pub(super) fn one_slice(image: &Path, masks: &[PathBuf], volume: &Volume) -> Result<()> {
    let slices = volume.slices();
    if slices == 1 {
        return Ok(());
    }
    let mask = masks.first().map_or(Path::new(""), PathBuf::as_path);
    Err(mismatch(image, mask, "slices", "1".to_owned(), slices.to_string()))
}
