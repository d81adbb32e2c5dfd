//! What a run's files say: its state, its networks' steps, what its previews showed, and its settings.

use crate::{
    below::Root,
    reply::{Refusal, Reply},
    table::end_of_file,
};
use pig_files::Owner;
use pig_report::Chart;
use pig_segment::config::SegmentFile;
use pig_train::{
    Config, matched,
    metrics_log::{self, Line},
    run_dir::RunDir,
    watch::Watched,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The most previews of a network that a page shows.
const MOST_PREVIEWS: usize = 12;
/// The bytes of the log that a page shows.
const LOG_BYTES: u64 = 12 << 10;

/// How a run is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// A process trains it.
    Training(Owner),
    /// All steps are done, or the training ended by itself.
    Finished,
    /// There is a checkpoint from which it can go on.
    Stopped,
    /// There is no checkpoint yet, and nothing trains it.
    Empty,
}

impl State {
    /// The word for people.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Training(_) => "training",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Empty => "not begun",
        }
    }
}

/// One network of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Network {
    pub(crate) name: String,
    /// Steps that were logged.
    pub(crate) step: usize,
    /// Steps of the last checkpoint.
    pub(crate) saved: usize,
    pub(crate) steps: usize,
    pub(crate) loss: Option<f64>,
    pub(crate) validation: Option<f64>,
    /// Seconds to its last step, at its last speed.
    pub(crate) seconds_left: Option<f64>,
    /// Whether it ended before its last step, since its pairs may be copies.
    pub(crate) has_ended: bool,
}

impl Network {
    /// The share of the steps that are done, in whole per cent.
    pub(crate) fn percent(&self) -> usize {
        100 * self.step.min(self.steps) / self.steps.max(1)
    }

    fn is_done(&self) -> bool {
        self.has_ended || self.saved >= self.steps
    }
}

/// A run as the list shows it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) address: String,
    /// The method, or `segmenter`.
    pub(crate) method: String,
    pub(crate) size: [usize; 2],
    pub(crate) state: State,
    pub(crate) networks: Vec<Network>,
    /// Whether `pig sample` can make pairs from noise with it; none for a segmenter.
    pub(crate) generator: Option<Generator>,
    /// What the last preview showed.
    pub(crate) watched: Option<Watched>,
    settings: Settings,
    lines: Vec<Line>,
}

/// What a page needs to sample a run.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    pub(crate) makes_masks: bool,
    pub(crate) takes_masks: bool,
    pub(crate) steps: usize,
    /// The scale with which it is sampled if nothing else is asked for.
    pub(crate) guidance: f64,
    /// Whether this scale was found by `sample.match_contrast`.
    pub(crate) is_matched: bool,
    pub(crate) classes: Vec<String>,
    pub(crate) slices: usize,
}

/// The settings of a run and the defaults of the same kind, by their names.
#[derive(Clone, Debug)]
struct Settings {
    own: BTreeMap<String, String>,
    defaults: BTreeMap<String, String>,
    toml: String,
    planned_hours: Option<f64>,
}

impl Run {
    /// Reads the run at an address.
    pub(crate) fn read(root: &Root, address: &str) -> Reply<Self> {
        let path = root.folder(address).ok_or_else(|| Refusal::missing(format!("There is no run {address:?}.")))?;
        let run = RunDir::open(&path).map_err(|error| Refusal::missing(error.to_string()))?;
        let lines = metrics_log::read(&path).map_err(|error| Refusal::wrong(error.to_string()))?;
        let kind = Kind::of(&run)?;
        let networks: Vec<Network> = kind
            .steps()
            .into_iter()
            .map(|(name, steps)| network(&path, &lines, name, steps, kind.images_in_step()))
            .collect();
        let state = match pig_files::holder(&path).map_err(Refusal::fault)? {
            Some(owner) => State::Training(owner),
            None if networks.iter().all(Network::is_done) => State::Finished,
            None if networks.iter().any(|network| network.saved > 0) => State::Stopped,
            None => State::Empty,
        };
        let watched = lines.iter().rev().find_map(|line| line.watched.clone());
        Ok(Self {
            address: address.to_owned(),
            method: kind.method(),
            size: kind.size(),
            state,
            networks,
            generator: kind.generator(&run),
            watched,
            settings: kind.settings(),
            lines,
        })
    }

