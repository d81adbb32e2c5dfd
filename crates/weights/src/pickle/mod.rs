//! A reader of Python pickles that executes nothing.
//!
//! A pickle is a program for a small stack machine, and the usual reader calls whatever functions it names. This one has no
//! functions to call: a name is looked up in a closed list ([`Global`]), and what is not on it is an error. Every
//! instruction makes at most one node, nodes refer to each other by number, and nothing is copied or walked while reading, so that
//! memory and time grow with the pickle's length alone, whatever it refers to.

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
    /// Its file, or its place in the sequence of storages.
    pub(crate) key: String,
    pub(crate) dtype: Dtype,
    /// Numbers in it.
    pub(crate) len: usize,
}

/// A tensor that has not been read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorRef {
    pub(crate) storage: Storage,
    pub(crate) place: Strided,
}

/// What an instruction made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// None, and what nobody here needs to know.
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
