//! NIfTI volumes, read slice by slice: the file stays on disk, whatever its size.
//!
//! The crate `nifti` parses the header; voxels are read from the file when they are needed. A compressed file is first
//! unpacked into an unnamed temporary file. With the file's axes i, j, k, the rows of a slice along k run along i and its
//! columns along j; those of a slice along j run along i and k; those of a slice along i run along j and k. This is the
//! order of arrays in SimpleITK, without reorientation.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use flate2::bufread::GzDecoder;
use nifti::{Endianness, NiftiHeader, NiftiType};

use super::cost::within;
use super::geometry::{Geometry, StoredRange};
use super::nifti_header::{self, Parsed, data_file};
use crate::affine::Affine;
use crate::channel::ChannelChoice;
use crate::error::{PrepareError, Result};

/// How many bytes of slices along i are collected in one pass over the file.
const GATHERED_BYTES: usize = 64 << 20;

/// How many bytes of the file are read at once.
const BLOCK_BYTES: usize = 4 << 20;

/// An open NIfTI volume.
#[derive(Debug)]
pub struct NiftiVolume {
    path: PathBuf,
    file: Mutex<File>,
    /// Voxels along i, j, k.
    dimensions: [usize; 3],
    axis: usize,
    kind: NiftiType,
    big_endian: bool,
    offset: u64,
    slope: f64,
    intercept: f64,
    spacing: [f64; 3],
    affine: Affine,
}

impl NiftiVolume {
    /// Opens a file with two or three dimensions, to be sliced along `axis` (0, 1 or 2; a file with two dimensions is one slice):
    /// `.nii` of NIfTI-1 or NIfTI-2, or the `.hdr` of a pair with `.img` of NIfTI or Analyze 7.5, each also packed by gzip.
    ///
    /// # Errors
    /// When the file is not a NIfTI file, is truncated, has more dimensions or voxels of another type, or a slice would take
    /// more than `max_bytes`.
    pub fn open(path: &Path, axis: usize, max_bytes: u64) -> Result<Self> {
        Self::open_one(path, None, axis, max_bytes)
    }

    /// As [`Self::open`], but of a file that has channels (or points in time) as a further dimension, only the one that is chosen.
    ///
    /// # Errors
    /// As [`Self::open`], and when none of several channels is chosen, or one that the file does not have.
    pub fn open_channel(path: &Path, channel: &ChannelChoice, axis: usize, max_bytes: u64) -> Result<Self> {
        Self::open_one(path, Some(channel), axis, max_bytes)
    }

