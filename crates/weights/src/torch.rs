//! Files of PyTorch: `torch.save` in the zip format (since 1.6) and in the legacy format before it, and TorchScript archives.
//!
//! All three hold a pickle, which [`crate::pickle`] reads without executing it, and storages: runs of numbers that the pickle's
//! tensors point into. Storages are read one at a time, and only if a requested tensor needs them.

use crate::{
    array::{Array, Dtype, StateDict},
    pickle::{self, Id, Node, Pickle, Storage, TensorRef},
    zip::Archive,
};
use std::{
    collections::{BTreeMap, HashMap},
    io::{Read, Seek, SeekFrom},
};

/// The largest pickle that is read; a network of a hundred thousand parameters needs less.
const MOST_PICKLE: u64 = 16 << 20;
/// A pickle may inflate to as many bytes as the archive has, and to this many in a smaller archive: the nodes that it makes take
/// many times its size.
const SMALL_PICKLE: u64 = 1 << 20;
/// Most bytes of the word that states the byte order.
const MOST_WORD: u64 = 16;
/// Most names in a state dictionary, counting every path, and the deepest nesting.
const MOST_NAMES: usize = 100_000;
const DEEPEST: usize = 32;
/// Most values of all tensors together, per byte of the file: one for tensors of bytes, and as many again for tied weights.
const VALUES_A_BYTE: u64 = 2;
/// The first bytes of the format before 1.6: a pickle of the number 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// Entries of a checkpoint that usually hold the network, in the order in which they are tried.
const USUAL_ENTRIES: [&str; 4] = ["state_dict", "model_state_dict", "unet_state_dict", "model"];

/// Whether a file begins like a file of PyTorch.
pub(crate) fn is_torch(start: &[u8]) -> bool {
    start.starts_with(b"PK\x03\x04") || start.starts_with(LEGACY_MAGIC)
}

/// What to do about a file that is refused here.
pub(crate) const ADVICE: &str =
    "give a state dictionary that torch.save wrote, or save it again: torch.save(model.state_dict(), FILE)";

/// Reads the state dictionary of a file: the pickle's result itself, the first item of a list, the tensors of a TorchScript module
/// by the paths of their attributes, or the entry called `entry`. The error says what is wrong.
pub(crate) fn read(mut file: impl Read + Seek, entry: Option<&str>) -> Result<StateDict, String> {
    let mut start = Vec::new();
    let read = file.by_ref().take(LEGACY_MAGIC.len() as u64).read_to_end(&mut start);
    let file_size = read.and_then(|_| file.seek(SeekFrom::End(0))).map_err(|error| error.to_string())?;
    file.rewind().map_err(|error| error.to_string())?;
    let (pickle, storages) = if start == LEGACY_MAGIC { open_legacy(file)? } else { open_zip(file)? };
    let wanted = select(&pickle, entry)?;
    TorchFile { pickle, storages, file_size }.load(&wanted)
}

struct TorchFile<R> {
    pickle: Pickle,
    storages: Storages<R>,
    /// Size of the file in bytes, which limits everything that is read from it.
    file_size: u64,
}

/// Where the storages are.
enum Storages<R> {
    /// In `FOLDER/data/KEY`.
    Zip { archive: Archive<R>, folder: String },
    /// One after the other; `places` says where the numbers of each begin.
    Legacy { file: R, places: HashMap<String, u64> },
}

