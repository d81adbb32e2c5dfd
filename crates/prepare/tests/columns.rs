//! Columns of the source's manifest: those that pig does not know are carried over, those that may identify people are not.

mod common;

use std::collections::BTreeSet;

use common::*;
use pig_data::{DataConfig, Dataset, GroupSource};

#[test]
fn unknown_columns_are_carried_over_without_a_key() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for index in 0..3 {
        write_pair(source.path(), &format!("p{index}"), 40, 40, index, 9.0);
    }
    // The last image has no row.
    let rows = "id,near_duplicate_group,Lesion share,height,class\np0,g1,0.5,7,polyp\np1,\"g1, g2\",,8,\n";
    std::fs::write(source.path().join("manifest.csv"), rows).unwrap();
    let summary = run(&request(source.path(), out.path(), small(40))).unwrap();
    let found = manifest(out.path());
    let column = |name: &str| found.iter().map(|row| row[name].as_str()).collect::<Vec<_>>();
    assert_eq!(column("near_duplicate_group"), ["g1", "g1, g2", ""]);
    assert_eq!(column("Lesion share"), ["0.5", "", ""]);
    assert_eq!(column("class"), ["polyp", "", ""]);
    // The prepared height, not the column of this name in the source.
    assert_eq!(column("height"), ["40"; 3]);
    let notes = summary.notes.join("\n");
    assert!(
        notes.contains(
            "carried over as they are; look whether they identify people: near_duplicate_group, Lesion share."
        ),
        "{notes}"
    );
    assert!(
        notes.contains("are left out, because a prepared manifest fills columns of these names itself: height."),
        "{notes}"
    );
    // A change in such a column is noticed.
    std::fs::write(source.path().join("manifest.csv"), rows.replace("g1,0.5", "g9,0.5")).unwrap();
    assert_eq!(run(&request(source.path(), out.path(), small(40))).unwrap().kept, 2);
    assert_eq!(manifest(out.path())[0]["near_duplicate_group"], "g9");
}

#[test]
fn the_trainer_splits_by_a_column_that_was_carried_over() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for index in 0..4 {
        write_pair(source.path(), &format!("p{index}"), 40, 40, index, 9.0);
    }
    std::fs::write(source.path().join("manifest.csv"), "id,near_duplicate_group\np0,a\np1,a\np2,b\np3,c\n").unwrap();
    let summary = run(&request(source.path(), out.path(), small(40))).unwrap();
    let told = "No patients are known: a split keeps the groups of the column near_duplicate_group together.";
    assert!(summary.notes.iter().any(|note| note == told), "{:?}", summary.notes);
    let dataset = Dataset::discover(out.path(), &DataConfig::default()).unwrap();
    assert_eq!(dataset.group_source, GroupSource::Column("near_duplicate_group".to_owned()));
    assert_eq!(dataset.group_count(), 3);
    assert!(dataset.warnings[0].contains("names no patients"), "{:?}", dataset.warnings);
}

#[test]
fn columns_that_may_identify_people_are_hashed_or_left_out() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for index in 0..2 {
        write_pair(source.path(), &format!("p{index}"), 40, 40, index, 9.0);
    }
    let rows = "id,patient,Patient-ID,name,BirthDate,study_date,file_name,remark,site\n\
                p0,JONES^ANN,4711,Ann,1960-01-01,2020-02-02,jones.jpg,of JONES^ANN,north\n\
                p1,SMITH^BOB,4712,Bob,1961-01-01,2021-02-02,smith.jpg,of SMITH^BOB,south\n";
    std::fs::write(source.path().join("manifest.csv"), rows).unwrap();
    let mut asked = request(source.path(), out.path(), small(40));
    assert!(run(&asked).unwrap_err().to_string().contains("--key"));
    asked.key = Some(key(source.path()));
    let summary = run(&asked).unwrap();
    let found = manifest(out.path());
    // Ids are hashes, so the order of the rows is another.
    let sites: BTreeSet<&str> = found.iter().map(|row| row["site"].as_str()).collect();
    assert_eq!((sites, found[0]["patient"].len()), (BTreeSet::from(["north", "south"]), 16));
    let left = "may identify people and are left out; rename a column to carry it over: \
                Patient-ID, name, BirthDate, study_date, file_name, remark.";
    assert!(summary.notes.join("\n").contains(left), "{:?}", summary.notes);
    for (place, bytes) in contents(out.path()) {
        let text = String::from_utf8_lossy(&bytes);
        for secret in ["JONES", "SMITH", "4711", "4712", "1960", "2020-02", "jones"] {
            // Numbers may occur by chance in compressed pixels.
            let is_picture = bytes.starts_with(b"\x89PNG");
            assert!(is_picture || !text.contains(secret), "{secret} in {place}");
        }
    }
}

#[test]
fn rows_of_one_image_keep_all_that_they_say() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_pair(source.path(), "p0", 40, 40, 0, 9.0);
    write_png(&source.path().join("masks/second.png"), 40, 40, disc(40, 40, [30.0, 10.0], 5.0));
    let rows =
        "image,mask,finding,site\nimages/p0.png,masks/p0.png,mass,north\nimages/p0.png,masks/second.png,cyst,north\n";
    std::fs::write(source.path().join("manifest.csv"), rows).unwrap();
    run(&request(source.path(), out.path(), small(40))).unwrap();
    let row = &manifest(out.path())[0];
    assert_eq!((row["finding"].as_str(), row["site"].as_str()), ("mass; cyst", "north"));
}

/// A row `0` does not say which of a/0 and b/0 it means: one patient would be given to both. Paths do.
#[test]
fn a_row_that_may_mean_two_images_is_an_error() {
    let source = tempfile::tempdir().unwrap();
    for (index, folder) in ["a", "b"].into_iter().enumerate() {
        write_png(&source.path().join(format!("images/{folder}/0.png")), 40, 40, picture(40, 40, index as u64));
        write_png(&source.path().join(format!("masks/{folder}/0.png")), 40, 40, disc(40, 40, [16.0, 24.0], 9.0));
    }
    let made = |table: &str| {
        std::fs::write(source.path().join("manifest.csv"), table).unwrap();
        let (out, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut asked = request(source.path(), out.path(), small(40));
        asked.key = Some(key(keys.path()));
        run(&asked).map(|summary| summary.description.patients)
    };
    let error = made("id,patient\n0,A\n").unwrap_err().to_string();
    assert!(error.contains("line 2: \"0\" is the name of several images, such as images/a/0.png"), "{error}");
    assert_eq!(made("image,patient\nimages/a/0.png,A\nimages/b/0.png,B\n").unwrap(), 2);
    let error = made("id,patient\n").unwrap_err().to_string();
    assert!(error.contains("line 1: the table has no row below its first line"), "{error}");
}
