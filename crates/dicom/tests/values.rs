//! Windows, look-up tables, inversion, geometry and the order in which functional groups are searched, compared with closed forms.

mod common;

use common::{
    BIG_ENDIAN, EXPLICIT, IMPLICIT, Pixels, decode, element, encapsulated, file, meta, open, ramp, sequence, text,
};
use pig_dicom::{Error, Laterality, Photometric, SpacingSource, Voi, Window, WindowFunction};

/// A file with a 12-bit ramp and with the attributes `extra` after the pixel module.
fn with(pixels: &Pixels, extra: Vec<Vec<u8>>) -> Vec<u8> {
    let (_, bytes) = ramp(24);
    file(EXPLICIT, &[pixels.elements(), extra, vec![element((0x7FE0, 0x0010), "OW", &bytes)]].concat())
}

fn stored() -> Vec<f64> {
    ramp(24).0.into_iter().map(f64::from).collect()
}

fn window(center: &str, width: &str, function: &str) -> Vec<Vec<u8>> {
    vec![
        text((0x0028, 0x1050), "DS", center),
        text((0x0028, 0x1051), "DS", width),
        text((0x0028, 0x1056), "CS", function),
    ]
}

fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }
}

#[test]
fn windows_follow_the_formulas_of_the_standard() {
    let (low, high) = (0.0, 4095.0);
    let (center, width) = (300.0, 200.0);
    // PS3.3 C.11.2.1.2.1, C.11.2.1.3.2 and C.11.2.1.3.1, written as there.
    let linear = |x: f64| {
        if x <= center - 0.5 - (width - 1.0) / 2.0 {
            low
        } else if x > center - 0.5 + (width - 1.0) / 2.0 {
            high
        } else {
            ((x - (center - 0.5)) / (width - 1.0) + 0.5) * (high - low) + low
        }
    };
    let exact = |x: f64| (((x - center) / width + 0.5) * (high - low) + low).clamp(low, high);
    let sigmoid = |x: f64| (high - low) / (1.0 + (-4.0 * (x - center) / width).exp()) + low;
    let cases: [(&str, &dyn Fn(f64) -> f64); 3] =
        [("LINEAR", &linear), ("LINEAR_EXACT", &exact), ("SIGMOID", &sigmoid)];
    for (function, formula) in cases {
        let frame = &decode(with(&Pixels::default(), window("300", "200", function))).unwrap()[0];
        let windowed = frame.windowed(&Voi::Default).unwrap();
        assert_eq!((windowed.low, windowed.high), (low, high));
        assert_close(&windowed.values, &stored().into_iter().map(formula).collect::<Vec<_>>());
    }
    // The values go beyond the window on both sides.
    assert!(stored().iter().any(|&x| x < 200.0) && stored().iter().any(|&x| x > 400.0));
}

#[test]
fn the_caller_chooses_among_windows() {
    let extra = window("300\\600", "200\\100", "LINEAR_EXACT");
    let frame = &decode(with(&Pixels::default(), extra)).unwrap()[0];
    let values = |voi: Voi| frame.windowed(&voi).unwrap().values;
    assert_eq!(values(Voi::Default), values(Voi::Window(0)));
    assert_eq!(values(Voi::FirstWindow), values(Voi::Window(0)));
    assert_ne!(values(Voi::Window(1)), values(Voi::Window(0)));
    let given = Window { center: 600.0, width: 100.0, function: WindowFunction::LinearExact };
    assert_eq!(values(Voi::Given(given)), values(Voi::Window(1)));
    assert_eq!(values(Voi::FullRange), stored());
    assert!(matches!(frame.windowed(&Voi::Window(2)), Err(Error::OutOfRange { count: 2, .. })));
    assert!(matches!(frame.windowed(&Voi::Lut(0)), Err(Error::OutOfRange { count: 0, .. })));
    let flat = Window { width: 0.0, ..given };
    assert!(matches!(frame.windowed(&Voi::Given(flat)), Err(Error::Invalid { .. })));
}

