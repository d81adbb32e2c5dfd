//! metrics.jsonl: one line per observation. On resume, lines after the checkpoint are dropped, so that the curves continue.

use crate::{Error, Result, latents::Reconstruction};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

/// One line of metrics.jsonl; absent values were not measured at that step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The network.
    pub network: String,
    /// Optimiser steps done.
    pub step: usize,
    /// Mean training loss since the previous line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loss: Option<f64>,
    /// Learning rate of the step.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub learning_rate: Option<f64>,
    /// Norm of the gradient before clipping.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gradient_norm: Option<f64>,
    /// Training images per second since the previous line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub images_per_second: Option<f64>,
    /// Validation loss of the averaged weights on held-out groups: the mean, and by quarter of the timesteps from the
    /// least to the most noise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub validation: Option<Validation>,
    /// How well an autoencoder with averaged weights reconstructs held-out images.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reconstruction: Option<Reconstruction>,
    /// Mean Dice per slice of a segmenter with averaged weights on held-out groups, without slices that have neither lesion nor
    /// prediction.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dice: Option<f64>,
}

/// Validation losses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Mean over all timesteps.
    pub mean: f64,
    /// Mean over each quarter of 1..=T; none for a network without timesteps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quarters: Option<[f64; 4]>,
}

/// The open file.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the log of a run; lines of `network` after `step` are dropped, since they will be written again.
    pub fn open(run: &Path, network: &str, step: usize) -> Result<Self> {
        let path = run.join("metrics.jsonl");
        if path.exists() {
            let text = std::fs::read_to_string(&path).map_err(Error::io(&path, "read"))?;
            // The lines are kept as they are: reading a number and writing it again could change its last digit.
            let kept = text.lines().filter(|text| {
                serde_json::from_str(text).is_ok_and(|line: Line| line.network != network || line.step <= step)
            });
            let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
            pig_files::write(&path, kept.as_bytes())?;
        }
        let file = File::options().create(true).append(true).open(&path).map_err(Error::io(&path, "write"))?;
        Ok(Self { path, file })
    }

    /// Appends a line.
    pub fn write(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line).unwrap_or_default() + "\n";
        self.file.write_all(text.as_bytes()).map_err(Error::io(&self.path, "write"))
    }
}

/// All lines of a run. A line that cannot be read, such as a last line that a crash cut off, is left out.
pub fn read(run: &Path) -> Result<Vec<Line>> {
    let path = run.join("metrics.jsonl");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path, "read"))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
