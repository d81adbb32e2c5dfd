//! What real DICOM files have: headers with damaged numbers, which leave the pixels readable, and masks of every kind, which must lie where
//! their image lies.

mod common;

use std::path::Path;

use common::dicom::{Dicom, SECONDARY_CAPTURE};
use common::*;
use pig_prepare::pipeline::Summary;
use pig_prepare::settings::{CropRule, MaskAffine};
use pig_prepare::{PrepareConfig, Result};

/// Rows and columns of the images.
const SIDE: usize = 16;

/// The result of preparing a folder into a new one, whose files are kept.
fn made(source: &Path, config: PrepareConfig) -> (tempfile::TempDir, Summary) {
    let (out, summary) = try_made(source, config);
    (out, summary.unwrap())
}

fn try_made(source: &Path, config: PrepareConfig) -> (tempfile::TempDir, Result<Summary>) {
    let (out, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut request = request(source, out.path(), config);
    request.key = Some(key(keys.path()));
    let summary = run(&request);
    (out, summary)
}

/// Settings that keep every pixel.
fn whole() -> PrepareConfig {
    PrepareConfig { crop: CropRule::None, ..small(SIDE) }
}

/// An image of 12 bits whose value at (row, column) is 100 row + column.
fn image(path: &Path, change: impl FnOnce(&mut Dicom)) {
    let mut dicom = Dicom::new(SECONDARY_CAPTURE, 1, SIDE as u16, SIDE as u16);
    change(&mut dicom);
    dicom.write(path, |_, row, column| (100 * row + column) as u16);
}

/// A mask picture with lesion in the first `rows` rows.
fn mask(path: &Path, rows: usize) {
    write_png(path, SIDE, SIDE, (0..SIDE * SIDE).map(|index| if index < rows * SIDE { 255 } else { 0 }).collect());
}

#[test]
fn damaged_geometry_and_second_windows_leave_the_pixels_readable() {
    let source = tempfile::tempdir().unwrap();
    for (name, marks) in [
        ("zero", vec![(0x0028, 0x0030, "DS", "0\\0".to_owned())]),
        ("comma", vec![(0x0020, 0x0032, "DS", "1,5\\2,5\\3,5".to_owned()), (0x0028, 0x0030, "DS", "2\\2".to_owned())]),
        ("windows", vec![(0x0028, 0x1050, "DS", "800\\40".to_owned()), (0x0028, 0x1051, "DS", "1601".to_owned())]),
    ] {
        image(&source.path().join(format!("{name}.dcm")), |dicom| dicom.marks = marks);
        mask(&source.path().join(format!("{name}_mask.png")), 4);
    }
    let (out, summary) = made(source.path(), whole());
    assert_eq!((summary.description.pairs, summary.errors.len()), (3, 0), "{:?}", summary.errors);
    let told = summary.notes.iter().filter(|note| note.starts_with("2 of 3 DICOM file(s) give a spacing")).count();
    assert_eq!(told, 1, "{:?}", summary.notes);
    let rows = manifest(out.path());
    let mut spacings: Vec<&str> = rows.iter().map(|row| row["source_pixel_height_mm"].as_str()).collect();
    spacings.sort_unstable();
    assert_eq!(spacings, ["", "", "2"]);
    // The first window: (value - 799.5) / 1600 + 0.5, of which the value at (8, 0) is 800.
    let window = rows.iter().find(|row| row["window"] == "voi").unwrap();
    assert_eq!(read_gray(&out.path().join(&window["image"])).2[8 * SIDE], 128);
}

/// dcm2niix turns the rows of DICOM around, so that a mask drawn on its NIfTI file is the mirror image of one drawn on the DICOM file.
#[test]
fn a_nifti_mask_must_lie_where_its_dicom_image_lies() {
    let place = |position: &str, orientation: &str| {
        vec![
            (0x0020, 0x0032, "DS", position.to_owned()),
            (0x0020, 0x0037, "DS", orientation.to_owned()),
            (0x0028, 0x0030, "DS", "1\\1".to_owned()),
        ]
    };
    let source = tempfile::tempdir().unwrap();
    let with = |marks: Vec<(u16, u16, &'static str, String)>, config: PrepareConfig| {
        image(&source.path().join("a.dcm"), |dicom| dicom.marks = marks);
        let voxels: Vec<u8> = (0..SIDE * SIDE).map(|index| u8::from(index < 4 * SIDE)).collect();
        // Its affine is that of an image at the origin with rows to the left and columns to the back.
        std::fs::write(source.path().join("a_mask.nii"), nifti([SIDE, SIDE, 1], 2, 8, [1.0; 3], &voxels)).unwrap();
        try_made(source.path(), config)
    };
    let (out, summary) = with(place("0\\0\\0", "1\\0\\0\\0\\1\\0"), whole());
    assert_eq!(summary.unwrap().description.pairs, 1);
    let drawn = read_gray(&out.path().join(&manifest(out.path())[0]["mask"])).2;
    assert!(drawn.iter().enumerate().all(|(index, &value)| (value > 0) == (index < 4 * SIDE)));
    let turned = || place("0\\15\\0", "1\\0\\0\\0\\-1\\0");
    let error = with(turned(), whole()).1.unwrap_err().to_string();
    assert!(error.contains("differs in geometry: its corners are up to 15.000 mm away"), "{error}");
    let ignored = PrepareConfig { mask_affine: Some(MaskAffine::Ignore), ..whole() };
    let warnings = with(turned(), ignored).1.unwrap().warnings;
    assert!(warnings.iter().any(|text| text.contains("corners differ by up to 15.0 mm")), "{warnings:?}");
    // Where the image does not say where it lies, nothing can be said of its mask.
    assert_eq!(with(Vec::new(), whole()).1.unwrap().description.pairs, 1);
}
