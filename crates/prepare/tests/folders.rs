//! Folders as people have them: what a file holds is told by its content, no two sources share an id or a file, and what is left
//! out is counted.

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::dicom::{Dicom, SECONDARY_CAPTURE};
use common::*;
use pig_dicom::Limits;
use pig_prepare::layouts::{Found, MaskSource, find};
use pig_prepare::pipeline::Summary;
use pig_prepare::settings::MissingMask;
use pig_prepare::{Layout, PrepareConfig};
use pig_testing::shared;
use sha2::{Digest, Sha256};

fn found(source: &Path) -> Found {
    find(source, None, &PrepareConfig::default(), &Limits::default()).unwrap()
}

/// Prepares a folder, and checks that what is counted is what is on disk.
fn prepared(source: &Path, config: PrepareConfig) -> (Summary, Vec<std::collections::BTreeMap<String, String>>) {
    let (out, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut request = request(source, out.path(), config);
    request.key = Some(key(keys.path()));
    let summary = run(&request).unwrap();
    let rows = manifest(out.path());
    let files = |part: &str| std::fs::read_dir(out.path().join(part)).unwrap().count();
    let ids: BTreeSet<&str> = rows.iter().map(|row| row["id"].as_str()).collect();
    let counts = [rows.len(), ids.len(), files("images"), files("masks")];
    assert_eq!(counts, [summary.description.pairs; 4], "pairs, rows, ids and files");
    for row in &rows {
        for part in ["image", "mask"] {
            let bytes = std::fs::read(out.path().join(&row[part])).unwrap();
            assert_eq!(pig_files::hex(&Sha256::digest(bytes)), row[&format!("{part}_sha256")], "{}", row["id"]);
        }
    }
    (summary, rows)
}

fn lesions(rows: &[std::collections::BTreeMap<String, String>]) -> Vec<usize> {
    rows.iter().map(|row| row["source_mask_pixels"].parse().unwrap()).collect()
}

fn square(side: usize, from: usize, size: usize) -> Vec<u8> {
    let inside = |at: usize| (from..from + size).contains(&at);
    (0..side * side).map(|index| if inside(index / side) && inside(index % side) { 255 } else { 0 }).collect()
}

/// `NAME` and `NAME_mask.png` in `folder`, 32 x 32.
fn pair(folder: &Path, name: &str, mask: &str, from: usize) {
    write_png(&folder.join(name), 32, 32, picture(32, 32, from as u64));
    write_png(&folder.join(mask), 32, 32, square(32, from, 6));
}

fn dicom(path: &Path, number: usize) {
    let mut dicom = Dicom::new(SECONDARY_CAPTURE, 1, 32, 32);
    dicom.instance = format!("1.2.826.0.1.3680043.8.498.{number}");
    dicom.write(path, |_, row, column| ((row * 37 + column * 11 + number) % 4000) as u16);
}

fn noted(notes: &[String], words: &[&str]) {
    assert!(notes.iter().any(|note| words.iter().all(|word| note.contains(word))), "{words:?}: {notes:?}");
}

#[test]
fn files_are_told_by_their_content() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    let names = [
        "I.001",
        "IM-0001-0001",
        "IM0001",
        "image.0002",
        "MR.1.2.3",
        "1.2.840.10008.6347",
        "x.dcm.1",
        "00000001.DCM",
        "A.IMG",
        "series.0012.dat",
        "IM.pacs",
        "shown.png",
    ];
    for (number, name) in names.iter().enumerate() {
        dicom(&root.join(name), number);
        let stem = name.strip_suffix(".DCM").or(name.strip_suffix(".png")).unwrap_or(name);
        write_png(&root.join(format!("{stem}_mask.png")), 32, 32, square(32, number, 6));
    }
    // A data set without a preamble and its meta group.
    dicom(&root.join("bare.123"), 77);
    let whole = std::fs::read(root.join("bare.123")).unwrap();
    let start = whole.windows(4).position(|window| window == [8, 0, 0x16, 0]).unwrap();
    std::fs::write(root.join("bare.123"), &whole[start..]).unwrap();
    write_png(&root.join("bare.123_mask.png"), 32, 32, square(32, 3, 6));
    // Pictures without an ending, with another one, and masks that leave the ending out.
    for (name, mask) in
        [("noending", "noending_mask"), ("pic.dat", "pic_mask.dat"), ("pic.jpeg.bak", "pic.jpeg_mask.png")]
    {
        pair(root, &format!("{name}.png"), &format!("{mask}.png"), 5);
        std::fs::rename(root.join(format!("{name}.png")), root.join(name)).unwrap();
        std::fs::rename(root.join(format!("{mask}.png")), root.join(mask)).unwrap();
    }
    for (name, text) in
        [("README", "hello"), ("notes.txt", "hello"), ("x.gif", "GIF89a...."), ("BM.txt", "BMI of patients 1")]
    {
        std::fs::write(root.join(name), text).unwrap();
    }
    std::fs::write(root.join(".DS_Store"), "x").unwrap();
    let (summary, rows) = prepared(root, small(32));
    assert!(summary.errors.is_empty(), "{:?}", summary.errors);
    assert_eq!(lesions(&rows), [36; 16]);
    let reasons = [
        "3 file(s) that are neither pictures nor volumes",
        "1 picture(s) in a format that is not read",
        "1 hidden file(s)",
    ];
    noted(&summary.notes, &[&["left out:"], &reasons[..]].concat());
    assert!(!summary.notes.iter().any(|note| note.contains("no image")), "{:?}", summary.notes);
}

