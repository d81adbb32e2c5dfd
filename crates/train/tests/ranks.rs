//! The number of ranks changes no bit of a training. Here ranks are threads; .ci/ranks uses processes and MPI.

mod common;

use common::{config, device, folder, trained};
use pig_device::testing;
use pig_testing::{Member, in_members};
use pig_train::{
    Config, Error, Result, metrics_log,
    observer::{Event, Observer, Outcome},
    ranks::{Link, Ranks},
    training::{resume, train},
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

const PROMISE: &str = "exact reproducibility of a training in ranks is promised on the CPU only";

/// Eight samples a step, in four parts.
const FOUR_PARTS: [&str; 5] = [
    "train.steps=6",
    "train.batch_size=8",
    "train.micro_batch_size=2",
    "train.checkpoint_every=2",
    "train.preview_every=3",
];

/// A rank that is a thread, and what it is told.
struct Rank {
    member: Member,
    said: Mutex<Vec<String>>,
    /// The rank that is asked to stop, and the step after which the first rank, which alone hears of steps, lets it ask.
    stops: Option<(usize, usize)>,
    is_due: Arc<AtomicBool>,
    stage: Mutex<String>,
}

impl Rank {
    fn new(member: Member, stops: Option<(usize, usize)>, is_due: Arc<AtomicBool>) -> Self {
        Self { member, said: Mutex::default(), stops, is_due, stage: Mutex::default() }
    }
}

impl Link for Rank {
    fn rank(&self) -> usize {
        self.member.rank
    }

    fn count(&self) -> usize {
        self.member.count()
    }

    fn exchange(&self, partner: usize, mine: &[u8]) -> io::Result<Vec<u8>> {
        self.member.exchange(partner, mine)
    }
}

impl Observer for Rank {
    fn event(&self, event: Event) {
        match event {
            Event::Note(text) | Event::Warning(text) => self.said.lock().unwrap().push(text),
            Event::Begin { stage, .. } => *self.stage.lock().unwrap() = stage,
            Event::Progress { done, .. } => {
                let is_training = self.stage.lock().unwrap().starts_with("model_");
                if is_training && self.stops.is_some_and(|(_, step)| done >= step) {
                    self.is_due.store(true, Ordering::SeqCst);
                }
            }
            Event::End => {}
        }
    }

    fn stop_requested(&self) -> bool {
        self.stops.is_some_and(|(rank, _)| rank == self.member.rank) && self.is_due.load(Ordering::SeqCst)
    }

    fn ranks(&self) -> Ranks<'_> {
        Ranks::of(self)
    }
}

fn in_ranks<T: Send>(count: usize, stops: Option<(usize, usize)>, job: impl Fn(&Rank) -> T + Sync) -> Vec<T> {
    let is_due = Arc::default();
    in_members(count, |member| job(&Rank::new(member, stops, Arc::clone(&is_due))))
}

