//! The findings of an inspection, and how well its near-duplicates agree with the marked groups of BUSI.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::*;
use pig_prepare::PrepareConfig;
use pig_prepare::inspect::phash::{distance, perceptual_hash};
use pig_prepare::inspect::{Inspected, Inspection, NEAR_BITS, inspect, table_text, write_page};
use pig_prepare::pipeline::Silent;
use pig_prepare::sources::Cost;
use pig_testing::shared;
use rayon::prelude::*;

fn look(source: &Path) -> Inspected {
    let inspection = Inspection {
        source: source.to_path_buf(),
        layout: None,
        config: PrepareConfig::default(),
        cost: Cost::default(),
        near_bits: NEAR_BITS,
    };
    inspect(inspection, &Silent).unwrap()
}

#[test]
fn everything_odd_is_listed_once() {
    let source = tempfile::tempdir().unwrap();
    let root = source.path();
    for index in 0..4 {
        write_pair(root, &format!("p{index}"), 100, 80, index, 10.0);
    }
    // Two lesions; the same image again; nearly the same image; another size; damage; no mask; unclear mask.
    let two: Vec<u8> =
        disc(100, 80, [20.0, 20.0], 6.0).iter().zip(disc(100, 80, [70.0, 50.0], 9.0)).map(|(a, b)| a | b).collect();
    write_png(&root.join("masks/p0.png"), 100, 80, two);
    write_png(&root.join("images/same.png"), 100, 80, picture(100, 80, 1));
    write_png(&root.join("masks/same.png"), 100, 80, disc(100, 80, [0.0, 0.0], 0.0));
    write_png(
        &root.join("images/near.png"),
        100,
        80,
        picture(100, 80, 2).iter().map(|&v| (f64::from(v) * 0.8 + 20.0) as u8).collect(),
    );
    write_png(&root.join("masks/near.png"), 100, 80, disc(100, 80, [40.0, 40.0], 8.0));
    write_png(&root.join("images/odd.png"), 50, 40, picture(50, 40, 9));
    write_png(&root.join("masks/odd.png"), 40, 50, vec![0; 2000]);
    write_png(&root.join("images/alone.png"), 100, 80, picture(100, 80, 11));
    write_png(&root.join("images/many.png"), 100, 80, picture(100, 80, 13));
    write_png(&root.join("masks/many.png"), 100, 80, (0..8000).map(|i| [0, 90, 200][i % 3]).collect());
    std::fs::write(root.join("images/broken.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    std::fs::write(root.join("masks/broken.png"), b"").unwrap();
    let rows = "id,pixel_height_mm,pixel_width_mm\np0,0.5,0.2\np1,0.5,0.2\n";
    std::fs::write(root.join("manifest.csv"), rows).unwrap();
    let inspected = look(root);
    let report = &inspected.report;
    assert_eq!((report.cases, report.slices, report.patients), (10, 9, None));
    assert_eq!(report.sizes, BTreeMap::from([("80 x 100".to_owned(), 8), ("40 x 50".to_owned(), 1)]));
    assert_eq!(report.lesions_per_image, BTreeMap::from([(0, 1), (1, 4), (2, 1)]));
    assert_eq!(report.duplicates, [["images/p1.png", "images/same.png"]]);
    assert_eq!(report.near_duplicates, [["images/near.png", "images/p2.png"]]);
    let files = |list: &[pig_prepare::inspect::Problem]| list.iter().map(|p| p.file.clone()).collect::<Vec<_>>();
    assert_eq!(files(&report.mismatches), ["images/odd.png"]);
    assert_eq!(files(&report.missing_masks), ["images/alone.png"]);
    assert_eq!(files(&report.unclear_masks), ["images/many.png"]);
    assert_eq!(files(&report.unreadable), ["images/broken.png"]);
    assert!(report.text_suspects.is_empty(), "{:?}", report.text_suspects);
    assert_eq!(report.mask_values.keys().map(String::as_str).collect::<Vec<_>>(), ["0", "200", "255", "90"]);
    // Only the lesions of p0 and p1 have a known spacing; a pixel has 0.1 mm2.
    let areas = report.lesion_mm2.unwrap();
    assert_eq!(areas.count, 3);
    let largest = disc(100, 80, [40.0, 48.0], 10.0).iter().filter(|&&value| value != 0).count();
    assert!((areas.greatest - 0.1 * largest as f64).abs() < 1e-9);
    let text = table_text(report);
    for word in ["near-duplicates", "images/odd.png", "differs in size", "no mask: 1", "0.5000 x 0.2000: 2"] {
        assert!(text.contains(word), "{word} is missing in\n{text}");
    }
    let page = root.join("page.html");
    write_page(&inspected, &page).unwrap();
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.matches("<img ").count() == 2
            && !html.contains("src=\"http")
            && !html.contains("href=")
            && !html.contains("<script")
    );
}

#[test]
fn a_prepared_folder_can_be_looked_at() {
    let (source, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for index in 0..3 {
        write_pair(source.path(), &format!("p{index}"), 60, 60, index, 10.0);
    }
    let rows = "id,pixel_height_mm,pixel_width_mm\np0,0.1,0.1\np1,0.1,0.1\np2,0.1,0.1\n";
    std::fs::write(source.path().join("manifest.csv"), rows).unwrap();
    run(&request(source.path(), out.path(), small(120))).unwrap();
    let (before, after) = (look(source.path()).report, look(out.path()).report);
    // Lesions keep their area in mm2, although they have four times as many pixels.
    let (before_mm2, after_mm2) = (before.lesion_mm2.unwrap(), after.lesion_mm2.unwrap());
    assert!((after_mm2.median / before_mm2.median - 1.0).abs() < 0.02, "{before_mm2:?} {after_mm2:?}");
    assert!((after.lesion_pixels.unwrap().median / before.lesion_pixels.unwrap().median - 4.0).abs() < 0.1);
}

/// Precision and recall of "at most N bits differ" over pairs of images, compared with the groups in BUSI's manifest.
#[test]
fn near_duplicates_agree_with_the_marked_groups_of_busi() {
    let Some(busi) = shared("data/busi") else { return };
    let table = pig_data::manifest::Manifest::read(&busi.join("manifest.csv")).unwrap().unwrap();
    let (id, group) = (table.column("id").unwrap(), table.column("near_duplicate_group").unwrap());
    let images: Vec<(String, u64)> = table
        .rows()
        .map(|row| (row.get(group).to_owned(), busi.join(format!("images/{}.png", row.get(id)))))
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(group, path)| {
            let image = pig_data::read::read_image(&path, 1).unwrap();
            (group, perceptual_hash(&image.data, [image.height, image.width]))
        })
        .collect();
    for bits in [2, 4, 6, 8, 10, 12, 14] {
        let (mut found, mut right, mut marked) = (0, 0, 0);
        for (a, (group_a, hash_a)) in images.iter().enumerate() {
            for (group_b, hash_b) in &images[a + 1..] {
                let (near, same) = (distance(*hash_a, *hash_b) <= bits, group_a == group_b);
                found += usize::from(near);
                marked += usize::from(same);
                right += usize::from(near && same);
            }
        }
        let (precision, recall) = (right as f64 / found.max(1) as f64, right as f64 / marked as f64);
        println!("{bits} bits: {found} pairs found, {marked} marked, precision {precision:.3}, recall {recall:.3}");
        if bits == NEAR_BITS {
            assert!(precision > 0.9 && recall > 0.95, "precision {precision:.3}, recall {recall:.3}");
        }
    }
}

/// Precision and recall of the groups that an inspection lists, over pairs of images, compared with those in the manifest.
fn groups_against_manifest(folder: &Path) -> (f64, f64, Vec<usize>, usize) {
    let table = pig_data::manifest::Manifest::read(&folder.join("manifest.csv")).unwrap().unwrap();
    let (id, group) = (table.column("id").unwrap(), table.column("near_duplicate_group").unwrap());
    let marked: BTreeMap<String, String> =
        table.rows().map(|row| (row.get(id).to_owned(), row.get(group).to_owned())).collect();
    let mut sizes: BTreeMap<&String, usize> = BTreeMap::new();
    for group in marked.values() {
        *sizes.entry(group).or_default() += 1;
    }
    let all: usize = sizes.values().map(|size| size * (size - 1) / 2).sum();
    let report = look(folder).report;
    let stem = |file: &String| file.rsplit('/').next().unwrap().split('.').next().unwrap().to_owned();
    let groups: Vec<Vec<String>> =
        report.duplicates.iter().chain(&report.near_duplicates).map(|group| group.iter().map(stem).collect()).collect();
    let mut pairs = BTreeSet::new();
    for group in &groups {
        for (index, first) in group.iter().enumerate() {
            pairs.extend(group[index + 1..].iter().map(|second| (first.clone(), second.clone())));
        }
    }
    let right = pairs.iter().filter(|(first, second)| marked[first] == marked[second]).count();
    let numbers = (right as f64 / pairs.len() as f64, right as f64 / all as f64);
    let sizes = groups.iter().map(Vec::len).collect();
    println!("{}: precision {:.3}, recall {:.3}, {} pairs", folder.display(), numbers.0, numbers.1, pairs.len());
    (numbers.0, numbers.1, sizes, report.text_suspects.len())
}

#[test]
fn groups_and_text_of_real_sets_are_those_that_a_person_sees() {
    let Some(busi) = shared("data/busi") else { return };
    let (precision, recall, _, suspects) = groups_against_manifest(&busi);
    assert!(precision > 0.92 && recall > 0.98, "precision {precision:.3}, recall {recall:.3}");
    // All that were looked at have text: labels such as "RT AXILLA". 31 were found on dark ground alone.
    assert!((50..=70).contains(&suspects), "{suspects}");
    let Some(kvasir) = shared("data/kvasir") else { return };
    let (precision, recall, sizes, suspects) = groups_against_manifest(&kvasir);
    // An endoscope gives all its images one layout, which is no reason to group them: at most a few images are alike.
    assert!(precision > 0.8 && recall > 0.8, "precision {precision:.3}, recall {recall:.3}");
    assert!(sizes.iter().all(|&size| size <= 3), "{sizes:?}");
    // Date, time and sex are written on most of the 880 images. All 239 suspects that were looked at have text.
    assert!(suspects > 600, "{suspects}");
}
