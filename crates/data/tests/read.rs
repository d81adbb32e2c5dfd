//! Reading files: formats, bit depths, colour, alpha, masks of every kind, and damaged files.

mod common;

use std::path::Path;
use std::sync::OnceLock;

use common::{colour8, gray8, gray16};
use image::{ImageBuffer, Luma, LumaA, Rgb, Rgba};
use pig_data::config::{MaskRule, MaskValue, MaskValues};
use pig_data::read::{ImageHeader, Taken, read_header, read_image, read_mask, read_mask_by};
use pig_data::{DataConfig, DataError};
use proptest::prelude::*;
use tempfile::tempdir;

fn mask(path: &Path) -> Result<Vec<u8>, DataError> {
    read_mask(path, &DataConfig::default()).map(|mask| mask.data)
}

fn mask_of(path: &Path, values: &[MaskValue]) -> Result<Vec<u8>, DataError> {
    let config = DataConfig { mask_values: Some(MaskValues(values.to_vec())), ..DataConfig::default() };
    read_mask(path, &config).map(|mask| mask.data)
}

#[test]
fn every_format_and_depth_returns_the_stored_values() {
    let dir = tempdir().unwrap();
    for name in ["g.png", "g.tif", "g.bmp"] {
        let path = dir.path().join(name);
        gray8(&path, 5, 3, |x, y| (x * 50 + y) as u8);
        let image = read_image(&path, 1).unwrap();
        assert_eq!((image.width, image.height, image.channels, image.maximum), (5, 3, 1, 255), "{name}");
        assert_eq!(image.data[7], 101.0, "{name}: row 1, column 2");
        assert_eq!(image.to_8_bits()[7], 101, "{name}");
        assert!(!image.from_colour());
        assert_eq!(read_image(&path, 3).unwrap().data[21..24], [101.0; 3], "{name}: gray is copied to three");
    }
    for name in ["d.png", "d.tif"] {
        let path = dir.path().join(name);
        gray16(&path, 4, 2, |x, y| (x * 15000 + y) as u16);
        let image = read_image(&path, 1).unwrap();
        assert_eq!((image.maximum, image.bit_depth(), image.data[7]), (u16::MAX, 16, 45001.0), "{name}");
        assert_eq!(image.to_8_bits()[7], 175, "{name}: 45001 / 257 is 175.1");
        let header = read_header(&path).unwrap();
        assert_eq!(header, ImageHeader { width: 4, height: 2, bit_depth: 16, colour: false }, "{name}");
    }
    let jpeg = dir.path().join("j.jpg");
    gray8(&jpeg, 16, 16, |_, _| 77);
    assert!(read_image(&jpeg, 1).unwrap().data.iter().all(|value| (value - 77.0).abs() <= 1.0));
    // The content decides the format, not the name.
    let misnamed = dir.path().join("m.jpg");
    std::fs::copy(dir.path().join("g.png"), &misnamed).unwrap();
    assert_eq!(read_image(&misnamed, 1).unwrap().data[7], 101.0);
}

#[test]
fn colour_becomes_luma_and_says_so() {
    let dir = tempdir().unwrap();
    for name in ["c.png", "c.bmp", "c.tif"] {
        let path = dir.path().join(name);
        colour8(&path, 3, 1, |x, _| [[255, 0, 0], [0, 255, 0], [10, 20, 30]][x as usize]);
        let gray = read_image(&path, 1).unwrap();
        assert!(gray.from_colour());
        for (found, expected) in gray.data.iter().zip([76.245, 149.685, 18.15]) {
            assert!((found - expected).abs() < 1e-3, "{name}: {found} is not {expected}");
        }
        assert_eq!(read_image(&path, 3).unwrap().data[6..], [10.0, 20.0, 30.0]);
    }
    let path = dir.path().join("gray_as_colour.png");
    colour8(&path, 2, 2, |x, _| [x as u8 * 9; 3]);
    let gray = read_image(&path, 1).unwrap();
    assert_eq!((gray.from_colour(), gray.data[1]), (false, 9.0));
    let white = dir.path().join("white.png");
    ImageBuffer::<Rgb<u16>, _>::from_fn(2, 1, |x, _| Rgb([u16::MAX, u16::MAX, u16::MAX - x as u16]))
        .save(&white)
        .unwrap();
    assert!(read_image(&white, 1).unwrap().data.iter().all(|&value| value <= 65535.0));
}

