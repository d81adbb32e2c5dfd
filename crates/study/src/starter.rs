//! The starter model: networks that learned phantom images before pig was built, so that pairs can be looked at without any training.

use pig_train::{Error, Result};
use std::path::Path;

/// What stands for the starter model where a run is expected.
pub const NAME: &str = "starter";

/// Pairs of the starter model that a demo shows.
pub(crate) const SHOWN: u64 = 16;

/// The files of its run (`pig weights prune`), which [`unpack`] writes. How it was trained stands in `starter/README.md`.
const FILES: [(&str, &[u8]); 0] = [];

/// Writes the starter model as the new run directory `folder`.
///
/// # Errors
/// When the folder cannot be written.
pub fn unpack(folder: &Path) -> Result<()> {
    pig_files::create_folder(folder, |new| {
        for (name, bytes) in FILES {
            let path = new.join(name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(Error::io(parent, "create"))?;
            }
            pig_files::write(&path, bytes)?;
        }
        Ok(())
    })
}
