//! Creates one folder.

use crate::{
    FileError,
    temporary::{Temporary, sweep_beside},
    write::sync_parent,
};
use std::{fs, io, path::Path};

/// Creates the folder `path`, which must be new or empty. `fill` writes into a temporary folder beside it, which is then renamed:
/// the folder appears with everything in it or not at all. Temporary folders of `path` that a killed process left are removed.
pub fn create_folder<E: From<FileError>>(path: &Path, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), E> {
    sweep_beside(path);
    let temporary = Temporary::folder(path).map_err(FileError::io(path, "create"))?;
    let made = fill(temporary.path()).and_then(|()| Ok(publish(temporary.path(), path)?));
    if made.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_dir_all(temporary.path());
    }
    made
}

/// Checks that something can be created at `path`, before the work for it is done: makes a temporary file in the nearest folder that
/// exists, and removes it.
pub fn check_creatable(path: &Path) -> Result<(), FileError> {
    try_beside(path).map_err(FileError::io(path, "create"))
}

fn try_beside(path: &Path) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let exists = |folder: &&Path| folder.symlink_metadata().is_ok();
    let (Some(name), Some(folder)) = (path.file_name(), path.ancestors().skip(1).find(exists)) else { return Ok(()) };
    fs::remove_file(Temporary::file(&folder.join(name))?.path())
}

fn publish(temporary: &Path, path: &Path) -> Result<(), FileError> {
    if path.exists() {
        // This fails if the folder is not empty, so that nothing is ever overwritten.
        fs::remove_dir(path).map_err(FileError::io(path, "replace"))?;
    }
    fs::rename(temporary, path).map_err(FileError::io(path, "create"))?;
    sync_parent(path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/run");
        let full = |folder: &Path| crate::write(&folder.join("a"), b"1");
        create_folder(&path, full).unwrap();
        assert_eq!(fs::read(path.join("a")).unwrap(), b"1");
        let error = create_folder(&path, full).unwrap_err();
        assert_eq!((error.path.as_path(), error.action), (path.as_path(), "replace"));
        assert_eq!(fs::read(path.join("a")).unwrap(), b"1");
        let failing = root.path().join("deep/other");
        create_folder(&failing, |folder| crate::write(&folder.join("absent/a"), b"1")).unwrap_err();
        assert!(!failing.exists());
        assert_eq!(fs::read_dir(root.path().join("deep")).unwrap().count(), 1);
        for new in [failing.as_path(), &failing.join("below/it"), &path] {
            check_creatable(new).unwrap();
        }
        assert_eq!(fs::read_dir(root.path().join("deep")).unwrap().count(), 1);
        let below_a_file = check_creatable(&path.join("a/b/c")).unwrap_err();
        assert_eq!(below_a_file.action, "create");
        assert!(below_a_file.to_string().starts_with(&path.join("a/b/c").display().to_string()), "{below_a_file}");
        assert!(check_creatable(Path::new("")).is_err());
        fs::create_dir(root.path().join("deep/.new.0123456789abcdef-0.tmp")).unwrap();
        create_folder(&root.path().join("deep/new"), full).unwrap();
        assert_eq!(fs::read_dir(root.path().join("deep")).unwrap().count(), 2, "a killed process's folder is gone");
    }
}
