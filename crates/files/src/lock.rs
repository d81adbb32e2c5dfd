//! Locks a folder for one process.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// The name of the lock file in a folder.
const LOCK: &str = ".lock";

/// Locks `folder`, which must exist, for this process until the returned file is dropped; `None` if another process, or another
/// part of this one, holds the lock.
pub fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = File::create(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        // Some network file systems do not support locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Some(file)),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lock_is_held_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        assert!(held.is_some());
        assert!(lock(folder.path()).unwrap().is_none());
        drop(held);
        assert!(lock(folder.path()).unwrap().is_some());
        assert_eq!(lock(&folder.path().join("absent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
