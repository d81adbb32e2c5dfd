//! A frozen model_y that was trained elsewhere: only the guider is trained for it, and sampling can combine it with a model_x from another
//! run.

mod common;

use common::{config, device, folder, trained};
use pig_train::{
    Config,
    checkpoint::Store,
    config::Layers,
    generation::{Request, generate},
    imported::{
        Model,
        export::export,
        import::{Request as Import, import},
        join::Join,
    },
    observer::Silent,
    training::train,
};
use std::path::{Path, PathBuf};

/// A model_y that is exported in the layout of diffusers and imported again, like the model of another project.
fn foreign_model_y(folder: &Path, run: &Path, sets: &[&str]) -> PathBuf {
    let (exported, out) = (folder.join("exported"), folder.join("model"));
    export(&Model::open(run, Some("model_y")).unwrap(), &exported).unwrap();
    let sets = sets.iter().map(|set| (*set).to_owned()).collect();
    import(&Import { source: exported, sets, out: out.clone(), ..Import::default() }).unwrap();
    out
}

fn frozen(model: &Path, sets: &[&str]) -> Config {
    let path = format!("model_y.frozen.model={:?}", model.to_str().unwrap());
    config(&[&[path.as_str()], sets].concat())
}

fn request(run: &Path, out: &Path, join: Join) -> Request {
    Request { join, ..Request::new(run, out, &[0, 5]) }
}

fn images(pairs: &Path) -> Vec<Vec<u8>> {
    [0, 5].map(|seed| std::fs::read(pairs.join("images").join(format!("{seed:06}.png"))).unwrap()).to_vec()
}

fn weights(run: &Path, network: &'static str) -> pig_weights::StateDict {
    Store::new(run, network).load_ema().unwrap().1
}

#[test]
fn the_guider_alone_is_trained() {
    let folder = folder();
    let first = trained(folder.path(), "first", &config(&["model_y.conditioning=clean"]));
    let model = foreign_model_y(folder.path(), &first, &["schedule.num_train_timesteps=64"]);
    for conditioning in ["xhat", "clean"] {
        let set = format!("model_y.conditioning={conditioning}");
        let run = trained(folder.path(), conditioning, &frozen(&model, &[&set]));
        assert!(Model::open(&run, Some("model_y")).unwrap().arrays == weights(&first, "model_y"), "{conditioning}");
        // Algorithm 1 does not use model_y: the guider is equal, bit for bit, to the guider of the first run.
        assert!(weights(&run, "model_x") == weights(&first, "model_x"), "{conditioning}");
        assert!(!Store::new(&run, "model_y").exists().unwrap());
        // The run contains the model itself, so the folder that it came from is no longer needed.
        let summary =
            generate(&request(&run, &folder.path().join(format!("{set}-pairs")), Join::default()), &device(), &Silent);
        assert_eq!(summary.unwrap().finished.pairs, 2);
    }
}

#[test]
fn a_model_that_does_not_fit_is_refused_before_any_work() {
    let folder = folder();
    let first = trained(folder.path(), "first", &config(&["model_y.conditioning=clean"]));
    let model = foreign_model_y(folder.path(), &first, &["schedule.num_train_timesteps=64"]);
    let refused = |sets: &[&str]| {
        let out = folder.path().join("refused");
        let message = train(&frozen(&model, sets), &folder.path().join("data"), &out, &device(), &Silent);
        assert!(!out.exists());
        message.unwrap_err().to_string()
    };
    let message = refused(&["schedule.num_train_timesteps=128"]);
    assert!(message.contains("noise schedule") && message.contains("64") && message.contains("128"), "{message}");
    let message = refused(&["data.channels=3"]);
    assert!(message.contains("2 in, 1 out") && message.contains("4 in, 3 out"), "{message}");
    let message = refused(&["data.size=17"]);
    assert!(message.contains("17") && message.contains("divisible"), "{message}");
    let message = refused(&["model_y.conditioning=xprev"]);
    assert!(message.contains("model_y.conditioning") && message.contains("frozen"), "{message}");
    let message = refused(&["model_y.block_out_channels=[16, 48]"]);
    assert!(message.contains("[model_y]") && message.contains("leave them out"), "{message}");
    let message = refused(&["method=joint"]);
    assert!(message.contains("model_y.frozen"), "{message}");
}

