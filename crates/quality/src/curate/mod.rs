//! `pig curate`: chooses generated pairs by what segmenters of real pairs say of them.
//!
//! The chosen pairs get a folder of their own, and nothing in the folder that they come from changes: it belongs to the run that made
//! it, which checks and completes it, and whatever reads a folder of pairs (`--add`, `export`, `fid calc`) reads the whole of it.

mod config;
mod folder;
mod measure;
mod select;
pub mod table;
mod unseen;

pub use config::{Areas, CurateConfig, Order};
pub use folder::{ADDED, write_pairs};
pub use measure::{Judged, areas, judge, scored};
pub use select::{Fate, Scored, select, select_count};
pub use unseen::{TestSide, check_unseen};

use burn::tensor::Device;
use pig_data::{DataConfig, Dataset, PreparedSet, Splits};
use pig_segment::{config::SegmentFile, pairs, predict::SegmentModel};
use pig_train::{
    Error, Result,
    observer::{Observer, Outcome, note, warn},
    run_data::{RunData, discover_unsplit},
    run_dir::{RunDir, remembered_data},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// The table of all pairs in a curated folder.
pub const TABLE: &str = "curation.csv";

/// What was asked for and found, in a curated folder.
pub const SUMMARY: &str = "curation.json";

/// What goes before the ids of the pairs while they are in memory.
const PREFIX: &str = "pairs";

/// The arguments of [`curate`].
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder of generated pairs.
    pub pairs: PathBuf,
    /// The runs of segmenters that were trained on real pairs alone; what they say is averaged.
    pub runs: Vec<PathBuf>,
    /// The folder of the real pairs on which they were trained, if it has moved.
    pub data: Option<PathBuf>,
    /// A split of this folder, whose test patients must be unseen; those of the segmenters' own splits always must.
    pub splits: Option<PathBuf>,
    /// A folder of test pairs, all of which must be unseen.
    pub test: Option<PathBuf>,
    /// How pairs are chosen.
    pub config: CurateConfig,
    /// The folder to write.
    pub out: PathBuf,
}

/// What a curation found; `Display` is for the terminal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The number of pairs in the folder.
    pub pairs: usize,
    /// The number of pairs that are kept.
    pub kept: usize,
    /// How many were left out, by the reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// The mean agreement of all pairs with a lesion, and of those that are kept.
    pub agreement: [Option<f64>; 2],
    /// The share of empty masks of all pairs, and of those that are kept.
    pub empty_masks: [f64; 2],
    /// What is known of whether segmenters saw test patients, for each segmenter.
    pub unseen: Vec<String>,
    /// The filters.
    pub config: CurateConfig,
    /// SHA-256 of the weights of each segmenter.
    pub segmenters: Vec<String>,
}

