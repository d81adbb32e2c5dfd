//! Reads the golden files of tests/peers.

use safetensors::{Dtype, SafeTensors};
use std::{collections::BTreeMap, path::PathBuf};

/// All tensors of one golden file, widened to f64.
pub(crate) type Arrays = BTreeMap<String, Vec<f64>>;

/// The bytes of a golden file.
pub(crate) fn goldens(file: &str) -> Vec<u8> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/goldens")).join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The tensors of a golden file.
pub(crate) fn arrays(file: &str) -> Arrays {
    let bytes = goldens(file);
    let widen = |view: &safetensors::tensor::TensorView<'_>| -> Vec<f64> {
        let data = view.data();
        match view.dtype() {
            Dtype::F64 => data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            Dtype::I32 => data.chunks_exact(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            Dtype::I64 => data.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            other => panic!("{file}: unexpected type {other:?}"),
        }
    };
    SafeTensors::deserialize(&bytes).unwrap().iter().map(|(name, view)| (name.to_owned(), widen(&view))).collect()
}
