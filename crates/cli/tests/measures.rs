//! `pig segment evaluate`, `pig compare` and `pig fid` on the command line.

mod common;

use common::{Folder, SIDE, json, picture, pig, stderr, stdout, success};
use pig_data::{DataConfig, Dataset, resample::resize_image, split_by_group};
use std::{fmt::Write, fs};

/// Predictions of the masks in `data/`: each mask is moved by one pixel, the last is empty. Also a table of four patients.
fn predictions(folder: &Folder) -> String {
    let mut table = "id,patient\n".to_owned();
    for index in 0..8 {
        let name = format!("a{index:02}");
        picture(&folder.path().join("pred").join(format!("{name}.png")), SIDE, |x, y| {
            if index < 7 && (1..7).contains(&x) && y > index { 255 } else { 0 }
        });
        let _ = writeln!(table, "{name},p{}", index / 2);
    }
    fs::write(folder.path().join("data/manifest.csv"), table).unwrap();
    folder.at("pred")
}

#[test]
fn masks_are_measured_by_slice_patient_and_pool() {
    let folder = Folder::with_data();
    let (pred, truth, csv) = (predictions(&folder), folder.at("data"), folder.at("cases.csv"));
    let output = success(pig(&["segment", "evaluate", "--pred", &pred, "--truth", &truth, "--csv", &csv, "--json"]));
    let said = json(&output);
    assert_eq!((&said["cases"], &said["groups"], &said["empty"]["prediction"]), (&8.into(), &4.into(), &1.into()));
    // Five of six columns agree, whatever the number of rows.
    let dice = said["per_slice"]["dice"]["mean"].as_f64().unwrap();
    assert!((dice - 7.0 / 8.0 * 5.0 / 6.0).abs() < 1e-12, "{dice}");
    assert_eq!(said["detection"]["counts"]["found"], 7);
    assert!(said["definition"].as_str().unwrap().contains("4 patients"));
    // The mean can be computed again from the table.
    let table = fs::read_to_string(&csv).unwrap();
    let column = table.lines().next().unwrap().split(',').position(|name| name == "dice").unwrap();
    let values: Vec<f64> =
        table.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().parse().unwrap()).collect();
    assert!((values.iter().sum::<f64>() / 8.0 - dice).abs() < 1e-12);

    let text = stdout(&success(pig(&["segment", "evaluate", "--pred", &pred, "--truth", &truth])));
    assert!(text.contains("Dice") && text.contains("per patient") && text.contains("0.7292"), "{text}");
}

#[test]
fn masks_without_a_partner_or_of_another_size_are_refused() {
    let folder = Folder::with_data();
    let (pred, truth) = (predictions(&folder), folder.at("data"));
    let refused = |extra: &[&str], words: &[&str]| {
        let output = pig(&[&["segment", "evaluate", "--pred", &pred, "--truth", &truth], extra].concat());
        assert_eq!(output.status.code(), Some(1));
        for word in words {
            assert!(stderr(&output).contains(word), "{word:?} is missing in {}", stderr(&output));
        }
    };
    refused(&["--min-iou", "0"], &["--min-iou 0", "above 0"]);
    refused(&["--tolerance", "-1"], &["--tolerance"]);
    fs::remove_file(folder.path().join("pred/a03.png")).unwrap();
    refused(&[], &["a03.png", "1 picture(s) lack a partner"]);
    picture(&folder.path().join("pred/a03.png"), 8, |_, _| 0);
    refused(&[], &["a03.png", "8 x 8", "16 x 16"]);
    fs::write(folder.path().join("data/manifest.csv"), "id,patient\na00,p0\n").unwrap();
    refused(&[], &["manifest.csv", "7 pair(s) lack one"]);
}

