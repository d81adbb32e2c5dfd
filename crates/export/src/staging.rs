//! A folder that appears complete or not at all: it is written under a temporary name beside its target, synced and renamed.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use pig_files::Temporary;
use rayon::prelude::*;

use crate::error::{ExportError, Result};

/// A folder that is being written. If it is dropped without [`Staging::publish`], it is removed.
#[derive(Debug)]
pub(crate) struct Staging {
    out: PathBuf,
    temporary: Temporary,
}

impl Staging {
    /// Opens a folder that will become `out`, which must be new or empty.
    pub(crate) fn create(out: &Path) -> Result<Self> {
        refuse_taken(out)?;
        if out.file_name().is_none() {
            return Err(ExportError::OutputTaken {
                path: out.to_path_buf(),
                found: "this is not the name of a folder",
            });
        }
        pig_files::sweep_beside(out);
        let temporary = Temporary::folder(out).map_err(ExportError::io(out, "create"))?;
        Ok(Self { out: out.to_path_buf(), temporary })
    }

    /// The path of a file in the folder; creates the folder that the file is in.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.temporary.path().join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(ExportError::io(folder, "create"))?;
        }
        Ok(path)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.file(name)?;
        file.put(bytes)?;
        file.finish()
    }

    /// Opens a file that is written piece by piece.
    pub(crate) fn file(&self, name: &str) -> Result<StagedFile> {
        let path = self.path(name)?;
        let file = File::create(&path).map_err(ExportError::io(&path, "write"))?;
        Ok(StagedFile { path, file: BufWriter::new(file), failed: None })
    }

    /// Brings the files to disk and gives the folder its final name.
    pub(crate) fn publish(self) -> Result<()> {
        // In parallel, because a disk writes many files in little more time than one.
        files_below(self.temporary.path())?.par_iter().try_for_each(|path| {
            let file = OpenOptions::new().write(true).open(path);
            file.and_then(|file| file.sync_all()).map_err(ExportError::io(path, "write"))
        })?;
        // Another program may have written to the target meanwhile.
        refuse_taken(&self.out)?;
        if self.out.is_dir() {
            std::fs::remove_dir(&self.out).map_err(ExportError::io(&self.out, "replace"))?;
        }
        std::fs::rename(self.temporary.path(), &self.out).map_err(ExportError::io(&self.out, "write"))?;
        // The rename is on disk only after the parent folder is synced; not every file system can sync a folder.
        if let Some(folder) = self.out.parent().and_then(|folder| pig_files::open(folder).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; after an error, that error is the one to report.
        let _ = std::fs::remove_dir_all(self.temporary.path());
    }
}

fn refuse_taken(out: &Path) -> Result<()> {
    let taken = |found| Err(ExportError::OutputTaken { path: out.to_path_buf(), found });
    match std::fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            Some(_) => taken("the folder is not empty"),
            None => Ok(()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => taken("this is a file"),
        Err(error) => Err(ExportError::io(out, "list")(error)),
    }
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(ExportError::io(&folder, "list"))? {
            let path = entry.map_err(ExportError::io(&folder, "list"))?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    Ok(files)
}

/// A file that is being written in a [`Staging`].
#[derive(Debug)]
pub(crate) struct StagedFile {
    path: PathBuf,
    file: BufWriter<File>,
    /// The first error of writing through [`Write`], which some encoders do not pass on.
    failed: Option<std::io::Error>,
}

impl StagedFile {
    /// Appends bytes.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(ExportError::io(&self.path, "write"))
    }

    /// Appends a value as JSON.
    pub(crate) fn put_json<T: serde::Serialize>(&mut self, value: &T) -> Result<()> {
        let written = serde_json::to_writer(&mut *self, value);
        written.map_err(|error| self.failure().unwrap_or_else(|| ExportError::encode(&self.path)(&error)))
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.file.flush().map_err(ExportError::io(&self.path, "write"))
    }

    /// The error of writing that an encoder met, if it met one.
    pub(crate) fn failure(&mut self) -> Option<ExportError> {
        self.failed.take().map(ExportError::io(&self.path, "write"))
    }

    /// The path, for errors.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes);
        if let Err(error) = &written
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            self.failed = Some(error.kind().into());
        }
        written
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let flushed = self.file.flush();
        if let Err(error) = &flushed {
            self.failed = Some(error.kind().into());
        }
        flushed
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_even_where_an_encoder_hides_it() {
        let full = || {
            let path = PathBuf::from("/dev/full");
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            StagedFile { path, file: BufWriter::with_capacity(1, file), failed: None }
        };
        let mut staged = full();
        let hidden = staged.write_all(b"some bytes").map_err(|_| "could not print the data set");
        hidden.unwrap_err();
        let error = staged.failure().unwrap().to_string();
        let expected = "/dev/full: cannot write: the disk is full; free some space and run the same command again";
        assert_eq!(error, expected);
        assert!(staged.failure().is_none());
        assert_eq!(full().put_json(&["some", "words"]).unwrap_err().to_string(), expected);
        assert_eq!(full().put(b"some bytes").unwrap_err().to_string(), expected);
        // What fits into the buffer fails when the file ends.
        let mut buffered = full();
        buffered.file = BufWriter::new(OpenOptions::new().write(true).open("/dev/full").unwrap());
        buffered.put(b"some bytes").unwrap();
        assert_eq!(buffered.finish().unwrap_err().to_string(), expected);
    }
}
