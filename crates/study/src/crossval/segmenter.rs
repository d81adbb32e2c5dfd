//! The segmenters of one fold, each measured once on the test patients; and pair agreement, measured by the segmenter of real pairs.

use crate::crossval::{
    cases::{class_table, read_all},
    config::Use,
    fold::FoldData,
    generator::Generator,
    piece::{CASES, Found, Piece, PieceKind, RUN, part, take},
    results::mean_of_cases,
    variant::{ArmGenerator, Variant},
};
use burn::tensor::Device;
use pig_data::{
    PreparedSet,
    table::{Column, Columns, write_csv},
};
use pig_metrics::{
    bootstrap::{Bootstrap, Estimate, bootstrap_mean},
    classes::mean_of_classes,
    evaluation::CaseScores,
};
use pig_segment::{
    pairs::{self, SegmentData},
    predict::SegmentModel,
    run::train_on,
    scores::{CASE_COLUMNS, case_scores, class_scores, dice_of_classes},
};
use pig_train::{
    Error, Result,
    observer::{Observer, Outcome},
};
use std::{path::Path, time::Instant};

/// Pair agreement of one generated pair.
struct AgreementCase {
    id: String,
    dice: Option<f64>,
    shuffled: Option<f64>,
    lesion: bool,
}

const AGREEMENT_COLUMNS: &Columns<AgreementCase> = &[
    ("id", Column::Text(|case| &case.id)),
    ("dice", Column::MaybeNumber(|case| case.dice)),
    ("shuffled_dice", Column::MaybeNumber(|case| case.shuffled)),
    ("lesion", Column::Flag(|case| case.lesion)),
];

