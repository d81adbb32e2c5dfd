//! Finding pairs and groups: the three layouts, the role of the manifest, and every error.

mod common;

use std::path::Path;

use common::{folders, gray8, text};
use pig_data::survey::Survey;
use pig_data::unlabelled::Compared;
use pig_data::{CaseMask, DataConfig, DataError, Dataset, GroupSource, Layout, manifest::Manifest};
use pig_testing::shared;
use proptest::prelude::*;
use tempfile::tempdir;

fn discover(root: &Path) -> Result<Dataset, DataError> {
    Dataset::discover(root, &DataConfig::default())
}

fn grouped(root: &Path, column: &str) -> Result<Dataset, DataError> {
    Dataset::discover(root, &DataConfig { group_column: Some(column.to_owned()), ..DataConfig::default() })
}

fn pixel(path: &Path) {
    gray8(path, 2, 2, |_, _| 0);
}

#[test]
fn folders_pair_by_stem_in_order_whatever_the_ending() {
    let dir = tempdir().unwrap();
    for name in ["images/b.jpg", "images/a.PNG", "masks/a.tif", "masks/b.png"] {
        pixel(&dir.path().join(name));
    }
    text(&dir.path().join("images/notes.txt"), "no image");
    let found = discover(dir.path()).unwrap();
    assert_eq!(found.layout, Layout::Folders);
    assert_eq!(found.ids(), ["a", "b"]);
    assert_eq!(found.pairs[0].mask, Some(CaseMask::of(dir.path().join("masks/a.tif"))));
    assert_eq!(found.group_source, GroupSource::Image);
    assert_eq!(found.pairs[1].group, "b");
    assert!(found.split_warning().unwrap().contains("split is by image"));
}

#[test]
fn suffix_layout_is_found_in_a_tree() {
    let dir = tempdir().unwrap();
    // A stem that itself ends in _mask loses only one such ending.
    for name in ["p2/x.png", "p2/x_mask.png", "p1/deep/odd_mask.png", "p1/deep/odd_mask_mask.png"] {
        pixel(&dir.path().join(name));
    }
    let found = discover(dir.path());
    // By its name, odd_mask is itself a mask, and it has no image: it is refused, and nothing is guessed.
    assert!(matches!(found, Err(DataError::MissingImage { count: 2, .. })), "{found:?}");
    std::fs::remove_dir_all(dir.path().join("p1")).unwrap();
    let found = discover(dir.path()).unwrap();
    assert_eq!((found.layout, found.ids()), (Layout::Suffix, vec!["x".to_owned()]));
}

#[test]
fn manifest_layout_reads_paths_ids_and_groups() {
    let dir = tempdir().unwrap();
    for name in ["i/1.png", "i/2.png", "m/1.png", "m/2.png"] {
        pixel(&dir.path().join(name));
    }
    let manifest = dir.path().join("manifest.csv");
    text(&manifest, "\u{feff}image,mask,group,patient\ni/2.png,m/2.png,g,p2\ni\\1.png,./m/1.png,g,p1\n");
    let found = discover(dir.path()).unwrap();
    assert_eq!((found.layout, found.ids()), (Layout::Manifest, vec!["1".to_owned(), "2".to_owned()]));
    assert_eq!(found.group_source, GroupSource::Column("patient".to_owned()), "patient is preferred to group");
    assert_eq!(found.pairs[0].group, "p1");
    assert_eq!(grouped(dir.path(), "group").unwrap().group_count(), 1);
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    text(&manifest, "id,image,mask\nz,i/2.png,m/2.png\n");
    let found = discover(dir.path()).unwrap();
    assert_eq!(found.ids(), ["z"]);
    let words = "Left out: 2 pictures that manifest.csv does not list.";
    assert_eq!((found.left_out.as_deref(), found.warnings.len()), (Some(words), 0));
}

