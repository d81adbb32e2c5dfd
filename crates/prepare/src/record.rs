//! One prepared pair as listed in the manifest.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use pig_data::table::{Column, Columns};

use crate::transform::Transform;

/// A prepared pair: what it shows, what was done to it, and the hashes of its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The stem of both files.
    pub id: String,
    /// The patient's pseudonym; empty if no patient is known.
    pub patient: String,
    /// The id of the case; all slices of a volume have the same.
    pub case: String,
    /// `left`, `right` or empty.
    pub laterality: String,
    /// The view, such as MLO, or empty.
    pub view: String,
    /// The class that the release names, such as benign, or empty.
    pub class: String,
    /// The slice, counted from 0.
    pub slice: usize,
    /// How many slices the volume has.
    pub slices: usize,
    /// Whether the mask is a guess, such as an ellipse in a box.
    pub weak_label: bool,
    /// Lesion pixels of the prepared mask.
    pub mask_pixels: usize,
    /// Lesion pixels of the source mask.
    pub source_mask_pixels: usize,
    /// The pixels of each class in the prepared mask and in the source mask, if there are several classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_pixels: Vec<(String, [usize; 2])>,
    /// What was done to the pixel grid.
    pub transform: Transform,
    /// The axis along which a NIfTI volume was sliced.
    pub slice_axis: usize,
    /// Millimetres between slices.
    pub slice_spacing_mm: Option<f64>,
    /// Twelve numbers, row by row: the affine from (column, row, slice) of the prepared pair, counted from 0 at pixel centres, to
    /// RAS+ millimetres; the pair itself is slice 0. Empty if the source does not give its position.
    pub affine_ras: String,
    /// `linear`, or `voi` for DICOM's own window.
    pub window: String,
    /// The source value that became black.
    pub window_low: Option<f64>,
    /// The source value that became white.
    pub window_high: Option<f64>,
    /// Number of pixels of labels and wedges that were made black.
    pub blanked_pixels: usize,
    /// SHA-256 over the case's source files.
    pub source_sha256: String,
    /// SHA-256 of the image file.
    pub image_sha256: String,
    /// SHA-256 of the mask file.
    pub mask_sha256: String,
    /// The image's path in the prepared folder.
    pub image: String,
    /// The mask's path in the prepared folder.
    pub mask: String,
    /// Columns of the source's manifest that pig does not know, with their values, in the manifest's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<(String, String)>,
}

impl Record {
    fn mask_fraction(&self) -> f64 {
        let [height, width] = self.transform.prepared;
        self.mask_pixels as f64 / (height * width) as f64
    }

    fn pixel_mm(&self, axis: usize) -> Option<f64> {
        self.transform.prepared_spacing().map(|spacing| spacing[axis])
    }

    /// The value of the `number`-th unknown column. All records have the same columns; see [`fill_others`].
    fn other(&self, number: usize) -> &str {
        self.others.get(number).map_or("", |(_, value)| value)
    }

    fn source_mm(&self, axis: usize) -> Option<f64> {
        self.transform.spacing.map(|spacing| spacing[axis])
    }
}

/// The columns that every manifest has.
const COLUMNS: &Columns<Record> = &[
    ("laterality", Column::Text(|r| &r.laterality)),
    ("view", Column::Text(|r| &r.view)),
    ("class", Column::Text(|r| &r.class)),
    ("slice", Column::Count(|r| r.slice as u64)),
    ("slices", Column::Count(|r| r.slices as u64)),
    ("weak_label", Column::Flag(|r| r.weak_label)),
    ("mask_pixels", Column::Count(|r| r.mask_pixels as u64)),
    ("mask_fraction", Column::Number(Record::mask_fraction)),
    ("empty_mask", Column::Flag(|r| r.mask_pixels == 0)),
    ("source_mask_pixels", Column::Count(|r| r.source_mask_pixels as u64)),
    ("height", Column::Count(|r| r.transform.prepared[0] as u64)),
    ("width", Column::Count(|r| r.transform.prepared[1] as u64)),
    ("pixel_height_mm", Column::MaybeNumber(|r| r.pixel_mm(0))),
    ("pixel_width_mm", Column::MaybeNumber(|r| r.pixel_mm(1))),
    ("source_height", Column::Count(|r| r.transform.source[0] as u64)),
    ("source_width", Column::Count(|r| r.transform.source[1] as u64)),
    ("source_pixel_height_mm", Column::MaybeNumber(|r| r.source_mm(0))),
    ("source_pixel_width_mm", Column::MaybeNumber(|r| r.source_mm(1))),
    ("turned", Column::Flag(|r| r.transform.turned)),
    ("crop_top", Column::Count(|r| r.transform.crop_start[0] as u64)),
    ("crop_left", Column::Count(|r| r.transform.crop_start[1] as u64)),
    ("crop_height", Column::Count(|r| r.transform.crop_size[0] as u64)),
    ("crop_width", Column::Count(|r| r.transform.crop_size[1] as u64)),
    ("resized_height", Column::Count(|r| r.transform.resized[0] as u64)),
    ("resized_width", Column::Count(|r| r.transform.resized[1] as u64)),
    ("pad_top", Column::Count(|r| r.transform.pad[0] as u64)),
    ("pad_left", Column::Count(|r| r.transform.pad[1] as u64)),
    ("mirrored", Column::Flag(|r| r.transform.mirrored)),
    ("slice_axis", Column::Count(|r| r.slice_axis as u64)),
    ("slice_spacing_mm", Column::MaybeNumber(|r| r.slice_spacing_mm)),
    ("affine_ras", Column::Text(|r| &r.affine_ras)),
    ("window", Column::Text(|r| &r.window)),
    ("window_low", Column::MaybeNumber(|r| r.window_low)),
    ("window_high", Column::MaybeNumber(|r| r.window_high)),
    ("blanked_pixels", Column::Count(|r| r.blanked_pixels as u64)),
    ("source_sha256", Column::Text(|r| &r.source_sha256)),
    ("image_sha256", Column::Text(|r| &r.image_sha256)),
    ("mask_sha256", Column::Text(|r| &r.mask_sha256)),
];

