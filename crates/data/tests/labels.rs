//! Labels that are stored otherwise than they are shown: indices of palettes, and gray of few bits.

use std::path::Path;

use pig_data::config::{ClassConfig, MaskValue, MaskValues};
use pig_data::read::{count_labels, read_mask};
use pig_data::{DataConfig, DataError, Dataset, Preparation, class_source};

fn class(name: &str, value: MaskValue) -> ClassConfig {
    ClassConfig { name: name.to_owned(), values: MaskValues(vec![value]), code: None }
}

/// Mass is 1, calcification 2.
fn config() -> DataConfig {
    let classes = vec![class("mass", MaskValue::Gray(1)), class("calcification", MaskValue::Gray(2))];
    DataConfig { classes, ..DataConfig::default() }
}

fn read(path: &Path, config: &DataConfig) -> Result<Vec<u8>, DataError> {
    read_mask(path, config).map(|mask| mask.data)
}

/// PNG of 1, 2 and 4 bits is shown from 0 to 255, but holds labels; 1 and 255 are the same in a file of one bit.
#[test]
fn gray_of_few_bits_holds_labels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.png");
    let write = |depth: png::BitDepth, bytes: &[u8]| {
        let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 4, 1);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(depth);
        encoder.write_header().unwrap().write_image_data(bytes).unwrap();
    };
    let lesion = |value: u16| {
        let values = Some(MaskValues(vec![MaskValue::Gray(value)]));
        read(&path, &DataConfig { mask_values: values, ..DataConfig::default() }).unwrap()
    };
    write(png::BitDepth::One, &[0b0110_0000]);
    assert_eq!((lesion(1), lesion(255)), (vec![0, 1, 1, 0], vec![0, 1, 1, 0]));
    for (depth, bytes) in [(png::BitDepth::Two, &[0b0001_1001][..]), (png::BitDepth::Four, &[0x01, 0x21][..])] {
        write(depth, bytes);
        assert_eq!((lesion(1), lesion(2)), (vec![0, 1, 0, 1], vec![0, 0, 1, 0]), "{depth:?}");
        assert_eq!(read(&path, &config()).unwrap(), [0, 1, 2, 1], "{depth:?}");
        let labels = count_labels(&path).unwrap();
        assert_eq!((labels["0"], labels["1"], labels["2"]), (1, 2, 1), "{depth:?}");
    }
}

#[test]
fn indices_of_a_bmp_are_labels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.bmp");
    // One row of four indices with a palette of black, red, green and blue, each as blue, green, red and nothing.
    let palette = [[0, 0, 0, 0], [0, 0, 255, 0], [0, 255, 0, 0], [255, 0, 0, 0]].concat();
    let number = |value: u32| value.to_le_bytes();
    let mut file = b"BM".to_vec();
    file.extend([number(74), number(0), number(70), number(40), number(4), number(1)].concat());
    file.extend([1, 0, 8, 0]);
    file.extend([number(0), number(4), number(0), number(0), number(4), number(0)].concat());
    file.extend(palette);
    file.extend([0, 1, 2, 1]);
    std::fs::write(&path, file).unwrap();
    assert_eq!(read(&path, &config()).unwrap(), [0, 1, 2, 1]);
    let colours = vec![class("red", MaskValue::Colour([255, 0, 0])), class("green", MaskValue::Colour([0, 255, 0]))];
    assert_eq!(read(&path, &DataConfig { classes: colours, ..DataConfig::default() }).unwrap(), [0, 1, 2, 1]);
}

/// A threshold of 128 finds nothing in a mask of 0 and 1: its lesion must not be lost in silence. An empty mask is none of these.
#[test]
fn masks_of_other_values_than_the_settings_name_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let put = |place: String, value: u8| {
        let path = dir.path().join(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::GrayImage::from_fn(4, 4, |x, _| image::Luma([if x == 0 { value } else { 0 }])).save(path).unwrap();
    };
    for (name, lesion) in [("a", 255), ("b", 1), ("c", 0)] {
        put(format!("images/{name}.png"), 90);
        put(format!("masks/{name}.png"), lesion);
    }
    let warnings = |threshold: f64| {
        let config = DataConfig { size: [4, 4], mask_threshold: Some(threshold), ..DataConfig::default() };
        let data = Dataset::discover(dir.path(), &config).unwrap();
        let preparation = Preparation::fit(&data, &data.ids(), &config).unwrap();
        preparation.load(&data, &|_, _| {}).unwrap().warnings
    };
    let words = "1 of 3 mask(s) hold values other than 0, but none that means lesion by data.mask_values or";
    let found = warnings(128.0);
    assert!(found.iter().any(|warning| warning.starts_with(words)), "{found:?}");
    assert!(warnings(1.0).is_empty());
}

/// Masks of 0 and 1 beside masks of 0 and 2 may be of two classes, unless a key says what they are. Masks that are empty or of 0 and 1 alone may
/// not.
#[test]
fn values_that_differ_between_masks_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let write = |stem: &str, mask: &[u8]| {
        for (part, values) in [("images", &[9, 8, 7, 6][..]), ("masks", mask)] {
            std::fs::create_dir_all(dir.path().join(part)).unwrap();
            let picture = image::GrayImage::from_raw(2, 2, values.to_vec()).unwrap();
            picture.save(dir.path().join(part).join(format!("{stem}.png"))).unwrap();
        }
    };
    let told =
        |config: &DataConfig| class_source::differing(&Dataset::discover(dir.path(), config).unwrap(), config).unwrap();
    write("a", &[0, 1, 1, 0]);
    write("b", &[0, 0, 0, 0]);
    write("c", &[1, 1, 1, 1]);
    assert_eq!(told(&DataConfig::default()), None);
    write("d", &[0, 2, 2, 0]);
    assert!(told(&DataConfig::default()).unwrap().contains("differs between masks (1, 2)"));
    let one = DataConfig { mask_values: Some(MaskValues(vec![MaskValue::Gray(1)])), ..DataConfig::default() };
    assert_eq!(told(&one), None);
    assert_eq!(told(&config()), None);
}
