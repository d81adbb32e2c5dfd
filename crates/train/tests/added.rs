//! `pig train --add`: pairs of further folders are trained on and never validated.

mod common;

use common::{LEARNED, StopAt, config, device, folder, folder_of_corners, trained};
use pig_data::{Dataset, split_by_group};
use pig_device::testing;
use pig_train::{
    Config,
    checkpoint::Store,
    generation::{Request, generate},
    observer::{Observer, Outcome, Silent},
    run_dir::RunDir,
    training::{resume, train_with},
    unlabelled::Folders,
};
use std::path::{Path, PathBuf};

fn start(
    config: &Config,
    data: &Path,
    added: &[PathBuf],
    run: &Path,
    observer: &dyn Observer,
) -> pig_train::Result<Outcome> {
    train_with(config, Folders { added, ..Folders::pairs(data) }, run, &device(), observer)
}

fn weights(run: &Path) -> Vec<f32> {
    Store::new(run, "joint").load_ema().unwrap().1.into_values().flat_map(|array| array.values).collect()
}

fn validation(run: &Path) -> f32 {
    Store::new(run, "joint").load_last().unwrap().state.best.unwrap().1
}

/// Pairs of other pictures change what is learnt, and the validating pairs stay those of the data folder.
#[test]
fn further_pairs_are_trained_on_and_not_validated() {
    let (folder, other) = (folder(), folder_of_corners());
    let own = config(&["method=joint", "model_x.prediction_type=v_prediction"]);
    let alone = trained(folder.path(), "alone", &own);
    let (data, both) = (folder.path().join("data"), folder.path().join("both"));
    let added = [other.path().join("data")];
    assert_eq!(start(&own, &data, &added, &both, &Silent).unwrap(), Outcome::Finished);
    assert_ne!(weights(&alone), weights(&both));
    let [first, second] = [&alone, &both].map(|run| RunDir::open(run).unwrap());
    assert_eq!(first.splits().unwrap(), second.splits().unwrap());
    let from = second.provenance().unwrap();
    assert_eq!((from.added, from.pairs), (Some(12), first.provenance().unwrap().pairs));
    if testing::skips("exact reproducibility of a training is promised on the CPU only") {
        return;
    }
    let parted = folder.path().join("parted");
    assert_eq!(start(&own, &data, &added, &parted, &StopAt::new("joint", 5)).unwrap(), Outcome::Interrupted);
    assert_eq!(resume(&parted, None, &device(), &Silent).unwrap(), Outcome::Finished);
    assert_eq!(weights(&both), weights(&parted));
    // Pictures that changed are noticed.
    std::fs::remove_file(other.path().join("data/images/a00.png")).unwrap();
    std::fs::remove_file(other.path().join("data/masks/a00.png")).unwrap();
    let error = resume(&parted, None, &device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("--add") && error.contains("have changed"), "{error}");
    std::fs::remove_dir_all(other.path().join("data")).unwrap();
    let error = resume(&parted, None, &device(), &Silent).unwrap_err().to_string();
    assert!(error.contains("added-paths.json") && error.contains("JSON list"), "{error}");
}

/// Held-out pairs under other names are found by their pixels.
#[test]
fn pairs_of_held_out_patients_are_refused() {
    let folder = folder();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy"));
    let own = config(&["method=joint"]);
    let splits = split_by_group(&Dataset::discover(&data, &own.data).unwrap(), 0.25, 0).unwrap();
    for part in ["images", "masks"] {
        std::fs::create_dir_all(copy.join(part)).unwrap();
        for (index, id) in splits.training.iter().chain(&splits.validation).enumerate() {
            let to = copy.join(part).join(format!("other{index}.png"));
            std::fs::copy(data.join(part).join(format!("{id}.png")), to).unwrap();
        }
    }
    let run = folder.path().join("run");
    let error = start(&own, &data, std::slice::from_ref(&copy), &run, &Silent).unwrap_err().to_string();
    let count = splits.validation.len();
    assert!(error.contains(&format!("{count} image(s) show validating or testing patients")), "{error}");
    assert!(!run.exists());
}

/// Generated pairs are read as generated ones, and gray masks of the data folder do not spoil the two values of theirs.
#[test]
fn generated_pairs_can_be_added() {
    let folder = folder();
    let data = folder.path().join("data");
    let sets = [&LEARNED[..], &["method=joint", "data.mask_threshold=100", "train.validate_every=40"]].concat();
    let own = config(&sets);
    let first = trained(folder.path(), "first", &own);
    let pairs = folder.path().join("pairs");
    generate(&Request::new(&first, &pairs, &[0, 1, 2, 3]), &device(), &Silent).unwrap();
    let run = folder.path().join("run");
    assert_eq!(start(&own, &data, &[pairs], &run, &Silent).unwrap(), Outcome::Finished);
    assert_eq!(RunDir::open(&run).unwrap().provenance().unwrap().added, Some(4));
    assert!(validation(&run).is_finite());
}

/// Patients of any column that names them are compared, and whoever names none is told.
#[test]
fn patients_of_further_pairs_are_compared() {
    let (folder, other) = (folder(), folder_of_corners());
    let (data, more) = (folder.path().join("data"), other.path().join("data"));
    let table = |prefix: &str| -> String {
        let rows: Vec<String> = (0..12).map(|i| format!("a{i:02},{prefix}{i}\n")).collect();
        format!("id,case\n{}", rows.concat())
    };
    std::fs::write(data.join("manifest.csv"), table("p")).unwrap();
    let own = config(&["method=joint", "data.group_column=case"]);
    let added = [more.clone()];
    let run = folder.path().join("run");
    let error = start(&own, &data, &added, &run, &Silent).unwrap_err().to_string();
    assert!(error.contains("case"), "{error}");
    std::fs::write(more.join("manifest.csv"), table("p")).unwrap();
    let error = start(&own, &data, &added, &run, &Silent).unwrap_err().to_string();
    assert!(error.contains("the patient or group p"), "{error}");
    std::fs::write(more.join("manifest.csv"), table("q")).unwrap();
    start(&own, &data, &added, &run, &Silent).unwrap();
    // Groups of near duplicates are numbered anew for each data set: the same number is another group.
    let rows = |end: &str| (0..12).map(|i| format!("a{i:02},g{i}{end}\n")).collect::<Vec<_>>().concat();
    std::fs::write(data.join("manifest.csv"), format!("id,near_duplicate_group\n{}", rows(""))).unwrap();
    std::fs::write(more.join("manifest.csv"), format!("id,near_duplicate_group,site\n{}", rows(",x"))).unwrap();
    let said = common::Cached::new(&folder.path().join("cache"));
    start(&config(&["method=joint"]), &data, &added, &folder.path().join("near"), &said).unwrap();
    let said = said.said.into_inner().unwrap();
    assert!(said.iter().any(|text| text.contains("patients are not named in both folders")), "{said:?}");
    std::fs::remove_file(more.join("manifest.csv")).unwrap();
    std::fs::remove_file(data.join("manifest.csv")).unwrap();
    let said = common::Cached::new(&folder.path().join("cache"));
    start(&config(&["method=joint"]), &data, &added, &folder.path().join("other"), &said).unwrap();
    let said = said.said.into_inner().unwrap();
    assert!(said.iter().any(|text| text.contains("patients are not named in both folders")), "{said:?}");
}
