//! The training folder that a boost advises: the generated pairs alone, and joined with the real ones.

use super::aside::set_aside;
use crate::{
    crossval::{
        Crossval, Piece, PieceKind, Variant,
        piece::{RUN, fold_folder},
    },
    shell::quoted,
};
use pig_data::{DataConfig, Dataset, PairEntry};
use pig_export::{ExportError, Format, Request as Export, export};
use pig_quality::curate::write_pairs;
use pig_train::{
    Error, Result,
    observer::{Observer, warn},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

/// The folder of the generated pairs in a boost's folder.
const PAIRS: &str = "pairs";

/// The folder of real and generated pairs.
const BEST: &str = "best";

/// The folders of an answer that advises pairs. `best/` is made of `pairs/`, so it is set aside first: a folder of pairs that is right never
/// stands beside one that is not made of it.
pub(super) const FOLDERS: [&str; 2] = [BEST, PAIRS];

/// The fold whose generator made the pairs.
const FOLD: usize = 0;

/// What was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    /// The folder of the generated pairs.
    pub pairs: PathBuf,
    /// The number of generated pairs.
    pub generated: usize,
    /// The folder of real and generated pairs, with the number of real pairs; none if they cannot be joined.
    pub joined: Option<(PathBuf, usize)>,
    /// Why they cannot be joined.
    pub problem: Option<String>,
    /// The command that trains a segmenter on them, with the settings of those that were measured.
    pub command: String,
}

/// Writes the pairs of a training set of fold 0, and joins them with the real pairs of the patients that train and validate there. Test
/// patients are left out, so that they stay unseen. Folders that hold these pairs already are kept; others, as those of an earlier answer, get
/// another name.
///
/// # Errors
/// When pairs cannot be read, written or renamed. If real and generated pairs cannot be joined in one folder, the result says why.
pub fn write_best(
    crossval: &Crossval,
    variant: Variant,
    [data, out]: [&Path; 2],
    observer: &dyn Observer,
) -> Result<Best> {
    let (from, ids, scored) = crossval.training_pairs(FOLD, variant, observer)?;
    let (pairs, best) = (out.join(PAIRS), out.join(BEST));
    let found = Dataset::discover(&from, &plain())?;
    if !holds(&pairs, &found, &ids) {
        set_aside(out, &FOLDERS, observer)?;
        let by_id: BTreeMap<&str, _> = scored.iter().map(|pair| (pair.id.as_str(), pair)).collect();
        pig_files::create_folder(&pairs, |folder| write_pairs(&found, &ids, Some(&by_id), folder))?;
    }
    let command = command(crossval, variant, data, &pairs);
    let splits = &crossval.folds[FOLD];
    let real: Vec<&String> = splits.training.iter().chain(&splits.validation).collect();
    let generated = ids.len();
    if !best.exists() {
        let request = Export {
            real: Some(data.to_owned()),
            real_ids: Some(real.iter().map(|&id| id.clone()).collect()),
            data: crossval.file.data.clone(),
            ..Export::new(pairs.clone(), best.clone(), Format::Png)
        };
        match export(&request, &|_, _| ControlFlow::Continue(())) {
            Ok(_) => {}
            Err(ExportError::Io { path, action, source }) => return Err(Error::Io { path, action, source }),
            Err(error) => {
                let problem = error.to_string();
                warn(observer, format!("real and generated pairs were not joined in one folder: {problem}"));
                return Ok(Best { pairs, generated, joined: None, problem: Some(problem), command });
            }
        }
    }
    Ok(Best { pairs, generated, joined: Some((best, real.len())), problem: None, command })
}

/// The command that trains a segmenter on these pairs as the first one that was measured: on pictures of the same size, by the same rule.
fn command(crossval: &Crossval, variant: Variant, data: &Path, pairs: &Path) -> String {
    let (file, out) = (&crossval.file, crossval.out());
    let run = |kind| Piece { fold: FOLD, kind }.folder(file, out).join(RUN);
    let seed = file.crossval.segmenter_seeds.first().copied().unwrap_or_default();
    let config = run(PieceKind::Segmenter { variant, seed }).join("config.toml");
    // The split in the generator's run, which is that of the fold, shows whose pairs they are.
    let own = variant.generator(file, seed).filter(|which| file.crossval.arms[which.arm].runs.is_none());
    let splits =
        own.map_or_else(|| fold_folder(out, FOLD), |which| run(PieceKind::Generator(which))).join("splits.json");
    let [config, data, pairs, splits] =
        [config.as_path(), data, pairs, splits.as_path()].map(|path| quoted(&path.display().to_string()));
    format!("pig segment train --config {config} --data {data} --add {pairs} --splits {splits} --out SEGMENTER")
}

/// How a folder of generated pairs is read, which names no patients.
fn plain() -> DataConfig {
    DataConfig { group_column: None, ..DataConfig::default() }
}

/// Whether a folder holds exactly these pairs of `from`, with the same bytes.
fn holds(folder: &Path, from: &Dataset, ids: &[String]) -> bool {
    let Ok(kept) = Dataset::discover(folder, &plain()) else { return false };
    let wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let sources: BTreeMap<&str, &PairEntry> = from.pairs.iter().map(|pair| (pair.id.as_str(), pair)).collect();
    let is_same = |pair: &PairEntry| {
        let id = pair.id.as_str();
        wanted.contains(id) && sources.get(id).is_some_and(|source| files(pair) == files(source))
    };
    kept.pairs.len() == wanted.len() && kept.pairs.iter().all(is_same)
}

/// The bytes of the image and of the mask of a pair; none of a file that is missing or cannot be read.
fn files(pair: &PairEntry) -> [Option<Vec<u8>>; 2] {
    let mask = pair.mask.as_ref().map(|mask| &mask.first.path);
    [Some(&pair.image), mask].map(|path| path.and_then(|path| pig_files::read(path).ok()))
}