#[test]
fn two_folders_are_compared_without_weights() {
    let folder = Folder::with_data();
    predictions(&folder);
    for index in 0..8 {
        let (x0, name) = (index % 3, format!("{index:06}.png"));
        picture(&folder.path().join("made/images").join(&name), SIDE, |x, y| (x * 7 + y * 2 + 3 * index) as u8);
        picture(&folder.path().join("made/masks").join(&name), SIDE, |x, y| {
            if index > 0 && (x0..x0 + 5).contains(&x) && y > 4 { 255 } else { 0 }
        });
    }
    let (real, made) = (folder.at("data"), folder.at("made"));
    let said = json(&success(pig(&["fid", "calc", &real, &made, "--features", "radiomics", "--json"])));
    assert_eq!((&said["reference"], &said["other"], &said["few_images"]), (&8.into(), &8.into(), &true.into()));
    assert_eq!((&said["floor"]["by_patient"], &said["left_out"]["other"]), (&true.into(), &0.into()));
    let frechet = said["distances"]["frechet"].as_f64().unwrap();
    assert!(frechet > said["floor"]["distances"]["frechet"].as_f64().unwrap(), "{said}");
    assert_eq!(said["extractor"]["hash"].as_str().unwrap().len(), 64);
    // Besides the distances: how similar images are to each other, and whether masks are like real ones.
    let appearance = &said["appearance"];
    assert_eq!(
        (&appearance["diversity"]["real"]["pairs"], &appearance["diversity"]["size"][0]),
        (&200.into(), &16.into())
    );
    assert_eq!(
        (&appearance["masks"]["real_empty_rate"], &appearance["masks"]["generated_empty_rate"]),
        (&0.0.into(), &0.125.into())
    );
    // Real lesions are columns 0 to 5, generated ones five columns from 0, 1 or 2 on.
    assert!(appearance["masks"]["column"].as_f64().unwrap() > 0.0, "{said}");
    // The distances of a set from itself are 0.
    let said = json(&success(pig(&["fid", "calc", &real, &real, "--features", "radiomics", "--json"])));
    assert!(said["distances"]["frechet"].as_f64().unwrap().abs() < 1e-6, "{said}");
    assert_eq!(said["appearance"]["masks"]["area"], 0.0);

    let output = success(pig(&["fid", "calc", &real, &made, "--features", "lesion-radiomics"]));
    assert!(stderr(&output).contains("1 image(s) with no lesion"), "{}", stderr(&output));
    assert!(stderr(&output).contains("N is small") && stdout(&output).contains("disjoint patients"));
    assert!(
        stdout(&output).contains("MS-SSIM") && stdout(&output).contains("empty masks: generated 12.5 %, real 0.0 %")
    );
    let output =
        pig(&["fid", "calc", &real, &made, "--features", "radiomics", "--kid-subsets", "3", "--kid-subset-size", "9"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("expected at least 9"), "{}", stderr(&output));
}

/// Texture depends on the size: the same pictures at twice the size are far away.
#[test]
fn folders_of_different_sizes_are_refused_without_resize() {
    let folder = Folder::new();
    // Halved by a triangle of eighths along each axis, multiples of 64 become whole numbers but at the borders.
    let value = |index: usize, x: usize, y: usize| 64 * ((x * x + 3 * y + x * y * (index + 1)) % 4) as u8;
    for index in 0..10 {
        let name = format!("{index}.png");
        picture(&folder.path().join("large").join(&name), 32, |x, y| value(index, x, y));
        let large: Vec<f32> = (0..32 * 32).map(|i| f32::from(value(index, i % 32, i / 32))).collect();
        let halved = resize_image(&large, [32, 32], [16, 16], 1);
        picture(&folder.path().join("small").join(&name), 16, |x, y| halved[y * 16 + x].round() as u8);
    }
    let (small, large) = (folder.at("small"), folder.at("large"));
    let asked = ["--features", "radiomics", "--diversity-pairs", "0", "--json"];
    let calc =
        |real: &str, made: &str, extra: &[&str]| pig(&[&["fid", "calc", real, made], &asked[..], extra].concat());
    let refused = calc(&small, &large, &[]);
    assert_eq!(refused.status.code(), Some(1));
    for part in ["16 x 16 pixels", "32 x 32 pixels", "--resize", "small", "large"] {
        assert!(stderr(&refused).contains(part), "{part:?}: {}", stderr(&refused));
    }
    // Resized, the sets are the same but for rounding in 8 bits at the borders, where the weights are no eighths: far nearer than two
    // halves of one set.
    let said = json(&success(calc(&small, &large, &["--resize"])));
    let [between, floor] = [&said, &said["floor"]].map(|of| of["distances"]["frechet"].as_f64().unwrap());
    assert!(between < 0.001 * floor, "{said}");
    assert!(said["definition"].as_str().unwrap().contains("resized to 16 x 16 pixels"), "{said}");
    // The target is the reference's size.
    let said = json(&success(calc(&large, &small, &["--resize"])));
    assert!(said["definition"].as_str().unwrap().contains("resized to 32 x 32 pixels"), "{said}");
    let said = json(&success(calc(&small, &small, &[])));
    assert!(said["definition"].as_str().unwrap().contains("images: not resized"), "{said}");
    // One of eleven differs.
    fs::copy(folder.path().join("large/0.png"), folder.path().join("small/extra.png")).unwrap();
    fs::create_dir(folder.path().join("same")).unwrap();
    for index in 1..10 {
        let name = format!("{index}.png");
        fs::copy(folder.path().join("small").join(&name), folder.path().join("same").join(&name)).unwrap();
    }
    let refused = calc(&folder.at("same"), &small, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("11 pictures of 2 sizes, most often 16 x 16"), "{}", stderr(&refused));
    success(calc(&folder.at("same"), &small, &["--resize"]));
    // A set of several sizes is not compared with itself either.
    assert_eq!(calc(&small, &small, &[]).status.code(), Some(1));
}

/// A split of `data/` as pig writes it, by a manifest's column `split`: a00 to a03 train, a04 and a05 validate, the others test.
fn split(folder: &Folder) -> String {
    let part = |index: usize| ["train", "val", "test"][(index / 2).saturating_sub(1).min(2)];
    let rows = (0..8).map(|index| format!("a{index:02},{}\n", part(index))).collect::<Vec<_>>().concat();
    fs::write(folder.path().join("data/manifest.csv"), format!("id,split\n{rows}")).unwrap();
    let dataset = Dataset::discover(&folder.path().join("data"), &DataConfig::default()).unwrap();
    let path = folder.path().join("splits.json");
    split_by_group(&dataset, 0.5, 0).unwrap().save(&path).unwrap();
    folder.at("splits.json")
}

#[test]
fn measures_of_one_part_of_a_split_use_its_pictures_alone() {
    let folder = Folder::with_data();
    let pred = predictions(&folder);
    let (splits, data) = (split(&folder), folder.at("data"));
    let part = |name: &'static str| ["--splits", &splits, "--part", name].map(str::to_owned);
    let with = |fixed: &[&str], name: &'static str| {
        let part = part(name);
        pig(&fixed.iter().copied().chain(part.iter().map(String::as_str)).collect::<Vec<_>>())
    };
    let evaluate = ["segment", "evaluate", "--pred", &pred, "--truth", &data, "--json"];
    let cases = |name| json(&success(with(&evaluate, name)))["cases"].as_u64().unwrap();
    assert_eq!([cases("training"), cases("validation"), cases("test")], [4, 2, 2]);
    // Predictions of the part alone are enough, and a lacking one is named.
    for index in 0..6 {
        fs::remove_file(folder.path().join(format!("pred/a{index:02}.png"))).unwrap();
    }
    assert_eq!(cases("test"), 2);
    let refused = with(&evaluate, "validation");
    assert_eq!(refused.status.code(), Some(1));
    for word in ["pred", "2 of the 2 ids of the part validation", "such as a04, a05", "splits.json"] {
        assert!(stderr(&refused).contains(word), "{word}: {}", stderr(&refused));
    }
    let calc = ["fid", "calc", &data, &data, "--features", "radiomics", "--diversity-pairs", "0"];
    let output = success(with(&[&calc[..], &["--json"]].concat(), "training"));
    let said = json(&output);
    assert_eq!((&said["reference"], &said["other"]), (&4.into(), &8.into()));
    let said = stderr(&success(with(&calc, "training")));
    assert!(said.contains("reference: the 4 pictures of the part training of"), "{said}");
    // Training and held-out pictures come from one folder.
    let copies = ["fid", "copies", "--train", &data, "--generated", &data];
    let said = json(&success(with(&[&copies[..], &["--json"]].concat(), "test")));
    let check = &said["searches"][0]["check"];
    assert_eq!((&check["held_out"], &check["generated"]), (&2.into(), &8.into()), "{said}");
    let nearest: Vec<&str> = said["searches"][0]["closest"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["training"].as_str().unwrap())
        .collect();
    assert!(nearest.iter().all(|name| ["a00", "a01", "a02", "a03"].contains(name)), "{nearest:?}");
    // Without --part, all that was held out: two pictures of validation and two of the test.
    let output = success(pig(&[&copies[..], &["--splits", &splits, "--json"]].concat()));
    assert_eq!(json(&output)["searches"][0]["check"]["held_out"], 4);
    let said = stderr(&success(pig(&[&copies[..], &["--splits", &splits]].concat())));
    assert!(said.contains("held out: the 4 pictures of the parts validation and test of"), "{said}");
    let refused = with(&copies, "training");
    assert!(stderr(&refused).contains("[possible values: validation, test]"), "{}", stderr(&refused));
    let others = [&copies[..], &["--held-out", &data, "--part", "test"]].concat();
    assert!(stderr(&pig(&others)).contains("--splits"), "--part alone selects nothing");
    for lonely in [&["--splits", &splits][..], &["--part", "test"]] {
        assert_eq!(pig(&[&calc[..], lonely].concat()).status.code(), Some(1));
    }
}

