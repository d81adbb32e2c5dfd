//! Lists the devices that this build can compute on, and opens one by name.
//!
//! The kinds are cargo features (`cuda`, `vulkan`, `wgpu`, `metal`); the CPU is always available. A device is chosen at
//! run time by a [`Request`] such as `auto`, `cpu` or `cuda:1`. [`open`] returns a GPU only after a trial computation
//! on it gave the right result.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod error;
mod kind;
mod open;
mod request;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::DeviceError;
pub use kind::DeviceKind;
pub use open::{Found, KindReport, Opened, open, open_own, report};
pub use request::Request;