    /// The last part of its address.
    pub(crate) fn name(&self) -> &str {
        self.address.rsplit('/').next().unwrap_or(&self.address)
    }

    /// Seconds to the end of the network that is trained now, if it is known.
    pub(crate) fn seconds_left(&self) -> Option<f64> {
        let network = self.networks.iter().find(|network| network.step < network.steps && !network.has_ended)?;
        network.seconds_left
    }

    /// Networks whose training has not begun.
    pub(crate) fn to_begin(&self) -> usize {
        let open = self.networks.iter().filter(|network| network.step < network.steps && !network.has_ended);
        open.filter(|network| network.step == 0).count()
    }

    /// Keys whose values differ from the defaults: key, value and default.
    pub(crate) fn differences(&self) -> Vec<[String; 3]> {
        let Settings { own, defaults, .. } = &self.settings;
        let unlike = own.iter().filter(|(key, value)| defaults.get(*key) != Some(value));
        unlike
            .map(|(key, value)| [key.clone(), value.clone(), defaults.get(key).cloned().unwrap_or_default()])
            .collect()
    }

    /// The whole configuration as TOML.
    pub(crate) fn toml(&self) -> &str {
        &self.settings.toml
    }

    /// The hours that `pig plan` forecast.
    pub(crate) fn planned_hours(&self) -> Option<f64> {
        self.settings.planned_hours
    }

    /// Its curves; none before the first line.
    pub(crate) fn charts(&self) -> Vec<Chart> {
        match &self.generator {
            _ if self.lines.is_empty() => Vec::new(),
            Some(_) => pig_train::curves::charts(&self.lines),
            None => pig_segment::run::charts(&self.lines),
        }
    }

    /// The addresses of its newest previews, the newest first, each with the words of its name.
    pub(crate) fn previews(&self, root: &Root) -> Vec<(String, String)> {
        let folder = root.path().join(&self.address).join("previews");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<(std::time::SystemTime, PathBuf)> = entries
            .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "png"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        let newest = files.into_iter().rev().take(MOST_PREVIEWS);
        newest
            .filter_map(|(_, path)| {
                let words = path.file_stem()?.to_str()?.replace("-step-", ", step ").replace('_', " ");
                Some((root.address(&path)?, words))
            })
            .collect()
    }

    /// The end of its log.
    pub(crate) fn log(&self, root: &Root) -> String {
        end_of_file(&root.path().join(&self.address).join("log.txt"), LOG_BYTES)
    }
}

/// The configuration of a generator or of a segmenter.
enum Kind {
    Generator(Box<Config>),
    Segmenter(Box<SegmentFile>),
}

impl Kind {
    fn of(run: &RunDir) -> Reply<Self> {
        match run.config_as::<SegmentFile>() {
            Ok(file) => Ok(Self::Segmenter(Box::new(file))),
            Err(_) => run
                .config()
                .map(|config| Self::Generator(Box::new(config)))
                .map_err(|error| Refusal::wrong(error.to_string())),
        }
    }

    fn method(&self) -> String {
        match self {
            Self::Generator(config) => config.method.word().to_owned(),
            Self::Segmenter(_) => "segmenter".to_owned(),
        }
    }

    fn size(&self) -> [usize; 2] {
        match self {
            Self::Generator(config) => config.data.size,
            Self::Segmenter(file) => file.data.size,
        }
    }

    /// The networks that are trained, each with its number of steps.
    fn steps(&self) -> Vec<(&'static str, usize)> {
        match self {
            Self::Generator(config) => config.trained_roles().map(|role| (role.name(), config.steps(role))).collect(),
            Self::Segmenter(file) => vec![("segmenter", file.segment.train.steps)],
        }
    }

    fn images_in_step(&self) -> usize {
        match self {
            Self::Generator(config) => config.train.images_in_step(),
            Self::Segmenter(file) => file.segment.train.batch_size,
        }
    }

