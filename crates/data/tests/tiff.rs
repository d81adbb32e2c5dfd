//! TIFFs that are ordinary although the image library refuses them: palettes, gray with alpha, few bits, YCbCr.

use std::path::Path;

use pig_data::config::{MaskValue, MaskValues};
use pig_data::read::{ImageHeader, count_labels, read_header, read_image, read_mask};
use pig_data::{DataConfig, DataError};
use tempfile::tempdir;
use tiff::encoder::{TiffEncoder, colortype::Gray8};
use tiff::tags::Tag;

/// An uncompressed TIFF of one strip, written by hand: `entries` are further tags with their values of 16 bits.
fn hand_made(
    little: bool,
    size: [u16; 2],
    bits: u16,
    photometric: u16,
    entries: &[(u16, Vec<u16>)],
    data: &[u8],
) -> Vec<u8> {
    let number = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let long = |value: u32| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let strip = |tag, value: u16| (tag, vec![value]);
    let mut tags =
        vec![strip(256, size[0]), strip(257, size[1]), strip(258, bits), strip(259, 1), strip(262, photometric)];
    tags.extend([strip(278, size[1]), strip(279, data.len() as u16)]);
    tags.extend(entries.to_vec());
    // The strip lies behind the header, then long values, then the directory.
    let mut file = [if little { *b"II" } else { *b"MM" }, number(42)].concat();
    file.extend([0; 4]);
    tags.push(strip(273, 8));
    tags.sort();
    file.extend(data);
    let mut directory = number(tags.len() as u16).to_vec();
    for (tag, values) in &tags {
        directory.extend([number(*tag), number(3)].concat());
        directory.extend(long(values.len() as u32));
        let bytes: Vec<u8> = values.iter().flat_map(|&value| number(value)).collect();
        if bytes.len() <= 4 {
            directory.extend([bytes.clone(), vec![0; 4 - bytes.len()]].concat());
        } else {
            directory.extend(long(file.len() as u32));
            file.extend(bytes);
        }
    }
    directory.extend([0; 4]);
    let start = long(file.len() as u32);
    file[4..8].copy_from_slice(&start);
    file.extend(directory);
    file
}

fn colours(path: &Path, bytes: &[u8]) -> Vec<f32> {
    std::fs::write(path, bytes).unwrap();
    read_image(path, 3).unwrap().data
}

/// A table of `count` colours (i, 0, 255 - i) in 16 bits.
fn table(count: u16) -> (u16, Vec<u16>) {
    let channel = |value: fn(u16) -> u16| (0..count).map(move |index| value(index) * 257);
    (320, channel(|i| i).chain(channel(|_| 0)).chain(channel(|i| 255 - i)).collect())
}

#[test]
fn palettes_are_read_as_their_colours() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("p.tif");
    for little in [true, false] {
        let eight = hand_made(little, [3, 2], 8, 3, &[table(256)], &[0, 1, 2, 7, 200, 255]);
        let expected: Vec<f32> =
            [0, 1, 2, 7, 200, 255].iter().flat_map(|&i| [i as f32, 0.0, 255.0 - i as f32]).collect();
        assert_eq!(colours(&path, &eight), expected, "{little}");
        assert_eq!(
            read_header(&path).unwrap(),
            ImageHeader { width: 3, height: 2, bit_depth: 8, colour: true },
            "{little}"
        );
        // Three values of four bits a row: the last half byte of a row is empty.
        let four = hand_made(little, [3, 2], 4, 3, &[table(16)], &[0x12, 0x30, 0xf0, 0x50]);
        let red: Vec<f32> = colours(&path, &four).into_iter().step_by(3).collect();
        assert_eq!(red, [1.0, 2.0, 3.0, 15.0, 0.0, 5.0], "{little}");
        let one = hand_made(little, [9, 1], 1, 3, &[(320, vec![0, 65535, 0, 65535, 0, 65535])], &[0b1010_0000, 0x80]);
        let expected: Vec<u8> = vec![1, 0, 1, 0, 0, 0, 0, 0, 1];
        std::fs::write(&path, &one).unwrap();
        assert_eq!(read_mask(&path, &DataConfig::default()).unwrap().data, expected, "{little}");
    }
    // Some writers store 8-bit colours as they are.
    let small = (320, (0..768).map(|index| if index < 256 { index } else { 0 }).collect());
    let bytes = hand_made(true, [2, 1], 8, 3, &[small], &[9, 255]);
    assert_eq!(colours(&path, &bytes), [9.0, 0.0, 0.0, 255.0, 0.0, 0.0]);
    // A table that is too short, and tags that end early.
    std::fs::write(&path, hand_made(true, [2, 1], 8, 3, &[(320, vec![0; 30])], &[9, 255])).unwrap();
    assert!(matches!(read_image(&path, 1), Err(DataError::Unreadable { .. })));
    std::fs::write(&path, &bytes[..bytes.len() - 40]).unwrap();
    assert!(read_image(&path, 1).is_err());
}

