//! Reads one file at positions, from several threads at once.

use crate::open;
use std::{fs::File, io, path::Path, time::SystemTime};

/// An open file that is read at positions. The file stays readable until this is dropped, even if it is removed or replaced meanwhile.
#[derive(Debug)]
pub struct Positions {
    file: File,
    length: u64,
    /// Where the system cannot read at a position, readers take turns.
    #[cfg(not(unix))]
    turn: std::sync::Mutex<()>,
}

impl Positions {
    /// Opens a regular file; see [`open()`].
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = open(path)?;
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            length,
            #[cfg(not(unix))]
            turn: std::sync::Mutex::default(),
        })
    }

    /// The number of bytes that the file had when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The `count` bytes from the position `at` on.
    ///
    /// # Errors
    /// When the file has fewer bytes, or cannot be read.
    pub fn read(&self, at: u64, count: u64) -> io::Result<Vec<u8>> {
        // A damaged table may ask for any number of bytes; they are not allocated before it is known that they are there.
        if at.checked_add(count).is_none_or(|end| end > self.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(count).map_err(|_| io::ErrorKind::OutOfMemory)?];
        self.fill(at, &mut bytes)?;
        Ok(bytes)
    }

    #[cfg(unix)]
    fn fill(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, at)
    }

    #[cfg(not(unix))]
    fn fill(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        use std::io::{Read as _, Seek as _};
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (&self.file).seek(io::SeekFrom::Start(at))?;
        (&self.file).read_exact(bytes)
    }

    /// Notes on the file that it is used now, as its time of modification.
    ///
    /// # Errors
    /// When the system refuses, as in a folder of another user.
    pub fn mark_used(&self) -> io::Result<()> {
        self.file.set_modified(SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_at_positions_from_all_threads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let bytes: Vec<u8> = (0..=255).collect();
        std::fs::write(&path, &bytes).unwrap();
        let file = Positions::open(&path).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let file = &file;
                scope.spawn(move || {
                    for at in (thread..250).step_by(4) {
                        assert_eq!(file.read(at, 6).unwrap(), [0, 1, 2, 3, 4, 5].map(|i| at as u8 + i));
                    }
                });
            }
        });
        assert_eq!((file.length(), file.read(256, 0).unwrap().len()), (256, 0));
        for (at, count) in [(255, 2), (0, 257), (u64::MAX, 1), (1, u64::MAX)] {
            assert_eq!(file.read(at, count).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.read(7, 1).unwrap(), [7], "a removed file stays readable");
    }
}
