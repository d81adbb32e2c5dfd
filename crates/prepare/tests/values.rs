//! Values that mean nothing are named, and those that are only unusual are read: labels, soft masks, windows, unused bits.

mod common;

use std::io::Write;
use std::path::Path;

use common::dicom::{Dicom, SECONDARY_CAPTURE};
use common::*;
use pig_prepare::PrepareConfig;
use pig_prepare::pipeline::Summary;
use pig_prepare::settings::{CropRule, MaskAffine, WindowRule};
use pig_testing::shared;

/// The result of preparing a folder into a new one, whose files are kept.
struct Made {
    out: tempfile::TempDir,
    result: pig_prepare::Result<Summary>,
}

fn made(source: &Path, config: PrepareConfig) -> Made {
    let (out, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut request = request(source, out.path(), config);
    request.key = Some(key(keys.path()));
    let result = run(&request);
    Made { out, result }
}

impl Made {
    fn summary(&self) -> &Summary {
        self.result.as_ref().unwrap()
    }

    /// The lesion pixels of all source masks.
    fn lesion(&self) -> usize {
        manifest(self.out.path()).iter().map(|row| row["source_mask_pixels"].parse::<usize>().unwrap()).sum()
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.out.path().join("errors.csv")).unwrap()
    }

    /// The prepared images, in the order of the manifest.
    fn images(&self) -> Vec<Vec<u16>> {
        manifest(self.out.path()).iter().map(|row| read_gray(&self.out.path().join(&row["image"])).2).collect()
    }
}

const SIZE: [usize; 3] = [12, 10, 3];
const VOXELS: usize = SIZE[0] * SIZE[1] * SIZE[2];

fn volume() -> Vec<u8> {
    let voxels: Vec<u8> = (0..VOXELS).flat_map(|index| ((index * 7 % 200) as i16).to_le_bytes()).collect();
    nifti(SIZE, 4, 16, [1.0; 3], &voxels)
}

/// A mask of 32-bit floating point, in which each of the first 36 voxels of slice 1 is `lesion` and the others are `rest`.
fn soft(lesion: f32, rest: f32) -> Vec<u8> {
    let slice = SIZE[0] * SIZE[1];
    let value = |index: usize| if (slice..slice + 36).contains(&index) { lesion } else { rest };
    nifti(SIZE, 16, 32, [1.0; 3], &(0..VOXELS).flat_map(|index| value(index).to_le_bytes()).collect::<Vec<u8>>())
}

/// An nnU-Net folder with one volume and one mask.
fn nnunet(mask: &[u8]) -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    let put = |place: &str, bytes: &[u8]| {
        let path = source.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    put("imagesTr/a_0000.nii", &volume());
    put("labelsTr/a.nii", mask);
    // With a byte order mark, as some editors write it.
    let json = r#"{"channel_names": {"0": "CT"}, "labels": {"background": 0, "tumour": 1}, "file_ending": ".nii"}"#;
    put("dataset.json", format!("\u{feff}{json}").as_bytes());
    source
}

#[test]
fn labels_with_noise_count_and_labels_that_nothing_declares_are_errors() {
    let made_of = |mask: Vec<u8>, config| made(nnunet(&mask).path(), config);
    for lesion in [1.0, 1.000_015_3, 0.9999] {
        let made = made_of(soft(lesion, 1e-5), small(16));
        assert_eq!((made.summary().description.pairs, made.lesion()), (1, 36), "{lesion}");
    }
    let keep = || PrepareConfig { empty_share: 1.0, ..small(16) };
    for (lesion, words) in [
        (255.0, "unexpected labels: 255 (36 voxel(s)); expected the labels that dataset.json declares: 0, 1"),
        (1.4, "are not labels: 1.4 (36 voxel(s))"),
        (f32::NAN, "NaN (36 voxel(s))"),
        (-1.0, "-1 (36 voxel(s))"),
    ] {
        let made = made_of(soft(lesion, 0.0), keep());
        let error = made.result.as_ref().unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("labelsTr/a.nii"), "{lesion}: {error}");
        assert!(made.errors().contains("labelsTr/a.nii") && !error.contains("empty_share"), "{error}");
    }
    let named = PrepareConfig { mask_values: Some(values(&[255])), ..small(16) };
    assert_eq!(made_of(soft(255.0, 0.0), named).lesion(), 36);
    let threshold = PrepareConfig { mask_threshold: Some(0.3), ..small(16) };
    assert_eq!(made_of(soft(0.4, 0.0), threshold).lesion(), 36);
}

