//! The files below a folder.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::iter::Either;
use rayon::prelude::*;

use pig_data::names::{is_left_out, is_run};

use super::content::{Kind, bare_stem, kind_of, stem};
use crate::error::{PrepareError, Result};

/// One file: its path, and its `place`, the path below the root with slashes.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) place: String,
    pub(crate) kind: Kind,
}

impl Entry {
    /// The file's name without its ending.
    pub(crate) fn stem(&self) -> &str {
        stem(self.name())
    }

    /// The file's name without any ending, known or not.
    pub(crate) fn bare_stem(&self) -> &str {
        bare_stem(self.name())
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

/// All files below a root, sorted by place. Links to folders are followed, each folder once.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<Entry>,
    /// How many files and folders were left out, by the reason in words.
    pub(crate) left_out: BTreeMap<&'static str, usize>,
    /// Files that cannot be read and whose names do not say what they hold, with the reason.
    pub(crate) unreadable: Vec<(PathBuf, PrepareError)>,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut walk = Walk::default();
        walk.run(Folder::of((root.to_path_buf(), String::new()))?)?;
        let (mut files, mut unreadable): (Vec<Entry>, Vec<(PathBuf, PrepareError)>) =
            walk.files.into_par_iter().partition_map(|(path, place)| match kind_of(&path, &place) {
                Ok(kind) => Either::Left(Entry { path, place, kind }),
                Err(error) => {
                    let error = PrepareError::io(&path, "read")(error);
                    Either::Right((path, error))
                }
            });
        files.sort_by(|a, b| a.place.cmp(&b.place));
        unreadable.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { root: root.to_path_buf(), files, left_out: walk.left_out, unreadable })
    }

    /// The files whose names start with `start` and end with `end`, ignoring case.
    pub(crate) fn named<'a>(&'a self, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a Entry> {
        let (start, end) = (start.to_lowercase(), end.to_lowercase());
        self.files.iter().filter(move |entry| {
            let name = entry.name().to_lowercase();
            name.starts_with(&start) && name.ends_with(&end)
        })
    }

    /// Whether at least half of the files of a kind, and at least one, are as `fits` says.
    pub(crate) fn mostly(&self, kind: Kind, fits: impl Fn(&Entry) -> bool) -> bool {
        let files = || self.files.iter().filter(|entry| entry.kind == kind);
        let fitting = files().filter(|entry| fits(entry)).count();
        fitting > 0 && 2 * fitting >= files().count()
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

/// A folder or file that is to be read: its path and its place.
type Place = (PathBuf, String);

/// A folder that is to be read.
struct Folder {
    path: PathBuf,
    place: String,
    /// The path without links. For a folder in another one it is put together: `canonicalize` looks at every folder above anew, which
    /// takes a minute for 1,900 folders in each other.
    real: PathBuf,
}

impl Folder {
    /// A folder that may be a link, or may lie behind links.
    fn of((path, place): Place) -> Result<Self> {
        let real = path.canonicalize().map_err(PrepareError::io(&path, "list"))?;
        Ok(Self { path, place, real })
    }
}

#[derive(Default)]
struct Walk {
    folders: Vec<Folder>,
    /// Links to folders, followed after all real folders, so that a link never takes a folder's own place.
    links: Vec<Place>,
    /// The folders that were read, without links in their paths.
    read: HashSet<PathBuf>,
    files: Vec<Place>,
    left_out: BTreeMap<&'static str, usize>,
}

impl Walk {
    fn run(&mut self, root: Folder) -> Result<()> {
        self.folders.push(root);
        loop {
            while let Some(folder) = self.folders.pop() {
                self.folder(&folder)?;
            }
            // In the order of their places, so that the same link is followed on every machine.
            self.links.sort_by(|a, b| b.1.cmp(&a.1));
            let Some(link) = self.links.pop() else { return Ok(()) };
            self.folders.push(Folder::of(link)?);
        }
    }

    fn folder(&mut self, Folder { path: folder, place, real }: &Folder) -> Result<()> {
        if !self.read.insert(real.clone()) {
            self.leave_out("link(s) to a folder that is read already");
            return Ok(());
        }
        let listing: Vec<_> =
            std::fs::read_dir(folder).and_then(Iterator::collect).map_err(PrepareError::io(folder, "list"))?;
        if !place.is_empty() && is_run(folder) {
            self.leave_out("run(s) of pig");
            return Ok(());
        }
        let prepared = listing.iter().any(|entry| entry.file_name() == "dataset.toml");
        for entry in listing {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_left_out(&name) {
                // A prepared folder's notes about its cases are its own.
                if !(prepared && name == ".cases") {
                    self.leave_out("hidden file(s) or folder(s)");
                }
                continue;
            }
            let place = if place.is_empty() { name } else { format!("{place}/{name}") };
            let path = entry.path();
            let link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            match std::fs::metadata(&path) {
                Ok(kind) if kind.is_dir() && link => self.links.push((path, place)),
                Ok(kind) if kind.is_dir() => {
                    let real = real.join(entry.file_name());
                    self.folders.push(Folder { path, place, real });
                }
                Ok(kind) if kind.is_file() => self.files.push((path, place)),
                Ok(_) => self.leave_out("pipe(s), socket(s) or device(s)"),
                Err(_) if link => self.leave_out("link(s) that lead nowhere"),
                Err(error) => return Err(PrepareError::io(&path, "read")(error)),
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_once_and_clutter_is_counted() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let put = |path: PathBuf| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        for place in [".DS_Store", "._a.png", "Thumbs.db", "__MACOSX/a.png", "@eaDir/a.png", "sub/a.png", "notes.txt"] {
            put(root.path().join(place));
        }
        for place in ["config.toml", "preparation.json", "splits.json", "previews/1.png"] {
            put(root.path().join("run").join(place));
        }
        put(other.path().join("b.png"));
        symlink(other.path(), root.path().join("linked")).unwrap();
        symlink(other.path(), root.path().join("linked-again")).unwrap();
        symlink(root.path(), root.path().join("sub/circle")).unwrap();
        symlink(root.path().join("sub"), root.path().join("a-link-before-its-folder")).unwrap();
        symlink("nowhere", root.path().join("lost.png")).unwrap();
        let tree = Tree::read(root.path()).unwrap();
        let places: Vec<&str> = tree.files.iter().map(|entry| entry.place.as_str()).collect();
        assert_eq!(places, ["linked/b.png", "notes.txt", "sub/a.png"]);
        let expected = BTreeMap::from([
            ("hidden file(s) or folder(s)", 5),
            ("link(s) that lead nowhere", 1),
            ("link(s) to a folder that is read already", 3),
            ("run(s) of pig", 1),
        ]);
        assert_eq!(tree.left_out, expected);
        assert!(tree.unreadable.is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_of_unknown_kind_that_cannot_be_read_is_no_other_kind() {
        let root = tempfile::tempdir().unwrap();
        // No process can read its memory at address 0, not even one that may read every file.
        for name in ["IM_0001", "a.dcm"] {
            symlink("/proc/self/mem", root.path().join(name)).unwrap();
        }
        let tree = Tree::read(root.path()).unwrap();
        let kinds: Vec<_> = tree.files.iter().map(|entry| (entry.place.as_str(), entry.kind)).collect();
        assert_eq!(kinds, [("a.dcm", Kind::Dicom)], "its reader gives the error");
        let [(path, error)] = &tree.unreadable[..] else { panic!("{:?}", tree.unreadable) };
        assert_eq!(path, &root.path().join("IM_0001"));
        assert!(error.to_string().contains("IM_0001: cannot read"), "{error}");
    }
}
