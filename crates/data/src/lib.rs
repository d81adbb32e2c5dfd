//! Image and mask pairs: reading, preparing, splitting, the phantom, writing.

pub mod phantom;
