//! Writes one file.

use crate::{FileError, temporary::Temporary};
use std::{fs::File, io::Write as _, path::Path};

/// Syncs the folder of `path`, so that a rename in it is on disk. Not every file system can sync a folder.
pub(crate) fn sync_parent(path: &Path) {
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_by(path, |file| file.write_all(bytes).map_err(FileError::io(path, "write")))
}

/// Writes what `fill` puts into the file to `path`, whole or not at all: for content that is too large to be in memory at once.
pub fn write_by<E: From<FileError>>(path: &Path, fill: impl FnOnce(&mut File) -> Result<(), E>) -> Result<(), E> {
    let mut temporary = Temporary::file(path).map_err(FileError::io(path, "write"))?;
    let written = put(&mut temporary, path, fill);
    if written.is_err() {
        // The first error is the one to report. A temporary file that cannot be removed does no harm.
        let _ = std::fs::remove_file(temporary.path());
    }
    written?;
    sync_parent(path);
    Ok(())
}

/// Checks that the file `path` can be written, before the work for it is done: makes a temporary file beside it, and removes it.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    let made = if path.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { Temporary::file(path) };
    made.and_then(|temporary| std::fs::remove_file(temporary.path())).map_err(FileError::io(path, "write"))
}

fn put<E: From<FileError>>(
    temporary: &mut Temporary,
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    if let Some(file) = temporary.opened() {
        fill(file)?;
        file.sync_all().map_err(FileError::io(path, "write"))?;
    }
    Ok(std::fs::rename(temporary.path(), path).map_err(FileError::io(path, "write"))?)
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
        let failed = write_by(&path, |file| {
            file.write_all(b"half").map_err(FileError::io(&path, "write"))?;
            Err(FileError::io(&path, "make")(std::io::ErrorKind::StorageFull.into()))
        });
        assert_eq!((failed.unwrap_err().action, fs::read(&path).unwrap()), ("make", b"two".to_vec()));
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
