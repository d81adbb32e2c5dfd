//! How prepared pairs are stored, in memory or in a file: before the map of intensities, so that one file serves every split.

pub(crate) mod file;
pub(crate) mod plane;
pub(crate) mod record;
pub(crate) mod store;
