//! What a manifest says about images: patient, side, view, class and spacing, and columns that pig does not know.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use pig_data::DataError;
use pig_data::columns::{PATIENT_COLUMNS, class_column};
use pig_data::manifest::{Manifest, Row, same_name};
use pig_data::names::nfc;

use super::case::{Case, MaskSource, Side};
use super::walk::Entry;
use crate::error::Result;
use crate::privacy::Secret;
use crate::record::is_own_column;
use crate::settings::{PrepareConfig, SECTION};

/// The column that counts as the patient where none names one: a group of images of unknown kind may be a person.
const GROUP_COLUMN: &str = "group";

/// Parts of the names of columns that may identify people, or the files and days from which somebody could find them.
const IDENTIFYING: [&str; 20] = [
    "patient",
    "subject",
    "person",
    "participant",
    "mrn",
    "ssn",
    "birth",
    "dob",
    "accession",
    "surname",
    "firstname",
    "lastname",
    "fullname",
    "address",
    "phone",
    "email",
    "insurance",
    "date",
    "file",
    "path",
];

/// Columns with other details.
const DETAIL_COLUMNS: [&str; 5] = ["laterality", "view", "class", "pixel_height_mm", "pixel_width_mm"];

/// The details that a manifest adds to the cases.
pub(super) struct Details<'a> {
    pub(super) table: &'a Manifest,
    patient: Option<usize>,
    /// The column that names the class of each mask (`prepare.class_column`).
    class: Option<usize>,
    /// The columns that are carried over as they are.
    others: Vec<usize>,
    /// What is told about columns that pig does not know.
    pub(super) notes: Vec<String>,
    /// Rows by id, or by path where the table has no ids, with whether a case took the row.
    rows: HashMap<String, (Row<'a>, bool)>,
    /// File names and stems that images of several folders have: a row of this name does not say which of them it means.
    shared: HashSet<String>,
}

/// What one row says.
#[derive(Debug, Default)]
pub(super) struct Told {
    patient: Option<Secret>,
    side: Option<Side>,
    view: Option<String>,
    class: Option<String>,
    /// Whether rows of one image may name several classes.
    has_several_classes: bool,
    spacing: Option<[f64; 2]>,
    others: Vec<(String, String)>,
}

