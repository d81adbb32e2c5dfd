//! The scale of guidance with which lesions of generated pairs stand out as much as real ones do (`sample.match_contrast`), as a run keeps it.

use crate::{Config, Error, Result, run_dir::RunDir};
use serde::{Deserialize, Serialize};
use std::{io::ErrorKind, path::PathBuf};

/// The file in a run.
pub(crate) const FILE: &str = "guidance.json";

/// The scales that are tried: without guidance, and with a scale as it is often used.
pub(crate) const TRIED: [f64; 2] = [1.0, 2.0];

/// The greatest scale that is taken. Beyond it pictures are overdrawn, and what was measured at the scales that were tried says little.
const MOST: f64 = 3.0;

/// If the larger of these scales raises the contrast by less than this share of the real one, guidance does not act on it.
const LEAST_RAISE: f64 = 0.05;

/// What was measured for `sample.match_contrast`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matched {
    /// The scale, from 1 (no guidance) to 3.
    pub scale: f64,
    /// Mean lesion contrast of the run's real pairs, of values from -1 to 1: inside the mask minus in a ring around it. None if no lesion has
    /// such a ring.
    pub contrast_real: Option<f64>,
    /// The scales that were tried.
    pub tried: [f64; 2],
    /// The same contrast of pairs that were generated with each of them.
    pub contrast: [Option<f64>; 2],
    /// How many pairs were generated with each.
    pub pairs: usize,
}

impl Matched {
    /// Finds the scale on the straight line through both measurements. Without them there is no guidance.
    pub(crate) fn of(contrast_real: Option<f64>, contrast: [Option<f64>; 2], pairs: usize) -> Self {
        let scale = match (contrast_real, contrast) {
            (Some(real), [Some(plain), Some(guided)]) => on_line(real, [plain, guided]),
            _ => TRIED[0],
        };
        Self { scale, contrast_real, tried: TRIED, contrast, pairs }
    }

    /// Whether all was measured.
    pub(crate) fn is_whole(&self) -> bool {
        self.contrast_real.is_some() && self.contrast.iter().all(Option::is_some)
    }

    /// What was measured for a run; none if it was not yet.
    pub(crate) fn read(run: &RunDir) -> Result<Option<Self>> {
        let path = path(run);
        let text = match pig_files::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(&path, "read")(error)),
        };
        let matched: Self = serde_json::from_str(&text).map_err(|error| Error::BadFile {
            path: path.clone(),
            problem: error.to_string(),
            advice: "remove this file, and measure it again with pig train --resume RUN",
        })?;
        Ok(Some(matched))
    }

    /// Keeps it in a run.
    pub(crate) fn write(&self, run: &RunDir) -> Result<()> {
        Ok(pig_files::write_json(&path(run), self)?)
    }

    /// What was found, as a sentence without its full stop.
    pub fn words(&self) -> String {
        let found = if self.scale == TRIED[0] {
            "pairs are made without guidance".to_owned()
        } else {
            format!("pairs are made with sample.guidance_scale = {}", self.scale)
        };
        let what = match (self.contrast_real, self.contrast) {
            (Some(real), [Some(plain), Some(guided)]) => format!(
                "lesions of {} generated pairs have {:.0} % of the contrast of real ones without guidance, and {:.0} % with a scale of {}",
                self.pairs,
                100.0 * plain / real,
                100.0 * guided / real,
                TRIED[1]
            ),
            _ => format!("no contrast could be measured in {} generated pairs or in the real ones", self.pairs),
        };
        format!("sample.match_contrast: {what}; {found}")
    }
}

/// The scale at which a straight line through the contrasts with the scales that were tried has that of real pairs.
fn on_line(real: f64, [plain, guided]: [f64; 2]) -> f64 {
    // Lesions may be darker than what surrounds them.
    let towards = real.signum();
    let (lack, raise) = (towards * (real - plain), towards * (guided - plain));
    let acts = raise > LEAST_RAISE * real.abs();
    let scale = if acts { TRIED[0] + lack / raise * (TRIED[1] - TRIED[0]) } else { TRIED[0] };
    // So many pairs do not tell more than two digits.
    (100.0 * scale.clamp(TRIED[0], MOST)).round() / 100.0
}