#[test]
fn gray_of_few_bits_fills_the_range() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("g.tif");
    let red = |bytes: &[u8]| colours(&path, bytes).into_iter().step_by(3).collect::<Vec<f32>>();
    assert_eq!(red(&hand_made(true, [3, 1], 4, 1, &[], &[0x0f, 0x80])), [0.0, 255.0, 136.0]);
    assert_eq!(red(&hand_made(true, [4, 1], 2, 1, &[], &[0b0001_1011])), [0.0, 85.0, 170.0, 255.0]);
    assert_eq!(red(&hand_made(true, [4, 1], 2, 0, &[], &[0b0001_1011])), [255.0, 170.0, 85.0, 0.0], "white is zero");
}

#[test]
fn gray_with_an_opaque_alpha_is_gray() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let with = |extra: &[u16], bits: u16, data: &[u8]| {
        let mut entries = vec![(277, vec![2])];
        entries.extend((!extra.is_empty()).then(|| (338, extra.to_vec())));
        let mut bits_each = hand_made(true, [2, 1], bits, 1, &entries, data);
        // BitsPerSample has one value for each sample.
        let at = bits_each.windows(4).position(|four| four == [2, 1, 3, 0]).unwrap();
        bits_each[at + 4] = 2;
        bits_each[at + 10..at + 12].copy_from_slice(&bits.to_le_bytes());
        std::fs::write(&path, bits_each).unwrap();
        read_image(&path, 1)
    };
    for extra in [1, 2] {
        assert_eq!(with(&[extra], 8, &[7, 255, 90, 255]).unwrap().data, [7.0, 90.0]);
    }
    assert_eq!(with(&[2], 16, &[7, 1, 255, 255, 90, 0, 255, 255]).unwrap().data, [263.0, 90.0]);
    assert_eq!(read_header(&path).unwrap(), ImageHeader { width: 2, height: 1, bit_depth: 16, colour: false });
    assert!(matches!(with(&[2], 8, &[7, 255, 90, 254]), Err(DataError::Transparent { count: 1, .. })));
    for extra in [&[][..], &[0]] {
        let error = with(extra, 8, &[7, 255, 90, 255]).unwrap_err().to_string();
        assert!(error.contains("two gray bands"), "{error}");
    }
}

/// Written by Pillow as YCbCr with JPEG compression and tables of their own; the colours are Pillow's.
#[test]
fn luma_and_colour_differences_become_colours() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("y.tif");
    let bytes = include_bytes!("fixtures/ycbcr.tif");
    let found = colours(&path, bytes);
    let expected = [[78.0, 182.0, 105.0], [139.0, 130.0, 161.0], [207.0, 68.0, 221.0]];
    for (at, colour) in [5 * 56 + 7, 20 * 56 + 30, 39 * 56 + 55].into_iter().zip(expected) {
        let found = &found[3 * at..3 * at + 3];
        assert!(
            found.iter().zip(colour).all(|(a, b): (&f32, f32)| (a - b).abs() <= 2.0),
            "{found:?} is not {colour:?}"
        );
    }
    // Its strip of 263 bytes lies at byte 8. Zeros in its middle leave the file's structure whole.
    let mut cut = bytes.to_vec();
    cut[200..269].fill(0);
    std::fs::write(&path, cut).unwrap();
    let error = read_image(&path, 3).unwrap_err().to_string();
    assert!(error.contains("y.tif") && error.contains("the JPEG is not whole"), "{error}");
}

