//! The position of a pair in the world: what the manifest says about millimetres, volumes and origin.

use std::collections::HashMap;
use std::path::Path;

use pig_data::manifest::{Manifest, Row};

use crate::error::{ExportError, Result};

/// Columns that are read if they are present, and written again: the distances in millimetres between columns, rows and
/// slices, the volume that a slice belongs to, and its number in the volume.
pub(crate) const SPACING: [&str; 3] = ["pixel_width_mm", "pixel_height_mm", "slice_spacing_mm"];
pub(crate) const VOLUME: &str = "volume";
pub(crate) const SLICE: &str = "slice";

/// How `pig prepare` identifies volumes: by the hash of the source, which all slices share, if it has several slices.
const SOURCE_HASH: &str = "source_sha256";
const SLICES: &str = "slices";

/// Columns that say what `pig prepare` did to the pixel grid. Slices with different values do not align.
const GRID: [&str; 12] = [
    "source_height",
    "source_width",
    "turned",
    "crop_top",
    "crop_left",
    "crop_height",
    "crop_width",
    "resized_height",
    "resized_width",
    "pad_top",
    "pad_left",
    "mirrored",
];

const ORIGIN: &str = "origin";

/// The column with a pair's position in the world: twelve numbers, row by row, of the map from (column, row, slice), counted
/// from 0 at the centres, to RAS+ millimetres; the pair itself is slice 0.
pub(crate) const AFFINE: &str = "affine_ras";

/// Three rows of four numbers; see [`AFFINE`].
pub(crate) type Affine = [[f64; 4]; 3];

/// A slice's place in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice {
    /// A text that all slices of a volume share.
    pub(crate) key: String,
    /// The volume's name.
    pub(crate) volume: String,
    pub(crate) number: i64,
}

/// What is known about one pair's geometry.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Place {
    /// Millimetres between the centres of neighbouring columns, and of neighbouring rows.
    pub(crate) spacing: Option<[f64; 2]>,
    /// Millimetres between neighbouring slices of the volume.
    pub(crate) slice_spacing: Option<f64>,
    pub(crate) slice: Option<Slice>,
    /// The pair's position in the world, if the source states it.
    pub(crate) affine: Option<Affine>,
    /// How the grid was made; slices with equal texts align.
    pub(crate) grid: String,
}

/// A pair's place and the origin that the manifest states.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    pub(crate) place: Place,
    pub(crate) origin: Option<String>,
}

/// The places of a folder's pairs, by id.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<String, Placed>);

/// One pair's row.
#[derive(Clone, Copy)]
struct Line<'a> {
    manifest: &'a Manifest,
    row: Row<'a>,
}

impl Places {
    /// Reads a manifest; without a manifest or without these columns, nothing is known.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let Some(manifest) = Manifest::read(path)? else { return Ok(Self::default()) };
        let mut places = HashMap::new();
        for row in manifest.rows() {
            let line = Line { manifest: &manifest, row };
            if let Some(id) = line.id() {
                let placed = line.placed(&id)?;
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

impl<'a> Line<'a> {
    fn get(self, column: &str) -> Option<&'a str> {
        Some(self.row.get(self.manifest.column(column)?)).filter(|value| !value.is_empty())
    }

    /// The id, or the image's stem if there is no id.
    fn id(self) -> Option<String> {
        let stem = |path: &str| Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        self.get("id").map(str::to_owned).or_else(|| stem(self.get("image")?))
    }

    fn placed(self, id: &str) -> Result<Placed> {
        let [x, y, slice_spacing] = SPACING.map(|column| self.millimetres(column, id));
        let place = Place {
            spacing: x?.zip(y?).map(|(x, y)| [x, y]),
            slice_spacing: slice_spacing?,
            slice: self.slice(id)?,
            affine: self.affine(id)?,
            grid: GRID.map(|column| self.get(column).unwrap_or_default()).join(","),
        };
        Ok(Placed { place, origin: self.get(ORIGIN).map(str::to_owned) })
    }

    fn millimetres(self, column: &'static str, id: &str) -> Result<Option<f64>> {
        let Some(text) = self.get(column) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && value > 0.0 => Ok(Some(value)),
            _ => Err(self.bad(column, id, text, "a number of millimetres above 0, or nothing")),
        }
    }

    fn affine(self, id: &str) -> Result<Option<Affine>> {
        let Some(text) = self.get(AFFINE) else { return Ok(None) };
        let numbers = text.split(' ').map(|number| number.parse::<f64>().ok().filter(|number| number.is_finite()));
        let numbers: Vec<f64> = numbers.collect::<Option<_>>().unwrap_or_default();
        match <Affine>::try_from(numbers.as_chunks::<4>().0) {
            Ok(affine) if numbers.len() == 12 && determinant(&affine) != 0.0 => Ok(Some(affine)),
            _ => Err(self.bad(AFFINE, id, text, "twelve numbers of an invertible map, or nothing")),
        }
    }

    fn slice(self, id: &str) -> Result<Option<Slice>> {
        let whole = |column: &'static str, text: &str| {
            text.parse::<i64>().map_err(|_| self.bad(column, id, text, "a whole number"))
        };
        let Some(number) = self.get(SLICE) else { return Ok(None) };
        if let Some(volume) = self.get(VOLUME) {
            let (key, volume) = (volume.to_owned(), volume.to_owned());
            return Ok(Some(Slice { key, volume, number: whole(SLICE, number)? }));
        }
        let (Some(hash), Some(slices)) = (self.get(SOURCE_HASH), self.get(SLICES)) else { return Ok(None) };
        if whole(SLICES, slices)? < 2 {
            return Ok(None);
        }
        let number = whole(SLICE, number)?;
        let volume = id.strip_suffix(&format!("_{number:04}")).unwrap_or(id).to_owned();
        Ok(Some(Slice { key: format!("{hash} {volume}"), volume, number }))
    }

    fn bad(self, column: &'static str, id: &str, found: &str, expected: &'static str) -> ExportError {
        let (path, id, found) = (self.manifest.path.clone(), id.to_owned(), found.to_owned());
        ExportError::BadValue { path, column, id, found, expected }
    }
}

/// The volume of a voxel; negative if the frame is left-handed.
pub(crate) fn determinant(affine: &Affine) -> f64 {
    let [a, b, c] = affine;
    a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
}

/// The affine of the slice that is `slices` slices further on.
pub(crate) fn moved(affine: &Affine, slices: f64) -> Affine {
    affine.map(|[column, row, slice, origin]| [column, row, slice, slices.mul_add(slice, origin)])
}

/// The lengths of an affine's columns: millimetres between columns, rows and slices.
pub(crate) fn lengths(affine: &Affine) -> [f64; 3] {
    [0, 1, 2].map(|column| affine.iter().map(|row| row[column].powi(2)).sum::<f64>().sqrt())
}