/// Pseudo-random gray pairs `NAME00` to `NAME11`, which lie about as far from each other within a set as between sets.
fn noise(folder: &Folder, set: &str, seed: usize) {
    for index in 0..12 {
        let key = seed * 100 + index;
        let place = |kind: &str| folder.path().join(set).join(kind).join(format!("{set}{index:02}.png"));
        let value = move |x: usize, y: usize| {
            let mut state = (key * 4096 + y * 64 + x) as u64 ^ 0x9e37_79b9_7f4a_7c15;
            (0..3).for_each(|_| state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9));
            (state >> 56) as u8
        };
        picture(&place("images"), SIDE, value);
        let corner = (key % 7, key % 5);
        picture(&place("masks"), SIDE, |x, y| {
            let inside =
                (corner.0..corner.0 + 4 + key % 3).contains(&x) && (corner.1..corner.1 + 3 + key % 6).contains(&y);
            if inside { 255 } else { 0 }
        });
    }
}

#[test]
fn copies_are_found_mirrored_and_shown() {
    let folder = Folder::new();
    (1..=3).zip(["train", "held", "made"]).for_each(|(seed, set)| noise(&folder, set, seed));
    // One generated image is a training image mirrored, with its mask.
    for kind in ["images", "masks"] {
        let path = folder.path().join("train").join(kind).join("train04.png");
        let read = pig_data::read::read_image(&path, 1).unwrap();
        picture(&folder.path().join("made").join(kind).join("made07.png"), SIDE, |x, y| {
            read.data[y * SIDE + SIDE - 1 - x] as u8
        });
    }
    let (train, held, made) = (folder.at("train"), folder.at("held"), folder.at("made"));
    let (page, csv) = (folder.at("page.html"), folder.at("copies.csv"));
    let asked = ["fid", "copies", "--train", &train, "--held-out", &held, "--generated", &made];
    let said = json(&success(pig(&[&asked[..], &["--page", &page, "--csv", &csv, "--json"]].concat())));
    assert_eq!(said["searches"].as_array().unwrap().len(), 2, "pixels and masks");
    for search in said["searches"].as_array().unwrap() {
        let first = &search["closest"][0];
        assert_eq!((&first["generated"], &first["training"]), (&"made07".into(), &"train04".into()), "{search}");
        assert_eq!((&first["distance"], &first["flipped"]), (&0.0.into(), &true.into()));
    }
    let closest = &said["searches"][0]["closest"];
    assert_eq!((&closest[0]["flagged"], &closest[0]["rank"]), (&true.into(), &0.0.into()));
    assert!(closest[1]["distance"].as_f64().unwrap() > 0.1, "nothing else is a copy: {closest}");
    assert!(said["warnings"][0].as_str().unwrap().contains("are not known"));
    let table = fs::read_to_string(&csv).unwrap();
    assert!(table.contains("\npixels,made07,train04,0,true,0,true\n"), "{table}");
    let html = fs::read_to_string(&page).unwrap();
    // Ten pairs of two pictures in each of two spaces.
    assert_eq!(html.matches("<img").count(), 40);
    assert!(html.contains("made07 near train04: distance 0.0000") && html.contains("training image mirrored"));
    // Without flips, the mirrored copy is as far away as any other image.
    let text = stdout(&success(pig(&[&asked[..], &["--no-flips"]].concat())));
    assert!(text.contains("pixels: ") && text.contains("masks: ") && !text.contains(" 0.00000  made07"), "{text}");

    for set in ["train", "held"] {
        let mut table = "id,patient\n".to_owned();
        for index in 0..12 {
            let _ = writeln!(table, "{set}{index:02},{}", if index == 3 { "shared" } else { set });
        }
        fs::write(folder.path().join(set).join("manifest.csv"), table).unwrap();
    }
    let refused = pig(&asked);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("share 1 patient(s) or group(s), such as \"shared\""), "{}", stderr(&refused));
}

