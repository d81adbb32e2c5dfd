//! The tables of results: the measures of all finished segmenters over folds, and their difference to real pairs alone.

use crate::crossval::{
    agreement::{AgreementResult, agreement},
    cases::{COLUMNS, CaseRow, MEASURES, Measured, class_table, read_all},
    config::{Count, CrossvalFile, Use},
    definition::{definition, definition_of_class},
    open::Crossval,
    outcome::{Compared, OUTCOMES, PatientMean},
    piece::{CASES, Done, Found, Piece, PieceKind, RESULTS},
    variant::{Variant, variants},
    verdict::no_verdict,
};
use pig_data::table::write_csv;
use pig_metrics::{
    bootstrap::{Bootstrap, Estimate, bootstrap_mean, group_ids},
    contrast::{Contrast, adjust},
    permutation::FoldSummary,
};
use pig_train::Result;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// One measure of one training set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Name of the measure.
    pub name: String,
    /// Mean and standard deviation over folds; a fold's value is the mean over its cases and seeds.
    pub folds: Option<FoldSummary>,
    /// Mean over all cases, each averaged over seeds, with its interval by patient.
    pub cases: Option<Estimate>,
}

/// How many different generated pairs segmenters had drawn at the step of the checkpoint that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// The mean over the finished segmenters.
    pub mean: f64,
    /// The least number.
    pub least: usize,
}

impl Drawn {
    /// None if there are no numbers, or one is not known.
    fn new(counts: &[Option<usize>]) -> Option<Self> {
        let counts: Vec<usize> = counts.iter().copied().collect::<Option<_>>()?;
        let least = *counts.iter().min()?;
        Some(Self { mean: counts.iter().sum::<usize>() as f64 / counts.len() as f64, least })
    }
}

/// The results of one training set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmResult {
    /// Label of the training set.
    pub arm: String,
    /// Number of finished segmenters, and of all segmenters.
    pub segmenters: [usize; 2],
    /// Number of generated pairs that a segmenter trained on, as the mean over the finished segmenters.
    pub added: f64,
    /// How many of them were drawn; none without generated pairs, or if a segmenter is from a version that did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
    /// Whether its images have the masks of other pairs, so that it is a control and nothing to train with.
    #[serde(default)]
    pub is_control: bool,
    /// The measures as the paper prints them, over folds in which all seeds are done.
    pub measures: Vec<Measure>,
    /// Dice on slices with a lesion, over folds in which all seeds are done.
    #[serde(default)]
    pub lesion_dice: Option<PatientMean>,
    /// The share of slices without a lesion in which segmenters find something, over the same folds.
    #[serde(default)]
    pub false_findings: Option<PatientMean>,
    /// Difference of `lesion_dice` to real pairs alone, over folds in which all seeds of both are done.
    pub against_real: Option<Contrast>,
    /// Difference of `false_findings` to real pairs alone.
    #[serde(default)]
    pub false_findings_against_real: Option<Contrast>,
}

/// Compares segmenters that were trained on generated pairs, alone or beside real ones, with segmenters that were trained on the same images
/// with the masks of other pairs. The difference measures what the pairing of images and masks is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairingResult {
    /// The training set of pairs as they were generated.
    pub arm: String,
    /// The training set of the same images, masks shuffled.
    pub shuffled: String,
    /// Dice of the first minus Dice of the second on slices with a lesion, over folds in which all seeds of both are done, without the
    /// segmenters that did not train.
    pub difference: Option<Contrast>,
    /// Number of segmenters of shuffled masks that did not train, because they find no part of any lesion, and of all of them.
    #[serde(default)]
    pub untrained: [usize; 2],
}

impl PairingResult {
    /// Whether the interval of the difference lies above 0; none if nothing was measured. If it does not lie above 0, the generator has
    /// failed.
    pub fn is_above_shuffled(&self) -> Option<bool> {
        self.difference.as_ref().map(|found| found.difference.low > 0.0)
    }
}

/// All results so far; `Display` writes the table as Markdown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Definition of the numbers.
    pub definition: String,
    /// Why no comparison allows a verdict; empty if they do.
    #[serde(default)]
    pub no_verdict: Vec<String>,
    /// Results of each training set.
    pub arms: Vec<ArmResult>,
    /// Pair agreement of each arm.
    pub agreement: Vec<AgreementResult>,
    /// Comparisons for each number of generated pairs that were used instead of real pairs, both as they are and with shuffled masks.
    #[serde(default)]
    pub pairing: Vec<PairingResult>,
    /// The same of each class alone, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassResults>,
    #[serde(skip)]
    rows: Vec<CaseRow>,
}

/// The results of one class: only its pixels are lesion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassResults {
    /// The name of the class.
    pub class: String,
    /// Its results.
    pub results: Results,
}

/// How many segmenters of a training set are finished, and what they trained on.
struct Counted {
    variant: Variant,
    segmenters: [usize; 2],
    added: f64,
    drawn: Option<Drawn>,
}

