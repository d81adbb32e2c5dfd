//! NumPy's archives: `.npz` is a zip of `.npy` arrays (NEP 1, format versions 1 to 3).
//!
//! Reads little-endian f32, f64, i32, i64 and bytes, in C order, stored or deflated; arrays of text are left out. Writes the same
//! types, stored.

use crate::{Error, Result, zip};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Read, Seek},
    path::Path,
};

/// The first bytes of every array.
const MAGIC: &[u8] = b"\x93NUMPY";
/// The values of an array begin at a multiple of this many bytes in its file.
const ALIGNMENT: usize = 64;
/// Bytes of the longest header of an array; headers with one number type are shorter.
const MOST_HEADER: u64 = u16::MAX as u64;
/// All arrays together may inflate to this many bytes, or to `MOST_INFLATION` times the archive's size if that is more.
const MOST_BYTES: u64 = 1 << 30;
const MOST_INFLATION: u64 = 64;

/// An array's values, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Bytes.
    U8(Vec<u8>),
}

/// An array with its sizes, slowest axis first.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Sizes; empty for a single number.
    pub shape: Vec<usize>,
    /// The values; their number is the product of the sizes.
    pub values: Values,
}

/// Arrays by name, without the ending `.npy`.
pub type Npz = BTreeMap<String, NpyArray>;

impl Values {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn descr(&self) -> &'static str {
        match self {
            Self::F32(_) => "<f4",
            Self::F64(_) => "<f8",
            Self::I32(_) => "<i4",
            Self::I64(_) => "<i8",
            Self::U8(_) => "|u1",
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::F64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::I32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::I64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::U8(values) => values.clone(),
        }
    }

    fn from_bytes(descr: &str, bytes: Vec<u8>) -> std::result::Result<Self, String> {
        fn each<const N: usize, T>(bytes: &[u8], of: fn([u8; N]) -> T) -> Vec<T> {
            bytes.as_chunks::<N>().0.iter().map(|&chunk| of(chunk)).collect()
        }
        Ok(match descr {
            "<f4" => Self::F32(each(&bytes, f32::from_le_bytes)),
            "<f8" => Self::F64(each(&bytes, f64::from_le_bytes)),
            "<i4" => Self::I32(each(&bytes, i32::from_le_bytes)),
            "<i8" => Self::I64(each(&bytes, i64::from_le_bytes)),
            "|u1" => Self::U8(bytes),
            other => return Err(format!("type {other:?}, expected <f4, <f8, <i4, <i8 or |u1")),
        })
    }
}

/// Bytes of one value of a supported type.
fn item_size(descr: &str) -> Option<u64> {
    match descr {
        "<f4" | "<i4" => Some(4),
        "<f8" | "<i8" => Some(8),
        "|u1" => Some(1),
        _ => None,
    }
}

impl NpyArray {
    /// An array of f32.
    ///
    /// # Panics
    /// If the product of the sizes is not the number of values.
    pub fn f32(shape: &[usize], values: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{shape:?}");
        Self { shape: shape.to_vec(), values: Values::F32(values) }
    }

    /// The values converted to f32.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.values {
            Values::F32(values) => values.clone(),
            Values::F64(values) => values.iter().map(|&v| v as f32).collect(),
            Values::I32(values) => values.iter().map(|&v| v as f32).collect(),
            Values::I64(values) => values.iter().map(|&v| v as f32).collect(),
            Values::U8(values) => values.iter().map(|&v| f32::from(v)).collect(),
        }
    }
}

/// Reads all arrays of an archive.
pub fn read(path: &Path) -> Result<Npz> {
    let file = pig_files::open(path).map_err(Error::io(path, "read"))?;
    decode(std::io::BufReader::new(file)).map_err(|problem| Error::BadFile {
        path: path.to_owned(),
        problem,
        advice: "save it again with numpy.savez and arrays of float32, float64 or int64 in C order",
    })
}