#[test]
fn monochrome1_is_inverted_on_the_screen_only() {
    let extra = || window("2048", "4096", "LINEAR_EXACT");
    let normal = &decode(with(&Pixels::default(), extra())).unwrap()[0];
    let inverted = Pixels { photometric: "MONOCHROME1", ..Pixels::default() };
    let inverted = &decode(with(&inverted, extra())).unwrap()[0];
    assert_eq!(inverted.photometric(), Photometric::Monochrome1);
    assert_eq!(normal.windowed(&Voi::Default).unwrap(), inverted.windowed(&Voi::Default).unwrap());
    let (a, b) = (normal.display(&Voi::Default).unwrap(), inverted.display(&Voi::Default).unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a + b - 1.0).abs() < 1e-6));
    assert!((a[1] - 37.0 / 4096.0).abs() < 1e-6, "{}", a[1]);
}

#[test]
fn rescale_and_tables_come_before_the_window() {
    let rescale = vec![text((0x0028, 0x1052), "DS", "-1024"), text((0x0028, 0x1053), "DS", "2.5")];
    let frame = &decode(with(&Pixels::default(), rescale)).unwrap()[0];
    assert_eq!(frame.modality().unwrap(), stored().iter().map(|x| x * 2.5 - 1024.0).collect::<Vec<_>>());
    assert_eq!(frame.windowed(&Voi::Default).unwrap().high, 4095.0 * 2.5 - 1024.0);
    // A slope without an intercept is ignored, as in pydicom.
    let frame = &decode(with(&Pixels::default(), vec![text((0x0028, 0x1053), "DS", "2.5")])).unwrap()[0];
    assert_eq!(frame.modality().unwrap(), stored());
    let table = |sequence_tag, first: u16| {
        let descriptor: Vec<u8> = [3, first, 16].iter().flat_map(|word: &u16| word.to_le_bytes()).collect();
        let entries: Vec<u8> = [100_u16, 200, 65535].iter().flat_map(|word| word.to_le_bytes()).collect();
        let inside = [element((0x0028, 0x3002), "US", &descriptor), element((0x0028, 0x3006), "OW", &entries)].concat();
        vec![sequence(sequence_tag, &[inside])]
    };
    // First entry for 37 and below, second for 38, third above.
    let expected: Vec<f64> = stored().iter().map(|&x| if x <= 37.0 { 100.0 } else { 65535.0 }).collect();
    for sequence_tag in [(0x0028, 0x3000), (0x0028, 0x3010)] {
        let frame = &decode(with(&Pixels::default(), table(sequence_tag, 37))).unwrap()[0];
        let windowed = frame.windowed(&Voi::Default).unwrap();
        assert_eq!((windowed.values, windowed.high), (expected.clone(), 65535.0));
    }
    // With a VOI LUT and a window, the table is used unless the caller chooses the window.
    let both = [table((0x0028, 0x3010), 37), window("300", "200", "LINEAR_EXACT")].concat();
    let frame = &decode(with(&Pixels::default(), both)).unwrap()[0];
    assert_eq!(frame.windowed(&Voi::Default).unwrap().values, expected);
    assert_eq!(frame.windowed(&Voi::Lut(0)).unwrap().values, expected);
    assert_ne!(frame.windowed(&Voi::FirstWindow).unwrap().values, expected);
    // Signed pixels have a signed first entry: 65535 is -1.
    let signed = Pixels { signed: 1, ..Pixels::default() };
    let frame = &decode(with(&signed, table((0x0028, 0x3000), 65535))).unwrap()[0];
    assert_eq!(&frame.modality().unwrap()[..3], [200.0, 65535.0, 65535.0]);
}

#[test]
fn bits_beside_the_stored_ones_do_not_count() {
    let words = [0xF123_u16, 0x0FFF, 0x0800, 0x7FFF, 0, 1];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let pixels = |stored, high, signed| Pixels { rows: 1, stored, high, signed, ..Pixels::default() };
    let values = |pixels: Pixels| decode(pixels.native(&bytes)).unwrap()[0].stored().iter().collect::<Vec<_>>();
    assert_eq!(values(pixels(12, 11, 0)), [0x123, 0xFFF, 0x800, 0xFFF, 0, 1].map(f64::from));
    assert_eq!(values(pixels(12, 11, 1)), [0x123, -1, -2048, -1, 0, 1].map(f64::from));
    assert_eq!(values(pixels(12, 15, 0)), [0xF12, 0x0FF, 0x080, 0x7FF, 0, 0].map(f64::from));
    assert_eq!(values(pixels(16, 15, 1)), [0xF123 - 0x10000, 0xFFF, 0x800, 0x7FFF, 0, 1].map(f64::from));
}

