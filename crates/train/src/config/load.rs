//! Layers of a configuration: defaults, then a file, then `--set key=value`.

use super::migrate::migrate;
use crate::config::{Config, Method, ModelYConfig};
use pig_data::DataConfig;
use serde::{Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A configuration that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be opened.
    #[error("{}: {source}; give a readable TOML file with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or has an unknown key or a wrong value.
    #[error("{place}: {message}{}", hint.as_deref().unwrap_or(""))]
    Invalid {
        /// File and line, or the `--set` that was given.
        place: String,
        /// What is wrong there.
        message: String,
        /// The most similar known name, if one is similar enough.
        hint: Option<String>,
    },
}

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// `--set key=value`, in the order given.
    pub sets: Vec<String>,
}

impl Layers {
    /// Reads and joins the layers. Each layer is checked separately, so that an error names the layer with the mistake.
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.load_as()
    }

    /// As [`load`](Self::load), for a training that a user asks for: refuses what [`check_steps`](Self::check_steps) refuses.
    pub fn load_for_training(&self) -> Result<Config, ConfigError> {
        // A wrong value is told as one, and not as a number of steps that leaves others as they are.
        let config = self.load()?;
        self.check_steps(&Self { file: self.file.clone(), sets: Vec::new() }.load()?)?;
        Ok(config)
    }

    /// Refuses `--set train.steps=N` above a configuration in which a network has a number of steps of its own, which would stay as it is.
    ///
    /// # Errors
    /// When a key of such a network is neither set nor absent below.
    pub fn check_steps(&self, below: &Config) -> Result<(), ConfigError> {
        let set = |key: &str| self.sets.iter().find(|set| set.split('=').next().is_some_and(|name| name.trim() == key));
        let Some(steps) = set("train.steps") else { return Ok(()) };
        let train = &below.train;
        let own = [
            ("train.model_x_steps", train.model_x_steps),
            ("train.base_steps", train.base_steps),
            ("train.autoencoder_steps", train.autoencoder_steps),
        ];
        let kept = own.into_iter().filter(|(key, _)| set(key).is_none()).filter_map(|(key, steps)| Some((key, steps?)));
        let (keys, values): (Vec<&str>, Vec<String>) =
            kept.map(|(key, steps)| (key, format!("{key} = {steps}"))).unzip();
        if keys.is_empty() {
            return Ok(());
        }
        Err(ConfigError::Invalid {
            place: format!("--set {steps}"),
            message: format!(
                "the configuration also gives {}, which this does not change; set {} as well, or give --steps-scale FACTOR to \
                 `pig train`, which scales all numbers of steps",
                values.join(" and "),
                keys.join(" and ")
            ),
            hint: None,
        })
    }

    /// Reads the configuration in a run directory. Keys of earlier versions are renamed to their present names.
    pub fn load_of_run(path: &Path) -> Result<Config, ConfigError> {
        let text = read(path)?;
        let mut table: Table = toml::from_str(&text).map_err(|error| invalid(path, &text, &error))?;
        migrate(&mut table);
        // Every value of a parsed table can be written, so this cannot fail.
        let table = parse::<Config>(path, &toml::to_string_pretty(&table).unwrap_or_default())?;
        Self::default().over(table)
    }

    /// Like [`load`](Self::load), for another kind of configuration, such as that of preparation.
    pub fn load_as<C: DeserializeOwned>(&self) -> Result<C, ConfigError> {
        let base = match &self.file {
            Some(path) => {
                let text = read(path)?;
                parse::<C>(path, &text)?
            }
            None => Table::new(),
        };
        self.over(base)
    }

    /// Like [`load_as`](Self::load_as), above a section `[data]` that was given elsewhere: its keys hold where no layer has its own.
    /// Augmentation and the share that is held out are left out, since they do not say how pictures are read.
    pub fn load_above<C: DeserializeOwned>(&self, data: &DataConfig) -> Result<C, ConfigError> {
        // Every value of a section can be written, so this cannot fail.
        let mut below = Table::try_from(data).unwrap_or_default();
        for key in ["augment", "validation_fraction"] {
            below.remove(key);
        }
        let mut table = Table::from_iter([("data".to_owned(), Value::Table(below))]);
        if let Some(path) = &self.file {
            put_over(&mut table, parse::<C>(path, &read(path)?)?);
        }
        self.over(table)
    }

    /// Applies the settings of `--set` to an existing configuration. If they change `ddpm` to `ddim` or back, the sampler and the
    /// number of steps start from the new method's defaults.
    pub fn over_config(&self, config: &Config) -> Result<Config, ConfigError> {
        let mut table = Table::try_from(config).unwrap_or_default();
        if self.sets.iter().any(|set| set.split('=').next().is_some_and(|key| key.trim() == "method"))
            && let Some(Value::Table(sample)) = table.get_mut("sample")
        {
            for key in DDPM_KEYS {
                sample.remove(key);
            }
        }
        self.over(table)
    }

    /// Applies the settings of `--set` to an existing configuration of another kind.
    pub fn over_settings<C: Serialize + DeserializeOwned>(&self, settings: &C) -> Result<C, ConfigError> {
        self.over(Table::try_from(settings).unwrap_or_default())
    }

    fn over<C: DeserializeOwned>(&self, mut table: Table) -> Result<C, ConfigError> {
        for set in &self.sets {
            apply::<C>(&mut table, set)?;
        }
        add_ddpm_defaults(&mut table);
        Value::Table(table).try_into().map_err(|error: toml::de::Error| ConfigError::Invalid {
            place: "the configuration".to_owned(),
            message: plain(error.message()),
            hint: None,
        })
    }
}