#[test]
fn two_tables_of_cases_are_compared_by_patient() {
    let folder = Folder::new();
    let table = |name: &str, gain: f64| {
        let mut table = "id,group,dice\n".to_owned();
        for case in 0..16 {
            let _ = writeln!(table, "c{case:02},p{},{}", case / 2, 0.5 + f64::from(case % 5) * 0.01 + gain);
        }
        fs::write(folder.path().join(name), table + "c99,p0,\n").unwrap();
        folder.at(name)
    };
    let (first, second) = (table("first.csv", 0.125), table("second.csv", 0.0));
    let said = json(&success(pig(&["compare", &first, &second, "--json"])));
    assert!((said["difference"]["mean"].as_f64().unwrap() - 0.125).abs() < 1e-12, "{said}");
    // Eight patients: of 256 arrangements two are as extreme.
    assert_eq!((&said["test"]["arrangements"], &said["test"]["p_value"]), (&256.into(), &(2.0 / 256.0).into()));
    assert_eq!((&said["left_out"], &said["difference"]["units"]), (&1.into(), &8.into()));
    let text = stdout(&success(pig(&["compare", &first, &second])));
    assert!(text.contains("difference  +0.1250 [+0.1250, +0.1250]") && text.contains("p           0.0078"), "{text}");
    let refused = |words: &[&str]| {
        let output = pig(&["compare", &first, &second]);
        assert_eq!(output.status.code(), Some(1));
        for word in words {
            assert!(stderr(&output).contains(word), "{word:?}: {}", stderr(&output));
        }
    };
    // What tables of Python and R write where a case has no value is no value, as an empty cell is, and is counted.
    let blank = said;
    let text = fs::read_to_string(&first).unwrap();
    for word in ["nan", "NaN", "-nan", "NA", "N/A", "#N/A", "<NA>", "None", "null", "-"] {
        let named = folder.at("named.csv");
        fs::write(&named, text.replace("c99,p0,\n", &format!("c99,p0,{word}\n"))).unwrap();
        let said = json(&success(pig(&["compare", &named, &second, "--json"])));
        assert_eq!(said, blank, "{word}");
    }
    // A decimal comma, in quotes; a comma that may separate thousands is refused.
    let cell = |line: &str| match line.rsplit_once(',') {
        Some((start, value)) if value.contains('.') => format!("{start},\"{}\"\n", value.replace('.', ",")),
        _ => format!("{line}\n"),
    };
    let comma: String = text.lines().map(cell).collect();
    assert!(comma.contains("\"0,6"), "{comma}");
    fs::write(folder.at("named.csv"), comma).unwrap();
    let said = json(&success(pig(&["compare", &folder.at("named.csv"), &second, "--json"])));
    assert_eq!(said, blank, "a decimal comma");
    for word in ["inf", "-inf", "12,345"] {
        let cell = format!("c99,p0,\"{word}\"\n");
        fs::write(folder.path().join("first.csv"), text.replace("c99,p0,\n", &cell)).unwrap();
        refused(&["first.csv", "line 18", &format!("dice is {word:?}; expected a finite number")]);
    }
    fs::write(&first, &text).unwrap();
    // A long name of a measure widens the column of names.
    fs::write(folder.at("named.csv"), text.replace("id,group,dice", "id,group,hausdorff_95")).unwrap();
    let named = folder.at("named.csv");
    let wide = stdout(&success(pig(&["compare", &named, &named, "--column", "hausdorff_95"])));
    assert!(wide.contains("hausdorff_95  0.") && wide.contains("\ndifference    +0.0000 ["), "{wide}");
    // A table compared with itself: the difference is zero, without a sign of rounding.
    let text = stdout(&success(pig(&["compare", &first, &first])));
    assert!(text.contains("difference  +0.0000 [+0.0000, +0.0000]"), "{text}");
    fs::write(&second, "id,dice\nc00,0.5\n").unwrap();
    refused(&["second.csv", "16 case(s) of the other table are missing"]);
    fs::write(&second, "id,dice\nc00,high\n").unwrap();
    refused(&["line 2", "dice is \"high\""]);
    fs::write(&second, "id,iou\nc00,0.5\n").unwrap();
    refused(&["no column \"dice\"; found the columns id, iou; name one of them with --column"]);
}

