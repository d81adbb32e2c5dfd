//! Opens files for reading.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Opens `path` for reading. Refuses pipes, sockets and devices: opening or reading one could block for ever or never end.
pub fn open(path: &Path) -> io::Result<File> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_file() || metadata.is_dir() {
        // The system refuses to read a folder, with an error that says so.
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe, a socket or a device, not a regular file"))
}

/// The bytes of a file; see [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file in UTF-8; see [`open`].
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read(&path).unwrap(), b"text");
        assert_eq!(read_to_string(&path).unwrap(), "text");
        assert_eq!(open(&folder.path().join("b")).unwrap_err().kind(), io::ErrorKind::NotFound);
        read(folder.path()).unwrap_err();
    }

    #[test]
    #[cfg(unix)]
    fn pipes_and_devices_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        // If the pipe were opened, this test would never end.
        for path in [path.as_path(), Path::new("/dev/zero")] {
            let error = read(path).unwrap_err();
            assert!(error.kind() == io::ErrorKind::InvalidInput && error.to_string().contains("a pipe"), "{error}");
        }
    }
}
