//! Zip archives as PyTorch and NumPy write them: stored or deflated entries, with 64-bit sizes where needed
//! (PKWARE's APPNOTE, sections 4.3 and 4.5.3).

use flate2::{Crc, read::DeflateDecoder};
use std::{
    collections::BTreeMap,
    io::{Read, Seek, SeekFrom},
};

const LOCAL_HEADER: [u8; 4] = *b"PK\x03\x04";
const CENTRAL_HEADER: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END_64: [u8; 4] = *b"PK\x06\x06";
const END_64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
/// Sizes of these records without their names and extra fields.
const LOCAL_SIZE: usize = 30;
const CENTRAL_SIZE: usize = 46;
const END_SIZE: usize = 22;
const END_64_SIZE: usize = 56;
const LOCATOR_SIZE: usize = 20;
/// The end is followed by a comment of at most this length.
const LONGEST_COMMENT: usize = u16::MAX as usize;
/// Largest directory in bytes. A directory of a million files is larger; archives of weights have far fewer files.
const MOST_DIRECTORY: u64 = 64 << 20;
/// The extra field with 64-bit sizes.
const EXTRA_64: u16 = 1;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// Most bytes that deflate can make from one byte: its longest match of 258 bytes takes at least two bits.
const MOST_INFLATION: u64 = 258 * 8 / 2;
const DAMAGED: &str = "damaged: its length or checksum is not what the directory says";
/// 1980-01-01, the oldest day that can be written, which means no date.
const NO_DATE: u16 = 0x21;
/// Version 4.5, the first with 64-bit sizes.
const VERSION: u16 = 45;

type Step<T> = Result<T, String>;

/// An archive whose directory was read.
pub(crate) struct Archive<R> {
    reader: R,
    entries: BTreeMap<String, Entry>,
    size: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    method: u16,
    crc: u32,
    compressed: u64,
    size: u64,
    place: u64,
}

/// Little-endian fields of a record.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn number<const N: usize>(&self, at: usize) -> Step<u64> {
        let bytes = self.0.get(at..at + N).ok_or("a record of the archive is cut short")?;
        Ok(bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn short(&self, at: usize) -> Step<u16> {
        Ok(self.number::<2>(at)? as u16)
    }
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory.
    pub(crate) fn open(mut reader: R) -> Step<Self> {
        let file_size = reader.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
        let tail_size = file_size.min((LOCATOR_SIZE + END_SIZE + LONGEST_COMMENT) as u64);
        let tail = bytes_at(&mut reader, file_size - tail_size, tail_size)?;
        let last = tail.len().checked_sub(END_SIZE).ok_or("not an archive: too short")?;
        let end = (0..=last)
            .rev()
            .find(|&at| tail[at..].starts_with(&END))
            .ok_or("not an archive, or one that is cut short")?;
        let fields = Fields(&tail[end..]);
        let (mut size, mut place) = (fields.number::<4>(12)?, fields.number::<4>(16)?);
        if let Some(locator) = end.checked_sub(LOCATOR_SIZE).filter(|&at| tail[at..].starts_with(&END_64_LOCATOR)) {
            let end_64 = bytes_at(&mut reader, Fields(&tail[locator..]).number::<8>(8)?, END_64_SIZE as u64)?;
            if !end_64.starts_with(&END_64) {
                return Err("a damaged archive: no 64-bit end at the place that it states".to_owned());
            }
            (size, place) = (Fields(&end_64).number::<8>(40)?, Fields(&end_64).number::<8>(48)?);
        }
        if size > MOST_DIRECTORY.min(file_size) {
            return Err(format!("a damaged archive: a directory of {size} bytes in a file of {file_size} bytes"));
        }
        let directory = bytes_at(&mut reader, place, size)?;
        let entries = entries(&directory)?;
        // Files that share their bytes could together inflate to more than the limit of inflation allows.
        let compressed = entries.values().fold(0, |sum: u64, entry| sum.saturating_add(entry.compressed));
        if compressed > file_size {
            return Err(format!("a damaged archive: files of {compressed} bytes in an archive of {file_size} bytes"));
        }
        Ok(Self { reader, entries, size: file_size })
    }

    /// Size of the archive in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether the archive has this file.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The files' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Reads a file; `None` if the archive does not have it. A file of more than `most` bytes is an error.
    pub(crate) fn read(&mut self, name: &str, most: u64) -> Step<Option<Vec<u8>>> {
        let Some(&entry) = self.entries.get(name) else { return Ok(None) };
        self.read_entry(entry, most).map(Some).map_err(|problem| format!("{name}: {problem}"))
    }

    fn read_entry(&mut self, entry: Entry, most: u64) -> Step<Vec<u8>> {
        if entry.size > most {
            return Err(format!("{} bytes, expected at most {most}", entry.size));
        }
        let mut contents = self.contents_of(entry)?;
        let bytes = contents.next(entry.size)?;
        contents.end()?;
        Ok(bytes)
    }

    /// Opens a file that can be read piece by piece; `None` if the archive does not have it.
    pub(crate) fn contents(&mut self, name: &str) -> Step<Option<Contents<'_>>> {
        let Some(&entry) = self.entries.get(name) else { return Ok(None) };
        self.contents_of(entry).map(Some).map_err(|problem| format!("{name}: {problem}"))
    }

    fn contents_of(&mut self, entry: Entry) -> Step<Contents<'_>> {
        let Entry { method, crc: wanted, compressed, size: left, .. } = entry;
        let is_possible = match method {
            STORED => left == compressed,
            DEFLATED => left <= compressed.saturating_mul(MOST_INFLATION),
            method => return Err(format!("compression method {method}, expected stored or deflated")),
        };
        if !is_possible {
            return Err(format!("damaged: its directory states {left} bytes in {compressed}"));
        }
        let header = bytes_at(&mut self.reader, entry.place, LOCAL_SIZE as u64)?;
        if !header.starts_with(&LOCAL_HEADER) {
            return Err("no file at the place that the directory states".to_owned());
        }
        let names = u64::from(Fields(&header).short(26)?) + u64::from(Fields(&header).short(28)?);
        let start = entry.place.checked_add(LOCAL_SIZE as u64 + names).ok_or("a place beyond the end of the file")?;
        self.reader.seek(SeekFrom::Start(start)).map_err(|error| error.to_string())?;
        let stored = self.reader.by_ref().take(compressed);
        let reader: Box<dyn Read + '_> =
            if method == STORED { Box::new(stored) } else { Box::new(DeflateDecoder::new(stored)) };
        // PyTorch writes 0 where it was told to compute no checksums (`set_crc32_options(False)`), and reads such files; it never
        // compresses. Their sizes and their content are checked all the same.
        let wanted = Some(wanted).filter(|&wanted| wanted != 0 || method != STORED);
        Ok(Contents { reader, left, crc: Crc::new(), wanted })
    }
}