#[test]
fn a_folder_without_images_says_what_it_holds() {
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join("a.gif"), "GIF89a").unwrap();
    let error = find(source.path(), None, &PrepareConfig::default(), &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("found 1 picture(s) in a format that is not read"), "{error}");
}

#[test]
fn volumes_of_other_formats_are_named() {
    let source = tempfile::tempdir().unwrap();
    let at = |name: &str| source.path().join(name);
    for name in ["b.mha", "c.nrrd", "masks/d.MHD", "a_mask.nrrd", "d.raw"] {
        std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        std::fs::write(at(name), "NRRD0004").unwrap();
    }
    write_png(&at("a.png"), 32, 32, picture(32, 32, 1));
    write_png(&at("images/d.png"), 32, 32, picture(32, 32, 1));
    let found = find(source.path(), None, &PrepareConfig::default(), &Limits::default()).unwrap();
    let counts: Vec<(&str, usize)> = found.left_out.iter().map(|(reason, count)| (*reason, *count)).collect();
    let reasons = [
        "file(s) of MetaImage, NRRD, MGH, MINC or NumPy, which are not read: convert them to NIfTI",
        "file(s) that are neither pictures nor volumes",
    ];
    assert_eq!(counts, [(reasons[0], 4), (reasons[1], 1)]);
    let expected: Vec<&MaskSource> = found.cases.iter().map(|case| &case.masks).collect();
    let [MaskSource::Missing(first), MaskSource::Missing(second)] = expected[..] else { panic!("{expected:?}") };
    assert!(first.contains("a_mask.nrrd is there, but it is neither"), "{first}");
    assert!(second.contains("masks/d.MHD is there, but it is neither"), "{second}");
}

#[test]
fn previews_of_dicom_files_are_left_out_and_counted() {
    let source = tempfile::tempdir().unwrap();
    for number in 0..3 {
        let name = |rest: &str| source.path().join(format!("IM{number}{rest}"));
        dicom(&name(".dcm"), number);
        let preview: Vec<u8> = picture(32, 32, number as u64);
        image::save_buffer(name(".jpg"), &preview, 32, 32, image::ColorType::L8).unwrap();
        write_png(&name("_mask.png"), 32, 32, square(32, 4 + number, 6));
    }
    let skip = PrepareConfig { missing_mask: MissingMask::Skip, ..small(32) };
    let (summary, rows) = prepared(source.path(), skip);
    assert_eq!((lesions(&rows), summary.description.left_out_without_mask), (vec![36; 3], 0));
    noted(&summary.notes, &["3 picture(s) are previews", "IM0.jpg"]);
}

