//! A small set in colour goes through every command, and the pictures in pages are in colour.

mod common;

use common::{Folder, SIDE, json, pig, pig_with, stderr, success};
use pig_data::{
    Pixels,
    png_file::{read_png, write_png},
};
use std::{collections::BTreeSet, fmt::Write, path::Path};

/// Settings of a segmenter that takes only moments.
const SEGMENTER: [&str; 5] = [
    "data.size=16",
    "segment.network.block_out_channels=[8, 16]",
    "segment.network.norm_num_groups=4",
    "segment.train.steps=2",
    "segment.train.batch_size=2",
];

/// Green tissue and, in the mask, a red lesion; both with some texture.
fn colour(x: usize, y: usize, seed: usize, is_lesion: bool) -> [u8; 3] {
    let texture = ((x * 7 + y * 13 + seed * 29) % 17) as u8;
    if is_lesion { [200 + texture, 30 + texture, 40] } else { [40, 150 + texture, 60 + texture] }
}

/// Eight pairs in colour in `data/`, whose near-duplicates the manifest names.
fn with_colour(set: &str, offset: usize) -> Folder {
    let folder = Folder::new();
    write(&folder, set, offset);
    folder
}

fn write(folder: &Folder, set: &str, offset: usize) {
    let mut rows = "id,near_duplicate_group\n".to_owned();
    for index in 0..8 {
        let (seed, name) = (index + offset, format!("{set}{index:02}"));
        let is_lesion = |x: usize, y: usize| x < 7 && y > index;
        let image = (0..SIDE * SIDE).flat_map(|i| colour(i % SIDE, i / SIDE, seed, is_lesion(i % SIDE, i / SIDE)));
        let mask = (0..SIDE * SIDE).map(|i| if is_lesion(i % SIDE, i / SIDE) { 255 } else { 0 });
        for (kind, channels, values) in [("images", 3, image.collect()), ("masks", 1, mask.collect::<Vec<u8>>())] {
            let path = folder.path().join(set).join(kind).join(format!("{name}.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            write_png(&path, [SIDE, SIDE], channels, &Pixels::Eight(values), &[]).unwrap();
        }
        let _ = writeln!(rows, "{name},{set}{}", index / 2);
    }
    std::fs::write(folder.path().join(set).join("manifest.csv"), rows).unwrap();
}

/// Decodes base64 as RFC 4648 writes it, with padding.
fn decoded(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let digits: Vec<u32> = four.iter().filter(|&&byte| byte != b'=').map(|&byte| u32::from(value(byte))).collect();
        let number = digits.iter().enumerate().fold(0, |sum, (place, digit)| sum | digit << (18 - 6 * place));
        bytes.extend(&number.to_be_bytes()[1..digits.len()]);
    }
    bytes
}

/// The pictures that a page holds, each as the set of its colours.
fn pictures(page: &Path) -> Vec<BTreeSet<[u8; 3]>> {
    let html = std::fs::read_to_string(page).unwrap();
    let embedded = html.split("data:image/png;base64,").skip(1).map(|rest| rest.split('"').next().unwrap());
    let colours = |text| {
        let picture = image::load_from_memory(&decoded(text)).unwrap().to_rgb8();
        picture.pixels().map(|pixel| pixel.0).collect()
    };
    embedded.map(colours).collect()
}

/// Whether a picture shows the green of the tissue, which no outline has.
fn shows_tissue(colours: &BTreeSet<[u8; 3]>) -> bool {
    colours.iter().any(|&[r, g, b]| g > r.saturating_add(60) && g > b.saturating_add(60))
}

/// The colours of a PNG in colour.
fn colours_of(path: &Path) -> BTreeSet<[u8; 3]> {
    let png = read_png(path).unwrap();
    assert_eq!(png.channels, 3, "{}", path.display());
    let Pixels::Eight(values) = png.pixels else { panic!("16 bits") };
    values.as_chunks::<3>().0.iter().copied().collect()
}

#[test]
fn a_set_in_colour_stays_in_colour_from_inspect_to_report() {
    let folder = with_colour("data", 0);
    write(&folder, "held", 50);
    let at = |name: &str| folder.at(name);
    let path = |name: &str| folder.path().join(name);

    let page = at("inspect.html");
    let seen = json(&success(pig(&["inspect", &at("data"), "--page", &page, "--json"])));
    assert_eq!((&seen["colour"], &seen["colour_becomes"]), (&8.into(), &"kept".into()));
    assert!(shows_tissue(&pictures(Path::new(&page))[0]));

    let side = format!("prepare.size={SIDE}");
    let plan = json(&success(pig(&["prepare", &at("data"), &at("ready"), "--set", &side, "--dry-run", "--json"])));
    assert_eq!((&plan["plan"]["channels"], &plan["plan"]["coloured"]), (&3.into(), &8.into()));
    assert!(!path("ready").exists());
    let made = success(pig(&["prepare", &at("data"), &at("ready"), "--set", &side]));
    assert!(!stderr(&made).contains("reduced"), "{}", stderr(&made));
    for index in 0..8 {
        let name = format!("images/data{index:02}.png");
        let [source, ready] = ["data", "ready"].map(|set| read_png(&path(set).join(&name)).unwrap());
        assert!((source.channels, &source.pixels) == (ready.channels, &ready.pixels), "{name}");
    }

    let trained = success(pig_with(&["train", "--data", &at("ready"), "--out", &at("run")], &[]));
    let found = "found 8 pairs, RGB, 16x16, 8 bits, column near_duplicate_group with 4 groups, no patients";
    assert!(stderr(&trained).contains(found), "{}", stderr(&trained));
    assert!(std::fs::read_to_string(path("run/config.toml")).unwrap().contains("\nchannels = 3\n"));
    success(pig(&["sample", "--run", &at("run"), "--count", "4", "--out", &at("pairs")]));
    let generated = colours_of(&path("pairs/images/000000.png"));

    success(pig(&["report", &at("run"), "--out", &at("report.html"), "--count", "4"]));
    let shown = pictures(&path("report.html"));
    assert!(shown.iter().any(shows_tissue), "real pairs");
    assert!(shown.iter().any(|colours| generated.is_subset(colours)), "generated pairs");

    let calc = ["fid", "calc", &at("ready"), &at("pairs"), "--features", "radiomics", "--json"];
    let said = json(&success(pig(&calc)));
    let warned = said["warnings"].to_string();
    assert!(warned.contains("12 of 12 images are in colour, but radiomic features"), "{warned}");
    let (held, copies) = (at("held"), at("copies.html"));
    let asked = ["fid", "copies", "--train", &at("ready"), "--held-out", &held, "--generated", &at("pairs")];
    let said = json(&success(pig(&[&asked[..], &["--page", &copies, "--json"]].concat())));
    assert!(said["searches"][0]["unit"].as_str().unwrap().contains("red, green and blue"), "{said}");
    let shown = pictures(Path::new(&copies));
    assert!(generated.is_subset(&shown.iter().flatten().copied().collect()), "generated images");
    assert!(shown.iter().any(shows_tissue), "training images");

    let export = ["export", &at("pairs"), "--real", &at("ready"), "--out"];
    success(pig(&[&export[..], &[&at("png"), "--format", "png"]].concat()));
    assert!(shows_tissue(&colours_of(&path("png/images/real_data00.png"))));
    assert_eq!(colours_of(&path("png/images/generated_000000.png")), generated);
    success(pig(&[&export[..], &[&at("Dataset001_Colour"), "--format", "nnunet"]].concat()));
    let described = std::fs::read_to_string(path("Dataset001_Colour/dataset.json")).unwrap();
    let names = &serde_json::from_str::<serde_json::Value>(&described).unwrap()["channel_names"];
    assert_eq!(*names, serde_json::json!({ "0": "R", "1": "G", "2": "B" }));
    let gray = success(pig(&[&export[..], &[&at("nifti"), "--format", "nifti"]].concat()));
    assert!(stderr(&gray).contains("12 images are in colour, but --format nifti writes gray"), "{}", stderr(&gray));

    let sets: Vec<&str> = SEGMENTER.iter().flat_map(|set| ["--set", *set]).collect();
    let train = ["segment", "train", "--data", &at("ready"), "--add", &at("pairs"), "--out", &at("segmenter")];
    success(pig(&[&train[..], &sets].concat()));
    assert!(std::fs::read_to_string(path("segmenter/config.toml")).unwrap().contains("\nchannels = 3\n"));
    success(pig(&["segment", "predict", "--run", &at("segmenter"), "--data", &held, "--out", &at("predicted")]));
    let overlay = image::open(path("predicted/overlays/held00.png")).unwrap().to_rgb8();
    assert!(shows_tissue(&overlay.pixels().map(|pixel| pixel.0).collect()));
}

#[test]
fn channels_that_do_not_fit_the_pictures_are_warned_of() {
    let folder = with_colour("data", 0);
    let train = |data: &str, out: &str, channels: &str| {
        let asked = ["train", "--dry-run", "--json", "--data", data, "--out", out];
        json(&success(pig_with(&asked, &[channels])))["warnings"].to_string()
    };
    let reduced = train(&folder.at("data"), &folder.at("run"), "data.channels=1");
    assert!(reduced.contains("8 of 8 images are in colour and were reduced to gray"), "{reduced}");
    assert!(reduced.contains("data.channels = 1"), "{reduced}");
    let gray = Folder::with_data();
    let copied = train(&gray.at("data"), &gray.at("run"), "data.channels=3");
    assert!(
        copied.contains("8 of 8 images are gray and were copied to three channels (data.channels = 3)"),
        "{copied}"
    );
    let none = train(&gray.at("data"), &gray.at("run"), "data.channels=auto");
    assert!(!none.contains("images are"), "{none}");

    // Runs that are there already get pictures of the other kind.
    let (images, run) = (folder.at("data/images"), gray.at("run"));
    success(pig_with(&["train", "--data", &gray.at("data"), "--out", &run], &[]));
    let sample = ["sample", "--run", &run, "--given-image", &images, "--count", "1", "--out", &gray.at("pairs")];
    let told = stderr(&success(pig(&sample)));
    assert!(told.contains("8 of 8 pictures are in colour, but this run has data.channels = 1"), "{told}");
    let sets: Vec<&str> = SEGMENTER.iter().flat_map(|set| ["--set", *set]).collect();
    let segmenter = folder.at("segmenter");
    success(pig(&[&["segment", "train", "--data", &folder.at("data"), "--out", &segmenter][..], &sets].concat()));
    let predict = ["segment", "predict", "--run", &segmenter, "--data", &gray.at("data"), "--out", &gray.at("masks")];
    let told = stderr(&success(pig(&predict)));
    assert!(told.contains("8 of 8 pictures are gray, but this run has data.channels = 3"), "{told}");
}
