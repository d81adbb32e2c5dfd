//! Models that were trained elsewhere. An imported model is a folder with `model.toml`, its description, and `model.safetensors`.

pub mod diffusers;
pub mod export;
pub mod frozen;
pub mod import;
pub mod inception;
pub mod join;
pub mod model;
pub mod model_y;
pub mod settings;
mod told;
pub mod verify;
pub mod volume;

pub use model::{AutoencoderDescription, ControlNetDescription, Description, Model, ModelKind, UNetDescription};
