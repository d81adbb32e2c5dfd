//! The pieces that are left to do, and how long they will take.

use crate::{
    crossval::{
        fold::FoldData,
        open::{Crossval, Selection},
        piece::{Done, PAIRS, Piece, PieceKind, RUN},
    },
    pace::{forward_seconds, sample_seconds},
    plan::{Plan, plan},
};
use burn::tensor::Device;
use pig_segment::{pairs::SegmentData, run::seconds_a_step};
use pig_train::{
    Result,
    observer::{Observer, Quiet},
    unlabelled::Folders,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The progress of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// Done.
    Done,
    /// Started.
    Begun,
    /// Not started.
    Open,
}

/// A time, and what the estimate is based on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimated {
    /// Time for the whole piece in seconds, on a machine like this one.
    pub seconds: f64,
    /// What the estimate is based on.
    pub from: &'static str,
}

/// A piece with its state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Job {
    /// The fold.
    pub fold: usize,
    /// The label of the piece, as `--arm` takes it.
    pub arm: String,
    /// The segmenter's seed.
    pub seed: Option<u64>,
    /// The progress of the piece.
    pub progress: Progress,
    /// How long the piece took, or will take from the start; none if this is unknown.
    pub time: Option<Estimated>,
    /// The least memory in bytes, by count, where it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// The kind of work.
    #[serde(skip)]
    pub kind: PieceKind,
}

/// What was found out about a kind of piece.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    time: Option<Estimated>,
    memory: Option<u64>,
}