impl<'a> Details<'a> {
    /// # Errors
    /// When a column is there twice, or rows of one image contradict each other.
    pub(super) fn new(table: &'a Manifest, config: &PrepareConfig) -> Result<Self> {
        let mut patient = match &config.group_column {
            Some(name) => {
                let remedy = "set prepare.group_column to one of them or add the column";
                Some(table.column_once(name)?.ok_or_else(|| table.missing(name, remedy))?)
            }
            None => None,
        };
        if config.group_column.is_none() {
            for name in PATIENT_COLUMNS.into_iter().chain([GROUP_COLUMN]) {
                patient = patient.or(table.column_once(name)?);
            }
        }
        for name in DETAIL_COLUMNS {
            table.column_once(name)?;
        }
        let class = match &config.class_column {
            Some(name) => {
                let root = table.path.parent().unwrap_or(Path::new(""));
                Some(class_column(root, Some(table), name, SECTION)?.1)
            }
            None => None,
        };
        let (others, notes) = unknown_columns(table, patient);
        let mut details = Self { table, patient, class, others, notes, rows: HashMap::new(), shared: HashSet::new() };
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
            let has_other_class = self.class.is_some_and(|class| first.get(class) != row.get(class));
            let detail = self.told(first)?.agree(self.told(row)?);
            if let Some(detail) = detail.or(has_other_class.then_some("class")) {
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

    /// Takes note of the names of all images.
    pub(super) fn note_images<'e>(&mut self, entries: impl Iterator<Item = &'e Entry>) {
        let mut folders: HashMap<String, String> = HashMap::new();
        for entry in entries {
            for name in [entry.name(), entry.stem()].map(key_of) {
                if *folders.entry(name.clone()).or_insert_with(|| entry.folder().to_owned()) != entry.folder() {
                    self.shared.insert(name);
                }
            }
        }
    }

    /// Adds to a case what the table says about its image, which it names by path, name or stem.
    ///
    /// # Errors
    /// When a number is none, or the row may mean another image as well.
    pub(super) fn add(&mut self, entry: &Entry, case: &mut Case) -> Result<()> {
        let paths = [entry.place.clone(), entry.case_name()];
        let names = [entry.name().to_owned(), entry.stem().to_owned()];
        let find = |names: [String; 2]| names.iter().map(|name| key_of(name)).find(|name| self.rows.contains_key(name));
        let (by_path, by_name) = (find(paths), find(names));
        if let (None, Some(name)) = (&by_path, &by_name)
            && self.shared.contains(name)
            && let Some((row, _)) = self.rows.get(name)
        {
            return Err(DataError::BadManifest {
                path: self.table.path.clone(),
                line: row.line,
                problem: format!(
                    "{name:?} is the name of several images, such as {}; expected one image for each row; write paths in the column \
                     image",
                    entry.place
                ),
            }
            .into());
        }
        let name = by_path.or(by_name);
        let mut found = None;
        if let Some(name) = name
            && let Some((row, taken)) = self.rows.get_mut(&name)
        {
            *taken = true;
            found = Some(*row);
        }
        found.map(|row| self.told(row)).transpose()?.unwrap_or_default().add_to(case);
        case.masks = self.classed(found, std::mem::replace(&mut case.masks, MaskSource::NoLesion));
        Ok(())
    }

    /// Masks with the class that a row names, if a column names classes.
    pub(super) fn classed(&self, row: Option<Row<'_>>, masks: MaskSource) -> MaskSource {
        let Some(column) = self.class else { return masks };
        let word = row.map(|row| row.get(column).to_owned()).filter(|word| !word.is_empty());
        masks.of_class(word)
    }

    /// Whether a column names the class of each mask.
    pub(super) fn names_classes(&self) -> bool {
        self.class.is_some()
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
            has_several_classes: self.class.is_some() && self.class == self.table.column("class"),
            spacing: spacing[0].zip(spacing[1]).map(|(height, width)| [height, width]),
            others: self.others.iter().map(|&at| (self.table.columns[at].clone(), row.get(at).to_owned())).collect(),
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

/// Whether most cells of a column hold the name of their row's patient. A number of one or two digits is found in any measurement.
fn holds_names(table: &Manifest, column: usize, patient: usize) -> bool {
    let named: Vec<bool> = table
        .rows()
        .filter(|row| row.get(patient).chars().count() > 2)
        .map(|row| row.get(column).contains(row.get(patient)))
        .collect();
    2 * named.iter().filter(|&&holds| holds).count() > named.len()
}

/// The columns that pig does not know and that are carried over, and notes about them. What may identify people is left out: by the name
/// of its column, or because a cell holds the name of its row's patient.
fn unknown_columns(table: &Manifest, patient: Option<usize>) -> (Vec<usize>, Vec<String>) {
    let known = |name: &str| DETAIL_COLUMNS.iter().any(|known| same_name(known, name));
    let (mut carried, mut identifying, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for (at, name) in table.columns.iter().enumerate() {
        if name.is_empty() || known(name) || patient == Some(at) {
            continue;
        }
        let plain: String = name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
        let names_patient = patient.is_some_and(|patient| holds_names(table, at, patient));
        if ["id", "image", "mask"].contains(&plain.as_str()) {
            continue;
        }
        if plain == "name" || names_patient || IDENTIFYING.iter().any(|part| plain.contains(part)) {
            identifying.push(name.as_str());
        } else if is_own_column(name) {
            own.push(name.as_str());
        } else {
            carried.push(at);
        }
    }
    let mut notes = Vec::new();
    let mut note = |names: &[&str], text: &str| {
        if !names.is_empty() {
            notes.push(format!("columns of manifest.csv {text}: {}.", names.join(", ")));
        }
    };
    let names: Vec<&str> = carried.iter().map(|&at| table.columns[at].as_str()).collect();
    note(&names, "that are carried over as they are; look whether they identify people");
    note(&identifying, "that may identify people and are left out; rename a column to carry it over");
    note(&own, "that are left out, because a prepared manifest fills columns of these names itself");
    (carried, notes)
}

/// A path or name as rows are found by it.
fn key_of(name: &str) -> String {
    let slashed = name.replace('\\', "/");
    nfc(&slashed.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"))
}

/// Adds a value to a list in a text, unless it is empty or there.
fn list(mine: &mut String, value: String) {
    if !value.is_empty() && !mine.split("; ").any(|part| part == value) {
        *mine = if mine.is_empty() { value } else { format!("{mine}; {value}") };
    }
}

impl Told {
    /// Adds what another row says of the same image; returns the detail in which the two differ.
    pub(super) fn agree(&mut self, mut other: Self) -> Option<&'static str> {
        fn joined<T: PartialEq>(mine: &mut Option<T>, other: Option<T>) -> bool {
            let same = mine.is_none() || other.is_none() || *mine == other;
            *mine = mine.take().or(other);
            same
        }
        // Rows of one image may say several things in columns that pig does not know: all of them are kept.
        if self.others.is_empty() {
            self.others = other.others;
        } else {
            for ((_, mine), (_, value)) in self.others.iter_mut().zip(other.others) {
                list(mine, value);
            }
        }
        if self.has_several_classes {
            let mut classes = self.class.take().unwrap_or_default();
            list(&mut classes, other.class.take().unwrap_or_default());
            self.class = Some(classes).filter(|classes| !classes.is_empty());
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
        case.others = self.others;
    }
}
