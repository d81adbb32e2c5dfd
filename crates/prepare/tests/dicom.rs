//! What real DICOM files have: headers with damaged numbers, which leave the pixels readable, and masks of every kind, which must lie where
//! their image lies.

mod common;

use std::path::Path;

use common::dicom::{Dicom, MULTI_FRAME_WORD, SECONDARY_CAPTURE, element, items, text};
use common::*;
use pig_data::config::{MaskValue, MaskValues};
use pig_prepare::pipeline::Summary;
use pig_prepare::settings::{CropRule, MaskAffine};
use pig_prepare::sources::Cost;
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

const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const AXIAL: &str = "1\\0\\0\\0\\1\\0";

/// Three parallel images, 3 mm apart.
fn series(source: &Path) {
    for slice in 0..3 {
        image(&source.join(format!("{slice}.dcm")), |dicom| {
            dicom.instance = format!("1.2.3.{slice}");
            dicom.marks = vec![
                (0x0020, 0x0032, "DS", format!("0\\0\\{}", 3 * slice)),
                (0x0020, 0x0037, "DS", AXIAL.to_owned()),
                (0x0020, 0x0052, "UI", "1.2.4".to_owned()),
                (0x0028, 0x0030, "DS", "1\\1".to_owned()),
            ];
        });
    }
}

/// A frame of a segmentation: its position, and the image that it names.
type SegFrame<'a> = (&'a str, Option<&'a str>);

