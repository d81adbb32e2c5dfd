//! A whole phantom set, in memory or in a folder.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use rayon::prelude::*;

use super::config::PhantomConfig;
use super::error::PhantomError;
use super::render::render;
use super::slice::{PhantomSlice, View};
use crate::png_file::encode_label_png;

/// The manifest's column of clusters of microcalcifications.
pub const CALCIFICATION_COLUMN: &str = "calcification_area";

/// The names of the labels 1 and 2.
const CLASSES: [&str; 2] = ["mass", "calcification"];

/// Number of slices made between two progress reports; enough to keep every thread busy.
const BATCH: usize = 32;

/// What [`write_dataset`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhantomSummary {
    /// Number of patients.
    pub patients: usize,
    /// Number of slices, two per patient.
    pub slices: usize,
    /// Number of slices with a mass.
    pub with_lesion: usize,
}

/// Makes the whole set in memory, patient by patient, CC before MLO. A pixel takes 5 bytes, so 1000 slices of 256 x 256
/// take about 330 MB.
///
/// # Errors
/// [`PhantomError::Setting`] for a setting out of range.
pub fn generate_all(config: &PhantomConfig) -> Result<Vec<PhantomSlice>, PhantomError> {
    config.validate()?;
    Ok(all_keys(config).into_par_iter().map(|(patient, view)| render(config, patient, view)).collect())
}

/// Writes the whole set into `out`: `images/` and `masks/` as 8-bit gray PNGs with the same stems, and `manifest.csv`.
///
/// `out` must be new or empty, and appears when the set is whole. `progress` gets the number of slices written so far and the
/// number of all slices. The columns of the manifest are id (the stem), patient, view, laterality, density, has_lesion
/// (0 or 1), mass_kind, mass_contrast, mass_diameter (pixels) and mass_area (pixels); the last four are empty if there is
/// no mass. With clusters of microcalcifications, masks are label maps with a palette, and there is a column calcification_area (pixels).
///
/// # Errors
/// [`PhantomError::Setting`] for a setting out of range, [`PhantomError::NotEmpty`] for a folder that holds anything,
/// [`PhantomError::Write`] for a file that could not be written.
pub fn write_dataset(
    config: &PhantomConfig,
    out: &Path,
    progress: &dyn Fn(usize, usize),
) -> Result<PhantomSummary, PhantomError> {
    config.validate()?;
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(PhantomError::NotEmpty { path: out.to_path_buf() });
    }
    let keys = all_keys(config);
    let mut rows = Vec::with_capacity(keys.len());
    pig_files::create_folder(out, |folder| fill(config, &keys, folder, &mut rows, progress))?;
    let with_lesion = rows.iter().filter(|row| row.has_lesion == 1).count();
    Ok(PhantomSummary { patients: config.patients, slices: rows.len(), with_lesion })
}

/// Writes the slices and their manifest into the folder `out`, and collects the rows of the manifest.
fn fill(
    config: &PhantomConfig,
    keys: &[(usize, View)],
    out: &Path,
    rows: &mut Vec<Row>,
    progress: &dyn Fn(usize, usize),
) -> Result<(), PhantomError> {
    for folder in ["images", "masks"] {
        let path = out.join(folder);
        fs::create_dir_all(&path).map_err(|source| failed(&path, source))?;
    }
    for batch in keys.chunks(BATCH) {
        let written: Result<Vec<Row>, PhantomError> = batch
            .par_iter()
            .map(|&(patient, view)| {
                let slice = render(config, patient, view);
                let name = format!("{}.png", slice.id());
                write_png(&out.join("images").join(&name), &slice, &slice.image_u8(), config.seed)?;
                write_mask(&out.join("masks").join(&name), &slice, config.seed)?;
                Ok(Row::new(&slice))
            })
            .collect();
        rows.extend(written?);
        progress(rows.len(), keys.len());
    }
    write_manifest(&out.join("manifest.csv"), rows)
}

fn all_keys(config: &PhantomConfig) -> Vec<(usize, View)> {
    (0..config.patients).flat_map(|patient| View::BOTH.map(|view| (patient, view))).collect()
}

fn failed(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> PhantomError {
    PhantomError::Write { path: path.to_path_buf(), source: source.into() }
}

/// One line of the manifest.
#[derive(serde::Serialize)]
struct Row {
    id: String,
    patient: String,
    view: &'static str,
    laterality: &'static str,
    density: f32,
    has_lesion: u8,
    mass_kind: Option<&'static str>,
    mass_contrast: Option<f32>,
    mass_diameter: Option<f32>,
    mass_area: Option<usize>,
    /// Pixels of the cluster ([`CALCIFICATION_COLUMN`]); no column if the set has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    calcification_area: Option<usize>,
}

impl Row {
    fn new(slice: &PhantomSlice) -> Self {
        Self {
            id: slice.id(),
            patient: format!("p{:04}", slice.patient),
            view: slice.view.name(),
            laterality: slice.laterality.name(),
            density: slice.density,
            has_lesion: u8::from(slice.mass.is_some()),
            mass_kind: slice.mass.map(|mass| mass.kind.name()),
            mass_contrast: slice.mass.map(|mass| mass.contrast),
            mass_diameter: slice.mass.map(|mass| mass.diameter),
            mass_area: slice.mass.map(|mass| mass.area),
            calcification_area: (!slice.cluster.is_empty())
                .then(|| slice.cluster.iter().filter(|&&inside| inside).count()),
        }
    }
}

fn write_manifest(path: &Path, rows: &[Row]) -> Result<(), PhantomError> {
    let mut writer = csv::Writer::from_path(path).map_err(|source| failed(path, source))?;
    for row in rows {
        writer.serialize(row).map_err(|source| failed(path, source))?;
    }
    writer.flush().map_err(|source| failed(path, source))
}

/// What marks a file as synthetic.
fn notes(seed: u64) -> [(&'static str, String); 3] {
    [
        ("synthetic", "yes".to_owned()),
        ("generator", format!("pig-data phantom {}", env!("CARGO_PKG_VERSION"))),
        ("seed", seed.to_string()),
    ]
}

/// Writes the mask: gray, or a label map with a palette if the set has clusters.
fn write_mask(path: &Path, slice: &PhantomSlice, seed: u64) -> Result<(), PhantomError> {
    if slice.cluster.is_empty() {
        return write_png(path, slice, &slice.mask_u8(), seed);
    }
    let notes = notes(seed);
    let notes: Vec<(&str, &str)> = notes.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let bytes = encode_label_png(path, [slice.height, slice.width], &slice.labels(), &CLASSES, &notes);
    fs::write(path, bytes.map_err(|source| failed(path, source))?).map_err(|source| failed(path, source))
}

/// Writes an 8-bit gray PNG with text chunks that mark it as synthetic.
fn write_png(path: &Path, slice: &PhantomSlice, pixels: &[u8], seed: u64) -> Result<(), PhantomError> {
    let file = File::create(path).map_err(|source| failed(path, source))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), slice.width as u32, slice.height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    for (keyword, text) in notes(seed) {
        encoder.add_text_chunk(keyword.to_owned(), text).map_err(|source| failed(path, source))?;
    }
    let mut writer = encoder.write_header().map_err(|source| failed(path, source))?;
    writer.write_image_data(pixels).map_err(|source| failed(path, source))?;
    writer.finish().map_err(|source| failed(path, source))
}
