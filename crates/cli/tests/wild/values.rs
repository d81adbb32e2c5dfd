//! Pixels: what values mean, what is damaged, and which way up a picture is.

use crate::{
    common::{Folder, json, picture, pig, stderr, stdout, success},
    input::{assert_says, gray, lesion, prepared, tiny},
};
use image::{DynamicImage, GrayImage, ImageDecoder as _, ImageReader};
use std::{collections::BTreeMap, path::Path};

/// About 150 gray levels stay apart, and a brighter pixel stays the brighter one.
#[test]
fn row_44_twelve_bits_in_sixteen_keep_their_levels() {
    let Some(made) = prepared("44-12bit-in-16/src", "96", &[]) else { return };
    made.succeeds(4).says(&["4 picture(s) have 16 bits, but values from 544 to 3232", "prepare.window = \"stored\""]);
    for row in &made.rows {
        let id = &row["id"];
        let stored = ["tif", "png"].map(|ending| made.at("in/images").join(format!("{id}.{ending}")));
        let stored = stored.iter().find(|path| path.is_file()).unwrap();
        let stored = image::open(stored).unwrap().to_luma16();
        let mut levels: BTreeMap<u16, u8> = BTreeMap::new();
        for (before, after) in stored.pixels().zip(made.image(row).pixels()) {
            let known = *levels.entry(before.0[0]).or_insert(after.0[0]);
            assert_eq!(known, after.0[0], "{id}: one value became two");
        }
        assert!(levels.values().is_sorted(), "{id}: values changed their order");
        let (before, mut after) = (levels.len(), levels.into_values().collect::<Vec<_>>());
        after.dedup();
        assert!(before >= 146 && after.len() >= before - 5, "{id}: {before} values became {}", after.len());
        assert_eq!(row["source_mask_pixels"], "797", "{id}");
    }
}

/// Labels within 0.01 of a whole number count as it.
#[test]
fn row_22_labels_with_noise_count() {
    let Some(made) = prepared("22-nnunet/scaled", "[28,32]", &[]) else { return };
    made.succeeds(4);
    assert_eq!(made.lesions(), [144; 4], "576 pixels in all");
    let Some(made) = prepared("22-nnunet/scaled", "[28,32]", &["prepare.mask_values=[2]"]) else { return };
    made.succeeds(4);
    let lesions: usize = made.lesions().iter().sum();
    assert_eq!(lesions, 192, "of one label alone");
}

#[test]
fn rows_22_and_33_labels_that_no_table_declares_are_errors() {
    let Some(made) = prepared("22-nnunet/png255", "64", &["prepare.empty_share=1.0"]) else { return };
    assert_eq!((made.output.status.code(), made.rows.len()), (Some(1), 0), "{}", made.said());
    let unexpected = "labelsTr/img0.png: unexpected labels: 255 (317 pixel(s))";
    made.says(&["4 of 4 image(s) or volume(s) could not be prepared", unexpected, "declares: 0, 1"]);
    let Some(made) = prepared("33-nnunet-mixed255/src", "64", &["prepare.empty_share=1.0"]) else { return };
    made.fails(3, 1, &["labelsTr/img2.png: unexpected labels: 255 (317 pixel(s))", "declares: 0, 1"]);
    for row in &made.rows {
        let id = &row["id"];
        assert!(["img0", "img1", "img3"].contains(&id.as_str()), "{id}");
        assert!(made.image(row) == gray(&made.at("in/imagesTr").join(format!("{id}_0000.png"))), "{id}");
        assert_eq!(made.mask(row), lesion(&made.at("in/labelsTr").join(format!("{id}.png"))), "{id}");
    }
}

/// The picture as its tag turns it, by the image library alone.
fn turned(path: &Path) -> (GrayImage, bool) {
    let mut decoder = ImageReader::open(path).unwrap().into_decoder().unwrap();
    let orientation = decoder.orientation().unwrap();
    let mut image = DynamicImage::from_decoder(decoder).unwrap();
    image.apply_orientation(orientation);
    (image.to_luma8(), orientation != image::metadata::Orientation::NoTransforms)
}

#[test]
fn row_07_pictures_are_turned_as_their_tags_say() {
    for (place, size, height) in [("07-exif/rot180", "64", "64"), ("07-exif/rot90", "[64,96]", "64")] {
        let Some(made) = prepared(place, size, &[]) else { return };
        made.succeeds(4).says(&["4 of 4 picture(s) were turned or mirrored, as their orientation tags say"]);
        for row in &made.rows {
            let id = &row["id"];
            let (expected, is_turned) = turned(&made.at("in/images").join(format!("{id}.jpg")));
            let found = made.image(row);
            assert_eq!((found.dimensions(), is_turned), (expected.dimensions(), true), "{place}, {id}");
            let apart = found.pixels().zip(expected.pixels()).map(|(a, b)| a.0[0].abs_diff(b.0[0])).max().unwrap();
            assert!(apart <= 3, "{place}, {id}: {apart}");
            let mask = made.mask(row);
            assert_eq!(mask, lesion(&made.at("in/masks").join(format!("{id}.png"))), "{place}, {id}");
            // The lesion is bright, and the mask lies on it.
            let mean = |inside: bool| {
                let values = found.pixels().zip(&mask).filter(|(_, is)| **is == inside).map(|(p, _)| f64::from(p.0[0]));
                let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
                sum / count
            };
            assert!(mean(true) > mean(false) + 55.0, "{place}, {id}: {} and {}", mean(true), mean(false));
            assert_eq!((row["turned"].as_str(), row["source_height"].as_str()), ("false", height), "{place}, {id}");
        }
    }
}

