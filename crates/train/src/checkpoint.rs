//! Checkpoints: `step-N/{model,ema,optimizer}.safetensors` with `state.json`, written whole or not at all.

use crate::{Error, Result};
use burn::module::Module;
use pig_files::sha256;
use pig_nn::parameters;
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
    /// SHA-256 of each file of arrays.
    pub sha256: BTreeMap<String, String>,
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
            sha256: BTreeMap::new(),
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
    /// The checkpoint of a training at `state`, with its network and optimiser.
    pub fn of<M: Module>(state: &State, network: &M, optimizer: &Updates) -> Self {
        let state = state.clone();
        Self { state, model: parameters::export(network), ema: optimizer.ema(), optimizer: optimizer.moments() }
    }
}

/// The checkpoints of one network in a run.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    network: &'static str,
}

impl Store {
    /// The checkpoints of `network` below the run directory.
    pub fn new(run: &Path, network: &'static str) -> Self {
        Self { folder: run.join("checkpoints").join(network), network }
    }

    /// Writes a checkpoint, points `last` (and `best` if `is_best`) to it, and removes old checkpoints.
    pub fn save(&self, mut checkpoint: Checkpoint, is_best: bool) -> Result<()> {
        let name = format!("step-{:06}", checkpoint.state.step);
        let folder = self.folder.join(&name);
        let temporary = self.folder.join(format!(".{name}.tmp"));
        if temporary.exists() {
            std::fs::remove_dir_all(&temporary).map_err(Error::io(&temporary, "remove"))?;
        }
        std::fs::create_dir_all(&temporary).map_err(Error::io(&temporary, "create"))?;
        let files = [(MODEL, &checkpoint.model), (EMA, &checkpoint.ema), (OPTIMIZER, &checkpoint.optimizer)];
        for (file, arrays) in files {
            let bytes = serialise(&temporary.join(file), arrays)?;
            checkpoint.state.sha256.insert(file.to_owned(), sha256(&bytes));
            pig_files::write(&temporary.join(file), &bytes)?;
        }
        pig_files::write_json(&temporary.join(STATE), &checkpoint.state)?;
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(Error::io(&folder, "replace"))?;
        }
        std::fs::rename(&temporary, &folder).map_err(Error::io(&folder, "create"))?;
        self.point("last", &name)?;
        if is_best {
            self.point("best", &name)?;
        }
        self.prune()
    }

    fn point(&self, pointer: &str, name: &str) -> Result<()> {
        Ok(pig_files::write(&self.folder.join(pointer), name.as_bytes())?)
    }

    /// The folder that `last` or `best` names.
    fn pointed(&self, pointer: &str) -> Option<PathBuf> {
        let name = std::fs::read_to_string(self.folder.join(pointer)).ok()?;
        Some(self.folder.join(name.trim()))
    }

    /// Removes old checkpoints. Those that `last` and `best` point to stay, and so does the last but one, in case the last is damaged.
    fn prune(&self) -> Result<()> {
        let mut folders = self.folders();
        let keep = [self.pointed("last"), self.pointed("best")];
        folders.truncate(folders.len().saturating_sub(2));
        for folder in folders.iter().filter(|folder| !keep.contains(&Some((*folder).clone()))) {
            std::fs::remove_dir_all(folder).map_err(Error::io(folder, "remove"))?;
        }
        Ok(())
    }

    /// All checkpoint folders, by step.
    fn folders(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-")))
            .collect();
        folders.sort();
        folders
    }

    /// Whether a checkpoint was ever written.
    pub fn exists(&self) -> bool {
        self.pointed("last").is_some()
    }

    /// The newest checkpoint. Without a valid one this is an error, never a fresh start.
    pub fn load_last(&self) -> Result<Checkpoint> {
        let none = |reason| Error::NoCheckpoint { path: self.folder.clone(), network: self.network, reason };
        let folder = self.pointed("last").ok_or_else(|| none(None))?;
        let state = self.read_state(&folder).map_err(|error| none(Some(error.to_string())))?;
        let arrays = |file| read_checked(&folder, file, &state).map_err(|error| none(Some(error.to_string())));
        Ok(Checkpoint { model: arrays(MODEL)?, ema: arrays(EMA)?, optimizer: arrays(OPTIMIZER)?, state })
    }

    /// The newest averaged weights with their state and hash, and their file.
    pub fn load_ema(&self) -> Result<(State, StateDict, PathBuf)> {
        self.ema_of("last")
    }

    /// The averaged weights with the lowest validation loss, or the newest ones if there was no validation.
    pub fn load_best_ema(&self) -> Result<(State, StateDict, PathBuf)> {
        self.ema_of(if self.pointed("best").is_some() { "best" } else { "last" })
    }

    fn ema_of(&self, pointer: &str) -> Result<(State, StateDict, PathBuf)> {
        let none = |reason| Error::NoCheckpoint { path: self.folder.clone(), network: self.network, reason };
        let folder = self.pointed(pointer).ok_or_else(|| none(None))?;
        let state = self.read_state(&folder).map_err(|error| none(Some(error.to_string())))?;
        let ema = read_checked(&folder, EMA, &state).map_err(|error| none(Some(error.to_string())))?;
        Ok((state, ema, folder.join(EMA)))
    }

    fn read_state(&self, folder: &Path) -> Result<State> {
        let path = folder.join(STATE);
        let bad = |problem: String| Error::BadFile {
            path: path.clone(),
            problem,
            advice: "restore the file, or point `last` to an earlier step-N folder",
        };
        let text = std::fs::read(&path).map_err(Error::io(&path, "read"))?;
        let state: State = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        if state.format != FORMAT {
            return Err(bad(format!("format {}, expected {FORMAT}", state.format)));
        }
        if state.network != self.network {
            return Err(bad(format!("network {:?}, expected {:?}", state.network, self.network)));
        }
        Ok(state)
    }
}

