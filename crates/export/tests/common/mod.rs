//! Folders of pairs to export.

#![allow(dead_code, reason = "each test binary uses a different part")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pig_data::Pixels;
use pig_data::phantom::{PhantomConfig, write_dataset};
use pig_data::png_file::write_png;
use pig_export::{ExportError, Format, Request, SegmentationType, Summary, export};
use tempfile::TempDir;

/// DICOM with binary segmentations.
pub(crate) const DICOM_SEG: Format = Format::DicomSeg { segmentation_type: SegmentationType::Binary };

/// DICOM with segmentations as label maps.
pub(crate) const DICOM_LABELMAP: Format = Format::DicomSeg { segmentation_type: SegmentationType::Labelmap };

/// Phantom pairs: they count as generated in the folder of pairs, and as real in `--real`.
pub(crate) fn phantoms(out: &Path, patients: usize, seed: u64) -> PathBuf {
    let config = PhantomConfig { patients, size: [40, 33], seed, lesion_free_share: 0.3, ..PhantomConfig::default() };
    write_dataset(&config, out, &|_, _| {}).unwrap();
    out.to_path_buf()
}

/// A folder of phantoms in `generated/` and of others in `real/`.
pub(crate) fn both() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let generated = phantoms(&folder.path().join("generated"), 5, 1);
    let real = phantoms(&folder.path().join("real"), 4, 2);
    (folder, generated, real)
}

/// Writes one pair; `value` gives the image, `inside` the mask.
pub(crate) fn pair(
    folder: &Path,
    id: &str,
    [width, height]: [usize; 2],
    text: &[(&str, &str)],
    value: impl Fn(usize, usize) -> u16,
    inside: impl Fn(usize, usize) -> bool,
) {
    let all = (0..width * height).map(|i| (i % width, i / width));
    let image = Pixels::Sixteen(all.clone().map(|(x, y)| value(x, y)).collect());
    let mask = Pixels::Eight(all.map(|(x, y)| if inside(x, y) { 255 } else { 0 }).collect());
    for (kind, pixels) in [("images", image), ("masks", mask)] {
        std::fs::create_dir_all(folder.join(kind)).unwrap();
        write_png(&folder.join(kind).join(format!("{id}.png")), [height, width], 1, &pixels, text).unwrap();
    }
}

/// Slices 7, 8 and 9 of the volume `v`, with spacing, and the stray pair `z`.
pub(crate) fn volume(folder: &Path) {
    let mut manifest = "id,patient,volume,slice,pixel_width_mm,pixel_height_mm,slice_spacing_mm\n".to_owned();
    for (index, (volume, number)) in [("v", "9"), ("v", "7"), ("v", "8"), ("", "")].into_iter().enumerate() {
        let id = format!("{}{number}", if volume.is_empty() { "z" } else { "s" });
        let value = |x: usize, y: usize| (x + 100 * y + 1000 * index) as u16;
        pair(folder, &id, [5, 3], &[], value, |x, y| x == index && y > 0);
        writeln!(manifest, "{id},p{},{volume},{number},0.5,0.25,2", usize::from(volume.is_empty())).unwrap();
    }
    std::fs::write(folder.join("manifest.csv"), manifest).unwrap();
}

/// A request at a fixed time.
pub(crate) fn request(pairs: &Path, out: &Path, format: Format) -> Request {
    let created = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    Request { created, ..Request::new(pairs.to_path_buf(), out.to_path_buf(), format) }
}

/// Exports and expects success.
#[track_caller]
pub(crate) fn done(request: &Request) -> Summary {
    run(request).unwrap()
}

/// Exports.
pub(crate) fn run(request: &Request) -> Result<Summary, ExportError> {
    export(request, &|_, _| ControlFlow::Continue(()))
}

/// Every file below a folder, by its path with slashes.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// A manifest as rows of column to value.
pub(crate) fn manifest(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(folder.join("manifest.csv")).unwrap();
    reader.deserialize().map(|row| row.unwrap()).collect()
}