/// Which pairs a split keeps together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// Those of a patient: the column `patient`. A case without a patient counts as a patient.
    Patient,
    /// Those of a volume, if no patients are known: the column `group`.
    Case,
    /// None; there is no column.
    None,
}

impl Grouping {
    /// The best grouping that the records allow.
    pub fn of(records: &[Record]) -> Self {
        if records.iter().any(|record| !record.patient.is_empty()) {
            Self::Patient
        } else if records.iter().any(|record| record.slices > 1) {
            Self::Case
        } else {
            Self::None
        }
    }
}

/// The first columns of every manifest.
const NAMES: &Columns<Record> =
    &[("id", Column::Text(|r| &r.id)), ("image", Column::Text(|r| &r.image)), ("mask", Column::Text(|r| &r.mask))];

/// The columns for what a split keeps together.
const PATIENT: &str = "patient";
const GROUP: &str = "group";

/// Whether a prepared manifest has, or may have, a column of this name that pig fills.
pub(crate) fn is_own_column(name: &str) -> bool {
    let own = NAMES.iter().chain(COLUMNS).map(|(name, _)| *name).chain([PATIENT, GROUP]);
    own.into_iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Gives all records the same unknown columns; a record whose source did not name a value gets an empty one.
pub(crate) fn fill_others(records: &mut [Record]) {
    let names: Vec<String> = records
        .iter()
        .max_by_key(|record| record.others.len())
        .map_or_else(Vec::new, |record| record.others.iter().map(|(name, _)| name.clone()).collect());
    for record in records {
        let known: HashMap<String, String> = std::mem::take(&mut record.others).into_iter().collect();
        let value = |name: &String| (name.clone(), known.get(name).cloned().unwrap_or_default());
        record.others = names.iter().map(value).collect();
    }
}

/// Runs `act` with the columns of a manifest of these records.
pub(crate) fn with_columns<T>(records: &[Record], act: impl FnOnce(&[(&str, Column<Record>)]) -> T) -> T {
    let classes = records.first().map_or(&[][..], |record| &record.class_pixels);
    let names: Vec<String> = classes.iter().map(|(name, _)| format!("mask_pixels_{name}")).collect();
    let mut columns: Vec<(&str, Column<Record>)> = NAMES.to_vec();
    match Grouping::of(records) {
        Grouping::Patient => {
            let patient: fn(&Record) -> &str = |r| if r.patient.is_empty() { &r.case } else { &r.patient };
            columns.push((PATIENT, Column::Text(patient)));
        }
        Grouping::Case => columns.push((GROUP, Column::Text(|r| &r.case))),
        Grouping::None => {}
    }
    columns.extend_from_slice(COLUMNS);
    let of = |r: &Record, class: usize| r.class_pixels.get(class).map_or(0, |(_, [prepared, _])| *prepared as u64);
    columns.extend(names.iter().enumerate().map(|(class, name)| (name.as_str(), Column::CountAt(class, of))));
    let others = records.first().map_or(&[][..], |record| &record.others);
    columns.extend(
        others.iter().enumerate().map(|(number, (name, _))| (name.as_str(), Column::At(number, Record::other))),
    );
    act(&columns)
}
