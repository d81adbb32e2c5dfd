//! Masks of several classes in every format, read back class by class.

mod common;

use std::path::{Path, PathBuf};

use common::{DICOM_LABELMAP, DICOM_SEG, done, manifest, request};
use dicom_dictionary_std::tags;
use dicom_object::open_file;
use nifti::{NiftiObject, ReaderOptions};
use pig_data::Pixels;
use pig_data::classes::Coding;
use pig_data::config::{ClassConfig, MaskValue, MaskValues};
use pig_data::phantom::{PhantomConfig, write_dataset};
use pig_data::png_file::{read_label_png, read_png};
use pig_export::{Format, Request, Segmentation};
use serde_json::Value;

/// Phantoms of masses and calcifications, and the label maps by id.
fn phantoms(folder: &Path) -> (PathBuf, Vec<(String, Vec<u8>)>) {
    let data = folder.join("data");
    let config = PhantomConfig {
        patients: 4,
        size: [48, 40],
        lesion_free_share: 0.3,
        calcification_share: 0.8,
        ..PhantomConfig::default()
    };
    write_dataset(&config, &data, &|_, _| {}).unwrap();
    let mut maps: Vec<(String, Vec<u8>)> = std::fs::read_dir(data.join("masks"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let Pixels::Eight(labels) = read_label_png(&path).unwrap().pixels else { panic!("8 bits") };
            (path.file_stem().unwrap().to_string_lossy().into_owned(), labels)
        })
        .collect();
    maps.sort();
    let total = maps.iter().fold([0; 2], |[a, b], (_, labels)| {
        let found = Coding::exclusive(2).areas(labels);
        [a + found[0], b + found[1]]
    });
    assert!(total[0] > 50 && total[1] > 50, "{total:?}");
    (data, maps)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn gray(path: &Path) -> Vec<u8> {
    let png = read_png(path).unwrap();
    assert_eq!(png.text.get("classes"), None, "a gray label map has no names");
    let Pixels::Eight(values) = png.pixels else { panic!("8 bits") };
    values
}

#[test]
fn pictures_keep_every_class() {
    let folder = tempfile::tempdir().unwrap();
    let (data, maps) = phantoms(folder.path());
    let at = |name: &str| folder.path().join(name);
    done(&request(&data, &at("Dataset001_Two"), Format::Nnunet));
    let labels = &json(&at("Dataset001_Two/dataset.json"))["labels"];
    assert_eq!(labels, &serde_json::json!({ "background": 0, "mass": 1, "calcification": 2 }));
    done(&request(&data, &at("monai"), Format::Monai));
    let labels = &json(&at("monai/datalist.json"))["labels"];
    assert_eq!(labels, &serde_json::json!({ "0": "background", "1": "mass", "2": "calcification" }));
    done(&request(&data, &at("png"), Format::Png));
    for (id, map) in &maps {
        assert_eq!(&gray(&at(&format!("Dataset001_Two/labelsTr/{id}.png"))), map);
        assert_eq!(&gray(&at(&format!("monai/labels/{id}.png"))), map);
        let png = read_label_png(&at(&format!("png/masks/{id}.png"))).unwrap();
        assert_eq!(
            (png.pixels, png.text["classes"].as_str()),
            (Pixels::Eight(map.clone()), r#"["mass","calcification"]"#)
        );
    }
    let rows = manifest(&at("png"));
    for (row, (_, map)) in rows.iter().zip(&maps) {
        let found =
            ["mask_pixels_mass", "mask_pixels_calcification"].map(|column| row[column].parse::<usize>().unwrap());
        assert_eq!(found.to_vec(), Coding::exclusive(2).areas(map));
    }
    done(&request(&data, &at("tar"), Format::Webdataset { shard_size: 100 }));
    let mut archive = tar::Archive::new(std::fs::File::open(at("tar/pairs-000000.tar")).unwrap());
    let named = archive.entries().unwrap().filter(|entry| {
        let entry = entry.as_ref().unwrap();
        entry.path().unwrap().extension().is_some_and(|ending| ending == "json")
    });
    assert_eq!(named.count(), maps.len());
}

#[test]
fn coco_has_a_category_for_each_class() {
    let folder = tempfile::tempdir().unwrap();
    let (data, maps) = phantoms(folder.path());
    let out = folder.path().join("coco");
    done(&request(&data, &out, Format::Coco { segmentation: Segmentation::Rle }));
    let found = json(&out.join("annotations.json"));
    let names: Vec<&str> =
        found["categories"].as_array().unwrap().iter().map(|category| category["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mass", "calcification"]);
    for category in 1..=2_u64 {
        let of = |annotation: &&Value| annotation["category_id"] == category;
        let sum: u64 =
            found["annotations"].as_array().unwrap().iter().filter(of).map(|one| one["area"].as_u64().unwrap()).sum();
        let expected: usize = maps.iter().map(|(_, map)| Coding::exclusive(2).areas(map)[category as usize - 1]).sum();
        assert_eq!(sum as usize, expected, "{category}");
    }
}

#[test]
fn volumes_keep_every_class() {
    let folder = tempfile::tempdir().unwrap();
    let (data, maps) = phantoms(folder.path());
    let at = |name: &str| folder.path().join(name);
    done(&request(&data, &at("nifti"), Format::Nifti));
    assert_eq!(json(&at("nifti/labels.json"))["labels"]["2"], "calcification");
    done(&request(&data, &at("dicom"), DICOM_SEG));
    for (id, map) in &maps {
        let object = ReaderOptions::new().read_file(at(&format!("nifti/masks/{id}.nii.gz"))).unwrap();
        assert_eq!(object.into_volume().into_nifti_typed_data::<u8>().unwrap(), *map);
        let seg = open_file(at(&format!("dicom/segmentations/{id}.dcm"))).unwrap();
        let segments = seg.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap();
        let labels: Vec<String> = segments
            .iter()
            .map(|segment| segment.element(tags::SEGMENT_LABEL).unwrap().to_str().unwrap().trim().to_owned())
            .collect();
        assert_eq!(labels, ["mass", "calcification"]);
        let frames = seg.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap();
        assert_eq!((frames.len(), seg.element(tags::NUMBER_OF_FRAMES).unwrap().to_int::<u32>().unwrap()), (2, 2));
        let bytes = seg.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
        let bit = |index: usize| bytes[index / 8] >> (index % 8) & 1;
        for (frame, group) in frames.iter().enumerate() {
            let of = group.element(tags::SEGMENT_IDENTIFICATION_SEQUENCE).unwrap().items().unwrap();
            let number = of[0].element(tags::REFERENCED_SEGMENT_NUMBER).unwrap().to_int::<u8>().unwrap();
            let inside = |index: usize| bit(frame * map.len() + index) == 1;
            assert!((0..map.len()).all(|index| inside(index) == (map[index] == number)), "{id}, frame {frame}");
        }
    }
}

/// A label map has one frame of segment numbers, and pig's reader finds the classes of the source in it, as in a binary segmentation.
#[test]
fn a_label_map_of_dicom_is_the_label_map() {
    use pig_prepare::settings::SegmentClasses;
    use pig_prepare::{PrepareConfig, pipeline::Silent, prepare, privacy::Key, sources::Cost};
    let folder = tempfile::tempdir().unwrap();
    let (data, maps) = phantoms(folder.path());
    let at = |name: &str| folder.path().join(name);
    done(&request(&data, &at("binary"), DICOM_SEG));
    done(&request(&data, &at("labels"), DICOM_LABELMAP));
    for (id, map) in &maps {
        let seg = open_file(at(&format!("labels/segmentations/{id}.dcm"))).unwrap();
        let text = |tag| seg.element(tag).unwrap().to_str().unwrap().trim_end_matches(['\0', ' ']).to_owned();
        assert_eq!(text(tags::SOP_CLASS_UID), "1.2.840.10008.5.1.4.1.1.66.7");
        assert_eq!(seg.meta().media_storage_sop_class_uid(), "1.2.840.10008.5.1.4.1.1.66.7");
        assert_eq!((text(tags::SEGMENTATION_TYPE).as_str(), text(tags::SEGMENTS_OVERLAP).as_str()), ("LABELMAP", "NO"));
        let number = |tag| seg.element(tag).unwrap().to_int::<u32>().unwrap();
        let frames = (number(tags::NUMBER_OF_FRAMES), number(tags::PIXEL_PADDING_VALUE));
        assert_eq!((frames, number(tags::BITS_ALLOCATED), number(tags::HIGH_BIT)), ((1, 0), 8, 7));
        assert_eq!(seg.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap()[..], map[..]);
        // Every value that pixels may have is described, also the background, and no frame names a segment.
        let segments = seg.element(tags::SEGMENT_SEQUENCE).unwrap().items().unwrap();
        let described: Vec<(u16, String)> = segments
            .iter()
            .map(|segment| {
                let label = segment.element(tags::SEGMENT_LABEL).unwrap().to_str().unwrap().trim().to_owned();
                (segment.element(tags::SEGMENT_NUMBER).unwrap().to_int().unwrap(), label)
            })
            .collect();
        assert_eq!(described, [(0, "Background"), (1, "mass"), (2, "calcification")].map(|(n, l)| (n, l.to_owned())));
        let groups = seg.element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).unwrap().items().unwrap();
        assert!(groups.len() == 1 && groups[0].element(tags::SEGMENT_IDENTIFICATION_SEQUENCE).is_err());
        let dimensions = seg.element(tags::DIMENSION_INDEX_SEQUENCE).unwrap().items().unwrap();
        assert_eq!(dimensions.len(), 1);
    }
    let key = at("test.key");
    std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
    let read = |name: &str| {
        let out = at(&format!("{name}-prepared"));
        let config = PrepareConfig {
            size: [48, 40],
            segment_classes: SegmentClasses::Label,
            empty_share: 1.0,
            ..PrepareConfig::default()
        };
        let request = pig_prepare::Request {
            source: at(name),
            out: out.clone(),
            layout: None,
            config,
            key: Some(Key::read(&key).unwrap()),
            strict: true,
            cost: Cost::default(),
            links: None,
            prune: false,
        };
        prepare(&request, &Silent).unwrap();
        let mut found: Vec<[usize; 2]> = manifest(&out)
            .iter()
            .map(|row| ["mask_pixels_mass", "mask_pixels_calcification"].map(|column| row[column].parse().unwrap()))
            .collect();
        found.sort_unstable();
        found
    };
    let mut expected: Vec<[usize; 2]> =
        maps.iter().map(|(_, map)| Coding::exclusive(2).areas(map).try_into().unwrap()).collect();
    expected.sort_unstable();
    assert_eq!(read("binary"), expected);
    assert_eq!(read("labels"), expected);
}

/// Real label maps of gray values and generated ones that name their classes have the same classes, or the export is refused.
#[test]
fn real_and_generated_pairs_must_have_the_same_classes() {
    let folder = tempfile::tempdir().unwrap();
    let (generated, maps) = phantoms(folder.path());
    let real = folder.path().join("real");
    for kind in ["images", "masks"] {
        std::fs::create_dir_all(real.join(kind)).unwrap();
    }
    let picture = |kind: &str, values: Vec<u8>| {
        let path = real.join(kind).join("a.png");
        pig_data::png_file::write_gray_png(&path, 48, 40, &Pixels::Eight(values), &[]).unwrap();
    };
    picture("images", vec![7; 48 * 40]);
    picture("masks", maps[0].1.iter().map(|label| label * 10).collect());
    let class = |name: &str, value| ClassConfig {
        name: name.to_owned(),
        values: MaskValues(vec![MaskValue::Gray(value)]),
        code: None,
    };
    let with = |classes: Vec<ClassConfig>| {
        let out = folder.path().join(format!("merged-{}", classes.len()));
        let mut asked = Request { real: Some(real.clone()), ..request(&generated, &out, Format::Png) };
        asked.data.classes = classes;
        pig_export::export(&asked, &|_, _| std::ops::ControlFlow::Continue(()))
    };
    let summary = with(vec![class("mass", 10), class("calcification", 20)]).unwrap();
    assert_eq!((summary.real, summary.generated), (1, maps.len()));
    let message = with(vec![class("mass", 10), class("calcification", 20), class("cyst", 30)]).map(|_| ());
    message.unwrap();
    let message = with(vec![class("mass", 10)]).unwrap_err().to_string();
    assert!(message.contains("the classes mass, calcification; expected mass"), "{message}");
}

/// Regions: a whole with a core, and in one mask a core alone. What nnU-Net reads as a region is that region's mask.
#[test]
fn regions_are_sets_of_labels() {
    use pig_data::png_file::{encode_class_png, write_gray_png};
    let folder = tempfile::tempdir().unwrap();
    let (data, at) = (folder.path().join("data"), |name: &str| folder.path().join(name));
    for kind in ["images", "masks"] {
        std::fs::create_dir_all(data.join(kind)).unwrap();
    }
    let class = |name: &str| ClassConfig { name: name.to_owned(), ..ClassConfig::default() };
    let classes = [class("core"), class("whole")];
    let maps: [[u8; 4]; 2] = [[0, 2, 3, 2], [0, 1, 3, 0]];
    for (index, map) in maps.iter().enumerate() {
        let name = format!("a{index}.png");
        write_gray_png(&data.join("images").join(&name), 2, 2, &Pixels::Eight(vec![7; 4]), &[]).unwrap();
        let path = data.join("masks").join(&name);
        std::fs::write(&path, encode_class_png(&path, [2, 2], map, (&classes, true), &[]).unwrap()).unwrap();
    }
    done(&request(&data, &at("Dataset001_Regions"), Format::Nnunet));
    let text = std::fs::read_to_string(at("Dataset001_Regions/dataset.json")).unwrap();
    let described = json(&at("Dataset001_Regions/dataset.json"));
    let labels = &described["labels"];
    assert_eq!(labels, &serde_json::json!({ "background": 0, "core": [1, 3], "whole": [2, 3] }));
    // nnU-Net takes the regions in the order of the file, and a region's number where no later one is predicted.
    assert!(text.find("\"core\"").unwrap() < text.find("\"whole\"").unwrap());
    assert_eq!(described["regions_class_order"], serde_json::json!([1, 2]));
    done(&request(&data, &at("monai"), Format::Monai));
    done(&request(&data, &at("nifti"), Format::Nifti));
    for described in [json(&at("monai/datalist.json")), json(&at("nifti/labels.json"))] {
        assert_eq!(described["labels"]["3"], "core + whole");
        assert_eq!(described["regions"]["core"], serde_json::json!([1, 3]));
    }
    done(&request(&data, &at("coco"), Format::Coco { segmentation: Segmentation::Rle }));
    done(&request(&data, &at("dicom"), DICOM_SEG));
    let refused = common::run(&request(&data, &at("labelmap"), DICOM_LABELMAP)).unwrap_err().to_string();
    let said = ["--segmentation-type = labelmap", "may overlap (core, whole)", "expected binary"];
    assert!(said.iter().all(|words| refused.contains(words)), "{refused}");
    assert!(!at("labelmap").exists());
    let annotations = json(&at("coco/annotations.json"))["annotations"].clone();
    for (index, map) in maps.iter().enumerate() {
        let numbers = gray(&at(&format!("Dataset001_Regions/labelsTr/a{index}.png")));
        assert_eq!(numbers, gray(&at(&format!("monai/labels/a{index}.png"))));
        let object = ReaderOptions::new().read_file(at(&format!("nifti/masks/a{index}.nii.gz"))).unwrap();
        assert_eq!(object.into_volume().into_nifti_typed_data::<u8>().unwrap(), numbers);
        let seg = open_file(at(&format!("dicom/segmentations/a{index}.dcm"))).unwrap();
        let bytes = seg.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap();
        assert_eq!(seg.element(tags::SEGMENTS_OVERLAP).unwrap().to_str().unwrap().trim(), "YES");
        for (class, name) in ["core", "whole"].into_iter().enumerate() {
            let inside = map.map(|label| label >> class & 1 == 1);
            let region: Vec<u64> =
                labels[name].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect();
            assert_eq!(numbers.iter().map(|&n| region.contains(&n.into())).collect::<Vec<_>>(), inside, "{name}");
            let bit = |pixel: usize| bytes[(class * 4 + pixel) / 8] >> ((class * 4 + pixel) % 8) & 1 == 1;
            assert_eq!([0, 1, 2, 3].map(bit), inside, "{name}");
            let of = |one: &&Value| one["image_id"] == index as u64 + 1 && one["category_id"] == class as u64 + 1;
            let area: u64 =
                annotations.as_array().unwrap().iter().filter(of).map(|one| one["area"].as_u64().unwrap()).sum();
            assert_eq!(area as usize, inside.iter().filter(|&&inside| inside).count(), "{name}");
        }
    }
    let rows = manifest(&at("monai"));
    assert_eq!((rows[1]["mask_pixels_core"].as_str(), rows[1]["mask_pixels_whole"].as_str()), ("2", "1"));
}

/// The code of a class is that of its segment, and pig reads it again.
#[test]
fn segments_have_the_codes_of_their_classes() {
    use pig_data::classes::ClassCode;
    let folder = tempfile::tempdir().unwrap();
    let (data, maps) = phantoms(folder.path());
    let out = folder.path().join("dicom");
    let class = |name: &str, value: u16, code: Option<ClassCode>| ClassConfig {
        name: name.to_owned(),
        values: MaskValues(vec![MaskValue::Gray(value)]),
        code,
    };
    let [value, scheme, meaning] = ["4147007", "SCT", "Mass"].map(str::to_owned);
    let mut asked = request(&data, &out, DICOM_SEG);
    asked.data.classes =
        vec![class("mass", 1, Some(ClassCode { value, scheme, meaning })), class("calcification", 2, None)];
    done(&asked);
    let path = out.join(format!("segmentations/{}.dcm", maps[0].0));
    let seg = open_file(path).unwrap();
    let codes: Vec<[String; 2]> = seg
        .element(tags::SEGMENT_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()
        .iter()
        .map(|segment| {
            let code = &segment.element(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE).unwrap().items().unwrap()[0];
            [tags::CODE_VALUE, tags::CODE_MEANING]
                .map(|tag| code.element(tag).unwrap().to_str().unwrap().trim().to_owned())
        })
        .collect();
    assert_eq!(codes, [["4147007", "Mass"], ["52988006", "Lesion"]]);
}
