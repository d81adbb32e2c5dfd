//! Small copies of public releases, with their real file names and tables.

mod common;

use std::path::Path;

use common::dicom::{Dicom, MAMMOGRAPHY, MULTI_FRAME_WORD, SECONDARY_CAPTURE};
use common::*;
use pig_dicom::Limits;
use pig_prepare::layouts::find;
use pig_prepare::prepared_folder::transforms;
use pig_prepare::settings::{BoxShape, CropRule};
use pig_prepare::{Layout, PrepareConfig};
use pig_testing::shared;

fn count(values: &[u16]) -> usize {
    values.iter().filter(|&&value| value != 0).count()
}

#[test]
fn busi_merges_the_masks_of_one_image() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = source.path().join("Dataset_BUSI_with_GT");
    let put = |name: &str, values: Vec<u8>| write_png(&root.join(name), 40, 50, values);
    put("benign/benign (1).png", picture(40, 50, 1));
    put("benign/benign (1)_mask.png", disc(40, 50, [10.0, 10.0], 5.0));
    put("benign/benign (1)_mask_1.png", disc(40, 50, [30.0, 40.0], 6.0));
    put("benign/benign (11).png", picture(40, 50, 2));
    put("benign/benign (11)_mask.png", disc(40, 50, [20.0, 20.0], 5.0));
    put("malignant/malignant (1).png", picture(40, 50, 3));
    put("malignant/malignant (1)_mask.png", disc(40, 50, [20.0, 20.0], 8.0));
    put("normal/normal (1).png", picture(40, 50, 4));
    put("normal/normal (1)_mask.png", disc(40, 50, [0.0, 0.0], 0.0));
    let config = PrepareConfig { empty_share: 1.0, size: [40, 50], ..PrepareConfig::default() };
    let summary = run(&request(source.path(), out.path(), config)).unwrap();
    assert_eq!(summary.description.layout, Layout::Busi);
    let rows = manifest(out.path());
    let words: Vec<(&str, &str)> = rows.iter().map(|row| (row["id"].as_str(), row["class"].as_str())).collect();
    let expected =
        [("benign_1", "benign"), ("benign_11", "benign"), ("malignant_1", "malignant"), ("normal_1", "normal")];
    assert_eq!(words, expected);
    let parts = [([10.0, 10.0], 5.0), ([30.0, 40.0], 6.0)].map(|(centre, radius)| disc(40, 50, centre, radius));
    let merged: Vec<u16> = (0..2000).map(|index| u16::from(parts[0][index] | parts[1][index])).collect();
    assert_eq!(read_gray(&out.path().join("masks/benign_1.png")).2, merged);
    assert_eq!(rows[3]["empty_mask"], "true");
}

#[test]
fn lgg_names_patients_and_reads_flair_from_the_green_channel() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = key(source.path());
    for (patient, slice) in [("TCGA_CS_4941_19960909", 1), ("TCGA_CS_4941_19960909", 2), ("TCGA_DU_5849_19950405", 1)] {
        let folder = source.path().join("kaggle_3m").join(patient);
        let colours: Vec<u8> = picture(32, 32, slice).into_iter().flat_map(|green| [7, green, 200]).collect();
        std::fs::create_dir_all(&folder).unwrap();
        let image = folder.join(format!("{patient}_{slice}.tif"));
        image::save_buffer(&image, &colours, 32, 32, image::ColorType::Rgb8).unwrap();
        let mask = folder.join(format!("{patient}_{slice}_mask.tif"));
        image::save_buffer(&mask, &disc(32, 32, [16.0, 16.0], 5.0), 32, 32, image::ColorType::L8).unwrap();
    }
    std::fs::write(source.path().join("kaggle_3m/data.csv"), "Patient,death01\nTCGA_CS_4941,0\n").unwrap();
    let mut request = request(source.path(), out.path(), small(32));
    request.key = Some(key);
    request.links = Some(source.path().join("links.csv"));
    let summary = run(&request).unwrap();
    assert_eq!(
        (summary.description.layout, summary.description.pairs, summary.description.patients),
        (Layout::Lgg, 3, 2)
    );
    let links = std::fs::read_to_string(source.path().join("links.csv")).unwrap();
    let id =
        links.lines().find(|line| line.contains("TCGA_CS_4941_19960909_2.tif")).unwrap().split(',').next().unwrap();
    let expected: Vec<u16> = picture(32, 32, 2).into_iter().map(u16::from).collect();
    assert_eq!(read_gray(&out.path().join(format!("images/{id}.png"))).2, expected);
    for (place, bytes) in contents(out.path()) {
        assert!(!place.contains("TCGA") && !bytes.windows(4).any(|window| window == b"TCGA"), "{place}");
    }
}

