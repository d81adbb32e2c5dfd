//! Bounds on the memory that reading takes.

use std::path::Path;

use pig_dicom::Limits;

use crate::error::{PrepareError, Result};

/// What reading may cost.
#[derive(Debug, Clone)]
pub struct Cost {
    /// Bounds for DICOM.
    pub dicom: Limits,
    /// Most bytes that one file may take in memory.
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

/// Reads a text file that takes up to `growth` times its size in memory, unless that is more than allowed.
pub(crate) fn read_text(path: &Path, what: &'static str, growth: u64, limit: u64) -> Result<String> {
    let length = std::fs::metadata(path).map_err(PrepareError::io(path, "read"))?.len();
    within(path, what, length.saturating_mul(growth), limit)?;
    std::fs::read_to_string(path).map_err(PrepareError::io(path, "read"))
}

/// Refuses what would take more memory than allowed.
pub(crate) fn within(path: &Path, what: &'static str, needed: u64, limit: u64) -> Result<()> {
    if needed <= limit {
        return Ok(());
    }
    Err(PrepareError::TooLarge { path: path.to_path_buf(), what, needed, limit })
}