/// A file of an archive that is being read.
pub(crate) struct Contents<'a> {
    reader: Box<dyn Read + 'a>,
    left: u64,
    crc: Crc,
    /// The checksum that the directory states; none if the archive was written without checksums.
    wanted: Option<u32>,
}

impl Contents<'_> {
    /// Bytes that are left, according to the directory.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Reads the next `count` bytes. Memory is allocated as they arrive, whatever number the file states.
    pub(crate) fn next(&mut self, count: u64) -> Step<Vec<u8>> {
        if count > self.left {
            return Err(format!("it is cut short: {} bytes, expected {count}", self.left));
        }
        let mut bytes = Vec::new();
        self.reader.by_ref().take(count).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 != count {
            return Err(DAMAGED.to_owned());
        }
        self.left -= count;
        self.crc.update(&bytes);
        Ok(bytes)
    }

    /// Checks what was read against the directory: more bytes or a different checksum mean damage.
    pub(crate) fn end(mut self) -> Step<()> {
        let mut rest = Vec::new();
        self.reader.by_ref().take(1).read_to_end(&mut rest).map_err(|error| error.to_string())?;
        if self.left == 0 && rest.is_empty() && self.wanted.is_none_or(|wanted| wanted == self.crc.sum()) {
            Ok(())
        } else {
            Err(DAMAGED.to_owned())
        }
    }
}

fn bytes_at(reader: &mut (impl Read + Seek), place: u64, size: u64) -> Step<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = reader.seek(SeekFrom::Start(place)).and_then(|_| reader.take(size).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 == size { Ok(bytes) } else { Err("a damaged archive: it is cut short".to_owned()) }
}