fn mammogram(instance: &str) -> Dicom {
    let mut dicom = Dicom::new(MAMMOGRAPHY, 1, 60, 50);
    dicom.instance = format!("1.2.826.0.1.3680043.8.498.{instance}");
    dicom
}

/// A breast at the left edge of a picture of 60 x 50 pixels.
fn breast(row: usize, column: usize) -> u16 {
    if (row as f64 - 30.0).hypot(column as f64) < 25.0 { 1500 + 20 * column as u16 } else { 3 }
}

#[test]
fn cbis_ddsm_tells_masks_from_crops_by_their_size() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = source.path().join("CBIS-DDSM");
    let head = "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,\
                mass margins,assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path\n";
    let row = |id: usize, pathology: &str| {
        format!(
            "P_00001,3,LEFT,CC,{id},mass,IRREGULAR,SPICULATED,4,{pathology},4,Mass-Training_P_00001_LEFT_CC/1.3.6.1/1.3.6.2/000000.dcm,\
             Mass-Training_P_00001_LEFT_CC_{id}/1.3.6.3/1.3.6.4{id}/000000.dcm,\
             \"Mass-Training_P_00001_LEFT_CC_{id}/1.3.6.3/1.3.6.4{id}/000001.dcm\n\"\n"
        )
    };
    let elsewhere = row(1, "BENIGN").replace("P_00001", "P_09999");
    let table = format!("{head}{}{}{elsewhere}", row(1, "BENIGN"), row(2, "MALIGNANT"));
    std::fs::write(source.path().join("mass_case_description_train_set.csv"), table).unwrap();
    // TCIA's downloader renames everything below the first folder; the crop comes first.
    let full = root.join("Mass-Training_P_00001_LEFT_CC/07-20-2016-DDSM-30678/1.000000-full mammogram images-18984");
    mammogram("10").write(&full.join("1-1.dcm"), |_, row, column| breast(row, column));
    for id in 1..=2_usize {
        let folder = root
            .join(format!("Mass-Training_P_00001_LEFT_CC_{id}/07-21-2016-DDSM-74994/1.000000-ROI mask images-18984"));
        let mut crop = Dicom::new(SECONDARY_CAPTURE, 1, 12, 10);
        crop.bits = 8;
        crop.write(&folder.join("1-1.dcm"), |_, _, _| 77);
        let mut mask = Dicom::new(SECONDARY_CAPTURE, 1, 60, 50);
        mask.bits = 8;
        let from = 10 * id;
        mask.write(&folder.join("1-2.dcm"), |_, row, column| {
            if (from..from + 5).contains(&row) && (4..8).contains(&column) { 255 } else { 0 }
        });
    }
    let config = PrepareConfig { size: [60, 50], crop: CropRule::None, ..PrepareConfig::default() };
    let mut request = request(source.path(), out.path(), config);
    let keys = tempfile::tempdir().unwrap();
    request.key = Some(key(keys.path()));
    let summary = run(&request).unwrap();
    assert_eq!((summary.description.layout, summary.description.pairs), (Layout::CbisDdsm, 1));
    assert!(summary.notes.iter().any(|note| note.starts_with("1 row(s)")), "{:?}", summary.notes);
    let row = &manifest(out.path())[0];
    assert_eq!((row["class"].as_str(), row["laterality"].as_str(), row["view"].as_str()), ("malignant", "left", "CC"));
    let mask = read_gray(&out.path().join(&row["mask"])).2;
    assert_eq!(count(&mask), 40);
    assert!(mask[10 * 50 + 4] == 255 && mask[24 * 50 + 7] == 255);
}

const INBREAST_XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>Images</key><array><dict><key>ImageIndex</key><integer>0</integer>
<key>NumberOfROIs</key><integer>2</integer><key>ROIs</key><array>
<dict><key>Area</key><real>1</real><key>Center</key><string>(1, 2, 3)</string><key>Name</key><string>Mass</string>
<key>NumberOfPoints</key><integer>4</integer>
<key>Point_mm</key><array><string>(1, 2, 3)</string></array>
<key>Point_px</key><array><string>(9.5, 19.5)</string><string>(15.5, 19.5)</string><string>(15.5, 30.5)</string><string>(9.5, 30.5)</string></array></dict>
<dict><key>Name</key><string>Calcification</string><key>NumberOfPoints</key><integer>1</integer>
<key>Point_px</key><array><string>(3.000000, 40.000000)</string></array></dict>
</array></dict></array></dict></plist>"#;