/// The keys of `[sample]` that have other defaults with `method = "ddpm"`.
const DDPM_KEYS: [&str; 2] = ["sampler", "num_inference_steps"];

/// Sets the defaults of `method = "ddpm"`: ancestral steps at all timesteps.
fn add_ddpm_defaults(table: &mut Table) {
    if table.get("method").and_then(Value::as_str) != Some(Method::Ddpm.word()) {
        return;
    }
    let asked = table.get("schedule").and_then(|schedule| schedule.get("num_train_timesteps")).cloned();
    let steps = asked.unwrap_or(Value::Integer(Config::default().schedule.num_train_timesteps as i64));
    let sample = table.entry("sample").or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(sample) = sample {
        for (key, value) in DDPM_KEYS.into_iter().zip([Value::String("ddpm".to_owned()), steps]) {
            sample.entry(key).or_insert(value);
        }
    }
}

/// Puts the values of `upper` into `table`, section by section.
fn put_over(table: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => put_over(below, above),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    pig_files::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

/// The file as a table, after checking that it is a valid configuration by itself.
fn parse<C: DeserializeOwned>(path: &Path, text: &str) -> Result<Table, ConfigError> {
    let failed = |error: toml::de::Error| invalid(path, text, &error);
    toml::from_str::<C>(text).map_err(failed)?;
    toml::from_str::<Table>(text).map_err(failed)
}

/// An error in a file's text, with the line of the key.
fn invalid(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let unknown = unknown_field(error.message());
    let offset = unknown.and_then(|name| key_offset(text, name)).or(error.span().map(|span| span.start));
    let line = offset.map_or(1, |offset| text[..offset.min(text.len())].matches('\n').count() + 1);
    ConfigError::Invalid {
        place: format!("{}:{line}", path.display()),
        message: plain(error.message()),
        hint: unknown.and_then(|name| nearest(name, error.message())),
    }
}

/// Puts `a.b=value` into the table. The value is TOML; a bare word counts as a string.
fn apply<C: DeserializeOwned>(table: &mut Table, set: &str) -> Result<(), ConfigError> {
    let invalid = |message: String, hint| ConfigError::Invalid { place: format!("--set {set}"), message, hint };
    let Some((key, value)) = set.split_once('=') else {
        return Err(invalid("expected key=value, such as train.steps=1000".to_owned(), None));
    };
    let (key, value) = (key.trim(), value.trim());
    let value = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));

    let mut alone = Table::new();
    insert(&mut alone, key, value.clone());
    if let Err(error) = Value::Table(alone).try_into::<C>() {
        let name = unknown_field(error.message());
        return Err(invalid(plain(error.message()), name.and_then(|name| nearest(name, error.message()))));
    }
    insert(table, key, value);
    Ok(())
}

fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let entry = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if !entry.is_table() {
                *entry = Value::Table(Table::new());
            }
            if let Value::Table(inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}

/// The first line of serde's message, with what is expected in words of a configuration instead of types of a program.
fn plain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    // What a set of words says of a number or a list. Neither message names the value: the place does.
    if line == "wanted string or table" || line.ends_with(", expected string only") {
        return "expected one of the words that docs/CONFIG.md lists for this key".to_owned();
    }
    // Unknown names come with the known ones, which need no other words.
    let invalid = line.strip_prefix("invalid ").and_then(|rest| rest.rsplit_once(", expected "));
    let Some((found, expected)) = invalid else { return line.to_owned() };
    let words = match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number that is not negative",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list in square brackets, such as [1, 2]",
        other if other.starts_with("struct ") => "a section of keys",
        other => other,
    };
    format!("invalid {found}, expected {words}")
}

/// The name in serde's "unknown field `name`, expected ..".
fn unknown_field(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}

/// The known name nearest to `name` among those that serde lists in its message.
fn nearest(name: &str, message: &str) -> Option<String> {
    let expected = message.split_once("expected")?.1;
    let known = expected.split('`').skip(1).step_by(2).chain(ModelYConfig::OWN_KEYS);
    let best = known.map(|known| (strsim::damerau_levenshtein(name, known), known)).min()?;
    (best.0 <= name.len().div_ceil(2)).then(|| format!("; did you mean `{}`?", best.1))
}

