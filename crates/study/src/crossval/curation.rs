//! Which generated pairs of a fold segmenters train on, where they are chosen: by the fold's segmenters of real pairs, which know its
//! training and validating patients alone.

use crate::crossval::{
    fold::FoldData,
    generator::Generator,
    open::Crossval,
    piece::{Done, Found, Piece, PieceKind, RUN, part, take},
    variant::{ArmGenerator, Variant},
};
use burn::tensor::Device;
use pig_data::{Preparation, PreparedSet, write::file_stem};
use pig_quality::curate::{Fate, Judged, Scored, TABLE, areas, judge, scored, select, select_count, table};
use pig_segment::predict::SegmentModel;
use pig_train::{
    Result,
    observer::{Observer, Outcome, warn},
};
use std::{path::PathBuf, time::Instant};

/// The pairs of a generator in a fold that were measured to choose among them.
pub(crate) struct MeasuredPairs {
    /// Their folder.
    pub(crate) folder: PathBuf,
    /// Their seeds, in the order in which they are used.
    pub(crate) seeds: Vec<u64>,
    /// What was measured, in the same order.
    pub(crate) scored: Vec<Scored>,
    /// How many are chosen for the largest training set of chosen pairs.
    pub(crate) chosen: usize,
    /// How they are prepared.
    pub(crate) preparation: Preparation,
    /// An empty set of their size.
    pub(crate) like: PreparedSet,
}

impl Crossval {
    /// The pairs of an arm's first generator in a fold that were measured; none if this is not done.
    pub(crate) fn measured_pairs(
        &self,
        fold: usize,
        arm: usize,
        observer: &dyn Observer,
    ) -> Result<Option<MeasuredPairs>> {
        let first = ArmGenerator { arm, number: 0 };
        let piece = Piece { fold, kind: PieceKind::Curation(first) };
        if self.file.crossval.arms[arm].curated.is_empty() || self.finished(piece)?.is_none() {
            return Ok(None);
        }
        let data = FoldData::read(self, fold, observer)?;
        let Some(generator) = data.finished_generator(first)? else { return Ok(None) };
        let (folder, seeds) = generator.made()?;
        let real = data.splits.training.len();
        let count = self.file.crossval.arms[arm].curated.iter().map(|count| count.of(real)).max().unwrap_or(0);
        Ok(Some(MeasuredPairs {
            folder,
            seeds: seeds.to_vec(),
            scored: table::read(&self.folder(fold, piece.kind).join(TABLE))?,
            chosen: data.chosen_places(first, count)?.len(),
            preparation: data.real.preparation.of_generated(),
            like: pig_segment::pairs::none(&data.real.set),
        }))
    }

    /// The generated pairs of a training set in a fold, those of the arm's first generator: their folder, their ids in the order in which they are used, and what was measured of
    /// them, if it was.
    pub(crate) fn training_pairs(
        &self,
        fold: usize,
        variant: Variant,
        observer: &dyn Observer,
    ) -> Result<(PathBuf, Vec<String>, Vec<Scored>)> {
        let Variant::Generated { arm, count, .. } = variant else { return Ok(Default::default()) };
        let first = ArmGenerator { arm, number: 0 };
        let data = FoldData::read(self, fold, observer)?;
        let Some(generator) = data.finished_generator(first)? else { return Ok(Default::default()) };
        let (folder, seeds) = generator.made()?;
        let count = count.of(data.splits.training.len());
        let places: Vec<usize> = if variant.is_curated() {
            data.chosen_places(first, count)?
        } else {
            (0..count.min(seeds.len())).collect()
        };
        let path = self.folder(fold, PieceKind::Curation(first)).join(TABLE);
        let scored = if path.is_file() { table::read(&path)? } else { Vec::new() };
        Ok((folder, places.into_iter().map(|place| file_stem(seeds[place])).collect(), scored))
    }
}

