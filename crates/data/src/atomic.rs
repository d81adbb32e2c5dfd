//! Writing files whole or not at all: a temporary name beside the target, fsync, rename.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{DataError, Result};

/// Makes the temporary names of one process differ from each other.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Makes the temporary names of processes differ, also of those that share a folder from several machines or
/// containers, where process ids repeat.
static NONCE: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

/// Writes `value` to `path` as JSON that people can read, whole or not at all.
pub fn write_json<T: serde::Serialize + ?Sized>(path: &Path, value: &T) -> Result<()> {
    let json = serde_json::to_vec_pretty(value)
        .map_err(|error| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() })?;
    write(path, &json)
}

/// Writes `bytes` to `path`. A reader, or a crash, finds the old file or the new one, never a part.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_file_name(format!(".{name}.{:016x}-{count}.tmp", *NONCE));
    let result = write_and_rename(&temporary, path, bytes);
    if result.is_err() {
        // The first error is the one to report; a temporary file that cannot be removed does no harm.
        let _ = std::fs::remove_file(&temporary);
    }
    result.map_err(DataError::io(path, "write"))
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(temporary, path)?;
    // The rename itself is on disk only once the folder is; not every file system can sync a folder.
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}