    fn open_one(path: &Path, channel: Option<&ChannelChoice>, axis: usize, max_bytes: u64) -> Result<Self> {
        let wrong = |problem: String, expected| PrepareError::Nifti { path: path.to_path_buf(), problem, expected };
        let mut file = plain_file(path, max_bytes)?;
        let voxels = data_file(path);
        let Parsed { header, least, beside } = nifti_header::read(&mut file, voxels.is_some())
            .map_err(|problem| wrong(problem, "a header of NIfTI-1, NIfTI-2 or Analyze"))?;
        if let Some(voxels) = voxels.filter(|_| beside) {
            file = plain_file(&voxels, max_bytes)?;
        }
        let length = file.seek(SeekFrom::End(0)).map_err(PrepareError::io(path, "read"))?;
        let count = usize::from(header.dim[0]);
        let sizes: Vec<usize> = header.dim[1..].iter().take(count).map(|&size| usize::from(size)).collect();
        let others: Vec<usize> = sizes.iter().skip(3).copied().filter(|&size| size != 1).collect();
        let is_readable = sizes.len() >= 2 && sizes.iter().all(|&size| size > 0);
        // Channels are the fourth dimension or, as ITK writes them, the fifth.
        let most = usize::from(channel.is_some());
        if !is_readable || others.len() > most {
            let expected = if channel.is_some() {
                "two or three dimensions, none of them 0, and at most one of channels behind them"
            } else {
                "two or three dimensions, none of them 0, and of several volumes a file for each, as fslsplit writes them"
            };
            return Err(wrong(format!("dimensions {sizes:?}"), expected));
        }
        let channels = others.first().copied().unwrap_or(1);
        let chosen = channel.map_or(Ok(0), |channel| channel.of(path, channels))?;
        let dimensions = [sizes[0], sizes[1], sizes.get(2).copied().unwrap_or(1)];
        let kind = header.data_type().map_err(|_| wrong(format!("data type {}", header.datatype), NUMBERS))?;
        if !is_number(kind) {
            return Err(wrong(format!("data type {kind:?}"), NUMBERS));
        }
        if !(header.vox_offset.is_finite() && header.vox_offset >= 0.0) {
            return Err(wrong(format!("an offset of {}", header.vox_offset), "an offset of 352 or more"));
        }
        let offset = (header.vox_offset as u64).max(least);
        // Each dimension is below 2^16, so three of them and the bytes of a voxel stay below 2^64.
        let channel_bytes = dimensions.iter().map(|&size| size as u64).product::<u64>() * kind.size_of() as u64;
        let needed = offset.saturating_add(channel_bytes.saturating_mul(channels as u64));
        if length < needed {
            return Err(wrong(
                format!("{length} bytes (unpacked)"),
                "as many bytes as the header's dimensions require",
            ));
        }
        let slope = f64::from(header.scl_slope);
        let scaled = slope.is_finite() && slope != 0.0;
        let intercept = f64::from(header.scl_inter);
        let volume = Self {
            path: path.to_path_buf(),
            file: Mutex::new(file),
            dimensions,
            axis: if dimensions[2] == 1 { 2 } else { axis },
            kind,
            big_endian: header.endianness == Endianness::Big,
            // Below the length of the file, which has all channels.
            offset: offset + chosen as u64 * channel_bytes,
            slope: if scaled { slope } else { 1.0 },
            intercept: if scaled && intercept.is_finite() { intercept } else { 0.0 },
            spacing: std::array::from_fn(|axis| f64::from(header.pixdim[axis + 1]).abs()),
            affine: affine(&header),
        };
        let [height, width] = volume.size();
        within(path, "a slice", (height * width * (kind.size_of() + 8)) as u64, max_bytes)?;
        if volume.axis == 0 { volume.gathered().map_err(PrepareError::io(path, "unpack")) } else { Ok(volume) }
    }

    /// Copies the volume to an unnamed temporary file in which the slices along i are contiguous. In the original file, the
    /// voxels of each such slice are spread over the whole file.
    fn gathered(mut self) -> std::io::Result<Self> {
        let [ni, nj, nk] = self.dimensions;
        let size = self.kind.size_of();
        let mut target = tempfile::tempfile()?;
        let slices = (GATHERED_BYTES / (nj * nk * size)).clamp(1, ni);
        let runs = (BLOCK_BYTES / (ni * size)).clamp(1, nj * nk);
        let mut block = vec![0; runs * ni * size];
        let mut gathered = vec![0; slices * nj * nk * size];
        let source = self.file.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        for first in (0..ni).step_by(slices) {
            let count = slices.min(ni - first);
            source.seek(SeekFrom::Start(self.offset))?;
            for start in (0..nj * nk).step_by(runs) {
                let block = &mut block[..runs.min(nj * nk - start) * ni * size];
                source.read_exact(block)?;
                for (run, voxels) in block.chunks_exact(ni * size).enumerate() {
                    for slice in 0..count {
                        let from = (first + slice) * size;
                        let to = (slice * nj * nk + start + run) * size;
                        gathered[to..to + size].copy_from_slice(&voxels[from..from + size]);
                    }
                }
            }
            target.write_all(&gathered[..count * nj * nk * size])?;
        }
        Ok(Self { file: Mutex::new(target), offset: 0, ..self })
    }

    /// How many slices there are along the axis.
    pub fn slices(&self) -> usize {
        self.dimensions[self.axis]
    }

    /// Height and width of a slice.
    pub fn size(&self) -> [usize; 2] {
        let [across, down] = self.plane_axes();
        [self.dimensions[down], self.dimensions[across]]
    }

    /// The axes of a slice's columns and rows.
    fn plane_axes(&self) -> [usize; 2] {
        match self.axis {
            0 => [1, 2],
            1 => [0, 2],
            _ => [0, 1],
        }
    }