fn values(labels: &[u16]) -> pig_data::config::MaskValues {
    pig_data::config::MaskValues(labels.iter().map(|&label| pig_data::config::MaskValue::Gray(label)).collect())
}

#[test]
fn pictures_with_labels_that_nothing_declares_are_errors() {
    let source = tempfile::tempdir().unwrap();
    for (name, lesion) in [("a", 255), ("b", 1)] {
        write_png(&source.path().join(format!("imagesTr/{name}_0000.png")), 20, 20, picture(20, 20, 1));
        let mask =
            disc(20, 20, [10.0, 10.0], 4.0).into_iter().map(|value| if value > 0 { lesion } else { 0 }).collect();
        write_png(&source.path().join(format!("labelsTr/{name}.png")), 20, 20, mask);
    }
    let json = r#"{"channel_names": {"0": "US"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".png"}"#;
    std::fs::write(source.path().join("dataset.json"), json).unwrap();
    let made = made(source.path(), PrepareConfig { empty_share: 1.0, ..small(16) });
    assert_eq!((made.summary().description.pairs, made.summary().errors.len()), (1, 1));
    let reason = &made.summary().errors[0].1;
    assert!(reason.contains("labelsTr/a.png: unexpected labels: 255 (") && reason.contains("0, 1"), "{reason}");
}

