//! Turns hospital files and public releases into prepared pairs, and inspects folders.
//!
//! [`layouts::find`] recognises how a folder is laid out and lists its [`layouts::Case`]s. [`sources`] opens their images
//! (DICOM, NIfTI, PNG, TIFF, JPEG, BMP), [`masks`] their masks (pictures, NIfTI, DICOM SEG, contours, boxes).
//! [`pipeline::prepare`] makes a folder that `pig train` reads; [`inspect::inspect`] reports what is in a folder before that.
//!
//! Identifiers from headers stay in [`privacy::Secret`]s, which cannot be printed, until [`privacy::Key`] has hashed them.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod affine;
mod budget;
pub mod channel;
pub mod error;
pub mod fill;
pub mod foreground;
pub mod inspect;
pub mod layouts;
pub mod masks;
pub mod pipeline;
pub mod prepared_folder;
pub mod privacy;
pub mod record;
mod remarks;
mod row_classes;
mod segments;
pub mod settings;
pub mod sources;
pub mod transform;
pub mod window;

pub use error::{PrepareError, Result};
pub use layouts::{Case, Layout};
pub use pipeline::{Progress, Request, Summary, prepare};
pub use privacy::Key;
pub use settings::PrepareConfig;
pub use transform::Transform;
