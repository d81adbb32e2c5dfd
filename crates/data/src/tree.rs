//! The pictures in a folder and its subfolders, and a count of what was left out.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::content::{head_of, is_picture, unread_format};
use crate::error::{DataError, Result};
use crate::manifest::NAME as TABLE_NAME;
use crate::names::{file_name, is_left_out, is_one_of, is_picture_name, is_run, stem};

/// Endings of files that lie beside pictures and are none: tables, texts, settings.
const COMPANIONS: [&str; 17] = [
    "csv", "tsv", "json", "jsonl", "txt", "md", "toml", "yaml", "yml", "parquet", "html", "xml", "pdf", "xlsx", "ods",
    "lock", "tmp",
];

/// Why files are left out.
const HIDDEN: &str = "hidden or a system's own";
const RUN: &str = "runs of pig";
const LINK: &str = "links that lead nowhere or in a circle";
const SPECIAL: &str = "pipes, sockets or devices";
const TABLE: &str = "manifest.csv in subfolders, whose columns are not read";
const OTHER: &str = "that are no pictures";
const UNREAD: &str = "pictures in a format that is not read, such as GIF or WebP";

/// Why a layout leaves pictures out.
pub(crate) const OUTSIDE: &str = "pictures outside of the folders images and masks";

pub(crate) const UNLISTED: &str = "pictures that manifest.csv does not list";
pub(crate) const FURTHER: &str = "pictures in a further folder of images or of masks, such as labels beside masks";

/// Hidden files that pig itself leaves in folders.
const OWN: [&str; 2] = [".lock", ".cases"];

/// How many files and folders were left out, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeftOut(BTreeMap<&'static str, usize>);

impl LeftOut {
    pub(crate) fn add(&mut self, reason: &'static str, count: usize) {
        if count > 0 {
            *self.0.entry(reason).or_default() += count;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (&reason, &count) in &other.0 {
            self.add(reason, count);
        }
    }

    /// The counts in words; none if nothing was left out.
    pub(crate) fn words(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| format!("Left out: {self}."))
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        f.write_str(&words.join(", "))
    }
}

/// A step of a walk through folders. There is no recursion, so that no nesting is too deep for the stack.
#[derive(Debug)]
enum Step {
    /// Take an entry of the present folder.
    Take(PathBuf),
    /// Go back to the folder above.
    Leave,
}

/// The pictures below a folder.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The picture files, sorted within each folder: those whose content is a picture, and those whose ending says so. What such a file
    /// lacks is said where it is read.
    pub(crate) files: Vec<PathBuf>,
    /// Stems of DICOM files, with their folders.
    dicom: HashSet<PathBuf>,
    /// Pictures in a format that is not read, with its name.
    pub(crate) unread: Vec<(PathBuf, &'static str)>,
    pub(crate) left_out: LeftOut,
    /// The present folder, last, and those above it, without links, so that a link into one of them is noticed.
    above: Vec<PathBuf>,
    /// Folders that are not entered.
    skipped: Vec<PathBuf>,
}

impl Tree {
    /// Finds the pictures below `folder`. Links to folders are followed; hidden files and folders, and runs of pig, are left out.
    pub(crate) fn below(folder: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.walk(folder)?;
        Ok(tree)
    }

    /// As [`Tree::below`], without some of the folders in `folder`.
    pub(crate) fn beside(folder: &Path, skipped: &[&Path]) -> Result<Self> {
        let skipped = skipped.iter().map(|path| path.to_path_buf()).collect();
        let mut tree = Self { skipped, ..Self::default() };
        tree.walk(folder)?;
        Ok(tree)
    }

    /// A part of another tree.
    pub(crate) fn of(files: Vec<PathBuf>) -> Self {
        Self { files, ..Self::default() }
    }

    fn walk(&mut self, root: &Path) -> Result<()> {
        let real = root.canonicalize().map_err(DataError::io(root, "list"))?;
        let mut steps = self.enter(root, real)?;
        while let Some(step) = steps.pop() {
            match step {
                Step::Take(path) => {
                    if let Some(folder) = self.take(path) {
                        let real = self.real(&folder)?;
                        steps.extend(self.enter(&folder, real)?);
                    }
                }
                Step::Leave => {
                    self.above.pop();
                }
            }
        }
        Ok(())
    }

