//! A table of a release. The first byte chooses which table. The files that the seeds name exist, so that rows lead to
//! images, boxes and masks.
#![no_main]

use std::sync::Once;

use pig_prepare::Layout;
use pig_prepare_fuzz::{dicom, exercise, folder, picture, put};

static SOURCES: Once = Once::new();

const PATHS: &[u8] = b"PatientID,StudyUID,View,descriptive_path\nP,S,lcc,a/P/S/V/1.dcm\n";

fn sources() {
    dicom("bcs/a/P/S/V/1.dcm", 3);
    dicom("cbis/I/S/V/0.dcm", 1);
    dicom("cbis/M/S/W/1.dcm", 1);
    dicom("inbreast/20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm", 1);
    for name in ["images/a.png", "images/b.png", "masks/a.png"] {
        picture(&format!("generic/{name}"), 255);
    }
    picture("nnunet/imagesTr/A_0000.png", 7);
    picture("nnunet/labelsTr/A.png", 1);
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    SOURCES.call_once(sources);
    let Some((&choice, table)) = data.split_first() else { return };
    let (place, layout) = match choice % 8 {
        0 => ("bcs/BCS-DBT-file-paths-a.csv", Layout::BcsDbt),
        1 => ("bcs/BCS-DBT-boxes-a.csv", Layout::BcsDbt),
        2 => ("bcs/BCS-DBT-labels-a.csv", Layout::BcsDbt),
        3 => ("cbis/mass_case_description_train_set.csv", Layout::CbisDdsm),
        4 => ("inbreast/INbreast.csv", Layout::Inbreast),
        5 => ("generic/manifest.csv", Layout::Generic),
        6 => ("nnunet/dataset.json", Layout::NnUnet),
        _ => return,
    };
    if matches!(choice % 8, 1 | 2) {
        put("bcs/BCS-DBT-file-paths-a.csv", PATHS);
    }
    let path = put(place, table);
    let source = folder().join(place.split('/').next().unwrap_or_default());
    exercise(&source, layout);
    let _ = std::fs::remove_file(path);
});