/// Reads all arrays of an archive from any reader; the error says what is wrong.
pub fn decode(reader: impl Read + Seek) -> std::result::Result<Npz, String> {
    let mut archive = zip::Archive::open(reader)?;
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    let (mut arrays, mut left) = (Npz::new(), MOST_BYTES.max(archive.size().saturating_mul(MOST_INFLATION)));
    for name in names {
        let Some(stem) = name.strip_suffix(".npy") else {
            return Err(format!("it contains {name:?}, expected only arrays (.npy)"));
        };
        let Some(contents) = archive.contents(&name)? else { continue };
        if let Some(array) = array(contents, &mut left).map_err(|problem| format!("{name}: {problem}"))? {
            arrays.insert(stem.to_owned(), array);
        }
    }
    Ok(arrays)
}

/// Reads an array; `None` if it holds text. Its values are read only after its shape has shown how many there are and that they
/// fit into the `left` bytes.
fn array(mut contents: zip::Contents<'_>, left: &mut u64) -> std::result::Result<Option<NpyArray>, String> {
    let start = contents.next(MAGIC.len() as u64 + 2)?;
    if !start.starts_with(MAGIC) {
        return Err("not an array of numpy".to_owned());
    }
    let width = match start[MAGIC.len()] {
        1 => 2,
        2 | 3 => 4,
        version => return Err(format!("format version {version}, expected 1, 2 or 3")),
    };
    let length = contents.next(width)?.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
    if length > MOST_HEADER {
        return Err(format!("a header of {length} bytes, expected at most {MOST_HEADER}"));
    }
    let header = contents.next(length)?;
    let (descr, shape) = parse_header(&String::from_utf8_lossy(&header))?;
    if descr.starts_with("<U") || descr.starts_with("|S") {
        return Ok(None);
    }
    let item = item_size(&descr).ok_or_else(|| format!("type {descr:?}, expected <f4, <f8, <i4, <i8 or |u1"))?;
    let size = shape.iter().try_fold(item, |size, &axis| size.checked_mul(axis as u64));
    let there = contents.left();
    if size != Some(there) {
        return Err(format!("{there} bytes of values, which does not match shape {shape:?} of type {descr:?}"));
    }
    *left = left.checked_sub(there).ok_or_else(|| {
        format!(
            "{there} bytes of values, expected at most {left} in a file of this size; numpy.savez does not compress"
        )
    })?;
    let bytes = contents.next(there)?;
    contents.end()?;
    Ok(Some(NpyArray { shape, values: Values::from_bytes(&descr, bytes)? }))
}

/// Type and shape of a header such as `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
fn parse_header(header: &str) -> std::result::Result<(String, Vec<usize>), String> {
    let after = |key: &str| {
        let (_, rest) = header.split_once(&format!("'{key}':")).ok_or_else(|| format!("no {key:?} in its header"))?;
        Ok::<&str, String>(rest.trim_start())
    };
    let descr = after("descr")?;
    let descr = descr.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    let (descr, _) = descr.ok_or("a record type, expected one number type")?;
    if !after("fortran_order")?.starts_with("False") {
        return Err("Fortran order, expected C order (numpy.ascontiguousarray)".to_owned());
    }
    let shape = after("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (shape, _) = shape.ok_or("no shape in its header")?;
    let sizes = shape.split(',').map(str::trim).filter(|size| !size.is_empty());
    let sizes: Option<Vec<usize>> = sizes.map(|size| size.parse().ok()).collect();
    Ok((descr.to_owned(), sizes.ok_or_else(|| format!("shape ({shape}), expected whole numbers"))?))
}

/// An archive of `arrays`, stored without compression; the same arrays give the same bytes.
pub fn encode<'a>(arrays: impl IntoIterator<Item = (&'a str, &'a NpyArray)>) -> Vec<u8> {
    let parts: Vec<(&str, [Vec<u8>; 2])> =
        arrays.into_iter().map(|(name, array)| (name, [header(array), array.values.to_bytes()])).collect();
    let parts: Vec<(String, [&[u8]; 2])> =
        parts.iter().map(|(name, parts)| (format!("{name}.npy"), [&*parts[0], &*parts[1]])).collect();
    zip::encode(parts.iter().map(|(name, parts)| (name.clone(), &parts[..])))
}