#[test]
fn encodings_of_one_object_agree() {
    let (_, bytes) = ramp(24);
    let expected = stored();
    // Implicit: tag, 32-bit length, value. The elements of the builder are short enough to be rewritten.
    let implicit = |element: &Vec<u8>| {
        let length = u32::from(u16::from_le_bytes([element[6], element[7]]));
        [&element[..4], &length.to_le_bytes(), &element[8..]].concat()
    };
    let mut dataset: Vec<u8> = Pixels::default().elements().iter().flat_map(implicit).collect();
    dataset.extend([0xE0, 0x7F, 0x10, 0x00, 48, 0, 0, 0]);
    dataset.extend(&bytes);
    for syntax in [IMPLICIT, EXPLICIT] {
        // A wrong transfer syntax is detected.
        let frames = decode([meta(syntax), dataset.clone()].concat()).unwrap();
        assert!(frames[0].stored().iter().eq(expected.iter().copied()), "{syntax}");
    }
    let swapped = |element: &Vec<u8>| {
        let mut element = element.clone();
        let long = &element[4..6] == b"OW";
        let binary = &element[4..6] == b"US" || long;
        element[..2].reverse();
        element[2..4].reverse();
        let head = if long { 12 } else { 8 };
        element[head - if long { 4 } else { 2 }..head].reverse();
        if binary {
            element[head..].chunks_exact_mut(2).for_each(<[u8]>::reverse);
        }
        element
    };
    let elements = [Pixels::default().elements(), vec![element((0x7FE0, 0x0010), "OW", &bytes)]].concat();
    let big: Vec<u8> = elements.iter().flat_map(swapped).collect();
    let frames = decode([meta(BIG_ENDIAN), big].concat()).unwrap();
    assert!(frames[0].stored().iter().eq(expected.iter().copied()));
    // Native frames in fragments.
    let elements = [Pixels::default().elements(), vec![encapsulated(&[&bytes])]].concat();
    let frames = decode(file("1.2.840.10008.1.2.1.98", &elements)).unwrap();
    assert!(frames[0].stored().iter().eq(expected.iter().copied()));
}

#[test]
fn frames_are_asked_before_shared_groups_and_those_before_the_object() {
    let group = |tag, inside: Vec<u8>| sequence(tag, &[inside]);
    let spacing = |value: &str| group((0x0028, 0x9110), text((0x0028, 0x0030), "DS", value));
    let position = |z: &str| group((0x0020, 0x9113), text((0x0020, 0x0032), "DS", &format!("1\\2\\{z}")));
    let voi = |center: &str| {
        let inside = [text((0x0028, 0x1050), "DS", center), text((0x0028, 0x1051), "DS", "10")].concat();
        group((0x0028, 0x9132), inside)
    };
    let slope = |value: &str| {
        let inside = [text((0x0028, 0x1052), "DS", "5"), text((0x0028, 0x1053), "DS", value)].concat();
        group((0x0028, 0x9145), inside)
    };
    let side = |value: &str| group((0x0020, 0x9071), text((0x0020, 0x9072), "CS", value));
    let shared = [spacing("0.1\\0.2"), voi("70"), slope("2"), side("L")].concat();
    let first = [position("3"), voi("90"), slope("3")].concat();
    let second = [position("4"), spacing("0.3\\0.4"), side("R")].concat();
    let extra = vec![
        text((0x0028, 0x0030), "DS", "9\\9"),
        text((0x0018, 0x5101), "CS", "MLO"),
        sequence((0x5200, 0x9229), &[shared]),
        sequence((0x5200, 0x9230), &[first, second]),
    ];
    let image = open(with(&Pixels { rows: 2, frames: "2".into(), ..Pixels::default() }, extra)).unwrap();
    assert_eq!(image.info().laterality, Some(Laterality::Left));
    assert_eq!(image.info().view.as_deref(), Some("MLO"));
    let [first, second] = [0, 1].map(|index| image.frame_info(index).unwrap());
    let of = |info: &pig_dicom::FrameInfo| {
        let spacing = info.spacing.unwrap();
        assert_eq!(spacing.source, SpacingSource::PixelSpacing);
        (spacing.row, spacing.column, info.position.unwrap()[2], info.windows[0].center, info.slope, info.laterality)
    };
    assert_eq!(of(&first), (0.1, 0.2, 3.0, 90.0, 3.0, Some(Laterality::Left)));
    assert_eq!(of(&second), (0.3, 0.4, 4.0, 70.0, 2.0, Some(Laterality::Right)));
    // The slope that holds for the frame is applied.
    let frame = image.frame(1).unwrap();
    let expected: Vec<f64> = stored()[12..].iter().map(|x| x * 2.0 + 5.0).collect();
    assert_eq!(frame.modality().unwrap(), expected);
    assert!(matches!(image.frame(2), Err(Error::OutOfRange { asked: 2, count: 2, .. })));
    assert!(matches!(image.frame_info(2), Err(Error::OutOfRange { .. })));
}