#[test]
fn images_of_one_name_have_files_of_their_own() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    let rgb = |name: &str, seed: u64| {
        image::save_buffer(root.join(name), &picture(32, 32, seed), 32, 32, image::ColorType::L8).unwrap();
    };
    std::fs::create_dir_all(root.join("images")).unwrap();
    for (number, name) in ["c0", "c1", "c0.png"].iter().enumerate() {
        rgb(&format!("images/{name}.png"), number as u64);
        rgb(&format!("images/{name}.tif"), 10 + number as u64);
        write_png(&root.join(format!("masks/{name}.png")), 32, 32, square(32, number, 6));
    }
    let rows: Vec<String> = ["c0", "c1", "c0.png"]
        .iter()
        .flat_map(|name| ["png", "tif"].map(|ending| format!("images/{name}.{ending},masks/{name}.png\n")))
        .collect();
    std::fs::write(root.join("manifest.csv"), format!("image,mask\n{}", rows.concat())).unwrap();
    let (summary, rows) = prepared(root, small(32));
    assert!(summary.errors.is_empty(), "{:?}", summary.errors);
    assert_eq!(rows.len(), 6);
    // Without the manifest, nothing says which of the two a mask belongs to; what is clear is prepared.
    std::fs::remove_file(root.join("manifest.csv")).unwrap();
    write_pair(root, "clear", 32, 32, 3, 6.0);
    let (summary, rows) = prepared(root, small(32));
    assert_eq!((rows.len(), summary.errors.len()), (1, 6));
    let told = &summary.errors.iter().find(|(file, _)| file == "images/c1.tif").unwrap().1;
    assert!(told.contains("images/c1.png has the same name") && told.contains("masks/c1.png"), "{told}");
    // Masks whose endings are those of the images say it.
    let source = tempfile::tempdir().unwrap();
    for ending in ["png", "bmp"] {
        for (name, values) in
            [("a", picture(32, 32, 1)), ("a_mask", square(32, if ending == "png" { 2 } else { 9 }, 6))]
        {
            let path = source.path().join(format!("{name}.{ending}"));
            image::save_buffer(path, &values, 32, 32, image::ColorType::L8).unwrap();
        }
    }
    let (summary, rows) = prepared(source.path(), small(32));
    assert_eq!((rows.len(), summary.errors.len()), (2, 0), "{:?}", summary.errors);
}

#[test]
fn releases_with_two_images_of_one_name_lose_nothing_in_silence() {
    for (image, mask, other) in [
        ("benign (1).png", "benign (1)_mask.png", "benign (1).jpg"),
        ("TCGA_CS_4941_19960909_1.png", "TCGA_CS_4941_19960909_1_mask.png", "TCGA_CS_4941_19960909_1.jpg"),
    ] {
        let source = tempfile::tempdir().unwrap();
        pair(source.path(), image, mask, 3);
        image::save_buffer(source.path().join(other), &picture(32, 32, 1), 32, 32, image::ColorType::L8).unwrap();
        let next = |name: &str| name.replace("(1)", "(2)").replace("_1.png", "_2.png").replace("_1_mask", "_2_mask");
        pair(source.path(), &next(image), &next(mask), 4);
        let (summary, rows) = prepared(source.path(), small(32));
        assert_eq!((rows.len(), summary.errors.len()), (1, 2), "{image}: {:?}", summary.errors);
        assert!(summary.errors.iter().all(|(_, reason)| reason.contains("has the same name")), "{:?}", summary.errors);
    }
}

