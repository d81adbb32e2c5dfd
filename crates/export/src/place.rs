//! Where a pair lies in the world: what the manifest says about millimetres, volumes and origin.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{ExportError, Result};

/// Columns of the manifest that are read where they are there.
pub(crate) const SPACING: [&str; 3] = ["pixel_width_mm", "pixel_height_mm", "slice_spacing_mm"];
pub(crate) const VOLUME: &str = "volume";
pub(crate) const SLICE: &str = "slice";
const ORIGIN: &str = "origin";

/// What is known about one pair's geometry.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Place {
    /// Millimetres between the centres of neighbouring columns, and of neighbouring rows.
    pub(crate) spacing: Option<[f64; 2]>,
    /// Millimetres between neighbouring slices of the volume.
    pub(crate) slice_spacing: Option<f64>,
    /// The volume and the number of the slice in it.
    pub(crate) slice: Option<(String, i64)>,
}

/// A pair's place and the origin that the manifest names.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    pub(crate) place: Place,
    pub(crate) origin: Option<String>,
}

/// The places of a folder's pairs, by id.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<String, Placed>);

/// A manifest being read.
struct Table {
    path: PathBuf,
    columns: Vec<String>,
}

impl Places {
    /// Reads a manifest; nothing is known where there is none, or none of the columns.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Ok(Self::default());
        }
        let bad = |error: csv::Error| pig_data::DataError::BadManifest {
            path: path.to_path_buf(),
            line: error.position().map_or(1, csv::Position::line),
            problem: error.to_string(),
        };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(bad)?;
        let columns = reader.headers().map_err(bad)?.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned());
        let table = Table { path: path.to_path_buf(), columns: columns.collect() };
        let mut places = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(bad)?;
            if let Some(id) = table.id(&record) {
                let placed = table.placed(&record, &id)?;
                places.insert(id, placed);
            }
        }
        Ok(Self(places))
    }

    /// What is known about a pair.
    pub(crate) fn take(&mut self, id: &str) -> Placed {
        self.0.remove(id).unwrap_or_default()
    }
}

impl Table {
    fn get<'a>(&self, record: &'a csv::StringRecord, column: &str) -> Option<&'a str> {
        let index = self.columns.iter().position(|name| name == column)?;
        record.get(index).filter(|value| !value.is_empty())
    }

    /// The id, which without such a column is the image's stem.
    fn id(&self, record: &csv::StringRecord) -> Option<String> {
        let stem = |path: &str| Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        self.get(record, "id").map(str::to_owned).or_else(|| stem(self.get(record, "image")?))
    }

    fn placed(&self, record: &csv::StringRecord, id: &str) -> Result<Placed> {
        let number = |column: &'static str| {
            let Some(text) = self.get(record, column) else { return Ok(None) };
            match text.parse::<f64>() {
                Ok(value) if value.is_finite() && value > 0.0 => Ok(Some(value)),
                _ => Err(self.bad(column, id, text, "a number of millimetres above 0, or nothing")),
            }
        };
        let [x, y, slice_spacing] = [number(SPACING[0])?, number(SPACING[1])?, number(SPACING[2])?];
        let slice = match (self.get(record, VOLUME), self.get(record, SLICE)) {
            (Some(volume), Some(text)) => {
                let number = text.parse().map_err(|_| self.bad(SLICE, id, text, "a whole number"))?;
                Some((volume.to_owned(), number))
            }
            _ => None,
        };
        let place = Place { spacing: x.zip(y).map(|(x, y)| [x, y]), slice_spacing, slice };
        Ok(Placed { place, origin: self.get(record, ORIGIN).map(str::to_owned) })
    }

    fn bad(&self, column: &'static str, id: &str, found: &str, expected: &'static str) -> ExportError {
        let (path, id, found) = (self.path.clone(), id.to_owned(), found.to_owned());
        ExportError::BadValue { path, column, id, found, expected }
    }
}
