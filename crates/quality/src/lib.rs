//! Measuring generated pairs: FID, KID, copies, appearance.
//!
//! [`fid::with_folder`] and [`fid::with_file`] implement `pig fid calc`, [`reference::write`] implements `pig fid ref`, and
//! [`copies::search()`] implements `pig fid copies`, and [`curate::curate`] `pig curate`. [`nearness::nearness`] is what `pig sample` says about the
//! quality of its pictures. [`folders::FolderFeatures`] compares the same folders many times. This crate
//! prints nothing.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod appearance;
mod class_distances;
pub mod copies;
pub mod curate;
mod error;
pub mod features;
pub mod fid;
pub mod folders;
pub mod inception;
mod masks;
pub mod nearness;
pub mod neighbours;
mod patients;
pub mod pictures;
pub mod radiomic;
pub mod reference;
mod sizes;

pub use error::{Error, Result};
