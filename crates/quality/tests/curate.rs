//! `pig curate`: what it keeps and writes, and which segmenters it refuses.

#[path = "../../train/tests/common/mod.rs"]
mod common;

use common::{config, device, folder, folder_of_corners, trained};
use pig_data::{DataConfig, Dataset, Splits, manifest::Manifest};
use pig_quality::curate::{ADDED, CurateConfig, Request, SUMMARY, Summary, TABLE, curate, table};
use pig_segment::{
    config::SegmentFile,
    run::{SegmentRequest, train},
};
use pig_train::{
    config::Layers,
    observer::{Outcome, Silent},
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

const TINY: [&str; 9] = [
    "data.size=16",
    "data.validation_fraction=0.25",
    "segment.network.block_out_channels=[8, 16]",
    "segment.network.norm_num_groups=4",
    "segment.train.steps=200",
    "segment.train.ema_decay=0.9",
    "segment.train.batch_size=4",
    "segment.train.warmup_steps=2",
    "segment.train.learning_rate=5e-3",
];

fn segmenter(folder: &Path, name: &str, splits: Option<PathBuf>, added: Vec<PathBuf>) -> PathBuf {
    let sets = TINY.map(str::to_owned).to_vec();
    let file: SegmentFile = Layers { file: None, sets }.load_as().unwrap();
    let out = folder.join(name);
    let request = SegmentRequest { data: folder.join("data"), added, splits, out: out.clone() };
    assert_eq!(train(&file, &request, &device(), &Silent).unwrap(), Outcome::Finished);
    out
}

/// A folder of pairs that stand for generated ones: those with an even number have their own masks, the others the mask of another picture.
fn pairs(folder: &Path) -> PathBuf {
    let (data, out) = (folder.join("data"), folder.join("pairs"));
    for part in ["images", "masks"] {
        std::fs::create_dir_all(out.join(part)).unwrap();
    }
    let mut rows = "id,seed,image,mask,settings\n".to_owned();
    for index in 0..12 {
        let other = if index % 2 == 0 { index } else { (index + 4) % 12 };
        let name = format!("{index:06}.png");
        std::fs::copy(data.join(format!("images/a{index:02}.png")), out.join("images").join(&name)).unwrap();
        std::fs::copy(data.join(format!("masks/a{other:02}.png")), out.join("masks").join(&name)).unwrap();
        writeln!(rows, "{index:06},{index},images/{name},masks/{name},\"{{\"\"a\"\": 1, 2}}\"").unwrap();
    }
    std::fs::write(out.join("manifest.csv"), rows).unwrap();
    out
}

fn request(folder: &Path, run: &Path, name: &str) -> Request {
    Request {
        pairs: folder.join("pairs"),
        runs: vec![run.to_owned()],
        data: None,
        splits: None,
        test: None,
        config: CurateConfig { keep_copies: true, ..CurateConfig::default() },
        out: folder.join(name),
    }
}

fn curated(request: &Request) -> Summary {
    let (outcome, summary) = curate(request, &device(), &Silent).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    summary.unwrap()
}

fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(content(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn pairs_whose_masks_fit_are_kept_in_a_folder_of_their_own() {
    let folder = folder();
    let (all, run) = (pairs(folder.path()), segmenter(folder.path(), "segmenter", None, Vec::new()));
    let before = content(&all);
    let asked = request(folder.path(), &run, "curated");
    let summary = curated(&asked);
    assert_eq!((summary.pairs, summary.kept), (12, 6));
    assert!(summary.agreement[1] > summary.agreement[0], "{summary:?}");
    assert_eq!(content(&all), before, "nothing changes in the folder of all pairs");

    // The kept pairs are a folder of pairs, with unchanged files and rows.
    let kept = Dataset::discover(&asked.out, &DataConfig { group_column: None, ..DataConfig::default() }).unwrap();
    assert_eq!(kept.len(), 6);
    for pair in &kept.pairs {
        for path in [&pair.image, &pair.mask.as_ref().unwrap().first.path] {
            let own = path.strip_prefix(&asked.out).unwrap();
            assert_eq!(std::fs::read(path).unwrap(), before[&all.join(own)]);
        }
    }
    // A segmenter that learned the squares agrees with pairs that have their own masks; three in four suffice here.
    let fitting = kept.pairs.iter().filter(|pair| pair.id.parse::<usize>().unwrap() % 2 == 0).count();
    assert!(fitting >= 5, "{fitting} of 6 have their own mask");
    let (old, new) = (Manifest::in_folder(&all).unwrap().unwrap(), Manifest::in_folder(&asked.out).unwrap().unwrap());
    assert_eq!(new.columns, [&old.columns[..], &ADDED.map(str::to_owned)].concat());
    let settings = new.column("settings").unwrap();
    assert!(new.rows().all(|row| row.get(settings) == "{\"a\": 1, 2}"));

    // The table has every pair, and the kept ones are those with the highest agreement.
    let scored = table::read(&asked.out.join(TABLE)).unwrap();
    assert_eq!(scored.len(), 12);
    let is_kept = |id: &str| kept.pairs.iter().any(|pair| pair.id == id);
    let (ours, others): (Vec<_>, Vec<_>) = scored.iter().partition(|pair| is_kept(&pair.id));
    let dice =
        |pairs: &[&pig_quality::curate::Scored]| -> Vec<f64> { pairs.iter().map(|pair| pair.dice.unwrap()).collect() };
    let least = dice(&ours).into_iter().fold(f64::INFINITY, f64::min);
    assert!(dice(&others).into_iter().all(|dice| dice <= least));
    assert!(scored.iter().all(|pair| (0.0..=1.0).contains(&pair.uncertainty) && pair.area > 0.0));
    // Nine pictures are training pictures themselves, at no distance.
    assert_eq!(scored.iter().filter(|pair| pair.distance == 0.0).count(), 9);
    let text = std::fs::read_to_string(asked.out.join(SUMMARY)).unwrap();
    assert!(text.contains("\"kept\": 6") && text.contains("no test patients were named"), "{text}");

    // Twice the same, and two segmenters of one run say what one says.
    let twice = Request { runs: vec![run.clone(), run.clone()], out: folder.path().join("twice"), ..asked.clone() };
    curated(&twice);
    let table = |request: &Request| std::fs::read(request.out.join(TABLE)).unwrap();
    assert_eq!(table(&asked), table(&twice));

    // Copies go out: the nine training pictures. The distance of the nearest of the three validating ones is the threshold.
    let strict = Request {
        config: CurateConfig { keep: 1.0, ..CurateConfig::default() },
        out: folder.path().join("strict"),
        ..asked.clone()
    };
    let found = curated(&strict);
    assert_eq!((found.kept, found.left_out["copy"]), (3, 9));
    assert!(found.to_string().contains("9 fewer than --keep asks for"), "{found}");
    let again = curate(&asked, &device(), &Silent).unwrap_err().to_string();
    assert!(again.contains("never overwritten"), "{again}");
}

fn refused(request: &Request) -> String {
    let message = curate(request, &device(), &Silent).unwrap_err().to_string();
    assert!(!request.out.exists());
    message
}

#[test]
fn segmenters_that_saw_test_patients_or_generated_pairs_are_refused() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    pairs(folder.path());
    let run = segmenter(folder.path(), "segmenter", None, Vec::new());
    let asked = request(folder.path(), &run, "out");
    let own = Splits::load(&run.join("splits.json")).unwrap();

    // A split of the same folder that tests a training patient: its hash is found by moving the lists.
    let data = Dataset::discover(&at("data"), &DataConfig::default()).unwrap();
    let folds = pig_data::crossval_folds(&data, 3, 0.25, 1).unwrap();
    let leaking = folds.iter().find(|fold| fold.test.iter().any(|id| own.training.contains(id))).unwrap();
    leaking.save(&at("leaking.json")).unwrap();
    let message = refused(&Request { splits: Some(at("leaking.json")), ..asked.clone() });
    assert!(message.contains("picture(s) of test patients"), "{message}");
    assert!(message.contains("--splits FILE"), "{message}");

    // Trained on this split, it is accepted, and says so.
    let clean = segmenter(folder.path(), "clean", Some(at("leaking.json")), Vec::new());
    let summary = curated(&Request { splits: Some(at("leaking.json")), ..request(folder.path(), &clean, "clean-out") });
    let words = &summary.unseen[0];
    assert!(words.contains(&format!("saw none of the {} test pictures", leaking.test.len())), "{words}");
    assert!(words.contains("cannot be known from the pairs"), "{words}");
    assert!(words.contains("by the pixels alone, since its data folder names no patients"), "{words}");

    // A split without a test part names no test patients, and that is said of the file.
    let splits = Some(run.join("splits.json"));
    let summary = curated(&Request { splits, ..request(folder.path(), &run, "own-out") });
    let words = &summary.unseen[0];
    assert!(words.contains("the file of --splits has no test part (9 training, 3 validation)"), "{words}");
    assert!(words.contains("--test DIR"), "{words}");

    // The run of a generator is no segmenter.
    let generator = trained(folder.path(), "generator", &config(&["method=joint"]));
    let message = refused(&request(folder.path(), &generator, "generator-out"));
    for words in ["generator: ", "the run of a generator (method \"joint\")", "pig segment train"] {
        assert!(message.contains(words), "{words}: {message}");
    }

    // A folder of test pairs that holds a training picture under another name.
    for part in ["images", "masks"] {
        std::fs::create_dir_all(at("test").join(part)).unwrap();
        let from = at("data").join(part).join(format!("{}.png", own.training[0]));
        std::fs::copy(from, at("test").join(part).join("new-name.png")).unwrap();
    }
    let message = refused(&Request { test: Some(at("test")), ..asked.clone() });
    assert!(message.contains("1 picture(s) of test patients") && message.contains("new-name"), "{message}");
    // The whole folder under its own names: each picture is listed once, and not all of them.
    let message = refused(&Request { test: Some(at("data")), ..asked.clone() });
    assert!(message.contains("12 picture(s) of test patients: a00, a01, "), "{message}");
    assert!(message.contains(" and 2 more") && !message.contains("the pixels of"), "{message}");
    assert_eq!(message.matches("a00,").count(), 1, "{message}");

    // One that learned from generated pairs does not see their faults.
    let others = folder_of_corners();
    let mixed = segmenter(folder.path(), "mixed", None, vec![others.path().join("data")]);
    let message = refused(&request(folder.path(), &mixed, "mixed-out"));
    assert!(message.contains("trained on 12 generated pairs") && message.contains("without --add"), "{message}");
    let wrong = CurateConfig { keep: 0.0, ..CurateConfig::default() };
    assert!(refused(&Request { config: wrong, ..asked.clone() }).contains("--keep = 0"));
    assert!(refused(&Request { runs: Vec::new(), ..asked }).contains("--run"));
}