    /// The steps through a folder, the first one last; none if it is one of the folders above. `real` is its path without links.
    fn enter(&mut self, folder: &Path, real: PathBuf) -> Result<Vec<Step>> {
        let listing = std::fs::read_dir(folder).map_err(DataError::io(folder, "list"))?;
        let entries = listing.map(|entry| entry.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>();
        let mut entries = entries.map_err(DataError::io(folder, "list"))?;
        // As bytes, since comparing paths component by component takes long if folders are nested deeply.
        if self.above.iter().any(|above| above.as_os_str() == real.as_os_str()) {
            self.left_out.add(LINK, 1);
            return Ok(Vec::new());
        }
        self.above.push(real);
        entries.sort();
        Ok(std::iter::once(Step::Leave).chain(entries.into_iter().rev().map(Step::Take)).collect())
    }

    /// The path without links of a folder in the present folder. `canonicalize` looks at every folder above anew, so that it is left to
    /// links: it would take a minute for 1,900 folders in each other.
    fn real(&self, folder: &Path) -> Result<PathBuf> {
        match (self.above.last(), folder.file_name()) {
            (Some(above), Some(name)) if !folder.is_symlink() => Ok(above.join(name)),
            _ => folder.canonicalize().map_err(DataError::io(folder, "list")),
        }
    }

    /// Takes an entry of the present folder, unless it is a folder to enter, which is returned.
    fn take(&mut self, path: PathBuf) -> Option<PathBuf> {
        if is_left_out(&file_name(&path)) {
            self.left_out.add(HIDDEN, usize::from(!OWN.contains(&file_name(&path).as_str())));
            return None;
        }
        if self.skipped.contains(&path) {
            return None;
        }
        match std::fs::metadata(&path) {
            Err(_) => self.left_out.add(LINK, 1),
            Ok(kind) if kind.is_dir() && is_run(&path) => self.left_out.add(RUN, 1),
            Ok(kind) if kind.is_dir() => return Some(path),
            Ok(kind) if !kind.is_file() => self.left_out.add(SPECIAL, 1),
            Ok(_) if is_picture_name(&path) => self.files.push(path),
            Ok(_) => self.take_by_content(path),
        }
        None
    }

    /// Takes a file whose name does not promise a picture. One that cannot be read is none.
    fn take_by_content(&mut self, path: PathBuf) {
        let head = head_of(&path).unwrap_or_default();
        if is_picture(&head) {
            self.files.push(path);
            return;
        }
        if let Some(format) = unread_format(&head) {
            self.left_out.add(UNREAD, 1);
            self.unread.push((path, format));
            return;
        }
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let companion = is_one_of(&ending, &COMPANIONS) || (ending.is_empty() && !is_dicom(&path));
        if is_one_of(&file_name(&path), &[TABLE_NAME]) && self.above.len() > 1 {
            self.left_out.add(TABLE, 1);
        } else if !companion {
            self.left_out.add(OTHER, 1);
            if is_dicom(&path) {
                self.dicom.insert(path.with_file_name(stem(&path)));
            }
        }
    }

    /// How many of the pictures have a DICOM file of the same name beside them.
    pub(crate) fn previews(&self) -> usize {
        self.files.iter().filter(|path| self.dicom.contains(&path.with_file_name(stem(path)))).count()
    }
}

/// Whether a file has DICOM's mark behind its preamble.
fn is_dicom(path: &Path) -> bool {
    let mut head = [0; 132];
    let read = pig_files::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && &head[128..] == b"DICM"
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn folders_in_each_other_are_read_in_order_and_circles_end() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("b/".to_owned() + &"d/".repeat(300));
        std::fs::create_dir_all(&deep).unwrap();
        for path in
            [root.path().join("a.png"), root.path().join("b/z.png"), deep.join("x.png"), root.path().join("c.png")]
        {
            std::fs::write(path, "").unwrap();
        }
        symlink(root.path(), deep.join("circle")).unwrap();
        symlink(root.path().join("b/d"), root.path().join("b/again")).unwrap();
        let tree = Tree::below(root.path()).unwrap();
        let names: Vec<String> = tree.files.iter().map(|path| file_name(path)).collect();
        // The link beside d is read as well, and before it.
        assert_eq!(names, ["a.png", "x.png", "x.png", "z.png", "c.png"]);
        assert!(tree.files[1].starts_with(root.path().join("b/again")));
        assert_eq!(tree.left_out.words().unwrap(), format!("Left out: 2 {LINK}."));
        // Through links out of the root: what is above is not read again.
        symlink(root.path(), root.path().join("b/d/up")).unwrap();
        let tree = Tree::below(&root.path().join("b/d")).unwrap();
        let names: Vec<String> = tree.files.iter().map(|path| file_name(path)).collect();
        assert_eq!(names, ["a.png", "z.png", "c.png", "x.png", "a.png", "z.png", "c.png"]);
        assert_eq!(tree.left_out.words().unwrap(), format!("Left out: 4 {LINK}."));
    }
}
