//! The smoke pipeline through the binary: the demo from phantom to page, shards, configurations and the doctor.

mod common;

use common::{Folder, TINY, command, json, pig, pig_with, stderr, stdout, success};
use pig_data::{
    Pixels,
    phantom::{PhantomConfig, write_dataset},
    png_file::{read_png, read_png_text},
};
use pig_segment::SegmentFile;
use pig_study::crossval::config::CrossvalFile;
use pig_train::config::Layers;
use std::path::{Path, PathBuf};

/// All files below a folder with this ending.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn demo() {
    let folder = Folder::new();
    let out = folder.at("demo");
    let arguments = ["demo", "--out", &out, "--patients", "6", "--count", "5", "--json"];
    let sets = ["train.preview_every=3", "train.model_x_steps=2"];
    let output = success(pig_with(&arguments, &sets));
    let summary = json(&output);
    assert_eq!((&summary["finished"], &summary["page"]), (&true.into(), &format!("{out}/index.html").into()));

    let out = Path::new(&out);
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("</html>") && page.contains("data:image/png;base64,"));
    assert!(page.contains("starter model") && !page.contains("http-equiv"), "a finished page loads itself again");
    // The URL of an XML namespace is only a name; these would be network requests.
    for request in ["src=\"http", "href=\"http", "url(http", "@import", "<script src"] {
        assert!(!page.contains(request), "the page would make a network request: {request}");
    }
    let curves = std::fs::read_to_string(out.join("curves.svg")).unwrap();
    assert!(curves.starts_with("<svg") && curves.contains("model_y"), "{curves}");
    for name in ["contact-sheet.png", "progress.png"] {
        assert!(out.join(name).is_file(), "{name}");
    }
    let manifest = std::fs::read_to_string(out.join("pairs/manifest.csv")).unwrap();
    let rows: Vec<&str> = manifest.lines().collect();
    assert!(rows[0].starts_with("id,") && rows.len() == 6, "{manifest}");
    for (seed, row) in rows[1..].iter().enumerate() {
        let name = format!("{seed:06}");
        assert!(row.starts_with(&format!("{name},{seed},images/{name}.png,masks/{name}.png,")), "{row}");
        let read = |part: &str| read_png(&out.join("pairs").join(part).join(format!("{name}.png"))).unwrap();
        let (image, mask) = (read("images"), read("masks"));
        assert_eq!([image.width, image.height, image.channels], [16, 16, 1]);
        let Pixels::Eight(values) = mask.pixels else { panic!("a mask of 16 bit") };
        assert!(values.iter().all(|&value| value == 0 || value == 255));
        assert_eq!(image.text["seed"], seed.to_string());
        assert_eq!(image.text["model_hash"], mask.text["model_hash"]);
    }
    let pictures = files(out, "png");
    // Six patients in two views with masks, five pairs, a sheet, strips, a preview; five pairs of the starter model and their sheet.
    assert_eq!(pictures.len(), 24 + 10 + 3 + 10 + 1, "{pictures:?}");
    for path in pictures {
        let text = read_png_text(&path).unwrap();
        assert_eq!(text.get("synthetic").map(String::as_str), Some("yes"), "{}", path.display());
    }
    assert_eq!(files(out, "tmp"), Vec::<PathBuf>::new());

    let again = success(pig_with(&arguments, &sets));
    assert!(stderr(&again).contains("5 of 5 samples are finished and skipped"), "{}", stderr(&again));
    assert_eq!(json(&again)["agreement"], summary["agreement"]);

    // A demo with other settings is refused.
    let refused = |output: std::process::Output, part: &str| {
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    };
    refused(pig_with(&arguments, &["train.steps=4", "train.model_x_steps=2"]), "another --out");
    let more = ["demo", "--out", out.to_str().unwrap(), "--patients", "7", "--count", "5"];
    refused(pig_with(&more, &sets), "holds 12 phantom images of an earlier demo, but 14 are requested");
}

