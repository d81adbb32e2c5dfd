//! A JPEG that is not whole is an error, whatever is missing; whole ones are read as before.

use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use pig_data::DataError;
use pig_data::read::{read_header, read_image};
use pig_testing::shared;
use proptest::prelude::*;
use tempfile::tempdir;

/// What Pillow reads at (row, column) = (5, 7), (20, 30) and (39, 55) of both fixtures, which hold the same coefficients.
const PILLOW: [[f32; 3]; 3] = [[80.0, 182.0, 106.0], [140.0, 129.0, 161.0], [207.0, 68.0, 221.0]];

/// A baseline JPEG of a texture, gray or in colour.
fn baseline(channels: usize) -> Vec<u8> {
    let (width, height) = (72_usize, 56_usize);
    let value = |index: usize| {
        let (pixel, channel) = (index / channels, index % channels);
        let (x, y) = (pixel % width, pixel / width);
        (x * 5 + y * 3 + x * y / 7 + 40 * channel) as u8
    };
    let pixels: Vec<u8> = (0..width * height * channels).map(value).collect();
    let colour = if channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 80);
    encoder.write_image(&pixels, width as u32, height as u32, colour).unwrap();
    bytes
}

/// JPEGs of every kind that the check walks over: the last two were written by Pillow.
fn whole() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("gray", baseline(1)),
        ("colour", baseline(3)),
        ("progressive", include_bytes!("fixtures/progressive.jpg").to_vec()),
        ("restarts", include_bytes!("fixtures/restarts.jpg").to_vec()),
    ]
}

/// Where the codes of the first scan begin.
fn first_scan(bytes: &[u8]) -> usize {
    bytes.windows(2).position(|two| two == [0xff, 0xda]).unwrap() + 2
}

/// Ways to hurt a file, with a name for each.
fn hurt(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (length, start) = (bytes.len(), first_scan(bytes) + 20);
    let mut files = Vec::new();
    for percent in [30, 60, 90, 97] {
        let at = (length * percent / 100).max(start);
        files.push((format!("cut at {percent} %"), bytes[..at].to_vec()));
        files.push((format!("cut at {percent} % and closed"), [&bytes[..at], &[0xff, 0xd9]].concat()));
    }
    for missing in [1, 2, 8] {
        files.push((format!("without the last {missing} bytes"), bytes[..length - missing].to_vec()));
    }
    files.push(("header alone".to_owned(), bytes[..start - 20].to_vec()));
    let middle = usize::midpoint(start, length);
    for (name, value) in [("zeros", 0), ("ones", 0xff)] {
        let mut changed = bytes.to_vec();
        changed[middle..(middle + 100).min(length - 2)].fill(value);
        files.push((format!("{name} in the middle"), changed));
        let mut changed = bytes.to_vec();
        changed[middle..].fill(value);
        files.push((format!("{name} from the middle on"), changed));
    }
    let mut hole = bytes[..middle].to_vec();
    hole.extend_from_slice(&bytes[(middle + 100).min(length - 4)..]);
    files.push(("a hole".to_owned(), hole));
    files
}

fn put(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("cut.jpg");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_jpeg_that_is_not_whole_is_an_error() {
    let dir = tempdir().unwrap();
    for (kind, bytes) in whole() {
        for (damage, bytes) in hurt(&bytes) {
            let error = read_image(&put(dir.path(), &bytes), 1).map(drop);
            let said = error.as_ref().map_err(ToString::to_string);
            assert!(
                matches!(&error, Err(DataError::Unreadable { path, .. }) if path.ends_with("cut.jpg")),
                "{kind}, {damage}: {said:?}"
            );
        }
    }
}

#[test]
fn a_whole_jpeg_is_read_whatever_follows_its_end() {
    let dir = tempdir().unwrap();
    for (kind, bytes) in whole() {
        let image = read_image(&put(dir.path(), &bytes), 3).unwrap();
        let header = read_header(&dir.path().join("cut.jpg")).unwrap();
        assert_eq!((image.width, image.height), (header.width, header.height), "{kind}");
        let followed = [bytes, vec![0; 100]].concat();
        assert_eq!(read_image(&put(dir.path(), &followed), 3).unwrap(), image, "{kind}");
    }
    for (kind, bytes) in whole().into_iter().skip(2) {
        let image = read_image(&put(dir.path(), &bytes), 3).unwrap();
        for (at, colour) in [5 * 56 + 7, 20 * 56 + 30, 39 * 56 + 55].into_iter().zip(PILLOW) {
            let found = &image.data[3 * at..3 * at + 3];
            assert!(found.iter().zip(colour).all(|(a, b)| (a - b).abs() <= 2.0), "{kind}: {found:?} is not {colour:?}");
        }
    }
}

#[test]
fn cut_files_from_the_wild_are_named() {
    let Some(root) = shared("wild/08-truncated/jpg") else { return };
    let path = root.join("images/cut.jpg");
    let error = read_image(&path, 1).unwrap_err().to_string();
    assert!(error.contains("cut.jpg") && error.contains("the JPEG is not whole"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_damage_makes_the_check_panic(
        which in 0_usize..4, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(), cut in any::<bool>()
    ) {
        let dir = tempdir().unwrap();
        let mut bytes = whole()[which].1.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        drop(read_image(&put(dir.path(), &bytes), 1));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let dir = tempdir().unwrap();
        drop(read_image(&put(dir.path(), &[&[0xff, 0xd8, 0xff][..], &bytes].concat()), 1));
    }
}
