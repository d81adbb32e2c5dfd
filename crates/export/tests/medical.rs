//! NIfTI and DICOM: headers field by field, pixels read back by other libraries.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use common::{DICOM_LABELMAP, DICOM_SEG, both, done, files, manifest, pair, request, volume};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject, open_file};
use nifti::{NiftiObject, ReaderOptions};
use pig_data::Pixels;
use pig_data::png_file::read_png;
use pig_export::{ExportError, Format, Request};

/// The bytes of a gzip file.
fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut bytes).unwrap();
    bytes
}

fn short(bytes: &[u8], offset: usize) -> i16 {
    i16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

fn float(bytes: &[u8], offset: usize) -> f32 {
    f32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

#[test]
fn a_volume_becomes_one_nifti_file_with_its_spacing() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    volume(&data);
    done(&request(&data, &out, Format::Nifti));
    let names: BTreeSet<String> = files(&out).into_keys().collect();
    let expected = ["images/v.nii.gz", "images/z.nii.gz", "manifest.csv", "masks/v.nii.gz", "masks/z.nii.gz"];
    assert_eq!(names, expected.map(str::to_owned).into());
    let bytes = unpacked(&out.join("images/v.nii.gz"));
    assert_eq!(bytes.len(), 352 + 5 * 3 * 3 * 2);
    assert_eq!(bytes[..4], 348_i32.to_le_bytes());
    let dim: Vec<i16> = (0..8).map(|i| short(&bytes, 40 + 2 * i)).collect();
    assert_eq!(dim, [3, 5, 3, 3, 1, 1, 1, 1]);
    assert_eq!((short(&bytes, 70), short(&bytes, 72)), (512, 16));
    let pixdim: Vec<f32> = (0..4).map(|i| float(&bytes, 76 + 4 * i)).collect();
    assert_eq!(pixdim, [1.0, 0.5, 0.25, 2.0]);
    assert_eq!((float(&bytes, 108), float(&bytes, 112), float(&bytes, 116), bytes[123]), (352.0, 1.0, 0.0, 2));
    assert_eq!((short(&bytes, 252), short(&bytes, 254)), (2, 2));
    let quaternion: Vec<f32> = (0..6).map(|i| float(&bytes, 256 + 4 * i)).collect();
    assert_eq!(quaternion, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    let affine: Vec<f32> = (0..12).map(|i| float(&bytes, 280 + 4 * i)).collect();
    assert_eq!(affine, [-0.5, 0.0, 0.0, 0.0, 0.0, -0.25, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
    assert_eq!(&bytes[344..352], b"n+1\0\0\0\0\0");
    let text = String::from_utf8_lossy(&bytes[148..228]).trim_end_matches('\0').to_owned();
    assert!(text.ends_with("; synthetic=no; spacing in mm"), "{text}");
    // Slices are in the order of their numbers, 7, 8, 9, which are the second, third and first file.
    for (slice, index) in [1, 2, 0].into_iter().enumerate() {
        for (x, y) in [(0, 0), (4, 0), (1, 2)] {
            let place = 352 + 2 * (slice * 15 + y * 5 + x);
            assert_eq!(short(&bytes, place) as usize, x + 100 * y + 1000 * index);
        }
    }
    let rows = manifest(&out);
    let frames: Vec<_> =
        rows.iter().map(|row| [row["id"].as_str(), row["image"].as_str(), row["frame"].as_str()]).collect();
    let v = "images/v.nii.gz";
    assert_eq!(frames, [["s7", v, "1"], ["s8", v, "2"], ["s9", v, "3"], ["z", "images/z.nii.gz", "1"]]);
}

#[test]
fn pictures_become_flat_nifti_files_that_own_up_to_their_spacing() {
    let (folder, generated, _) = both();
    let out = folder.path().join("out");
    let summary = done(&request(&generated, &out, Format::Nifti));
    assert!(summary.warnings.iter().any(|warning| warning.contains("10 of 10 file pair(s) have no known spacing")));
    let header = |out: &Path| unpacked(&out.join("images/p0000_cc.nii.gz"))[..352].to_vec();
    let bytes = header(&out);
    assert_eq!((0..4).map(|i| short(&bytes, 40 + 2 * i)).collect::<Vec<_>>(), [2, 40, 33, 1]);
    assert_eq!((short(&bytes, 70), short(&bytes, 72), float(&bytes, 80)), (2, 8, 1.0));
    let text = String::from_utf8_lossy(&bytes[148..228]).into_owned();
    assert!(text.contains("synthetic=yes; spacing unknown, 1 mm assumed"), "{text}");
    // The crate nifti reads the same pixels.
    for row in manifest(&out) {
        for (kind, scale) in [("image", 1), ("mask", 255)] {
            let read = ReaderOptions::new().read_file(out.join(&row[kind])).unwrap();
            let values = read.into_volume().into_nifti_typed_data::<u8>().unwrap();
            let source = read_png(&generated.join(format!("{kind}s/{}.png", row["source_id"]))).unwrap();
            let Pixels::Eight(expected) = source.pixels else { panic!("16 bit") };
            assert_eq!(values.iter().map(|value| value * scale).collect::<Vec<_>>(), expected);
        }
    }
    let given = folder.path().join("given");
    done(&Request { spacing: Some([0.1, 0.2]), ..request(&generated, &given, Format::Nifti) });
    let bytes = header(&given);
    assert_eq!((float(&bytes, 80), float(&bytes, 84), float(&bytes, 280)), (0.1, 0.2, -0.1));
    assert!(String::from_utf8_lossy(&bytes[148..228]).contains("spacing in mm"));
}

#[test]
fn volumes_with_gaps_or_other_grids_are_not_stacked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut rows = "id,patient,slice,slices,source_sha256,crop_left,slice_spacing_mm\n".to_owned();
    // As `pig prepare` lists them: a gap in a, a different crop in b, every second slice of c, one slice of d.
    let slices =
        [("a", 0, 0), ("a", 1, 0), ("a", 3, 0), ("b", 0, 0), ("b", 1, 5), ("c", 2, 0), ("c", 4, 0), ("d", 6, 0)];
    for (case, number, crop) in slices {
        let id = format!("{case}_{number:04}");
        pair(&data, &id, [4, 4], &[], |x, _| x as u16, |x, _| x == 1);
        writeln!(rows, "{id},{case},{number},9,hash-{case},{crop},1.5").unwrap();
    }
    std::fs::write(data.join("manifest.csv"), rows).unwrap();
    let out = folder.path().join("out");
    let summary = done(&request(&data, &out, Format::Nifti));
    let names: Vec<String> =
        files(&out).into_keys().filter_map(|name| Some(name.strip_prefix("images/")?.to_owned())).collect();
    assert_eq!(
        names,
        ["a_0000", "a_0001", "a_0003", "b_0000", "b_0001", "c", "d"].map(|name| format!("{name}.nii.gz"))
    );
    assert!(summary.warnings.iter().any(|warning| warning.starts_with("2 volume(s)")), "{:?}", summary.warnings);
    // With every second slice, the distance is doubled.
    assert_eq!(float(&unpacked(&out.join("images/c.nii.gz")), 88), 3.0);
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_end_matches('\0').to_owned()
}

fn item(object: &InMemDicomObject, tag: Tag, index: usize) -> InMemDicomObject {
    object.element(tag).unwrap().items().unwrap()[index].clone()
}

fn open(path: &Path) -> DefaultDicomObject {
    let object = open_file(path).unwrap();
    assert_eq!(object.meta().transfer_syntax(), "1.2.840.10008.1.2.1");
    assert_eq!(object.meta().media_storage_sop_instance_uid(), text(&object, tags::SOP_INSTANCE_UID));
    object
}

#[test]
fn a_volume_becomes_a_word_capture_and_a_segmentation_that_names_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    volume(&data);
    done(&request(&data, &out, DICOM_SEG));
    let image = open(&out.join("images/v.dcm"));
    let expected = [
        (tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.7.3"),
        (tags::SYNTHETIC_DATA, "NO"),
        (tags::CONVERSION_TYPE, "WSD"),
        (tags::MODALITY, "OT"),
        (tags::PATIENT_NAME, ""),
        (tags::STUDY_DATE, ""),
        (tags::CONTENT_DATE, "20231114"),
        (tags::CONTENT_TIME, "221320.123000"),
        (tags::NUMBER_OF_FRAMES, "3"),
        (tags::PIXEL_SPACING, "0.25\\0.5"),
        (tags::SLICE_LOCATION_VECTOR, "0\\2\\4"),
        (tags::BITS_ALLOCATED, "16"),
        (tags::BITS_STORED, "16"),
        (tags::HIGH_BIT, "15"),
        (tags::ROWS, "3"),
        (tags::COLUMNS, "5"),
    ];
    for (tag, value) in expected {
        assert_eq!(text(&image, tag), value, "{tag}");
    }
    let pixels = image.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    assert_eq!(pixels, unpacked_words(&data, ["s7", "s8", "s9"]));
    let segmentation = open(&out.join("segmentations/v.dcm"));
    assert_eq!(text(&segmentation, tags::SOP_CLASS_UID), "1.2.840.10008.5.1.4.1.1.66.4");
    assert_eq!(text(&segmentation, tags::STUDY_INSTANCE_UID), text(&image, tags::STUDY_INSTANCE_UID));
    assert_ne!(text(&segmentation, tags::SERIES_INSTANCE_UID), text(&image, tags::SERIES_INSTANCE_UID));
    for frame in 0..3 {
        let group = item(&segmentation, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frame);
        let source = item(&item(&group, tags::DERIVATION_IMAGE_SEQUENCE, 0), tags::SOURCE_IMAGE_SEQUENCE, 0);
        assert_eq!(text(&source, tags::REFERENCED_SOP_INSTANCE_UID), text(&image, tags::SOP_INSTANCE_UID));
        assert_eq!(text(&source, tags::REFERENCED_FRAME_NUMBER), (frame + 1).to_string());
    }
    // 45 pixels are 6 bytes without a gap between frames; column 1, 2 or 0 of the rows 1 and 2 is lesion.
    let bits = segmentation.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    let lesion: Vec<usize> = (0..48).filter(|i| bits[i / 8] >> (i % 8) & 1 == 1).collect();
    assert_eq!((bits.len(), lesion), (6, vec![6, 11, 22, 27, 35, 40]));
}

/// The little-endian bytes of these images, one after the other.
fn unpacked_words(data: &Path, ids: [&str; 3]) -> Vec<u8> {
    let values = ids.map(|id| match read_png(&data.join(format!("images/{id}.png"))).unwrap().pixels {
        Pixels::Sixteen(values) => values,
        Pixels::Eight(_) => panic!("8 bit"),
    });
    values.concat().iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The frames of a label map follow the slices of the volume, and a lesion without classes is the segment 1.
#[test]
fn a_volume_of_one_lesion_becomes_a_label_map() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    volume(&data);
    done(&request(&data, &out, DICOM_LABELMAP));
    let segmentation = open(&out.join("segmentations/v.dcm"));
    assert_eq!(text(&segmentation, tags::NUMBER_OF_FRAMES), "3");
    let segments = segmentation.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap().len();
    assert_eq!(
        (segments, text(&item(&segmentation, tags::SEGMENT_SEQUENCE, 1), tags::SEGMENT_LABEL)),
        (2, "Lesion".into())
    );
    for frame in 0..3 {
        let group = item(&segmentation, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frame);
        let content = item(&group, tags::FRAME_CONTENT_SEQUENCE, 0);
        assert_eq!(content.element(tags::DIMENSION_INDEX_VALUES).unwrap().to_int::<usize>().unwrap(), frame + 1);
        let source = item(&item(&group, tags::DERIVATION_IMAGE_SEQUENCE, 0), tags::SOURCE_IMAGE_SEQUENCE, 0);
        assert_eq!(text(&source, tags::REFERENCED_FRAME_NUMBER), (frame + 1).to_string());
    }
    // 45 bytes and a byte that makes the length even; the lesion is where the binary segmentation has its bits.
    let labels = segmentation.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    let lesion: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == 1).collect();
    assert_eq!((labels.len(), lesion), (46, vec![6, 11, 22, 27, 35, 40]));
}

#[test]
fn generated_captures_say_so_and_hold_nothing_of_a_source() {
    let (folder, generated, real) = both();
    let out = folder.path().join("out");
    done(&Request { real: Some(real), ..request(&generated, &out, DICOM_SEG) });
    let mut uids = BTreeSet::new();
    let mut patients = BTreeSet::new();
    for row in manifest(&out) {
        let image = open(&out.join(&row["image"]));
        let segmentation = open(&out.join(&row["mask"]));
        assert_eq!(text(&image, tags::SOP_CLASS_UID), "1.2.840.10008.5.1.4.1.1.7.2");
        for object in [&image, &segmentation] {
            assert_eq!(text(object, tags::SYNTHETIC_DATA), "YES");
            let uid = text(object, tags::SOP_INSTANCE_UID);
            assert!(uid.starts_with("2.25.") && uids.insert(uid), "an identifier occurs twice");
            assert!(text(object, tags::DERIVATION_DESCRIPTION).starts_with("Synthetic, not acquired from a patient"));
            for tag in [tags::PATIENT_BIRTH_DATE, tags::PATIENT_SEX, tags::STUDY_DATE, tags::ACCESSION_NUMBER] {
                assert_eq!(text(object, tag), "");
            }
            for tag in [tags::PIXEL_SPACING, tags::KVP, tags::IMAGE_POSITION_PATIENT, tags::FRAME_OF_REFERENCE_UID] {
                assert!(object.element(tag).is_err(), "{tag} must be absent: its value would be invented");
            }
        }
        patients.insert((row["origin"].clone(), text(&image, tags::PATIENT_ID)));
        let Pixels::Eight(values) = read_png(&source(&generated, &row)).unwrap().pixels else { panic!("16 bit") };
        assert_eq!(image.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap()[..values.len()], values);
    }
    // Two images of each of four real patients; ten generated pairs without a patient.
    let of = |origin: &str| patients.iter().filter(|(found, _)| found == origin).count();
    assert_eq!((of("real"), of("generated")), (4, 10));
}

/// The image that a row of the manifest was made from.
fn source(generated: &Path, row: &std::collections::BTreeMap<String, String>) -> std::path::PathBuf {
    let folder = if row["origin"] == "real" { generated.with_file_name("real") } else { generated.to_path_buf() };
    folder.join(format!("images/{}.png", row["source_id"]))
}

#[test]
fn another_time_or_seed_gives_other_identifiers() {
    let (folder, generated, _) = both();
    let uid = |name: &str, change: &dyn Fn(&mut Request)| {
        let mut request = request(&generated, &folder.path().join(name), DICOM_SEG);
        change(&mut request);
        done(&request);
        text(&open(&request.out.join("images/p0000_cc.dcm")), tags::SOP_INSTANCE_UID)
    };
    let first = uid("first", &|_| {});
    assert_eq!(first, uid("same", &|_| {}));
    assert_ne!(first, uid("seed", &|request| request.seed = 1));
    assert_ne!(first, uid("time", &|request| request.created += std::time::Duration::from_micros(1)));
}

#[test]
fn sides_beyond_a_header_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    pair(&data, "long", [70_000, 1], &[], |x, _| x as u16, |_, _| false);
    for format in [Format::Nifti, DICOM_SEG] {
        let error = common::run(&request(&data, &folder.path().join("out"), format)).unwrap_err();
        assert!(matches!(error, ExportError::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("long.png") && error.to_string().contains("70000 x 1"), "{error}");
    }
}