/// Without a number of steps, the minutes decide; a demo that is run again keeps the number that was decided.
#[test]
fn a_demo_fits_into_its_minutes() {
    let folder = Folder::new();
    let out = folder.at("demo");
    let small: Vec<&str> =
        TINY.into_iter().filter(|set| !set.starts_with("train.steps")).flat_map(|set| ["--set", set]).collect();
    let demo = |minutes: &str| {
        let arguments = ["demo", "--out", &out, "--patients", "6", "--count", "2", "--minutes", minutes];
        success(command(&[&arguments[..], &small].concat()).output().unwrap())
    };
    let told = stderr(&demo("0.1"));
    assert!(told.contains("images a second; into 0.1 minutes fit") && told.contains("steps for model_x"), "{told}");
    let steps = || {
        let text = std::fs::read_to_string(Path::new(&out).join("run/config.toml")).unwrap();
        let config: toml::Table = toml::from_str(&text).unwrap();
        ["steps", "model_x_steps"].map(|key| config["train"][key].as_integer().unwrap())
    };
    let [model_y, model_x] = steps();
    // The proportion of the networks' steps is that of configs/demo.toml.
    assert!(model_y > 0 && (model_y - 2 * model_x).abs() <= 1, "{model_y} {model_x}");
    let page = std::fs::read_to_string(Path::new(&out).join("index.html")).unwrap();
    assert!(page.contains("pig demo --minutes"), "{page}");
    demo("3");
    assert_eq!(steps(), [model_y, model_x]);
}