/// What the finished segmenters found.
struct Gathered {
    counts: Vec<Counted>,
    all: Vec<CaseRow>,
    /// The cases of each class, if there are several.
    classes: Vec<Vec<CaseRow>>,
}

impl Gathered {
    fn read(crossval: &Crossval, names: &[&str]) -> Result<Self> {
        let (file, folds) = (&crossval.file, crossval.folds.len());
        let seeds = &file.crossval.segmenter_seeds;
        let mut found = Self { counts: Vec::new(), all: Vec::new(), classes: vec![Vec::new(); names.len()] };
        for variant in variants(file) {
            let label = variant.label(file);
            let (mut added, mut drawn) = (0, Vec::new());
            for fold in 0..folds {
                for &seed in seeds {
                    let piece = Piece { fold, kind: PieceKind::Segmenter { variant, seed } };
                    let Some(Done { found: Found::Segmenter { added: pairs, drawn: own, .. }, .. }) =
                        crossval.finished(piece)?
                    else {
                        continue;
                    };
                    added += pairs;
                    drawn.push(own);
                    let generator_seed = variant.generator(file, seed).and_then(|which| which.seed(file));
                    let named = |row: CaseRow| CaseRow { fold, arm: label.clone(), generator_seed, seed, ..row };
                    let cases = read_all(&crossval.folder(fold, piece.kind), names)?;
                    found.all.extend(cases.all.into_iter().map(named));
                    for (rows, own) in found.classes.iter_mut().zip(cases.classes) {
                        rows.extend(own.into_iter().map(named));
                    }
                }
            }
            let (done, all) = (drawn.len(), folds * seeds.len());
            let added = added as f64 / done.max(1) as f64;
            found.counts.push(Counted { variant, segmenters: [done, all], added, drawn: Drawn::new(&drawn) });
        }
        Ok(found)
    }
}

/// The mean of a measure over cases with its interval by patient; none for fewer than two patients, which give no interval.
pub(super) fn mean_of_cases(rows: &[CaseRow], value: impl Fn(&CaseRow) -> Option<f64>) -> Option<Estimate> {
    let found: Vec<(&str, f64)> = rows.iter().filter_map(|row| Some((row.group.as_str(), value(row)?))).collect();
    estimate(&found)
}

fn estimate(found: &[(&str, f64)]) -> Option<Estimate> {
    let (groups, values): (Vec<&str>, Vec<f64>) = found.iter().copied().unzip();
    bootstrap_mean(&values, Some(&group_ids(&groups)), &Bootstrap::default()).filter(|estimate| estimate.units > 1)
}

/// By case identifier: the patient of the case, and its mean over seeds.
type CaseMeans<'a> = BTreeMap<&'a str, (&'a str, f64)>;

/// The rows of one training set, of folds in which all seeds are done.
struct Whole<'a> {
    rows: Vec<&'a CaseRow>,
    folds: Vec<usize>,
}

impl<'a> Whole<'a> {
    fn of(rows: &'a [CaseRow], arm: &str, seeds: &[u64], folds: usize) -> Self {
        let own: Vec<&CaseRow> = rows.iter().filter(|row| row.arm == arm).collect();
        let is_whole =
            |fold: &usize| seeds.iter().all(|&seed| own.iter().any(|row| (row.fold, row.seed) == (*fold, seed)));
        let folds: Vec<usize> = (0..folds).filter(is_whole).collect();
        Self { rows: own.into_iter().filter(|row| folds.contains(&row.fold)).collect(), folds }
    }

