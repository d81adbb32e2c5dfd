//! Preparing pairs: the intensity map, its inverse and the pairs it is measured on; crop, padding, warnings, fingerprints.

mod common;

use std::path::Path;
use std::sync::Mutex;

use common::{colour8, folders, gray8, gray16};
use pig_data::config::{Crop, Intensity, MaskResize, Resize};
use pig_data::intensity::IntensityMap;
use pig_data::{Channels, DataConfig, DataError, Dataset, Pixels, Preparation, PreparedSet, split_by_group};
use pig_testing::shared;
use proptest::prelude::*;
use tempfile::tempdir;

fn config(size: [usize; 2], intensity: Intensity) -> DataConfig {
    DataConfig { size, intensity, ..DataConfig::default() }
}

fn discover(root: &Path) -> Dataset {
    Dataset::discover(root, &DataConfig::default()).unwrap()
}

/// Fits on all pairs and loads them.
fn prepare(root: &Path, config: &DataConfig) -> Result<(Preparation, PreparedSet), DataError> {
    let dataset = discover(root);
    let preparation = Preparation::fit(&dataset, &dataset.ids(), config)?;
    let set = preparation.load(&dataset, &|_, _| {})?;
    Ok((preparation, set))
}

#[test]
fn eight_bits_map_by_data_type_and_masks_to_plus_and_minus_one() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 3);
    let (preparation, set) = prepare(dir.path(), &config([6, 8], Intensity::Auto)).unwrap();
    assert_eq!(preparation.intensity, IntensityMap::Dtype { maximum: 255 });
    assert_eq!((set.len(), set.size, set.channels, set.ids[2].as_str()), (3, [6, 8], 1, "a02"));
    // Image 1 holds 30 x + y + 1; column 2 of row 3 is 64.
    assert!((set.image(1).unwrap()[3 * 8 + 2] - (2.0 * 64.0 / 255.0 - 1.0)).abs() < 1e-6);
    assert_eq!((set.mask(1).unwrap()[0], set.mask(1).unwrap()[4], set.mask(1).unwrap()[3 * 8]), (1.0, -1.0, -1.0));
    assert_eq!(set.mask(0).unwrap().iter().filter(|&&value| value > 0.0).count(), 12);
    assert!(set.warnings.is_empty(), "{:?}", set.warnings);
}

#[test]
fn palettes_of_grays_in_another_order_are_told() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 2);
    let mut encoder = png::Encoder::new(std::fs::File::create(dir.path().join("masks/a00.png")).unwrap(), 8, 6);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(vec![255, 255, 255, 0, 0, 0]);
    let indices: Vec<u8> = (0..48).map(|at| u8::from(at > 20)).collect();
    encoder.write_header().unwrap().write_image_data(&indices).unwrap();
    let set = prepare(dir.path(), &config([6, 8], Intensity::Dtype)).unwrap().1;
    let told: Vec<&String> = set.warnings.iter().filter(|text| text.contains("another order")).collect();
    let [told] = told[..] else { panic!("{:?}", set.warnings) };
    assert!(told.starts_with("1 of 2 mask(s) have a palette") && told.contains("the grays that people see count"));
}

#[test]
fn every_raw_value_survives_the_way_there_and_back() {
    let dir = tempdir().unwrap();
    folders(&dir.path().join("8"), 1);
    for name in ["images/a.png", "masks/a.png"] {
        gray16(&dir.path().join("16").join(name), 4, 4, |x, _| x as u16 * 16384);
    }
    let eight = prepare(&dir.path().join("8"), &config([4, 4], Intensity::Auto)).unwrap().0;
    let units: Vec<f32> = (0..=255).map(|raw| eight.to_unit(raw as f32)).collect();
    assert_eq!(eight.encode(&units), Pixels::Eight((0..=255).collect()));
    assert_eq!((units[0], units[255]), (-1.0, 1.0));

    let config = DataConfig {
        mask_values: Some(pig_data::config::MaskValues(vec![pig_data::config::MaskValue::Gray(49152)])),
        ..config([4, 4], Intensity::Dtype)
    };
    let sixteen = prepare(&dir.path().join("16"), &config).unwrap().0;
    let units: Vec<f32> = (0..=u16::MAX).map(|raw| sixteen.to_unit(f32::from(raw))).collect();
    assert_eq!(sixteen.encode(&units), Pixels::Sixteen((0..=u16::MAX).collect()));
    assert_eq!(Preparation::display(&[-2.0, -1.0, 0.0, 1.0, f32::NAN]), [0, 0, 128, 255, 0]);
}