#[test]
fn fragments_find_their_frames() {
    let frames: Vec<Vec<u8>> = (0..3).map(|frame| common::rle(&[frame * 100 + 7; 24])).collect();
    let halves: Vec<&[u8]> = frames.iter().flat_map(|frame| <[&[u8]; 2]>::from(frame.split_at(64))).collect();
    let pixels = Pixels { frames: "3".into(), ..Pixels::default() };
    let decode_all = |data: Vec<u8>, before: Vec<Vec<u8>>| {
        decode(file(common::RLE, &[pixels.elements(), before, vec![data]].concat()))
    };
    let right = |frames: &[pig_dicom::Frame]| {
        frames.iter().enumerate().all(|(index, frame)| frame.stored().iter().all(|v| v == (index * 100 + 7) as f64))
    };
    // One fragment per frame needs no offset table.
    let whole: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    assert!(right(&decode_all(encapsulated(&whole), vec![]).unwrap()));
    // Two fragments per frame need one: a basic table, an extended one, and neither.
    let starts: Vec<u32> = (0..3).map(|frame| frame * (frames[0].len() as u32 + 16)).collect();
    let basic: Vec<u8> = starts.iter().flat_map(|start| start.to_le_bytes()).collect();
    let with_table = |table: &[u8]| {
        let items: Vec<u8> = halves.iter().flat_map(|half| common::item(half)).collect();
        let value = [common::item(table), items, common::SEQUENCE_END.to_vec()].concat();
        common::raw((0x7FE0, 0x0010), "OB", common::UNDEFINED, &value)
    };
    assert!(right(&decode_all(with_table(&basic), vec![]).unwrap()));
    let extended: Vec<u8> = starts.iter().flat_map(|&start| u64::from(start).to_le_bytes()).collect();
    // Written as OB, because the builder does not support OV.
    let extended = element((0x7FE0, 0x0001), "OB", &extended);
    assert!(right(&decode_all(with_table(&[]), vec![extended]).unwrap()));
    assert!(matches!(decode_all(with_table(&[]), vec![]), Err(Error::Invalid { .. })));
    let mut wrong = basic;
    wrong[4] ^= 2;
    assert!(matches!(decode_all(with_table(&wrong), vec![]), Err(Error::Invalid { .. })));
    // Fewer fragments than frames.
    assert!(matches!(decode_all(encapsulated(&whole[..2]), vec![]), Err(Error::Invalid { .. })));
}

#[test]
fn a_window_without_width_is_no_usable_window() {
    for (width, usable) in [("0", false), ("0.5", false), ("1", true), ("400", true)] {
        let image = common::open(with(&Pixels::default(), window("40", width, "LINEAR"))).unwrap();
        let info = image.frame_info(0).unwrap();
        assert_eq!(info.has_usable_voi(), usable, "{width}");
        assert_eq!(info.windows[0].is_valid(), usable, "{width}");
    }
    assert!(!common::open(with(&Pixels::default(), Vec::new())).unwrap().frame_info(0).unwrap().has_usable_voi());
}

