//! Copies of the inputs, and what the binary makes of them.

use crate::common::{Folder, TINY, pig, stderr, stdout};
use image::GrayImage;
use pig_data::manifest::Manifest;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Output,
};

/// A folder of ../shared/wild, copied to `in/`. Without it a skip is recorded.
pub(crate) fn copied(place: &str) -> Option<Folder> {
    let from = pig_testing::shared(&format!("wild/{place}"))?;
    let folder = Folder::new();
    copy(&from, &folder.path().join("in"));
    Some(folder)
}

/// Copies a file, or a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        // The content alone: what is copied may be read-only.
        std::fs::write(to, std::fs::read(from).unwrap()).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// The files below a folder with these endings, sorted.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Gray values as they are stored, read by the image library alone.
pub(crate) fn gray(path: &Path) -> GrayImage {
    image::ImageReader::open(path).unwrap().with_guessed_format().unwrap().decode().unwrap().to_luma8()
}

/// Which pixels of a mask are lesion.
pub(crate) fn lesion(path: &Path) -> Vec<bool> {
    gray(path).pixels().map(|pixel| pixel.0[0] > 0).collect()
}

/// All of `parts` stand in a text.
#[track_caller]
pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

/// Runs the binary with `TINY` and more settings, in the folder of a copied input.
pub(crate) fn tiny(arguments: &[&str], sets: &[&str]) -> Output {
    let sets: Vec<&str> = TINY.iter().chain(sets).flat_map(|set| ["--set", set]).collect();
    pig(&[arguments, &sets].concat())
}

/// What `pig prepare` made of an input in `out/`.
pub(crate) struct Made {
    pub(crate) folder: Folder,
    pub(crate) output: Output,
    /// The rows of the manifest; none if no pair was made.
    pub(crate) rows: Vec<BTreeMap<String, String>>,
}

/// Prepares the input in `in/` at `size`, which is a number or `[height,width]`. What is printed, what the manifest says and what is on
/// disk are held against each other.
pub(crate) fn prepared(place: &str, size: &str, sets: &[&str]) -> Option<Made> {
    let folder = copied(place)?;
    let size = format!("prepare.size={size}");
    let sets: Vec<&str> = [size.as_str()].iter().chain(sets).flat_map(|set| ["--set", set]).collect();
    let (from, out, key) = (folder.at("in"), folder.at("out"), folder.at("key"));
    let output = pig(&[&["prepare", &from, &out, "--new-key", &key][..], &sets].concat());
    let made = Made { rows: rows(&folder.path().join("out/manifest.csv")), folder, output };
    made.check();
    Some(made)
}

fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let Some(table) = Manifest::read(path).unwrap() else { return Vec::new() };
    let columns: Vec<(usize, &String)> = table.columns.iter().enumerate().collect();
    let row = |row: pig_data::manifest::Row<'_>| {
        columns.iter().map(|&(at, name)| (name.clone(), row.get(at).to_owned())).collect()
    };
    table.rows().map(row).collect()
}

impl Made {
    pub(crate) fn said(&self) -> String {
        format!("{}{}", stdout(&self.output), stderr(&self.output))
    }

    pub(crate) fn at(&self, place: &str) -> PathBuf {
        self.folder.path().join(place)
    }

    /// The exit code is 0, and there are so many pairs.
    #[track_caller]
    pub(crate) fn succeeds(&self, pairs: usize) -> &Self {
        assert_eq!(self.output.status.code(), Some(0), "{}", self.said());
        assert_eq!(self.rows.len(), pairs, "{}", self.said());
        self
    }

    /// The exit code is 1, so many pairs were made all the same, and errors.csv has so many lines with all of `parts` in their text.
    #[track_caller]
    pub(crate) fn fails(&self, pairs: usize, errors: usize, parts: &[&str]) -> &Self {
        assert_eq!(self.output.status.code(), Some(1), "{}", self.said());
        assert_eq!(self.rows.len(), pairs, "{}", self.said());
        let listed = std::fs::read_to_string(self.at("out/errors.csv")).unwrap();
        assert_eq!(listed.lines().count(), 1 + errors, "{listed}");
        assert_says(&listed, parts);
        // The first reason is printed, too, not only listed.
        assert_says(&stderr(&self.output), &["errors.csv"]);
        assert_says(&stderr(&self.output), parts);
        self
    }

    #[track_caller]
    pub(crate) fn says(&self, parts: &[&str]) -> &Self {
        assert_says(&self.said(), parts);
        self
    }

    /// Rows, ids and files are as many as are said, and the files have the hashes that the manifest says.
    fn check(&self) {
        let listed = |part: &str| std::fs::read_dir(self.at(part)).map_or(0, Iterator::count);
        let ids: BTreeSet<&String> = self.rows.iter().map(|row| &row["id"]).collect();
        assert_eq!([ids.len(), listed("out/images"), listed("out/masks")], [self.rows.len(); 3], "{}", self.said());
        if !self.rows.is_empty() {
            self.says(&[&format!(": {} pairs of ", self.rows.len())]);
        }
        for row in &self.rows {
            for part in ["image", "mask"] {
                let bytes = std::fs::read(self.at("out").join(&row[part])).unwrap();
                assert_eq!(pig_files::sha256(&bytes), row[&format!("{part}_sha256")], "{} of {}", part, row["id"]);
            }
            let pixels = self.mask(row).iter().filter(|&&inside| inside).count();
            assert_eq!(pixels.to_string(), row["mask_pixels"], "{}", row["id"]);
        }
    }

    pub(crate) fn image(&self, row: &BTreeMap<String, String>) -> GrayImage {
        gray(&self.at("out").join(&row["image"]))
    }

    pub(crate) fn mask(&self, row: &BTreeMap<String, String>) -> Vec<bool> {
        lesion(&self.at("out").join(&row["mask"]))
    }

    /// The lesion pixels of all masks, sorted.
    pub(crate) fn lesions(&self) -> Vec<usize> {
        let mut found: Vec<usize> =
            self.rows.iter().map(|row| self.mask(row).iter().filter(|&&inside| inside).count()).collect();
        found.sort_unstable();
        found
    }

    /// The pairs are these, pixel by pixel: for each image, a row with its values, and a mask where any of its masks is lesion.
    /// The input must have the size that it is prepared at.
    #[track_caller]
    pub(crate) fn holds(&self, pairs: &[(&str, &[&str])]) {
        self.succeeds(pairs.len());
        let mut taken = BTreeSet::new();
        for (image, masks) in pairs {
            let expected = gray(&self.at("in").join(image));
            let mut fitting = self.rows.iter().filter(|row| !taken.contains(&row["id"]) && self.image(row) == expected);
            let row = fitting.next().unwrap_or_else(|| panic!("no row has the pixels of {image}"));
            let parts: Vec<Vec<bool>> = masks.iter().map(|mask| lesion(&self.at("in").join(mask))).collect();
            let merged: Vec<bool> = (0..parts[0].len()).map(|at| parts.iter().any(|part| part[at])).collect();
            assert!(self.mask(row) == merged, "{image}: another mask than that of {masks:?}");
            assert_eq!(row["source_mask_pixels"], merged.iter().filter(|&&inside| inside).count().to_string());
            taken.insert(row["id"].clone());
        }
    }
}