#[test]
fn an_opaque_alpha_is_dropped_and_any_other_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.png");
    ImageBuffer::<Rgba<u8>, _>::from_fn(2, 1, |x, _| Rgba([x as u8, 5, 6, 255])).save(&path).unwrap();
    assert_eq!(read_image(&path, 3).unwrap().data, [0.0, 5.0, 6.0, 1.0, 5.0, 6.0]);
    ImageBuffer::<LumaA<u16>, _>::from_fn(2, 1, |x, _| LumaA([x as u16, u16::MAX])).save(&path).unwrap();
    assert_eq!(read_image(&path, 1).unwrap().data, [0.0, 1.0]);
    ImageBuffer::<LumaA<u8>, _>::from_fn(3, 1, |x, _| LumaA([0, if x == 0 { 255 } else { 254 }])).save(&path).unwrap();
    assert!(matches!(read_image(&path, 1), Err(DataError::Transparent { count: 2, .. })));
    assert!(matches!(mask(&path), Err(DataError::Transparent { count: 2, .. })), "a mask only in the alpha channel");
}

#[test]
fn masks_of_two_values_explain_themselves() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("m.png");
    for (low, high) in [(0, 1), (0, 255), (0, 128), (100, 200), (0, 3)] {
        gray8(&path, 2, 2, |x, y| if x == 1 && y == 0 { high } else { low });
        assert_eq!(mask(&path).unwrap(), [0, 1, 0, 0], "{low} and {high}");
    }
    for (value, expected) in [(0, 0), (255, 1), (1, 1)] {
        gray8(&path, 2, 1, |_, _| value);
        assert_eq!(mask(&path).unwrap(), [expected; 2], "all {value}");
    }
    gray16(&path, 2, 1, |x, _| x as u16 * u16::MAX);
    assert_eq!(mask(&path).unwrap(), [0, 1]);
    colour8(&path, 2, 1, |x, _| if x == 1 { [255, 0, 0] } else { [0; 3] });
    assert_eq!(mask(&path).unwrap(), [0, 1], "black and one colour");
    colour8(&path, 2, 1, |x, _| [x as u8 * 255; 3]);
    assert_eq!(mask(&path).unwrap(), [0, 1], "gray stored as colour");
    gray8(&path, 4, 2, |x, _| x as u8 * 85);
    let whole = read_mask(
        &path,
        &DataConfig { mask_values: Some(MaskValues(vec![MaskValue::Gray(85)])), ..DataConfig::default() },
    );
    assert_eq!(whole.unwrap().lesion_pixels(), 2);
}

/// A palette may show grays that fall while their indices grow: then people see another mask than the one by index.
#[test]
fn a_palette_of_grays_in_another_order_is_told() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("m.png");
    let write = |shown: [u8; 3]| {
        let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 4, 1);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(shown.into_iter().flat_map(|gray| [gray; 3]).collect::<Vec<u8>>());
        encoder.write_header().unwrap().write_image_data(&[0, 1, 1, 2]).unwrap();
    };
    let read = |values: Option<&[u16]>| {
        let values = values.map(|values| MaskValues(values.iter().map(|&value| MaskValue::Gray(value)).collect()));
        let mask = read_mask(&path, &DataConfig { mask_values: values, ..DataConfig::default() }).unwrap();
        assert!(mask.holds_values);
        (mask.data, mask.taken)
    };
    write([0, 128, 255]);
    assert_eq!(read(Some(&[1])), (vec![0, 1, 1, 0], None));
    write([0, 255, 0]);
    assert_eq!(read(Some(&[2])), (vec![0, 0, 0, 1], Some(Taken::Indices)));
    assert_eq!(read(Some(&[255])), (vec![0, 1, 1, 0], Some(Taken::Grays)), "beyond all indices");
    assert_eq!(read(None), (vec![0, 1, 1, 0], Some(Taken::Grays)));
    let threshold = DataConfig { mask_threshold: Some(9.0), ..DataConfig::default() };
    assert_eq!(read_mask(&path, &threshold).unwrap().taken, Some(Taken::Grays));
    gray8(&path, 2, 1, |_, _| 0);
    let mask = read_mask(&path, &DataConfig::default()).unwrap();
    assert_eq!((mask.holds_values, mask.taken), (false, None));
}

