//! Checkpoints: `step-N/{model,ema,optimizer}.safetensors` with `state.json`, written whole or not at all.

use crate::{Error, Result, mark::Mark};
use burn::module::Module;
use half::bf16;
use pig_files::sha256;
use pig_nn::{parameters, pass::Precision};
use pig_optim::{LearningRate, Updates};
use pig_weights::{Array, StateDict};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Version of the files' layout.
const FORMAT: u32 = 1;

const MODEL: &str = "model.safetensors";
const EMA: &str = "ema.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";

/// The newest checkpoint.
const LAST: &str = "last";
/// The checkpoint of the lowest validation loss.
const BEST: &str = "best";

/// The data beside the arrays that a training needs to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of the files' layout.
    pub format: u32,
    /// Which network this is.
    pub network: String,
    /// Optimiser steps done.
    pub step: usize,
    /// Memory of the learning-rate schedule.
    pub learning_rate: LearningRate,
    /// The step and the value of the lowest validation loss so far. The value is f32, which JSON keeps bit for bit.
    pub best: Option<(usize, f32)>,
    /// Losses of the steps since the last line of metrics.jsonl that has a loss.
    #[serde(default)]
    pub unlogged: Vec<f32>,
    /// SHA-256 of the frozen network that this one learned from, such as model_y's model_x.
    #[serde(alias = "model_x_sha256")]
    pub frozen_sha256: Option<String>,
    /// Kept timesteps that a model_y conditioned on x_{t-1} was trained with, in falling order.
    pub kept_timesteps: Option<Vec<usize>>,
    /// Images of a micro-batch, 0 for a whole batch; none for a training that began before batches were divided among workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch_size: Option<usize>,
    /// Whether the training ended before its last step (`train.stop_on_copies`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_ended: bool,
    /// SHA-256 of each file of arrays.
    pub sha256: BTreeMap<String, String>,
    /// What metrics.jsonl held; none in files of versions that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Mark>,
    /// SHA-256 of state.json without this line, which is its last; none in files of versions that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

impl State {
    /// The state of a network before its first checkpoint.
    pub fn new(network: &str) -> Self {
        Self {
            format: FORMAT,
            network: network.to_owned(),
            step: 0,
            learning_rate: LearningRate::new(),
            best: None,
            unlogged: Vec::new(),
            frozen_sha256: None,
            kept_timesteps: None,
            micro_batch_size: None,
            has_ended: false,
            sha256: BTreeMap::new(),
            metrics: None,
            check: None,
        }
    }
}

/// A whole checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Step, learning rate and hashes.
    pub state: State,
    /// The weights.
    pub model: StateDict,
    /// The averaged weights.
    pub ema: StateDict,
    /// The optimiser's moments.
    pub optimizer: StateDict,
}

impl Checkpoint {
    /// The checkpoint of a training at `state`, with its network and optimiser, when metrics.jsonl holds `metrics`.
    pub fn of<M: Module>(state: &State, network: &M, optimizer: &Updates, metrics: Mark) -> Self {
        Self {
            state: State { metrics: Some(metrics), ..state.clone() },
            model: parameters::export(network),
            ema: optimizer.ema(),
            optimizer: optimizer.moments(),
        }
    }

    /// Writes the files of a checkpoint into `folder`, which is new.
    fn fill(mut self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
        for (file, arrays) in [(MODEL, &self.model), (EMA, &self.ema), (OPTIMIZER, &self.optimizer)] {
            let bytes = serialise(&folder.join(file), arrays)?;
            self.state.sha256.insert(file.to_owned(), sha256(&bytes));
            pig_files::write(&folder.join(file), &bytes)?;
        }
        self.state.write(&folder.join(STATE))
    }
}

/// The checkpoints of one network in a run.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    network: &'static str,
    /// Steps whose checkpoints are never removed.
    keep: Vec<usize>,
}

