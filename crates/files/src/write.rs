//! Writes one file.

use crate::FileError;
use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Makes the temporary names of one process differ from each other.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Makes the temporary names of processes differ, even if processes on several machines or containers share a folder and have
/// the same process id.
static NONCE: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

/// A name beside `path` that no other file has.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{:016x}-{count}.tmp", *NONCE))
}

/// Syncs the folder of `path`, so that a rename in it is on disk. Not every file system can sync a folder.
pub(crate) fn sync_parent(path: &Path) {
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = temporary(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    });
    if written.is_err() {
        // The first error is the one to report. A temporary file that cannot be removed does no harm.
        let _ = std::fs::remove_file(&temporary);
    }
    written.map_err(FileError::io(path, "write"))?;
    sync_parent(path);
    Ok(())
}

/// Writes `value` to `path` as JSON that people can read, whole or not at all.
pub fn write_json<T: serde::Serialize + ?Sized>(path: &Path, value: &T) -> Result<(), FileError> {
    let json = serde_json::to_vec_pretty(value).map_err(|error| FileError::io(path, "encode")(error.into()))?;
    write(path, &json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_are_replaced_whole_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = folder.path().join("absent").join("page.html");
        let error = write(&missing, b"x").unwrap_err().to_string();
        assert!(error.contains("page.html") && error.contains("check that the folder exists"), "{error}");
        // The target is a folder: the write fails, and the temporary file must be gone afterwards.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(write(&taken, b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn two_writers_of_one_file_never_meet_in_a_temporary_name() {
        let path = Path::new("folder/file");
        let names: std::collections::BTreeSet<PathBuf> = (0..100).map(|_| temporary(path)).collect();
        assert_eq!(names.len(), 100);
        assert!(names.iter().all(|name| name.parent() == path.parent()));
    }
}