/// Pairs of 10 x 100 pixels whose 1,000 values are `start` to `start + 999`.
fn sixteen_bit_set(root: &Path, starts: &[u16]) {
    for (index, start) in starts.iter().enumerate() {
        gray16(&root.join(format!("images/p{index}.png")), 10, 100, |x, y| start + (y * 10 + x) as u16);
        gray8(&root.join(format!("masks/p{index}.png")), 10, 100, |x, _| u8::from(x == 0));
    }
}

#[test]
fn percentiles_are_measured_on_training_pairs_alone() {
    let dir = tempdir().unwrap();
    sixteen_bit_set(dir.path(), &[1000, 2000, 40_000]);
    let dataset = discover(dir.path());
    let training = ["p0".to_owned(), "p1".to_owned()];
    let preparation = Preparation::fit(&dataset, &training, &config([100, 10], Intensity::Auto)).unwrap();
    // 2,000 whole values from 1000 to 2999: numpy.percentile(arange(1000, 3000), [0.1, 99.9]) = 1001.999, 2997.001.
    let IntensityMap::DatasetPercentile { low, high } = preparation.intensity else { panic!("{preparation:?}") };
    assert!((low - 1001.999).abs() < 1e-9 && (high - 2997.001).abs() < 1e-9, "{low} {high}");
    assert_eq!((preparation.bit_depth, preparation.measured_images), (16, 2));
    let set = preparation.load(&dataset, &|_, _| {}).unwrap();
    assert!(set.image(2).unwrap().iter().all(|&value| value == 1.0), "the held-out image is clipped, not measured");
    assert!((preparation.from_unit(1.0) - 2997.001).abs() < 1e-3);
    assert!(matches!(preparation.encode(&[0.0]), Pixels::Sixteen(values) if values == [2000]), "1999.5 rounds up");

    let unknown = Preparation::fit(&dataset, &["p9".to_owned()], &DataConfig::default());
    assert!(matches!(unknown, Err(DataError::Split(pig_data::SplitError::Unfit { .. }))));
}

#[test]
fn window_and_per_image_maps() {
    let dir = tempdir().unwrap();
    sixteen_bit_set(dir.path(), &[1000, 2000]);
    let window =
        DataConfig { window_center: Some(1500.0), window_width: Some(1000.0), ..config([100, 10], Intensity::Window) };
    let (preparation, set) = prepare(dir.path(), &window).unwrap();
    assert_eq!(preparation.intensity.range(), Some((1000.0, 2000.0)));
    assert_eq!((set.image(0).unwrap()[0], set.image(0).unwrap()[500], set.image(1).unwrap()[999]), (-1.0, 0.0, 1.0));
    let (preparation, set) = prepare(dir.path(), &config([100, 10], Intensity::PerImage)).unwrap();
    assert_eq!(set.image(0).unwrap(), set.image(1).unwrap(), "two images that differ only in brightness");
    assert_eq!(set.image(0).unwrap()[999], 1.0);
    assert_eq!(preparation.intensity.range(), None);
    assert_eq!(preparation.encode(&[-1.0, 1.0]), Pixels::Sixteen(vec![0, u16::MAX]), "no inverse: all of the type");
    assert!(shown_as_read(&preparation, &set, &dir.path().join("images/p1.png"), 1));
}

/// Whether a whole image, which has the prepared size, is shown in the range in which it is read.
fn shown_as_read(preparation: &Preparation, set: &PreparedSet, path: &Path, index: usize) -> bool {
    let shown = preparation.whole_image(&pig_data::read::read_image(path, 1).unwrap());
    let read = set.image(index).unwrap();
    shown.len() == read.len() && shown.iter().zip(read).all(|(a, b)| (a - b).abs() < 1e-6)
}

