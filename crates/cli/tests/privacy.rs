//! Personal data in a header appear in nothing that the binary writes or prints.

mod common;

use common::{dicom, element, pig, stderr};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

/// What the planted values have in common, by kind: words, bytes, dates, times, ages, identifiers, numbers.
const MARKS: [&str; 7] = ["ZQMARK", "19310203", "031733", "997Y", "7777700777", "313370313", "31337.03125"];

/// A value for a VR that can be recognised later.
fn planted(tag: Tag, vr: VR) -> Vec<u8> {
    match vr {
        VR::DA => b"19310203".to_vec(),
        VR::TM => b"031733".to_vec(),
        VR::DT => b"19310203031733".to_vec(),
        VR::AS => b"997Y".to_vec(),
        VR::UI => format!("1.2.7777700777.{}.{}", tag.0, tag.1).into_bytes(),
        VR::IS => b"313370313".to_vec(),
        VR::DS => b"31337.03125".to_vec(),
        VR::US | VR::SS | VR::AT | VR::UL | VR::SL => 313_370_313_u32.to_le_bytes().to_vec(),
        VR::FL | VR::OF => (31_337.031_25_f64 as f32).to_le_bytes().to_vec(),
        VR::FD | VR::OD => 31_337.031_25_f64.to_le_bytes().to_vec(),
        VR::SQ => {
            let inner = element((0x0010, 0x0010), "PN", b"ZQMARK^NESTED");
            [&[0xFE, 0xFF, 0x00, 0xE0][..], &(inner.len() as u32).to_le_bytes(), &inner].concat()
        }
        _ => format!("ZQMARK{:04X}{:04X}", tag.0, tag.1).into_bytes(),
    }
}

/// An image with a mark in every tag of the basic profile and in some tags outside it.
fn marked(number: u16) -> Vec<u8> {
    let mut marks: Vec<((u16, u16), &str, Vec<u8>)> = Vec::new();
    for &number in &pig_dicom::BASIC_PROFILE {
        let tag = Tag((number >> 16) as u16, number as u16);
        // Command and directory groups belong in other files; groups from FFFA on come after the pixels.
        if tag.0 < 8 || tag.0 > 0x7000 {
            continue;
        }
        let vr = StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed());
        marks.push(((tag.0, tag.1), vr.to_string(), planted(tag, vr)));
    }
    let mut word = |group, number, vr, value: &str| marks.push(((group, number), vr, value.as_bytes().to_vec()));
    word(0x0009, 0x0010, "LO", "ZQMARKCREATOR");
    word(0x0009, 0x1001, "UN", "ZQMARKPRIVATE");
    // Tags with codes that pig reads, with values that are not valid codes.
    word(0x0018, 0x5101, "CS", "ZQMARKVIEW");
    word(0x0020, 0x0060, "CS", "ZQMARKSIDE");
    word(0x0020, 0x0062, "CS", "ZQMARKSIDE");
    word(0x0028, 0x0301, "CS", "ZQMARK");
    word(0xFFFC, 0xFFFC, "OB", "ZQMARKPADDING");
    dicom(&format!("1.2.7777700777.{number}"), &marks)
}

/// A NIfTI volume with marks in its text fields.
fn nifti() -> Vec<u8> {
    let mut bytes = vec![0_u8; 352 + 8 * 6 * 2];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348_i32.to_le_bytes());
    put(14, b"ZQMARKDBNAME");
    for (place, side) in [3_i16, 8, 6, 2, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * place, &side.to_le_bytes());
    }
    put(70, &2_i16.to_le_bytes());
    put(72, &8_i16.to_le_bytes());
    put(108, &352_f32.to_le_bytes());
    put(148, b"ZQMARK^DESCRIPTION");
    put(228, b"ZQMARKAUXFILE");
    put(328, b"ZQMARKINTENT");
    put(344, b"n+1\0");
    (352..352 + 96).for_each(|index| bytes[index] = index as u8);
    bytes
}

