//! Tables as spreadsheets and people write them: each is read as the plain one, or is an error; none is ignored.

mod common;

use std::path::Path;

use common::{folders, gray8, text};
use pig_data::manifest::Manifest;
use pig_data::{DataConfig, DataError, Dataset, GroupSource};
use pig_testing::shared;
use tempfile::tempdir;

fn discover(root: &Path) -> Result<Dataset, DataError> {
    Dataset::discover(root, &DataConfig::default())
}

/// The groups of the pairs in `root`, in the order of their ids.
fn groups(root: &Path) -> Vec<String> {
    let found = discover(root).unwrap();
    assert!(matches!(found.group_source, GroupSource::Column(_)), "the table was not used");
    found.pairs.into_iter().map(|pair| pair.group).collect()
}

/// Tables that say the same, with their bytes.
fn variants(root: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let plain = "image,mask,patient\nimages/a00.png,masks/a00.png,p1\nimages/a01.png,masks/a01.png,p0\n";
    let with = |separator: &str| plain.replace(',', separator).into_bytes();
    let utf_16 = |encode: fn(u16) -> [u8; 2], mark: &[u8]| {
        [mark, &plain.replace(',', "\t").encode_utf16().flat_map(encode).collect::<Vec<u8>>()].concat()
    };
    let bytes = |text: &str| text.as_bytes().to_vec();
    vec![
        ("plain", bytes(plain)),
        ("semicolons", with(";")),
        ("tabs", with("\t")),
        ("bars", with("|")),
        ("another case", bytes(&plain.replace("image,mask,patient", "Image,MASK,Patient"))),
        ("byte order mark", [b"\xef\xbb\xbf", plain.as_bytes()].concat()),
        ("mark and semicolons", [b"\xef\xbb\xbf".to_vec(), with(";")].concat()),
        ("told separator", [b"sep=;\r\n".to_vec(), with(";")].concat()),
        ("UTF-16 of a PC", utf_16(u16::to_le_bytes, &[0xff, 0xfe])),
        ("UTF-16, big endian", utf_16(u16::to_be_bytes, &[0xfe, 0xff])),
        ("old Mac lines", bytes(&plain.replace('\n', "\r"))),
        ("DOS lines", bytes(&plain.replace('\n', "\r\n"))),
        ("backslashes", bytes(&plain.replace('/', "\\"))),
        ("dots and doubled slashes", bytes(&plain.replace("images/", "./images//"))),
        ("absolute paths", bytes(&plain.replace("images/", &format!("{}/images/", root.display())))),
        ("blank rows", bytes(&plain.replace("\nimages/a01", "\n,,\n\n , ,\nimages/a01"))),
        ("trailing separators", bytes(&plain.replace('\n', ",,\n"))),
        ("names with spaces", bytes(&plain.replace("image,mask,patient", "image,mask,Patient ID"))),
        ("names of DICOM", bytes(&plain.replace("image,mask,patient", "Image,Mask,PatientID"))),
        ("quoted header", bytes(&plain.replace("image,mask,patient", "\"image\",\"mask\",\"patient\""))),
    ]
}

#[test]
fn tables_are_read_however_they_are_written() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 2);
    for (name, bytes) in variants(dir.path()) {
        std::fs::write(dir.path().join("manifest.csv"), bytes).unwrap();
        assert_eq!(groups(dir.path()), ["p1", "p0"], "{name}");
        let found = discover(dir.path()).unwrap();
        let paths: Vec<_> =
            found.pairs.iter().map(|pair| (pair.image.clone(), pair.mask.clone().unwrap().first.path)).collect();
        let expected = |name: &str| (dir.path().join("images").join(name), dir.path().join("masks").join(name));
        assert_eq!(paths, [expected("a00.png"), expected("a01.png")], "{name}");
    }
    std::fs::rename(dir.path().join("manifest.csv"), dir.path().join("Manifest.CSV")).unwrap();
    assert_eq!(groups(dir.path()), ["p1", "p0"], "the name of the table in another case");
}

/// A table under another name is read, and a spreadsheet is refused; lists of files that archives call manifest.txt are neither.
#[test]
fn tables_of_other_names_are_read_or_refused() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 2);
    let at = |name: &str| dir.path().join(name);
    for name in ["manifest.tsv", "Manifest.TAB", "manifest.txt"] {
        text(&at(name), "Image\tPatientID\nimages/a00.png\tp1\nimages/a01.png\tp0\n");
        assert_eq!(groups(dir.path()), ["p1", "p0"], "{name}");
        std::fs::remove_file(at(name)).unwrap();
    }
    for list in ["id\tfilename\tmd5\n7f\ta.png\t00\n", "images/a00.png\n"] {
        text(&at("manifest.txt"), list);
        assert_eq!(discover(dir.path()).unwrap().group_source, GroupSource::Image, "{list}");
    }
    text(&at("manifest.xlsx"), "PK");
    std::fs::remove_file(at("manifest.txt")).unwrap();
    let error = discover(dir.path()).unwrap_err().to_string();
    assert!(error.contains("manifest.xlsx: a spreadsheet is not read") && error.contains("manifest.csv"), "{error}");
    // Beside a table, the spreadsheet that it was saved from does no harm.
    text(&at("manifest.csv"), "id,Subject ID\na00,p1\na01,p0\n");
    assert_eq!(groups(dir.path()), ["p1", "p0"]);
}

