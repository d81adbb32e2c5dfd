//! Before a segmenter is trained, it is said whether the added pairs come from the generator whose split is given, and pictures that validate
//! or test are refused among them.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{Cached, config, device, folder, folder_of_corners, trained};
use pig_data::{Dataset, Splits, split_by_group};
use pig_segment::{
    config::SegmentFile,
    run::{SegmentRequest, plan, train},
};
use pig_train::{
    config::Layers,
    generation::{Request, generate},
    observer::{Outcome, Silent},
};
use std::path::Path;

/// A network that takes only a moment.
const TINY: [&str; 4] = [
    "data.size=16",
    "segment.network.block_out_channels=[8, 16]",
    "segment.network.norm_num_groups=4",
    "segment.train.steps=10",
];

fn file() -> SegmentFile {
    Layers { file: None, sets: TINY.map(str::to_owned).to_vec() }.load_as().unwrap()
}

/// Copies a pair from one folder to another one, under another name.
fn copy((from, old): (&Path, &str), (to, new): (&Path, &str)) {
    for part in ["images", "masks"] {
        std::fs::create_dir_all(to.join(part)).unwrap();
        let to = to.join(part).join(format!("{new}.png"));
        std::fs::copy(from.join(part).join(format!("{old}.png")), to).unwrap();
    }
}

/// Pairs state their model: it is that of the run whose split is given, that of another run, or there is no run to compare with.
#[test]
fn it_is_said_whether_the_generator_of_the_split_made_the_pairs() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for (name, seed) in [("first", "train.seed=0"), ("second", "train.seed=1")] {
        trained(folder.path(), name, &config(&["method=joint", seed]));
    }
    generate(&Request::new(&at("first"), &at("pairs"), &[0, 1, 2, 3]), &device(), &Silent).unwrap();
    std::fs::create_dir(at("alone")).unwrap();
    std::fs::copy(at("first/splits.json"), at("alone/splits.json")).unwrap();
    // The networks of one run beside the split of another one.
    let hash = |name: &str| Splits::load(&at(name)).unwrap().sha256;
    assert_ne!(hash("first/splits.json"), hash("second/splits.json"));
    std::fs::copy(at("second/splits.json"), at("first/other.json")).unwrap();
    // Real pairs, of those that train.
    for id in &Splits::load(&at("first/splits.json")).unwrap().training {
        copy((&at("data"), id), (&at("trained"), id));
    }
    let file = file();
    for (splits, added, expected) in [
        ("first/splits.json", "pairs", "made by the generator of this split"),
        ("second/splits.json", "pairs", "their model is "),
        ("first/other.json", "pairs", "the run beside it has another split"),
        ("alone/splits.json", "pairs", "no generator can be read beside it"),
        ("first/splits.json", "trained", "no manifest.csv states their model"),
    ] {
        let request =
            SegmentRequest { data: at("data"), added: vec![at(added)], splits: Some(at(splits)), out: at("segmenter") };
        let observer = Cached::new(&at("cache"));
        plan(&file, &request, &device(), &observer).unwrap();
        let said = observer.said.into_inner().unwrap();
        let begin = format!("{}: ", at(added).display());
        let told: Vec<&String> = said.iter().filter(|text| text.contains(expected)).collect();
        assert!(told.len() == 1 && told[0].starts_with(&begin), "{splits}, {added}: {said:?}");
        let is_known = expected.starts_with("made by");
        assert_eq!(said.iter().any(|text| text.contains("results on these are too good")), !is_known, "{said:?}");
    }
}

/// A generator that began from the weights of another run may have seen what its own split holds out.
#[test]
fn it_is_said_from_which_run_the_generator_began() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for (name, seed) in [("first", "train.seed=0"), ("second", "train.seed=1")] {
        trained(folder.path(), name, &config(&["method=joint", seed]));
    }
    let file = file();
    // The split follows from the seed.
    for (name, start, is_known) in [("alike", "first", true), ("other", "second", false)] {
        let init = format!("train.init={}", at(start).display());
        trained(folder.path(), name, &config(&["method=joint", "train.seed=0", &init]));
        let pairs = at(&format!("{name}-pairs"));
        generate(&Request::new(&at(name), &pairs, &[0, 1, 2, 3]), &device(), &Silent).unwrap();
        let splits = Some(at(name).join("splits.json"));
        let request = SegmentRequest { data: at("data"), added: vec![pairs.clone()], splits, out: at("segmenter") };
        let observer = Cached::new(&at("cache"));
        plan(&file, &request, &device(), &observer).unwrap();
        let said = observer.said.into_inner().unwrap();
        let words = format!("its training began from the weights of {} (train.init)", at(start).display());
        let told: Vec<&String> = said.iter().filter(|text| text.contains(&words)).collect();
        let begin = format!("{}: made by the generator of this split", pairs.display());
        assert!(told.len() == 1 && told[0].starts_with(&begin), "{name}: {said:?}");
        assert_eq!(told[0].contains("results on these are too good"), !is_known, "{name}: {told:?}");
        let card = std::fs::read_to_string(at(name).join("README.md")).unwrap();
        assert!(card.contains(&words), "{card}");
    }
}

/// Copies of validating and testing pictures under other names are found by their pixels, and other pictures by their patients.
#[test]
fn pictures_that_validate_or_test_are_not_added() {
    let (folder, corners) = (folder(), folder_of_corners());
    let at = |name: &str| folder.path().join(name);
    let (data, file) = (at("data"), file());
    let part = |index: usize| ["train", "val", "test"][index.saturating_sub(6) / 2];
    let rows: Vec<String> = (0..12).map(|index| format!("a{index:02},p{index},{}\n", part(index))).collect();
    std::fs::write(data.join("manifest.csv"), format!("id,patient,split\n{}", rows.concat())).unwrap();
    let splits = split_by_group(&Dataset::discover(&data, &file.data).unwrap(), 0.0, 0).unwrap();
    assert_eq!([splits.training.len(), splits.validation.len(), splits.test.len()], [8, 2, 2]);
    splits.save(&at("splits.json")).unwrap();
    let asked = |added: &str| SegmentRequest {
        data: data.clone(),
        added: vec![at(added)],
        splits: Some(at("splits.json")),
        out: at("segmenter"),
    };
    let planned = |added: &str| plan(&file, &asked(added), &device(), &Silent);
    // Pictures that train may be added again, and so may pictures of other patients.
    let generated = |added: &str| planned(added).unwrap().mixture.generated;
    copy((&data, "a01"), (&at("trained"), "first"));
    assert_eq!(generated("trained"), 1);
    for (old, new) in [("a01", "first"), ("a08", "second"), ("a11", "third")] {
        copy((&data, old), (&at("copies"), new));
    }
    let trained = train(&file, &asked("copies"), &device(), &Silent);
    for refused in [planned("copies").map(|_| Outcome::Finished), trained] {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("2 image(s) show validating or testing patients"), "{message}");
        assert!(message.contains("second (the pixels of a08), third (the pixels of a11)"), "{message}");
    }
    assert!(!at("segmenter").exists());
    for (old, new) in [("a00", "one"), ("a01", "two")] {
        copy((&corners.path().join("data"), old), (&at("others"), new));
    }
    let patients = |first: &str| {
        std::fs::write(at("others/manifest.csv"), format!("id,patient\none,{first}\ntwo,q1\n")).unwrap();
    };
    patients("q0");
    assert_eq!(generated("others"), 2);
    patients("p10");
    let message = planned("others").unwrap_err().to_string();
    assert!(message.contains("1 image(s) show") && message.contains("one (the patient or group p10)"), "{message}");
}
