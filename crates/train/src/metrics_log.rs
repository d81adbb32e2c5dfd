//! metrics.jsonl: one line per observation. On resume, lines after the checkpoint are dropped, so that the curves continue.

use crate::{
    Error, Result,
    latents::Reconstruction,
    mark::{Mark, lines},
    watch::Watched,
};
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
    /// What the pairs of a preview showed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub watched: Option<Watched>,
}

/// Validation losses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Mean over all timesteps; of a segmenter what its Dice lacks to 1, which the key `dice` holds itself.
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
    /// Opens the log of a run; lines of `network` after `step` are dropped, since they will be written again. `mark` is what the file
    /// held at `step`.
    ///
    /// # Errors
    /// When the file does not begin with what it held then.
    pub fn open(run: &Path, network: &str, step: usize, mark: Option<&Mark>) -> Result<Self> {
        let path = run.join("metrics.jsonl");
        let bytes = if path.exists() { pig_files::read(&path).map_err(Error::io(&path, "read"))? } else { Vec::new() };
        if let Some(mark) = mark {
            check(&path, &bytes, network, mark)?;
        }
        if !bytes.is_empty() {
            // The lines are kept as they are: reading a number and writing it again could change its last digit. What is no line of ours
            // stays too, since a mark may cover it; a torn last line goes.
            let kept = lines(&bytes).filter(|text| {
                text.ends_with(b"\n")
                    && serde_json::from_slice(text)
                        .map_or(true, |line: Line| line.network != network || line.step <= step)
            });
            pig_files::write(&path, &kept.flatten().copied().collect::<Vec<u8>>())?;
        }
        let file = pig_files::append(&path).map_err(Error::io(&path, "write"))?;
        Ok(Self { path, file })
    }

    /// What the file holds now, which is on the disk afterwards.
    pub fn mark(&self) -> Result<Mark> {
        self.file.sync_all().map_err(Error::io(&self.path, "write"))?;
        Ok(Mark::of(&pig_files::read(&self.path).map_err(Error::io(&self.path, "read"))?))
    }

    /// Appends a line.
    pub fn write(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line).unwrap_or_default() + "\n";
        self.file.write_all(text.as_bytes()).map_err(Error::io(&self.path, "write"))
    }
}

/// Whether the file begins with what it held when `network` was saved.
fn check(path: &Path, bytes: &[u8], network: &str, mark: &Mark) -> Result<()> {
    let begin = lines(bytes).take(mark.lines).map(<[u8]>::len).sum();
    let found = Mark::of(&bytes[..begin]);
    if found == *mark {
        return Ok(());
    }
    let (lines, sha256) = (mark.lines, &mark.sha256);
    Err(Error::BadFile {
        path: path.to_owned(),
        problem: if found.lines < lines {
            format!("it has {} lines, but had {lines} when the last checkpoint of {network} was written", found.lines)
        } else {
            let found = found.sha256;
            format!("its first {lines} lines have the SHA-256 {found}, but state.json of {network} says {sha256}")
        },
        advice: "restore the file as it was when that checkpoint was written, or the checkpoint that belongs to this training",
    })
}

/// All lines of a run. A line that cannot be read, such as a last line that a crash cut off, is left out.
pub fn read(run: &Path) -> Result<Vec<Line>> {
    let path = run.join("metrics.jsonl");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = pig_files::read_to_string(&path).map_err(Error::io(&path, "read"))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_files::sha256;

    fn line(step: usize, speed: f64) -> Line {
        Line { network: "x".to_owned(), step, loss: Some(0.5), images_per_second: Some(speed), ..Line::default() }
    }

    #[test]
    fn the_beginning_of_the_file_is_held_against_its_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(folder.path(), "x", 0, None).unwrap();
        assert_eq!(log.mark().unwrap(), Mark { lines: 0, sha256: sha256(b"") });
        log.write(&line(1, 10.0)).unwrap();
        log.write(&line(2, 20.5)).unwrap();
        let mark = log.mark().unwrap();
        let stripped = "{\"network\":\"x\",\"step\":1,\"loss\":0.5}\n{\"network\":\"x\",\"step\":2,\"loss\":0.5}\n";
        assert_eq!(mark, Mark { lines: 2, sha256: sha256(stripped.as_bytes()) });
        log.write(&line(3, 30.0)).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let opened = |text: &str| {
            std::fs::write(&path, text).unwrap();
            MetricsLog::open(folder.path(), "x", 2, Some(&mark)).map(|_| std::fs::read_to_string(&path).unwrap())
        };
        let first_two = &whole[..whole.len() - whole.lines().last().unwrap().len() - 1];
        assert_eq!(opened(&whole).unwrap(), first_two);
        assert_eq!(opened(&format!("{whole}{{\"network\":\"x\",\"st")).unwrap(), first_two);
        for (hurt, part) in [
            (whole.replace("\"step\":2", "\"step\":4"), "SHA-256"),
            (whole.replacen("0.5", "0.6", 1), "SHA-256"),
            (first_two[..first_two.len() - 1].to_owned(), "SHA-256"),
            (whole.lines().next().unwrap().to_owned() + "\n", "it has 1 lines, but had 2"),
        ] {
            let message = opened(&hurt).unwrap_err().to_string();
            assert!(message.contains("metrics.jsonl") && message.contains(part), "{hurt}: {message}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), hurt, "the file was changed");
        }
    }
}