#[test]
fn blank_rows_are_counted_and_lines_stay_right() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("manifest.csv");
    folders(dir.path(), 1);
    text(&path, "sep=;\nid;patient\n;\n\na00;p0\n;\n");
    assert_eq!(groups(dir.path()), ["p0"]);
    let found = discover(dir.path()).unwrap();
    assert!(
        found.warnings.contains(&"2 empty row(s) of manifest.csv were left out.".to_owned()),
        "{:?}",
        found.warnings
    );
    assert_eq!(Manifest::read(&path).unwrap().unwrap().rows().map(|row| row.line).collect::<Vec<_>>(), [5]);
    text(&path, "sep=;\nid;patient\na00;p0\nb;p0;more\n");
    assert!(matches!(discover(dir.path()), Err(DataError::BadManifest { line: 4, .. })));
}

#[test]
fn ids_may_have_the_endings_of_their_files() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 2);
    text(&dir.path().join("manifest.csv"), "ID;Group\na00.png;g1\na01.PNG;g0\n");
    assert_eq!(groups(dir.path()), ["g1", "g0"]);
}

#[test]
fn tables_are_never_ignored() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 2);
    let path = dir.path().join("manifest.csv");
    let refused = |content: &[u8], words: &[&str]| {
        std::fs::write(&path, content).unwrap();
        let error = discover(dir.path()).unwrap_err().to_string();
        let all = [words, &["manifest.csv"]].concat();
        assert!(all.iter().all(|word| error.contains(word)), "{error}");
    };
    refused(b"filename;label;subject\na;b;c\n", &["found filename, label, subject", "called id or image"]);
    refused(b"", &["found no columns"]);
    refused(b"id,patient,Patient\na00,p,q\n", &["line 1", "two columns", "\"patient\""]);
    refused(b"id,patient\na00,p\xe4r\n", &["line 2", "UTF-8"]);
    refused(b"id,patient\na00\n", &["line 2", "1 field(s); expected 2"]);
    refused(b"image,mask\n/etc/hostname,masks/a00.png\n", &["line 2", "/etc/hostname"]);
    std::fs::write(dir.path().join("Manifest.csv"), "id\n").unwrap();
    refused(b"id,patient\na00,p\na01,q\n", &["Manifest.csv"]);
}

#[test]
fn numbers_may_have_a_decimal_comma() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("cases.csv");
    let read = |content: &str| {
        text(&path, content);
        let table = Manifest::read(&path).unwrap().unwrap();
        let column = table.column("dice").unwrap();
        table.rows().map(|row| row.number(column, "a number")).collect::<Result<Vec<_>, _>>()
    };
    assert_eq!(read("id;dice\na;0,25\nb;\nc;1.5\n").unwrap(), [Some(0.25), None, Some(1.5)]);
    assert_eq!(read("id,dice\na,0.25\n").unwrap(), [Some(0.25)]);
    assert!(read("id,dice\na,\"0,25\"\n").is_err() && read("id;dice\na;1,2,3\n").is_err());
}

#[test]
fn a_pipe_is_refused_at_once() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 1);
    let path = dir.path().join("manifest.csv");
    if !cfg!(unix) || !std::process::Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success()) {
        return;
    }
    let error = discover(dir.path()).unwrap_err().to_string();
    assert!(error.contains("manifest.csv") && error.contains("a pipe"), "{error}");
}

#[test]
fn names_in_another_unicode_form_are_found() {
    let dir = tempdir().unwrap();
    gray8(&dir.path().join("i/u\u{308}.png"), 2, 2, |_, _| 0);
    gray8(&dir.path().join("m/\u{fc}.png"), 2, 2, |_, _| 0);
    text(&dir.path().join("manifest.csv"), "image,mask,patient\ni/\u{fc}.png,m/u\u{308}.png,p\n");
    let found = discover(dir.path()).unwrap();
    assert_eq!((found.len(), found.pairs[0].group.as_str()), (1, "p"));
    assert!(found.pairs[0].image.is_file() && found.pairs[0].mask.as_ref().unwrap().first.path.is_file());
}

#[test]
fn tables_from_the_wild_are_read() {
    for name in ["semicolon", "blank"] {
        let Some(root) = shared(&format!("wild/24-csv/{name}")) else { return };
        let found = discover(&root).unwrap();
        assert_eq!(found.group_source, GroupSource::Column("patient".to_owned()), "{name}");
        assert_eq!((found.len(), found.group_count()), (6, 3), "{name}");
    }
}