impl FoldData<'_> {
    /// Trains a segmenter and measures it on the test patients, unless this is already done.
    pub(super) fn segmenter(
        &self,
        variant: Variant,
        seed: u64,
        device: &Device,
        observer: &dyn Observer,
    ) -> Result<Outcome> {
        let (crossval, started) = (self.crossval, Instant::now());
        let piece = Piece { fold: self.number, kind: PieceKind::Segmenter { variant, seed } };
        if crossval.finished(piece)?.is_some() {
            return Ok(Outcome::Finished);
        }
        let which = variant.generator(&crossval.file, seed);
        let generator = match which {
            None => None,
            Some(which) => match self.generator(which, device, observer)? {
                Outcome::Interrupted => return Ok(Outcome::Interrupted),
                Outcome::Finished => self.finished_generator(which)?,
            },
        };
        if let Some(which) = which.filter(|_| variant.is_curated())
            && self.curation(which, device, observer)? == Outcome::Interrupted
        {
            return Ok(Outcome::Interrupted);
        }
        let folder = crossval.folder(self.number, piece.kind);
        let taken = take(&folder, observer)?;
        // Another process may have finished it meanwhile.
        if crossval.finished(piece)?.is_some() {
            return Ok(Outcome::Finished);
        }
        let data = self.segment_data(variant, which.zip(generator.as_ref()), observer)?;
        let run = folder.join(RUN);
        let at_once = !run.exists();
        let file = variant.segmenter(&crossval.file, seed);
        if train_on(&file, &data, &run, device, observer)? == Outcome::Interrupted {
            return Ok(Outcome::Interrupted);
        }
        let model = SegmentModel::open(&run, device)?;
        let cases = folder.join(CASES);
        // Test patients are measured once only: an existing table is kept. That of all classes is the last.
        if !cases.is_file() {
            let (test, decision) = (self.test(observer)?, model.file.decision());
            let names = crossval.classes();
            let scores = |index: usize, found: Vec<f32>| {
                let classes = if names.is_empty() { Vec::new() } else { class_scores(&found, test, index, &decision)? };
                Ok((case_scores(&found, test, index, &decision)?, classes))
            };
            let (found, classes): (Vec<CaseScores>, Vec<Vec<CaseScores>>) =
                model.each(test, device, scores)?.into_iter().unzip();
            for (class, name) in names.iter().enumerate() {
                let of_class: Vec<CaseScores> = classes.iter().map(|case| case[class].clone()).collect();
                write_csv(&folder.join(class_table(name)), CASE_COLUMNS, &of_class)?;
            }
            write_csv(&cases, CASE_COLUMNS, &found)?;
        }
        let found = Found::Segmenter {
            step: model.state.step,
            validation_dice: model.state.best.map(|(_, lost)| 1.0 - f64::from(lost)),
            added: data.added,
            drawn: Some(data.mixture().drawn(&file.segment.train, model.state.step)),
        };
        self.done(piece, &taken, started, at_once, found)?;
        Ok(Outcome::Finished)
    }

    fn segment_data(
        &self,
        variant: Variant,
        generator: Option<(ArmGenerator, &Generator)>,
        observer: &dyn Observer,
    ) -> Result<SegmentData<'_>> {
        let (Variant::Generated { how, count, .. }, Some((which, generator))) = (variant, generator) else {
            return Ok(SegmentData::with(&self.real, &pairs::none(&self.real.set)));
        };
        let count = count.of(self.splits.training.len());
        let generated = match how {
            Use::Curated => self.chosen(which, count, generator, observer)?,
            Use::Add | Use::Pretrained | Use::Placebo | Use::Only | Use::Shuffled => {
                generator.pairs(count, self, observer)?
            }
        };
        Ok(match how {
            Use::Add | Use::Curated | Use::Pretrained => SegmentData::with(&self.real, &generated),
            Use::Placebo => SegmentData::with(&self.real, &pairs::shuffled(&generated)),
            Use::Only => SegmentData::only(&self.real, generated),
            Use::Shuffled => SegmentData::only(&self.real, pairs::shuffled(&generated)),
        })
    }

    /// Measures the Dice of a segmenter of real pairs on the pairs of the arm's generator that belongs to its seed, and on their images
    /// with the masks of other pairs. The Dice on the real pairs of the test patients is read from the finished segmenter.
    pub(super) fn agreement(&self, arm: usize, seed: u64, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
        let (crossval, started) = (self.crossval, Instant::now());
        let piece = Piece { fold: self.number, kind: PieceKind::Agreement { arm, seed } };
        let which = ArmGenerator { arm, number: crossval.file.crossval.generator_of(seed) };
        for outcome in
            [self.segmenter(Variant::Real, seed, device, observer)?, self.generator(which, device, observer)?]
        {
            if outcome == Outcome::Interrupted {
                return Ok(outcome);
            }
        }
        let folder = crossval.folder(self.number, piece.kind);
        let taken = take(&folder, observer)?;
        // Another process may have finished it meanwhile.
        if crossval.finished(piece)?.is_some() {
            return Ok(Outcome::Finished);
        }
        let segmenter = crossval.folder(self.number, PieceKind::Segmenter { variant: Variant::Real, seed });
        let model = SegmentModel::open(&part(&segmenter, RUN)?, device)?;
        let Some(generated) = self.agreement_pairs(which, device, observer)? else { return Ok(Outcome::Interrupted) };
        let (exchanged, decision) = (pairs::shuffled(&generated), model.file.decision());
        let both = |index: usize, found: Vec<f32>| {
            let dice = |set: &PreparedSet| dice_of_classes(&found, set, index, &decision);
            Ok([dice(&generated)?, dice(&exchanged)?])
        };
        let found: Vec<[Vec<Option<f64>>; 2]> = model.each(&generated, device, both)?;
        let names = crossval.classes();
        for (class, name) in names.iter().enumerate() {
            let of = |which: usize| found.iter().map(|both| both[which][class]).collect::<Vec<_>>();
            write_agreement(&folder.join(class_table(name)), &generated, Some(class), &of(0), &of(1))?;
        }
        let mean = |which: usize| found.iter().map(|both| mean_of_classes(&both[which])).collect::<Vec<_>>();
        let (own, other) = (mean(0), mean(1));
        let empty_masks = write_agreement(&folder.join(CASES), &generated, None, &own, &other)?;
        let held_out = mean_of_cases(&read_all(&segmenter, &names)?.all, |case| case.dice);
        let empty_masks = Some(empty_masks);
        let found = Found::Agreement { generated: estimate(&own), shuffled: estimate(&other), held_out, empty_masks };
        self.done(piece, &taken, started, true, found)?;
        Ok(Outcome::Finished)
    }
}

/// Writes the cases of a class, or of all, and returns the number of pairs whose mask has none of it.
fn write_agreement(
    path: &Path,
    set: &PreparedSet,
    class: Option<usize>,
    own: &[Option<f64>],
    other: &[Option<f64>],
) -> Result<usize> {
    let case = |index: usize| {
        let mask = class.map_or_else(|| set.lesion(index), |class| Ok(set.class_masks(index)?.swap_remove(class)))?;
        let lesion = mask.contains(&true);
        Ok::<_, Error>(AgreementCase { id: set.ids[index].clone(), dice: own[index], shuffled: other[index], lesion })
    };
    let rows: Vec<AgreementCase> = (0..set.len()).map(case).collect::<Result<_>>()?;
    write_csv(path, AGREEMENT_COLUMNS, &rows)?;
    Ok(rows.iter().filter(|case| !case.lesion).count())
}

/// The mean with its interval; none for fewer than two pairs, which give no interval.
fn estimate(values: &[Option<f64>]) -> Option<Estimate> {
    let values: Vec<f64> = values.iter().flatten().copied().collect();
    bootstrap_mean(&values, None, &Bootstrap::default()).filter(|estimate| estimate.units > 1)
}
