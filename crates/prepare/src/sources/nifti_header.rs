//! Headers of volumes: NIfTI-1, NIfTI-2, and Analyze 7.5, from which NIfTI comes.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use nifti::{Endianness, NiftiHeader};

/// Bytes of a header of NIfTI-1 and of Analyze.
const SIZE: i32 = 348;

/// Bytes of a header of NIfTI-2.
const SIZE_2: i32 = 540;

/// A header as one of NIfTI-1.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) header: NiftiHeader,
    /// The least offset of the voxels in their file.
    pub(super) least: u64,
    /// Whether the voxels are in a file of their own.
    pub(super) beside: bool,
}

/// The file that holds the voxels if `header` holds nothing else: `a.img` or `a.img.gz` for `a.hdr` and `a.hdr.gz`; `None` for other names.
pub(crate) fn data_file(header: &Path) -> Option<PathBuf> {
    let name = header.file_name()?.to_str()?;
    let lower = name.to_ascii_lowercase();
    let ending = [".hdr", ".hdr.gz"].into_iter().find(|ending| lower.ends_with(ending))?;
    let bare = &name[..name.len() - ending.len()];
    let [first, others @ ..] =
        [".img", ".img.gz", ".IMG"].map(|ending| header.with_file_name(format!("{bare}{ending}")));
    if first.exists() { Some(first) } else { Some(others.into_iter().find(|path| path.exists()).unwrap_or(first)) }
}

/// Whether a file that begins with these bytes, or consists of them, begins with such a header. Headers of Analyze have no mark, but they
/// are whole files.
pub(crate) fn is_header(head: &[u8]) -> bool {
    let is_of = |size: i32| head.get(..4) == Some(&size.to_le_bytes()) || head.get(..4) == Some(&size.to_be_bytes());
    let marked = matches!(head.get(344..347), Some(b"n+1" | b"ni1")) || head.len() == SIZE as usize;
    is_of(SIZE) && marked || is_of(SIZE_2) && matches!(head.get(4..7), Some(b"n+2" | b"ni2"))
}

/// Reads the header at the beginning of `file`, which is named as a header alone if `is_named_so`. A problem is given in words.
pub(super) fn read(file: &mut File, is_named_so: bool) -> Result<Parsed, String> {
    let mut bytes = Vec::with_capacity(SIZE_2 as usize);
    let read = file.rewind().and_then(|()| file.by_ref().take(SIZE_2 as u64).read_to_end(&mut bytes));
    read.map_err(|error| error.to_string())?;
    let sizes = bytes.first_chunk::<4>().map_or([0; 2], |&size| [i32::from_le_bytes(size), i32::from_be_bytes(size)]);
    if let (Some(place), Some(mark)) = (sizes.iter().position(|&size| size == SIZE_2), bytes.get(4..7)) {
        let beside = is_named_so && mark != b"n+2";
        let least = if beside { 0 } else { SIZE_2 as u64 + 4 };
        return Ok(Parsed { header: version_2(&bytes, place == 1)?, least, beside });
    }
    let beside = is_named_so && bytes.get(344..347) != Some(b"n+1");
    if beside && sizes.contains(&SIZE) && bytes.len() >= SIZE as usize && &bytes[344..347] != b"ni1" {
        // Analyze: there is no intercept, and other things are in place of the codes of qform and sform.
        bytes[116..120].fill(0);
        bytes[252..256].fill(0);
        bytes[344..348].copy_from_slice(b"ni1\0");
    }
    let header = NiftiHeader::from_reader(bytes.as_slice()).map_err(|error| error.to_string())?;
    Ok(Parsed { header, least: if beside { 0 } else { SIZE as u64 + 4 }, beside })
}

/// A header of NIfTI-2.
fn version_2(bytes: &[u8], big_endian: bool) -> Result<NiftiHeader, String> {
    if bytes.len() < SIZE_2 as usize {
        return Err(format!("{} bytes of a NIfTI-2 header of {SIZE_2}", bytes.len()));
    }
    let word = |at: usize, count: usize| {
        let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        let word = &bytes[at..at + count];
        if big_endian { word.iter().fold(0, add) } else { word.iter().rev().fold(0, add) }
    };
    let float = |at: usize| f64::from_bits(word(at, 8)) as f32;
    let row = |at: usize| std::array::from_fn(|column| float(at + 8 * column));
    let dimension = |axis: usize| {
        let size = word(16 + 8 * axis, 8) as i64;
        u16::try_from(size).map_err(|_| format!("a dimension of {size}, which is not 0 to {}", u16::MAX))
    };
    let mut dim = [0; 8];
    for (axis, size) in dim.iter_mut().enumerate() {
        *size = dimension(axis)?;
    }
    let offset = word(168, 8) as i64;
    let vox_offset = offset as f32;
    // The header of NIfTI-1 holds it as a float.
    if vox_offset as i64 != offset {
        return Err(format!("an offset of {offset}"));
    }
    Ok(NiftiHeader {
        sizeof_hdr: SIZE_2,
        dim,
        datatype: word(12, 2) as i16,
        bitpix: word(14, 2) as i16,
        pixdim: std::array::from_fn(|axis| float(104 + 8 * axis)),
        vox_offset,
        scl_slope: float(176),
        scl_inter: float(184),
        qform_code: word(344, 4) as i16,
        sform_code: word(348, 4) as i16,
        quatern_b: float(352),
        quatern_c: float(360),
        quatern_d: float(368),
        quatern_x: float(376),
        quatern_y: float(384),
        quatern_z: float(392),
        srow_x: row(400),
        srow_y: row(432),
        srow_z: row(464),
        endianness: if big_endian { Endianness::Big } else { Endianness::Little },
        ..NiftiHeader::default()
    })
}
