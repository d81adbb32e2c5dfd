//! Stored pairs, in memory or in a file that is read at positions.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use pig_files::{Positions, sha256};

use crate::error::{DataError, Result};
use crate::pairs::record::{Encoded, Member, Record, Shape};

/// The most bytes of files that all stores of this process keep in memory after they were read. Pairs are drawn in random order, so
/// which of them are kept does not matter: those that are read first.
const KEPT: u64 = 256 << 20;

/// The bytes that are kept now.
static KEPT_NOW: AtomicU64 = AtomicU64::new(0);

/// The bytes of the image and of the mask of a pair, as far as they are in memory.
type Held = [OnceLock<Box<[u8]>>; 2];

/// Stored pairs of one shape.
#[derive(Debug)]
pub(crate) struct Store {
    shape: Shape,
    records: Vec<Record>,
    held: Vec<Held>,
    /// None if everything is in memory.
    file: Option<(PathBuf, Positions)>,
}

impl Store {
    /// Pairs in memory.
    pub(crate) fn in_memory(shape: Shape, pairs: Vec<Encoded>) -> Self {
        let hold = |bytes: Vec<u8>| OnceLock::from(bytes.into_boxed_slice());
        let (records, held) = pairs.into_iter().map(|(record, bytes)| (record, bytes.map(hold))).unzip();
        Self { shape, records, held, file: None }
    }

    /// Pairs in a file.
    pub(crate) fn in_file(shape: Shape, records: Vec<Record>, path: &Path, file: Positions) -> Self {
        let held = records.iter().map(|_| Held::default()).collect();
        Self { shape, records, held, file: Some((path.to_path_buf(), file)) }
    }

    /// The form of the pairs.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// What is known of the pairs.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The file of the pairs.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Notes on the file that it is used now.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn mark_used(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |(_, file)| file.mark_used())
    }

    /// The bytes of an image or a mask.
    ///
    /// # Errors
    /// When the file cannot be read, or its bytes were changed.
    pub(crate) fn bytes(&self, index: usize, member: Member) -> Result<Cow<'_, [u8]>> {
        let held = &self.held[index][member as usize];
        if let Some(bytes) = held.get() {
            return Ok(Cow::Borrowed(bytes));
        }
        // A store without a file holds everything.
        let Some((path, _)) = &self.file else { return Ok(Cow::Borrowed(&[])) };
        let bytes = self.read(index, member).map_err(DataError::io(path, "read"))?;
        let Some(bytes) = bytes else { return Err(DataError::ChangedPairs { path: path.clone() }) };
        let length = bytes.len() as u64;
        if KEPT_NOW.fetch_add(length, Ordering::Relaxed) + length > KEPT {
            KEPT_NOW.fetch_sub(length, Ordering::Relaxed);
            return Ok(Cow::Owned(bytes));
        }
        if held.set(bytes.into_boxed_slice()).is_err() {
            // Another thread was faster.
            KEPT_NOW.fetch_sub(length, Ordering::Relaxed);
        }
        Ok(Cow::Borrowed(held.get().map_or(&[], |bytes| bytes)))
    }

    /// Reads an image or a mask from the file; `None` if the bytes are not those that were written.
    fn read(&self, index: usize, member: Member) -> io::Result<Option<Vec<u8>>> {
        let Some((_, file)) = &self.file else { return Ok(None) };
        let plane = self.records[index].plane(member);
        match file.read(plane.at, plane.bytes) {
            Ok(bytes) => Ok((sha256(&bytes) == plane.sha256).then_some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the image and the mask of a pair in a file are those that were written. Keeps nothing.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn is_whole(&self, index: usize) -> io::Result<bool> {
        Ok(self.records[index].fits(self.shape)
            && self.read(index, Member::Image)?.is_some()
            && self.read(index, Member::Mask)?.is_some())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.file.is_some() {
            let kept = self.held.iter().flatten().filter_map(OnceLock::get).map(|bytes| bytes.len() as u64).sum();
            KEPT_NOW.fetch_sub(kept, Ordering::Relaxed);
        }
    }
}