/// A palette may show grays that fall while their indices grow: then people see another mask than the one by index.
#[test]
fn palettes_of_grays_in_another_order_are_told_with_a_file() {
    let source = tempfile::tempdir().unwrap();
    write_pair(source.path(), "a", 16, 16, 1, 4.0);
    for name in ["b", "c"] {
        write_png(&source.path().join(format!("images/{name}.png")), 16, 16, picture(16, 16, 2));
        let file = std::fs::File::create(source.path().join(format!("masks/{name}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, 16, 16);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(vec![255, 255, 255, 0, 0, 0]);
        let indices: Vec<u8> = (0..256).map(|at| u8::from(at >= 40)).collect();
        encoder.write_header().unwrap().write_image_data(&indices).unwrap();
    }
    // Index 1 is black and covers most; 255 is beyond all indices, and so is the gray that the palette shows.
    for (label, lesion, taken) in [(1, 216, "the indices count"), (255, 40, "the grays that people see count")] {
        let made = made(source.path(), PrepareConfig { mask_values: Some(values(&[label])), ..small(16) });
        let told: Vec<&String> = made.summary().warnings.iter().filter(|text| text.contains("another order")).collect();
        let [told] = told[..] else { panic!("{:?}", made.summary().warnings) };
        assert!(told.starts_with("2 of 3 mask(s)") && told.contains("such as masks/b.png: "), "{told}");
        assert!(told.contains(taken), "{told}");
        let pixels: Vec<String> =
            manifest(made.out.path()).iter().map(|row| row["source_mask_pixels"].clone()).collect();
        assert_eq!(pixels.iter().filter(|pixels| **pixels == lesion.to_string()).count(), 2, "{pixels:?}");
    }
}

/// LiTS and KiTS mark the organ by 1 and the tumour by 2: without a word, the organ would be lesion.
#[test]
fn labels_of_volumes_that_nothing_tells_apart_are_told() {
    let mask = |first: u8, second: u8| {
        let value = |index: usize| match index {
            10..40 => first,
            40..60 => second,
            _ => 0,
        };
        nifti(SIZE, 2, 8, [1.0; 3], &(0..VOXELS).map(value).collect::<Vec<u8>>())
    };
    let source = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        std::fs::write(source.path().join(format!("{name}.nii")), volume()).unwrap();
    }
    let told = |made: &Made| made.summary().warnings.iter().find(|text| text.contains("count as lesion")).cloned();
    let write = |masks: [Vec<u8>; 2]| {
        for (name, mask) in ["a_mask.nii", "b_mask.nii"].into_iter().zip(masks) {
            std::fs::write(source.path().join(name), mask).unwrap();
        }
    };
    write([mask(1, 2), mask(1, 70)]);
    let all = made(source.path(), small(16));
    let warning = told(&all).expect("a warning");
    assert!(warning.starts_with("2 mask(s) of volumes hold the labels 1, 2, 63 or more, and all"), "{warning}");
    assert_eq!(all.lesion(), 100);
    let some = made(source.path(), PrepareConfig { mask_values: Some(values(&[2])), ..small(16) });
    assert_eq!((told(&some), some.lesion()), (None, 20));
    write([mask(1, 1), mask(1, 0)]);
    assert_eq!(told(&made(source.path(), small(16))), None);
}

#[test]
fn soft_masks_of_other_folders_need_a_threshold() {
    for (lesion, rest, config, expected) in [
        (0.4, 0.0, small(16), None),
        (1.0, 1e-6, small(16), Some(36)),
        (0.4, 0.1, PrepareConfig { mask_threshold: Some(0.25), ..small(16) }, Some(36)),
    ] {
        let source = tempfile::tempdir().unwrap();
        std::fs::write(source.path().join("c.nii"), volume()).unwrap();
        std::fs::write(source.path().join("c_mask.nii"), soft(lesion, rest)).unwrap();
        let made = made(source.path(), config);
        if let Some(pixels) = expected {
            assert_eq!(made.lesion(), pixels);
        } else {
            let error = made.result.unwrap_err().to_string();
            assert!(error.contains("0.4 (36 voxel(s))") && error.contains("prepare.mask_threshold"), "{error}");
        }
    }
    let both = PrepareConfig { mask_threshold: Some(1.0), mask_values: Some(values(&[1])), ..small(16) };
    assert!(both.check().unwrap_err().to_string().contains("prepare.mask_threshold = 1; expected nothing"));
}

#[test]
fn masks_saved_as_jpeg_need_a_threshold() {
    let source = tempfile::tempdir().unwrap();
    write_png(&source.path().join("images/a.png"), 64, 64, picture(64, 64, 1));
    let mask = disc(64, 64, [30.0, 34.0], 14.0);
    let area = mask.iter().filter(|&&value| value > 0).count();
    std::fs::create_dir_all(source.path().join("masks")).unwrap();
    let file = std::fs::File::create(source.path().join("masks/a.jpg")).unwrap();
    image::codecs::jpeg::JpegEncoder::new_with_quality(file, 75)
        .encode(&mask, 64, 64, image::ColorType::L8.into())
        .unwrap();
    let error = made(source.path(), small(64)).result.unwrap_err().to_string();
    assert!(error.contains("masks/a.jpg") && error.contains("prepare.mask_threshold"), "{error}");
    let made = made(source.path(), PrepareConfig { mask_threshold: Some(128.0), ..small(64) });
    assert!((made.lesion() as f64 / area as f64 - 1.0).abs() < 0.01, "{} of {area}", made.lesion());
}

#[test]
fn gzip_members_and_zeros_behind_them_are_read_and_garbage_is_not() {
    let packed = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mask = soft(1.0, 0.0);
    let (first, second) = mask.split_at(700);
    let members = [packed(first), packed(second)].concat();
    for (behind, whole) in [(vec![], true), (vec![0; 70_000], true), (vec![0, 0, 7], false), (b"PK".to_vec(), false)] {
        let source = tempfile::tempdir().unwrap();
        std::fs::write(source.path().join("c.nii.gz"), packed(&volume())).unwrap();
        std::fs::write(source.path().join("c_mask.nii.gz"), [members.clone(), behind.clone()].concat()).unwrap();
        let made = made(source.path(), small(16));
        if whole {
            assert_eq!(made.lesion(), 36, "{} bytes behind", behind.len());
        } else {
            let error = made.result.unwrap_err().to_string();
            assert!(error.contains("c_mask.nii.gz") && error.contains("gzip data are damaged"), "{error}");
        }
    }
}

#[test]
fn a_mask_with_another_affine_is_refused_or_taken_with_a_warning() {
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("c.nii"), volume()).unwrap();
    let mut mask = soft(1.0, 0.0);
    mask[280..284].copy_from_slice(&1.0_f32.to_le_bytes());
    std::fs::write(source.path().join("c_mask.nii"), mask).unwrap();
    let error = made(source.path(), small(16)).result.unwrap_err().to_string();
    assert!(error.contains("differs in geometry") && error.contains("prepare.mask_affine = \"ignore\""), "{error}");
    let config = PrepareConfig { mask_affine: Some(MaskAffine::Ignore), ..small(16) };
    let made = made(source.path(), config);
    assert_eq!(made.lesion(), 36);
    // The corners are mirrored along 12 voxels of 1 mm: 2 x 11 mm.
    let warnings = &made.summary().warnings;
    assert!(
        warnings.iter().any(|text| text.contains("1 of 1 mask(s)") && text.contains("up to 22.0 mm")),
        "{warnings:?}"
    );
}

/// A DICOM image with a mask beside it.
fn dicom(window: Option<[f64; 2]>, slope: Option<&str>) -> tempfile::TempDir {
    let source = tempfile::tempdir().unwrap();
    let mut dicom = Dicom::new(SECONDARY_CAPTURE, 1, 32, 32);
    dicom.window = window;
    if let Some(slope) = slope {
        dicom.marks.push((0x0028, 0x1052, "DS", "5".to_owned()));
        dicom.marks.push((0x0028, 0x1053, "DS", slope.to_owned()));
    }
    dicom.write(&source.path().join("a.dcm"), |_, row, column| (100 * row + column) as u16);
    write_png(&source.path().join("a_mask.png"), 32, 32, disc(32, 32, [16.0, 16.0], 5.0));
    source
}

#[test]
fn a_window_of_width_0_is_replaced_and_a_flat_picture_is_told() {
    let all = PrepareConfig { percentiles: [0.0, 100.0], crop: CropRule::None, ..small(32) };
    let made_of = |source: tempfile::TempDir, config: &PrepareConfig| made(source.path(), config.clone());
    let broken = made_of(dicom(Some([50.0, 0.0]), None), &all);
    let (images, notes) = (broken.images(), &broken.summary().notes);
    assert_eq!((images[0][0], images[0][1023]), (0, 255));
    assert!(
        notes.iter().any(|note| note.starts_with("1 of 1 DICOM file(s) have a window that cannot be used")),
        "{notes:?}"
    );
    assert!(broken.summary().warnings.is_empty(), "{:?}", broken.summary().warnings);
    let voi = PrepareConfig { window: WindowRule::Voi, ..small(32) };
    let error = made_of(dicom(Some([50.0, 0.0]), None), &voi).result.unwrap_err().to_string();
    assert!(error.contains("a.dcm"), "{error}");
    let whole = made_of(dicom(Some([1600.0, 3200.0]), None), &all);
    assert!(!whole.summary().notes.iter().any(|note| note.contains("window")), "{:?}", whole.summary().notes);
    let flat = made_of(dicom(None, Some("0")), &all);
    let warnings = &flat.summary().warnings;
    assert!(warnings.iter().any(|text| text.starts_with("1 of 1 image(s) or volume(s) are flat")), "{warnings:?}");
}

#[test]
fn frames_that_the_header_does_not_count_are_told() {
    let source = dicom(None, None);
    let path = source.path().join("a.dcm");
    let mut bytes = std::fs::read(&path).unwrap();
    // Two frames more, behind the first.
    let (length, at) = (32 * 32 * 2_u32, bytes.len() - 32 * 32 * 2);
    bytes[at - 4..at].copy_from_slice(&(3 * length).to_le_bytes());
    bytes.extend(vec![1; 2 * length as usize]);
    std::fs::write(&path, bytes).unwrap();
    let made = made(source.path(), small(32));
    let warnings = &made.summary().warnings;
    assert!(
        warnings.iter().any(|text| text.starts_with("1 of 1 DICOM file(s)") && text.contains("2 frame(s)")),
        "{warnings:?}"
    );
}

#[test]
fn pictures_are_turned_as_their_tags_say() {
    let source = tempfile::tempdir().unwrap();
    let upright = image::GrayImage::from_fn(48, 32, |x, y| image::Luma([if x < 16 && y < 8 { 220 } else { 40 }]));
    std::fs::create_dir_all(source.path().join("images")).unwrap();
    // Stored upside down, with the tag that says so.
    let mut jpeg = Vec::new();
    let stored = image::imageops::rotate180(&upright);
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95).encode_image(&stored).unwrap();
    let tag = [b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0".as_slice(), &[0; 4]]
        .concat();
    jpeg.splice(2..2, tag);
    std::fs::write(source.path().join("images/a.jpg"), jpeg).unwrap();
    let bright = |index: usize| index % 48 < 16 && index / 48 < 8;
    write_png(
        &source.path().join("masks/a.png"),
        32,
        48,
        (0..32 * 48).map(|i| if bright(i) { 255 } else { 0 }).collect(),
    );
    let made = made(source.path(), PrepareConfig { size: [32, 48], ..small(1) });
    let image = &made.images()[0];
    let mean = |inside: bool| {
        let values: Vec<f64> = (0..32 * 48).filter(|&i| bright(i) == inside).map(|i| f64::from(image[i])).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    assert!(mean(true) > 200.0 && mean(false) < 60.0, "{} {}", mean(true), mean(false));
    let notes = &made.summary().notes;
    assert!(notes.iter().any(|note| note.starts_with("1 of 1 picture(s) were turned")), "{notes:?}");
}

/// 16-bit pictures with values from `low` to `high`, and masks.
fn wide(root: &Path, names: &[&str], low: u16, high: u16) {
    std::fs::create_dir_all(root.join("images")).unwrap();
    for name in names {
        let values: Vec<u8> = (0..64 * 64_u32)
            .flat_map(|index| (low + (u32::from(high - low) * index / 4095) as u16).to_ne_bytes())
            .collect();
        let path = root.join(format!("images/{name}.png"));
        image::save_buffer(path, &values, 64, 64, image::ColorType::L16).unwrap();
        write_png(&root.join(format!("masks/{name}.png")), 64, 64, disc(64, 64, [30.0, 30.0], 8.0));
    }
}

fn levels(values: &[u16]) -> usize {
    values.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn twelve_bits_in_sixteen_are_shown_in_their_own_range() {
    let source = tempfile::tempdir().unwrap();
    wide(source.path(), &["a"], 544, 2000);
    wide(source.path(), &["b"], 600, 3232);
    let out = tempfile::tempdir().unwrap();
    let prepare = |config| run(&request(source.path(), out.path(), config)).unwrap();
    let noted = |summary: Summary, words: &str| {
        assert!(summary.notes.iter().any(|note| note.contains(words)), "{words}: {:?}", summary.notes);
        summary.kept
    };
    assert_eq!(noted(prepare(small(64)), "2 picture(s) have 16 bits, but values from 544 to 3232"), 0);
    let rows = manifest(out.path());
    let images: Vec<Vec<u16>> = rows.iter().map(|row| read_gray(&out.path().join(&row["image"])).2).collect();
    // Black and white are the least and the greatest value of both.
    assert_eq!((images[0][0], images[1][4095]), (0, 255));
    assert!(levels(&images[0]) > 130 && levels(&images[1]) > 240, "{} {}", levels(&images[0]), levels(&images[1]));
    assert_eq!((rows[0]["window_low"].as_str(), rows[1]["window_high"].as_str()), ("544", "3232"));
    // An 8-bit picture is told; a brighter one changes the range of all with 16 bits, so that these are made again.
    write_pair(source.path(), "eight", 64, 64, 1, 8.0);
    assert_eq!(noted(prepare(small(64)), "The other 1 picture(s) have 8 bits"), 2);
    wide(source.path(), &["c"], 500, 4000);
    assert_eq!(noted(prepare(small(64)), "values from 500 to 4000"), 1);
    let stored = made(source.path(), PrepareConfig { window: WindowRule::Stored, ..small(64) });
    assert!(levels(&stored.images()[0]) < 15);
    // Pictures that use all of their bits are shown as they are stored.
    let full = tempfile::tempdir().unwrap();
    wide(full.path(), &["a"], 0, 65535);
    let made = made(full.path(), small(64));
    assert_eq!(manifest(made.out.path())[0]["window_high"], "65535");
}

#[test]
fn masks_that_cover_most_of_most_pictures_are_told() {
    for (inverted, whole, warned) in [(6, 2, true), (3, 5, false)] {
        let source = tempfile::tempdir().unwrap();
        for index in 0..inverted + whole {
            let name = index.to_string();
            write_pair(source.path(), &name, 40, 40, 1, 6.0);
            if index < inverted {
                let mask = disc(40, 40, [20.0, 20.0], 6.0).into_iter().map(|value| 255 - value).collect();
                write_png(&source.path().join(format!("masks/{name}.png")), 40, 40, mask);
            }
        }
        let made = made(source.path(), small(40));
        let told = made.summary().warnings.iter().any(|text| {
            text.contains(&format!("masks of {inverted} of {}", inverted + whole))
                && text.contains("prepare.mask_values")
        });
        assert_eq!(told, warned, "{:?}", made.summary().warnings);
    }
}

/// The rows of ../shared/wild that concern values: folder, settings, pairs, lesion pixels.
#[test]
fn inputs_from_the_wild_have_the_right_values() {
    let Some(wild) = shared("wild") else { return };
    let threshold = PrepareConfig { mask_threshold: Some(128.0), ..small(96) };
    let ignore = PrepareConfig { mask_affine: Some(MaskAffine::Ignore), ..small(64) };
    for (place, config, pairs, pixels) in [
        ("22-nnunet/scaled", small(64), None, Some(576)),
        ("22-nnunet/bom", small(64), None, None),
        ("21-nifti/gz-trailing", small(64), None, None),
        ("21-nifti/maskeye", ignore, None, None),
        ("20-dicom/slope0", small(64), Some(1), None),
        ("20-dicom/window-width0", small(64), Some(1), None),
        ("20-dicom/nframes-missing", small(64), Some(1), None),
        ("07-exif/rot180", small(64), Some(4), None),
        ("07-exif/rot90", small(64), Some(4), None),
        ("23-seg/binary1", small(64), Some(3), None),
        ("01-jpeg-masks/src", threshold, Some(6), Some(6 * 797)),
        ("44-12bit-in-16/src", small(64), Some(4), None),
    ] {
        let made = made(&wild.join(place), config);
        assert!(made.summary().errors.is_empty(), "{place}: {:?}", made.summary().errors);
        assert!(pairs.is_none_or(|pairs| made.summary().description.pairs == pairs), "{place}");
        assert!(pixels.is_none_or(|pixels| made.lesion() == pixels), "{place}: {}", made.lesion());
        if place.starts_with("44") {
            let levels: Vec<usize> = made.images().iter().map(|image| levels(image)).collect();
            assert!(levels.iter().all(|&levels| (130..=256).contains(&levels)), "{levels:?}");
        }
    }
    for (place, words) in [
        ("22-nnunet/png255", "unexpected labels: 255"),
        ("21-nifti/maskeye", "prepare.mask_affine"),
        ("08-truncated/jpg", "images/cut.jpg"),
        ("39-cbis/src", "000001.dcm differs in size: 40 x 62 pixels, expected 40 x 60 pixels"),
    ] {
        let made = made(&wild.join(place), PrepareConfig { empty_share: 1.0, ..small(64) });
        assert!(made.errors().contains(words), "{place}: {}", made.errors());
    }
}

/// Of three masks, the settings find lesion in the one that has 255; those of 0 and 1 are named, and an empty one is not.
#[test]
fn masks_of_other_values_than_the_settings_name_are_told() {
    let source = tempfile::tempdir().unwrap();
    for (name, lesion) in [("a", 255), ("b", 1), ("c", 0)] {
        write_png(&source.path().join(format!("images/{name}.png")), 20, 20, picture(20, 20, 1));
        let mask = disc(20, 20, [10.0, 10.0], 4.0).into_iter().map(|value| value.min(lesion)).collect();
        write_png(&source.path().join(format!("masks/{name}.png")), 20, 20, mask);
    }
    let words = "1 of 3 mask(s) hold values other than 0, but none that means lesion by prepare.mask_values or";
    let threshold = || PrepareConfig { mask_threshold: Some(128.0), ..small(20) };
    let named = PrepareConfig { mask_values: Some(values(&[255])), empty_share: 1.0, ..small(20) };
    for (config, pairs) in [(threshold(), 1), (named, 3)] {
        let made = made(source.path(), config);
        let summary = made.summary();
        assert_eq!(summary.description.pairs, pairs);
        assert!(summary.warnings.iter().any(|warning| warning.starts_with(words)), "{:?}", summary.warnings);
    }
    // Where 0 means lesion, a mask of 255 alone is an empty one.
    write_png(&source.path().join("masks/c.png"), 20, 20, vec![255; 400]);
    let inverted = PrepareConfig { mask_values: Some(values(&[0])), empty_share: 1.0, ..small(20) };
    let told = made(source.path(), inverted);
    assert!(
        !told.summary().warnings.iter().any(|warning| warning.contains("hold values")),
        "{:?}",
        told.summary().warnings
    );
    write_png(&source.path().join("masks/c.png"), 20, 20, vec![0; 400]);
    let fits = PrepareConfig { mask_threshold: Some(1.0), ..small(20) };
    let made = made(source.path(), fits);
    assert_eq!(
        (made.summary().description.pairs, made.summary().warnings.len()),
        (2, 0),
        "{:?}",
        made.summary().warnings
    );
}