#[test]
fn mixed_depths_are_refused_where_one_range_must_serve() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 1);
    gray16(&dir.path().join("images/z.png"), 8, 6, |x, y| (x * 30 + y) as u16 * 257);
    gray8(&dir.path().join("masks/z.png"), 8, 6, |x, _| u8::from(x == 0));
    let error = prepare(dir.path(), &config([6, 8], Intensity::Auto)).unwrap_err();
    assert!(matches!(error, DataError::MixedBitDepth { first_bits: 8, second_bits: 16, .. }), "{error}");
    let (preparation, set) = prepare(dir.path(), &config([6, 8], Intensity::Dtype)).unwrap();
    assert_eq!(preparation.bit_depth, 16);
    let difference =
        set.image(0).unwrap().iter().zip(&set.image(1).unwrap()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference < 1e-6, "the same picture in both depths: {difference}");
    for (index, name) in ["images/a00.png", "images/z.png"].iter().enumerate() {
        assert!(shown_as_read(&preparation, &set, &dir.path().join(name), index), "{name}");
    }
}

#[test]
fn flat_training_images_have_no_percentile_range() {
    let dir = tempdir().unwrap();
    gray16(&dir.path().join("images/a.png"), 4, 4, |_, _| 500);
    gray8(&dir.path().join("masks/a.png"), 4, 4, |x, _| u8::from(x == 0));
    let error = prepare(dir.path(), &DataConfig::default()).unwrap_err();
    assert!(matches!(error, DataError::NoContrast { pixels: 16, value: 500.0, .. }), "{error}");
}

#[test]
fn size_mismatch_is_found_before_any_measuring() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 2);
    gray8(&dir.path().join("masks/a01.png"), 6, 8, |x, _| u8::from(x == 0));
    let error = prepare(dir.path(), &DataConfig::default()).unwrap_err();
    assert!(matches!(&error, DataError::SizeMismatch { image_size: [8, 6], mask_size: [6, 8], .. }), "{error}");
    assert!(error.to_string().contains("a01.png"));
}

#[test]
fn blank_borders_are_cut_alike_and_never_a_lesion() {
    let dir = tempdir().unwrap();
    // A bright block at columns 10 to 19 and rows 5 to 9 of 40 x 30, faint noise around it, and a lesion pixel just outside.
    gray8(&dir.path().join("images/a.png"), 40, 30, |x, y| {
        if (10..20).contains(&x) && (5..10).contains(&y) { 200 } else { ((x + y) % 2) as u8 }
    });
    gray8(&dir.path().join("masks/a.png"), 40, 30, |x, y| if (x == 20 || x == 12) && y == 7 { 255 } else { 0 });
    let cropped = DataConfig { crop: Crop::BlankBorders, ..config([5, 11], Intensity::Dtype) };
    let (_, set) = prepare(dir.path(), &cropped).unwrap();
    let bright = 2.0 * 200.0 / 255.0 - 1.0;
    for row in 0..5 {
        assert!(
            set.image(0).unwrap()[row * 11..row * 11 + 10].iter().all(|&value| (value - bright).abs() < 1e-6),
            "row {row}"
        );
        assert!(set.image(0).unwrap()[row * 11 + 10] < -0.99);
    }
    let lesion: Vec<usize> = (0..55).filter(|&index| set.mask(0).unwrap()[index] > 0.0).collect();
    assert_eq!(lesion, [2 * 11 + 2, 2 * 11 + 10]);

    gray8(&dir.path().join("images/a.png"), 40, 30, |_, _| 9);
    gray8(&dir.path().join("masks/a.png"), 40, 30, |_, _| 0);
    let (_, set) = prepare(dir.path(), &cropped).unwrap();
    assert!(
        set.image(0).unwrap().iter().all(|&value| (value - (18.0 / 255.0 - 1.0)).abs() < 1e-6),
        "a constant image is kept"
    );
}

