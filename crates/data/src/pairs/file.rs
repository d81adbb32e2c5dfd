//! The file of prepared pairs: a head of 16 bytes (a word and the version), the bytes of images and masks, a table in JSON, and an end
//! of 88 bytes (position, length and SHA-256 of the table, and a word).

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use pig_files::{Positions, sha256};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{DataError, Result};
use crate::pairs::record::{Encoded, Record, Shape};
use crate::pairs::store::Store;

/// The first bytes of the file, before the version.
const WORD: &[u8; 8] = b"pigpairs";

/// The version of the file's form, and of the computations from the sources to its bytes. Whoever changes either raises it.
pub(crate) const VERSION: u64 = 1;

/// The last bytes of the file.
const LAST_WORD: &[u8; 8] = b"pairsend";

/// Bytes of the head, and of the end.
const HEAD: u64 = 16;
const END: u64 = 8 + 8 + 64 + 8;

/// What a file of pairs is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// The data folder.
    pub(crate) folder: String,
    /// The settings that decide the bytes.
    pub(crate) settings: String,
    /// The form of the pairs.
    pub(crate) shape: Shape,
}

#[derive(Serialize, Deserialize)]
struct Table {
    about: About,
    pairs: Vec<Record>,
}

/// Why a file of pairs cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// There is none.
    Absent,
    /// It was written in another form.
    OtherVersion,
    /// It is not as it was written.
    Hurt,
    /// The system cannot read it.
    Io(io::Error),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            io::ErrorKind::UnexpectedEof => Self::Hurt,
            _ => Self::Io(error),
        }
    }
}

/// A file of pairs that is being written.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    path: &'a Path,
    out: BufWriter<&'a mut File>,
    at: u64,
    records: Vec<Record>,
}

impl Writer<'_> {
    /// Adds a pair.
    pub(crate) fn add(&mut self, (mut record, [image, mask]): Encoded) -> Result<()> {
        for (plane, bytes) in [(&mut record.image, image), (&mut record.mask, mask)] {
            plane.at = self.at;
            self.out.write_all(&bytes).map_err(DataError::io(self.path, "write"))?;
            self.at += bytes.len() as u64;
        }
        self.records.push(record);
        Ok(())
    }
}

/// Writes a file of the pairs that `fill` adds, whole or not at all.
pub(crate) fn write(path: &Path, about: &About, fill: impl FnOnce(&mut Writer<'_>) -> Result<()>) -> Result<()> {
    pig_files::write_by(path, |file| {
        let mut writer = Writer { path, out: BufWriter::new(file), at: HEAD, records: Vec::new() };
        let failed = || DataError::io(path, "write");
        writer.out.write_all(WORD).and_then(|()| writer.out.write_all(&VERSION.to_le_bytes())).map_err(failed())?;
        fill(&mut writer)?;
        let Writer { mut out, at, records, .. } = writer;
        let table = serde_json::to_vec(&Table { about: about.clone(), pairs: records })
            .map_err(|error| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() })?;
        let numbers = [at, table.len() as u64].map(u64::to_le_bytes).concat();
        for bytes in [&table, &numbers, sha256(&table).as_bytes(), LAST_WORD] {
            out.write_all(bytes).map_err(failed())?;
        }
        out.flush().map_err(failed())
    })
}

/// Opens a file of pairs without looking at the bytes of images and masks.
fn table(path: &Path) -> std::result::Result<(Table, Positions), Unusable> {
    let file = Positions::open(path)?;
    let head = file.read(0, HEAD)?;
    if head[..8] != *WORD {
        return Err(Unusable::Hurt);
    }
    if head[8..] != VERSION.to_le_bytes() {
        return Err(Unusable::OtherVersion);
    }
    let end = file.read(file.length().checked_sub(END).ok_or(Unusable::Hurt)?, END)?;
    let (numbers, rest) = end.split_at(16);
    let (hash, last) = rest.split_at(64);
    let [at, length] = numbers.as_chunks().0 else { return Err(Unusable::Hurt) };
    let json = file.read(u64::from_le_bytes(*at), u64::from_le_bytes(*length))?;
    if last != LAST_WORD || sha256(&json).as_bytes() != hash {
        return Err(Unusable::Hurt);
    }
    Ok((serde_json::from_slice(&json).map_err(|_| Unusable::Hurt)?, file))
}

/// What a file of pairs is of, and how many it has.
pub(crate) fn describe(path: &Path) -> std::result::Result<(About, usize), Unusable> {
    table(path).map(|(table, _)| (table.about, table.pairs.len()))
}

/// An opened file of pairs.
#[derive(Debug)]
pub(crate) struct Opened {
    /// All its pairs.
    pub(crate) store: Store,
    /// The pairs that are not as they were written.
    pub(crate) hurt: HashSet<usize>,
}

/// Opens a file of pairs that is of `about`, and reads all of it once to see whether it is as it was written.
pub(crate) fn open(path: &Path, about: &About) -> std::result::Result<Opened, Unusable> {
    let (Table { about: found, pairs }, file) = table(path)?;
    if found != *about {
        return Err(Unusable::Hurt);
    }
    let store = Store::in_file(about.shape, pairs, path, file);
    let whole: Vec<bool> =
        (0..store.records().len()).into_par_iter().map(|index| store.is_whole(index)).collect::<io::Result<_>>()?;
    let hurt = (0..whole.len()).filter(|&index| !whole[index]).collect();
    // A file that is only read, as in a folder of another user, keeps its time.
    let _ = store.mark_used();
    Ok(Opened { store, hurt })
}
