//! Models in several files with an index.

use pig_weights::file;
use sha2::{Digest, Sha256};
use std::path::Path;

/// A safetensors file of arrays of one number, written here from the format's documentation.
fn safetensors(arrays: &[(&str, f32)]) -> Vec<u8> {
    let infos: Vec<String> = arrays
        .iter()
        .enumerate()
        .map(|(i, (name, _))| {
            format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[{},{}]}}"#, 4 * i, 4 * i + 4)
        })
        .collect();
    let header = format!("{{{}}}", infos.join(","));
    let values: Vec<u8> = arrays.iter().flat_map(|(_, value)| value.to_le_bytes()).collect();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &values].concat()
}

/// A folder with `a` in one file and `b` and `c` in another, and this index; the message of reading it.
fn refused(index: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let path = folder.path().join("model.safetensors.index.json");
    std::fs::write(&path, index).unwrap();
    file::read(&path, None).unwrap_err().to_string()
}

fn files(folder: &Path) {
    std::fs::write(folder.join("one"), safetensors(&[("a", 1.0)])).unwrap();
    std::fs::write(folder.join("two"), safetensors(&[("b", 2.0), ("c", 3.0)])).unwrap();
}

#[test]
fn arrays_of_all_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    files(folder.path());
    let path = folder.path().join("any name");
    let index = r#"{"metadata": {"total_size": 12}, "weight_map": {"a": "one", "b": "two", "c": "two"}}"#;
    std::fs::write(&path, index).unwrap();
    let found = file::read(&path, None).unwrap();
    let values: Vec<(&str, f32)> = found.arrays.iter().map(|(name, a)| (name.as_str(), a.values[0])).collect();
    assert_eq!(values, [("a", 1.0), ("b", 2.0), ("c", 3.0)]);
    let all = [&path, &folder.path().join("one"), &folder.path().join("two")].map(|path| std::fs::read(path).unwrap());
    let hash = format!("{:x}", Sha256::digest(all.concat()));
    assert_eq!(found.sha256, hash);
}

#[test]
fn an_index_that_does_not_fit_its_files_is_refused() {
    for (index, part) in [
        (r#"{"weight_map": {"a": "one", "b": "two"}}"#, "two holds c, which the index does not name"),
        (r#"{"weight_map": {"a": "two", "b": "two", "c": "two"}}"#, "a is not in two"),
        (r#"{"weight_map": {"a": "one", "b": "one", "c": "two"}}"#, "b is not in one"),
        (r#"{"weight_map": {"a": "one", "b": "two", "c": "one"}}"#, "c is not in one"),
        (r#"{"weight_map": {"a": "two", "b": "one", "c": "two"}}"#, "a is in one, but the index says two"),
        (r#"{"weight_map": {"a": "one", "b": "three", "c": "two"}}"#, "three: cannot read"),
        (r#"{"weight_map": {"a": "../one"}}"#, r#""../one" is not the name of a file beside it"#),
        (r#"{"weight_map": {"a": "/dev/zero"}}"#, "is not the name of a file beside it"),
        (r#"{"_class_name": "UNet2DModel"}"#, "no index of weights"),
        (r#"{"weight_map": {"a": "model.safetensors.index.json"}}"#, "neither safetensors"),
    ] {
        let message = refused(index);
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
}

#[test]
fn a_tar_archive_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.pth");
    let mut tar = vec![0; 1024];
    tar[..8].copy_from_slice(b"sys_info");
    tar[257..262].copy_from_slice(b"ustar");
    std::fs::write(&path, tar).unwrap();
    let message = file::read(&path, None).unwrap_err().to_string();
    assert!(message.contains("a tar archive") && message.contains("torch.save(model.state_dict(), FILE)"), "{message}");
}