#[test]
fn padding_keeps_the_aspect_ratio() {
    let dir = tempdir().unwrap();
    gray8(&dir.path().join("images/a.png"), 20, 10, |_, _| 255);
    gray8(&dir.path().join("masks/a.png"), 20, 10, |_, _| 255);
    let padded = DataConfig { resize: Resize::Pad, ..config([8, 8], Intensity::Dtype) };
    let (preparation, set) = prepare(dir.path(), &padded).unwrap();
    for row in 0..8 {
        let expected = if (2..6).contains(&row) { 1.0 } else { -1.0 };
        assert_eq!(set.image(0).unwrap()[row * 8..row * 8 + 8], [expected; 8], "row {row}");
        assert_eq!(set.mask(0).unwrap()[row * 8..row * 8 + 8], [expected; 8], "row {row}");
    }
    assert_eq!(preparation.load_mask(&dir.path().join("masks/a.png")).unwrap(), set.mask(0).unwrap());
    let stretched = prepare(dir.path(), &config([8, 8], Intensity::Dtype)).unwrap().1;
    assert!(stretched.image(0).unwrap().iter().chain(&stretched.mask(0).unwrap()).all(|&value| value == 1.0));
    let words = "the masks of 1 of 1 picture(s) with lesion cover more than half of the picture";
    for set in [&set, &stretched] {
        assert!(set.warnings[0].starts_with(words), "{:?}", set.warnings);
    }
    // Where most masks are ordinary, the few that cover everything are told.
    for name in ["b", "c"] {
        gray8(&dir.path().join(format!("images/{name}.png")), 20, 10, |_, _| 255);
        gray8(&dir.path().join(format!("masks/{name}.png")), 20, 10, |x, _| if x < 10 { 255 } else { 0 });
    }
    let set = prepare(dir.path(), &config([8, 8], Intensity::Dtype)).unwrap().1;
    assert!(set.warnings[0].contains("1 of 3 masks cover the whole image"), "{:?}", set.warnings);
}

#[test]
fn vanished_masks_and_reduced_colour_are_said() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 2);
    colour8(&dir.path().join("images/a00.png"), 8, 6, |x, _| [x as u8 * 10, 0, 0]);
    gray8(&dir.path().join("masks/a00.png"), 8, 6, |x, y| u8::from(x == 1 && y == 1));
    let small = config([2, 2], Intensity::Dtype);
    let (_, set) = prepare(dir.path(), &small).unwrap();
    assert_eq!(set.vanished, ["a00"]);
    assert!(set.mask(0).unwrap().iter().all(|&value| value == -1.0));
    assert_eq!(set.warnings.len(), 2, "{:?}", set.warnings);
    assert!(set.warnings[0].starts_with("1 of 2 images are in colour"), "{:?}", set.warnings);
    assert!(set.warnings[1].starts_with("1 of 2 masks have lesion in the file"), "{:?}", set.warnings);
    assert!(set.warnings.iter().all(|warning| !warning.contains("a00")), "warnings must not name ids");
    let nearest = DataConfig { mask_resize: MaskResize::Nearest, ..config([3, 4], Intensity::Dtype) };
    assert!(prepare(dir.path(), &nearest).unwrap().1.vanished.is_empty(), "nearest picks the pixel at (1, 1)");
    let three = DataConfig { channels: Channels::Count(3), ..config([6, 8], Intensity::Dtype) };
    let (_, set) = prepare(dir.path(), &three).unwrap();
    assert_eq!(set.warnings, ["1 of 2 images are gray and were copied to three channels (data.channels = 3)."]);
    assert_eq!(set.image(0).unwrap().len(), 144);
    assert_eq!((set.image(0).unwrap()[4], set.image(0).unwrap()[3] > -1.0), (-1.0, true), "green and red of column 1");
    for name in ["a00", "a01"] {
        gray8(&dir.path().join(format!("masks/{name}.png")), 8, 6, |_, _| 0);
    }
    assert!(prepare(dir.path(), &small).unwrap().1.warnings[1].contains("masks are empty"));
}

#[test]
fn the_majority_of_the_images_decides_the_channels() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 3);
    let channels = |coloured: usize| {
        for index in 0..3 {
            let path = dir.path().join(format!("images/a{index:02}.png"));
            // Gray stored as colour is gray.
            colour8(&path, 8, 6, |x, _| if index < coloured { [x as u8, 9, 0] } else { [x as u8; 3] });
        }
        prepare(dir.path(), &config([6, 8], Intensity::Dtype)).unwrap().0.config.channels
    };
    assert_eq!([0, 1, 2, 3].map(channels), [1, 1, 3, 3].map(Channels::Count));
}

