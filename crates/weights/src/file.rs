//! Reads a file of weights in any of the supported formats.

use crate::{
    Error, Result,
    array::{Array, Dtype, StateDict},
    sharded::{self, Index},
    torch,
};
use safetensors::tensor::Metadata;
use sha2::{Digest, Sha256};
use std::{
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Largest safetensors header; the format's own reader has the same limit.
const MOST_HEADER: u64 = 100_000_000;
/// Number of first bytes that tell the format.
const START: u64 = 264;
/// Where a tar archive has its magic word, and the word.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// What a pointer of Git LFS begins with.
const LFS: &[u8] = b"version https://git-lfs";

/// The arrays of a file, with the file's hash.
#[derive(Clone, Debug)]
pub struct Weights {
    /// The arrays.
    pub arrays: StateDict,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// Reads safetensors, `torch.save` files (`.pth`, `.pt`, `.bin`), TorchScript archives, and the index of a model in several such files;
/// the first bytes tell the format. `entry` names one of several state dictionaries in a checkpoint. The hash of a model in several
/// files is that of the index and the files, one after the other.
pub fn read(path: &Path, entry: Option<&str>) -> Result<Weights> {
    let mut start = Vec::new();
    let read = pig_files::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
    read.map_err(Error::io(path, "read"))?;
    if sharded::is_index(&start) {
        return read_sharded(path, entry);
    }
    Ok(Weights { arrays: read_one(path, entry)?, sha256: sha256_of_file(path)? })
}

fn read_one(path: &Path, entry: Option<&str>) -> Result<StateDict> {
    let file = pig_files::open(path).map_err(Error::io(path, "read"))?;
    decode(BufReader::new(file), entry).map_err(|(problem, advice)| Error::BadFile {
        path: path.to_owned(),
        problem,
        advice,
    })
}

fn read_sharded(path: &Path, entry: Option<&str>) -> Result<Weights> {
    let bad = |problem: String| Error::BadFile { path: path.to_owned(), problem, advice: sharded::ADVICE };
    let mut text = Vec::new();
    let read = pig_files::open(path).and_then(|file| file.take(sharded::MOST_INDEX + 1).read_to_end(&mut text));
    read.map_err(Error::io(path, "read"))?;
    if text.len() as u64 > sharded::MOST_INDEX {
        return Err(bad(format!("more than {} bytes, expected an index of weights", sharded::MOST_INDEX)));
    }
    let index = Index::parse(&text).map_err(bad)?;
    let (mut arrays, mut files) = (StateDict::new(), vec![path.to_owned()]);
    for name in index.files() {
        let file = path.with_file_name(name);
        let found = read_one(&file, entry)?;
        index.check(name, &found).map_err(bad)?;
        arrays.extend(found);
        files.push(file);
    }
    Ok(Weights { arrays, sha256: sha256_of_files(&files)? })
}

/// What is wrong with a file, and what to do.
pub type Problem = (String, &'static str);

/// Reads the arrays as [`read`] does, but from any reader.
pub fn decode(mut file: impl Read + Seek, entry: Option<&str>) -> std::result::Result<StateDict, Problem> {
    const DAMAGED: &str = "the file is damaged; fetch or save it again";
    let mut start = Vec::new();
    let read = file.by_ref().take(START).read_to_end(&mut start).and_then(|_| file.rewind());
    read.map_err(|error| (error.to_string(), DAMAGED))?;
    if torch::is_torch(&start) {
        torch::read(file, entry).map_err(|problem| (problem, torch::ADVICE))
    } else if start.get(8) == Some(&b'{') {
        read_safetensors(file).map_err(|problem| (problem, DAMAGED))
    } else if start.starts_with(LFS) {
        let problem = "a pointer of Git LFS in place of the file, which was not fetched".to_owned();
        Err((problem, "fetch it with `git lfs pull`, or download the file"))
    } else if start.get(TAR.0..).is_some_and(|rest| rest.starts_with(TAR.1)) {
        let problem = "a tar archive, such as PyTorch wrote before version 0.1.10".to_owned();
        Err((problem, "load it with PyTorch and save its state dictionary again: torch.save(model.state_dict(), FILE)"))
    } else {
        let problem = "neither safetensors nor a file of torch.save or torch.jit.save";
        Err((problem.to_owned(), "give a file in one of these formats; a bare pickle is never read"))
    }
}

/// SHA-256 of a file, in hexadecimal.
pub fn sha256_of_file(path: &Path) -> Result<String> {
    sha256_of_files(&[path.to_owned()])
}

/// SHA-256 of files, one after the other.
fn sha256_of_files(paths: &[PathBuf]) -> Result<String> {
    let mut hasher = Sha256::new();
    for path in paths {
        let copied = pig_files::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher));
        copied.map_err(Error::io(path, "read"))?;
    }
    Ok(pig_files::hex(&hasher.finalize()))
}

/// Reads a safetensors file array by array, so that it is never in memory twice.
fn read_safetensors(mut file: impl Read + Seek) -> std::result::Result<StateDict, String> {
    let io = |error: std::io::Error| error.to_string();
    let file_size = file.seek(SeekFrom::End(0)).and_then(|size| file.rewind().map(|()| size)).map_err(io)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(io)?;
    let header_size = u64::from_le_bytes(length);
    if header_size > MOST_HEADER.min(file_size.saturating_sub(8)) {
        return Err(format!("a header of {header_size} bytes in a file of {file_size} bytes"));
    }
    let mut header = Vec::new();
    file.by_ref().take(header_size).read_to_end(&mut header).map_err(io)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| error.to_string())?;
    let first = 8 + header_size;
    let mut left = file_size - first;
    let mut arrays = StateDict::new();
    for (name, info) in metadata.tensors() {
        let dtype =
            dtype(info.dtype).ok_or_else(|| format!("{name} has the type {:?}, which is not supported", info.dtype))?;
        let (from, to) = info.data_offsets;
        let size = info.shape.iter().try_fold(dtype.size(), |size, &axis| size.checked_mul(axis));
        let fits = |&size: &usize| to.checked_sub(from) == Some(size) && size as u64 <= left && to as u64 <= file_size;
        let Some(size) = size.filter(fits) else {
            let shape = &info.shape;
            return Err(format!(
                "{name}: {dtype:?} of shape {shape:?} does not fit bytes {from} to {to} of a file of {file_size} bytes"
            ));
        };
        left -= size as u64;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(first + from as u64)).map_err(io)?;
        file.by_ref().take(size as u64).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() != size {
            return Err(format!("{name}: the file ends within its values"));
        }
        arrays.insert(name, Array { shape: info.shape.clone(), values: dtype.numbers(&bytes) });
    }
    Ok(arrays)
}

fn dtype(dtype: safetensors::Dtype) -> Option<Dtype> {
    Some(match dtype {
        safetensors::Dtype::F64 => Dtype::F64,
        safetensors::Dtype::F32 => Dtype::F32,
        safetensors::Dtype::F16 => Dtype::F16,
        safetensors::Dtype::BF16 => Dtype::Bf16,
        safetensors::Dtype::I64 => Dtype::I64,
        safetensors::Dtype::I32 => Dtype::I32,
        safetensors::Dtype::I16 => Dtype::I16,
        safetensors::Dtype::I8 => Dtype::I8,
        safetensors::Dtype::U8 => Dtype::U8,
        safetensors::Dtype::BOOL => Dtype::Bool,
        _ => return None,
    })
}