fn entries(directory: &[u8]) -> Step<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    let mut rest = directory;
    while rest.starts_with(&CENTRAL_HEADER) {
        let fields = Fields(rest);
        if fields.short(8)? & 1 == 1 {
            return Err("an encrypted archive".to_owned());
        }
        let [name, extra, comment] = [fields.short(28)?, fields.short(30)?, fields.short(32)?].map(usize::from);
        let end = CENTRAL_SIZE + name + extra + comment;
        let record = rest.get(..end).ok_or("a damaged archive: its directory is cut short")?;
        let mut entry = Entry {
            method: fields.short(10)?,
            crc: fields.number::<4>(16)? as u32,
            compressed: fields.number::<4>(20)?,
            size: fields.number::<4>(24)?,
            place: fields.number::<4>(42)?,
        };
        widen(&mut entry, &record[CENTRAL_SIZE + name..][..extra])?;
        let name = String::from_utf8_lossy(&record[CENTRAL_SIZE..][..name]).into_owned();
        if let Some((name, _)) = entries.insert(name.clone(), entry).map(|entry| (name, entry)) {
            return Err(format!("{name:?} is in the archive twice"));
        }
        rest = &rest[end..];
    }
    if rest.is_empty() { Ok(entries) } else { Err("a damaged archive: its directory has unknown records".to_owned()) }
}

/// Takes from the extra field the numbers that do not fit in 32 bits.
fn widen(entry: &mut Entry, mut extra: &[u8]) -> Step<()> {
    while extra.len() >= 4 {
        let (id, length) = (Fields(extra).short(0)?, usize::from(Fields(extra).short(2)?));
        let field = extra.get(4..4 + length).ok_or("a damaged archive: an extra field is cut short")?;
        if id == EXTRA_64 {
            let mut at = 0;
            for value in [&mut entry.size, &mut entry.compressed, &mut entry.place] {
                if *value == u64::from(u32::MAX) {
                    *value = Fields(field).number::<8>(at)?;
                    at += 8;
                }
            }
        }
        extra = &extra[4 + length..];
    }
    Ok(())
}

/// A number in 32 bits, or all ones if it is in an extra field.
fn narrow(value: u64) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