    /// Spacing and position of slice 0.
    pub fn geometry(&self) -> Geometry {
        let [across, down] = self.plane_axes();
        let known = |axis: usize| self.spacing[axis] > 0.0 && self.spacing[axis].is_finite();
        let spacing = (known(across) && known(down)).then(|| [self.spacing[down], self.spacing[across]]);
        let order = [across, down, self.axis];
        let affine = self.affine.map(|row| [row[order[0]], row[order[1]], row[order[2]], row[3]]);
        let slice_spacing = (known(self.axis) && self.slices() > 1).then(|| self.spacing[self.axis]);
        Geometry { spacing, slice_spacing, affine: Some(affine) }
    }

    /// The range of the stored type after scaling; `None` for floating point.
    pub fn stored_range(&self) -> Option<StoredRange> {
        let (low, high) = match self.kind {
            NiftiType::Uint8 => (0.0, f64::from(u8::MAX)),
            NiftiType::Int8 => (f64::from(i8::MIN), f64::from(i8::MAX)),
            NiftiType::Uint16 => (0.0, f64::from(u16::MAX)),
            NiftiType::Int16 => (f64::from(i16::MIN), f64::from(i16::MAX)),
            NiftiType::Uint32 => (0.0, f64::from(u32::MAX)),
            NiftiType::Int32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
            _ => return None,
        };
        let ends = [low, high].map(|value| value * self.slope + self.intercept);
        Some(StoredRange { low: ends[0].min(ends[1]), high: ends[0].max(ends[1]) })
    }

    /// The scaled values of slice `index`, row by row. Values that are not finite become 0.
    pub fn slice(&self, index: usize) -> Result<Vec<f32>> {
        let mut values = self.labels(index)?;
        values.iter_mut().filter(|value| !value.is_finite()).for_each(|value| *value = 0.0);
        Ok(values)
    }

    /// As [`Self::slice`], with values that are not finite as they are: in a mask they are errors.
    pub fn labels(&self, index: usize) -> Result<Vec<f32>> {
        let bytes = self.slice_bytes(index).map_err(PrepareError::io(&self.path, "read"))?;
        Ok(self.decode(&bytes))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The stored bytes of a slice in the order of its rows.
    fn slice_bytes(&self, index: usize) -> std::io::Result<Vec<u8>> {
        let [ni, nj, nk] = self.dimensions;
        let size = self.kind.size_of();
        // A lock poisoned by a panic can be used: every read seeks first, so it does not depend on earlier reads.
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut read_at = |voxel: usize, buffer: &mut [u8]| {
            file.seek(SeekFrom::Start(self.offset + (voxel * size) as u64))?;
            file.read_exact(buffer)
        };
        let [height, width] = self.size();
        let mut bytes = vec![0; height * width * size];
        match self.axis {
            2 => read_at(index * ni * nj, &mut bytes)?,
            1 => {
                for (k, row) in bytes.chunks_exact_mut(ni * size).enumerate() {
                    read_at((k * nj + index) * ni, row)?;
                }
            }
            // Slices along i were made contiguous when the file was opened.
            _ => read_at(index * nj * nk, &mut bytes)?,
        }
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8]) -> Vec<f32> {
        let scaled = (self.slope, self.intercept) != (1.0, 0.0);
        let finish = |stored: f64| (if scaled { stored.mul_add(self.slope, self.intercept) } else { stored }) as f32;
        macro_rules! values {
            ($number:ty) => {{
                let word = |chunk: &[u8]| {
                    let mut word = [0; size_of::<$number>()];
                    word.copy_from_slice(chunk);
                    word
                };
                let chunks = bytes.chunks_exact(size_of::<$number>());
                if self.big_endian {
                    chunks.map(|chunk| finish(<$number>::from_be_bytes(word(chunk)) as f64)).collect()
                } else {
                    chunks.map(|chunk| finish(<$number>::from_le_bytes(word(chunk)) as f64)).collect()
                }
            }};
        }
        match self.kind {
            NiftiType::Int8 => values!(i8),
            NiftiType::Int16 => values!(i16),
            NiftiType::Uint16 => values!(u16),
            NiftiType::Int32 => values!(i32),
            NiftiType::Uint32 => values!(u32),
            NiftiType::Int64 => values!(i64),
            NiftiType::Uint64 => values!(u64),
            NiftiType::Float32 => values!(f32),
            NiftiType::Float64 => values!(f64),
            _ => values!(u8),
        }
    }
}

