//! Whether the added pairs come from the generator whose split is given is said before a segmenter is trained.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{Cached, config, device, folder, trained};
use pig_data::Splits;
use pig_segment::{
    config::SegmentFile,
    run::{SegmentRequest, plan},
};
use pig_train::{
    config::Layers,
    generation::{Request, generate},
    observer::Silent,
};

/// A network that takes only a moment.
const TINY: [&str; 4] = [
    "data.size=16",
    "segment.network.block_out_channels=[8, 16]",
    "segment.network.norm_num_groups=4",
    "segment.train.steps=10",
];

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
    let file: SegmentFile = Layers { file: None, sets: TINY.map(str::to_owned).to_vec() }.load_as().unwrap();
    for (splits, added, expected) in [
        ("first/splits.json", "pairs", "made by the generator of this split"),
        ("second/splits.json", "pairs", "their model is "),
        ("first/other.json", "pairs", "the run beside it has another split"),
        ("alone/splits.json", "pairs", "no generator can be read beside it"),
        ("first/splits.json", "data", "no manifest.csv states their model"),
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