/// All files of a run, without what says when and how fast.
fn content(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(run).unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !["log.txt", "metrics.jsonl", "provenance.json", "state.json", "curves.svg", "README.md"]
                .iter()
                .any(|timed| name.ends_with(timed))
            {
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    let log = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let without_speed = |line: &str| {
        let mut values: serde_json::Value = serde_json::from_str(line).unwrap();
        values.as_object_mut().unwrap().remove("images_per_second");
        values.to_string()
    };
    found.insert("metrics".into(), log.lines().map(without_speed).collect::<Vec<_>>().join("\n").into_bytes());
    found
}

/// Whether a run has the files of another, byte for byte.
fn assert_same(one: &BTreeMap<PathBuf, Vec<u8>>, run: &Path, which: &str) {
    let found = content(run);
    assert_eq!(found.keys().collect::<Vec<_>>(), one.keys().collect::<Vec<_>>(), "{which}");
    for (file, bytes) in one {
        assert!(&found[file] == bytes, "{which}: {} differs", file.display());
    }
}

fn settings(more: &[&str]) -> Config {
    config(&[&FOUR_PARTS[..], more].concat())
}

#[test]
fn a_training_is_the_same_with_any_number_of_ranks() {
    if testing::skips(PROMISE) {
        return;
    }
    let folder = folder();
    let data = folder.path().join("data");
    for (name, more) in [
        ("pig", &["model_y.dropout=0.1"][..]),
        ("ldm", &["method=ldm"]),
        ("frozen-guider", &["model_y.conditioning=xhat"]),
    ] {
        let config = settings(more);
        let one = content(&trained(folder.path(), &format!("{name}-1"), &config));
        for count in [2, 4] {
            let run = folder.path().join(format!("{name}-{count}"));
            let outcomes = in_ranks(count, None, |rank| {
                train(&config, &data, &run, &device(), rank).map_err(|error| error.to_string())
            });
            assert_eq!(outcomes, vec![Ok(Outcome::Finished); count]);
            assert_same(&one, &run, &format!("{name}, {count} ranks"));
        }
    }
}

/// Steps of four batches, which a GPU takes as a whole: with the same bits on the CPU, and up to rounding elsewhere.
#[test]
fn accumulated_batches_are_divided_on_any_device() {
    let folder = folder();
    let data = folder.path().join("data");
    let config = config(&[
        "train.steps=4",
        "train.batch_size=2",
        "train.micro_batch_size=0",
        "train.gradient_accumulation_steps=4",
        "train.validate_every=2",
        "train.log_every=1",
        "train.preview_every=0",
    ]);
    let losses = |run: &Path| -> Vec<f64> {
        let lines = metrics_log::read(run).unwrap();
        lines
            .iter()
            .flat_map(|line| [line.loss, line.gradient_norm, line.validation.map(|v| v.mean)])
            .flatten()
            .collect()
    };
    let one = losses(&trained(folder.path(), "one", &config));
    assert!(one.len() >= 16, "{one:?}");
    for count in [2, 4] {
        let run = folder.path().join(format!("ranks-{count}"));
        let outcomes = in_ranks(count, None, |rank| train(&config, &data, &run, &device(), rank).unwrap());
        assert_eq!(outcomes, vec![Outcome::Finished; count]);
        let found = losses(&run);
        assert_eq!(found.len(), one.len());
        for (found, expected) in found.iter().zip(&one) {
            let off = (found - expected).abs();
            assert!(off <= testing::tolerance(0.0) * expected.abs(), "{count} ranks: {found}, expected {expected}");
        }
    }
}

/// A stop that reaches one rank stops all at the same step, and another number of ranks goes on.
#[test]
fn a_stopped_training_goes_on_with_another_number_of_ranks() {
    if testing::skips(PROMISE) {
        return;
    }
    let folder = folder();
    let data = folder.path().join("data");
    let config = settings(&[]);
    let one = content(&trained(folder.path(), "one", &config));
    for (number, (first, then)) in [(4, 2), (2, 1), (1, 4)].into_iter().enumerate() {
        let run = folder.path().join(format!("run-{number}"));
        let last = first - 1;
        let outcomes = in_ranks(first, Some((last, 3)), |rank| train(&config, &data, &run, &device(), rank).unwrap());
        assert_eq!(outcomes, vec![Outcome::Interrupted; first], "{first} ranks");
        let last = std::fs::read_to_string(run.join("checkpoints/model_x/last")).unwrap();
        let step: usize = last.trim_start_matches("step-").parse().unwrap();
        assert!((3..6).contains(&step) && !run.join("checkpoints/model_y").exists(), "stopped at {last}");
        let outcomes = in_ranks(then, None, |rank| resume(&run, None, &device(), rank).unwrap());
        assert_eq!(outcomes, vec![Outcome::Finished; then]);
        assert_same(&one, &run, &format!("{first} and then {then} ranks"));
    }
}

#[test]
fn ranks_that_would_not_do_the_same_are_refused() {
    if testing::skips(PROMISE) {
        return;
    }
    let folder = folder();
    let data = folder.path().join("data");
    let run = folder.path().join("run");
    let attempt = |count: usize, config: &(dyn Fn(usize) -> Config + Sync)| -> Vec<Result<Outcome>> {
        in_ranks(count, None, |rank| train(&config(rank.rank()), &data, &run, &device(), rank))
    };
    let messages = |found: Vec<Result<Outcome>>| -> Vec<String> {
        found.into_iter().map(|found| found.unwrap_err().to_string()).collect()
    };
    // Another learning rate in the second rank.
    let found = messages(attempt(2, &|rank| settings(if rank == 1 { &["train.learning_rate=0.5"] } else { &[] })));
    assert!(found[0].contains("the configurations differ") && found[1].contains("rank 0 has"), "{found:?}");
    assert!(!run.exists(), "nothing is written");
    for (count, more, expected) in [(3, &[][..], "a power of two"), (4, &["train.micro_batch_size=4"], "at most 2")] {
        let found = messages(attempt(count, &|_| settings(more)));
        assert!(found.iter().any(|message| message.contains(expected)), "{found:?}");
        let _ = std::fs::remove_dir_all(&run);
    }
    // A rank whose data are others.
    let other = common::folder_of_corners();
    let found: Vec<Result<Outcome>> = in_ranks(2, None, |rank| {
        let data = if rank.rank() == 1 { other.path().join("data") } else { data.clone() };
        train(&settings(&[]), &data, &run, &device(), rank)
    });
    assert!(messages(found)[0].contains("the data differ"));
    // A rank that ends alone is named by the other.
    let found: Vec<Option<Error>> = in_ranks(2, None, |rank| match rank.rank() {
        0 => train(&settings(&[]), &data, &run, &device(), rank).err(),
        _ => None,
    });
    assert!(found[0].as_ref().is_some_and(|error| error.to_string().contains("rank 1 of this training was lost")));
}