/// The starter model is in the program, and its run is gone afterwards.
#[test]
fn the_starter_model_makes_pairs() {
    let folder = Folder::new();
    let arguments = ["sample", "--run", "starter", "--count", "3", "--out", "pairs", "--json"];
    let temporary = folder.at("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let sample = || command(&arguments).current_dir(folder.path()).env("TMPDIR", &temporary).output().unwrap();
    let summary = json(&success(sample()));
    assert_eq!((&summary["pairs"], &summary["made"]), (&3.into(), &3.into()));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    let image = read_png(&folder.path().join("pairs/images/000002.png")).unwrap();
    assert_eq!([image.width, image.height], [64, 64]);
    // It gives masks, too: those that it makes.
    let given = ["sample", "--run", "starter", "--masks-from", "starter", "--count", "1", "--out", "given"];
    success(command(&given).current_dir(folder.path()).env("TMPDIR", &temporary).output().unwrap());
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    let mask = |pairs: &str| read_png(&folder.path().join(pairs).join("masks/000000.png")).unwrap().pixels;
    assert!(mask("given") == mask("pairs"));
    // A folder of this name is the run that is meant.
    std::fs::create_dir(folder.path().join("starter")).unwrap();
    assert!(stderr(&sample()).contains("starter: not a run directory"));
}

#[test]
fn shards_together_are_one_run() {
    let folder = Folder::with_data();
    let run = folder.at("run");
    success(pig_with(&["train", "--data", &folder.at("data"), "--out", &run], &["sample.eta=0.5"]));
    let sample = |out: &str, more: &[&str]| {
        let out = folder.at(out);
        let arguments = ["sample", "--run", &run, "--out", &out, "--seeds", "3-12", "--json"];
        json(&success(pig(&[&arguments[..], more].concat())))
    };
    assert_eq!(sample("whole", &[])["made"], 10);
    let made: Vec<u64> = ["0/3", "1/3", "2/3"]
        .iter()
        .map(|shard| sample("parts", &["--shard", shard])["made"].as_u64().unwrap())
        .collect();
    assert_eq!(made, [4, 3, 3]);
    let read = |part: &str, ending: &str| -> Vec<(PathBuf, Vec<u8>)> {
        let root = folder.path().join(part);
        let paths = files(&root, ending);
        paths.iter().map(|path| (path.strip_prefix(&root).unwrap().to_owned(), std::fs::read(path).unwrap())).collect()
    };
    assert_eq!(read("whole", "png").len(), 20);
    for ending in ["png", "csv", "parquet"] {
        assert!(read("whole", ending) == read("parts", ending), "{ending} files differ");
    }
    sample("one-thread", &["--workers", "1", "--batch", "1"]);
    sample("three-threads", &["--workers", "3", "--batch", "1"]);
    assert!(read("one-thread", "png") == read("three-threads", "png"), "pictures depend on the number of threads");
    let again = sample("parts", &["--shard", "1/3"]);
    assert_eq!((&again["made"], &again["skipped"], &again["pairs"]), (&0.into(), &3.into(), &10.into()));
}

#[test]
fn a_slurm_array_makes_the_shards_of_one_run() {
    let folder = Folder::with_data();
    let run = folder.at("run");
    success(pig_with(&["train", "--data", &folder.at("data"), "--out", &run], &[]));
    let sample = |out: &str| {
        let out = folder.at(out);
        ["sample", "--run", &run, "--out", &out, "--seeds", "0-6", "--json", "--quiet"].map(str::to_owned)
    };
    success(pig(&sample("whole").iter().map(String::as_str).collect::<Vec<_>>()));
    // As in a job with --array=1-3.
    let made: Vec<u64> = (1..=3)
        .map(|task: u64| {
            let mut command = command(&sample("array").iter().map(String::as_str).collect::<Vec<_>>());
            command.args(["--shard", "auto"]).env("SLURM_ARRAY_TASK_ID", task.to_string());
            command.env("SLURM_ARRAY_TASK_COUNT", "3").env("SLURM_ARRAY_TASK_MIN", "1");
            json(&success(command.output().unwrap()))["made"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(made, [3, 2, 2]);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("whole/manifest.csv"), read("array/manifest.csv"));
    assert_eq!(read("whole/images/000004.png"), read("array/images/000004.png"));
}

#[test]
fn pictures_of_a_training_of_three_steps_are_said_to_be_far_from_real_ones() {
    let folder = Folder::new();
    let config = PhantomConfig { patients: 14, size: [32, 32], ..PhantomConfig::default() };
    write_dataset(&config, &folder.path().join("data"), &|_, _| {}).unwrap();
    let run = folder.at("run");
    success(pig_with(&["train", "--data", &folder.at("data"), "--out", &run], &[]));
    let sample = |out: &str, more: &[&str]| {
        pig(&[&["sample", "--run", &run, "--out", &folder.at(out), "--count", "12"], more].concat())
    };
    let said = stdout(&success(sample("pairs", &[])));
    for part in ["Picture quality: kernel distance from real pictures, 12 generated and 28 real", "FARTHER: "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = json(&success(sample("pairs", &["--json"])));
    let [distance, highest] = ["distance", "highest"].map(|key| said["quality"][key].as_f64().unwrap());
    assert!(distance > highest && said["quality"]["by_patient"] == true, "{said}");
}

#[test]
fn sample_writes_strips_and_says_whether_pairs_agree() {
    let folder = Folder::with_data();
    let (run, pairs) = (folder.at("run"), folder.at("pairs"));
    success(pig_with(&["train", "--data", &folder.at("data"), "--out", &run], &[]));
    let arguments = ["sample", "--run", &run, "--out", &pairs, "--count", "4", "--steps", "3", "--batch", "3"];
    let output = success(pig(&[&arguments[..], &["--progress-strips"]].concat()));
    let said = stdout(&output);
    assert!(said.contains("4 pairs, 4 made now") && said.contains("shuffled"), "{said}");
    assert!(said.contains("Picture quality: NO VERDICT: it needs at least 12 generated pictures"), "{said}");
    let strips = read_png_text(&folder.path().join("pairs/progress.png")).unwrap();
    assert_eq!(strips["synthetic"], "yes");
    let manifest = std::fs::read_to_string(folder.path().join("pairs/manifest.csv")).unwrap();
    assert!(
        manifest.contains(r#"""num_inference_steps"":3"#) && manifest.contains(r#"""batch_size"":3"#),
        "{manifest}"
    );
}

#[test]
fn a_shown_configuration_is_accepted_and_shown_alike() {
    let folder = Folder::new();
    let file = folder.at("shown.toml");
    let sets = TINY.iter().flat_map(|set| ["--set", set]);
    let shown = pig(&["config", "show"].into_iter().chain(sets).collect::<Vec<_>>());
    std::fs::write(&file, stdout(&success(shown))).unwrap();
    success(pig(&["config", "check", "--config", &file]));
    let again = success(pig(&["config", "show", "--config", &file]));
    assert_eq!(stdout(&again), std::fs::read_to_string(&file).unwrap());
}

#[test]
fn every_preset_can_be_used() {
    let presets = files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs")), "toml");
    assert!(presets.len() >= 4, "{presets:?}");
    let (crossval, presets): (Vec<_>, Vec<_>) =
        presets.into_iter().partition(|path| path.parent().unwrap().ends_with("crossval"));
    let (segment, presets): (Vec<_>, Vec<_>) =
        presets.into_iter().partition(|path| path.parent().unwrap().ends_with("segment"));
    assert_eq!(segment.len(), 1, "{segment:?}");
    for preset in segment {
        let file: SegmentFile = Layers { file: Some(preset), sets: Vec::new() }.load_as().unwrap();
        file.check().unwrap();
    }
    for preset in presets {
        success(pig(&["config", "check", "--config", preset.to_str().unwrap()]));
    }
    assert!(crossval.len() >= 2, "{crossval:?}");
    let experiment = concat!(env!("CARGO_MANIFEST_DIR"), "/../../experiments/lgg-folds.toml");
    for preset in crossval.into_iter().chain([experiment.into()]) {
        let layers = Layers { file: Some(preset.clone()), sets: Vec::new() };
        let file: CrossvalFile = layers.load_as().unwrap();
        file.check().unwrap();
        for arm in &file.crossval.arms {
            file.generator(arm, preset.parent().unwrap()).unwrap();
        }
    }
}

#[test]
fn the_compared_configurations_have_one_budget() {
    let configs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs"));
    let mut compared = files(&configs.join("compare"), "toml");
    compared.sort_by_key(|path| !path.ends_with("pig.toml"));
    let paths: Vec<&str> = compared.iter().map(|path| path.to_str().unwrap()).collect();
    let told = json(&success(pig(&[&["config", "budget", "--json"], &paths[..]].concat())));
    assert_eq!(told["equal"], true);
    let methods: Vec<&str> =
        told["configs"].as_array().unwrap().iter().map(|c| c["method"].as_str().unwrap()).collect();
    for method in ["pig", "joint", "seg-guided", "ddpm", "controlnet", "ldm"] {
        assert!(methods.contains(&method), "{methods:?}");
    }
    // The methods named -two have as many parameters as pig's two networks together; the same methods without -two have as many as one of
    // them.
    let size = |name: &str| {
        let own = |c: &&serde_json::Value| c["config"].as_str().unwrap().ends_with(&format!("/{name}.toml"));
        told["configs"].as_array().unwrap().iter().find(own).unwrap()["parameters"].as_f64().unwrap()
    };
    for method in ["joint", "seg-guided"] {
        let [one, two] = [method.to_owned(), format!("{method}-two")].map(|name| size(&name) / size("pig"));
        assert!((one - 0.5).abs() < 0.05 && (two - 1.0).abs() < 0.1, "{method}: {one} and {two} of pig's parameters");
    }
    let other = configs.join("smoke.toml");
    let output = pig(&["config", "budget", paths[0], other.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("NOT equal"), "{}", stdout(&output));
}

#[test]
fn a_method_for_masks_and_one_without_any_go_through_the_same_commands() {
    let folder = Folder::with_data();
    let train = |run: &str, sets: &[&str]| {
        success(pig_with(&["train", "--data", &folder.at("data"), "--out", &folder.at(run)], sets));
    };
    let sample = |run: &str, out: &str, more: &[&str]| {
        pig(&[&["sample", "--run", &folder.at(run), "--out", &folder.at(out)], more].concat())
    };
    train("ddim", &["method=ddim"]);
    let said = stdout(&success(sample("ddim", "images", &["--count", "2"])));
    assert!(said.contains("2 images") && said.contains("Pair agreement: not computed"), "{said}");
    train(
        "ldm",
        &[
            "method=ldm",
            "autoencoder.block_out_channels=[16, 16]",
            "autoencoder.norm_num_groups=8",
            "model_y.block_out_channels=[16]",
            "model_y.attention_levels=[]",
        ],
    );
    let said = stdout(&success(sample("ldm", "pairs", &["--count", "2", "--training-masks"])));
    assert!(said.contains("PSNR") && said.contains("2 pairs"), "{said}");
    let both = sample("ldm", "both", &["--count", "2", "--training-masks", "--given-mask", &folder.at("data/masks")]);
    assert!(stderr(&both).contains("cannot be used with"), "{}", stderr(&both));
    train("pig", &[]);
    let said = stdout(&success(sample("pig", "masked", &["--given-image", &folder.at("data/images")])));
    assert!(said.contains("8 pairs"), "{said}");
    success(sample("ldm", "from-pig", &["--count", "2", "--masks-from", &folder.at("pig")]));
}

#[test]
fn doctor() {
    let output = success(pig(&["doctor"]));
    assert!(stdout(&output).contains("all checks passed"), "{}", stdout(&output));
}

#[test]
fn train_without_a_configuration_tells_what_it_found_and_what_to_set() {
    let folder = Folder::with_data();
    let (data, run) = (folder.at("data"), folder.at("run"));
    // The folder exists, so nothing is trained.
    std::fs::create_dir(&run).unwrap();
    std::fs::write(folder.path().join("run/x"), "x").unwrap();
    let rows: Vec<String> = (0..8).map(|i| format!("a{i:02},g{}\n", i / 2)).collect();
    std::fs::write(folder.path().join("data/manifest.csv"), format!("id,near_duplicate_group\n{}", rows.concat()))
        .unwrap();
    let output = pig(&["train", "--data", &data, "--out", &run, "--set", "data.size=32"]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    let found = "found 8 pairs, gray, 16x16, 8 bits, column near_duplicate_group with 4 groups, no patients";
    assert!(told.contains(found), "{told}");
    let section = "[data]\nsize = 32\nchannels = 1\ngroup_column = \"near_duplicate_group\"\n";
    assert!(told.contains(section) && told.contains("pig train --config configs/hq.toml"), "{told}");
    // The configuration that it names needs no column of patients.
    let preset = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/hq.toml");
    let next = ["train", "--config", preset, "--dry-run", "--data", &data, "--out", &folder.at("next")];
    let told = stderr(&success(pig_with(&next, &["train.model_x_steps=3"])));
    assert!(told.contains("the split is by the column \"near_duplicate_group\""), "{told}");
    assert!(told.contains("The manifest names no patients"), "{told}");
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let folder = Folder::with_data();
    let before = folder.snapshot();
    let (data, run) = (folder.at("data"), folder.at("run"));
    let output = success(pig_with(&["train", "--dry-run", "--json", "--data", &data, "--out", &run], &[]));
    let plan = json(&output);
    assert_eq!(plan["pairs"], serde_json::json!({ "training": 7, "validation": 1 }));
    for (network, name) in plan["networks"].as_array().unwrap().iter().zip(["model_x", "model_y"]) {
        assert_eq!((&network["network"], &network["steps"]), (&name.into(), &3.into()));
        assert!(network["parameters"].as_u64().unwrap() > 1000 && network["seconds_a_step"].as_f64().unwrap() > 0.0);
    }
    assert!(folder.snapshot() == before, "the disk was changed");
    let text = success(pig_with(&["train", "--dry-run", "--data", &data, "--out", &run], &[]));
    let said = stdout(&text);
    assert!(
        said.contains("steps = 3") && said.contains("# model_y:") && said.contains("# it can be trained here"),
        "{said}"
    );
    assert!(said.find("# it can be trained here") < said.find("[data]"), "the configuration comes first: {said}");
    let told = stderr(&text);
    assert!(told.contains("found 8 pairs, gray, 16x16, 8 bits, no column that groups them, no patients"), "{told}");
    // A training that no machine can hold is refused before anything is read.
    let huge =
        pig_with(&["train", "--dry-run", "--data", &data, "--out", &run], &["data.size=8192", "train.batch_size=1000"]);
    assert_eq!(huge.status.code(), Some(1));
    assert!(stderr(&huge).contains("of memory") && stderr(&huge).contains("8192 x 8192"), "{}", stderr(&huge));
    assert!(folder.snapshot() == before, "the disk was changed");
}
