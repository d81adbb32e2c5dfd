//! The shared mammogram objects: every transfer syntax of one object gives the same pixels.

use std::path::Path;

use pig_dicom::{Image, Laterality, Limits, Object, ObjectKind, Samples, SpacingSource, Voi, open};
use pig_testing::shared;

/// The shared folder with the objects.
const CBIS: &str = "data/dicom_cbis";

fn frames(path: &Path) -> Vec<Samples> {
    let image = Image::open(path, &Limits::default()).unwrap();
    (0..image.info().frames).map(|index| image.frame(index).unwrap().stored().clone()).collect()
}

fn same_pixels(folder: &Path, object: &str, syntaxes: &[&str]) {
    let expected = frames(&folder.join(format!("{object}_explicit_le.dcm")));
    for syntax in syntaxes {
        let found = frames(&folder.join(format!("{object}_{syntax}.dcm")));
        assert_eq!(found.len(), expected.len(), "{object} {syntax}");
        for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(found == expected, "{object} {syntax}: frame {index} differs");
        }
    }
}

const SYNTAXES: [&str; 5] = ["deflated", "rle", "j2k_lossless", "jpeg_lossless_sv1", "jpegls"];

#[test]
fn every_syntax_of_the_volume_gives_the_same_pixels() {
    let Some(folder) = shared(CBIS) else { return };
    same_pixels(&folder, "DBT_P_00173_LEFT_MLO", &SYNTAXES);
}

#[test]
fn every_syntax_of_the_mammogram_gives_the_same_pixels() {
    let Some(folder) = shared(CBIS) else { return };
    same_pixels(&folder, "MG_P_00173_RIGHT_MLO", &SYNTAXES);
    same_pixels(&folder, "MG_P_00173_RIGHT_MLO", &["implicit_le"]);
}

#[test]
fn the_volume_tells_its_geometry() {
    let Some(folder) = shared(CBIS) else { return };
    let path = folder.join("DBT_P_00173_LEFT_MLO_explicit_le.dcm");
    let Object::Image(image) = open(&path, &Limits::default()).unwrap() else { panic!("not an image") };
    let info = image.info();
    println!("{info:?}\n{:?}", image.frame_info(3).unwrap());
    assert_eq!(info.kind, ObjectKind::BreastTomosynthesis);
    assert_eq!((info.rows, info.columns, info.frames, info.bits_stored), (384, 384, 15, 12));
    assert_eq!(info.laterality, Some(Laterality::Left));
    assert_eq!(info.view.as_deref(), Some("MLO"));
    let frame = image.frame_info(3).unwrap();
    assert_eq!(frame.spacing.map(|spacing| spacing.source), Some(SpacingSource::PixelSpacing));
    assert!(frame.position.is_some());
    let shown = image.frame(3).unwrap().display(&Voi::Default).unwrap();
    assert!(shown.iter().all(|value| (0.0..=1.0).contains(value)));
}