#[test]
fn progress_counts_every_pair_and_damage_is_reported_in_order() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 9);
    let dataset = discover(dir.path());
    let preparation = Preparation::fit(&dataset, &dataset.ids(), &DataConfig::default()).unwrap();
    let calls = Mutex::new(Vec::new());
    preparation.load(&dataset, &|done, total| calls.lock().unwrap().push((done, total))).unwrap();
    let mut calls = calls.into_inner().unwrap();
    calls.sort_unstable();
    assert_eq!(calls, (1..=9).map(|done| (done, 9)).collect::<Vec<_>>());
    for name in ["a07", "a03"] {
        let path = dir.path().join(format!("images/{name}.png"));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    }
    for _ in 0..10 {
        let error = preparation.load(&dataset, &|_, _| {}).unwrap_err().to_string();
        assert!(error.contains("a03.png"), "{error}");
    }
}

#[test]
fn preparations_and_fingerprints_are_stable() {
    let dir = tempdir().unwrap();
    sixteen_bit_set(dir.path(), &[1000, 2000, 3000]);
    let (preparation, set) = prepare(dir.path(), &config([16, 16], Intensity::Auto)).unwrap();
    let stored: Preparation = serde_json::from_str(&serde_json::to_string(&preparation).unwrap()).unwrap();
    assert_eq!(stored, preparation);
    let again = prepare(dir.path(), &config([16, 16], Intensity::Auto)).unwrap().1;
    assert_eq!(set.sha256().unwrap(), again.sha256().unwrap());
    let part = set.subset(&[2, 0]);
    assert_eq!(
        (part.ids.as_slice(), part.image(0).unwrap(), part.mask(1).unwrap()),
        (&["p2".to_owned(), "p0".to_owned()][..], set.image(2).unwrap(), set.mask(0).unwrap())
    );
    assert_eq!(set.indices_of(&part.ids), [2, 0]);
    assert_eq!(set.subset(&[0, 1, 2]).sha256().unwrap(), set.sha256().unwrap());
    for change in [
        |set: &mut PreparedSet| set.groups[0].push('x'),
        |set: &mut PreparedSet| set.ids.swap(0, 1),
        |set: &mut PreparedSet| *set = set.subset(&[1, 0, 2]),
        |set: &mut PreparedSet| set.append(&set.subset(&[0])),
    ] {
        let mut changed = set.clone();
        change(&mut changed);
        assert_ne!(changed.sha256().unwrap(), set.sha256().unwrap());
    }
}

/// The hash that runs of all versions store: of shape, ids, groups, all images, and then all masks.
#[test]
fn the_fingerprint_is_that_of_the_values() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 3);
    let set = prepare(dir.path(), &config([5, 7], Intensity::Auto)).unwrap().1;
    let mut bytes: Vec<u8> = [3_u64, 5, 7, 1].iter().flat_map(|number| number.to_le_bytes()).collect();
    for text in set.ids.iter().chain(&set.groups) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.bytes());
    }
    let images = (0..3).flat_map(|index| set.image(index).unwrap());
    let values = images.chain((0..3).flat_map(|index| set.mask(index).unwrap()));
    bytes.extend(values.flat_map(f32::to_le_bytes));
    assert_eq!(set.sha256().unwrap(), pig_files::sha256(&bytes));
    let masks: Vec<u8> = (0..3).flat_map(|index| set.lesion(index).unwrap()).map(u8::from).collect();
    assert_eq!(set.masks_sha256().unwrap(), pig_files::sha256(&masks));
}

proptest! {
    #[test]
    fn to_unit_and_back_is_the_identity_within_the_window(
        centre in 500.0f64..60_000.0, width in 10.0f64..1000.0, share in 0.0f64..1.0
    ) {
        let dir = tempdir().unwrap();
        sixteen_bit_set(dir.path(), &[0]);
        let window = DataConfig {
            window_center: Some(centre),
            window_width: Some(width),
            ..config([4, 4], Intensity::Window)
        };
        let preparation = prepare(dir.path(), &window).unwrap().0;
        let raw = (centre + (share - 0.5) * width) as f32;
        let unit = preparation.to_unit(raw);
        prop_assert!((-1.0..=1.0).contains(&unit));
        let back = preparation.from_unit(unit);
        prop_assert!((back - raw).abs() < 0.01, "{} came back as {}", raw, back);
    }
}

