//! Bounds on the memory for reading files.

use std::path::Path;

use pig_dicom::Limits;

use crate::error::{PrepareError, Result};

/// Bytes per pixel while a slice is being prepared: stored, modality (f64), displayed, cropped and resized values, and the mask.
/// 17 were measured (examples/volume_memory.rs).
pub(crate) const BYTES_A_PIXEL: u64 = 24;

/// Bounds on the memory for reading.
#[derive(Debug, Clone)]
pub struct Cost {
    /// Bounds for DICOM.
    pub dicom: Limits,
    /// The most bytes of memory that one file may take.
    pub max_bytes: u64,
}

impl Default for Cost {
    fn default() -> Self {
        Self::of_bytes(Limits::default().max_bytes)
    }
}

impl Cost {
    /// Bounds for a number of bytes.
    pub fn of_bytes(max_bytes: u64) -> Self {
        Self { dicom: Limits { max_bytes, ..Limits::default() }, max_bytes }
    }
}

/// Reads a text file without its byte order mark, if it has one. Refuses it if `growth` times its size is more memory than allowed.
pub(crate) fn read_text(path: &Path, what: &'static str, growth: u64, limit: u64) -> Result<String> {
    let length = std::fs::metadata(path).map_err(PrepareError::io(path, "read"))?.len();
    within(path, what, length.saturating_mul(growth), limit)?;
    let text = pig_files::read_to_string(path).map_err(PrepareError::io(path, "read"))?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

/// Returns an error if `needed` bytes are more than allowed.
pub(crate) fn within(path: &Path, what: &'static str, needed: u64, limit: u64) -> Result<()> {
    if needed <= limit {
        return Ok(());
    }
    Err(PrepareError::TooLarge { path: path.to_path_buf(), what, needed, limit })
}
