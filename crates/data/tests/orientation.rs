//! Orientation tags: EXIF in JPEG and PNG, and TIFF's own, for images and masks alike.

mod common;

use std::path::Path;

use common::gray8;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, GrayImage, ImageEncoder, Luma};
use pig_data::read::{read_header, read_image, read_mask};
use pig_data::{DataConfig, Dataset, Preparation};
use tempfile::tempdir;

/// EXIF with the orientation `tag` alone.
fn exif(tag: u8) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    bytes.extend([tag, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// A picture that no turn leaves as it is: a bright upper left corner, darker to the right.
fn picture() -> GrayImage {
    GrayImage::from_fn(32, 16, |x, y| Luma([if x < 8 && y < 8 { 255 } else { 40 + 2 * x as u8 }]))
}

fn write_jpeg(path: &Path, tag: u8) {
    write_jpeg_with(path, &exif(tag));
}

fn write_jpeg_with(path: &Path, exif: &[u8]) {
    let (picture, mut bytes) = (picture(), Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, 95).write_image(&picture, 32, 16, ExtendedColorType::L8).unwrap();
    let content = [&b"Exif\0\0"[..], exif].concat();
    let length = (content.len() as u16 + 2).to_be_bytes();
    std::fs::write(path, [&bytes[..2], &[0xff, 0xe1], &length, &content, &bytes[2..]].concat()).unwrap();
}

/// A PNG whose tag stands before or behind the pixels.
fn write_png(path: &Path, tag: u8, behind: bool) {
    let mut info = png::Info::with_size(32, 16);
    (info.color_type, info.bit_depth) = (png::ColorType::Grayscale, png::BitDepth::Eight);
    if !behind {
        info.exif_metadata = Some(exif(tag).into());
    }
    let encoder = png::Encoder::with_info(std::fs::File::create(path).unwrap(), info).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(picture().as_raw()).unwrap();
    if behind {
        writer.write_chunk(png::chunk::eXIf, &exif(tag)).unwrap();
    }
    writer.finish().unwrap();
}

fn write_tiff(path: &Path, tag: u8) {
    let mut encoder = tiff::encoder::TiffEncoder::new(std::fs::File::create(path).unwrap()).unwrap();
    let mut image = encoder.new_image::<tiff::encoder::colortype::Gray8>(32, 16).unwrap();
    image.encoder().write_tag(tiff::tags::Tag::Orientation, u16::from(tag)).unwrap();
    image.write_data(picture().as_raw()).unwrap();
}

#[test]
fn pictures_are_turned_as_their_tags_say() {
    let dir = tempdir().unwrap();
    for tag in 1..=8 {
        let mut upright = DynamicImage::from(picture());
        upright.apply_orientation(Orientation::from_exif(tag).unwrap());
        let files = ["a.jpg", "before.png", "behind.png", "a.tif"].map(|name| dir.path().join(name));
        write_jpeg(&files[0], tag);
        write_png(&files[1], tag, false);
        write_png(&files[2], tag, true);
        write_tiff(&files[3], tag);
        for path in &files {
            let (image, header) = (read_image(path, 1).unwrap(), read_header(path).unwrap());
            let size = [upright.width() as usize, upright.height() as usize];
            assert_eq!([image.width, image.height], size, "{tag}, {}", path.display());
            assert_eq!([header.width, header.height], size, "{tag}, {}", path.display());
            assert_eq!(image.turned, tag != 1);
            let tolerance = if path == &files[0] { 12 } else { 0 };
            let near = |(&found, &expected): (&u8, &u8)| found.abs_diff(expected) <= tolerance;
            assert!(image.to_8_bits().iter().zip(upright.as_bytes()).all(near), "{tag}, {}", path.display());
        }
    }
    // A damaged or unknown tag says nothing.
    write_jpeg(&dir.path().join("b.jpg"), 9);
    assert!(!read_image(&dir.path().join("b.jpg"), 1).unwrap().turned);
}

/// Some writers store the tag as LONG, which Pillow and libtiff read.
#[test]
fn a_tag_of_32_bits_is_read() {
    let dir = tempdir().unwrap();
    // The second of two entries; the first is the width.
    let little = b"II*\0\x08\0\0\0\x02\0\x00\x01\x03\0\x01\0\0\0\x20\0\0\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let big = b"MM\0*\0\0\0\x08\0\x02\x01\x00\0\x03\0\0\0\x01\0\x20\0\0\x01\x12\0\x04\0\0\0\x01\0\0\0\x06\0\0\0\0";
    for exif in [little, big] {
        let path = dir.path().join("a.jpg");
        write_jpeg_with(&path, exif);
        let image = read_image(&path, 1).unwrap();
        assert_eq!(([image.width, image.height], image.turned), ([16, 32], true));
        let mut info = png::Info::with_size(32, 16);
        (info.color_type, info.bit_depth) = (png::ColorType::Grayscale, png::BitDepth::Eight);
        info.exif_metadata = Some(exif.to_vec().into());
        let path = dir.path().join("a.png");
        let encoder = png::Encoder::with_info(std::fs::File::create(&path).unwrap(), info).unwrap();
        encoder.write_header().unwrap().write_image_data(picture().as_raw()).unwrap();
        let header = read_header(&path).unwrap();
        assert_eq!([header.width, header.height], [16, 32]);
    }
    // Twice, of another type, unknown, or cut, it says nothing.
    let path = dir.path().join("b.jpg");
    let is_turned = |exif: &[u8]| {
        write_jpeg_with(&path, exif);
        read_image(&path, 1).unwrap().turned
    };
    for (at, value) in [(26, 2), (24, 5), (31, 1)] {
        let mut exif = little.to_vec();
        exif[at] = value;
        assert!(!is_turned(&exif), "{value} at {at}");
    }
    assert!(is_turned(little) && !is_turned(&little[..32]));
}

#[test]
fn a_mask_without_a_tag_lies_on_the_upright_image() {
    let dir = tempdir().unwrap();
    // Turned by 90 degrees clockwise, the bright corner is at the upper right of 16 x 32 pixels.
    std::fs::create_dir(dir.path().join("images")).unwrap();
    write_jpeg(&dir.path().join("images/a.jpg"), 6);
    gray8(&dir.path().join("masks/a.png"), 16, 32, |x, y| if x >= 8 && y < 8 { 255 } else { 0 });
    let config = DataConfig { size: [32, 16], ..DataConfig::default() };
    let dataset = Dataset::discover(dir.path(), &config).unwrap();
    let preparation = Preparation::fit(&dataset, &dataset.ids(), &config).unwrap();
    let set = preparation.load(&dataset, &|_, _| ()).unwrap();
    for (image, mask) in set.image(0).unwrap().into_iter().zip(set.mask(0).unwrap()) {
        assert_eq!(image > 0.8, mask > 0.0, "{image}");
    }
    let note = "1 of 1 images carry an orientation tag and were turned as it says.";
    assert!(set.warnings.iter().any(|warning| warning == note), "{:?}", set.warnings);
    // A mask is turned by its own tag.
    let path = dir.path().join("m.png");
    write_png(&path, 3, false);
    let config = DataConfig { mask_threshold: Some(200.0), ..DataConfig::default() };
    let mask = read_mask(&path, &config).unwrap();
    assert_eq!((mask.lesion_pixels(), mask.data[0], mask.data[32 * 16 - 1]), (64, 0, 1));
}
