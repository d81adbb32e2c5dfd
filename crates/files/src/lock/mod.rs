//! Keeps two processes out of one folder.

use std::{
    fs::{File, TryLockError},
    io::{self, ErrorKind, Write as _},
    path::Path,
};

/// What the file says to whoever finds it.
const TEXT: &str = "pig locks this file while it works in this folder. The file stays; it says nothing by itself.\n";

/// Locks a folder for this process until the returned file is dropped; none if another process (or another part of this one) has
/// locked it. The lock is on the file `.lock`, which stays in the folder.
///
/// Some network file systems do not support locks; there the folder counts as locked by whoever asks.
///
/// # Errors
/// When the file cannot be written.
pub fn lock(folder: &Path) -> io::Result<Option<File>> {
    let mut file = File::options().create(true).truncate(false).write(true).open(folder.join(".lock"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    file.write_all(TEXT.as_bytes())?;
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_once_until_its_lock_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        assert!(held.is_some());
        assert!(lock(folder.path()).unwrap().is_none());
        assert_eq!(std::fs::read_to_string(folder.path().join(".lock")).unwrap(), TEXT);
        drop(held);
        assert!(lock(folder.path()).unwrap().is_some());
        assert_eq!(lock(&folder.path().join("absent")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