impl<R: Read + Seek> TorchFile<R> {
    /// The tensors at `wanted`, by name.
    fn load(&mut self, wanted: &[(String, Id)]) -> Result<StateDict, String> {
        let mut by_storage: BTreeMap<&str, Vec<(&str, &TensorRef)>> = BTreeMap::new();
        let (mut values, mut bytes) = (0_u64, 0_u64);
        for (name, id) in wanted {
            let Node::Tensor(tensor) = self.pickle.node(*id) else { continue };
            by_storage.entry(&tensor.storage.key).or_default().push((name, tensor));
            values = values.saturating_add(tensor.place.len().map_or(u64::MAX, |len| len as u64));
        }
        let too_large = || "its tensors are larger than the file that holds them".to_owned();
        if values > VALUES_A_BYTE.saturating_mul(self.file_size) {
            return Err(too_large());
        }
        let mut arrays = StateDict::new();
        for tensors in by_storage.values() {
            let Storage { key, dtype, len } = &tensors[0].1.storage;
            let size = (*len as u64).checked_mul(dtype.size() as u64).ok_or_else(too_large)?;
            bytes = bytes.saturating_add(size);
            if bytes > self.file_size {
                return Err(too_large());
            }
            let numbers = self.storages.read(key, size).map_err(|problem| format!("storage {key}: {problem}"))?;
            for (name, tensor) in tensors {
                let array = read_tensor(&numbers, tensor, *dtype).map_err(|problem| format!("{name}: {problem}"))?;
                arrays.insert((*name).to_owned(), array);
            }
        }
        Ok(arrays)
    }
}

fn read_tensor(bytes: &[u8], tensor: &TensorRef, dtype: Dtype) -> Result<Array, String> {
    if tensor.storage.dtype != dtype {
        return Err(format!("its storage is read as {dtype:?} and as {:?}, expected one type", tensor.storage.dtype));
    }
    tensor.place.read(bytes, dtype)
}

impl<R: Read + Seek> Storages<R> {
    fn read(&mut self, key: &str, size: u64) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        match self {
            Self::Zip { archive, folder } => {
                let file = archive.read(&format!("{folder}/data/{key}"), size)?;
                bytes = file.ok_or("not in the archive")?;
            }
            Self::Legacy { file, places } => {
                let place = places.get(key).ok_or("not in the file")?;
                let read = file.seek(SeekFrom::Start(*place)).and_then(|_| file.take(size).read_to_end(&mut bytes));
                read.map_err(|error| error.to_string())?;
            }
        }
        if bytes.len() as u64 != size {
            return Err(format!("{} bytes, expected {size}", bytes.len()));
        }
        Ok(bytes)
    }
}

type Opened<R> = Result<(Pickle, Storages<R>), String>;

fn open_zip<R: Read + Seek>(file: R) -> Opened<R> {
    let mut archive = Archive::open(file)?;
    let top = |name: &str| name.strip_suffix("/data.pkl").filter(|f| !f.contains('/')).map(str::to_owned);
    let folder = archive.names().find_map(top);
    let folder =
        folder.ok_or("an archive without data.pkl at its top, expected one of torch.save or torch.jit.save")?;
    let order = archive.read(&format!("{folder}/byteorder"), MOST_WORD)?;
    if let Some(order) = order.filter(|order| order != b"little") {
        return Err(format!("byte order {:?}, expected little", String::from_utf8_lossy(&order)));
    }
    let script = archive.contains(&format!("{folder}/constants.pkl"));
    let most = MOST_PICKLE.min(archive.size().max(SMALL_PICKLE));
    let bytes = archive.read(&format!("{folder}/data.pkl"), most)?.unwrap_or_default();
    let (pickle, _) = pickle::read(&bytes, script)?;
    Ok((pickle, Storages::Zip { archive, folder }))
}

/// Opens the legacy format: magic number, protocol, facts about the machine, the object, the keys of the storages; then for each
/// key its number of values and the values.
fn open_legacy<R: Read + Seek>(mut file: R) -> Opened<R> {
    let mut start = Vec::new();
    file.by_ref().take(MOST_PICKLE).read_to_end(&mut start).map_err(|error| error.to_string())?;
    let mut at = 0;
    let mut next = || {
        let (pickle, length) = pickle::read(&start[at..], false)?;
        at += length;
        Ok::<Pickle, String>(pickle)
    };
    next()?;
    next()?;
    let machine = next()?;
    let big_endian =
        machine.entries(machine.root).into_iter().flatten().any(|&(key, value)| {
            machine.text(key) == Some("little_endian") && *machine.node(value) == Node::Bool(false)
        });
    if big_endian {
        return Err("byte order big, expected little".to_owned());
    }
    let (object, keys) = (next()?, next()?);
    let Node::List(items) = keys.node(keys.root) else { return Err("no list of storages".to_owned()) };
    let types: HashMap<&str, Dtype> = object.storages().map(|storage| (storage.key.as_str(), storage.dtype)).collect();
    let mut places = HashMap::new();
    let mut place = at as u64;
    for &item in items {
        let key = keys.text(item).ok_or("a storage's key that is not text")?;
        let dtype = types.get(key).ok_or_else(|| format!("storage {key:?} is in the file, but no tensor needs it"))?;
        let mut count = [0; 8];
        let read = file.seek(SeekFrom::Start(place)).and_then(|_| file.read_exact(&mut count));
        read.map_err(|error| format!("the file ends within its storages ({error})"))?;
        places.insert(key.to_owned(), place + 8);
        let size = u64::from_le_bytes(count).checked_mul(dtype.size() as u64);
        place = size.and_then(|size| place.checked_add(8)?.checked_add(size)).ok_or("a storage beyond the file")?;
    }
    Ok((object, Storages::Legacy { file, places }))
}