#[test]
fn the_column_of_the_groups_is_found() {
    let dir = tempdir().unwrap();
    for name in ["images/a.png", "masks/a.png", "images/b.png", "masks/b.png"] {
        pixel(&dir.path().join(name));
    }
    let manifest = dir.path().join("manifest.csv");
    let columns = ["near_duplicate_group", "group", "subject", "patient_id", "patient"];
    for known in 1..=columns.len() {
        let names = columns[..known].join(",");
        let values =
            |id: &str| columns[..known].iter().map(|name| format!("{name}-{id}")).collect::<Vec<_>>().join(",");
        text(&manifest, &format!("id,site,{names}\na,s,{}\nb,s,{}\n", values("a"), values("b")));
        let found = discover(dir.path()).unwrap();
        let wanted = columns[known - 1];
        assert_eq!(found.group_source, GroupSource::Column(wanted.to_owned()));
        assert_eq!(found.pairs[1].group, format!("{wanted}-b"));
        // Only near-duplicates are not patients and no groups that somebody chose.
        assert_eq!(found.warnings.len(), usize::from(known == 1), "{:?}", found.warnings);
    }
    text(&manifest, "id,site\na,s\nb,s\n");
    let found = discover(dir.path()).unwrap();
    assert_eq!(found.group_source, GroupSource::Image);
    let warning = found.split_warning().unwrap();
    assert!(warning.contains("split is by image") && warning.contains("id, site"), "{warning}");
}

#[test]
fn manifest_paths_may_not_leave_the_folder() {
    let dir = tempdir().unwrap();
    for path in ["../x.png", "/etc/hostname", "a/../../x.png", "..\\x.png", "C:\\x.png"] {
        text(&dir.path().join("manifest.csv"), &format!("image,mask\n{path},{path}\n"));
        let error = discover(dir.path()).unwrap_err();
        assert!(matches!(error, DataError::EscapingPath { line: 2, .. }), "{path}: {error}");
    }
}

#[test]
fn damaged_manifests_name_the_line() {
    let dir = tempdir().unwrap();
    pixel(&dir.path().join("a.png"));
    for (content, line) in [("image,mask\na.png,a.png\na.png\n", 3), ("image,mask\n,a.png\n", 2)] {
        text(&dir.path().join("manifest.csv"), content);
        let error = discover(dir.path()).unwrap_err();
        assert!(matches!(error, DataError::BadManifest { line: l, .. } if l == line), "{error}");
    }
    text(&dir.path().join("manifest.csv"), "id,image,mask,patient\na,a.png,a.png,p\n\nb,./a.png,a.png,p\n");
    let error = discover(dir.path()).unwrap_err();
    assert!(matches!(&error, DataError::SameImage { first: 2, second: 4, .. }), "{error}");
    assert!(error.to_string().contains("lines 2 and 4") && error.to_string().contains("a.png"), "{error}");
    text(&dir.path().join("manifest.csv"), "image,mask\na.png,gone.png\n");
    let error = discover(dir.path()).unwrap_err().to_string();
    assert!(error.contains("gone.png"), "{error}");
}

#[test]
fn values_of_tables_are_read_or_refused_by_line_and_column() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("cases.csv");
    text(&path, "id,dice\na,0.25\nb,\nc,high\n");
    let table = Manifest::read(&path).unwrap().unwrap();
    let column = table.column("dice").unwrap();
    let found: Vec<_> = table.rows().map(|row| row.parse::<f64>(column, "a number from 0 to 1")).collect();
    assert_eq!((found[0].as_ref().unwrap(), found[1].as_ref().unwrap()), (&Some(0.25), &None));
    let error = found[2].as_ref().unwrap_err().to_string();
    let words = ["cases.csv", "4", "dice", "high", "a number from 0 to 1"];
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