    /// The mean of each case over the seeds that have a value.
    fn cases(&self, value: fn(&CaseRow) -> Option<f64>) -> CaseMeans<'a> {
        let mut sums: BTreeMap<&str, (&str, f64, f64)> = BTreeMap::new();
        for row in &self.rows {
            if let Some(value) = value(row) {
                let entry = sums.entry(&row.id).or_insert((&row.group, 0.0, 0.0));
                (entry.1, entry.2) = (entry.1 + value, entry.2 + 1.0);
            }
        }
        sums.into_iter().map(|(id, (group, sum, count))| (id, (group, sum / count))).collect()
    }

    fn measure(&self, (name, value): Measured) -> Measure {
        let mean = |fold: &usize| {
            let of_fold: Vec<&CaseRow> = self.rows.iter().filter(|row| row.fold == *fold).copied().collect();
            let values: Vec<f64> = of_fold.iter().filter_map(|row| value(row)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let folds: Vec<f64> = self.folds.iter().filter_map(mean).collect();
        let cases: Vec<(&str, f64)> = self.cases(value).into_values().collect();
        Measure { name: name.to_owned(), folds: FoldSummary::new(&folds), cases: estimate(&cases) }
    }
}

impl ArmResult {
    fn is_measured(&self) -> bool {
        self.segmenters[0] > 0
    }
}

impl Results {
    /// Reads all pieces that are done.
    pub(super) fn read(crossval: &Crossval) -> Result<Self> {
        let names = crossval.classes();
        let gathered = Gathered::read(crossval, &names)?;
        let mut found = Self::of(crossval, None, &gathered.counts, gathered.all)?;
        for (class, rows) in names.iter().zip(gathered.classes) {
            let mut results = Self::of(crossval, Some(*class), &gathered.counts, rows)?;
            results.definition = definition_of_class(class);
            found.classes.push(ClassResults { class: (*class).to_owned(), results });
        }
        adjust(&mut found.comparisons());
        adjust(&mut found.class_comparisons());
        Ok(found)
    }

    /// The results of all classes together, or of one, by the cases of all segmenters.
    fn of(crossval: &Crossval, class: Option<&str>, counts: &[Counted], rows: Vec<CaseRow>) -> Result<Self> {
        let (file, folds) = (&crossval.file, crossval.folds.len());
        let seeds = &file.crossval.segmenter_seeds;
        let whole = |variant: Variant| Whole::of(&rows, &variant.label(file), seeds, folds);
        let compared = Compared::new(counts.iter().map(|own| (own.variant, whole(own.variant).rows)).collect());
        let arms: Vec<ArmResult> = counts
            .iter()
            .map(|&Counted { variant, segmenters, added, drawn }| {
                let arm = whole(variant);
                let [lesion_dice, false_findings] = OUTCOMES.map(|outcome| outcome.mean(&arm.rows));
                let [against_real, false_findings_against_real] =
                    OUTCOMES.map(|outcome| compared.against_real(variant, outcome));
                ArmResult {
                    arm: variant.label(file),
                    segmenters,
                    added,
                    drawn: drawn.filter(|_| variant != Variant::Real),
                    is_control: variant.is_shuffled(),
                    measures: MEASURES.map(|measured| arm.measure(measured)).to_vec(),
                    lesion_dice,
                    false_findings,
                    against_real,
                    false_findings_against_real,
                }
            })
            .collect();
        let agreement: Vec<AgreementResult> =
            (0..file.crossval.arms.len()).map(|arm| agreement(crossval, arm, class, &rows)).collect::<Result<_>>()?;
        let pairing = pairing(file, &compared);
        let measured: BTreeSet<usize> = rows.iter().map(|row| row.fold).collect();
        let open: Vec<&str> = arms.iter().filter(|arm| !arm.is_measured()).map(|arm| arm.arm.as_str()).collect();
        let definition = definition(crossval, measured.len(), &open);
        Ok(Self { definition, no_verdict: no_verdict(file), arms, agreement, pairing, classes: Vec::new(), rows })
    }

    /// The comparisons of Dice with real pairs, which are one family of tests.
    pub(crate) fn comparisons(&mut self) -> Vec<&mut Contrast> {
        self.arms.iter_mut().filter_map(|arm| arm.against_real.as_mut()).collect()
    }

    /// The comparisons of all classes, which are another family.
    pub(crate) fn class_comparisons(&mut self) -> Vec<&mut Contrast> {
        self.classes.iter_mut().flat_map(|class| class.results.comparisons()).collect()
    }

    /// The training sets that have a finished segmenter.
    pub fn measured(&self) -> impl Iterator<Item = &ArmResult> {
        self.arms.iter().filter(|arm| arm.is_measured())
    }

    /// Whether the pair agreement of any arm is measured.
    pub fn has_agreement(&self) -> bool {
        self.agreement.iter().any(|arm| arm.measured > 0)
    }

    /// All cases of all finished segmenters, as in cases.csv.
    pub fn rows(&self) -> &[CaseRow] {
        &self.rows
    }

    /// Writes cases.csv, results.json and table.md.
    pub fn write(&self, out: &Path) -> Result<()> {
        write_csv(&out.join(CASES), COLUMNS, &self.rows)?;
        for ClassResults { class, results } in &self.classes {
            write_csv(&out.join(class_table(class)), COLUMNS, &results.rows)?;
        }
        pig_files::write_json(&out.join(RESULTS), self)?;
        Ok(pig_files::write(&out.join("table.md"), self.to_string().as_bytes())?)
    }
}

/// For every number of pairs that an arm uses in the same way both as generated and with shuffled masks: compares the two.
fn pairing(file: &CrossvalFile, compared: &Compared<'_>) -> Vec<PairingResult> {
    let arms = file.crossval.arms.iter().enumerate();
    let both = arms.flat_map(|(arm, config)| {
        let beside = config.add.iter().filter(|count| config.placebo.contains(count));
        let alone = config.only.iter().filter(|count| config.shuffled.contains(count));
        let of = move |uses: [Use; 2], &count: &Count| uses.map(|how| Variant::Generated { arm, how, count });
        let beside = beside.map(move |count| of([Use::Add, Use::Placebo], count));
        beside.chain(alone.map(move |count| of([Use::Only, Use::Shuffled], count)))
    });
    both.map(|[own, shuffled]| {
        let (difference, untrained) = compared.trained(own, shuffled);
        PairingResult { arm: own.label(file), shuffled: shuffled.label(file), difference, untrained }
    })
    .collect()
}