/// The tensors that make the state dictionary, by name.
fn select(pickle: &Pickle, entry: Option<&str>) -> Result<Vec<(String, Id)>, String> {
    let top = match pickle.node(pickle.root) {
        Node::List(items) | Node::Tuple(items) if entry.is_none() => {
            items.first().copied().ok_or("an empty list, expected a state dictionary first")?
        }
        _ => pickle.root,
    };
    let entries = pickle.entries(top).ok_or("no dictionary, expected a state dictionary")?;
    let named: Vec<(&str, Id)> = entries.iter().filter_map(|&(key, value)| Some((pickle.text(key)?, value))).collect();
    let holds_tensors = |id: Id| {
        let entries = pickle.entries(id).into_iter().flatten();
        entries.into_iter().any(|&(_, value)| matches!(pickle.node(value), Node::Tensor(_)))
    };
    let is_module = matches!(pickle.node(top), Node::Module(_));
    let chosen = match entry {
        Some(entry) => named.iter().find(|(name, _)| *name == entry).map(|&(_, id)| id).ok_or_else(|| {
            let names: Vec<&str> = named.iter().map(|&(name, _)| name).take(20).collect();
            format!("no entry {entry:?}; the file has {}", names.join(", "))
        })?,
        None if is_module
            || holds_tensors(top)
                && !named.iter().any(|&(name, id)| USUAL_ENTRIES.contains(&name) && holds_tensors(id)) =>
        {
            top
        }
        None => {
            let inner: Vec<(&str, Id)> = named.iter().copied().filter(|&(_, id)| holds_tensors(id)).collect();
            let usual = USUAL_ENTRIES.iter().find_map(|usual| inner.iter().find(|(name, _)| name == usual));
            match (usual, inner.as_slice()) {
                (Some(&(_, id)), _) | (None, &[(_, id)]) => id,
                (None, []) => return Err("a dictionary without tensors".to_owned()),
                (None, inner) => {
                    let names: Vec<&str> = inner.iter().map(|&(name, _)| name).take(20).collect();
                    return Err(format!("several state dictionaries ({}): choose one with --entry", names.join(", ")));
                }
            }
        }
    };
    collect(pickle, chosen)
}

/// Every tensor below a dictionary, by the path of its keys.
fn collect(pickle: &Pickle, root: Id) -> Result<Vec<(String, Id)>, String> {
    let mut found = Vec::new();
    let mut visits = 0;
    let mut left = vec![(String::new(), root, 0)];
    while let Some((path, id, depth)) = left.pop() {
        for &(key, value) in pickle.entries(id).into_iter().flatten() {
            visits += 1;
            if visits > MOST_NAMES || depth > DEEPEST {
                return Err(format!("more than {MOST_NAMES} names, or nested deeper than {DEEPEST}"));
            }
            let Some(key) = pickle.text(key) else { continue };
            if key.len() > 1000 {
                return Err("a name of more than 1000 bytes".to_owned());
            }
            let name = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            match pickle.node(value) {
                Node::Tensor(_) => found.push((name, value)),
                Node::Dict(_) | Node::Module(_) => left.push((name, value, depth + 1)),
                _ => {}
            }
        }
    }
    found.sort();
    if let Some(twice) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("{:?} occurs twice", twice[0].0));
    }
    Ok(found)
}
