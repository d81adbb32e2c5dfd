//! A generator of an arm in one fold, and its pairs. It is trained on the fold's training patients alone, or taken from a run that was
//! trained on them alone.

use crate::crossval::{
    fold::FoldData,
    piece::{Done, Found, PAIRS, Piece, PieceKind, part, take},
    variant::ArmGenerator,
};
use burn::tensor::Device;
use pig_data::{
    PreparedSet, Splits,
    png_file::read_png_text,
    write::{file_stem, keyword},
};
use pig_files::Lock;
use pig_segment::pairs;
use pig_train::{
    Config, Error, Result,
    batch::shuffled_indices,
    generation::{Request, generate},
    given::GivenSource,
    loaded::LoadedRun,
    locked::check_held,
    observer::{Observer, Outcome},
    run_dir::RunDir,
    training::{go_on, train_on},
};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Refuses a generator that was not trained on exactly this fold's split: it may have seen test patients.
pub fn check_unseen(run: &RunDir, fold: &Splits) -> Result<()> {
    let (splits, provenance) = (run.splits()?, run.provenance()?);
    if splits.sha256 == fold.sha256 && provenance.splits_sha256 == fold.sha256 {
        return Ok(());
    }
    let seen = splits.training.iter().chain(&splits.validation);
    let tested = seen.filter(|id| fold.test.binary_search(id).is_ok()).count();
    Err(Error::BadFile {
        path: run.path().to_owned(),
        problem: format!(
            "this generator was trained on the split {}, not on the fold's split {}; it saw {tested} of the fold's {} test pairs",
            provenance.splits_sha256,
            fold.sha256,
            fold.test.len()
        ),
        advice: "train it on the fold's splits.json, so that test patients stay unseen",
    })
}

/// Refuses a run that was trained elsewhere with another seed than the one that stands for it in tables.
fn check_seed(run: &RunDir, trained: &Config, expected: Option<u64>) -> Result<()> {
    let found = trained.train.seed;
    match expected.filter(|&expected| expected != found) {
        None => Ok(()),
        Some(expected) => Err(Error::BadFile {
            path: run.path().to_owned(),
            problem: format!("this generator was trained with train.seed = {found}, expected {expected}"),
            advice: "give the runs whose seeds stand in crossval.generator_seeds, or correct the list",
        }),
    }
}

/// Trains a generator with `config` on a fold's split, or continues its run.
pub(crate) fn train_generator(
    config: &Config,
    data: &Path,
    fold: &Splits,
    run: &Path,
    device: &Device,
    observer: &dyn Observer,
) -> Result<Outcome> {
    if !run.exists() {
        return train_on(config, data, fold, run, device, observer);
    }
    let found = RunDir::open_verified(run)?;
    check_unseen(&found, fold)?;
    if !config.gives(&found.config()?) {
        return Err(Error::BadFile {
            path: run.to_owned(),
            problem: "this generator was started with another configuration".to_owned(),
            advice: "choose another --out, go back to that configuration, or remove the folder",
        });
    }
    go_on(&found, data, device, observer)
}

/// A finished generator.
#[derive(Clone, Debug)]
pub(super) struct Generator {
    folder: PathBuf,
    name: String,
    model_hash: String,
    /// The seeds of its pairs, in the order in which the pairs are used.
    seeds: Vec<u64>,
}

impl Generator {
    /// Its folder of pairs, and the seeds of its pairs in the order in which they are used.
    ///
    /// # Errors
    /// When the folder is missing.
    pub(crate) fn made(&self) -> Result<(PathBuf, &[u64])> {
        Ok((part(&self.folder, PAIRS)?, &self.seeds))
    }

    /// The first `count` pairs, after checking that exactly this model made them.
    pub(super) fn pairs(&self, count: usize, fold: &FoldData<'_>, observer: &dyn Observer) -> Result<PreparedSet> {
        let (folder, seeds) = (part(&self.folder, PAIRS)?, &self.seeds[..count.min(self.seeds.len())]);
        for &seed in seeds {
            let path = folder.join("images").join(format!("{}.png", file_stem(seed)));
            let found = read_png_text(&path)?.remove(keyword::MODEL_HASH).unwrap_or_default();
            if found != self.model_hash {
                return Err(Error::BadFile {
                    path,
                    problem: format!(
                        "was made by a model with hash {found:?}, not by the model of this fold with hash {:?}",
                        self.model_hash
                    ),
                    advice: "remove the generator's folder, so that it is made again",
                });
            }
        }
        pairs::of_seeds(&folder, seeds, &self.name, &fold.real, observer)
    }
}