#[test]
fn busi_prepares_with_groups_kept_apart() {
    let Some(root) = shared("data/busi") else { return };
    let config = DataConfig { group_column: Some("near_duplicate_group".to_owned()), ..DataConfig::default() };
    let dataset = Dataset::discover(&root, &config).unwrap();
    let splits = split_by_group(&dataset, config.validation_fraction, 0).unwrap();
    splits.check(&dataset).unwrap();
    let preparation = Preparation::fit(&dataset, &splits.training, &config).unwrap();
    assert_eq!((preparation.bit_depth, preparation.intensity), (8, IntensityMap::Dtype { maximum: 255 }));
    let set = preparation.load(&dataset, &|_, _| {}).unwrap();
    let images: Vec<f32> = (0..set.len()).flat_map(|index| set.image(index).unwrap()).collect();
    let masks: Vec<f32> = (0..set.len()).flat_map(|index| set.mask(index).unwrap()).collect();
    assert_eq!((set.len(), images.len(), masks.len()), (586, 586 * 4096, 586 * 4096));
    assert!(images.iter().all(|value| (-1.0..=1.0).contains(value)));
    assert!(masks.iter().all(|&value| value == 1.0 || value == -1.0));
    let empty = (0..586).filter(|&index| set.mask(index).unwrap().iter().all(|&value| value < 0.0)).count();
    // The manifest says that 97 images are normal; the others have a lesion, unless it vanished at this size.
    assert_eq!(empty - set.vanished.len(), 97, "{:?}", set.warnings);
    // The manifest's mask_fraction was measured on the source masks; prepared masks keep it on average.
    let fraction = masks.iter().filter(|&&value| value > 0.0).count() as f64 / masks.len() as f64;
    assert!((0.03..0.2).contains(&fraction), "{fraction}");
}

