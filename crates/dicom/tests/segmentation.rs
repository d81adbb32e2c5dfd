//! Segmentations written by highdicom: the masks are those that highdicom reads.

mod common;

use std::path::{Path, PathBuf};

use pig_dicom::{Error, Limits, Object, Segmentation, SegmentationKind, Selection, SourceFrame, open};
use serde_json::Value;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn read(name: &str) -> Segmentation {
    match open(&data().join(format!("{name}.dcm")), &Limits::default()).unwrap() {
        Object::Segmentation(segmentation) => segmentation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn masks_are_those_of_highdicom() {
    let masks: Value = serde_json::from_str(&std::fs::read_to_string(data().join("masks.json")).unwrap()).unwrap();
    let masks = masks.as_object().unwrap();
    assert!(masks.len() >= 4);
    for (name, entries) in masks {
        let segmentation = read(name);
        let mut sources = Vec::new();
        for entry in entries.as_array().unwrap() {
            let source = SourceFrame {
                sop_instance: entry["sop_instance"].as_str().unwrap().into(),
                frame: Some(entry["frame"].as_u64().unwrap() as u32),
            };
            let mask = segmentation.mask(&source, &Selection::All, Some(0.5)).unwrap();
            let found: String = mask.values.iter().map(u8::to_string).collect();
            assert_eq!(found, entry["mask"].as_str().unwrap(), "{name} {:?}", source.frame);
            assert!(found.contains('1') && found.contains('0'));
            sources.push(source);
        }
        assert_eq!(segmentation.sources(), sources, "{name}");
    }
}

#[test]
fn segments_merge_and_can_be_chosen() {
    let segmentation = read("binary");
    assert_eq!(segmentation.info().kind, SegmentationKind::Binary);
    let numbers: Vec<u16> = segmentation.info().segments.iter().map(|segment| segment.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(segmentation.info().segments[0].label.reveal(), "segment 1");
    let source = segmentation.sources().remove(0);
    let of = |numbers: &[u16]| segmentation.mask(&source, &Selection::Numbers(numbers.to_vec()), None).unwrap().values;
    let (first, second, both) = (of(&[1]), of(&[2]), of(&[1, 2]));
    assert_ne!(first, second);
    assert!(both.iter().eq(first.iter().zip(&second).map(|(a, b)| a | b).collect::<Vec<_>>().iter()));
    // The frames themselves are not byte-aligned: 35 pixels each.
    let frames = segmentation.frames();
    let index = frames.iter().position(|frame| frame.segment == 2 && frame.sources.contains(&source)).unwrap();
    assert_eq!(segmentation.frame(index as u32, None).unwrap().values, second);
    assert!(frames[index].plane.position.is_some());
}

#[test]
fn what_was_not_drawn_on_is_empty() {
    let segmentation = read("binary");
    let sop_instance = segmentation.sources()[0].sop_instance.clone();
    let undrawn = SourceFrame { sop_instance: sop_instance.clone(), frame: Some(2) };
    assert!(!segmentation.sources().contains(&undrawn));
    let mask = segmentation.mask(&undrawn, &Selection::All, None).unwrap();
    assert_eq!((mask.rows, mask.columns), (5, 7));
    assert!(mask.values.iter().all(|&value| value == 0));
    let whole = segmentation.mask(&SourceFrame { sop_instance, frame: None }, &Selection::All, None).unwrap();
    assert!(whole.values.iter().map(|&value| u32::from(value)).sum::<u32>() > 20, "every frame of the instance");
    let unknown = SourceFrame { sop_instance: "1.2.3".into(), frame: None };
    assert!(segmentation.mask(&unknown, &Selection::All, None).unwrap().values.iter().all(|&value| value == 0));
}

#[test]
fn fractional_masks_need_a_threshold() {
    let segmentation = read("fractional");
    assert_eq!(segmentation.info().kind, SegmentationKind::Fractional { max: 255 });
    let source = segmentation.sources().remove(0);
    for threshold in [None, Some(0.0), Some(1.5), Some(f64::NAN)] {
        let outcome = segmentation.mask(&source, &Selection::All, threshold);
        assert!(matches!(outcome, Err(Error::Invalid { .. })), "{threshold:?}");
    }
    let count = |threshold| {
        let mask = segmentation.mask(&source, &Selection::All, Some(threshold)).unwrap();
        mask.values.iter().map(|&value| u32::from(value)).sum::<u32>()
    };
    assert!(count(0.01) > count(0.5) && count(0.5) > count(0.99));
    let greatest = segmentation.mask(&source, &Selection::All, Some(1.0)).unwrap().greatest;
    // Half a value below and above, since shares are rounded.
    let beside = |half: f64| count(((f64::from(greatest) + half) / 255.0).min(1.0));
    assert!(beside(-0.5) > 0 && (greatest == 255 || beside(0.5) == 0), "{greatest}");
}

#[test]
fn a_label_map_holds_its_segments_apart() {
    let segmentation = read("labelmap");
    assert_eq!(segmentation.info().kind, SegmentationKind::Labelmap { background: 0 });
    let numbers: Vec<u16> = segmentation.info().foreground().map(|segment| segment.number).collect();
    assert_eq!(numbers, [1, 2]);
    let source = segmentation.sources().remove(0);
    let of = |selection| segmentation.mask(&source, &selection, None).unwrap().values;
    let (first, second, all) = (of(Selection::Numbers(vec![1])), of(Selection::Numbers(vec![2])), of(Selection::All));
    assert!(first.iter().zip(&second).all(|(a, b)| a & b == 0) && first.contains(&1) && second.contains(&1));
    assert!(all.iter().zip(first.iter().zip(&second)).all(|(all, (a, b))| *all == a | b));
}

/// Pixel Padding Value says which value is the background: it need not be 0.
#[test]
fn the_background_of_a_label_map_is_its_padding() {
    let bytes = std::fs::read(data().join("labelmap.dcm")).unwrap();
    // Pixel Padding Value (0028,0120), US: 0 becomes 2, so that the second segment is the background, and 0 a segment.
    let tag = [0x28, 0x00, 0x20, 0x01, b'U', b'S', 2, 0];
    let place = bytes.windows(8).position(|found| found == tag).unwrap();
    let mut changed = bytes.clone();
    assert_eq!(changed[place + 8..place + 10], [0, 0]);
    changed[place + 8] = 2;
    let [before, after] = [bytes, changed]
        .map(|bytes| Segmentation::from_bytes(bytes, Path::new("made.dcm"), &Limits::default()).unwrap());
    assert_eq!(after.info().kind, SegmentationKind::Labelmap { background: 2 });
    assert_eq!(after.info().foreground().map(|segment| segment.number).collect::<Vec<_>>(), [0, 1]);
    let source = before.sources().remove(0);
    let of = |file: &Segmentation, selection| file.mask(&source, &selection, None).unwrap().values;
    let second = of(&before, Selection::Numbers(vec![2]));
    assert!(of(&after, Selection::All).iter().zip(&second).all(|(all, second)| all + second == 1));
    assert!(of(&after, Selection::Numbers(vec![2])).iter().all(|&value| value == 0));
}

#[test]
fn a_segmentation_of_something_unknown_is_refused() {
    let bytes = std::fs::read(data().join("binary.dcm")).unwrap();
    let open = |bytes| Segmentation::from_bytes(bytes, Path::new("made.dcm"), &Limits::default());
    assert!(open(bytes.clone()).is_ok());
    // Referenced Segment Number (0062,000B), US, of the first frame: 2 becomes 9.
    let tag = [0x62, 0x00, 0x0B, 0x00, b'U', b'S', 2, 0];
    let place = bytes.windows(8).position(|found| found == tag).unwrap();
    let mut changed = bytes.clone();
    changed[place + 8] = 9;
    let error = open(changed).unwrap_err();
    assert!(matches!(&error, Error::Invalid { found, .. } if found == "9"), "{error}");
    // Segmentation Type: BINARY becomes another word.
    let place = bytes.windows(6).position(|found| found == b"BINARY").unwrap();
    let mut changed = bytes.clone();
    changed[place] = b'X';
    assert!(open(changed).unwrap_err().to_string().contains("SegmentationType"));
    // Every byte of the header, changed: an error or a mask, no panic.
    for place in (132..bytes.len()).step_by(3) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        if let Ok(segmentation) = open(changed) {
            for source in segmentation.sources() {
                let _ = segmentation.mask(&source, &Selection::All, None);
            }
        }
    }
}

/// The series has images that nothing was drawn on: they are known to be free of lesion.
#[test]
fn the_images_of_the_series_are_listed() {
    let segmentation = read("binary");
    let drawn = segmentation.sources().remove(0).sop_instance;
    assert_eq!(segmentation.info().referenced_instances, [drawn]);
    // A second instance beside the one that highdicom lists: the lengths of item and sequences grow with it.
    let header = [
        common::text((0x0008, 0x1150), "UI", "1.2.840.10008.5.1.4.1.1.2"),
        common::text((0x0008, 0x1155), "UI", "1.2.3"),
    ];
    let instances = common::sequence((0x0008, 0x114A), &[header.concat(), header.concat()]);
    let series = [instances, common::text((0x0020, 0x000E), "UI", "1.2.4")].concat();
    let listed = common::sequence((0x0008, 0x1115), &[series.clone(), series]);
    let bytes = std::fs::read(data().join("binary.dcm")).unwrap();
    let at = bytes.windows(6).position(|found| found == [0x08, 0, 0x15, 0x11, b'S', b'Q']).unwrap();
    let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap());
    assert_ne!(length, u32::MAX, "the test replaces a sequence of defined length");
    let changed = [&bytes[..at], &listed, &bytes[at + 12 + length as usize..]].concat();
    let segmentation = Segmentation::from_bytes(changed, Path::new("made.dcm"), &Limits::default()).unwrap();
    assert_eq!(segmentation.info().referenced_instances, ["1.2.3"; 4]);
    assert_eq!(segmentation.info().referenced_series.as_deref(), Some("1.2.4"));
}
