//! Measuring generated pairs: FID, KID, copies, appearance.
//!
//! [`fid::with_folder`] and [`fid::with_file`] are the whole of `pig fid calc`, [`reference::write`] that of `pig fid ref`,
//! [`copies::search()`] that of `pig fid copies`. [`folders::FolderFeatures`] compares folders with each other many times. Nothing
//! here prints.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod appearance;
pub mod copies;
mod error;
pub mod features;
pub mod fid;
pub mod folders;
pub mod inception;
mod patients;
mod pictures;
pub mod radiomic;
pub mod reference;

pub use error::{Error, Result};