#[test]
fn inbreast_fills_contours_and_reads_names() {
    let source = tempfile::tempdir().unwrap();
    let keys = tempfile::tempdir().unwrap();
    let names = ["20586908_6c613a14b80a8591_MG_R_CC_ANON", "20586934_6c613a14b80a8591_MG_L_ML_ANON"];
    for (index, name) in names.iter().enumerate() {
        let path = source.path().join(format!("AllDICOMs/{name}.dcm"));
        mammogram(&(20 + index).to_string()).write(&path, |_, row, column| breast(row, column));
    }
    std::fs::create_dir_all(source.path().join("AllXML")).unwrap();
    std::fs::write(source.path().join("AllXML/20586908.xml"), INBREAST_XML).unwrap();
    let table = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads\nremoved;removed;R;CC;201001;20586908;4;5\n";
    std::fs::write(source.path().join("INbreast.csv"), table).unwrap();
    for (types, pixels) in [(vec![], 6 * 11 + 1), (vec!["mass".to_owned()], 6 * 11)] {
        let out = tempfile::tempdir().unwrap();
        let config = PrepareConfig {
            size: [60, 50],
            crop: CropRule::None,
            empty_share: 1.0,
            lesion_types: types,
            ..PrepareConfig::default()
        };
        let mut request = request(source.path(), out.path(), config);
        request.key = Some(key(keys.path()));
        let summary = run(&request).unwrap();
        let description = &summary.description;
        assert_eq!((description.layout, description.pairs, description.patients), (Layout::Inbreast, 2, 1));
        let rows = manifest(out.path());
        let right = rows.iter().find(|row| row["laterality"] == "right").unwrap();
        assert_eq!((right["class"].as_str(), right["view"].as_str()), ("birads-5", "CC"));
        assert_eq!(count(&read_gray(&out.path().join(&right["mask"])).2), pixels);
        let left = rows.iter().find(|row| row["laterality"] == "left").unwrap();
        assert_eq!((left["empty_mask"].as_str(), left["view"].as_str()), ("true", "MLO"));
    }
}

/// A release with one volume of 5 slices, with the breast at the left and a box in slice 2.
fn bcs_dbt(root: &Path, on_its_head: bool) {
    let folder = "Breast-Cancer-Screening-DBT/DBT-P00001/01-01-2000-DBT-S00001-MAMMO screening digital bilateral-1/16214.000000-NA-18959";
    let paths = format!(
        "PatientID,StudyUID,View,descriptive_path,classic_path\n\
         DBT-P00001,DBT-S00001,lmlo,{folder}/1-1.dcm,Breast-Cancer-Screening-DBT/DBT-P00001/1.2.3/4.5.6/000000.dcm\n\
         DBT-P00002,DBT-S00002,rcc,{0}/1-1.dcm,x/y/z/000000.dcm\n",
        folder.replace("P00001", "P00002")
    );
    std::fs::write(root.join("BCS-DBT-file-paths-train-v2.csv"), paths).unwrap();
    let boxes = "PatientID,StudyUID,View,Subject,Slice,X,Y,Width,Height,Class,AD,VolumeSlices\n\
                 DBT-P00001,DBT-S00001,lmlo,0,2,6,20,12,8,cancer,0,5\n";
    std::fs::write(root.join("BCS-DBT-boxes-train-v2.csv"), boxes).unwrap();
    let labels = "PatientID,StudyUID,View,Normal,Actionable,Benign,Cancer\nDBT-P00001,DBT-S00001,lmlo,0,0,0,1\n";
    std::fs::write(root.join("BCS-DBT-labels-train-v2.csv"), labels).unwrap();
    let mut volume = Dicom::new(MULTI_FRAME_WORD, 5, 60, 50);
    // The headers' laterality is wrong in this release.
    volume.laterality = Some("L");
    let path = root.join("manifest-1617905855234").join(folder).join("1-1.dcm");
    volume.write(&path, |_, row, column| if on_its_head { breast(59 - row, 49 - column) } else { breast(row, column) });
}

