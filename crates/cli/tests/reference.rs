//! docs/CLI.md and docs/CONFIG.md agree with the binary and the sources. `PIG_BLESS=1` rewrites them.

mod common;

use common::{json, pig, stdout, success};
use pig_study::{
    crossval::config::{ArmConfig, CrossvalFile},
    experiments::{GeneratorConfig, config::ExperimentFile},
};
use serde_json::Value;
use std::{fmt::Write, path::PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The sources whose doc comments explain the configuration.
const SOURCES: [&str; 22] = [
    "crates/train/src/config/mod.rs",
    "crates/train/src/config/method.rs",
    "crates/train/src/config/train.rs",
    "crates/train/src/config/sample.rs",
    "crates/train/src/config/model_y.rs",
    "crates/optim/src/config.rs",
    "crates/segment/src/config.rs",
    "crates/study/src/crossval/config.rs",
    "crates/study/src/experiments/config.rs",
    "crates/data/src/config.rs",
    "crates/data/src/deform.rs",
    "crates/prepare/src/settings.rs",
    "crates/diffusion/src/sampler.rs",
    "crates/diffusion/src/schedule.rs",
    "crates/diffusion/src/prediction.rs",
    "crates/diffusion/src/timesteps.rs",
    "crates/diffusion/src/step/ddpm.rs",
    "crates/nn/src/config.rs",
    "crates/nn/src/control.rs",
    "crates/nn/src/autoencoder.rs",
    "crates/nn/src/segmentation/config.rs",
    "crates/nn/src/segmentation/loss.rs",
];

/// Compares a document with its expected content, or writes it.
#[track_caller]
fn assert_current(name: &str, expected: &str) {
    let path = PathBuf::from(ROOT).join("docs").join(name);
    if std::env::var_os("PIG_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
    let line = 1 + differs.unwrap_or(found.lines().count().min(expected.lines().count()));
    assert!(
        found == expected,
        "docs/{name} is out of date from line {line} on; run `PIG_BLESS=1 cargo test --workspace --test reference`"
    );
}

#[test]
fn command_line() {
    let reference = stdout(&success(pig(&["reference"])));
    for command in [
        "pig demo",
        "pig prepare",
        "pig inspect",
        "pig train",
        "pig sample",
        "pig export",
        "pig fid calc",
        "pig segment train",
        "pig segment predict",
        "pig segment evaluate",
        "pig crossval",
        "pig experiment table1",
        "pig experiment table2",
        "pig experiment fig3",
        "pig experiment low-data",
        "pig report",
        "pig config show",
        "pig config check",
        "pig config budget",
        "pig doctor",
    ] {
        assert!(reference.contains(&format!("\n## {command}\n")), "{command} is missing");
    }
    assert_current("CLI.md", &reference);
}

#[test]
fn configuration() {
    let shown = json(&success(pig(&["config", "show", "--json"])));
    let prepare = serde_json::to_value(pig_prepare::settings::ConfigFile::default()).unwrap();
    let mut crossval = serde_json::to_value(CrossvalFile::default()).unwrap();
    crossval["arm"] = serde_json::to_value(ArmConfig::default()).unwrap();
    let experiments = serde_json::to_value(ExperimentFile::default()).unwrap();
    crossval["experiment"] = experiments["experiment"].clone();
    crossval["generator"] = serde_json::to_value(GeneratorConfig::default()).unwrap();
    assert_current("CONFIG.md", &Reference::new().markdown(&shown, &prepare, &crossval));
}

/// A struct or enum as its source describes it.
#[derive(Debug, Default)]
struct Item {
    name: String,
    doc: String,
    /// How serde spells the variants of an enum.
    case: Option<String>,
    members: Vec<Member>,
}

/// A field or variant.
#[derive(Debug)]
struct Member {
    name: String,
    /// The type of a field.
    kind: String,
    doc: String,
    /// The word of a variant, if `rename_all` does not give it.
    word: Option<String>,
    /// Other words that serde accepts.
    aliases: Vec<String>,
}

struct Reference {
    items: Vec<Item>,
}

impl Reference {
    fn new() -> Self {
        let read = |source: &&str| std::fs::read_to_string(PathBuf::from(ROOT).join(source)).unwrap();
        Self { items: SOURCES.iter().map(read).flat_map(|text| items(&text)).collect() }
    }

    fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.name == name)
    }

    fn markdown(&self, shown: &Value, prepare: &Value, crossval: &Value) -> String {
        let mut text = "# Configuration reference\n\n\
             Made from the doc comments of the sources and the output of `pig config show`; a test keeps it current.\n\n\
             Layers: the defaults below, then `--config FILE`, then `--set section.key=value`. A key that is not listed here is \
             refused. `pig config check` says whether a configuration can be used.\n"
            .to_owned();
        self.section(&mut text, "", "Config", shown);
        for (path, item) in [
            ("data", "DataConfig"),
            ("data.augment", "AugmentConfig"),
            ("schedule", "ScheduleConfig"),
            ("model_x", "UNetConfig"),
            ("model_y", "ModelYConfig"),
            ("model_y.frozen", "FrozenConfig"),
            ("control", "ControlConfig"),
            ("autoencoder", "AutoencoderConfig"),
            ("train", "TrainConfig"),
            ("sample", "SampleConfig"),
        ] {
            self.section(&mut text, path, item, shown);
        }
        self.section(&mut text, "prepare", "PrepareConfig", prepare);
        for (path, item) in [
            ("segment", "SegmentConfig"),
            ("segment.network", "SegmentationConfig"),
            ("segment.augment", "DeformConfig"),
            ("segment.train", "SegmentTrainConfig"),
            ("crossval", "CrossvalConfig"),
        ] {
            self.section(&mut text, path, item, crossval);
        }
        self.section(&mut text, "arm", "ArmConfig", crossval);
        self.section(&mut text, "experiment", "ExperimentConfig", crossval);
        self.section(&mut text, "generator", "GeneratorConfig", crossval);
        text
    }

    /// One section as a table. Every key that is shown must be explained, and every explained key must exist.
    fn section(&self, text: &mut String, path: &str, item: &str, shown: &Value) {
        let item = self.item(item).unwrap_or_else(|| panic!("no source has {item}"));
        let parts = path.split('.').filter(|part| !part.is_empty());
        let mut values = parts.fold(shown, |values, part| &values[part]).as_object().unwrap().clone();
        let title = match path {
            "" => "Top level".to_owned(),
            "arm" => "`[[crossval.arms]]`".to_owned(),
            "generator" => "`[generators.NAME]`".to_owned(),
            path => format!("`[{path}]`"),
        };
        let _ = write!(text, "\n## {title}\n\n{}\n", item.doc);
        let _ = write!(text, "\n| key | default | meaning |\n|---|---|---|\n");
        for member in &item.members {
            if member.kind == "UNetConfig" && path == "model_y" {
                let model_x = shown["model_x"].as_object().unwrap();
                for (key, default) in model_x {
                    assert_eq!(&values.remove(key).unwrap_or_default(), default, "model_y.{key}");
                }
                let _ = writeln!(text, "| | | {} Its keys and defaults are those of `[model_x]`. |", member.doc);
                continue;
            }
            let value = values.remove(&member.name);
            let value = value.unwrap_or_else(|| panic!("{path}.{} is not shown", member.name));
            if value.is_object() {
                continue;
            }
            assert!(!member.doc.is_empty(), "{path}.{} is not explained", member.name);
            let meaning = format!("{}{}", member.doc, self.words(&member.kind)).replace('|', "\\|");
            let _ = writeln!(text, "| `{}` | {} | {meaning} |", member.name, default(&value));
        }
        assert!(values.is_empty(), "shown, but not explained: {path}: {values:?}");
    }

    /// The words that a key may have, if its type is an enum of words.
    fn words(&self, kind: &str) -> String {
        let inner = ["Option<", "Vec<"].iter().find_map(|start| kind.strip_prefix(start)?.strip_suffix('>'));
        let kind = inner.unwrap_or(kind);
        let Some((item, case)) = self.item(kind).and_then(|item| Some((item, item.case.as_ref()?))) else {
            return String::new();
        };
        let mut words = String::new();
        for variant in &item.members {
            let word = variant.word.clone().unwrap_or_else(|| spell(&variant.name, case));
            let _ = write!(words, "<br>`\"{word}\"`");
            for alias in &variant.aliases {
                let _ = write!(words, " (or `\"{alias}\"`)");
            }
            let _ = write!(words, ": {}", variant.doc);
        }
        words
    }
}

