//! The cases of segmenters: the table of all of them, and the tables of finished pieces, which are read from their folders.

use crate::crossval::piece::CASES;
use pig_data::{
    manifest::{Manifest, Row},
    table::{Column, Columns},
};
use pig_metrics::classes::mean_of_classes;
use pig_train::{Error, Result};
use std::path::Path;

/// One case of a segmenter's table.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseRow {
    /// The fold.
    pub fold: usize,
    /// The training set's label.
    pub arm: String,
    /// The seed of the generator whose pairs the segmenter learnt from, if the cross-validation gave it one.
    pub generator_seed: Option<u64>,
    /// The segmenter's seed.
    pub seed: u64,
    /// Identifier of the case.
    pub id: String,
    /// Patient of the case.
    pub group: String,
    /// Dice; none if both masks are empty.
    pub dice: Option<f64>,
    /// IoU.
    pub iou: Option<f64>,
    /// Precision.
    pub precision: Option<f64>,
    /// Recall.
    pub recall: Option<f64>,
    /// Hausdorff 95 in prepared pixels (computed like MONAI's); none if a mask is empty.
    pub hausdorff_95: Option<f64>,
    /// Whether the true mask has a lesion.
    pub lesion: bool,
}

/// Columns of the table of all cases.
pub(crate) const COLUMNS: &Columns<CaseRow> = &[
    ("fold", Column::Count(|row| row.fold as u64)),
    ("arm", Column::Text(|row| &row.arm)),
    ("generator_seed", Column::MaybeCount(|row| row.generator_seed)),
    ("seed", Column::Count(|row| row.seed)),
    ("id", Column::Text(|row| &row.id)),
    ("group", Column::Text(|row| &row.group)),
    ("dice", Column::MaybeNumber(|row| row.dice)),
    ("iou", Column::MaybeNumber(|row| row.iou)),
    ("precision", Column::MaybeNumber(|row| row.precision)),
    ("recall", Column::MaybeNumber(|row| row.recall)),
    ("hausdorff_95", Column::MaybeNumber(|row| row.hausdorff_95)),
    ("lesion", Column::Flag(|row| row.lesion)),
];

/// Name and value of a measure.
pub(super) type Measured = (&'static str, fn(&CaseRow) -> Option<f64>);

/// The measures in the order of the table.
pub(super) const MEASURES: [Measured; 5] = [
    ("dice", |row| row.dice),
    ("iou", |row| row.iou),
    ("precision", |row| row.precision),
    ("recall", |row| row.recall),
    ("hausdorff_95", |row| row.hausdorff_95),
];

/// The name of the table of one class, beside that of all.
pub(crate) fn class_table(class: &str) -> String {
    format!("cases-{class}.csv")
}

/// The cases of a segmenter.
#[derive(Debug)]
pub(super) struct Cases {
    /// Each case once; of several classes, each measure is its mean over the classes that have a value.
    pub(super) all: Vec<CaseRow>,
    /// The cases of each class; none if lesions are one.
    pub(super) classes: Vec<Vec<CaseRow>>,
}

/// Reads the tables of a segmenter in its folder, for these classes if there are several.
pub(super) fn read_all(folder: &Path, classes: &[&str]) -> Result<Cases> {
    if classes.is_empty() {
        return Ok(Cases { all: read_cases(&folder.join(CASES))?, classes: Vec::new() });
    }
    let classes: Vec<Vec<CaseRow>> =
        classes.iter().map(|class| read_cases(&folder.join(class_table(class)))).collect::<Result<_>>()?;
    let least = classes.iter().map(Vec::len).min().unwrap_or(0);
    let all = (0..least).map(|case| mean(&classes.iter().map(|rows| &rows[case]).collect::<Vec<_>>())).collect();
    Ok(Cases { all, classes })
}

/// The case whose classes these are.
fn mean(classes: &[&CaseRow]) -> CaseRow {
    let of = |value: fn(&CaseRow) -> Option<f64>| {
        mean_of_classes(&classes.iter().map(|row| value(row)).collect::<Vec<Option<f64>>>())
    };
    CaseRow {
        dice: of(|row| row.dice),
        iou: of(|row| row.iou),
        precision: of(|row| row.precision),
        recall: of(|row| row.recall),
        hausdorff_95: of(|row| row.hausdorff_95),
        lesion: classes.iter().any(|row| row.lesion),
        ..classes[0].clone()
    }
}

/// Reads a segmenter's table of cases; the fields fold, arm and those of seeds are not filled in.
fn read_cases(path: &Path) -> Result<Vec<CaseRow>> {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let table = Manifest::read(path)?.ok_or_else(|| Error::io(path, "read")(missing()))?;
    let place = |name: &str| table.column(name).ok_or_else(|| table.missing_column(name));
    let (id, group) = (place("id")?, place("group")?);
    let numbers: Vec<usize> = MEASURES.iter().map(|(name, _)| place(name)).collect::<std::result::Result<_, _>>()?;
    let lesion = [place("true_positive")?, place("false_negative")?];
    let number = |row: Row<'_>, column: usize| -> pig_data::Result<Option<f64>> {
        row.parse(column, "a number; remove the segmenter's folder, so that it is made again")
    };
    let read = |row: Row<'_>| {
        Ok(CaseRow {
            fold: 0,
            arm: String::new(),
            generator_seed: None,
            seed: 0,
            id: row.get(id).to_owned(),
            group: row.get(group).to_owned(),
            dice: number(row, numbers[0])?,
            iou: number(row, numbers[1])?,
            precision: number(row, numbers[2])?,
            recall: number(row, numbers[3])?,
            hausdorff_95: number(row, numbers[4])?,
            lesion: number(row, lesion[0])?.unwrap_or(0.0) + number(row, lesion[1])?.unwrap_or(0.0) > 0.0,
        })
    };
    table.rows().map(read).collect()
}
