//! docs/CLI.md and docs/CONFIG.md say what the binary and the sources say. `PIG_BLESS=1` writes them anew.

mod common;

use common::{pig, stdout, success};
use pig_data::{AugmentConfig, ClassConfig, DataConfig, ToldConfig, classes::ClassCode, deform::DeformConfig};
use pig_diffusion::schedule::ScheduleConfig;
use pig_nn::{
    autoencoder::AutoencoderConfig, config::UNetConfig, control::ControlConfig, segmentation::SegmentationConfig,
};
use pig_prepare::settings::{ConfigFile, PrepareConfig};
use pig_quality::curate::CurateConfig;
use pig_segment::config::{SegmentConfig, SegmentTrainConfig};
use pig_study::{
    crossval::config::{ArmConfig, CrossvalConfig},
    experiments::{
        GeneratorConfig,
        config::{ExperimentConfig, ExperimentFile},
    },
};
use pig_train::{
    Config,
    config::{Autoguidance, FrozenConfig, ModelYConfig, PreconditioningConfig, SampleConfig, TrainConfig},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Compares a document with what it should be, or writes it.
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
        "pig completions",
        "pig man",
    ] {
        assert!(reference.contains(&format!("\n## {command}\n")), "{command} is missing");
    }
    assert_eq!(reference.matches("--cache-dir <DIR>").count(), 1, "options of every command stand once");
    assert_current("CLI.md", &reference);
}

#[test]
fn completions_and_man_pages() {
    for (shell, mark) in [("bash", "complete -F"), ("zsh", "#compdef pig"), ("fish", "complete -c pig")] {
        let script = stdout(&success(pig(&["completions", shell])));
        assert!(script.contains(mark) && script.contains("given-mask"), "{shell}: {script}");
    }
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("man1");
    success(pig(&["man", "--out", man.to_str().unwrap()]));
    let page = std::fs::read_to_string(man.join("pig-segment-train.1")).unwrap();
    assert!(page.contains("equal\\-epochs") && page.contains("THE MACHINE AND THE TERMINAL"), "{page}");
    assert!(man.join("pig.1").exists() && !man.join("pig-reference.1").exists());
}

#[test]
fn configuration() {
    let schema = schema();
    assert_current("config.schema.json", &(serde_json::to_string_pretty(&schema).unwrap() + "\n"));
    assert_current("CONFIG.md", &markdown(&schema));
}

/// All kinds of configuration files in one; sections of the same name are the same.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, title = "A configuration file of pig", description = "The whole experiment.")]
#[expect(dead_code, reason = "read by its derive alone")]
struct AnyFile {
    #[schemars(flatten)]
    config: Config,
    #[schemars(flatten)]
    prepare: ConfigFile,
    #[schemars(flatten)]
    experiments: ExperimentFile,
}

/// The schema for editors. The derive does not know the aliases of variants, so they are added here.
fn schema() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<AnyFile>().to_value();
    for (item, word, other) in [
        ("OptimizerKind", "adamw", "adam-w"),
        ("BetaSchedule", "cosine", "squaredcos_cap_v2"),
        ("Colour", "luma", "gray"),
    ] {
        let words = schema["definitions"][item]["oneOf"].as_array_mut().unwrap();
        let place = words.iter().position(|known| known["const"] == word).unwrap() + 1;
        words.insert(
            place,
            json!({ "type": "string", "const": other, "description": format!("The same as `{word}`.") }),
        );
    }
    schema
}