#[test]
fn rows_of_one_image_are_one_pair_with_all_masks() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    for name in ["0", "1", "2"] {
        write_png(&root.join(format!("images/{name}.png")), 32, 32, picture(32, 32, 1));
        write_png(&root.join(format!("masks/{name}.png")), 32, 32, square(32, 2, 6));
    }
    write_png(&root.join("masks/0b.png"), 32, 32, square(32, 20, 5));
    let table = |rows: &str| std::fs::write(root.join("manifest.csv"), format!("image,mask,patient\n{rows}")).unwrap();
    // The second row of image 0 spells its path in another way; the last says nothing more.
    table(
        "images/0.png,masks/0.png,a\n./images//0.png,masks/0b.png,a\nimages/1.png,,b\nimages/1.png,masks/1.png,\n\
           images/0.png,masks/0.png,a\n",
    );
    let (summary, rows) = prepared(root, small(32));
    let mut pixels = lesions(&rows);
    pixels.sort_unstable();
    assert_eq!((pixels, summary.description.patients, summary.errors.len()), (vec![36, 36 + 25], 2, 0));
    noted(&summary.notes, &["2 picture(s) or volume(s) are not in manifest.csv", "images/2.png"]);
    // Rows that contradict each other, and masks that are missing, are errors that name the line.
    table(
        "images/0.png,masks/0.png,a\nimages/0.png,masks/0b.png,b\nimages/1.png,masks/1.png,b\n\
           images/1.png,masks/gone.png,b\nimages/2.png,masks/2.png,c\n",
    );
    let (summary, rows) = prepared(root, small(32));
    assert_eq!((rows.len(), summary.errors.len()), (1, 2), "{:?}", summary.errors);
    let reason = |file: &str| &summary.errors.iter().find(|(name, _)| name == file).unwrap().1;
    assert!(reason("images/0.png").contains("line 3: the image images/0.png is in line 2, too, with another patient"));
    assert!(reason("images/1.png").contains("line 5"), "{}", reason("images/1.png"));
}

#[test]
fn tables_are_used_or_refused() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    for name in ["0", "1", "2"] {
        write_pair(root, name, 32, 32, 1, 6.0);
    }
    let table = |text: &str| std::fs::write(root.join("manifest.csv"), text).unwrap();
    table("id,patient\n0.png,a\n1,a\n2,b\nelsewhere,c\n");
    let (summary, _) = prepared(root, small(32));
    assert_eq!(summary.description.patients, 2);
    noted(&summary.notes, &["1 row(s) of manifest.csv name no image"]);
    table("image,patient\nimages/0.png,a\nimages/1.png,a\nimages/2.png,b\n");
    assert_eq!(prepared(root, small(32)).0.description.patients, 2);
    for (text, word) in [
        ("id,patient\nz0,a\nz1,b\n", "none of the rows names an image"),
        ("filename,label,subject\nimages/0.png,masks/0.png,a\n", "filename, label, subject"),
        ("", "no columns"),
        ("id,pixel_height_mm,pixel_width_mm\n0,0.1,wide\n", "\"pixel_width_mm\" is \"wide\""),
    ] {
        table(text);
        let out = tempfile::tempdir().unwrap();
        let mut request = request(root, out.path(), small(32));
        request.strict = true;
        let error = run(&request).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("manifest.csv"), "{word}: {error}");
    }
}

#[test]
fn layouts_claim_only_what_fits_them() {
    let source = tempfile::tempdir().unwrap();
    for name in 0..6 {
        write_pair(source.path(), &name.to_string(), 32, 32, name, 6.0);
    }
    pair(source.path(), "benign (1).png", "benign (1)_mask.png", 4);
    let (summary, rows) = prepared(source.path(), small(32));
    assert_eq!((summary.description.layout, rows.len(), summary.errors.len()), (Layout::Generic, 7, 0));
    // A release with some other pictures stays what it is, and says so.
    let source = tempfile::tempdir().unwrap();
    for slice in 1..4 {
        let name = format!("TCGA_CS_4941_19960909_{slice}");
        pair(source.path(), &format!("{name}.png"), &format!("{name}_mask.png"), 3);
    }
    pair(source.path(), "other.png", "other_mask.png", 3);
    let (summary, rows) = prepared(source.path(), small(32));
    assert_eq!((summary.description.layout, rows.len()), (Layout::Lgg, 3));
    noted(&summary.notes, &["layout lgg has no use for 2 picture(s)", "other.png", "--layout generic"]);
}

