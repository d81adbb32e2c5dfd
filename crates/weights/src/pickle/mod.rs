//! A reader of Python pickles that executes nothing.
//!
//! A pickle is a program for a small stack machine, and the usual reader calls any function that it names. This reader has no
//! functions to call: it looks up each name in a closed list ([`Global`]), and a name that is not on the list is an error. Every
//! instruction makes at most one node, nodes refer to each other by number, copies are limited, and nothing is walked while reading,
//! so that memory and time grow only with the pickle's length, whatever it refers to.

mod global;
mod machine;
mod opcode;

pub(crate) use global::Global;
pub(crate) use machine::{Pickle, read};

use crate::array::{Dtype, Strided};

/// A node's number.
pub(crate) type Id = usize;

/// A storage as a pickle names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    /// Its key: its file in an archive, or its entry in the list of storages of a legacy file.
    pub(crate) key: String,
    pub(crate) dtype: Dtype,
    /// How many numbers it holds.
    pub(crate) len: usize,
}

/// A tensor that has not been read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorRef {
    pub(crate) storage: Storage,
    pub(crate) place: Strided,
}

/// The result of an instruction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Python's None.
    None,
    Bool(bool),
    Int(i64),
    Float,
    Str(String),
    Bytes,
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(Box<TensorRef>),
    /// A TorchScript module: its attributes, once they are known.
    Module(Option<Id>),
}