#[test]
fn row_01_masks_saved_as_jpeg_need_a_threshold() {
    let Some(made) = prepared("01-jpeg-masks/src", "96", &[]) else { return };
    assert_eq!((made.output.status.code(), made.rows.len()), (Some(1), 0), "{}", made.said());
    made.says(&["masks/cju0.jpg", "found 25 value(s): 0, 1, 2", "set prepare.mask_threshold", "prepare.mask_values"]);
    assert!(!made.said().contains("data.mask"), "{}", made.said());
    let Some(made) = prepared("01-jpeg-masks/src", "96", &["prepare.mask_threshold=128"]) else { return };
    made.succeeds(6);
    for row in &made.rows {
        let stored = gray(&made.at("in/masks").join(format!("{}.jpg", row["id"])));
        let expected: Vec<bool> = stored.pixels().map(|pixel| pixel.0[0] >= 128).collect();
        assert_eq!(made.mask(row), expected, "{}", row["id"]);
    }
    assert_eq!(made.lesions(), [797; 6]);
}

#[test]
fn row_20_frames_left_over_are_mentioned() {
    let Some(made) = prepared("20-dicom/nframes-missing", "[40,36]", &[]) else { return };
    made.succeeds(1)
        .says(&["1 of 1 DICOM file(s) hold more frames than their Number of Frames says: 2 frame(s) were left out"]);
    assert_eq!(made.lesions(), [100]);
}

#[test]
fn row_20_flat_pictures_and_windows_of_width_0_are_told() {
    let Some(made) = prepared("20-dicom/slope0", "[40,36]", &[]) else { return };
    made.succeeds(1).says(&["warning: 1 of 1 image(s) or volume(s) are flat"]);
    let Some(made) = prepared("20-dicom/window-width0", "[40,36]", &[]) else { return };
    made.succeeds(1).says(&["a window that cannot be used, such as one of width 0: percentiles were used instead"]);
    let image = made.image(&made.rows[0]);
    let [least, most] = [image.pixels().min_by_key(|p| p.0[0]), image.pixels().max_by_key(|p| p.0[0])];
    assert_eq!((least.unwrap().0[0], most.unwrap().0[0]), (0, 255), "percentiles use the whole range");
}

#[test]
fn row_21_masks_with_another_affine_need_a_setting() {
    let Some(made) = prepared("21-nifti/maskeye", "[28,32]", &[]) else { return };
    assert_eq!((made.output.status.code(), made.rows.len()), (Some(1), 0), "{}", made.said());
    made.says(&["c.nii.gz: the mask c_mask.nii.gz differs in geometry", "prepare.mask_affine = \"ignore\""]);
    let Some(made) = prepared("21-nifti/maskeye", "[28,32]", &["prepare.mask_affine=ignore"]) else { return };
    made.succeeds(2).says(&["warning: 1 of 1 mask(s) have another affine than their image, which was ignored"]);
    assert_eq!(made.lesions(), [96, 96]);
}

#[test]
fn rows_21_and_22_zeros_behind_gzip_and_a_byte_order_mark_are_read() {
    for (place, pairs) in [("21-nifti/gz-trailing", 2), ("22-nnunet/bom", 4)] {
        let Some(made) = prepared(place, "[28,32]", &[]) else { return };
        made.succeeds(pairs);
        assert_eq!(made.lesions(), vec![96; pairs], "{place}");
    }
}

#[test]
fn row_08_a_cut_jpeg_is_an_error_in_prepare() {
    let Some(made) = prepared("08-truncated/jpg", "128", &[]) else { return };
    made.fails(1, 1, &["images/cut.jpg", "the JPEG is not whole: it ends within its picture"]);
    assert_eq!((made.rows[0]["id"].as_str(), made.lesions()), ("ok", vec![797]));
    let inspected = pig(&["inspect", &made.folder.at("in")]);
    assert_eq!(inspected.status.code(), Some(1));
    assert_says(&stdout(&inspected), &["unreadable: 1", "images/cut.jpg"]);
}

/// Masks that are 92 % lesion are mostly exchanged with their background.
#[test]
fn masks_that_are_mostly_lesion_are_told() {
    let folder = Folder::new();
    for index in 0..4 {
        let name = format!("{index}.png");
        picture(&folder.path().join("in/images").join(&name), 40, |x, y| (x * 3 + y * 2 + index * 5) as u8);
        picture(&folder.path().join("in/masks").join(&name), 40, |x, _| if x < 3 { 0 } else { 255 });
    }
    let words = "the masks of 4 of 4 picture(s) with lesion cover more than half of the picture";
    let (from, run) = (folder.at("in"), folder.at("run"));
    let said = stderr(&success(pig(&["prepare", &from, &folder.at("out")])));
    assert_says(&said, &["warning: ", words, "prepare.mask_values"]);
    let plan = success(tiny(&["train", "--data", &from, "--out", &run, "--dry-run", "--json"], &[]));
    assert_says(&json(&plan)["warnings"].to_string(), &[words, "data.mask_values"]);
    assert_says(&stdout(&success(pig(&["inspect", &from]))), &[words]);
}