fn markdown(schema: &Value) -> String {
    let mut text = "# Configuration reference\n\n\
         Made from the doc comments of the sources; a test keeps it current. `config.schema.json` beside it is the same for editors.\n\n\
         Layers: the defaults below, then `--config FILE`, then `--set section.key=value`. A key that is not listed here is \
         refused. `pig config check` says whether a configuration can be used.\n"
        .to_owned();
    // These keys are written where they are set.
    let code = ClassCode { value: String::new(), scheme: String::new(), meaning: String::new() };
    let class = ClassConfig { code: Some(code), ..ClassConfig::default() };
    let thresholds: BTreeMap<String, _> = [("lesion".to_owned(), 0.0)].into();
    let sample = SampleConfig { class_thresholds: thresholds, ..SampleConfig::default() };
    let thresholds: BTreeMap<String, _> = [("lesion".to_owned(), 0.5)].into();
    let segment = SegmentConfig { class_thresholds: thresholds, ..SegmentConfig::default() };
    for (title, item, keys) in [
        ("Top level", "", keys(&Config::default())),
        ("`[data]`", "DataConfig", keys(&DataConfig::default())),
        ("`[[data.classes]]`, `[[prepare.classes]]`", "ClassConfig", keys(&class)),
        ("`[data.augment]`", "AugmentConfig", keys(&AugmentConfig::default())),
        ("`[data.augment.told]`", "ToldConfig", keys(&ToldConfig::default())),
        ("`[schedule]`", "ScheduleConfig", keys(&ScheduleConfig::default())),
        ("`[preconditioning]`", "PreconditioningConfig", keys(&PreconditioningConfig::default())),
        ("`[model_x]`", "UNetConfig", keys(&UNetConfig::default())),
        ("`[model_y]`", "ModelYConfig", keys(&ModelYConfig::default())),
        ("`[model_y.frozen]`", "FrozenConfig", keys(&FrozenConfig::default())),
        ("`[control]`", "ControlConfig", keys(&ControlConfig::default())),
        ("`[autoencoder]`", "AutoencoderConfig", keys(&AutoencoderConfig::default())),
        ("`[train]`", "TrainConfig", keys(&TrainConfig::default())),
        ("`[sample]`", "SampleConfig", keys(&sample)),
        ("`[sample.autoguidance]`", "Autoguidance", keys(&Autoguidance::default())),
        ("`[prepare]`", "PrepareConfig", keys(&PrepareConfig::default())),
        ("`[segment]`", "SegmentConfig", keys(&segment)),
        ("`[segment.network]`", "SegmentationConfig", keys(&SegmentationConfig::default())),
        ("`[segment.augment]`", "DeformConfig", keys(&DeformConfig::default())),
        ("`[segment.train]`", "SegmentTrainConfig", keys(&SegmentTrainConfig::default())),
        ("`[crossval]`", "CrossvalConfig", keys(&CrossvalConfig::default())),
        ("`[crossval.curate]`", "CurateConfig", keys(&CurateConfig::default())),
        ("`[[crossval.arms]]`", "ArmConfig", keys(&ArmConfig::default())),
        ("`[experiment]`", "ExperimentConfig", keys(&ExperimentConfig::default())),
        ("`[generators.NAME]`", "GeneratorConfig", keys(&GeneratorConfig::default())),
    ] {
        let section = if item.is_empty() { schema } else { &schema["definitions"][item] };
        let _ = write!(text, "\n## {title}\n\n{}\n\n| key | default | meaning |\n|---|---|---|\n", meaning(section));
        let network = &schema["definitions"]["UNetConfig"]["properties"];
        if item == "ModelYConfig" {
            text += "| | | The network. Its keys and defaults are those of `[model_x]`. |\n";
        }
        let mut properties: Vec<_> = section["properties"].as_object().unwrap().iter().collect();
        properties.retain(|(key, property)| {
            !property["default"].is_object() && (item != "ModelYConfig" || network.get(key.as_str()).is_none())
        });
        properties.sort_by_key(|(key, _)| keys.find(&format!("\"{key}\":")));
        for (key, property) in properties {
            assert!(property["description"].is_string(), "{title} {key} is not explained");
            assert!(keys.contains(&format!("\"{key}\":")), "{title} {key} is not written");
            let cell = format!("{}{}", meaning(property), words(schema, property)).replace('|', "\\|");
            let _ = writeln!(text, "| `{key}` | {} | {cell} |", default(&property["default"]));
        }
    }
    text
}

/// A section as it is written, with its keys in the order of their declaration. A schema does not keep the order.
fn keys(section: &impl Serialize) -> String {
    serde_json::to_string(section).unwrap()
}

/// The first paragraph of a description on one line.
fn meaning(schema: &Value) -> String {
    let description = schema["description"].as_str().unwrap_or_default();
    description.split("\n\n").next().unwrap_or_default().replace('\n', " ")
}

/// The words that a key may have, if its type is an enum of words.
fn words(schema: &Value, property: &Value) -> String {
    let property = property.to_string();
    let Some(item) = property.split("#/definitions/").nth(1).and_then(|rest| rest.split('"').next()) else {
        return String::new();
    };
    schema["definitions"][item]["oneOf"].as_array().into_iter().flatten().fold(String::new(), |mut words, word| {
        let _ = write!(words, "<br>`{}`: {}", word["const"], meaning(word));
        words
    })
}

/// A default as TOML.
fn default(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::Array(values) => format!("`[{}]`", values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        other => format!("`{other}`"),
    }
}