impl Summary {
    fn new(scored: &[Scored], fates: &[Fate], config: CurateConfig) -> Self {
        let kept: Vec<&Scored> =
            scored.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Kept).map(|(pair, _)| pair).collect();
        let all: Vec<&Scored> = scored.iter().collect();
        let mut left_out = BTreeMap::new();
        for fate in fates.iter().filter(|&&fate| fate != Fate::Kept) {
            *left_out.entry(fate.word()).or_default() += 1;
        }
        let agreement = |pairs: &[&Scored]| {
            let values: Vec<f64> =
                pairs.iter().filter(|pair| pair.area > 0.0).map(|pair| pair.dice.unwrap_or(0.0)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let empty =
            |pairs: &[&Scored]| pairs.iter().filter(|pair| pair.area == 0.0).count() as f64 / pairs.len().max(1) as f64;
        Self {
            pairs: scored.len(),
            kept: kept.len(),
            left_out,
            agreement: [agreement(&all), agreement(&kept)],
            empty_masks: [empty(&all), empty(&kept)],
            unseen: Vec::new(),
            config,
            segmenters: Vec::new(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out: Vec<String> = self.left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let left_out = if left_out.is_empty() { String::new() } else { format!("; left out: {}", left_out.join(", ")) };
        writeln!(f, "kept {} of {} pairs{left_out}", self.kept, self.pairs)?;
        let wanted = (self.config.keep * self.pairs as f64).round() as usize;
        if self.kept < wanted {
            writeln!(f, "  {} fewer than --keep asks for, since the filters leave no more", wanted - self.kept)?;
        }
        let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{:.1}", 100.0 * value));
        let [all, kept] = self.agreement.map(percent);
        writeln!(f, "  agreement (Dice %, pairs with a lesion): all {all}, kept {kept}")?;
        let [all, kept] = self.empty_masks.map(|share| percent(Some(share)));
        writeln!(f, "  empty masks (%): all {all}, kept {kept}")?;
        self.unseen.iter().try_for_each(|words| writeln!(f, "  {words}"))
    }
}

/// A segmenter, and the real pairs with which it was trained.
struct Judge {
    model: SegmentModel,
    real: RunData,
}

/// Measures pairs by segmenters, chooses, and writes the folder, whole or not at all. None if a stop was requested.
///
/// # Errors
/// When a segmenter saw test patients or generated pairs, when pairs or runs cannot be read, or the folder exists.
pub fn curate(request: &Request, device: &Device, observer: &dyn Observer) -> Result<(Outcome, Option<Summary>)> {
    request.config.check("--")?;
    RunDir::check_new_results(&request.out)?;
    let (mut judges, mut unseen) = (Vec::new(), Vec::new());
    for path in &request.runs {
        let (judge, words) = judge_of(path, request, observer)?;
        note(observer, format!("{}: {words}", path.display()));
        judges.push(judge.open(device)?);
        unseen.push(words);
    }
    let Some(first) = judges.first() else {
        return Err(Error::TooLittle {
            found: "no segmenter was given".to_owned(),
            expected: "the run of at least one segmenter (--run)",
        });
    };
    let mut judged = Vec::new();
    let mut set = pairs::none(&first.real.set);
    for (number, judge) in judges.iter().enumerate() {
        if observer.stop_requested() {
            return Ok((Outcome::Interrupted, None));
        }
        // Each segmenter gets the pairs as its own training would prepare them.
        let own = pairs::folder(&request.pairs, PREFIX, &judge.real, observer).map_err(Error::for_run)?;
        judged.push(self::judge(&judge.model, &own, device)?);
        if number == 0 {
            set = own;
        }
    }
    strip(&mut set);
    let [training, held_out] = first.real.parts();
    if held_out.is_empty() {
        warn(
            observer,
            "there are no validating images, which show how near new images are: no pair is marked as a copy",
        );
    }
    let scored = scored(&set, &judged, [&training, &held_out])?;
    let fates = select(&scored, &areas(&training)?, &request.config);
    let segmenters = judges.iter().map(|judge| judge.model.state.ema_sha256().to_owned()).collect();
    let summary = Summary { unseen, segmenters, ..Summary::new(&scored, &fates, request.config) };
    if summary.kept == 0 {
        return Err(Error::TooLittle {
            found: format!("{}: the filters keep none of its {} pairs", request.pairs.display(), summary.pairs),
            expected: "at least one pair; raise --keep, or give --keep-copies",
        });
    }
    write(request, first, (&scored, &fates), &summary)?;
    Ok((Outcome::Finished, Some(summary)))
}

/// Takes what stands before the ids away.
fn strip(set: &mut PreparedSet) {
    for id in &mut set.ids {
        if let Some(own) = id.strip_prefix(PREFIX).and_then(|id| id.strip_prefix('/')) {
            *id = own.to_owned();
        }
    }
}

/// A segmenter that was found to have seen no test patient, before its network is loaded.
struct Checked {
    path: PathBuf,
    real: RunData,
}

impl Checked {
    fn open(self, device: &Device) -> Result<Judge> {
        Ok(Judge { model: SegmentModel::open(&self.path, device)?, real: self.real })
    }
}

fn judge_of(path: &Path, request: &Request, observer: &dyn Observer) -> Result<(Checked, String)> {
    let run = RunDir::open_verified(path)?;
    if let Some(text) = run.unverified() {
        warn(observer, text);
    }
    SegmentFile::of_run(&run)?;
    let real = RunData::found(request.data.as_deref(), &run, observer)?;
    let root = match &request.data {
        Some(data) => data.clone(),
        None => remembered_data(&run)?,
    };
    let whole = Dataset::discover(&root, &real.preparation.config)?;
    let own = run.splits()?;
    let mut tests = vec![TestSide::of_split(whole.clone(), &own)];
    let given = request.splits.as_deref().map(Splits::load).transpose()?;
    if let Some(splits) = &given {
        splits.check(&whole)?;
        if splits.sha256 != own.sha256 {
            tests.push(TestSide::of_split(whole.clone(), splits));
        }
    }
    if let Some(test) = &request.test {
        // How its masks are read does not matter, and its patients are found as they are named there.
        let config = DataConfig { group_column: None, class_column: None, ..real.preparation.config.clone() };
        tests.push(TestSide::whole(discover_unsplit(test, &config, observer)?));
    }
    let words = check_unseen(&run, &whole, given.as_ref(), &tests)?;
    Ok((Checked { path: path.to_owned(), real }, words))
}

fn write(request: &Request, judge: &Judge, (scored, fates): (&[Scored], &[Fate]), summary: &Summary) -> Result<()> {
    let dataset = Dataset::discover(&request.pairs, &judge.real.preparation.of_generated().config)?;
    let kept = scored.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Kept);
    let ids: Vec<String> = kept.map(|(pair, _)| pair.id.clone()).collect();
    let by_id = scored.iter().map(|pair| (pair.id.as_str(), pair)).collect();
    pig_files::create_folder(&request.out, |folder| -> Result<()> {
        write_pairs(&dataset, &ids, Some(&by_id), folder)?;
        table::write(&folder.join(TABLE), scored, fates)?;
        Ok(pig_files::write_json(&folder.join(SUMMARY), summary)?)
    })
}
