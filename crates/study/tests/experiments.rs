//! The experiments' configuration files: every budget's generators can be trained, its arms can be compared, and contradictory settings are
//! refused.

use pig_study::{
    crossval::config::Count,
    experiments::{
        Experiment, Request, Study,
        config::{Budget, Loaded},
        notes,
    },
};
use std::path::PathBuf;

const BUDGETS: [Budget; 3] = [Budget::Smoke, Budget::Small, Budget::Paper];

fn study(experiment: Experiment, budget: Budget, sets: &[&str]) -> Study {
    Study::read(&Request {
        experiment,
        budget,
        config: None,
        sets: sets.iter().map(|&set| set.to_owned()).collect(),
        data: PathBuf::from("data"),
        out: PathBuf::from("out"),
        reuse: None,
    })
    .unwrap()
}

#[test]
fn every_budget_holds_generators_that_fit_its_segmenter() {
    for budget in BUDGETS {
        let folder = tempfile::tempdir().unwrap();
        let study = study(Experiment::Table2, budget, &[]);
        study.loaded.write(folder.path()).unwrap();
        for name in ["ldm", "seg-guided", "controlnet", "joint", "pig", "ddpm"] {
            let config = study.loaded.config(name, folder.path(), Some(7)).unwrap();
            assert_eq!((config.method.word(), config.train.steps), (name, 7), "{budget:?}");
            assert_eq!(config.data.size, study.loaded.file.data.size);
        }
        for experiment in [Experiment::Table2, Experiment::LowData] {
            let study =
                Study { request: Request { experiment, ..study.request.clone() }, loaded: study.loaded.clone() };
            let file = study.arms().unwrap().unwrap();
            file.check().unwrap();
            for arm in &file.crossval.arms {
                file.generator(arm, folder.path()).unwrap();
            }
        }
    }
}

#[test]
fn budgets_are_what_they_say() {
    let paper = study(Experiment::Table2, Budget::Paper, &[]).loaded.file;
    assert_eq!((paper.data.size, paper.crossval.folds, paper.experiment.epochs), ([512, 512], 5, Some(128)));
    assert_eq!(paper.experiment.add, [1024, 2048, 3072].map(Count::Pairs));
    let said = notes(Budget::Paper, &paper.experiment.notes);
    for word in ["released code", "128 epochs", "Adam", "width"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let small = study(Experiment::Table1, Budget::Small, &[]);
    small.loaded.write(folder.path()).unwrap();
    assert_eq!(small.loaded.file.data.size, [64, 64]);
    let pig = small.loaded.config("pig", folder.path(), None).unwrap();
    assert_eq!((pig.model_y.unet.block_out_channels.len(), pig.model_y.unet.block_out_channels[0]), (4, 32));
    let ddpm = small.loaded.config("ddpm", folder.path(), None).unwrap();
    assert_eq!((ddpm.sample.num_inference_steps, small.loaded.file.generators["ddpm"].ddim_steps), (1024, Some(256)));
    assert!(small.arms().unwrap().is_none());
}

#[test]
fn what_cannot_be_done_names_its_key() {
    for (set, part) in [
        ("experiment.samples=1", "experiment.samples = 1"),
        ("experiment.shares=[0.0]", "experiment.shares"),
        ("experiment.arms=[\"unknown\"]", "experiment.arms"),
        ("experiment.epochs=0", "experiment.epochs"),
        ("crossval.folds=1", "crossval.folds = 1"),
        ("experiment.sample=3", "samples"),
    ] {
        let error = Loaded::read(Budget::Smoke, None, &[set.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(part), "{set}: {error}");
    }
}

#[test]
fn a_file_of_ones_own_takes_the_place_of_a_budget() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "[data]\nsize = 32\n[generators.pig]\nconfig = \"pig.toml\"\n").unwrap();
    let missing = Loaded::read(Budget::Small, Some(&path), &[]).unwrap_err().to_string();
    assert!(missing.contains("pig.toml"), "{missing}");
    std::fs::write(folder.path().join("pig.toml"), "[data]\nsize = 32\n").unwrap();
    let loaded = Loaded::read(Budget::Small, Some(&path), &[]).unwrap();
    let out = folder.path().join("out");
    loaded.write(&out).unwrap();
    assert_eq!(loaded.config("pig", &out, None).unwrap().data.size, [32, 32]);
    let error = loaded.config("joint", &out, None).unwrap_err().to_string();
    assert!(error.contains("one of pig"), "{error}");
}

#[test]
fn a_folder_is_not_gone_on_with_by_other_generators() {
    let folder = tempfile::tempdir().unwrap();
    let [file, generator, out] = ["mine.toml", "pig.toml", "out"].map(|name| folder.path().join(name));
    std::fs::write(&file, "[generators.pig]\nconfig = \"pig.toml\"\n").unwrap();
    let begin = |text: &str| {
        std::fs::write(&generator, text).unwrap();
        let request = Request {
            experiment: Experiment::Table2,
            budget: Budget::Small,
            config: Some(file.clone()),
            sets: Vec::new(),
            data: PathBuf::from("data"),
            out: out.clone(),
            reuse: None,
        };
        Study::read(&request).unwrap().begin()
    };
    begin("[train]\nsteps = 5\n").unwrap();
    begin("# as before\n[train]\nsteps   = 5\n").unwrap();
    let error = begin("[train]\nsteps = 6\n").unwrap_err().to_string();
    let written = out.join("configs").join("pig.toml");
    for part in [written.to_str().unwrap(), "differs from pig.toml", "another --out"] {
        assert!(error.contains(part), "{part:?} is missing in {error}");
    }
    assert!(std::fs::read_to_string(&written).unwrap().contains("steps = 5"));
}