impl Crossval {
    /// The selected pieces with time estimates. An estimate is the mean over finished pieces of the same kind; if there are none, a few
    /// steps are measured. With `measures_all`, steps of every kind of piece that is left are measured, so that this process's largest
    /// resident memory says what they need.
    ///
    /// # Errors
    /// When the data cannot be read, or a finished piece is not one of these.
    pub fn jobs(
        &self,
        selection: &Selection,
        measures_all: bool,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Vec<Job>> {
        let pieces = self.pieces(selection)?;
        let known = self.known()?;
        let mut measured: BTreeMap<String, Measured> = BTreeMap::new();
        let mut jobs = Vec::new();
        for piece in pieces {
            let arm = piece.label(&self.file);
            let done = self.finished(piece)?;
            let key = kind_of(piece, &arm);
            let is_asked = done.is_none() && (measures_all || !known.contains_key(&key));
            if is_asked && !measured.contains_key(&key) {
                measured.insert(key.clone(), self.measure(piece, device, observer)?);
            }
            let found = measured.get(&key).copied().unwrap_or_default();
            let time = match (&done, known.get(&key)) {
                (Some(done), _) => Some(Estimated { seconds: done.seconds, from: "this piece" }),
                (None, Some(&seconds)) => Some(Estimated { seconds, from: "finished pieces of its kind" }),
                (None, None) => found.time,
            };
            let progress = match done {
                Some(_) => Progress::Done,
                None if self.has_begun(piece) => Progress::Begun,
                None => Progress::Open,
            };
            jobs.push(Job {
                fold: piece.fold,
                arm,
                seed: piece.seed(),
                progress,
                time,
                memory: found.memory,
                kind: piece.kind,
            });
        }
        Ok(jobs)
    }

    fn has_begun(&self, piece: Piece) -> bool {
        let folder = piece.folder(&self.file, &self.out);
        folder.join(RUN).exists() || folder.join(PAIRS).exists()
    }

    /// Mean seconds of finished pieces by kind. Interrupted pieces are left out if their kind has others.
    fn known(&self) -> Result<BTreeMap<String, f64>> {
        let mut found: BTreeMap<String, Vec<(bool, f64)>> = BTreeMap::new();
        for piece in self.pieces(&Selection::default())? {
            if let Some(Done { seconds, at_once, .. }) = self.finished(piece)? {
                found.entry(kind_of(piece, &piece.label(&self.file))).or_default().push((at_once, seconds));
            }
        }
        let mean = |times: Vec<(bool, f64)>| {
            let any_whole = times.iter().any(|(at_once, _)| *at_once);
            let kept: Vec<f64> = times.into_iter().filter(|(at_once, _)| *at_once || !any_whole).map(|t| t.1).collect();
            kept.iter().sum::<f64>() / kept.len() as f64
        };
        Ok(found.into_iter().map(|(kind, times)| (kind, mean(times))).collect())
    }

    /// Measures steps of a piece.
    fn measure(&self, piece: Piece, device: &Device, observer: &dyn Observer) -> Result<Measured> {
        let from = "measured steps";
        match piece.kind {
            PieceKind::Curation(_) | PieceKind::Agreement { .. } => Ok(Measured::default()),
            PieceKind::Segmenter { seed, .. } => {
                let fold = FoldData::read(self, piece.fold, &Quiet(observer))?;
                let real = pig_segment::pairs::none(&fold.real.set);
                let data = SegmentData::with(&fold.real, &real);
                let file = self.file.segmenter(seed);
                let steps = file.segment.train.steps as f64;
                let out = self.folder(piece.fold, piece.kind).join(RUN);
                let seconds = steps * seconds_a_step(&file, &data, &out, device)?;
                Ok(Measured { time: Some(Estimated { seconds, from }), memory: None })
            }
            PieceKind::Generator(which) => {
                let config = &self.file.crossval.arms[which.arm];
                let pairs = self.pairs_of(piece.fold, config) as f64;
                if config.runs.is_some() {
                    return Ok(Measured::default());
                }
                let generator = self.file.seeded_generator(which, &self.base)?;
                let out = self.folder(piece.fold, piece.kind).join("run-that-is-not-written");
                let plan = plan(&generator, Folders::pairs(&self.data), &out, device, observer)?;
                let seconds = generator_seconds(&plan, pairs)?;
                let memory = Some(plan.needed.total() as u64);
                Ok(Measured { time: Some(Estimated { seconds, from }), memory })
            }
        }
    }
}

/// Seconds of the training of a generator, and of so many pairs that it makes.
fn generator_seconds(plan: &Plan, pairs: f64) -> Result<f64> {
    Ok(plan.seconds()? + pairs * sample_seconds(&plan.config, &forward_seconds(&plan.config, &plan.networks))?)
}

/// The kind of a piece; pieces of one kind take about the same time. All segmenters are one kind, because they train for equal steps
/// (unless `segment.train.equal_epochs` is set); other pieces are distinguished by their label.
fn kind_of(piece: Piece, label: &str) -> String {
    match piece.kind {
        PieceKind::Segmenter { .. } => "segmenter".to_owned(),
        // The generators of an arm differ in their seeds alone.
        PieceKind::Generator(which) => format!("generator {}", which.arm),
        PieceKind::Curation(which) => format!("curation {}", which.arm),
        PieceKind::Agreement { .. } => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{budget::NetworkCost, plan::NetworkPlan};
    use pig_train::{config::Layers, memory::Needed};

    /// A control learns through its frozen base, which costs a part of its steps and is another network in sampling.
    #[test]
    fn pairs_take_the_forward_passes_of_all_networks() {
        let sets = [
            "method=controlnet",
            "train.steps=50",
            "train.base_steps=100",
            "train.batch_size=8",
            "train.preview_every=0",
            "sample.num_inference_steps=5",
        ];
        let config = Layers { file: None, sets: sets.map(str::to_owned).to_vec() }.load().unwrap();
        let network = |network, seconds_a_step, frozen_flops, steps| NetworkPlan {
            cost: NetworkCost { network, parameters: 1, forward_flops: 1e6, frozen_flops, steps, images: steps * 8 },
            seconds_a_step,
        };
        let plan = Plan {
            pairs: [8, 2],
            groups: [8, 2],
            warnings: Vec::new(),
            networks: vec![network("unconditional", 1.0, 0.0, 100), network("control", 2.0, 3e6, 50)],
            scaled: None,
            config,
            needed: Needed { pairs: 0.0, batch: 0.0 },
            available_memory: None,
            peak_memory: None,
        };
        // A step of eight images is three forward passes of the base; and six of the control, three of which are its base's.
        let expected = 100.0 * 1.0 + 50.0 * 2.0 + 4.0 * 5.0 * (1.0 / 8.0 / 3.0 + 2.0 / 8.0 / 6.0);
        let found = generator_seconds(&plan, 4.0).unwrap();
        assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
    }
}
