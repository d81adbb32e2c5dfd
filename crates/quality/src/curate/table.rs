//! The table of what was measured of each pair, written and read again.

use super::select::{Fate, Scored};
use pig_data::{
    manifest::{Manifest, Row},
    table::{Column, Columns, write_csv},
};
use pig_train::{Error, Result};
use std::path::Path;

/// A pair with what became of it.
#[derive(Clone, Debug)]
struct Line {
    scored: Scored,
    fate: Fate,
}

const COLUMNS: &Columns<Line> = &[
    ("id", Column::Text(|line| &line.scored.id)),
    ("fate", Column::Text(|line| line.fate.word())),
    ("agreement", Column::MaybeNumber(|line| line.scored.dice)),
    ("found", Column::Number(|line| line.scored.found)),
    ("uncertainty", Column::Number(|line| line.scored.uncertainty)),
    ("distance", Column::Number(|line| line.scored.distance)),
    ("nearest", Column::Text(|line| &line.scored.nearest)),
    ("copy", Column::Text(|line| copy_word(line.scored.copy))),
    ("area", Column::Number(|line| line.scored.area)),
];

/// The word for whether a pair may be a copy; empty if it is not known.
pub(super) fn copy_word(copy: Option<bool>) -> &'static str {
    match copy {
        Some(true) => "true",
        Some(false) => "false",
        None => "",
    }
}

/// Writes the table.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, scored: &[Scored], fates: &[Fate]) -> Result<()> {
    let lines: Vec<Line> =
        scored.iter().zip(fates).map(|(scored, &fate)| Line { scored: scored.clone(), fate }).collect();
    Ok(write_csv(path, COLUMNS, &lines)?)
}

/// Reads what was measured of each pair.
///
/// # Errors
/// When the file cannot be read, or lacks a column or a number.
pub fn read(path: &Path) -> Result<Vec<Scored>> {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let table = Manifest::read(path)?.ok_or_else(|| Error::io(path, "read")(missing()))?;
    let place = |name: &str| table.column(name).ok_or_else(|| table.missing_column(name));
    let [id, dice, found, uncertainty, distance, nearest, copy, area] = [
        place("id")?,
        place("agreement")?,
        place("found")?,
        place("uncertainty")?,
        place("distance")?,
        place("nearest")?,
        place("copy")?,
        place("area")?,
    ];
    let maybe = |row: Row<'_>, column: usize| -> pig_data::Result<Option<f64>> {
        row.parse(column, "a number; remove the folder of this table, so that the pairs are measured again")
    };
    let read = |row: Row<'_>| {
        Ok(Scored {
            id: row.get(id).to_owned(),
            dice: maybe(row, dice)?,
            found: maybe(row, found)?.unwrap_or(0.0),
            uncertainty: maybe(row, uncertainty)?.unwrap_or(0.0),
            distance: maybe(row, distance)?.unwrap_or(0.0),
            nearest: row.get(nearest).to_owned(),
            copy: row.parse(copy, "true, false or nothing")?,
            area: maybe(row, area)?.unwrap_or(0.0),
        })
    };
    table.rows().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let one = |id: &str, dice, copy| Scored {
            id: id.to_owned(),
            dice,
            found: 0.1,
            uncertainty: 1.0 / 3.0,
            distance: 0.02,
            nearest: "real, with a comma".to_owned(),
            copy,
            area: 0.25,
        };
        let scored =
            [one("000001", Some(0.7), Some(false)), one("000002", None, Some(true)), one("000003", Some(0.0), None)];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curation.csv");
        write(&path, &scored, &[Fate::Kept, Fate::Copy, Fate::LowAgreement]).unwrap();
        assert_eq!(read(&path).unwrap(), scored);
        std::fs::write(&path, "id,fate\na,kept\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("agreement"));
    }
}