#[test]
fn repeated_trainings_are_random_beside_the_patients() {
    let folder = Folder::new();
    let mut table = "arm,seed,id,group,dice,lesion\n".to_owned();
    for (arm, gain) in [("real", 0.0), ("more", 0.05)] {
        for (seed, level) in [(0, 0.0), (1, 0.04), (2, -0.03)] {
            for case in 0..24 {
                // Every third case has no lesion; in it, something is found or nothing.
                let (patient, lesion) = (case / 3, case % 3 != 0);
                let dice = 0.5 + gain + level + 0.02 * f64::from((case * 7 + seed * 5) % 4);
                let found = if (case + seed) % 2 == 0 { "0" } else { "" };
                let dice = if lesion { dice.to_string() } else { found.to_owned() };
                let _ = writeln!(table, "{arm},{seed},c{case:02},p{patient},{dice},{lesion}");
            }
        }
    }
    fs::write(folder.path().join("cases.csv"), &table).unwrap();
    let cases = folder.at("cases.csv");
    let asked = ["compare", &cases, &cases, "--first-arm", "more", "--second-arm", "real"];
    let said = json(&success(pig(&[&asked[..], &["--json"]].concat())));
    // Whatever is found in cases without a lesion, the cases with one are compared.
    assert_eq!(
        (&said["cases"], &said["left_out"], &said["difference"]["cases"]),
        (&"lesion".into(), &8.into(), &16.into())
    );
    assert!((said["difference"]["mean"].as_f64().unwrap() - 0.05).abs() < 1e-12, "{said}");
    assert_eq!(said["covers"], serde_json::json!(["patients", "segmenters"]));
    assert_eq!(said["leaves_out"], serde_json::json!(["generators", "folds"]));
    // For these networks every patient gains; for other seeds that is open.
    assert_eq!(said["test"]["p_value"], 2.0 / 256.0);
    assert!(said["p_value"].as_f64().unwrap() > 0.05 && said["difference"]["low"].as_f64().unwrap() < 0.0, "{said}");
    let text = stdout(&success(pig(&asked)));
    let words = "16 cases with a lesion, 8 left out; means within patients or groups, then over 8 patients or groups. The 95 % bootstrap interval \
                 covers patients (8), segmenters (3 of a training set); not generators (1 of an arm), folds (1).";
    assert!(text.contains(words) && text.contains("\ndetectable  0."), "{text}");
    let refused = |table: &str, asked: &[&str], words: &str| {
        fs::write(folder.path().join("other.csv"), table).unwrap();
        let output = pig(asked);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(words), "{words:?}: {}", stderr(&output));
    };
    let other = folder.at("other.csv");
    refused(&table, &["compare", &other, &cases], "choose one of more, real with --first-arm");
    let twice = table.clone() + "real,2,c23,p7,,false\n";
    refused(
        &twice,
        &["compare", &other, &cases, "--first-arm", "real", "--second-arm", "real"],
        "\"c23\" is in two rows",
    );
    refused(
        &table,
        &["compare", &other, &cases, "--first-arm", "most", "--second-arm", "real"],
        "expected one of more, real",
    );
    let lacking = table.replace("more,1,c04", "more,1,c99");
    refused(
        &lacking,
        &["compare", &other, &cases, "--first-arm", "more", "--second-arm", "real"],
        "\"c04\" (1 case(s)",
    );
    let vague = table.replace(",true\n", ",yes\n");
    refused(&vague, &["compare", &other, &cases, "--first-arm", "more", "--second-arm", "real"], "true or false");
}

