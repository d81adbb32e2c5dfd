//! What a manifest says about images: patient, side, view, class and spacing.

use std::collections::HashMap;

use pig_data::DataError;
use pig_data::manifest::{Manifest, Row};
use pig_data::names::nfc;

use super::case::{Case, Side};
use super::walk::Entry;
use crate::error::Result;
use crate::privacy::Secret;
use crate::settings::PrepareConfig;

/// Columns that name the patient when the configuration does not, in order of preference.
const PATIENT_COLUMNS: [&str; 2] = ["patient", "group"];

/// Columns with other details.
const DETAIL_COLUMNS: [&str; 5] = ["laterality", "view", "class", "pixel_height_mm", "pixel_width_mm"];

/// The details that a manifest adds to the cases.
pub(super) struct Details<'a> {
    pub(super) table: &'a Manifest,
    patient: Option<usize>,
    /// Rows by id, or by path where the table has no ids, with whether a case took the row.
    rows: HashMap<String, (Row<'a>, bool)>,
}

/// What one row says.
#[derive(Debug, Default)]
pub(super) struct Told {
    patient: Option<Secret>,
    side: Option<Side>,
    view: Option<String>,
    class: Option<String>,
    spacing: Option<[f64; 2]>,
}

impl<'a> Details<'a> {
    /// # Errors
    /// When a column is there twice, or rows of one image contradict each other.
    pub(super) fn new(table: &'a Manifest, config: &PrepareConfig) -> Result<Self> {
        let mut patient = match &config.group_column {
            Some(name) => Some(table.column_once(name)?.ok_or_else(|| table.missing_column(name))?),
            None => None,
        };
        for name in PATIENT_COLUMNS.iter().filter(|_| config.group_column.is_none()) {
            patient = patient.or(table.column_once(name)?);
        }
        for name in DETAIL_COLUMNS {
            table.column_once(name)?;
        }
        let mut details = Self { table, patient, rows: HashMap::new() };
        // A table that lists masks is read row by row, and its ids are not needed.
        if table.column("image").is_none() || table.column("mask").is_none() {
            details.rows = details.by_id()?;
        }
        Ok(details)
    }

    fn by_id(&self) -> Result<HashMap<String, (Row<'a>, bool)>> {
        let id = self.table.column_once("id")?.or(self.table.column_once("image")?);
        let id = id.ok_or_else(|| self.table.missing_column("image"))?;
        let mut rows: HashMap<String, (Row<'a>, bool)> = HashMap::new();
        for row in self.table.rows() {
            let name = row.get(id);
            let Some((first, _)) = rows.insert(key_of(name), (row, false)) else { continue };
            if let Some(detail) = self.told(first)?.agree(self.told(row)?) {
                return Err(DataError::BadManifest {
                    path: self.table.path.clone(),
                    line: row.line,
                    problem: format!(
                        "{name:?} is in line {}, too, with another {detail}; expected one row for each image",
                        first.line
                    ),
                }
                .into());
            }
        }
        Ok(rows)
    }

    /// What the table says about an image that it names by path, name or stem.
    ///
    /// # Errors
    /// When a number is none.
    pub(super) fn of(&mut self, entry: &Entry) -> Result<Told> {
        let names = [entry.place.clone(), entry.case_name(), entry.name().to_owned(), entry.stem().to_owned()];
        let Some(name) = names.into_iter().map(|name| key_of(&name)).find(|name| self.rows.contains_key(name)) else {
            return Ok(Told::default());
        };
        let Some((row, taken)) = self.rows.get_mut(&name) else { return Ok(Told::default()) };
        *taken = true;
        let row = *row;
        self.told(row)
    }

    /// How many rows name no image.
    pub(super) fn left_over(&self) -> usize {
        self.rows.values().filter(|(_, taken)| !taken).count()
    }

    /// How many rows with different ids there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// # Errors
    /// When a number is none.
    pub(super) fn told(&self, row: Row<'_>) -> Result<Told> {
        let text = |name| self.table.column(name).map(|column| row.get(column).to_owned()).filter(|t| !t.is_empty());
        let spacing = [self.length(row, "pixel_height_mm")?, self.length(row, "pixel_width_mm")?];
        Ok(Told {
            patient: self.patient.and_then(|patient| Secret::new(row.get(patient))),
            side: text("laterality").and_then(|word| Side::of_word(&word)),
            view: text("view"),
            class: text("class"),
            spacing: spacing[0].zip(spacing[1]).map(|(height, width)| [height, width]),
        })
    }

    /// A positive number of millimetres; `None` if the table has none.
    fn length(&self, row: Row<'_>, name: &str) -> Result<Option<f64>> {
        let Some(column) = self.table.column(name) else { return Ok(None) };
        let expected = "a number of millimetres above 0, or nothing";
        let found = row.number(column, expected)?;
        match found {
            Some(length) if !(length.is_finite() && length > 0.0) => Err(DataError::BadManifest {
                path: self.table.path.clone(),
                line: row.line,
                problem: format!("the column {name:?} is {:?}; expected {expected}", row.get(column)),
            }
            .into()),
            found => Ok(found),
        }
    }
}

/// A path or name as rows are found by it.
fn key_of(name: &str) -> String {
    let slashed = name.replace('\\', "/");
    nfc(&slashed.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"))
}

impl Told {
    /// Adds what another row says of the same image; returns the detail in which the two differ.
    pub(super) fn agree(&mut self, other: Self) -> Option<&'static str> {
        fn joined<T: PartialEq>(mine: &mut Option<T>, other: Option<T>) -> bool {
            let same = mine.is_none() || other.is_none() || *mine == other;
            *mine = mine.take().or(other);
            same
        }
        let same = [
            (joined(&mut self.patient, other.patient), "patient"),
            (joined(&mut self.side, other.side), "laterality"),
            (joined(&mut self.view, other.view), "view"),
            (joined(&mut self.class, other.class), "class"),
            (joined(&mut self.spacing, other.spacing), "spacing"),
        ];
        same.into_iter().find(|(same, _)| !same).map(|(_, name)| name)
    }

    pub(super) fn add_to(self, case: &mut Case) {
        case.patient = self.patient.or(case.patient.take());
        case.side = self.side;
        case.view = self.view;
        case.class = self.class;
        case.spacing = self.spacing;
    }
}