#[test]
fn metadata_is_joined_by_id() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 2);
    let manifest = dir.path().join("manifest.csv");
    text(&manifest, "id,patient\na01,p1\na00,p0\nelsewhere,p9\n");
    let found = discover(dir.path()).unwrap();
    assert_eq!(found.pairs.iter().map(|pair| pair.group.as_str()).collect::<Vec<_>>(), ["p0", "p1"]);
    assert!(found.warnings[0].starts_with("1 row(s)"), "{:?}", found.warnings);

    text(&manifest, "id,patient\na00,p0\n");
    let error = discover(dir.path()).unwrap_err();
    assert!(matches!(&error, DataError::MissingGroup { id, count: 1, .. } if id == "a01"), "{error}");
    let error = grouped(dir.path(), "site").unwrap_err();
    assert!(matches!(&error, DataError::MissingColumn { found, .. } if found == "id, patient"), "{error}");

    text(&manifest, "id,site\na00,s0\na01,s1\n");
    let found = discover(dir.path()).unwrap();
    assert_eq!(found.group_source, GroupSource::Image, "a column that is not configured is not a group");
    assert!(found.split_warning().unwrap().contains("id, site"));
    assert_eq!(grouped(dir.path(), "site").unwrap().pairs[1].group, "s1");
    std::fs::remove_file(manifest).unwrap();
    assert!(matches!(grouped(dir.path(), "site"), Err(DataError::MissingColumn { .. })));
}

#[test]
fn empty_missing_and_duplicate_files_are_refused() {
    let dir = tempdir().unwrap();
    assert!(matches!(discover(dir.path()), Err(DataError::EmptyDataset { .. })));
    assert!(matches!(discover(&dir.path().join("absent")), Err(DataError::Io { .. })));
    folders(dir.path(), 3);
    std::fs::remove_file(dir.path().join("masks/a01.png")).unwrap();
    let error = discover(dir.path()).unwrap_err();
    assert!(matches!(&error, DataError::MissingMask { image, count: 1, .. } if image.ends_with("images/a01.png")));
    std::fs::remove_file(dir.path().join("images/a01.png")).unwrap();
    std::fs::remove_file(dir.path().join("images/a02.png")).unwrap();
    assert!(matches!(discover(dir.path()), Err(DataError::MissingImage { count: 1, .. })));
    pixel(&dir.path().join("images/a02.png"));
    pixel(&dir.path().join("images/a02.bmp"));
    assert!(matches!(discover(dir.path()), Err(DataError::DuplicateId { id, .. }) if id == "a02"));

    let tree = tempdir().unwrap();
    pixel(&tree.path().join("1/x.png"));
    assert!(matches!(discover(tree.path()), Err(DataError::EmptyDataset { .. })), "images alone are not pairs");
    for name in ["1/x_mask.png", "2/x.png", "2/x_mask.png"] {
        pixel(&tree.path().join(name));
    }
    assert_eq!(
        discover(tree.path()).unwrap().ids(),
        ["1_x", "2_x"],
        "ids come from the whole path where stems are equal"
    );
    for name in ["1_x.png", "1_x_mask.png"] {
        pixel(&tree.path().join(name));
    }
    assert!(matches!(discover(tree.path()), Err(DataError::DuplicateId { id, .. }) if id == "1_x"));
}

#[test]
fn busi_is_grouped_by_near_duplicates() {
    let Some(root) = shared("data/busi") else { return };
    let asked = grouped(&root, "near_duplicate_group").unwrap();
    assert_eq!((asked.layout, asked.len()), (Layout::Folders, 586));
    assert!(asked.warnings.is_empty(), "{:?}", asked.warnings);
    assert!(asked.group_count() < 586);
    let found = discover(&root).unwrap();
    assert_eq!((&found.group_source, found.pairs), (&asked.group_source, asked.pairs));
    assert!(found.warnings[0].contains("names no patients"), "{:?}", found.warnings);
}