#[test]
fn ambiguous_masks_are_refused_with_their_values() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("m.png");
    gray8(&path, 3, 1, |x, _| [0, 7, 255][x as usize]);
    let error = mask(&path).unwrap_err().to_string();
    assert!(error.contains("3 value(s): 0, 7, 255") && error.contains("data.mask_values"), "{error}");
    assert!(error.contains("a [[data.classes]] table (without a file: --set 'data.classes=[{name = "), "{error}");
    gray8(&path, 200, 1, |x, _| x as u8);
    let error = mask(&path).unwrap_err().to_string();
    assert!(error.contains("200 value(s): 0, 1, 2") && error.contains("and 184 more"), "{error}");
    gray8(&path, 2, 1, |_, _| 40);
    assert!(matches!(mask(&path), Err(DataError::AmbiguousMask { count: 1, .. })), "all 40 is neither empty nor full");
    colour8(&path, 2, 1, |x, _| [[255, 255, 255], [255, 0, 0]][x as usize]);
    let error = mask(&path).unwrap_err().to_string();
    assert!(error.contains("#ff0000, 255"), "without a black background: {error}");
}

#[test]
fn named_values_decide() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("m.png");
    gray8(&path, 4, 1, |x, _| [0, 1, 2, 3][x as usize]);
    assert_eq!(mask_of(&path, &[MaskValue::Gray(3), MaskValue::Gray(1)]).unwrap(), [0, 1, 0, 1]);
    assert_eq!(mask_of(&path, &[MaskValue::Colour([2; 3])]).unwrap(), [0, 0, 1, 0]);
    colour8(&path, 3, 1, |x, _| [[255, 0, 0], [0, 255, 0], [9, 9, 9]][x as usize]);
    assert_eq!(mask_of(&path, &[MaskValue::Colour([255, 0, 0])]).unwrap(), [1, 0, 0]);
    assert_eq!(mask_of(&path, &[MaskValue::Gray(9)]).unwrap(), [0, 0, 1]);
    ImageBuffer::<Rgb<u16>, _>::from_fn(2, 1, |x, _| Rgb([x as u16 * u16::MAX, 0, 0])).save(&path).unwrap();
    assert_eq!(mask_of(&path, &[MaskValue::Colour([255, 0, 0])]).unwrap(), [0, 1], "8-bit colours match 16-bit ones");
}

