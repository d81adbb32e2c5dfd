//! The request and the result of a search for copies; the result as text and as a table.

use crate::Result;
use pig_data::{
    Chosen,
    table::{Column, Columns, write_csv},
};
use pig_metrics::nearest::{Closest, CopySearch};
use pig_report::Picture;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// How many pairs are shown for each search.
pub(super) const SHOWN: usize = 10;

/// Where and how to search for copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The folder that the generator was trained on: images, or pairs.
    pub training: PathBuf,
    /// Real images of other patients, which show how near new images are to the training images.
    pub held_out: PathBuf,
    /// The parts of a split to which the training and the held-out images are limited; all if it is `None`.
    pub parts: Option<[Chosen; 2]>,
    /// The generated images, or pairs.
    pub generated: PathBuf,
    /// Longest side to which pictures are resized to compare pixels and masks.
    pub side: usize,
    /// Whether mirrored copies are searched too.
    pub flips: bool,
}

/// The result of a search; the command line prints its `Display` text.
#[derive(Clone, Debug)]
pub struct Copies {
    /// The searches in pixels and, if possible, in network features and masks.
    pub searches: Vec<CopySearch>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// What the user may want to know of the folders.
    pub notes: Vec<String>,
    /// The generated and the training picture of the closest pairs of each search.
    pub(super) shown: Vec<Vec<[Picture; 2]>>,
}

/// A line of the table.
struct Row {
    space: String,
    one: Closest,
}

const COLUMNS: &Columns<Row> = &[
    ("space", Column::Text(|row| &row.space)),
    ("generated", Column::Text(|row| &row.one.generated)),
    ("training", Column::Text(|row| &row.one.training)),
    ("distance", Column::Number(|row| row.one.distance)),
    ("mirrored", Column::Flag(|row| row.one.flipped)),
    ("rank", Column::Number(|row| row.one.rank)),
    ("flagged", Column::Flag(|row| row.one.flagged)),
];

impl Copies {
    /// Writes a table with the nearest training image of every generated image.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let of = |search: &CopySearch| -> Vec<Row> {
            search.closest.iter().map(|one| Row { space: search.space.clone(), one: one.clone() }).collect()
        };
        let rows: Vec<Row> = self.searches.iter().flat_map(of).collect();
        Ok(write_csv(path, COLUMNS, &rows)?)
    }
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.searches.iter().try_for_each(|search| describe(search, f))
    }
}

fn describe(search: &CopySearch, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let CopySearch { space, unit, check, share_flagged, nearer_than_all, closest } = search;
    writeln!(
        f,
        "{space}: {} of {} flagged ({:.1} %; {:.1} % is expected of images as new as real ones), {nearer_than_all} nearer than all {} \
         held-out images",
        check.nearer,
        check.generated,
        100.0 * share_flagged,
        100.0 * check.expected,
        check.held_out
    )?;
    writeln!(
        f,
        "  median distance: generated {:.5}, held out {:.5}; flagged below {:.5}",
        check.generated_median, check.held_out_median, check.threshold
    )?;
    writeln!(f, "  distance: {unit}")?;
    for one in closest.iter().take(SHOWN) {
        let mirrored = if one.flipped { " (mirrored)" } else { "" };
        writeln!(f, "  {:.5}  {} near {}{mirrored}", one.distance, one.generated, one.training)?;
    }
    writeln!(f)
}