impl Store {
    /// The checkpoints of `network` below the run directory.
    pub fn new(run: &Path, network: &'static str) -> Self {
        Self { folder: run.join("checkpoints").join(network), network, keep: Vec::new() }
    }

    /// The same store, which never removes the checkpoints of these steps.
    #[must_use]
    pub fn keeping(mut self, steps: &[usize]) -> Self {
        self.keep = steps.to_vec();
        self
    }

    /// Writes a checkpoint, points `last` (and `best` if `is_best`) to it, and removes old checkpoints.
    pub fn save(&self, checkpoint: Checkpoint, is_best: bool) -> Result<()> {
        let name = name_of(checkpoint.state.step);
        let pointers = [Some(LAST), is_best.then_some(BEST)].into_iter().flatten();
        if self.is_new() {
            // Checkpoint and pointers appear together, so that checkpoints without `last` are damage, and no interruption.
            return pig_files::create_folder(&self.folder, |store| {
                checkpoint.fill(&store.join(&name))?;
                pointers.into_iter().try_for_each(|pointer| point(store, pointer, &name))
            });
        }
        let folder = self.folder.join(&name);
        if !is_best && folder.is_dir() && self.pointed(LAST)?.as_ref() == Some(&folder) {
            // No step was made since: writing it again could only lose it.
            return Ok(());
        }
        let temporary = self.folder.join(format!(".{name}.tmp"));
        if temporary.exists() {
            std::fs::remove_dir_all(&temporary).map_err(Error::io(&temporary, "remove"))?;
        }
        checkpoint.fill(&temporary)?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(Error::io(&folder, "replace"))?;
        }
        std::fs::rename(&temporary, &folder).map_err(Error::io(&folder, "create"))?;
        for pointer in pointers {
            point(&self.folder, pointer, &name)?;
        }
        self.prune()
    }

    /// Writes averaged weights alone, as the only checkpoint, which can be sampled but not trained further. Returns the SHA-256 of their
    /// file. `frozen_sha256` is that of the frozen network that these weights learned from, if they did.
    pub(crate) fn save_averaged(
        &self,
        (state, averaged): (&State, &StateDict),
        precision: Precision,
        frozen_sha256: Option<String>,
    ) -> Result<String> {
        let name = name_of(state.step);
        let bytes = serialise_as(precision, &self.folder.join(&name).join(EMA), averaged)?;
        let hash = sha256(&bytes);
        let state = State {
            frozen_sha256,
            unlogged: Vec::new(),
            sha256: BTreeMap::from([(EMA.to_owned(), hash.clone())]),
            ..state.clone()
        };
        pig_files::create_folder(&self.folder, |store| {
            let folder = store.join(&name);
            std::fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
            pig_files::write(&folder.join(EMA), &bytes)?;
            state.write(&folder.join(STATE))?;
            point(store, LAST, &name)
        })?;
        Ok(hash)
    }

    /// Goes back to the checkpoint of `step`, or stays at the newest if there is none, and notes in it that the training has ended. Newer
    /// checkpoints are removed.
    pub fn end_at(&self, step: Option<usize>) -> Result<()> {
        if let Some(step) = step.filter(|&step| self.folder.join(name_of(step)).is_dir()) {
            point(&self.folder, LAST, &name_of(step))?;
            let newer = |folder: &PathBuf| name(folder).and_then(step_of).is_some_and(|other| other > step);
            for folder in self.folders().into_iter().filter(newer) {
                std::fs::remove_dir_all(&folder).map_err(Error::io(&folder, "remove"))?;
            }
        }
        let (folder, mut state) = self.last()?;
        state.has_ended = true;
        // The checkpoint with the lowest validation loss may be gone.
        state.best = state.best.filter(|&(best, _)| self.folder.join(name_of(best)).is_dir());
        let best = state.best.map_or_else(|| name_of(state.step), |(best, _)| name_of(best));
        point(&self.folder, BEST, &best)?;
        state.write(&folder.join(STATE))
    }

    /// Whether nothing lies in the folder.
    fn is_new(&self) -> bool {
        std::fs::read_dir(&self.folder).map_or(true, |mut entries| entries.next().is_none())
    }

    /// The folder that `last` or `best` names; none where there is no such file. The folder need not be there.
    fn pointed(&self, pointer: &str) -> Result<Option<PathBuf>> {
        let bytes = match pig_files::read(self.folder.join(pointer)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.lost(pointer, &error.to_string())),
        };
        let text = String::from_utf8_lossy(&bytes);
        match step_of(text.trim()) {
            Some(_) => Ok(Some(self.folder.join(text.trim()))),
            None => {
                Err(self.lost(pointer, &format!("it says {:?}, expected the name of a step-N folder", text.trim())))
            }
        }
    }

    /// A `last` or `best` that is missing or wrong.
    fn lost(&self, pointer: &str, problem: &str) -> Error {
        let names: Vec<String> = self.folders().iter().filter_map(|path| Some(name(path)?.to_owned())).collect();
        let beside = if names.is_empty() { "no checkpoint".to_owned() } else { names.join(", ") };
        Error::BadFile {
            path: self.folder.join(pointer),
            problem: format!("{problem}; beside it lies {beside}"),
            advice: "write the name of the newest whole step-N folder into it; nothing was changed",
        }
    }

    /// Finishes what a kill after the newest checkpoint `last` left undone: `best` may name an older one, and old checkpoints may remain.
    pub fn tidy(&self, last: &State) -> Result<()> {
        // What `best` names must be right before checkpoints are removed.
        self.best(last)?;
        self.prune()
    }

    /// Removes old checkpoints. Those that `last` and `best` point to stay, and so does the last but one, in case the last is damaged; and
    /// those that are kept for good.
    fn prune(&self) -> Result<()> {
        let mut folders = self.folders();
        let keep = [self.pointed(LAST)?, self.pointed(BEST)?];
        folders.truncate(folders.len().saturating_sub(2));
        folders.retain(|folder| !name(folder).and_then(step_of).is_some_and(|step| self.keep.contains(&step)));
        for folder in folders.iter().filter(|folder| !keep.contains(&Some((*folder).clone()))) {
            std::fs::remove_dir_all(folder).map_err(Error::io(folder, "remove"))?;
        }
        Ok(())
    }

    /// All checkpoint folders, by step.
    fn folders(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut folders: Vec<(usize, PathBuf)> =
            entries.map(|entry| entry.path()).filter_map(|path| Some((step_of(name(&path)?)?, path))).collect();
        folders.sort();
        folders.into_iter().map(|(_, path)| path).collect()
    }

    /// Whether a checkpoint was ever written.
    ///
    /// # Errors
    /// When checkpoints are there, but `last` is not, or does not name one: that must not become a fresh start.
    pub fn exists(&self) -> Result<bool> {
        let last = self.pointed(LAST)?;
        if last.is_none() && (!self.folders().is_empty() || self.pointed(BEST)?.is_some()) {
            return Err(self.lost(LAST, "the file is missing"));
        }
        Ok(last.is_some())
    }

    /// The newest checkpoint's folder and its state.
    fn last(&self) -> Result<(PathBuf, State)> {
        if !self.exists()? {
            return Err(Error::NoCheckpoint { path: self.folder.clone(), network: self.network, reason: None });
        }
        let folder = self.pointed(LAST)?.unwrap_or_else(|| self.folder.clone());
        if !folder.is_dir() {
            let named = name(&folder).unwrap_or_default();
            return Err(self.lost(LAST, &format!("it names {named}, which is not there")));
        }
        let state = self.read_state(&folder).map_err(|error| self.invalid(&error))?;
        Ok((folder, state))
    }

    /// The folder of the lowest validation loss, where something was validated. A stop after `last` was written and before `best` was
    /// leaves the name of an older folder in `best`: the newest state knows better, and `best` is written again.
    fn best(&self, last: &State) -> Result<Option<PathBuf>> {
        let known = last.best.map(|(step, _)| name_of(step)).filter(|name| self.folder.join(name).is_dir());
        let Some(known) = known else { return self.pointed(BEST) };
        let folder = self.folder.join(&known);
        if !self.pointed(BEST).is_ok_and(|named| named.as_ref() == Some(&folder)) {
            // A run that can only be read is used all the same.
            let _ = point(&self.folder, BEST, &known);
        }
        Ok(Some(folder))
    }

    /// The newest checkpoint. Without a valid one this is an error, never a fresh start.
    pub fn load_last(&self) -> Result<Checkpoint> {
        let (folder, state) = self.last()?;
        if !state.sha256.contains_key(OPTIMIZER) {
            let pruned = "it holds averaged weights alone (pig weights prune), so that it can be sampled but not trained further";
            return Err(Error::NoCheckpoint { path: folder, network: self.network, reason: Some(pruned.to_owned()) });
        }
        let arrays = |file| read_checked(&folder, file, &state).map_err(|error| self.invalid(&error));
        Ok(Checkpoint { model: arrays(MODEL)?, ema: arrays(EMA)?, optimizer: arrays(OPTIMIZER)?, state })
    }

    /// The newest averaged weights with their state and hash, and their file.
    pub fn load_ema(&self) -> Result<(State, StateDict, PathBuf)> {
        self.ema_of(&self.last()?.0)
    }

    /// The averaged weights at `step`, with their state and their file.
    ///
    /// # Errors
    /// When there is no checkpoint of this step.
    pub fn load_ema_at(&self, step: usize) -> Result<(State, StateDict, PathBuf)> {
        let folder = self.folder.join(name_of(step));
        if folder.is_dir() {
            return self.ema_of(&folder);
        }
        let names: Vec<String> = self.folders().iter().filter_map(|path| Some(name(path)?.to_owned())).collect();
        let reason = format!(
            "there is none of step {step}; there are {}; train.keep_checkpoints keeps those of chosen steps, and sample.autoguidance.scale=1 needs \
             none",
            names.join(", ")
        );
        Err(Error::NoCheckpoint { path: self.folder.clone(), network: self.network, reason: Some(reason) })
    }

    /// The averaged weights with the lowest validation loss, or the newest ones if there was no validation.
    pub fn load_best_ema(&self) -> Result<(State, StateDict, PathBuf)> {
        let (folder, state) = self.last()?;
        let best = self.best(&state)?.unwrap_or(folder);
        if best.is_dir() {
            return self.ema_of(&best);
        }
        let named = name(&best).unwrap_or_default();
        Err(self.lost(BEST, &format!("it names {named}, which is not there")))
    }

    fn ema_of(&self, folder: &Path) -> Result<(State, StateDict, PathBuf)> {
        let state = self.read_state(folder).map_err(|error| self.invalid(&error))?;
        let ema = read_checked(folder, EMA, &state).map_err(|error| self.invalid(&error))?;
        Ok((state, ema, folder.join(EMA)))
    }

    fn invalid(&self, error: &Error) -> Error {
        let reason = Some(error.to_string());
        Error::NoCheckpoint { path: self.folder.clone(), network: self.network, reason }
    }

    fn read_state(&self, folder: &Path) -> Result<State> {
        let path = folder.join(STATE);
        let bad = |problem: String| Error::BadFile { path: path.clone(), problem, advice: RESTORE };
        let bytes = pig_files::read(&path).map_err(Error::io(&path, "read"))?;
        let state: State = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if let Some(check) = &state.check {
            let text = String::from_utf8_lossy(&bytes).replacen(&check_line(check), "", 1);
            let found = sha256(text.as_bytes());
            if found != *check {
                return Err(bad(format!("its SHA-256 is {found}, but its line `check` says {check}")));
            }
        }
        if state.format != FORMAT {
            return Err(bad(format!("format {}, expected {FORMAT}", state.format)));
        }
        if state.network != self.network {
            return Err(bad(format!("network {:?}, expected {:?}", state.network, self.network)));
        }
        Ok(state)
    }
}