impl State {
    /// SHA-256 of the averaged weights' file.
    pub fn ema_sha256(&self) -> &str {
        self.sha256.get(EMA).map_or("", String::as_str)
    }
}

fn read_checked(folder: &Path, file: &str, state: &State) -> Result<StateDict> {
    let path = folder.join(file);
    let bytes = std::fs::read(&path).map_err(Error::io(&path, "read"))?;
    let bad = |problem: String| Error::BadFile {
        path: path.clone(),
        problem,
        advice: "restore the file, or point `last` to an earlier step-N folder",
    };
    let found = sha256(&bytes);
    if state.sha256.get(file) != Some(&found) {
        return Err(bad(format!("its SHA-256 is {found}, but state.json says {:?}", state.sha256.get(file))));
    }
    deserialise(&bytes).map_err(bad)
}

/// Arrays as safetensors; `path` is for messages.
pub(crate) fn serialise(path: &Path, arrays: &StateDict) -> Result<Vec<u8>> {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = arrays
        .iter()
        .map(|(name, array)| (name, &array.shape, array.values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let failed = |error: safetensors::SafeTensorError| Error::BadFile {
        path: path.to_owned(),
        problem: error.to_string(),
        advice: "this is a fault of pig; please report it",
    };
    let mut views = Vec::new();
    for (name, shape, bytes) in &bytes {
        views.push((name.as_str(), TensorView::new(Dtype::F32, (*shape).clone(), bytes).map_err(failed)?));
    }
    safetensors::serialize(views, None).map_err(failed)
}

/// Arrays of f32 from safetensors.
pub(crate) fn deserialise(bytes: &[u8]) -> std::result::Result<StateDict, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut arrays = StateDict::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("{name} is {:?}, expected F32", view.dtype()));
        }
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        arrays.insert(name, Array { shape: view.shape().to_vec(), values });
    }
    Ok(arrays)
}
