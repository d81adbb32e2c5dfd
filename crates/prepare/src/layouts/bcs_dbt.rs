//! BCS-DBT (Buda et al. 2021, Breast-Cancer-Screening-DBT on TCIA): `BCS-DBT-file-paths-*.csv` lists a volume for every
//! patient, study and view; `BCS-DBT-boxes-*.csv` lists its boxes (slice and first pixel counted from 0);
//! `BCS-DBT-labels-*.csv` says whether it is normal, actionable, benign or cancer.
//!
//! The laterality in the headers is wrong, and some volumes are upside down: if the bright edge of the image is not on the
//! side that `View` (lcc, lmlo, rcc, rmlo) names, the boxes refer to the image rotated by 180 degrees. The release's own
//! reader (mazurowski-lab/duke-dbt-data) takes `Slice` as an index into the frames, from 0, and compares the edges of that
//! slice.

use std::collections::HashMap;

use pig_data::manifest::{Manifest, Row};

use super::case::{Case, ImageSource, LesionBox, MaskSource, Side};
use super::content::Kind;
use super::listing::{Listing, note};
use super::walk::{Entry, Tree};
use crate::error::{PrepareError, Result};
use crate::privacy::Secret;
use crate::settings::PrepareConfig;

/// Patient, study and view, which identify a volume.
type Volume = [String; 3];

/// Whether there is a table of this release.
pub(super) fn recognised(tree: &Tree) -> bool {
    tree.named("BCS-DBT-file-paths-", ".csv").next().is_some()
}

pub(super) fn list(tree: &Tree, config: &PrepareConfig) -> Result<Listing> {
    let boxes = boxes(tree, config)?;
    let classes = classes(tree)?;
    let by_folder = dicom_by_folders(tree);
    let mut listing = Listing::default();
    let mut absent = 0;
    for entry in tree.named("BCS-DBT-file-paths-", ".csv") {
        let Some(table) = Manifest::read(&entry.path)? else { continue };
        let key = key_columns(&table)?;
        let places = ["descriptive_path", "classic_path"].map(|name| table.column(name));
        if places == [None, None] {
            return Err(table.missing_column("descriptive_path").into());
        }
        for row in table.rows() {
            let file = places.iter().flatten().find_map(|&column| file_of(row.get(column), &by_folder));
            let Some(file) = file else {
                absent += 1;
                continue;
            };
            let volume = volume_of(row, key);
            let masks = boxes.get(&volume).map_or(MaskSource::NoLesion, |boxes| MaskSource::Boxes(boxes.clone()));
            let mut case = Case::new(file.case_name(), ImageSource::Dicom(file.path.clone()), masks);
            case.patient = Secret::new(row.get(key[0]));
            case.side = Side::of_word(&volume[2]);
            let view = volume[2].get(1..).unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
            case.view = Some(view.to_uppercase()).filter(|view| !view.is_empty());
            case.class = classes.get(&volume).map(|&class| class.to_owned());
            case.upright = true;
            listing.cases.push(case);
        }
    }
    note(&mut listing.notes, absent, "row(s) of the tables name volumes that are not in the folder.");
    Ok(listing)
}

fn key_columns(table: &Manifest) -> Result<[usize; 3]> {
    let column = |name| table.column(name).ok_or_else(|| PrepareError::from(table.missing_column(name)));
    Ok([column("PatientID")?, column("StudyUID")?, column("View")?])
}

fn volume_of(row: Row<'_>, key: [usize; 3]) -> Volume {
    key.map(|column| row.get(column).to_lowercase())
}

fn boxes(tree: &Tree, config: &PrepareConfig) -> Result<HashMap<Volume, Vec<LesionBox>>> {
    let mut boxes: HashMap<Volume, Vec<LesionBox>> = HashMap::new();
    for entry in tree.named("BCS-DBT-boxes-", ".csv") {
        let Some(table) = Manifest::read(&entry.path)? else { continue };
        let key = key_columns(&table)?;
        let column = |name| table.column(name).ok_or_else(|| table.missing_column(name));
        let (slice, class) = (column("Slice")?, table.column("Class"));
        let sides = [column("X")?, column("Y")?, column("Width")?, column("Height")?];
        for row in table.rows() {
            if class.is_some_and(|class| !config.keeps_type(row.get(class))) {
                continue;
            }
            let wrong = || PrepareError::Annotation {
                path: entry.path.clone(),
                problem: format!("line {} has no valid box", row.line),
                expected: "whole numbers in Slice (from 0), X, Y, Width and Height",
            };
            // Spreadsheets write whole numbers as 12.0.
            let number = |column| row.get(column).parse::<f64>().ok().filter(|n| n.fract() == 0.0).ok_or_else(wrong);
            let mut values = [0; 4];
            for (value, column) in values.iter_mut().zip(sides) {
                *value = number(column)? as i64;
            }
            let [x, y, width, height] = values;
            let slice = usize::try_from(number(slice)? as i64).map_err(|_| wrong())?;
            boxes.entry(volume_of(row, key)).or_default().push(LesionBox { slice, x, y, width, height });
        }
    }
    Ok(boxes)
}

fn classes(tree: &Tree) -> Result<HashMap<Volume, &'static str>> {
    let mut classes = HashMap::new();
    for entry in tree.named("BCS-DBT-labels-", ".csv") {
        let Some(table) = Manifest::read(&entry.path)? else { continue };
        let key = key_columns(&table)?;
        for row in table.rows() {
            let is = |name| table.column(name).is_some_and(|column| row.get(column).starts_with('1'));
            let words =
                [("Cancer", "cancer"), ("Benign", "benign"), ("Actionable", "actionable"), ("Normal", "normal")];
            if let Some((_, word)) = words.into_iter().find(|(name, _)| is(name)) {
                classes.insert(volume_of(row, key), word);
            }
        }
    }
    Ok(classes)
}

/// DICOM files by the names of their last three folders: patient, study and series. The folders above do not matter.
fn dicom_by_folders(tree: &Tree) -> HashMap<Vec<&str>, &Entry> {
    let mut map = HashMap::new();
    for entry in tree.files.iter().filter(|entry| entry.kind == Kind::Dicom) {
        map.entry(last_folders(&entry.place)).or_insert(entry);
    }
    map
}

fn last_folders(place: &str) -> Vec<&str> {
    let folders: Vec<&str> = place.split('/').map(str::trim).collect();
    let folders = &folders[..folders.len() - 1];
    folders[folders.len().saturating_sub(3)..].to_vec()
}

/// The file of a path in a table. The file name is not compared: a series is one file, and downloaders name it differently.
fn file_of<'a>(place: &str, by_folder: &HashMap<Vec<&str>, &'a Entry>) -> Option<&'a Entry> {
    let folders = last_folders(place);
    (folders.len() == 3).then(|| by_folder.get(&folders).copied()).flatten()
}