#[test]
fn folders_of_images_and_masks_may_be_spelled_and_nested_as_people_do() {
    let cases = [
        ("Images/a.png", "Masks/a.png"),
        ("IMAGES/a.png", "labels/a.png"),
        ("image/a.png", "mask/a.png"),
        ("images/P0/s1/a.png", "masks/P0/s1/a_mask.png"),
        ("P0/Images/a.png", "P0/Masks/a.png"),
        ("P0/a.png", "P0/masks/a.png"),
        ("images/P0/a.png", "images/P0/a_mask.png"),
        ("train/images/P0/a.png", "train/Labels/P0/a.png"),
    ];
    for (image, mask) in cases {
        let source = tempfile::tempdir().unwrap();
        for part in ["", "x/"] {
            pair(&source.path().join(part), image, mask, 3);
        }
        let list = found(source.path());
        let pairs: Vec<_> = list.cases.iter().map(|case| (case.image.path(), case.masks.paths())).collect();
        let expected: Vec<_> = ["", "x/"].map(|part| source.path().join(part)).to_vec();
        for root in expected {
            let (image, mask) = (root.join(image), root.join(mask));
            assert!(pairs.contains(&(image.as_path(), vec![mask.as_path()])), "{image:?}: {pairs:?}");
        }
        assert_eq!((pairs.len(), list.notes.len()), (2, 0), "{image}: {:?}", list.notes);
    }
}

#[test]
fn pictures_in_formats_that_are_not_read_are_named() {
    let source = tempfile::tempdir().unwrap();
    pair(source.path(), "images/a.png", "masks/a.png", 3);
    write_png(&source.path().join("images/b.png"), 32, 32, picture(32, 32, 5));
    std::fs::write(source.path().join("masks/b.gif"), b"GIF89a\x20\0\x20\0").unwrap();
    let list = found(source.path());
    let MaskSource::Missing(expected) = &list.cases[1].masks else { panic!("{:?}", list.cases[1].masks) };
    assert!(expected.ends_with("(masks/b.gif is a GIF file, which is not read: convert it)"), "{expected}");
    let unread = list.left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>();
    assert_eq!(unread, ["1 picture(s) in a format that is not read, such as GIF or WebP (convert them to PNG)"]);
}

/// Of masks/a.png and labels/a.png the first is read, as in a training, and the other is told.
#[test]
fn only_one_folder_of_masks_is_read() {
    let source = tempfile::tempdir().unwrap();
    pair(source.path(), "images/a.png", "masks/a.png", 3);
    write_png(&source.path().join("labels/a.png"), 16, 16, square(16, 9, 5));
    let list = found(source.path());
    assert_eq!(list.cases[0].masks.paths(), [source.path().join("masks/a.png")]);
    noted(&list.notes, &["1 mask(s) lie in another folder of masks", "labels/a.png"]);
}

