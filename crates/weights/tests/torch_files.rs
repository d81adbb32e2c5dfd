//! Compares files that torch wrote (tests/peers/torch_files.py) with the arrays that torch says they hold.

use pig_weights::{StateDict, file};
use std::path::{Path, PathBuf};

/// The committed files, or new ones that torch writes for `.ci/peers`.
fn at(name: &str) -> PathBuf {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/torch_files");
    Path::new(&std::env::var("PIG_TORCH_FILES").unwrap_or_else(|_| committed.to_owned())).join(name)
}

fn read(name: &str, entry: Option<&str>) -> StateDict {
    file::read(&at(name), entry).unwrap_or_else(|error| panic!("{error}")).arrays
}

fn refused(name: &str, entry: Option<&str>) -> String {
    file::read(&at(name), entry).unwrap_err().to_string()
}

#[test]
fn every_type_view_and_format_holds_the_same_arrays() {
    let wanted = read("tensors.safetensors", None);
    assert_eq!(wanted.len(), 15);
    for name in ["tensors.pth", "tensors_legacy.pth"] {
        assert_eq!(read(name, None), wanted, "{name}");
    }
    assert_eq!(wanted["transposed"].shape, [6, 4]);
    assert_eq!(wanted["transposed"].values[..3], [-6.0, -3.0, 0.0]);
}

#[test]
fn a_script_s_tensors_are_named_by_their_path() {
    assert_eq!(read("block_script.pt", None), read("block.safetensors", None));
}

#[test]
fn a_list_s_first_dictionary_is_the_network() {
    let found = read("released.pth", None);
    let renamed: StateDict =
        found.into_iter().map(|(name, array)| (name.strip_prefix("module.").unwrap().to_owned(), array)).collect();
    assert_eq!(renamed, read("block.safetensors", None));
}

#[test]
fn checkpoints_are_entered_by_their_usual_names_or_by_the_one_that_is_asked_for() {
    let wanted = read("block.safetensors", None);
    assert_eq!(read("checkpoint.pth", None), wanted);
    assert_eq!(read("two_networks.pth", Some("decoder")), wanted);
    let message = refused("two_networks.pth", None);
    assert!(message.contains("encoder, decoder") && message.contains("--entry"), "{message}");
    let message = refused("two_networks.pth", Some("other"));
    assert!(message.contains("\"other\"") && message.contains("encoder, decoder, loss"), "{message}");
}

#[test]
fn parameters_are_their_tensors() {
    let found = read("parameters.pth", None);
    let wanted = read("block.safetensors", None);
    assert_eq!(found.len(), 4);
    for (name, array) in found {
        assert_eq!(array, wanted[&name], "{name}");
    }
}

#[test]
fn a_whole_module_is_code_and_refused() {
    let message = refused("whole_module.pth", None);
    assert!(message.contains("whole_module.pth") && message.contains("torch.nn.modules.linear.Linear"), "{message}");
    assert!(message.contains("state_dict"), "{message}");
}

/// Any truncated file gives an error, never a panic and never a part of the arrays.
#[test]
fn files_cut_anywhere_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tensors.pth", "tensors_legacy.pth", "block_script.pt", "tensors.safetensors"] {
        let whole = std::fs::read(at(name)).unwrap();
        let path = folder.path().join(name);
        for length in (0..whole.len()).step_by(61) {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(file::read(&path, None).is_err(), "{name} cut to {length} bytes");
        }
    }
}

/// A flipped bit gives an error, or the same or other numbers, but never a panic. Archives detect it by their checksums.
#[test]
fn flipped_bits_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tensors.pth", "tensors_legacy.pth", "block_script.pt"] {
        let whole = std::fs::read(at(name)).unwrap();
        let path = folder.path().join(name);
        for place in (0..whole.len()).step_by(23) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            std::fs::write(&path, &bytes).unwrap();
            let _ = file::read(&path, None);
        }
    }
}

/// The file with every checksum of its directory replaced by `checksum`, wherever it is not 0 already.
fn with_checksums(name: &str, checksum: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(at(name)).unwrap();
    let records: Vec<usize> = (0..bytes.len() - 4).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02")).collect();
    assert!(records.len() > 3, "{name}: {} files", records.len());
    for record in records {
        bytes[record + 16..record + 20].copy_from_slice(&checksum.to_le_bytes());
    }
    bytes
}

/// As torch writes them after `torch.serialization.set_crc32_options(False)`.
#[test]
fn files_without_checksums_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, wanted) in [("tensors.pth", "tensors.safetensors"), ("block_script.pt", "block.safetensors")] {
        let (path, whole) = (folder.path().join(name), with_checksums(name, 0));
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(file::read(&path, None).unwrap().arrays, read(wanted, None), "{name}");
        for length in (0..whole.len()).step_by(611) {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(file::read(&path, None).is_err(), "{name} cut to {length} bytes");
        }
        // A checksum that is there counts.
        std::fs::write(&path, with_checksums(name, 1)).unwrap();
        let message = file::read(&path, None).unwrap_err().to_string();
        assert!(message.contains("checksum"), "{message}");
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    // If it were opened, this test would never end.
    for message in
        [file::read(&path, None).unwrap_err().to_string(), pig_weights::npz::read(&path).unwrap_err().to_string()]
    {
        assert!(message.contains("model.pth: cannot read: it is a pipe"), "{message}");
    }
}

#[test]
fn hashes_are_the_file_s() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("abc");
    std::fs::write(&path, "abc").unwrap();
    let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(file::sha256_of_file(&path).unwrap(), wanted);
}