/// Files that are good, truncated, of the wrong size, compressed and damaged, and without a mask.
fn source(root: &Path) {
    std::fs::create_dir_all(root).unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(root.join(name), bytes).unwrap();
    let mask = |name: &str, side: u32| {
        let values: Vec<u8> = (0..side * side).map(|i| if i % side > side / 2 { 255 } else { 0 }).collect();
        image::save_buffer(root.join(name), &values, side, side, image::ColorType::L8).unwrap();
    };
    put("good.dcm", &marked(3));
    mask("good_mask.png", 24);
    put("otherside.dcm", &marked(5));
    mask("otherside_mask.png", 9);
    let whole = marked(7);
    put("cut.dcm", &whole[..whole.len() - 900]);
    put("nomask.dcm", &marked(11));
    let syntax = b"1.2.840.10008.1.2.1\0";
    for (name, other) in [("j2k.dcm", "1.2.840.10008.1.2.4.90"), ("unknown.dcm", "1.2.7777700777.9.4.22")] {
        let bytes = marked(13);
        let at = bytes.windows(syntax.len()).position(|window| window == syntax).unwrap();
        let meta = element((2, 0x10), "UI", other.as_bytes());
        put(name, &[&bytes[..at - 8], &meta, &bytes[at + syntax.len()..]].concat());
    }
    put("volume.nii", &nifti());
    put("volume_mask.nii", &nifti());
    put("cut.nii", &nifti()[..380]);
}

/// Every file below a folder, with its path.
fn contents(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            contents(&path, found);
        } else {
            found.push((path.to_string_lossy().into_owned(), std::fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn no_value_of_a_header_is_written_or_printed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (from, key) = (at("source"), at("made.key"));
    source(Path::new(&from));
    let small = ["--set", "prepare.size=24", "--set", "prepare.empty_share=1"];
    let mut said: Vec<(String, Output)> = Vec::new();
    let mut run = |arguments: &[&str]| {
        let output = pig(arguments);
        said.push((arguments.join(" ").replace(&from, "SOURCE"), output));
    };
    run(&["prepare", &from, &at("nokey")]);
    run(&[&["prepare", &from, &at("out/prepared"), "--new-key", &key, "--links", &at("out/links.csv")][..], &small]
        .concat());
    run(&[&["prepare", &from, &at("out/again"), "--key", &key, "--json"][..], &small].concat());
    run(&[&["prepare", &from, &at("out/strict"), "--key", &key, "--strict"][..], &small].concat());
    run(&[&["prepare", &from, &at("out/forced"), "--key", &key, "--layout", "inbreast"][..], &small].concat());
    run(&["inspect", &from, "--page", &at("out/page.html")]);
    run(&["inspect", &from, "--json"]);
    run(&["inspect", &from, "--privacy"]);
    run(&["inspect", &from, "--privacy", "--json"]);
    for format in ["nifti", "dicom-seg", "coco", "png"] {
        run(&["export", &at("out/prepared"), "--format", format, "--out", &at(&format!("out/{format}"))]);
    }
    for (command, output) in &said {
        let expected = if command.starts_with("export") { 0 } else { output.status.code().map_or(-1, |code| code & 1) };
        assert_eq!(output.status.code(), Some(expected), "{command}: {}", stderr(output));
    }
    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    contents(Path::new(&at("out")), &mut texts);
    assert!(
        texts.iter().any(|(place, _)| place.ends_with("errors.csv")),
        "no errors.csv, but some files must have been refused"
    );
    for (command, output) in said {
        texts.push((format!("stdout of {command}"), output.stdout));
        texts.push((format!("stderr of {command}"), output.stderr));
    }
    for (place, bytes) in &texts {
        for mark in MARKS {
            assert!(!place.contains(mark), "the name {place} contains {mark}");
            if let Some(start) = bytes.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let around = &bytes[start.saturating_sub(40)..(start + 40).min(bytes.len())];
                panic!("{place} contains {mark}: {}", String::from_utf8_lossy(around));
            }
        }
    }
    // Every planted tag was really in the files.
    let listed =
        String::from_utf8_lossy(&texts.iter().find(|(place, _)| place.contains("--privacy --json")).unwrap().1)
            .into_owned();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let filled: BTreeSet<&str> = listed["tags"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|tag| tag["filled"].as_u64() > Some(0))
        .map(|tag| tag["tag"].as_str().unwrap())
        .collect();
    let planted = pig_dicom::BASIC_PROFILE.iter().filter(|&&number| (8..=0x7000).contains(&(number >> 16)));
    let mut planted: Vec<String> =
        planted.map(|number| format!("({:04X},{:04X})", number >> 16, number & 0xFFFF)).collect();
    planted.extend(["(0009,1001)".to_owned(), "(FFFC,FFFC)".to_owned()]);
    let missing: Vec<_> = planted.iter().filter(|tag| !filled.contains(tag.as_str())).collect();
    assert!(planted.len() > 600 && missing.is_empty(), "{missing:?}");
}