/// A default as TOML.
fn default(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::Array(values) => format!("`[{}]`", values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        other => format!("`{other}`"),
    }
}

/// A variant's word, as serde spells it.
fn spell(name: &str, case: &str) -> String {
    let separator = match case {
        "lowercase" => "",
        "snake_case" => "_",
        "kebab-case" => "-",
        other => panic!("an unknown spelling: {other}"),
    };
    let mut word = String::new();
    for (index, c) in name.char_indices() {
        if c.is_uppercase() && index > 0 {
            word += separator;
        }
        word.extend(c.to_lowercase());
    }
    word
}

/// The public structs and enums of a source that rustfmt has formatted.
fn items(text: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let (mut open, mut doc, mut attributes) = (false, Vec::<&str>::new(), String::new());
    for line in text.lines() {
        let bare = line.trim();
        if let Some(comment) = bare.strip_prefix("///") {
            doc.push(comment.trim());
            continue;
        }
        if bare.starts_with("#[") {
            attributes += bare;
            continue;
        }
        let opened = ["pub struct ", "pub enum "].iter().find_map(|start| line.strip_prefix(start)?.strip_suffix(" {"));
        if let Some(name) = opened {
            let case = quoted(&attributes, "rename_all = ").pop();
            items.push(Item { name: name.to_owned(), doc: joined(&doc), case, members: Vec::new() });
            open = true;
        } else if line == "}" {
            open = false;
        } else if let (true, Some(member)) = (open, bare.strip_suffix(',')) {
            let field = member.strip_prefix("pub ").and_then(|field| field.split_once(": "));
            let (name, kind) = field.unwrap_or((member, ""));
            let word = quoted(&attributes, "rename = ").pop();
            let aliases = quoted(&attributes, "alias = ");
            let member = Member { name: name.to_owned(), kind: kind.to_owned(), doc: joined(&doc), word, aliases };
            items.last_mut().unwrap().members.push(member);
        }
        doc.clear();
        attributes.clear();
    }
    items
}

/// The first paragraph of a doc comment on one line.
fn joined(doc: &[&str]) -> String {
    let paragraph: Vec<&str> = doc.iter().copied().take_while(|line| !line.is_empty()).collect();
    paragraph.join(" ")
}

/// The quoted values after each `key` in attributes.
fn quoted(attributes: &str, key: &str) -> Vec<String> {
    attributes.split(key).skip(1).filter_map(|rest| Some(rest.split('"').nth(1)?.to_owned())).collect()
}
