//! Reads named arrays of other frameworks, on the host and without a tensor library.
//!
//! [`mod@file`] reads weights: safetensors, files of `torch.save` and TorchScript archives, whose pickles are read without executing
//! anything. [`layouts`] renames the arrays of known networks to pig's names. [`npz`] reads and writes NumPy's archives.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod array;
pub mod error;
pub mod file;
pub mod layouts;
pub mod npz;
mod pickle;
mod sharded;
mod torch;
mod zip;

pub use array::{Array, StateDict};
pub use error::{Error, Result};
