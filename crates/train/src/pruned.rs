//! `pig weights prune`: a run with its averaged weights alone, for sampling and to be shared.

use crate::{
    Error, Result,
    checkpoint::Store,
    model_card,
    run_dir::{DATA_PATH, RunDir},
};
use pig_nn::pass::Precision;
use std::{collections::BTreeMap, path::Path};

/// What a pruned run does not have: the checkpoints (their averaged weights are written apart), pictures of the training, and what belongs to
/// the machine of the training.
const LEFT_OUT: [&str; 3] = ["checkpoints", "previews", DATA_PATH];

/// The sizes of the weights before and after, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Bytes of all checkpoints of the run.
    pub before: u64,
    /// Bytes of the weights that were written.
    pub after: u64,
}

/// Writes the run as the new folder `out`, with the newest averaged weights of each network in this precision. In bf16, weights are rounded
/// to the nearest of 8 significant bits.
pub fn prune(run: &Path, out: &Path, precision: Precision) -> Result<Pruned> {
    RunDir::check_free(out)?;
    let run = RunDir::open_verified(run)?;
    let config = run.config()?;
    pig_files::create_folder(out, |folder| {
        copy(run.path(), folder, &LEFT_OUT)?;
        // Rounded weights have other hashes, and a network knows the hash of the one that it learned from.
        let mut hashes = BTreeMap::new();
        for role in config.trained_roles() {
            let (state, averaged, _) = Store::new(run.path(), role.name()).load_ema()?;
            let frozen = state.frozen_sha256.as_ref().map(|hash| hashes.get(hash).unwrap_or(hash).clone());
            let hash = Store::new(folder, role.name()).save_averaged((&state, &averaged), precision, frozen)?;
            hashes.insert(state.ema_sha256().to_owned(), hash);
        }
        model_card::write(&RunDir::open(folder)?, &config)
    })?;
    let size = |run: &Path| size(&run.join(LEFT_OUT[0]));
    Ok(Pruned { before: size(run.path())?, after: size(out)? })
}

/// Copies a folder with everything in it but the entries of these names, and hidden files.
fn copy(from: &Path, to: &Path, left_out: &[&str]) -> Result<()> {
    std::fs::create_dir_all(to).map_err(Error::io(to, "create"))?;
    for entry in std::fs::read_dir(from).map_err(Error::io(from, "read"))? {
        let entry = entry.map_err(Error::io(from, "read"))?;
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if name.starts_with('.') || left_out.contains(&name.as_ref()) {
            continue;
        }
        let target = to.join(entry.file_name());
        if path.is_dir() {
            copy(&path, &target, &[])?;
        } else {
            pig_files::write(&target, &pig_files::read(&path).map_err(Error::io(&path, "read"))?)?;
        }
    }
    Ok(())
}

/// The size of all files in a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "read"))? {
        let path = entry.map_err(Error::io(folder, "read"))?.path();
        sum += if path.is_dir() { size(&path)? } else { path.metadata().map_err(Error::io(&path, "read"))?.len() };
    }
    Ok(sum)
}