#[test]
fn models_of_two_places_are_joined() {
    let folder = folder();
    let first = trained(folder.path(), "first", &config(&["model_y.conditioning=clean"]));
    let second = trained(folder.path(), "second", &config(&["model_y.conditioning=clean", "train.seed=7"]));
    let model = foreign_model_y(folder.path(), &first, &["schedule.num_train_timesteps=64"]);
    let make = |name: &str, run: &Path, model_x: Option<&Path>, model_y: Option<&Path>| {
        let out = folder.path().join(name);
        let join = Join { model_x: model_x.map(Path::to_owned), model_y: model_y.map(Path::to_owned) };
        generate(&request(run, &out, join), &device(), &Silent).unwrap();
        images(&out)
    };
    let own = make("own", &first, None, None);
    // In the second run, the guider is replaced by that of the first run, and its model_y by that of the first run, which was exported and
    // imported again.
    assert_eq!(make("back", &second, Some(&first), Some(&model)), own);
    let mixed = make("mixed", &first, Some(&second), None);
    assert_ne!(mixed, own);
    assert_eq!(make("mixed too", &second, None, Some(&model)), mixed);
}

#[test]
fn models_that_do_not_fit_each_other_are_refused() {
    let folder = folder();
    let first = trained(folder.path(), "first", &config(&["model_y.conditioning=clean"]));
    let other = trained(folder.path(), "other", &config(&["schedule.num_train_timesteps=128"]));
    let joint = trained(folder.path(), "joint", &config(&["method=joint"]));
    let refused = |run: &Path, join: Join| {
        let out = folder.path().join("refused");
        let message = generate(&request(run, &out, join), &device(), &Silent).unwrap_err().to_string();
        assert!(!out.exists());
        message
    };
    let model_y = |path: &Path| Join { model_x: None, model_y: Some(path.to_owned()) };
    let message = refused(&first, model_y(&other));
    assert!(message.contains("noise schedule"), "{message}");
    let message = refused(&joint, model_y(&first));
    assert!(message.contains("method = \"joint\""), "{message}");
    let message = refused(&first, model_y(&joint));
    assert!(message.contains("--network"), "{message}");
}

/// `runs/flat_frozen_keys.toml` is what the version of 2026-11-29 wrote into a run, before the table `[model_y.frozen]`.
#[test]
fn former_keys_are_migrated_in_runs_and_refused_in_files() {
    let former = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs/flat_frozen_keys.toml");
    let config = Layers::load_of_run(&former).unwrap();
    let expected = config_with(&[
        "model_y.conditioning=clean",
        "model_y.frozen.model=models/unet",
        "model_y.frozen.condition=controlnet",
        "model_y.frozen.control=models/control",
        "model_y.frozen.labels=[0, 26]",
        "model_y.frozen.spacing=[150, 75, 75]",
        "data.channels=1",
    ]);
    assert_eq!(config, expected);
    // What is written now is read again, as a run's and as a user's file.
    let folder = folder();
    let present = folder.path().join("config.toml");
    std::fs::write(&present, config.to_toml()).unwrap();
    assert_eq!(Layers::load_of_run(&present).unwrap(), config);
    assert_eq!(Layers { file: Some(present), sets: Vec::new() }.load().unwrap(), config);

    let refused = Layers { file: Some(former), sets: Vec::new() }.load().unwrap_err().to_string();
    assert!(refused.contains("flat_frozen_keys.toml:57: ") && refused.contains("model_y.frozen.model"), "{refused}");
    for (set, name) in [
        ("model_y.frozen=models/unet", "model_y.frozen.model"),
        ("model_y.frozen_class_areas=[0.1]", "model_y.frozen.class_areas"),
    ] {
        let refused = Layers { file: None, sets: vec![set.to_owned()] }.load().unwrap_err().to_string();
        assert!(refused.starts_with(&format!("--set {set}: ")) && refused.contains(name), "{refused}");
    }
}

/// The defaults with these settings.
fn config_with(sets: &[&str]) -> Config {
    Layers { file: None, sets: sets.iter().map(|&set| set.to_owned()).collect() }.load().unwrap()
}