impl FoldData<'_> {
    /// A generator of an arm, if it is finished.
    pub(super) fn finished_generator(&self, which: ArmGenerator) -> Result<Option<Generator>> {
        let (crossval, kind) = (self.crossval, PieceKind::Generator(which));
        let done = crossval.finished(Piece { fold: self.number, kind })?;
        Ok(done.and_then(|done| match done.found {
            Found::Generator { model_hash, seeds, .. } => {
                let name = crossval.file.crossval.arms[which.arm].name.clone();
                Some(Generator { folder: crossval.folder(self.number, kind), name, model_hash, seeds })
            }
            _ => None,
        }))
    }

    /// Trains a generator of an arm and makes its pairs, unless this is already done.
    pub(super) fn generator(&self, which: ArmGenerator, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
        if self.finished_generator(which)?.is_some() {
            return Ok(Outcome::Finished);
        }
        let (crossval, started) = (self.crossval, Instant::now());
        let config = &crossval.file.crossval.arms[which.arm];
        let piece = Piece { fold: self.number, kind: PieceKind::Generator(which) };
        let folder = crossval.folder(self.number, piece.kind);
        let taken = take(&folder, observer)?;
        // Another process may have finished it meanwhile.
        if self.finished_generator(which)?.is_some() {
            return Ok(Outcome::Finished);
        }
        let run = crossval.generator_run(self.number, which);
        let at_once = if config.runs.is_some() {
            true
        } else {
            let at_once = !run.exists();
            let own = crossval.file.seeded_generator(which, &crossval.base)?;
            let trained = train_generator(&own, &crossval.data, self.splits, &run, device, observer)?;
            if trained == Outcome::Interrupted {
                return Ok(Outcome::Interrupted);
            }
            at_once
        };
        let run_dir = RunDir::open(&run)?;
        check_unseen(&run_dir, self.splits)?;
        let trained = run_dir.config()?;
        crossval.file.check_generator(config, &trained)?;
        check_seed(&run_dir, &trained, which.seed(&crossval.file))?;
        let seeds = self.seeds(which, &trained, |fold| crossval.file.pairs_of(config, fold.training.len()));
        let source = if trained.method.needs_masks() { GivenSource::TrainingMasks } else { GivenSource::Nothing };
        let request =
            Request { source, data: Some(crossval.data.clone()), ..Request::new(&run, &folder.join(PAIRS), &seeds) };
        let summary = generate(&request, device, observer)?;
        if summary.outcome == Outcome::Interrupted {
            return Ok(Outcome::Interrupted);
        }
        let model_hash = LoadedRun::open(&run, &[], device)?.model_hash;
        let found = Found::Generator { model_hash, seeds, empty_masks: summary.finished.empty_masks };
        self.done(piece, &taken, started, at_once && summary.skipped == 0, found)?;
        Ok(Outcome::Finished)
    }

    /// The pairs by which agreement with a generator is measured; none if it was interrupted. A method that needs masks makes them for the
    /// masks of the test patients, as the segmenters of real pairs were trained on the training masks; for other methods they are the
    /// pairs that segmenters are trained on.
    pub(super) fn agreement_pairs(
        &self,
        which: ArmGenerator,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Option<PreparedSet>> {
        let (crossval, Some(generator)) = (self.crossval, self.finished_generator(which)?) else { return Ok(None) };
        if !crossval.needs_masks(self.number, which)? {
            return generator.pairs(usize::MAX, self, observer).map(Some);
        }
        let masks = |fold: &Splits| fold.test.len();
        let seeds = self.positions(which, masks, masks);
        let folder = crossval.agreement_folder(self.number, which);
        let _taken = take(&folder, observer)?;
        let run = crossval.generator_run(self.number, which);
        let data = Some(crossval.data.clone());
        let request =
            Request { source: GivenSource::TestMasks, data, ..Request::new(&run, &folder.join(PAIRS), &seeds) };
        if generate(&request, device, observer)?.outcome == Outcome::Interrupted {
            return Ok(None);
        }
        Generator { folder, seeds, ..generator }.pairs(usize::MAX, self, observer).map(Some)
    }

    /// Records that a piece is done.
    ///
    /// # Errors
    /// When another process took the piece over meanwhile.
    pub(super) fn done(&self, piece: Piece, taken: &Lock, started: Instant, at_once: bool, found: Found) -> Result<()> {
        let done = Done {
            splits_sha256: self.splits.sha256.clone(),
            settings_sha256: self.crossval.settings(piece)?,
            seconds: started.elapsed().as_secs_f64(),
            at_once,
            found,
        };
        let folder = self.crossval.folder(self.number, piece.kind);
        check_held(taken, &folder)?;
        done.write(&folder)
    }

    /// A number for each pair of a generator; each fold has `count` pairs. The first one is a multiple of `masks`. No other generator of the arm, in
    /// no fold, has a number between the same two multiples: two generators make nearly the same picture of the same noise, so with
    /// common seeds the noise would be no source of chance.
    fn positions(
        &self,
        which: ArmGenerator,
        count: impl Fn(&Splits) -> usize,
        masks: impl Fn(&Splits) -> usize,
    ) -> Vec<u64> {
        let crossval = self.crossval;
        // Generators of further seeds come behind those of all folds, which keep their numbers.
        let place = which.number * crossval.folds.len() + self.number;
        let room = |fold: &Splits| count(fold) + 2 * (masks(fold).max(1) - 1);
        let most = crossval.folds.iter().map(room).max().unwrap_or(0);
        let first = (place * most).next_multiple_of(masks(self.splits).max(1)) as u64;
        (first..first + count(self.splits) as u64).collect()
    }

    /// Seeds of the pairs of a generator; each fold has `count` pairs. A method that needs masks uses the training mask whose index is `seed`
    /// modulo the number of masks; its seeds are chosen so that every mask is used once, in a random order, before any mask is used
    /// twice.
    fn seeds(&self, which: ArmGenerator, config: &Config, count: impl Fn(&Splits) -> usize) -> Vec<u64> {
        if !config.method.needs_masks() {
            return self.positions(which, count, |_| 1);
        }
        let masks = self.splits.training.len();
        let positions = self.positions(which, count, |fold| fold.training.len());
        let order = shuffled_indices(self.crossval.file.crossval.seed, &positions, masks);
        positions
            .iter()
            .zip(order)
            .map(|(position, index)| position / masks as u64 * masks as u64 + index as u64)
            .collect()
    }
}
