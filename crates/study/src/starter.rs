//! The starter model: networks that learned phantom images before pig was built, so that pairs can be looked at without any training.

use pig_train::{Error, Result};
use std::path::{Path, PathBuf};

/// What stands for the starter model where a run is expected.
pub const NAME: &str = "starter";

/// Pairs of the starter model that a demo shows.
pub(crate) const SHOWN: u64 = 16;

/// The files of its run (`pig weights prune`), which [`unpack`] writes. How it was trained stands in `starter/README.md`.
const FILES: [(&str, &[u8]); 0] = [];

/// The starter model as a run directory among the system's temporary files, which is removed when this is dropped.
#[derive(Debug)]
pub struct Unpacked(PathBuf);

impl Unpacked {
    /// Writes it.
    ///
    /// # Errors
    /// When the folder for temporary files cannot be written.
    pub fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("pig-starter-{}", std::process::id()));
        // One that is there belongs to a process of this number that was killed.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(Error::io(&folder, "remove"))?;
        }
        unpack(&folder)?;
        Ok(Self(folder))
    }

    /// The run directory.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // Nothing can be done about a folder that cannot be removed, and the system clears its temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

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
