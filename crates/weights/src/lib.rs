//! Named arrays of other frameworks, on the host and without a tensor library.
//!
//! [`mod@file`] reads weights: safetensors, files of `torch.save` and TorchScript archives, whose pickles are read without executing
//! anything. [`npz`] reads and writes NumPy's archives.

pub mod array;
pub mod error;
pub mod file;
pub mod npz;
mod pickle;
mod torch;

pub use array::{Array, StateDict};
pub use error::{Error, Result};