#[test]
fn lgg_prepares_with_its_mask_fractions() {
    let Some(root) = shared("data/lgg") else { return };
    let config = config([64, 64], Intensity::Auto);
    let dataset = Dataset::discover(&root, &config).unwrap();
    let set = Preparation::fit(&dataset, &dataset.ids(), &config).unwrap().load(&dataset, &|_, _| {}).unwrap();
    let mut reader = csv::Reader::from_path(root.join("manifest.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let (id, fraction) = (column("id"), column("mask_fraction"));
    let (mut compared, mut greatest, mut sum) = (0, 0.0f64, 0.0f64);
    for record in reader.records() {
        let record = record.unwrap();
        let index = set.indices_of(&[record[id].to_owned()])[0];
        let found = set.mask(index).unwrap().iter().filter(|&&value| value > 0.0).count() as f64 / 4096.0;
        let difference = found - record[fraction].parse::<f64>().unwrap();
        greatest = greatest.max(difference.abs());
        sum += difference;
        compared += 1;
    }
    assert_eq!(compared, 1295);
    // "At least half" counts ties as lesion: about one outline pixel in a hundred, at a mean fraction of 0.02.
    assert!(greatest < 0.01 && (sum / 1295.0).abs() < 5e-4, "greatest {greatest}, mean {}", sum / 1295.0);
}

/// A picture with blank borders that is wider than high is prepared and mapped back: its bright block is positive again in the same
/// pixels, and everything else is not.
#[test]
fn predictions_find_their_way_back_to_the_file_s_grid() {
    let dir = tempdir().unwrap();
    for name in ["images/a.png", "masks/a.png"] {
        gray8(
            &dir.path().join(name),
            40,
            24,
            |x, y| if (8..32).contains(&x) && (6..18).contains(&y) { 255 } else { 0 },
        );
    }
    for (resize, crop, size) in [
        (Resize::Pad, Crop::BlankBorders, [16, 16]),
        (Resize::Stretch, Crop::BlankBorders, [24, 24]),
        (Resize::Pad, Crop::None, [32, 32]),
        (Resize::Stretch, Crop::None, [24, 40]),
    ] {
        let config = DataConfig { resize, crop, ..config(size, Intensity::Dtype) };
        let (preparation, _) = prepare(dir.path(), &config).unwrap();
        let path = dir.path().join("images/a.png");
        let (image, placement) = preparation.load_image_placed(&path).unwrap();
        assert_eq!((placement.source_size(), &image), ([24, 40], &preparation.load_image(&path).unwrap()));
        let restored = placement.restore(&image, -1.0);
        let wrong = (0..24 * 40)
            .filter(|i| (restored[*i] > 0.0) != ((8..32).contains(&(i % 40)) && (6..18).contains(&(i / 40))))
            .count();
        assert_eq!(wrong, 0, "{resize:?} {crop:?}");
    }
}

#[test]
fn generated_pairs_are_read_as_they_were_written() {
    let dir = tempdir().unwrap();
    for (name, scale) in [("a", 3), ("b", 5)] {
        gray8(&dir.path().join(format!("images/{name}.png")), 8, 6, |x, y| ((x * 7 + y) * scale) as u8);
        gray8(&dir.path().join(format!("masks/{name}.png")), 8, 6, |x, _| if x < 3 { 255 } else { 0 });
    }
    let config = DataConfig { crop: Crop::BlankBorders, ..config([6, 8], Intensity::PerImage) };
    let (preparation, set) = prepare(dir.path(), &config).unwrap();
    let generated = dir.path().join("generated");
    let Pixels::Eight(bytes) = preparation.encode(&set.image(0).unwrap()) else { panic!("expected 8 bits") };
    gray8(&generated.join("images/000000.png"), 8, 6, |x, y| bytes[(y * 8 + x) as usize]);
    gray8(&generated.join("masks/000000.png"), 8, 6, |x, _| if x < 3 { 255 } else { 0 });
    let read = preparation.of_generated().load(&discover(&generated), &|_, _| {}).unwrap();
    assert!(read.image(0).unwrap().iter().zip(&set.image(0).unwrap()).all(|(a, b)| (a - b).abs() <= 1.0 / 255.0));
    assert_eq!(read.mask(0).unwrap(), set.mask(0).unwrap());
}

/// The slices of a volume are padded and resized one by one; rows do not mix at the borders between slices.
#[test]
fn slices_are_prepared_by_themselves() {
    let dir = tempdir().unwrap();
    let image = |slice: u32, x: u32, y: u32| (40 * slice + 9 * x + 5 * y) as u8;
    let mask = |slice: u32, x: u32, y: u32| if x >= slice && y < 3 { 255 } else { 0 };
    for slice in 0..3 {
        gray8(&dir.path().join(format!("one/images/{slice}.png")), 8, 6, |x, y| image(slice, x, y));
        gray8(&dir.path().join(format!("one/masks/{slice}.png")), 8, 6, |x, y| mask(slice, x, y));
    }
    gray8(&dir.path().join("all/images/v.png"), 8, 18, |x, y| image(y / 6, x, y % 6));
    gray8(&dir.path().join("all/masks/v.png"), 8, 18, |x, y| mask(y / 6, x, y % 6));
    for resize in [Resize::Stretch, Resize::Pad] {
        let one = DataConfig { resize, ..config([4, 4], Intensity::Dtype) };
        let all = DataConfig { size: [12, 4], slices: 3, ..one.clone() };
        let slices = prepare(&dir.path().join("one"), &one).unwrap().1;
        let (preparation, volume) = prepare(&dir.path().join("all"), &all).unwrap();
        assert_eq!((volume.len(), volume.size, volume.slice_size()), (1, [12, 4], [4, 4]));
        let joined = |read: fn(&PreparedSet, usize) -> Result<Vec<f32>, DataError>| -> Vec<f32> {
            (0..3).flat_map(|slice| read(&slices, slice).unwrap()).collect()
        };
        let (images, masks) = (joined(PreparedSet::image), joined(PreparedSet::mask));
        assert_eq!((volume.image(0).unwrap(), volume.mask(0).unwrap()), (images.clone(), masks.clone()));
        let path = |part: &str| dir.path().join("all").join(part).join("v.png");
        assert_eq!(preparation.load_mask(&path("masks")).unwrap(), masks);
        assert_eq!(preparation.load_image(&path("images")).unwrap(), images);
    }
    let four = DataConfig { size: [16, 4], slices: 4, ..config([4, 4], Intensity::Dtype) };
    let message = prepare(&dir.path().join("all"), &four).unwrap_err().to_string();
    assert!(message.contains("v.png: it is 18 pixels high, expected a multiple of data.slices = 4"), "{message}");
    assert!(DataConfig { slices: 3, ..four.clone() }.check().is_err());
    assert!(DataConfig { crop: Crop::BlankBorders, ..four }.check().unwrap_err().to_string().contains("crop"));
}