#[test]
fn other_pixels_are_named() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("o.tif");
    let write = |format: u16, bits: u16, data: &[u8]| {
        std::fs::write(&path, hand_made(true, [2, 1], bits, 1, &[(339, vec![format])], data)).unwrap();
    };
    let (one, half, wide) = (1.0_f32.to_le_bytes(), 0.5_f32.to_le_bytes(), 70_000_u32.to_le_bytes());
    let minus = (-1_i16).to_le_bytes();
    for (format, bits, data, word) in [
        (2, 16, [minus, [0, 0]].concat(), "16-bit signed with values such as -1"),
        (3, 32, [one, half].concat(), "32-bit floating point with values such as 0.5"),
        (1, 32, [[0; 4], wide].concat(), "32-bit with values such as 70000"),
    ] {
        write(format, bits, &data);
        let error = read_image(&path, 1).unwrap_err();
        assert!(matches!(&error, DataError::UnsupportedPixels { found, .. } if found == word), "{error}");
    }
    // Whole numbers from 0 to 65535 are read, whatever their type: label maps of NumPy have 64 bits.
    for (format, bits, data) in [
        (2, 8, vec![3, 0]),
        (2, 16, vec![3, 0, 0, 0]),
        (2, 32, vec![3, 0, 0, 0, 0, 0, 0, 0]),
        (2, 64, [3_i64.to_le_bytes(), [0; 8]].concat()),
        (1, 32, vec![3, 0, 0, 0, 0, 0, 0, 0]),
        (3, 32, [3.0_f32.to_le_bytes(), [0; 4]].concat()),
        (3, 64, [3.0_f64.to_le_bytes(), [0; 8]].concat()),
    ] {
        write(format, bits, &data);
        assert_eq!(read_image(&path, 1).unwrap().data, [3.0, 0.0], "{format}, {bits}");
        assert_eq!(read_mask(&path, &DataConfig::default()).unwrap().data, [1, 0], "{format}, {bits}");
        let header = ImageHeader { width: 2, height: 1, bit_depth: 16, colour: false };
        assert_eq!(read_header(&path).unwrap(), header, "{format}, {bits}");
    }
    // An ordinary file with its orientation tag is left to the image library.
    let mut encoder = TiffEncoder::new(std::fs::File::create(&path).unwrap()).unwrap();
    let mut image = encoder.new_image::<Gray8>(2, 1).unwrap();
    image.encoder().write_tag(Tag::Orientation, 2_u16).unwrap();
    image.write_data(&[3, 4]).unwrap();
    drop(encoder);
    assert_eq!(read_image(&path, 1).unwrap().data, [4.0, 3.0]);
}

/// Label images of ImageJ and others: the index is the label, whatever its colour.
#[test]
fn indices_of_a_palette_are_labels() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("l.tif");
    let lesion = |label: u16| {
        let values = Some(MaskValues(vec![MaskValue::Gray(label)]));
        read_mask(&path, &DataConfig { mask_values: values, ..DataConfig::default() }).unwrap().data
    };
    for little in [true, false] {
        std::fs::write(&path, hand_made(little, [3, 2], 8, 3, &[table(256)], &[0, 1, 2, 2, 1, 0])).unwrap();
        assert_eq!(lesion(1), [0, 1, 0, 0, 1, 0], "{little}");
        assert_eq!(lesion(2), [0, 0, 1, 1, 0, 0], "{little}");
        let expected = [("0", 2), ("1", 2), ("2", 2)].map(|(label, count)| (label.to_owned(), count));
        assert_eq!(count_labels(&path).unwrap().into_iter().collect::<Vec<_>>(), expected, "{little}");
        std::fs::write(&path, hand_made(little, [3, 1], 4, 3, &[table(16)], &[0x12, 0x10])).unwrap();
        assert_eq!(lesion(1), [1, 0, 1], "{little}");
    }
    // Turned by 180 degrees, as the colours are.
    std::fs::write(&path, hand_made(true, [3, 1], 8, 3, &[table(256), (274, vec![3])], &[0, 1, 2])).unwrap();
    assert_eq!(lesion(2), [1, 0, 0]);
    // Gray of few bits, too, stores labels.
    std::fs::write(&path, hand_made(true, [4, 1], 4, 1, &[], &[0x01, 0x2f])).unwrap();
    assert_eq!((lesion(1), lesion(15), lesion(17)), (vec![0, 1, 0, 0], vec![0, 0, 0, 1], vec![0, 1, 0, 0]));
}

/// Files with addresses of 64 bits.
#[test]
fn a_big_tiff_is_read() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("b.tif");
    let mut encoder = TiffEncoder::new_big(std::fs::File::create(&path).unwrap()).unwrap();
    encoder.write_image::<Gray8>(3, 2, &[0, 7, 9, 200, 31, 255]).unwrap();
    drop(encoder);
    assert_eq!(std::fs::read(&path).unwrap()[2], 43);
    assert_eq!(read_image(&path, 1).unwrap().data, [0.0, 7.0, 9.0, 200.0, 31.0, 255.0]);
    assert_eq!(read_header(&path).unwrap(), ImageHeader { width: 3, height: 2, bit_depth: 8, colour: false });
}
