//! Shared code of the tests against networks of other libraries: weights by name, golden files, and errors of results.

#![allow(dead_code, reason = "each test file uses only a part")]

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Gradients, Tensor, TensorData},
};
use pig_device::testing;
use pig_nn::parameters::{export, import, name_hash};
use pig_weights::{Array, StateDict};
use safetensors::SafeTensors;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The largest accepted difference of outputs, relative to the largest output; PyTorch in f32 has an error of 1e-6.
pub(crate) const OUTPUT_TOLERANCE: f64 = 5e-6;
/// The largest accepted difference of gradients, relative to the largest gradient; PyTorch in f32 has an error of 1e-5.
pub(crate) const GRADIENT_TOLERANCE: f64 = 1e-4;

/// The weight rule of the peers: element `i` of the tensor `name` is computed with FNV-1a and splitmix64.
pub(crate) fn fill(name: &str, shape: &[usize], scale: f64, shift: f64) -> Vec<f32> {
    let hash = name_hash(name);
    let value = |i: u64| {
        let mut z = hash.wrapping_add(i).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let uniform = (z >> 11) as f64 / (1_u64 << 53) as f64;
        ((2.0 * uniform - 1.0) * scale + shift) as f32
    };
    (0..shape.iter().product::<usize>() as u64).map(value).collect()
}

/// The network with every parameter filled by the rule, for the name of the parameter in the peer.
pub(crate) fn filled<M: Module>(network: M, peer_name: fn(&str) -> String) -> M {
    let named = |(name, array): (String, Array)| {
        let peer = peer_name(&name);
        let (scale, shift) = match array.shape.as_slice() {
            [_, rest @ ..] if !rest.is_empty() => ((3.0 / rest.iter().product::<usize>() as f64).sqrt(), 0.0),
            _ if peer.ends_with(".weight") => (0.2, 1.0),
            _ => (0.1, 0.0),
        };
        let values = fill(&peer, &array.shape, scale, shift);
        (name, Array { shape: array.shape, values })
    };
    let arrays: StateDict = export(&network).into_iter().map(named).collect();
    import(network, &arrays).unwrap()
}

/// A golden file: shapes and values by name.
pub(crate) struct Golden(pub(crate) BTreeMap<String, Array>);

impl Golden {
    pub(crate) fn load(name: &str) -> Self {
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/goldens"))
            .join(format!("{name}.safetensors"));
        Self(safetensors_arrays(&path))
    }

    pub(crate) fn get(&self, name: &str) -> &Array {
        &self.0[name]
    }
}

pub(crate) fn safetensors_arrays(path: &Path) -> BTreeMap<String, Array> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), safetensors::Dtype::F32, "{name}");
            (name.to_owned(), Array { shape: view.shape().to_vec(), values: floats(view.data()) })
        })
        .collect()
}

pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_to_vec().unwrap()
}

/// The largest difference, relative to the largest expected value.
pub(crate) fn relative(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let most = wanted.iter().fold(0.0_f64, |m, &v| m.max(f64::from(v).abs()));
    assert!(most > 0.0);
    found.iter().zip(wanted).fold(0.0_f64, |m, (&a, &b)| m.max((f64::from(a) - f64::from(b)).abs())) / most
}

pub(crate) fn within(found: &[f32], wanted: &[f32], tolerance: f64, what: &str) {
    let error = relative(found, wanted);
    println!("{what}: {error:.2e} of the largest value");
    let tolerance = testing::tolerance(tolerance);
    assert!(error < tolerance, "{what}: off by {error:e} of the largest value, expected below {tolerance:e}");
}

/// Collects gradients by the names of the parameters.
pub(crate) struct GradientReader<'a> {
    path: Vec<String>,
    gradients: &'a Gradients,
    found: BTreeMap<String, Vec<f32>>,
}

/// The gradient of every parameter of `network`.
pub(crate) fn gradients_by_name(network: &impl Module, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    let mut reader = GradientReader { path: Vec::new(), gradients, found: BTreeMap::new() };
    network.visit(&mut reader);
    reader.found
}

impl ModuleVisitor for GradientReader<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients).expect("every parameter must have a gradient");
        self.found.insert(self.path.join("."), host(gradient));
    }
}

/// The files of an uncompressed zip of arrays: by name, the text header and the bytes of each array.
pub(crate) fn stored_npz(bytes: &[u8]) -> BTreeMap<String, (String, Vec<u8>)> {
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let u32_at = |at: usize| u16_at(at) | u16_at(at + 2) << 16;
    let mut files = BTreeMap::new();
    let mut at = 0;
    while bytes[at..].starts_with(b"PK\x03\x04") {
        assert_eq!(u16_at(at + 8), 0, "files must not be compressed");
        let (size, name_end) = (u32_at(at + 18), at + 30 + u16_at(at + 26));
        let name = String::from_utf8(bytes[at + 30..name_end].to_vec()).unwrap();
        let start = name_end + u16_at(at + 28);
        assert!(bytes[start..].starts_with(b"\x93NUMPY\x01"), "{name}: must be an array of format version 1");
        let data = start + 10 + u16_at(start + 8);
        let header = String::from_utf8(bytes[start + 10..data].to_vec()).unwrap();
        at = start + size;
        files.insert(name, (header, bytes[data..at].to_vec()));
    }
    files
}

/// The data of a channels-last tensor from a `[batch, channels, height, width]` array.
pub(crate) fn channels_last(values: &[f32], shape: [usize; 4]) -> TensorData {
    let [batch, channels, height, width] = shape;
    let at = |b: usize, c: usize, pixel: usize| values[(b * channels + c) * height * width + pixel];
    let values: Vec<f32> = (0..batch)
        .flat_map(|b| (0..height * width).flat_map(move |pixel| (0..channels).map(move |c| at(b, c, pixel))))
        .collect();
    TensorData::new(values, [batch, height, width, channels])
}

/// The values of a channels-last tensor in the order of `[batch, channels, height, width]`.
pub(crate) fn channels_first(tensor: Tensor<4>) -> Vec<f32> {
    host(tensor.permute([0, 3, 1, 2]))
}