/// An archive of stored files; the same files give the same bytes.
pub(crate) fn encode<'a>(files: impl IntoIterator<Item = (String, &'a [&'a [u8]])>) -> Vec<u8> {
    let (mut archive, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u64);
    for (name, parts) in files {
        let mut crc = Crc::new();
        for part in parts {
            crc.update(part);
        }
        let (size, place) = (parts.iter().map(|part| part.len() as u64).sum::<u64>(), archive.len() as u64);
        let is_wide = size.max(place) >= u64::from(u32::MAX);
        // If one number is wide, the extra field holds all of them, so all are marked as wide.
        let shown = |value: u64| if is_wide { u32::MAX.to_le_bytes() } else { narrow(value) };
        let wide = |values: &[u64]| -> Vec<u8> {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            let head = [EXTRA_64.to_le_bytes(), (8 * values.len() as u16).to_le_bytes()].concat();
            if is_wide { head.into_iter().chain(bytes).collect() } else { Vec::new() }
        };
        // Flags, method, time, date, checksum, both sizes, length of the name.
        let name_length = u16::try_from(name.len()).expect("names are short");
        let mut common = [0, STORED, 0, NO_DATE].map(u16::to_le_bytes).concat();
        common.extend(crc.sum().to_le_bytes());
        common.extend([shown(size), shown(size)].concat());
        common.extend(name_length.to_le_bytes());
        let (local_extra, central_extra) = (wide(&[size, size]), wide(&[size, size, place]));

        archive.extend([&LOCAL_HEADER[..], &VERSION.to_le_bytes(), &common].concat());
        archive.extend((local_extra.len() as u16).to_le_bytes());
        archive.extend(name.bytes().chain(local_extra));
        for part in parts {
            archive.extend(*part);
        }

        directory.extend([&CENTRAL_HEADER[..], &VERSION.to_le_bytes(), &VERSION.to_le_bytes(), &common].concat());
        directory.extend((central_extra.len() as u16).to_le_bytes());
        // No comment, first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(shown(place));
        directory.extend(name.bytes().chain(central_extra));
        count += 1;
    }
    let (place, size) = (archive.len() as u64, directory.len() as u64);
    archive.extend(directory);
    if place.max(size) >= u64::from(u32::MAX) || count >= u64::from(u16::MAX) {
        let end = archive.len() as u64;
        archive.extend(
            [&END_64[..], &(END_64_SIZE as u64 - 12).to_le_bytes(), &[VERSION as u8, 0, VERSION as u8, 0]].concat(),
        );
        archive.extend([0; 8]);
        archive.extend([count, count, size, place].map(u64::to_le_bytes).concat());
        archive.extend([&END_64_LOCATOR[..], &[0; 4], &end.to_le_bytes(), &1_u32.to_le_bytes()].concat());
    }
    let count = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
    archive.extend([&END[..], &[0; 4], &count, &count, &narrow(size), &narrow(place), &[0; 2]].concat());
    archive
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn all(bytes: &[u8]) -> Step<BTreeMap<String, Vec<u8>>> {
        let mut archive = Archive::open(Cursor::new(bytes))?;
        let names: Vec<String> = archive.names().map(str::to_owned).collect();
        names.into_iter().map(|name| Ok((name.clone(), archive.read(&name, 1 << 20)?.unwrap_or_default()))).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = encode([("a/b.npy".to_owned(), &[&b"one"[..], b"two"][..]), ("c".to_owned(), &[][..])]);
        let wanted = BTreeMap::from([("a/b.npy".to_owned(), b"onetwo".to_vec()), ("c".to_owned(), Vec::new())]);
        assert_eq!(all(&bytes).unwrap(), wanted);
        assert_eq!(encode([]).len(), END_SIZE);
        assert!(all(&encode([])).unwrap().is_empty());
    }

    /// More files than 16 bits can count need the 64-bit end.
    #[test]
    fn many_files_are_read_back() {
        let bytes = encode((0..70_000_u32).map(|i| (i.to_string(), &[][..])));
        assert_eq!(Archive::open(Cursor::new(&bytes)).unwrap().names().count(), 70_000);
    }

    /// Sizes that are only in the extra field, in the order of the fields that they replace.
    #[test]
    fn wide_sizes_are_taken_from_the_extra_field() {
        let mut entry =
            Entry { method: 0, crc: 0, compressed: 7, size: u64::from(u32::MAX), place: u64::from(u32::MAX) };
        let field =
            [vec![9, 0, 1, 0, 5, 1, 0, 16, 0], 1_u64.to_le_bytes().to_vec(), (1_u64 << 40).to_le_bytes().to_vec()];
        widen(&mut entry, &field.concat()).unwrap();
        assert_eq!((entry.size, entry.compressed, entry.place), (1, 7, 1 << 40));
    }

    #[test]
    fn damage_is_noticed() {
        let good = encode([("a".to_owned(), &[&b"some bytes"[..]][..])]);
        let mut bytes = good.clone();
        bytes[LOCAL_SIZE + 3] ^= 1;
        assert!(all(&bytes).unwrap_err().contains("checksum"));
        for length in 0..good.len() {
            assert!(all(&good[..length]).is_err(), "{length}");
        }
        let twice = encode([("a".to_owned(), &[][..]), ("a".to_owned(), &[][..])]);
        assert!(all(&twice).unwrap_err().contains("twice"));
        assert!(Archive::open(Cursor::new(&good)).unwrap().read("a", 9).unwrap_err().contains("at most 9"));
    }

    #[test]
    fn sizes_that_no_compression_reaches_are_refused() {
        let good = encode([("a".to_owned(), &[&b"some bytes"[..]][..])]);
        let record = good.len() - END_SIZE - CENTRAL_SIZE - 1;
        let with = |method: u16, size: u32| {
            let mut bytes = good.clone();
            bytes[record + 10..][..2].copy_from_slice(&method.to_le_bytes());
            bytes[record + 24..][..4].copy_from_slice(&size.to_le_bytes());
            all(&bytes).unwrap_err()
        };
        assert!(with(STORED, 11).contains("11 bytes in 10"));
        assert!(with(DEFLATED, 10_321).contains("10321 bytes in 10"));
        // A size that deflate could reach is left to the inflater, which finds that these bytes are not a deflate stream.
        assert!(!with(DEFLATED, 10_320).contains("10320 bytes in 10"));
        assert!(with(12, 10).contains("method 12"));
    }

    /// Two names for one file's bytes.
    #[test]
    fn files_that_share_their_bytes_are_refused() {
        let mut bytes = encode([("a".to_owned(), &[&[7; 500][..]][..])]);
        let end = bytes.len() - END_SIZE;
        let mut record = bytes[end - CENTRAL_SIZE - 1..end].to_vec();
        record[CENTRAL_SIZE] = b'b';
        bytes[end + 12..][..4].copy_from_slice(&(2 * record.len() as u32).to_le_bytes());
        bytes.splice(end..end, record);
        assert!(all(&bytes).unwrap_err().contains("files of 1000 bytes"));
    }
}
