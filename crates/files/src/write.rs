//! Writes one file.

use crate::{FileError, temporary::Temporary};
use std::{fs::File, io, io::Write as _, path::Path};

/// Syncs the folder of `path`, so that a rename in it is on disk. Not every file system can sync a folder.
pub(crate) fn sync_parent(path: &Path) {
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut temporary = Temporary::file(path).map_err(FileError::io(path, "write"))?;
    let written = put(&mut temporary, bytes).and_then(|()| std::fs::rename(temporary.path(), path));
    if written.is_err() {
        // The first error is the one to report. A temporary file that cannot be removed does no harm.
        let _ = std::fs::remove_file(temporary.path());
    }
    written.map_err(FileError::io(path, "write"))?;
    sync_parent(path);
    Ok(())
}

/// Checks that the file `path` can be written, before the work for it is done: makes a temporary file beside it, and removes it.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    let made = if path.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Temporary::file(path) };
    made.and_then(|temporary| std::fs::remove_file(temporary.path())).map_err(FileError::io(path, "write"))
}

fn put(temporary: &mut Temporary, bytes: &[u8]) -> io::Result<()> {
    let Some(file) = temporary.opened() else { return Ok(()) };
    file.write_all(bytes)?;
    file.sync_all()
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
        assert!(check_writable(&taken).is_err() && check_writable(&missing).is_err());
        check_writable(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