/// What to do about a file of a checkpoint.
const RESTORE: &str = "restore the file, or point `last` to an earlier step-N folder";

/// Writes the name of a checkpoint into `last` or `best` of the folder `store`.
fn point(store: &Path, pointer: &str, name: &str) -> Result<()> {
    Ok(pig_files::write(&store.join(pointer), name.as_bytes())?)
}

/// The name of the folder of a checkpoint.
fn name_of(step: usize) -> String {
    format!("step-{step:06}")
}

/// The step of a checkpoint's folder of this name.
fn step_of(name: &str) -> Option<usize> {
    let digits = name.strip_prefix("step-")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// The line of state.json that holds the hash of the rest.
fn check_line(check: &str) -> String {
    format!(",\n  \"check\": \"{check}\"")
}

impl State {
    /// SHA-256 of the averaged weights' file.
    pub fn ema_sha256(&self) -> &str {
        self.sha256.get(EMA).map_or("", String::as_str)
    }

    /// Writes state.json with its own hash.
    fn write(mut self, path: &Path) -> Result<()> {
        let json =
            |state: &Self| serde_json::to_string_pretty(state).map_err(|error| Error::io(path, "encode")(error.into()));
        self.check = None;
        self.check = Some(sha256(json(&self)?.as_bytes()));
        Ok(pig_files::write(path, json(&self)?.as_bytes())?)
    }
}

fn read_checked(folder: &Path, file: &str, state: &State) -> Result<StateDict> {
    let path = folder.join(file);
    let bytes = pig_files::read(&path).map_err(Error::io(&path, "read"))?;
    let bad = |problem: String| Error::BadFile { path: path.clone(), problem, advice: RESTORE };
    let found = sha256(&bytes);
    if state.sha256.get(file) != Some(&found) {
        return Err(bad(format!("its SHA-256 is {found}, but state.json says {:?}", state.sha256.get(file))));
    }
    deserialise(&bytes).map_err(bad)
}

/// Arrays as safetensors; `path` is for messages.
pub(crate) fn serialise(path: &Path, arrays: &StateDict) -> Result<Vec<u8>> {
    serialise_as(Precision::F32, path, arrays)
}

/// Arrays as safetensors in this precision, in which values are rounded to the nearest.
fn serialise_as(precision: Precision, path: &Path, arrays: &StateDict) -> Result<Vec<u8>> {
    let dtype = match precision {
        Precision::F32 => Dtype::F32,
        Precision::Bf16 => Dtype::BF16,
    };
    let encode = |values: &[f32]| -> Vec<u8> {
        match precision {
            Precision::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Precision::Bf16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
        }
    };
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> =
        arrays.iter().map(|(name, array)| (name, &array.shape, encode(&array.values))).collect();
    let failed = |error: safetensors::SafeTensorError| Error::BadFile {
        path: path.to_owned(),
        problem: error.to_string(),
        advice: "this is a fault of pig; please report it",
    };
    let mut views = Vec::new();
    for (name, shape, bytes) in &bytes {
        views.push((name.as_str(), TensorView::new(dtype, (*shape).clone(), bytes).map_err(failed)?));
    }
    safetensors::serialize(views, None).map_err(failed)
}

/// Arrays of f32 or bf16 from safetensors.
pub(crate) fn deserialise(bytes: &[u8]) -> std::result::Result<StateDict, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut arrays = StateDict::new();
    for (name, view) in file.tensors() {
        let values = match view.dtype() {
            Dtype::F32 => view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::BF16 => view.data().chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            other => return Err(format!("{name} is {other:?}, expected F32 or BF16")),
        };
        arrays.insert(name, Array { shape: view.shape().to_vec(), values });
    }
    Ok(arrays)
}