#[test]
fn values_with_more_bits_than_stated_are_noticed() {
    let file_of = |words: &[u16], signed: u16, extra: Vec<Vec<u8>>| {
        let bytes: Vec<u8> = words.iter().cycle().take(24).flat_map(|word| word.to_le_bytes()).collect();
        let elements = [Pixels { signed, ..Pixels::default() }.elements(), extra];
        open(file(EXPLICIT, &[elements.concat(), vec![element((0x7FE0, 0x0010), "OW", &bytes)]].concat())).unwrap()
    };
    let found = |words: &[u16], signed: u16| file_of(words, signed, Vec::new()).has_higher_bits(0).unwrap();
    assert!(!found(&[0, 4095], 0) && found(&[0, 4096], 0) && found(&[0xF123], 0));
    // -1 with and without its sign in the higher bits.
    assert!(!found(&[0xFFFF, 0x07FF], 1) && !found(&[0x0FFF], 1) && found(&[0x1FFF], 1));
    // An overlay in bit 15.
    let overlay = vec![element((0x6000, 0x0102), "US", &15_u16.to_le_bytes())];
    assert!(!file_of(&[0x8001], 0, overlay).has_higher_bits(0).unwrap());
    let image = open(Pixels::default().compressed(common::RLE, &common::rle(&ramp(24).0))).unwrap();
    assert!(!image.has_higher_bits(0).unwrap());
    assert!(matches!(image.has_higher_bits(1), Err(Error::OutOfRange { .. })));
}

#[test]
fn identifiers_of_any_character_set_are_read() {
    for (bytes, expected) in [
        (&b"M\xFCller 7"[..], "M\u{fc}ller 7"),
        ("M\u{fc}ller 7".as_bytes(), "M\u{fc}ller 7"),
        (&b"\xC9\xBD\x8C\xF3"[..], "\u{c9}\u{bd}\u{8c}\u{f3}"),
    ] {
        let mut elements = Pixels::default().elements();
        elements.retain(|element| element[..4] != [0x10, 0, 0x20, 0]);
        elements.push(element((0x0010, 0x0020), "LO", bytes));
        elements.push(element((0x7FE0, 0x0010), "OW", &ramp(24).1));
        let image = open(file(EXPLICIT, &elements)).unwrap();
        assert_eq!(image.info().patient_id.as_ref().unwrap().reveal(), expected);
    }
}

/// As in pydicom, the first centre and the first width are a window, whatever else is there.
#[test]
fn damaged_windows_leave_the_pixels_readable() {
    for (center, width, count, usable) in [
        ("40\\300", "400", 2, true),
        ("40", "400\\1500", 2, true),
        ("NaN", "400", 1, false),
        ("40,5", "400", 1, false),
        ("40", "  ", 1, false),
    ] {
        let image = common::open(with(&Pixels::default(), window(center, width, "LINEAR"))).unwrap();
        let info = image.frame_info(0).unwrap();
        assert_eq!((info.windows.len(), info.has_usable_voi()), (count, usable), "{center} and {width}");
        let frame = image.frame(0).unwrap();
        assert_eq!(frame.modality().unwrap(), stored());
        assert_eq!(frame.windowed(&Voi::Default).is_ok(), usable);
    }
}

/// Pixels do not depend on where they lie.
#[test]
fn geometry_that_cannot_be_used_counts_as_not_given() {
    let spacing = |value: &str| text((0x0028, 0x0030), "DS", value);
    let imager = text((0x0018, 0x1164), "DS", "0.1\\0.2");
    let position = |value: &str| text((0x0020, 0x0032), "DS", value);
    for (extra, expected, unusable) in [
        (vec![spacing("0\\0")], None, true),
        (vec![spacing("0.5")], None, true),
        (vec![spacing("0,5\\0,5")], None, true),
        (vec![spacing("  ")], None, false),
        (vec![spacing("0\\0"), imager], Some((0.1, 0.2)), true),
        (vec![position("1\\2")], None, true),
        (vec![position("1,5\\2,5\\3,5"), spacing("1\\2")], Some((1.0, 2.0)), true),
        (vec![text((0x0018, 0x0050), "DS", "thin")], None, true),
        (vec![spacing("1\\2")], Some((1.0, 2.0)), false),
    ] {
        let image = common::open(with(&Pixels::default(), extra)).unwrap();
        let info = image.frame_info(0).unwrap();
        assert_eq!(info.spacing.map(|spacing| (spacing.row, spacing.column)), expected);
        assert_eq!((info.unusable_geometry, info.position, info.slice_thickness), (unusable, None, None));
        assert_eq!(image.plane(0).unwrap().spacing.map(|[row, column]| (row, column)), expected);
        assert_eq!(image.frame(0).unwrap().modality().unwrap(), stored());
    }
}
