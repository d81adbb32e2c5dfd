//! The starter model: networks that learned phantom images before pig was built, so that pairs can be looked at without any training.

use pig_train::{Error, Result};
use std::path::{Path, PathBuf};

/// What stands for the starter model where a run is expected.
pub const NAME: &str = "starter";

/// Pairs of the starter model that a demo shows.
pub(crate) const SHOWN: u64 = 16;

/// A file of the starter's run, with its content.
macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../starter/", $name)))
    };
}

/// The files of its run (`pig weights prune`). How it was trained stands in `configs/starter.toml`.
const FILES: [(&str, &[u8]); 11] = [
    file!("README.md"),
    file!("config.toml"),
    file!("preparation.json"),
    file!("provenance.json"),
    file!("splits.json"),
    file!("checkpoints/model_x/last"),
    file!("checkpoints/model_x/step-002000/ema.safetensors"),
    file!("checkpoints/model_x/step-002000/state.json"),
    file!("checkpoints/model_y/last"),
    file!("checkpoints/model_y/step-004000/ema.safetensors"),
    file!("checkpoints/model_y/step-004000/state.json"),
];

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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use pig_train::{config::Layers, loaded::LoadedRun};

    /// The weights that may lie in the repository, in bytes.
    const MOST: u64 = 3_000_000;

    #[test]
    fn the_starter_model_is_a_whole_run() {
        let unpacked = Unpacked::new().unwrap();
        let path = unpacked.path().to_owned();
        let loaded = LoadedRun::open(&path, &[], &Device::flex()).unwrap();
        assert!(loaded.run.unverified().is_none());
        let weights: usize =
            FILES.iter().filter(|(name, _)| name.ends_with(".safetensors")).map(|file| file.1.len()).sum();
        assert!((weights as u64) < MOST, "{weights} bytes");
        // It was trained with the configuration in configs/, and its networks are those of the demo.
        let named = |name: &str| {
            let file = format!("{}/../../configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            Layers { file: Some(file.into()), sets: Vec::new() }.load().unwrap()
        };
        let (starter, demo) = (named("starter"), named("demo"));
        assert!(starter.gives(&loaded.config), "configs/starter.toml differs from the run's configuration");
        assert_eq!((&starter.model_x, &starter.model_y), (&demo.model_x, &demo.model_y));
        drop(unpacked);
        assert!(!path.exists());
    }
}