#[test]
fn a_threshold_reads_masks_of_grays() {
    let dir = tempdir().unwrap();
    let threshold = |path: &Path, value: f64| {
        read_mask(path, &DataConfig { mask_threshold: Some(value), ..DataConfig::default() }).map(|mask| mask.data)
    };
    let path = dir.path().join("m.png");
    gray8(&path, 4, 1, |x, _| [0, 127, 128, 255][x as usize]);
    assert_eq!(threshold(&path, 128.0).unwrap(), [0, 0, 1, 1]);
    gray16(&path, 3, 1, |x, _| [0, 29_999, 30_000][x as usize]);
    assert_eq!(threshold(&path, 30_000.0).unwrap(), [0, 0, 1]);
    // Rec. 601: 0.587 * 255 = 149.7 of a pure green, 29.1 of a pure blue; a gray counts exactly.
    colour8(&path, 3, 1, |x, _| [[0, 255, 0], [0, 0, 255], [128; 3]][x as usize]);
    assert_eq!(threshold(&path, 128.0).unwrap(), [1, 0, 1]);

    // A disc that was saved as JPEG keeps its area.
    let (jpeg, plain) = (dir.path().join("d.jpg"), dir.path().join("d.png"));
    let disc = |x: u32, y: u32| if x.abs_diff(48).pow(2) + y.abs_diff(48).pow(2) < 256 { 255 } else { 0 };
    colour8(&jpeg, 96, 96, |x, y| [disc(x, y); 3]);
    gray8(&plain, 96, 96, disc);
    let area = |mask: Vec<u8>| mask.into_iter().map(usize::from).sum::<usize>();
    let expected = area(mask(&plain).unwrap());
    let found = area(threshold(&jpeg, 128.0).unwrap());
    assert!(found.abs_diff(expected) * 100 <= expected, "{found}, expected {expected}");
    let error = mask(&jpeg).unwrap_err().to_string();
    assert!(error.contains("set data.mask_threshold") && error.contains("(128 for masks"), "{error}");
    let rule = MaskRule {
        values: None,
        threshold: None,
        classes: &[],
        overlap: false,
        background: None,
        case: None,
        section: "prepare",
    };
    let error = read_mask_by(&jpeg, &rule).unwrap_err().to_string();
    assert!(error.contains("set prepare.mask_threshold") && error.contains("prepare.mask_values = [2, 3]"), "{error}");
    assert!(!error.contains("data."), "{error}");
}

#[test]
fn a_png_without_its_end_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("e.png");
    gray8(&path, 9, 9, |x, y| (x * y) as u8);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..], &[0; 50]].concat()).unwrap();
    assert_eq!(read_image(&path, 1).unwrap().data[80], 64.0, "bytes behind the end do no harm");
    for missing in 1..=12 {
        std::fs::write(&path, &bytes[..bytes.len() - missing]).unwrap();
        for error in [read_image(&path, 1).map(drop), pig_data::png_file::read_png(&path).map(drop)] {
            let said = error.as_ref().map_err(ToString::to_string);
            assert!(matches!(&error, Err(DataError::Unreadable { .. })), "{missing}: {said:?}");
        }
    }
}

#[test]
fn what_is_no_image_is_refused_by_name() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("n.png");
    assert!(matches!(read_image(&path, 1), Err(DataError::Io { .. })));
    for content in [&b""[..], b"no image at all", b"\x89PNG\r\n\x1a\n"] {
        std::fs::write(&path, content).unwrap();
        let error = read_image(&path, 1).unwrap_err();
        assert!(matches!(error, DataError::Unreadable { .. }) && error.to_string().contains("n.png"), "{error}");
    }
    let float = dir.path().join("f.tif");
    ImageBuffer::<Rgb<f32>, _>::from_fn(2, 2, |_, _| Rgb([0.5; 3])).save(&float).unwrap();
    assert!(matches!(read_image(&float, 1), Err(DataError::UnsupportedPixels { .. })));
    assert!(matches!(read_header(&float), Err(DataError::UnsupportedPixels { .. })));
}

#[test]
fn a_header_that_claims_a_giant_is_refused_without_decoding() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("bomb.bmp");
    gray8(&path, 4, 4, |_, _| 0);
    let mut bytes = std::fs::read(&path).unwrap();
    // A BMP stores width and height at offsets 18 and 22.
    bytes[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bytes[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = read_image(&path, 1).unwrap_err();
    assert!(matches!(error, DataError::TooLarge { width: 60_000, height: 60_000, .. }), "{error}");
}

/// Small pictures in every format, as the bytes of their files.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SAMPLES.get_or_init(|| make_samples(tempdir().unwrap().path()))
}

