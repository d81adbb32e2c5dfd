//! Which devices this build can compute on, and one of them opened by name.
//!
//! The kinds are cargo features (`cuda`, `vulkan`, `wgpu`, `metal`); the CPU is always there. A device is chosen at run
//! time by a [`Request`] such as `auto`, `cpu` or `cuda:1`, and [`open`] gives it only after it has computed something.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod error;
mod kind;
mod open;
mod request;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::DeviceError;
pub use kind::DeviceKind;
pub use open::{Found, KindReport, Opened, open, report};
pub use request::Request;