/// A segmentation whose frame of number n has lesion in its first n + 1 rows. It lists all images of the series.
fn segmentation(path: &Path, orientation: &str, frames: &[SegFrame<'_>]) {
    fraction(path, orientation, frames, [1, 1]);
}

/// As [`segmentation`], with this value of lesion and this one of a share of 1.
fn fraction(path: &Path, orientation: &str, frames: &[SegFrame<'_>], [lesion, max]: [u16; 2]) {
    let one = 1_u16.to_le_bytes();
    let named = |instance: &str| text(0x0008, 0x1155, "UI", instance);
    let listed: Vec<Vec<u8>> = (0..3).map(|slice| named(&format!("1.2.3.{slice}"))).collect();
    let frame = |(position, image): &SegFrame<'_>| {
        let source = image.map(|image| element(0x0008, 0x2112, "SQ", &items(&[named(image)])));
        let derivation = source.map(|source| element(0x0008, 0x9124, "SQ", &items(&[source])));
        let place = text(0x0020, 0x0032, "DS", position);
        let segment = element(0x0062, 0x000b, "US", &one);
        [
            derivation.unwrap_or_default(),
            element(0x0020, 0x9113, "SQ", &items(&[place])),
            element(0x0062, 0x000a, "SQ", &items(&[segment])),
        ]
        .concat()
    };
    let shared = [
        element(0x0020, 0x9116, "SQ", &items(&[text(0x0020, 0x0037, "DS", orientation)])),
        element(0x0028, 0x9110, "SQ", &items(&[text(0x0028, 0x0030, "DS", "1\\1")])),
    ];
    let segment = [element(0x0062, 0x0004, "US", &one), text(0x0062, 0x0005, "LO", "lesion")].concat();
    let instances = element(0x0008, 0x114a, "SQ", &items(&listed));
    let mut dicom = Dicom::new(SEGMENTATION, frames.len(), SIDE as u16, SIDE as u16);
    dicom.bits = 8;
    "1.2.5".clone_into(&mut dicom.instance);
    dicom.marks = vec![(0x0020, 0x0052, "UI", "1.2.4".to_owned()), (0x0062, 0x0001, "CS", "FRACTIONAL".to_owned())];
    dicom.raw = vec![
        (0x0008, 0x1115, "SQ", items(&[instances])),
        (0x0062, 0x0002, "SQ", items(&[segment])),
        (0x0062, 0x000e, "US", max.to_le_bytes().to_vec()),
        (0x5200, 0x9229, "SQ", items(&[shared.concat()])),
        (0x5200, 0x9230, "SQ", items(&frames.iter().map(frame).collect::<Vec<_>>())),
    ];
    dicom.write(path, |frame, row, _| if row <= frame { lesion } else { 0 });
}

/// The lesion pixels of each source mask, sorted.
fn lesions(out: &Path) -> Vec<usize> {
    let mut found: Vec<usize> = manifest(out).iter().map(|row| row["source_mask_pixels"].parse().unwrap()).collect();
    found.sort_unstable();
    found
}

/// Some writers give each frame its position, and no source image.
#[test]
fn frames_of_a_segmentation_without_a_source_belong_to_the_image_at_their_place() {
    let source = tempfile::tempdir().unwrap();
    series(source.path());
    let path = source.path().join("seg.dcm");
    segmentation(&path, AXIAL, &[("0\\0\\3", None), ("0\\0\\6.01", None)]);
    let (out, summary) = made(source.path(), whole());
    assert_eq!(lesions(out.path()), [SIDE, 2 * SIDE]);
    assert_eq!((summary.description.left_out_empty, summary.errors.len()), (1, 0));
    // The frame on slice 1 has lesion in its first row.
    let rows = manifest(out.path());
    let first = rows.iter().find(|row| row["source_mask_pixels"] == SIDE.to_string()).unwrap();
    assert!(first["affine_ras"].ends_with(" 3"), "{}", first["affine_ras"]);
    // A frame beside the images is told, and the others count.
    segmentation(&path, AXIAL, &[("0\\0\\3", None), ("0\\0\\7.5", None)]);
    let (out, summary) = made(source.path(), whole());
    assert_eq!(lesions(out.path()), [SIDE]);
    assert!(
        summary.notes.iter().any(|note| note.starts_with("1 frame(s) of DICOM SEG objects")),
        "{:?}",
        summary.notes
    );
    // If none of them lies at an image, the images do not count as free of lesion.
    segmentation(&path, AXIAL, &[("0\\0\\1.5", None), ("5\\0\\3", None)]);
    let error = try_made(source.path(), whole()).1.unwrap_err().to_string();
    assert!(error.contains("3 of 3 image(s) or volume(s) could not be prepared"), "{error}");
    assert!(error.contains("0.dcm: no mask found"), "{error}");
}

/// Values that all lie below the threshold are told, with their file: the images would pass for free of lesion.
#[test]
fn a_faint_fractional_segmentation_is_told() {
    let source = tempfile::tempdir().unwrap();
    series(source.path());
    let frames = [("0\\0\\0", Some("1.2.3.0")), ("0\\0\\3", Some("1.2.3.1"))];
    fraction(&source.path().join("seg.dcm"), AXIAL, &frames, [90, 200]);
    let with = |seg_threshold: f64| made(source.path(), PrepareConfig { seg_threshold, empty_share: 1.0, ..whole() });
    let is_told = |text: &&String| text.contains("fractional DICOM SEG");
    let (out, summary) = with(0.5);
    assert_eq!(lesions(out.path()), [0, 0, 0]);
    let warning = summary.warnings.iter().find(is_told).expect("a warning");
    assert!(warning.starts_with("1 of 1 fractional DICOM SEG object(s) have values, but all below"), "{warning}");
    assert!(
        warning.contains("seg_threshold = 0.5,") && warning.contains("0.450 (90 of 200), in seg.dcm."),
        "{warning}"
    );
    assert!(!std::fs::read_to_string(out.path().join("manifest.csv")).unwrap().contains("seg.dcm"));
    let (out, summary) = with(0.4);
    assert_eq!(lesions(out.path()), [0, SIDE, 2 * SIDE]);
    assert!(!summary.warnings.iter().any(|text| is_told(&text)), "{:?}", summary.warnings);
    // The image without lesion is not what is told of.
    fraction(&source.path().join("seg.dcm"), AXIAL, &frames, [0, 200]);
    assert!(!with(0.5).1.warnings.iter().any(|text| is_told(&text)), "nothing is drawn");
}

#[test]
fn a_frame_of_a_segmentation_must_lie_where_the_image_that_it_names_lies() {
    let source = tempfile::tempdir().unwrap();
    series(source.path());
    let path = source.path().join("seg.dcm");
    let named = Some("1.2.3.1");
    // Slices may have been made even along their normal.
    segmentation(&path, AXIAL, &[("0\\0\\3.5", named)]);
    assert_eq!(lesions(made(source.path(), whole()).0.path()), [SIDE]);
    segmentation(&path, "1\\0\\0\\0\\-1\\0", &[("0\\15\\3", named)]);
    let error = try_made(source.path(), whole()).1.unwrap_err().to_string();
    assert!(error.contains("frame 0 of it (counted from 0) lies up to 15.000 mm beside the image"), "{error}");
    let ignored = PrepareConfig { mask_affine: Some(MaskAffine::Ignore), ..whole() };
    let (out, summary) = made(source.path(), ignored);
    assert_eq!(lesions(out.path()), [SIDE]);
    let told = |text: &String| text.contains("corners differ by up to 15.0 mm");
    assert!(summary.warnings.iter().any(told), "{:?}", summary.warnings);
}

/// A mask of several frames belongs to an image of as many; its labels mean what the settings say.
#[test]
fn dicom_masks_have_frames_and_labels() {
    let source = tempfile::tempdir().unwrap();
    let write = |name: &str,
                 frames: usize,
                 marks: Vec<(u16, u16, &'static str, String)>,
                 value: &dyn Fn(usize, usize) -> u16| {
        let mut dicom = Dicom::new(MULTI_FRAME_WORD, frames, SIDE as u16, SIDE as u16);
        dicom.marks = marks;
        dicom.write(&source.path().join(name), |frame, row, column| value(frame, row * SIDE + column));
    };
    let frames = |count: usize| write("a.dcm", count, Vec::new(), &|frame, at| (100 * frame + at) as u16);
    // Frame 0 is empty; frame n has n rows of label n.
    let rows = |frame: usize, at: usize| if at < frame * SIDE { frame as u16 } else { 0 };
    frames(3);
    write("a_mask.dcm", 3, Vec::new(), &rows);
    assert_eq!(lesions(made(source.path(), whole()).0.path()), [SIDE, 2 * SIDE]);
    let second = PrepareConfig { mask_values: Some(MaskValues(vec![MaskValue::Gray(2)])), ..whole() };
    assert_eq!(lesions(made(source.path(), second).0.path()), [2 * SIDE]);
    // An image of one frame does not take the first of several masks.
    frames(1);
    let error = try_made(source.path(), whole()).1.unwrap_err().to_string();
    assert!(error.contains("a_mask.dcm differs in slices: 3, expected 1"), "{error}");
    // Grays of a lossy mask are no labels.
    let lossy = || vec![(0x0028, 0x2110, "CS", "01".to_owned())];
    write("a_mask.dcm", 1, lossy(), &|_, at| if at < SIDE { 250 + (at % 2) as u16 } else { (at % 2) as u16 });
    let error = try_made(source.path(), whole()).1.unwrap_err().to_string();
    assert!(error.contains("3 different values beside 0") && error.contains("prepare.mask_threshold"), "{error}");
    let soft = PrepareConfig { mask_threshold: Some(128.0), ..whole() };
    assert_eq!(lesions(made(source.path(), soft).0.path()), [SIDE]);
    write("a_mask.dcm", 1, lossy(), &|_, at| if at < SIDE { 255 } else { 0 });
    assert_eq!(lesions(made(source.path(), whole()).0.path()), [SIDE]);
}

#[test]
fn contours_of_structure_sets_and_second_kinds_of_masks_are_told() {
    let source = tempfile::tempdir().unwrap();
    series(source.path());
    let mut set = vec![0; 128];
    set.extend(b"DICM");
    set.extend(text(0x0002, 0x0010, "UI", "1.2.840.10008.1.2.1"));
    set.extend(text(0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.481.3"));
    std::fs::write(source.path().join("rs.dcm"), set).unwrap();
    let error = try_made(source.path(), whole()).1.unwrap_err().to_string();
    assert!(error.contains("contours of RT structure sets are not read"), "{error}");
    segmentation(&source.path().join("seg.dcm"), AXIAL, &[("0\\0\\0", Some("1.2.3.0")), ("0\\0\\3", Some("1.2.3.1"))]);
    mask(&source.path().join("0_mask.png"), 4);
    let (out, summary) = made(source.path(), whole());
    assert_eq!(lesions(out.path()), [2 * SIDE, 4 * SIDE]);
    for told in ["1 RT structure set(s) were left out", "1 image(s) have a mask by its name, and DICOM SEG objects"] {
        assert!(summary.notes.iter().any(|note| note.starts_with(told)), "{told}: {:?}", summary.notes);
    }
}

#[test]
fn a_frame_that_needs_more_memory_than_allowed_is_refused() {
    let source = tempfile::tempdir().unwrap();
    let side = 1800_u16;
    Dicom::new(SECONDARY_CAPTURE, 1, side, side).write(&source.path().join("a.dcm"), |_, row, _| row as u16);
    let side = usize::from(side);
    write_png(
        &source.path().join("a_mask.png"),
        side,
        side,
        (0..side * side).map(|at| if at < 400 * side { 255 } else { 0 }).collect(),
    );
    let (out, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut request = request(source.path(), out.path(), whole());
    request.key = Some(key(keys.path()));
    request.cost = Cost::of_bytes(64_000_000);
    let error = run(&request).unwrap_err().to_string();
    // 24 bytes for each of 1800 x 1800 pixels.
    assert!(error.contains("a.dcm: a frame would take 77760000 bytes") && error.contains("--memory"), "{error}");
    request.cost = Cost::of_bytes(100_000_000);
    assert_eq!(run(&request).unwrap().description.pairs, 1);
}

#[test]
fn values_beyond_bits_stored_are_told() {
    let source = tempfile::tempdir().unwrap();
    for (name, factor) in [("a", 1), ("b", 3)] {
        let dicom = Dicom::new(SECONDARY_CAPTURE, 1, SIDE as u16, SIDE as u16);
        // 12 bits hold 1515, and not 4545.
        dicom
            .write(&source.path().join(format!("{name}.dcm")), |_, row, column| (factor * (100 * row + column)) as u16);
        mask(&source.path().join(format!("{name}_mask.png")), 4);
    }
    let (_out, summary) = made(source.path(), whole());
    let told = |text: &String| text.starts_with("1 of 2 DICOM file(s) have values with more bits");
    assert!(summary.warnings.iter().any(told), "{:?}", summary.warnings);
}