/// The offset of the line with a key or section of this name. serde's own place is often only the section.
fn key_offset(text: &str, name: &str) -> Option<usize> {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let key = line.split('=').next().unwrap_or_default().trim();
        let header = key.trim_start_matches('[').trim_end_matches(']');
        if line.contains('=') && key == name || line.trim_start().starts_with('[') && header == name {
            return Some(offset);
        }
        offset += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_diffusion::sampler::SamplerKind;

    fn from_text(text: &str) -> Result<Config, ConfigError> {
        parse::<Config>(Path::new("my.toml"), text).and_then(|table| Layers::default().over(table))
    }

    #[test]
    fn defaults_survive_their_own_toml() {
        let config = Config::default();
        assert_eq!(from_text(&config.to_toml()).unwrap(), config);
    }

    #[test]
    fn unknown_keys_name_file_line_and_nearest_name() {
        let message = from_text("[train]\nsteps = 4\nbatchsize = 3\n").unwrap_err().to_string();
        assert!(message.starts_with("my.toml:3: unknown field `batchsize`"), "{message}");
        assert!(message.ends_with("did you mean `batch_size`?"), "{message}");
        let message = from_text("[model_y]\n\nconditionning = \"clean\"\n").unwrap_err().to_string();
        assert!(message.starts_with("my.toml:3:") && message.contains("`conditioning`"), "{message}");
        let message = from_text("[trian]\nsteps = 4\n").unwrap_err().to_string();
        assert!(message.starts_with("my.toml:1:") && message.contains("did you mean `train`"), "{message}");
    }

    /// Overriding `train.steps` alone would leave model_x with the steps of the file.
    #[test]
    fn steps_are_set_for_all_networks_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pig.toml");
        std::fs::write(&file, "[train]\nsteps = 2600\nmodel_x_steps = 1500\n").unwrap();
        let load = |sets: &[&str]| {
            Layers { file: Some(file.clone()), sets: sets.iter().map(|&set| set.to_owned()).collect() }
                .load_for_training()
        };
        let message = load(&["train.batch_size=4", "train.steps=400"]).unwrap_err().to_string();
        for part in ["--set train.steps=400", "train.model_x_steps = 1500", "--steps-scale"] {
            assert!(message.contains(part), "{message}");
        }
        let train = load(&["train.steps=400", "train.model_x_steps=300"]).unwrap().train;
        assert_eq!((train.steps, train.model_x_steps), (400, Some(300)));
        assert_eq!(load(&["train.model_x_steps=300"]).unwrap().train.steps, 2600);
        // A value that is no number is told first.
        let message = load(&["train.steps=many"]).unwrap_err().to_string();
        assert!(message.starts_with("--set train.steps=many: ") && !message.contains("model_x_steps"), "{message}");
        assert_eq!(load(&["train.log_every=3"]).unwrap().train.model_x_steps, Some(1500));
        // Without a number of its own, model_x takes that of all networks.
        std::fs::write(&file, "[train]\nsteps = 2600\n").unwrap();
        assert_eq!(load(&["train.steps=400"]).unwrap().train.steps, 400);
    }

    #[test]
    fn wrong_values_name_their_line() {
        let message = from_text("[train]\n\nsteps = \"many\"\n").unwrap_err().to_string();
        assert!(message.starts_with("my.toml:3:") && message.contains("invalid type"), "{message}");
        let message = from_text("method = \"pigs\"\n").unwrap_err().to_string();
        assert!(message.starts_with("my.toml:1: unknown variant `pigs`"), "{message}");
    }

    /// Each message names the key with its value, and what a user could write instead.
    #[test]
    fn wrong_values_are_told_in_words_of_the_configuration() {
        for (set, expected) in [
            ("train.steps=many", "string \"many\", expected a whole number that is not negative"),
            ("train.steps=-5", "integer `-5`, expected a whole number that is not negative"),
            ("train.learning_rate=high", "string \"high\", expected a number"),
            ("model_x.block_out_channels=32", "integer `32`, expected a list in square brackets, such as [1, 2]"),
            ("model_y.block_out_channels=[32, wide]", "expected a list in square brackets"),
            ("model_y.dropout=high", "string \"high\", expected a number"),
            ("sample.clip_sample=yes", "string \"yes\", expected true or false"),
            ("method=pigs", "unknown variant `pigs`, expected one of `pig`"),
            ("method=3", "expected one of the words that docs/CONFIG.md lists"),
            ("train=3", "integer `3`, expected a section of keys"),
        ] {
            let layers = Layers { file: None, sets: vec![set.to_owned()] };
            let message = layers.load().unwrap_err().to_string();
            assert!(message.starts_with(&format!("--set {set}: ")) && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn set_reaches_every_section_and_takes_bare_words() {
        let sets = ["train.steps=12", "model_y.conditioning=clean", "data.size=[32, 48]", "method=joint"];
        let layers = Layers { file: None, sets: sets.map(str::to_owned).to_vec() };
        let config = layers.load().unwrap();
        assert_eq!((config.train.steps, config.data.size), (12, [32, 48]));
        assert_eq!(config.model_y.conditioning, super::super::Conditioning::Clean);
        assert_eq!(config.method, super::super::Method::Joint);
    }

    #[test]
    fn ddpm_takes_ancestral_steps_at_all_timesteps() {
        let load = |sets: &[&str]| Layers { file: None, sets: sets.iter().map(|&s| s.to_owned()).collect() }.load();
        let config = load(&["method=ddpm", "schedule.num_train_timesteps=64"]).unwrap();
        assert_eq!((config.sample.sampler, config.sample.num_inference_steps), (SamplerKind::Ddpm, 64));
        config.check().unwrap();
        let other =
            Layers { file: None, sets: vec!["method=ddim".to_owned(), "sample.num_inference_steps=8".to_owned()] };
        let config = other.over_config(&config).unwrap();
        assert_eq!((config.sample.sampler, config.sample.num_inference_steps), (SamplerKind::Ddim, 8));
        config.check().unwrap();
        let message = load(&["method=ddpm", "sample.num_inference_steps=8"]).unwrap().check().unwrap_err().to_string();
        assert!(message.contains("num_inference_steps = 8") && message.contains("method=ddim"), "{message}");
    }

    #[test]
    fn a_wrong_set_names_itself() {
        let layers = Layers { file: None, sets: vec!["train.stepz=12".to_owned()] };
        let message = layers.load().unwrap_err().to_string();
        assert!(message.starts_with("--set train.stepz=12: unknown field"), "{message}");
        assert!(message.contains("did you mean `steps`"), "{message}");
    }
}