impl FoldData<'_> {
    /// Measures all pairs of a generator by the fold's segmenters of real pairs, unless this is already done.
    pub(super) fn curation(&self, which: ArmGenerator, device: &Device, observer: &dyn Observer) -> Result<Outcome> {
        let (crossval, started) = (self.crossval, Instant::now());
        let piece = Piece { fold: self.number, kind: PieceKind::Curation(which) };
        if crossval.finished(piece)?.is_some() {
            return Ok(Outcome::Finished);
        }
        for &seed in &crossval.file.crossval.segmenter_seeds {
            if self.segmenter(Variant::Real, seed, device, observer)? == Outcome::Interrupted {
                return Ok(Outcome::Interrupted);
            }
        }
        if self.generator(which, device, observer)? == Outcome::Interrupted {
            return Ok(Outcome::Interrupted);
        }
        let folder = crossval.folder(self.number, piece.kind);
        let taken = take(&folder, observer)?;
        // Another process may have finished it meanwhile.
        if crossval.finished(piece)?.is_some() {
            return Ok(Outcome::Finished);
        }
        let Some(generator) = self.finished_generator(which)? else { return Ok(Outcome::Interrupted) };
        let mut pairs = generator.pairs(usize::MAX, self, observer)?;
        let mut judged: Vec<Vec<Judged>> = Vec::new();
        for run in self.trained_segmenters(observer)? {
            if observer.stop_requested() {
                return Ok(Outcome::Interrupted);
            }
            judged.push(judge(&SegmentModel::open(&run, device)?, &pairs, device)?);
        }
        pairs.ids = generator.made()?.1.iter().map(|&seed| file_stem(seed)).collect();
        let [training, validation] = self.real.parts();
        let scored = scored(&pairs, &judged, [&training, &validation])?;
        let fates = select(&scored, &areas(&training)?, &crossval.file.crossval.curate);
        table::write(&folder.join(TABLE), &scored, &fates)?;
        self.done(piece, &taken, started, true, Found::Curation { measured: scored.len() })?;
        Ok(Outcome::Finished)
    }

    /// The runs of the segmenters of real pairs that found a part of a lesion of a validating patient; all of them if none did. Test
    /// patients have no part in it.
    fn trained_segmenters(&self, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
        let (mut trained, mut others) = (Vec::new(), Vec::new());
        for &seed in &self.crossval.file.crossval.segmenter_seeds {
            let kind = PieceKind::Segmenter { variant: Variant::Real, seed };
            let Some(Done { found: Found::Segmenter { validation_dice, .. }, .. }) =
                self.crossval.finished(Piece { fold: self.number, kind })?
            else {
                continue;
            };
            let run = part(&self.crossval.folder(self.number, kind), RUN)?;
            if validation_dice.is_some_and(|dice| dice > 0.0) { trained.push(run) } else { others.push(run) }
        }
        if trained.is_empty() {
            let fold = self.number;
            warn(
                observer,
                format!(
                    "fold {fold}: no segmenter of real pairs finds a part of a validating lesion, so pairs are chosen by chance"
                ),
            );
            return Ok(others);
        }
        Ok(trained)
    }

    /// The pairs of a generator that are chosen for a training set of `count` pairs: out of the first ones, as many as the share that is
    /// kept asks for.
    pub(super) fn chosen(
        &self,
        which: ArmGenerator,
        count: usize,
        generator: &Generator,
        observer: &dyn Observer,
    ) -> Result<PreparedSet> {
        let seeds = self.chosen_places(which, count)?;
        Ok(generator.pairs(usize::MAX, self, observer)?.subset(&seeds))
    }

    /// The places of these pairs among the pairs of the generator.
    pub(crate) fn chosen_places(&self, which: ArmGenerator, count: usize) -> Result<Vec<usize>> {
        let config = &self.crossval.file.crossval.curate;
        let folder = self.crossval.folder(self.number, PieceKind::Curation(which));
        let mut all = table::read(&folder.join(TABLE))?;
        all.truncate(config.candidates(count));
        let [training, _] = self.real.parts();
        let fates = select_count(&all, &areas(&training)?, config, count);
        Ok(fates.iter().enumerate().filter(|(_, fate)| **fate == Fate::Kept).map(|(place, _)| place).collect())
    }
}