fn header(array: &NpyArray) -> Vec<u8> {
    let mut shape = String::new();
    for size in &array.shape {
        // Writing to a String cannot fail.
        let _ = write!(shape, "{size}, ");
    }
    // A tuple of one item keeps its comma.
    let shape = if array.shape.len() == 1 { shape.trim_end() } else { shape.trim_end_matches(", ") };
    let mut text = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({shape}), }}", array.values.descr());
    let before = MAGIC.len() + 4;
    let padded = (before + text.len() + 1).next_multiple_of(ALIGNMENT) - before;
    text.extend(std::iter::repeat_n(' ', padded - 1 - text.len()));
    text.push('\n');
    let length = u16::try_from(text.len()).expect("a header of few axes is short");
    [MAGIC, &[1, 0], &length.to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn sample() -> Npz {
        let array = |shape: &[usize], values| NpyArray { shape: shape.to_vec(), values };
        Npz::from([
            ("x".to_owned(), NpyArray::f32(&[2, 3], vec![1.0, -2.5, f32::MIN_POSITIVE, 4.0, 5.0, f32::MAX])),
            ("t".to_owned(), array(&[2], Values::I64(vec![3, -777]))),
            ("one".to_owned(), array(&[], Values::F64(vec![0.1]))),
            ("none".to_owned(), array(&[0, 4], Values::I32(Vec::new()))),
            ("picture".to_owned(), array(&[1, 1, 2], Values::U8(vec![0, 255]))),
        ])
    }

    fn bytes() -> Vec<u8> {
        encode(sample().iter().map(|(name, array)| (name.as_str(), array)))
    }

    #[test]
    fn what_is_written_is_read_back_and_the_same_every_time() {
        assert_eq!(decode(Cursor::new(bytes())).unwrap(), sample());
        assert_eq!(bytes(), bytes());
    }

    #[test]
    fn values_begin_at_aligned_places_as_numpy_writes_them() {
        for (_, array) in sample() {
            let header = header(&array);
            assert_eq!(header.len() % ALIGNMENT, 0);
            assert_eq!(header.last(), Some(&b'\n'));
        }
        let text = |shape: &[usize]| {
            let array = NpyArray::f32(shape, vec![0.0; shape.iter().product()]);
            String::from_utf8_lossy(&header(&array)[10..]).trim_end().to_owned()
        };
        assert_eq!(text(&[3]), "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
        assert_eq!(text(&[]), "{'descr': '<f4', 'fortran_order': False, 'shape': (), }");
        assert_eq!(text(&[2, 3]), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
    }

    #[test]
    fn headers_that_do_not_fit_are_refused() {
        let refused = |header: &str| parse_header(header).unwrap_err();
        assert!(refused("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }").contains("C order"));
        assert!(refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }").contains("record"));
        assert!(refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }").contains("(-2,)"));
        assert!(refused("{'descr': '<f4', 'fortran_order': False}").contains("shape"));
    }

    #[test]
    fn archives_cut_anywhere_are_errors() {
        let whole = bytes();
        for length in (0..whole.len()).step_by(7) {
            assert!(decode(Cursor::new(&whole[..length])).is_err(), "{length}");
        }
    }

    /// An array's file, whose header has this type and shape.
    fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        [MAGIC, &[1, 0], &(text.len() as u16).to_le_bytes(), text.as_bytes(), values].concat()
    }

    fn stored(array: &[u8]) -> Vec<u8> {
        zip::encode([("a.npy".to_owned(), &[array][..])])
    }

    #[test]
    fn a_shape_of_another_size_is_an_error() {
        let with = |shape: &str| decode(Cursor::new(stored(&npy("<f8", shape, &[0; 16]))));
        assert_eq!(with("2,").unwrap()["a"].values, Values::F64(vec![0.0; 2]));
        for wrong in ["3,", "1,", "99999999999, 99999999999", "1099511627776,"] {
            assert!(with(wrong).unwrap_err().contains("16 bytes of values"), "{wrong}");
        }
    }

    #[test]
    fn headers_that_are_cut_or_longer_than_any_are_refused() {
        let refused = |array: &[u8]| decode(Cursor::new(stored(array))).unwrap_err();
        assert!(refused(b"\x93NUM").contains("cut short"));
        assert!(refused(b"text instead").contains("not an array"));
        assert!(refused(&[MAGIC, &[1, 0, 9]].concat()).contains("cut short"));
        assert!(refused(&[MAGIC, &[4, 0, 9, 0]].concat()).contains("version 4"));
        assert!(refused(&[MAGIC, &[2, 0], &u32::MAX.to_le_bytes()].concat()).contains("header of 4294967295 bytes"));
    }
}