#[test]
fn tables_as_spreadsheets_write_them_are_read() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    for name in ["0", "1", "2"] {
        write_pair(root, name, 32, 32, 1, 6.0);
    }
    let rows = |mark: &str| {
        let row = |index: usize| ["images/", "masks/"].map(|part| format!("{part}{index}.png")).join(mark);
        (0..3).map(|index| format!("{}{mark}{}\n", row(index), ["a", "a", "b"][index])).collect::<Vec<_>>().concat()
    };
    for text in [
        format!("image;mask;patient\n{}", rows(";")),
        format!("\u{feff}Image\tMASK\tPatient\n{}", rows("\t")),
        format!("sep=;\nimage;mask;patient\n;;\n{};;\n", rows(";")),
        format!("image,mask,patient\n,,\n{} , ,\n", rows(",")),
    ] {
        std::fs::write(root.join("manifest.csv"), &text).unwrap();
        let (summary, rows) = prepared(root, small(32));
        assert_eq!((rows.len(), summary.description.patients, summary.errors.len()), (3, 2, 0), "{text:?}");
        let blank = text.contains(";;") || text.contains(",,");
        assert_eq!(summary.notes.iter().any(|note| note.starts_with("2 empty row(s)")), blank, "{:?}", summary.notes);
    }
    for (text, words) in [
        ("id,patient,Patient\n0,a,b\n", "two columns are called \"patient\""),
        ("id,patient\n0,a\n1,a\n0.png,b\n0,b\n", "\"0\" is in line 2, too, with another patient"),
    ] {
        std::fs::write(root.join("manifest.csv"), text).unwrap();
        let error = find(root, None, &PrepareConfig::default(), &Limits::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn names_pair_in_any_form_of_unicode() {
    let (one, two) = ("Br\u{e4}une", "Bra\u{308}une");
    for (image, mask, listed) in [(one, two, None), (two, one, None), (two, two, Some(one)), (one, one, Some(two))] {
        let source = tempfile::tempdir().unwrap();
        let places = [format!("images/{image}.png"), format!("masks/{mask}.png")];
        pair(source.path(), &places[0], &places[1], 3);
        if let Some(name) = listed {
            let table = format!("image,mask\nimages/{name}.png,masks/{name}.png\n");
            std::fs::write(source.path().join("manifest.csv"), table).unwrap();
        }
        let (summary, rows) = prepared(source.path(), small(32));
        assert_eq!((rows.len(), summary.errors.len()), (1, 0), "{image:?} {mask:?} {listed:?}: {:?}", summary.errors);
    }
}

#[test]
fn masks_without_an_image_are_named() {
    let source = tempfile::tempdir().unwrap();
    write_pair(source.path(), "a", 32, 32, 1, 6.0);
    write_png(&source.path().join("masks/P9/b.png"), 32, 32, square(32, 2, 6));
    noted(&found(source.path()).notes, &["1 mask(s) have no image", "masks/P9/b.png"]);
}

/// The rows of ../shared/wild that concern layouts: folder, settings, pairs, lesion pixels of all of them.
#[test]
fn inputs_from_the_wild_are_prepared_whole() {
    let Some(wild) = shared("wild") else { return };
    let skip = PrepareConfig { missing_mask: MissingMask::Skip, ..small(64) };
    for (place, config, pairs, pixels) in [
        ("20-dicom/uidname", small(64), 1, None),
        ("20-dicom/uidname-mr", small(64), 1, None),
        ("31-mixed-names/src", small(64), 2, None),
        ("30-samestem-preview/src", skip, 3, None),
        ("30b-samestem-both/src", small(64), 6, None),
        ("34-two-rows/src", small(64), 2, Some(381)),
        ("50-two-lesion-rows", small(64), 3, Some(276)),
        ("13-folders/upper", small(64), 3, None),
        ("13-folders/nested", small(64), 4, None),
        ("11b-nfd/src", small(64), 3, None),
        ("24-csv/semicolon", small(64), 6, None),
        ("24-csv/blank", small(64), 6, None),
        ("41-layout-swallow/src", small(64), 7, None),
    ] {
        let (summary, rows) = prepared(&wild.join(place), config);
        assert_eq!((rows.len(), summary.errors.len()), (pairs, 0), "{place}: {:?}", summary.errors);
        if let Some(pixels) = pixels {
            assert!(lesions(&rows).contains(&pixels), "{place}: {:?}", lesions(&rows));
        }
    }
}
