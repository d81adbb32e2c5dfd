//! The files below a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::{PrepareError, Result};

/// The kind of content that a file's name indicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Picture,
    Nifti,
    Dicom,
    Other,
}

/// One file: its path, and its `place`, the path below the root with slashes.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) place: String,
    pub(crate) kind: Kind,
}

impl Entry {
    /// The file's name without its ending; `.nii.gz` counts as one.
    pub(crate) fn stem(&self) -> &str {
        stem(self.name())
    }

    /// The file's name.
    pub(crate) fn name(&self) -> &str {
        self.place.rsplit('/').next().unwrap_or_default()
    }

    /// The place of the file's folder; empty for the root.
    pub(crate) fn folder(&self) -> &str {
        self.place.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The place without the ending.
    pub(crate) fn case_name(&self) -> String {
        let folder = self.folder();
        if folder.is_empty() { self.stem().to_owned() } else { format!("{folder}/{}", self.stem()) }
    }
}

/// All files below a root, sorted by place. Hidden files, hidden folders and links to folders are left out.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<Entry>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![(root.to_path_buf(), String::new())];
        while let Some((folder, place)) = folders.pop() {
            let listing = std::fs::read_dir(&folder).map_err(PrepareError::io(&folder, "list"))?;
            for entry in listing {
                let entry = entry.map_err(PrepareError::io(&folder, "list"))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') {
                    continue;
                }
                let place = if place.is_empty() { name } else { format!("{place}/{name}") };
                let path = entry.path();
                // Links to folders are not followed, because they may form a loop.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push((path, place));
                } else if path.is_file() {
                    let kind = kind_of(&place);
                    files.push(Entry { path, place, kind });
                }
            }
        }
        files.sort_by(|a, b| a.place.cmp(&b.place));
        Ok(Self { root: root.to_path_buf(), files })
    }

    /// The files whose names start with `start` and end with `end`, ignoring case.
    pub(crate) fn named<'a>(&'a self, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a Entry> {
        let (start, end) = (start.to_lowercase(), end.to_lowercase());
        self.files.iter().filter(move |entry| {
            let name = entry.name().to_lowercase();
            name.starts_with(&start) && name.ends_with(&end)
        })
    }

    /// The DICOM files, listed under the name of every folder above them.
    pub(crate) fn dicom_by_folder(&self) -> HashMap<&str, Vec<&Entry>> {
        let mut map: HashMap<&str, Vec<&Entry>> = HashMap::new();
        for entry in self.files.iter().filter(|entry| entry.kind == Kind::Dicom) {
            for part in entry.folder().split('/') {
                map.entry(part).or_default().push(entry);
            }
        }
        map
    }
}

/// A name without its ending.
pub(crate) fn stem(name: &str) -> &str {
    let lower = name.to_lowercase();
    if lower.ends_with(".nii.gz") {
        return &name[..name.len() - ".nii.gz".len()];
    }
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

fn kind_of(name: &str) -> Kind {
    let lower = name.to_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    if ends(&[".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"]) {
        Kind::Picture
    } else if ends(&[".nii", ".nii.gz"]) {
        Kind::Nifti
    } else if ends(&[".dcm", ".dicom", ".ima"]) || !lower.rsplit('/').next().is_some_and(|name| name.contains('.')) {
        // Files from a PACS often have no ending; their content shows later whether they are DICOM.
        Kind::Dicom
    } else {
        Kind::Other
    }
}
