//! Models that others trained: once imported they are a folder with `model.toml` and `model.safetensors`, which says by itself
//! what it is.

pub mod diffusers;
pub mod export;
pub mod frozen;
pub mod import;
pub mod inception;
pub mod join;
pub mod model;
pub mod model_y;
pub mod settings;
pub mod verify;
pub mod volume;

pub use model::{AutoencoderDescription, ControlNetDescription, Description, Model, ModelKind, UNetDescription};
