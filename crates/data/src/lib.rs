//! Image and mask pairs: reading, preparing, splitting, the phantom, writing.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

pub mod augment;
pub mod cache;
pub mod channels;
pub mod chosen;
pub mod colour;
pub mod config;
pub mod content;
mod crop;
mod decode;
pub mod deform;
pub mod discover;
pub mod error;
pub mod folder;
pub mod intensity;
mod jpeg;
mod limits;
pub mod loading;
pub mod manifest;
pub mod names;
mod pairs;
pub mod part;
pub mod phantom;
pub mod placement;
mod png_chunks;
pub mod png_file;
pub mod postprocess;
pub mod preparation;
pub mod prepared_set;
pub mod read;
pub mod remarks;
pub mod resample;
pub mod split;
pub mod survey;
pub mod table;
mod table_text;
mod tiff_kinds;
pub mod told;
mod tree;
pub mod unlabelled;
pub mod write;

pub use channels::Channels;
pub use chosen::{Chosen, Source};
pub use config::{AugmentConfig, DataConfig, SpaceKind, ToldConfig};
pub use discover::{Dataset, GroupSource, Layout, PairEntry};
pub use error::{DataError, Result};
pub use part::Part;
pub use postprocess::{CleanMask, clean_mask};
pub use preparation::{Pixels, Preparation};
pub use prepared_set::PreparedSet;
pub use split::{Splits, crossval_folds, k_folds, split_by_group};
pub use write::{Finished, GivenFile, PairRecord, PairWriter, Stamp};
