//! Copies of training images and masks among generated ones: what `pig fid copies` finds.

mod found;
mod page;
mod search;

pub use found::{Copies, Request};
pub use search::search;
