//! Searches generated images and masks for copies of training images and masks, for `pig fid copies`.

mod found;
mod page;
mod search;

pub use found::{Copies, Request};
pub use search::search;