fn make_samples(dir: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for name in ["s.png", "s.jpg", "s.tif", "s.bmp"] {
        let path = dir.join(name);
        gray8(&path, 24, 17, |x, y| (x * y * 7) as u8);
        files.push(std::fs::read(&path).unwrap());
        colour8(&path, 9, 11, |x, y| [x as u8 * 9, y as u8 * 5, 77]);
        files.push(std::fs::read(&path).unwrap());
    }
    for name in ["d.png", "d.tif"] {
        gray16(&dir.join(name), 7, 9, |x, y| (x * y * 999) as u16);
        files.push(std::fs::read(dir.join(name)).unwrap());
    }
    files
}

#[test]
fn truncated_files_never_panic() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("t");
    for bytes in samples() {
        // Every length within the headers, then every fifth.
        for length in (0..bytes.len()).filter(|&length| length < 64 || length % 5 == 0) {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let (image, mask, header) = (read_image(&path, 1), mask(&path), read_header(&path));
            // A truncated file is never read as a whole image of another size.
            if let (Ok(image), Ok(header)) = (&image, &header) {
                assert_eq!(image.data.len(), header.width * header.height);
            }
            drop((image, mask));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn flipped_bits_never_panic(
        which in 0usize..10, flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6)
    ) {
        let dir = tempdir().unwrap();
        let mut bytes = samples()[which].clone();
        for (position, bit) in flips {
            let position = position.index(bytes.len());
            bytes[position] ^= 1 << bit;
        }
        let path = dir.path().join("flipped");
        std::fs::write(&path, bytes).unwrap();
        if let Ok(image) = read_image(&path, 3) {
            prop_assert_eq!(image.data.len(), image.width * image.height * 3);
            prop_assert!(image.data.iter().all(|&value| (0.0..=f32::from(image.maximum)).contains(&value)));
        }
        drop(mask(&path));
    }

    #[test]
    fn gray_16_bit_survives_png_and_tiff(width in 1u32..30, height in 1u32..30, seed in 0u32..1_000_000) {
        let dir = tempdir().unwrap();
        let start = seed.wrapping_mul(2_654_435_761);
        let value = |x: u32, y: u32| (start.wrapping_add(x * 7919 + y * 104_729) >> 3) as u16;
        for name in ["p.png", "p.tif"] {
            let path = dir.path().join(name);
            gray16(&path, width, height, value);
            let expected: Vec<f32> =
                (0..height).flat_map(|y| (0..width).map(move |x| f32::from(value(x, y)))).collect();
            prop_assert_eq!(read_image(&path, 1).unwrap().data, expected);
        }
    }
}

#[test]
fn a_tiff_of_several_pages_is_refused() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("stack.tif");
    let mut encoder = tiff::encoder::TiffEncoder::new(std::fs::File::create(&path).unwrap()).unwrap();
    encoder.write_image::<tiff::encoder::colortype::Gray8>(2, 1, &[0, 255]).unwrap();
    drop(encoder);
    assert_eq!(mask(&path).unwrap(), [0, 1]);
    let mut encoder = tiff::encoder::TiffEncoder::new(std::fs::File::create(&path).unwrap()).unwrap();
    for _ in 0..2 {
        encoder.write_image::<tiff::encoder::colortype::Gray8>(2, 1, &[0, 255]).unwrap();
    }
    drop(encoder);
    assert!(matches!(mask(&path), Err(DataError::SeveralPages { .. })));
    assert!(matches!(read_header(&path), Err(DataError::SeveralPages { .. })));
}

#[test]
fn a_palette_is_read_as_its_colours() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("p.png");
    let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 2, 1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(vec![0, 0, 0, 200, 0, 0]);
    encoder.write_header().unwrap().write_image_data(&[0, 1]).unwrap();
    assert_eq!(mask(&path).unwrap(), [0, 1]);
    assert_eq!(read_image(&path, 3).unwrap().data, [0.0, 0.0, 0.0, 200.0, 0.0, 0.0]);
    let one_bit = ImageBuffer::<Luma<u8>, _>::from_fn(2, 1, |x, _| Luma([x as u8]));
    one_bit.save(&path).unwrap();
    assert_eq!(mask(&path).unwrap(), [0, 1]);
}