fn path(run: &RunDir) -> PathBuf {
    run.path().join(FILE)
}

/// What was measured for a run with the configuration `config`; none if it does not ask for it, or if nothing readable is there.
pub fn found(run: &RunDir, config: &Config) -> Option<Matched> {
    if config.sample.match_contrast { Matched::read(run).ok().flatten() } else { None }
}

/// The scale of guidance with which a run with the configuration `config` is sampled: that of `sample.guidance_scale`, or the one that was found. It
/// is 1 while none was found.
pub fn scale(run: &RunDir, config: &Config) -> f64 {
    found(run, config).map_or(config.sample.guidance_scale, |matched| matched.scale)
}

/// Forgets what was measured for a run, whose networks are about to change.
pub(crate) fn forget(run: &RunDir) -> Result<()> {
    match std::fs::remove_file(path(run)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(&path(run), "remove")(error)),
        _ => Ok(()),
    }
}

/// `config` with the scale that was measured for the run, if `sample.match_contrast` asks for it.
///
/// # Errors
/// When nothing was measured: the training has not ended, or it was one without `sample.match_contrast`.
pub(crate) fn resolved(run: &RunDir, mut config: Config) -> Result<Config> {
    if config.sample.match_contrast {
        let Some(matched) = Matched::read(run)? else {
            return Err(Error::BadFile {
                path: path(run),
                problem: "is not there, but sample.match_contrast takes the scale of guidance from it; a training with this setting writes it at its end"
                    .to_owned(),
                advice: "finish the training (pig train --resume RUN), or give a scale: --set sample.match_contrast=false --set sample.guidance_scale=2",
            });
        };
        config.sample.guidance_scale = matched.scale;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(real: f64, contrast: [f64; 2]) -> Matched {
        Matched::of(Some(real), contrast.map(Some), 128)
    }

    fn scale(real: f64, contrast: [f64; 2]) -> f64 {
        matched(real, contrast).scale
    }

    #[test]
    fn the_scale_lies_on_the_line_through_both_measurements() {
        assert_eq!(scale(0.30, [0.20, 0.30]), 2.0);
        assert_eq!(scale(0.30, [0.20, 0.40]), 1.5);
        assert_eq!(scale(0.30, [0.24, 0.27]), 3.0);
        // Lesions that are darker than what surrounds them.
        assert_eq!(scale(-0.40, [-0.20, -0.60]), 1.5);
        // Beyond 3, nothing was measured.
        assert_eq!(scale(0.30, [0.10, 0.13]), 3.0);
    }

    #[test]
    fn lesions_that_stand_out_enough_and_guidance_that_does_not_act_take_none() {
        assert_eq!(scale(0.24, [0.25, 0.52]), 1.0);
        assert_eq!(scale(-0.40, [-0.41, -0.60]), 1.0);
        assert_eq!(scale(0.30, [0.10, 0.10]), 1.0);
        assert_eq!(scale(0.30, [0.10, 0.11]), 1.0);
        assert_eq!(scale(0.30, [0.10, 0.05]), 1.0);
    }

    #[test]
    fn the_log_says_what_was_found() {
        let words = matched(0.30, [0.20, 0.40]).words();
        for expected in ["128 generated pairs", "67 % of", "133 % with a scale of 2", "sample.guidance_scale = 1.5"] {
            assert!(words.contains(expected), "{words}");
        }
        assert!(matched(0.24, [0.25, 0.52]).words().ends_with("; pairs are made without guidance"));
        let none = Matched::of(Some(0.3), [None, Some(0.2)], 128);
        assert!(none.scale == 1.0 && !none.is_whole() && none.words().contains("no contrast"), "{none:?}");
    }
}