#[test]
fn bcs_dbt_draws_boxes_on_the_upright_image() {
    let keys = tempfile::tempdir().unwrap();
    let mut results = Vec::new();
    for on_its_head in [false, true] {
        let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        bcs_dbt(source.path(), on_its_head);
        let config = PrepareConfig {
            size: [60, 50],
            crop: CropRule::None,
            box_shape: BoxShape::Box,
            ..PrepareConfig::default()
        };
        let mut request = request(source.path(), out.path(), config);
        request.key = Some(key(keys.path()));
        let summary = run(&request).unwrap();
        assert_eq!((summary.description.layout, summary.description.pairs), (Layout::BcsDbt, 1));
        assert!(summary.notes.iter().any(|note| note.contains("weak labels")), "{:?}", summary.notes);
        let row = &manifest(out.path())[0];
        assert_eq!((row["slice"].as_str(), row["class"].as_str(), row["view"].as_str()), ("2", "cancer", "MLO"));
        assert_eq!(
            (row["weak_label"].as_str(), row["turned"].as_str()),
            ("true", if on_its_head { "true" } else { "false" })
        );
        let mask = read_gray(&out.path().join(&row["mask"])).2;
        assert_eq!(count(&mask), 12 * 8);
        assert!(mask[20 * 50 + 6] == 255 && mask[27 * 50 + 17] == 255);
        results.push((read_gray(&out.path().join(&row["image"])).2, mask.clone()));
        // Mapped back to the source, the lesion is where it is in the file.
        let transform = transforms(out.path()).unwrap()[&row["id"]];
        let binary: Vec<u8> = mask.iter().map(|&value| u8::from(value != 0)).collect();
        let restored = transform.restore_mask(&binary, pig_data::classes::Coding::exclusive(1));
        let first = restored.iter().position(|&value| value != 0).unwrap();
        assert_eq!(first, if on_its_head { (59 - 27) * 50 + 49 - 17 } else { 20 * 50 + 6 });
    }
    assert_eq!(results[0], results[1], "the upside-down volume becomes the same pair");
}

#[test]
fn box_slices_and_ellipses_are_settings() {
    let keys = tempfile::tempdir().unwrap();
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    bcs_dbt(source.path(), false);
    let config = PrepareConfig { size: [60, 50], crop: CropRule::None, box_slices: 1, ..PrepareConfig::default() };
    let mut request = request(source.path(), out.path(), config);
    request.key = Some(key(keys.path()));
    run(&request).unwrap();
    let rows = manifest(out.path());
    let slices: Vec<&str> = rows.iter().map(|row| row["slice"].as_str()).collect();
    assert_eq!(slices, ["1", "2", "3"]);
    let pixels: usize = rows[0]["mask_pixels"].parse().unwrap();
    let expected = std::f64::consts::PI * 6.0 * 4.0;
    assert!((pixels as f64 - expected).abs() < 8.0, "{pixels} {expected}");
}

#[test]
fn shared_folders_have_their_published_counts() {
    let config = PrepareConfig::default();
    if let Some(busi) = shared("data/busi") {
        let found = find(&busi, None, &config, &Limits::default()).unwrap();
        assert_eq!((found.layout, found.cases.len()), (Layout::Generic, 586));
    }
    if let Some(lgg) = shared("data/lgg") {
        let found = find(&lgg, None, &config, &Limits::default()).unwrap();
        assert_eq!((found.layout, found.cases.len(), found.notes.len()), (Layout::Lgg, 1295, 0));
        let patients: std::collections::BTreeSet<_> = found.cases.iter().map(|case| &case.patient).collect();
        assert_eq!(patients.len(), 80);
    }
}

#[test]
fn a_forced_layout_that_is_not_there_says_what_it_would_be() {
    let source = tempfile::tempdir().unwrap();
    write_pair(source.path(), "a", 20, 20, 1, 4.0);
    let error =
        find(source.path(), Some(Layout::Busi), &PrepareConfig::default(), &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("benign (1).png") && error.contains("--layout"), "{error}");
}