const NUMBERS: &str = "8 to 64 bit whole numbers, or 32 or 64 bit floating point";

fn is_number(kind: NiftiType) -> bool {
    use NiftiType::{Float32, Float64, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64};
    matches!(kind, Int8 | Uint8 | Int16 | Uint16 | Int32 | Uint32 | Int64 | Uint64 | Float32 | Float64)
}

/// The file itself, or, if it is compressed, an unnamed temporary file with its unpacked content.
fn plain_file(path: &Path, max_bytes: u64) -> Result<File> {
    let mut file = pig_files::open(path).map_err(PrepareError::io(path, "read"))?;
    let mut magic = [0; 2];
    let packed = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    file.rewind().map_err(PrepareError::io(path, "read"))?;
    if !packed {
        return Ok(file);
    }
    let mut unpacked = tempfile::tempfile().map_err(PrepareError::io(path, "unpack"))?;
    let damaged = |problem: String| PrepareError::Nifti {
        path: path.to_path_buf(),
        problem,
        expected: "a complete .nii.gz file",
    };
    let mut packed = BufReader::new(file);
    let mut block = vec![0; 1 << 16];
    let mut total = 0;
    // A file may have several members, one behind the other, and zeros behind the last, from tapes and block devices.
    while another_member(&mut packed).map_err(|error| damaged(format!("the gzip data are damaged ({error})")))? {
        let mut member = GzDecoder::new(&mut packed);
        loop {
            let count = member
                .read(&mut block)
                .map_err(|error| damaged(format!("the gzip data are damaged ({})", error.kind())))?;
            if count == 0 {
                break;
            }
            // A small file may unpack to a huge one.
            total += count as u64;
            within(path, "the unpacked file", total, max_bytes)?;
            unpacked.write_all(&block[..count]).map_err(PrepareError::io(path, "unpack"))?;
        }
    }
    Ok(unpacked)
}

/// Whether another gzip member follows; zeros up to the end of the file do not count as one.
fn another_member(packed: &mut BufReader<File>) -> std::io::Result<bool> {
    let mut zeros = false;
    loop {
        let bytes = packed.fill_buf()?;
        match bytes.iter().position(|&byte| byte != 0) {
            None if bytes.is_empty() => return Ok(false),
            None => {
                let count = bytes.len();
                zeros = true;
                packed.consume(count);
            }
            Some(0) if !zeros => return Ok(true),
            Some(_) => {
                let problem = "zeros with other bytes behind them";
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, problem));
            }
        }
    }
}

/// The affine from voxel (i, j, k) to RAS+ millimetres: the sform if it is set, else the qform, else only the spacing, as in
/// nibabel.
fn affine(header: &NiftiHeader) -> Affine {
    if header.sform_code > 0 {
        return [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from));
    }
    let spacing: [f64; 3] = std::array::from_fn(|axis| f64::from(header.pixdim[axis + 1]));
    if header.qform_code > 0 {
        return qform(header, spacing);
    }
    // nibabel's base affine: the centre of the volume is the origin, and the first axis is mirrored.
    std::array::from_fn(|row| {
        let mut line = [0.0; 4];
        let step = if row == 0 { -spacing[row] } else { spacing[row] };
        line[row] = step;
        let size = if usize::from(header.dim[0]) > row { f64::from(header.dim[row + 1]) } else { 1.0 };
        line[3] = -step * (size - 1.0) / 2.0;
        line
    })
}

/// The affine from a unit quaternion, spacings and offsets (NIfTI-1, method 2).
fn qform(header: &NiftiHeader, spacing: [f64; 3]) -> Affine {
    let [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
    let a = (1.0 - (b * b + c * c + d * d)).max(0.0).sqrt();
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    let flip = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let offsets = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
    let steps = [spacing[0], spacing[1], spacing[2] * flip];
    std::array::from_fn(|row| {
        [rotation[row][0] * steps[0], rotation[row][1] * steps[1], rotation[row][2] * steps[2], offsets[row]]
    })
}