#[test]
fn weights_that_were_not_imported_are_told_so() {
    let folder = Folder::with_data();
    let (real, weights) = (folder.at("data"), folder.at("pt_inception.pth"));
    std::fs::write(&weights, "weights").unwrap();
    let refused = pig(&["fid", "ref", &real, "--out", &folder.at("ref.npz"), "--weights", &weights]);
    assert_eq!(refused.status.code(), Some(1));
    let message = stderr(&refused);
    assert!(
        message.contains("pt_inception.pth") && message.contains("pig weights import FILE --kind inception"),
        "{message}"
    );
}

/// Needs the weights that `PIG_INCEPTION` names, like the test of the features.
#[test]
fn a_reference_in_a_file_gives_the_folder_s_numbers() {
    let Some(weights) = pig_testing::given("PIG_INCEPTION") else { return };
    let folder = Folder::with_data();
    noise(&folder, "made", 1);
    let (real, made, model, file) = (folder.at("data"), folder.at("made"), folder.at("model"), folder.at("ref.npz"));
    let weights = weights.to_str().unwrap();
    success(pig(&["weights", "import", weights, "--kind", "inception", "--out", &model]));
    let said = json(&success(pig(&["fid", "ref", &real, "--out", &file, "--weights", &model, "--json"])));
    assert_eq!((&said["images"], &said["features"]), (&8.into(), &true.into()));
    let calc = |reference: &str| {
        let found = pig(&["fid", "calc", reference, &made, "--features", "inception", "--weights", &model, "--json"]);
        json(&success(found))
    };
    let (from_file, from_folder) = (calc(&file), calc(&real));
    for key in ["distances", "floor", "manifold", "extractor"] {
        assert_eq!(from_file[key], from_folder[key]);
    }
    // The weights are recognised as those of a known file.
    assert!(!from_file["warnings"].to_string().contains("not from a known file"), "{from_file}");
    let asked = ["fid", "calc", &file, &made, "--features", "inception", "--weights", &model];
    let other = pig(&[&asked[..], &["--preprocess", "antialiased"]].concat());
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("preprocessed by torch-fidelity"), "{}", stderr(&other));
}