#[test]
fn boxes_before_the_first_slice_or_behind_the_last_are_errors() {
    let keys = tempfile::tempdir().unwrap();
    for (slice, word) in
        [("-1", "line 2 has no valid box"), ("5", "slice 5 (counted from 0) of 5"), ("1.5", "line 2 has no valid box")]
    {
        let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        bcs_dbt(source.path(), false);
        let path = source.path().join("BCS-DBT-boxes-train-v2.csv");
        let table = std::fs::read_to_string(&path).unwrap().replace("lmlo,0,2,6", &format!("lmlo,0,{slice},6"));
        std::fs::write(&path, table).unwrap();
        let mut request = request(source.path(), out.path(), small(50));
        (request.key, request.strict) = (Some(key(keys.path())), true);
        let error = run(&request).unwrap_err().to_string();
        assert!(error.contains(word), "{slice}: {error}");
    }
}

#[test]
fn the_slice_of_the_box_decides_which_way_is_up() {
    let keys = tempfile::tempdir().unwrap();
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    bcs_dbt(source.path(), false);
    let path = source.path().join("BCS-DBT-boxes-train-v2.csv");
    let table = std::fs::read_to_string(&path).unwrap().replace("lmlo,0,2,6", "lmlo,0,4,6");
    std::fs::write(&path, table).unwrap();
    // Only the last slice has its bright edge at the right.
    let volume = walk(source.path()).into_iter().find(|path| path.extension().is_some_and(|e| e == "dcm")).unwrap();
    Dicom::new(MULTI_FRAME_WORD, 5, 60, 50).write(&volume, |frame, row, column| {
        if frame == 4 { breast(59 - row, 49 - column) } else { breast(row, column) }
    });
    let mut request = request(source.path(), out.path(), small(50));
    request.key = Some(key(keys.path()));
    run(&request).unwrap();
    let row = &manifest(out.path())[0];
    assert_eq!((row["slice"].as_str(), row["turned"].as_str()), ("4", "true"));
}

/// Every file below a folder.
fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn columns_of_crop_and_mask_may_be_exchanged() {
    let keys = tempfile::tempdir().unwrap();
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let table = "patient_id,left or right breast,image view,abnormality type,pathology,image file path,\
                 cropped image file path,ROI mask file path\n\
                 P_1,LEFT,CC,mass,BENIGN,I/S/V/000000.dcm,M/S/MASK/000000.dcm,C/S/CROP/000000.dcm\n";
    std::fs::write(source.path().join("mass_case_description_test_set.csv"), table).unwrap();
    mammogram("30").write(&source.path().join("I/S/V/000000.dcm"), |_, row, column| breast(row, column));
    for (place, size) in [("M/S/MASK", [60, 50]), ("C/S/CROP", [12, 10])] {
        let mut picture = Dicom::new(SECONDARY_CAPTURE, 1, size[0], size[1]);
        picture.bits = 8;
        let inside = |row: usize| (4..9).contains(&row);
        picture.write(&source.path().join(place).join("000000.dcm"), |_, row, _| if inside(row) { 255 } else { 0 });
    }
    let mut request =
        request(source.path(), out.path(), PrepareConfig { size: [60, 50], crop: CropRule::None, ..small(1) });
    (request.key, request.strict) = (Some(key(keys.path())), true);
    run(&request).unwrap();
    assert_eq!(manifest(out.path())[0]["mask_pixels"], "250");
}

#[test]
fn contours_that_grow_or_never_end_are_errors() {
    let keys = tempfile::tempdir().unwrap();
    let points = "<string>(1, 0)</string><string>(1, 60)</string>".repeat(750_000);
    let endless = INBREAST_XML.replace("<string>(3.000000, 40.000000)</string>", &points);
    let bomb = INBREAST_XML.replace(
        "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">",
        "\"x\" [<!ENTITY a \"0123456789\"><!ENTITY b \"&a;&a;&a;\">]>",
    );
    for (text, memory, word) in [
        (endless.as_str(), 4_000_000_000, "cross rows of the image"),
        (bomb.as_str(), 4_000_000_000, "entity declaration"),
        (endless.as_str(), 64_000_000, "the contours would take"),
        ("<plist><dict>", 4_000_000_000, "invalid XML at line 1"),
    ] {
        let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = source.path().join("AllDICOMs/20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm");
        mammogram("40").write(&path, |_, row, column| breast(row, column));
        std::fs::write(source.path().join("20586908.xml"), text).unwrap();
        let mut request = request(source.path(), out.path(), small(50));
        (request.key, request.strict) = (Some(key(keys.path())), true);
        request.cost = pig_prepare::sources::Cost::of_bytes(memory);
        let error = run(&request).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("20586908.xml"), "{word}: {error}");
    }
}
