//! Opens files for reading, and for adding to their ends.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    path::Path,
};

/// Opens `path` for reading. Refuses pipes, sockets and devices: opening or reading one could block for ever or never end.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    refuse_special(&std::fs::metadata(path)?)?;
    // The system refuses to read a folder, with an error that says so.
    File::open(path)
}

/// Opens `path` to add to its end, and makes it if it is not there. Refuses what [`open()`] refuses.
pub fn append(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    match std::fs::metadata(path) {
        Ok(metadata) => refuse_special(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    File::options().create(true).append(true).open(path)
}

fn refuse_special(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() || metadata.is_dir() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe, a socket or a device, not a regular file"))
}

/// The bytes of a file; see [`open`].
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file in UTF-8; see [`open`].
pub fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read(&path).unwrap(), b"text");
        assert_eq!(read_to_string(&path).unwrap(), "text");
        assert_eq!(open(folder.path().join("b")).unwrap_err().kind(), io::ErrorKind::NotFound);
        read(folder.path()).unwrap_err();
        for (text, expected) in [("new", "new"), (" end", "new end")] {
            append(folder.path().join("c")).unwrap().write_all(text.as_bytes()).unwrap();
            assert_eq!(read_to_string(folder.path().join("c")).unwrap(), expected);
        }
    }

    #[test]
    #[cfg(unix)]
    fn pipes_and_devices_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        // If the pipe were opened, this test would never end.
        let errors =
            [path.as_path(), Path::new("/dev/zero")].map(|path| [read(path).unwrap_err(), append(path).unwrap_err()]);
        for error in errors.iter().flatten() {
            assert!(error.kind() == io::ErrorKind::InvalidInput && error.to_string().contains("a pipe"), "{error}");
        }
    }
}
