//! What was looked for and found, as text and as a table.

use crate::Result;
use pig_data::table::{Column, Columns, write_csv};
use pig_metrics::nearest::{Closest, CopySearch};
use pig_report::Picture;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Pairs of each kind that are shown.
pub(super) const SHOWN: usize = 10;

/// Where copies are looked for, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The folder that the generator was trained on: images, or pairs.
    pub training: PathBuf,
    /// Real images of other patients, as a measure of how near new images lie.
    pub held_out: PathBuf,
    /// The generated images, or pairs.
    pub generated: PathBuf,
    /// Longest side that pictures are brought to for pixels and masks.
    pub side: usize,
    /// Whether mirrored copies are looked for too.
    pub flips: bool,
}

/// What was found; its `Display` is what the command line prints.
#[derive(Clone, Debug)]
pub struct Copies {
    /// What was found in each space that the folders allow.
    pub searches: Vec<CopySearch>,
    /// What a reader should be warned of.
    pub warnings: Vec<String>,
    /// Generated and training picture of the closest pairs of each search.
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
    /// Writes every generated image's nearest training image to a table.
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
        "{space}: {} of {} flagged ({:.1} %; 5 % is expected of images as new as real ones), {nearer_than_all} nearer than every one of \
         {} held-out images",
        check.nearer,
        check.generated,
        100.0 * share_flagged,
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