/// Names of patients mean the same in every folder, numbers of other groups only within one data set.
#[test]
fn groups_that_are_no_patients_are_compared_within_one_data_set() {
    let folders = [tempdir().unwrap(), tempdir().unwrap()];
    let [first, second] = folders.each_ref().map(tempfile::TempDir::path);
    let of = |name: &str| GroupSource::Column(name.to_owned());
    for (own, other, apart, together) in [
        (of("patient"), of("subject"), Compared::ByPatients, Compared::ByPatients),
        (of("case"), of("case"), Compared::ByPatients, Compared::ByPatients),
        (of("near_duplicate_group"), of("near_duplicate_group"), Compared::ByPixels, Compared::ByGroups),
        (of("group"), of("group"), Compared::ByPixels, Compared::ByGroups),
        (of("near_duplicate_group"), of("patient"), Compared::ByPixels, Compared::ByPixels),
        (GroupSource::Image, GroupSource::Image, Compared::ByPixels, Compared::ByPixels),
    ] {
        assert_eq!(Compared::of((first, &own), (second, &other)), apart, "{own} and {other}, two folders");
        assert_eq!(Compared::of((first, &own), (first, &other)), together, "{own} and {other}, one folder");
    }
    // A copy of a data set has its manifest.
    let near = of("near_duplicate_group");
    text(&first.join("manifest.csv"), "id,near_duplicate_group\na,g1\n");
    text(&second.join("manifest.csv"), "id,near_duplicate_group\na,g2\n");
    assert_eq!(Compared::of((first, &near), (second, &near)), Compared::ByPixels);
    text(&second.join("manifest.csv"), "id,near_duplicate_group\na,g1\n");
    assert_eq!(Compared::of((first, &near), (second, &near)), Compared::ByGroups);
}

/// A survey and the comparison of folders agree on which columns name patients.
#[test]
fn a_survey_says_which_columns_name_no_patients() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 2);
    for (column, end) in [
        ("patient", ", column patient with 2 groups"),
        ("case", ", column case with 2 groups"),
        ("group", ", column group with 2 groups, no patients"),
        ("near_duplicate_group", ", column near_duplicate_group with 2 groups, no patients"),
    ] {
        text(&dir.path().join("manifest.csv"), &format!("id,{column}\na00,1\na01,2\n"));
        let told = Survey::of(&grouped(dir.path(), column).unwrap()).unwrap().to_string();
        assert_eq!(told, format!("2 pairs, gray, 8x6, 8 bits{end}"));
    }
}

#[test]
fn lgg_is_grouped_by_patient() {
    let Some(root) = shared("data/lgg") else { return };
    let found = discover(&root).unwrap();
    assert_eq!((found.layout, found.len(), found.group_count()), (Layout::Suffix, 1295, 80));
    assert_eq!(found.group_source, GroupSource::Column("patient".to_owned()));
    assert!(found.pairs.iter().all(|pair| pair.id.starts_with(&pair.group)));
}

proptest! {
    #[test]
    fn no_manifest_makes_discovery_panic(
        content in prop::collection::vec(any::<u8>(), 0..200), header in any::<bool>()
    ) {
        let dir = tempdir().unwrap();
        folders(dir.path(), 1);
        let start: &[u8] = if header { b"id,image,mask,patient\n" } else { b"" };
        std::fs::write(dir.path().join("manifest.csv"), [start, &content].concat()).unwrap();
        if let Ok(found) = discover(dir.path()) {
            prop_assert!(found.pairs.iter().all(|pair| pair.image.starts_with(dir.path())));
        }
    }
}

#[test]
fn a_column_that_names_parts_of_a_split_is_read() {
    let dir = tempdir().unwrap();
    folders(dir.path(), 3);
    let manifest = dir.path().join("manifest.csv");
    text(&manifest, "id,Split\na00,train\na01,val\na02,testing\n");
    let found = discover(dir.path()).unwrap();
    let parts: Vec<&str> = found.parts.iter().flatten().map(|(_, part)| part.word()).collect();
    assert_eq!(parts, ["training", "validation", "test"]);
    assert_eq!(found.split_words(), "that of the column \"split\"");
    let warning = found.split_warning().unwrap();
    assert!(warning.contains("is not checked") && !warning.contains("by image"), "{warning}");
    // A column of this name with other values is said and not used; one with a mistake in it is refused.
    text(&manifest, "id,split\na00,1\na01,2\na02,3\n");
    let found = discover(dir.path()).unwrap();
    assert!(found.parts.is_none() && found.warnings[0].contains("is not used"), "{:?}", found.warnings);
    text(&manifest, "id,split\na00,train\na01,tset\na02,test\n");
    let error = discover(dir.path()).unwrap_err().to_string();
    assert!(error.contains("\"a01\" has \"tset\"") && error.contains("manifest.csv"), "{error}");
}