    fn generator(&self, run: &RunDir) -> Option<Generator> {
        let Self::Generator(config) = self else { return None };
        let data = &config.data;
        Some(Generator {
            makes_masks: config.method.makes_masks(),
            takes_masks: config.takes(pig_train::config::GivenKind::Masks),
            steps: config.sample.num_inference_steps,
            guidance: matched::scale(run, config),
            is_matched: config.sample.match_contrast,
            classes: if data.has_several_classes() {
                data.classes.iter().map(|class| class.name.clone()).collect()
            } else {
                Vec::new()
            },
            slices: data.slices,
        })
    }

    fn settings(&self) -> Settings {
        let of = |own: Value, default: Value, toml: String, planned_hours| Settings {
            own: flat(&own),
            defaults: flat(&default),
            toml,
            planned_hours,
        };
        // Settings are plain values, so none of this can fail.
        let json = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
        match self {
            Self::Generator(config) => of(
                json(serde_json::to_value(config)),
                json(serde_json::to_value(Config::default())),
                config.to_toml(),
                config.train.planned_hours,
            ),
            Self::Segmenter(file) => {
                let own = json(serde_json::to_value(file));
                let text = serde_json::to_string_pretty(&own).unwrap_or_default();
                of(own, json(serde_json::to_value(SegmentFile::default())), text, None)
            }
        }
    }
}

fn network(run: &Path, lines: &[Line], name: &str, steps: usize, images: usize) -> Network {
    let own: Vec<&Line> = lines.iter().filter(|line| line.network == name).collect();
    let (saved, has_ended) = saved(run, name);
    let step = own.last().map_or(0, |line| line.step).max(saved);
    let speed = own.iter().rev().find_map(|line| line.images_per_second).filter(|speed| *speed > 0.0);
    Network {
        name: name.to_owned(),
        step,
        saved,
        steps,
        loss: own.iter().rev().find_map(|line| line.loss),
        validation: own.iter().rev().find_map(|line| line.validation).map(|validation| validation.mean),
        seconds_left: speed.map(|speed| (steps.saturating_sub(step) * images) as f64 / speed),
        has_ended,
    }
}

/// The step of a network's last checkpoint, 0 without one, and whether its training ended before its last step.
fn saved(run: &Path, network: &str) -> (usize, bool) {
    let folder = run.join("checkpoints").join(network);
    let read = || -> Option<(usize, bool)> {
        let name = pig_files::read_to_string(folder.join("last")).ok()?;
        let state: Value =
            serde_json::from_slice(&pig_files::read(folder.join(name.trim()).join("state.json")).ok()?).ok()?;
        Some((state.get("step")?.as_u64()? as usize, state.get("has_ended").and_then(Value::as_bool).unwrap_or(false)))
    };
    read().unwrap_or((0, false))
}

/// The values of a configuration by their full names, without those that are not set.
fn flat(value: &Value) -> BTreeMap<String, String> {
    fn add(name: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(section) => {
                for (key, value) in section {
                    add(&if name.is_empty() { key.clone() } else { format!("{name}.{key}") }, value, found);
                }
            }
            Value::Null => {}
            other => {
                found.insert(name.to_owned(), other.to_string());
            }
        }
    }
    let mut found = BTreeMap::new();
    add("", value, &mut found);
    found
}

/// A number of seconds as text: 45 s, 3 min, 2 h 5 min.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min", whole.div_ceil(60)),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_named_by_their_sections() {
        let flat = flat(&serde_json::json!({ "a": { "b": 1, "c": [1, 2], "d": null }, "e": "x" }));
        let found: Vec<(&str, &str)> = flat.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(found, [("a.b", "1"), ("a.c", "[1,2]"), ("e", "\"x\"")]);
    }

    #[test]
    fn durations_are_told_in_two_units_at_most() {
        assert_eq!([0.4, 59.0, 61.0, 7500.0].map(duration), ["0 s", "59 s", "2 min", "2 h 5 min"]);
    }
}
