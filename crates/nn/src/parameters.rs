//! A network's parameters as named arrays on the host: initialisation, reading, writing, and in-place updates.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData},
};
use pig_diffusion::noise::{Stream, keyed_rng, uniform};
use pig_weights::{Array, StateDict};
use std::collections::BTreeMap;

/// Named arrays that do not fit the network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParameterError {
    /// Names that only the network has, or only the arrays.
    #[error(
        "the weights belong to another architecture: {} missing ({}), {} unexpected ({}); check that the configuration is the one used to train them",
        missing.len(), some(missing), unexpected.len(), some(unexpected)
    )]
    Names {
        /// The names that are only in the network.
        missing: Vec<String>,
        /// The names that are only in the arrays.
        unexpected: Vec<String>,
    },
    /// A parameter with another shape.
    #[error("the weights belong to another architecture: {name} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The name of the parameter.
        name: String,
        /// The shape in the arrays.
        found: Vec<usize>,
        /// The shape in the network.
        expected: Vec<usize>,
    },
}

fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    match names.len() {
        0 => "none".to_owned(),
        n if n > 3 => format!("{}, ..", shown.join(", ")),
        _ => shown.join(", "),
    }
}

/// Reads all parameters.
pub fn export(network: &impl Module) -> StateDict {
    struct Reader {
        path: Vec<String>,
        arrays: StateDict,
    }
    impl ModuleVisitor for Reader {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.arrays.insert(self.path.join("."), to_array(param.val()));
        }
    }
    let mut reader = Reader { path: Vec::new(), arrays: StateDict::new() };
    network.visit(&mut reader);
    reader.arrays
}

fn to_array<const D: usize>(tensor: Tensor<D>) -> Array {
    let shape = tensor.dims().to_vec();
    Array { shape, values: host(tensor) }
}

/// A tensor's values in f32, without its gradient history.
fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec::<f32>().expect("parameters are f32")
}

/// Changes parameters in [`update`].
pub trait Updater {
    /// Replaces the values of the parameter `name`, which has this shape.
    fn update(&mut self, name: &str, shape: &[usize], values: &mut [f32]);
}

/// Calls `updater` for every parameter, in the order of the network's fields, and returns the network with the new values. On the
/// CPU the values are changed in place if no other owner holds the tensors of the network.
pub fn update<M: Module>(network: M, updater: &mut impl Updater) -> M {
    struct Mapper<'a, U> {
        path: Vec<String>,
        updater: &'a mut U,
    }
    impl<U: Updater> ModuleMapper for Mapper<'_, U> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, mapper) = param.consume();
            let (dims, device, tracked) = (tensor.dims(), tensor.device(), tensor.is_require_grad());
            let mut values = host(tensor);
            self.updater.update(&self.path.join("."), &dims, &mut values);
            let updated = Tensor::from_data(TensorData::new(values, dims), &device).set_require_grad(tracked);
            Param::from_mapped_value(id, updated, mapper)
        }
    }
    network.map(&mut Mapper { path: Vec::new(), updater })
}

/// Checks that `arrays` have exactly these names and shapes.
pub fn check(expected: &BTreeMap<String, Vec<usize>>, arrays: &StateDict) -> Result<(), ParameterError> {
    let missing: Vec<String> = expected.keys().filter(|name| !arrays.contains_key(*name)).cloned().collect();
    let unexpected: Vec<String> = arrays.keys().filter(|name| !expected.contains_key(*name)).cloned().collect();
    if !missing.is_empty() || !unexpected.is_empty() {
        return Err(ParameterError::Names { missing, unexpected });
    }
    match expected.iter().find(|(name, shape)| arrays[*name].shape != **shape) {
        Some((name, shape)) => Err(ParameterError::Shape {
            name: name.clone(),
            found: arrays[name].shape.clone(),
            expected: shape.clone(),
        }),
        None => Ok(()),
    }
}

/// Fills the network with `arrays`; every name and shape must agree.
pub fn import<M: Module>(network: M, arrays: &StateDict) -> Result<M, ParameterError> {
    struct Import<'a>(&'a StateDict);
    impl Updater for Import<'_> {
        fn update(&mut self, name: &str, _shape: &[usize], values: &mut [f32]) {
            values.copy_from_slice(&self.0[name].values);
        }
    }
    check(&export(&network).into_iter().map(|(name, array)| (name, array.shape)).collect(), arrays)?;
    Ok(update(network, &mut Import(arrays)))
}

/// Initialises the network as PyTorch does: weights and biases of convolutions and linear layers are uniform within
/// +-1 / sqrt(fan in), scales of norms are one and their shifts zero. The random numbers are keyed by `seed` and the name of the
/// parameter, so the order does not matter.
pub fn initialise<M: Module>(network: M, seed: u64) -> M {
    struct Initialise {
        seed: u64,
        /// The fan-in of the layer of the last weight, because a bias follows its weight; None after the weight of a norm.
        fan_in: Option<usize>,
    }
    impl Updater for Initialise {
        fn update(&mut self, name: &str, shape: &[usize], values: &mut [f32]) {
            if name.ends_with("weight") {
                self.fan_in = (shape.len() > 1).then(|| shape[1..].iter().product());
            }
            let Some(fan_in) = self.fan_in else { return };
            let bound = 1.0 / (fan_in as f64).sqrt();
            let mut rng = keyed_rng(self.seed, name_hash(name), Stream::Initialisation, 0);
            values.fill_with(|| (bound * (2.0 * uniform(&mut rng) - 1.0)) as f32);
        }
    }
    update(network, &mut Initialise { seed, fan_in: None })
}

/// FNV-1a, 64 bit.
pub fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The number of values in all parameters.
pub fn count(network: &impl Module) -> usize {
    network.num_params()
}
