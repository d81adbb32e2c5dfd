//! Names of files and folders: which are no data, which mean images or masks, and when two of them are the same.

use std::path::{Component, Path, PathBuf};

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Names of a folder of images, in order of preference, in any case.
pub const IMAGE_FOLDERS: [&str; 2] = ["images", "image"];

/// Names of a folder of masks, in order of preference, in any case.
pub const MASK_FOLDERS: [&str; 4] = ["masks", "mask", "labels", "label"];

/// Where DRIVE keeps its masks.
pub const OF_DRIVE: &str = "1st_manual";

/// What is said of a folder with one of this name in it.
pub const DRIVE_WORDS: &str = "as in DRIVE, the folder 1st_manual holds the masks, and a folder mask holds the field of view, which would be \
                               read as lesion";

/// File name endings of pictures, in lower case.
pub const PICTURE_ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "tif", "tiff", "bmp"];

/// Files that a run of pig holds, whichever kind of run it is.
const RUN_FILES: [&str; 3] = ["config.toml", "splits.json", "preparation.json"];

/// A name in Unicode's composed form (NFC), in which equal names have equal bytes; macOS writes the decomposed form.
pub fn nfc(name: &str) -> String {
    if is_nfc(name) { name.to_owned() } else { name.nfc().collect() }
}

/// Names of files and folders of systems: thumbnails, settings of folders, archives' remains, what was deleted or recovered; in lower case.
const OF_SYSTEMS: [&str; 10] = [
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "__macosx",
    "@eadir",
    "$recycle.bin",
    "#recycle",
    "lost+found",
    "system volume information",
];

/// Whether a file or folder with this name is the system's or a tool's own, and no data: hidden files, those of systems, copies that editors
/// keep (`a.png~`) and marks of open documents (`~$a.xlsx`).
pub fn is_left_out(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with('~')
        || name.starts_with("~$")
        || OF_SYSTEMS.contains(&name.to_lowercase().as_str())
}

/// Whether a folder is a run of pig, whose pictures are no data.
pub fn is_run(folder: &Path) -> bool {
    RUN_FILES.iter().all(|name| folder.join(name).is_file())
}

/// Whether a name is one of `names`, in any case.
pub(crate) fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The folder below `parent` with the first of `names` that is there, in any case.
pub(crate) fn folder_named(parent: &Path, names: &[&str]) -> Option<PathBuf> {
    if let Some(exact) = names.iter().map(|name| parent.join(name)).find(|path| path.is_dir()) {
        return Some(exact);
    }
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir(parent).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    names.iter().find_map(|name| folders.iter().find(|path| name.eq_ignore_ascii_case(&file_name(path))).cloned())
}

/// Whether a name has the ending of a picture.
pub(crate) fn is_picture_name(path: &Path) -> bool {
    is_one_of(&path.extension().unwrap_or_default().to_string_lossy(), &PICTURE_ENDINGS)
}

/// The file name, as text.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The file name without its ending. Digits are no ending: `I.001` and `1.2.840` stay whole.
pub(crate) fn stem(path: &Path) -> String {
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    if !ending.is_empty() && ending.bytes().all(|byte| byte.is_ascii_digit()) {
        return file_name(path);
    }
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// `folder` joined with `relative`; where a component is not there under its own bytes, one whose composed form is equal is taken, else the
/// only one that differs in case alone, as tables from systems that do not tell cases apart may name it.
pub fn existing(folder: &Path, relative: &Path) -> PathBuf {
    let plain = folder.join(relative);
    if plain.exists() {
        return plain;
    }
    let mut found = folder.to_path_buf();
    for component in relative.components() {
        let Component::Normal(name) = component else { continue };
        let next = found.join(name);
        if next.exists() {
            found = next;
            continue;
        }
        let wanted = nfc(&name.to_string_lossy());
        let paths: Vec<PathBuf> =
            std::fs::read_dir(&found).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        let same = paths.iter().find(|path| nfc(&file_name(path)) == wanted);
        let in_case = |path: &&PathBuf| nfc(&file_name(path)).to_lowercase() == wanted.to_lowercase();
        let only = || paths.iter().find(in_case).filter(|_| paths.iter().filter(in_case).count() == 1);
        found = same.or_else(only).cloned().unwrap_or(next);
    }
    found
}

/// The ids of pictures below `root`: their stems if these differ, else their paths, with `_` between folders and without the folders
/// that say "images" or "masks".
pub(crate) fn unique_ids(root: &Path, pictures: &[PathBuf]) -> Vec<String> {
    let stems: Vec<String> = pictures.iter().map(|path| stem(path)).collect();
    let mut sorted: Vec<&String> = stems.iter().collect();
    sorted.sort();
    if sorted.windows(2).all(|two| two[0] != two[1]) {
        return stems;
    }
    pictures.iter().map(|path| key(root, path).replace('/', "_")).collect()
}

/// A picture's path below `root` without its ending and without the folders that say "images" or "masks", in composed form.
pub(crate) fn key(root: &Path, picture: &Path) -> String {
    let relative = picture.strip_prefix(root).unwrap_or(picture).with_file_name(stem(picture));
    let kept = relative.components().filter_map(|component| match component {
        Component::Normal(name) => Some(nfc(&name.to_string_lossy())),
        _ => None,
    });
    let kept: Vec<String> = kept.collect();
    let last = kept.len().saturating_sub(1);
    let says = |name: &str| is_one_of(name, &IMAGE_FOLDERS) || is_one_of(name, &MASK_FOLDERS);
    let kept = kept.iter().enumerate().filter(|(index, name)| *index == last || !says(name));
    kept.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_equal() {
        assert_eq!(nfc("u\u{308}ber"), "\u{fc}ber");
        let folder = tempfile::tempdir().unwrap();
        let stored = folder.path().join("Pa\u{308}r/u\u{308}.png");
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::write(&stored, "").unwrap();
        assert_eq!(existing(folder.path(), Path::new("P\u{e4}r/\u{fc}.png")), stored);
        assert_eq!(existing(folder.path(), Path::new("x/y.png")), folder.path().join("x/y.png"));
        // Windows and macOS do not tell cases apart; where two files fit, nothing says which is meant.
        std::fs::write(folder.path().join("Case.png"), "").unwrap();
        assert_eq!(existing(folder.path(), Path::new("case.PNG")), folder.path().join("Case.png"));
        std::fs::write(folder.path().join("CASE.png"), "").unwrap();
        if folder.path().read_dir().unwrap().count() == 3 {
            assert_eq!(existing(folder.path(), Path::new("case.PNG")), folder.path().join("case.PNG"));
        }
    }

    #[test]
    fn ids_are_stems_unless_two_are_equal() {
        let ids = |paths: &[&str]| {
            unique_ids(Path::new("d"), &paths.iter().map(|path| Path::new("d").join(path)).collect::<Vec<_>>())
        };
        assert_eq!(ids(&["images/a.png", "images/p/b.png"]), ["a", "b"]);
        assert_eq!(ids(&["Images/p/0.png", "Images/q/0.png", "Images/1.png"]), ["p_0", "q_0", "1"]);
        assert_eq!(ids(&["p/image/0.png", "q/image/0.png"]), ["p_0", "q_0"]);
        assert_eq!(ids(&["p/mask.png", "q/mask.png"]), ["p_mask", "q_mask"]);
        assert_eq!(ids(&["I.001", "I.002", "a.jfif"]), ["I.001", "I.002", "a"]);
        assert_eq!(ids(&["p/I.001", "q/I.001"]), ["p_I.001", "q_I.001"]);
    }

    #[test]
    fn what_systems_and_runs_leave_is_no_data() {
        assert!(
            ["._a.png", ".DS_Store", "Thumbs.db", "__MACOSX", "@eaDir", "desktop.ini"].iter().all(|n| is_left_out(n))
        );
        assert!(["$RECYCLE.BIN", "#recycle", "lost+found", "a.png~", "~$manifest.xlsx"].iter().all(|n| is_left_out(n)));
        assert!(!is_left_out("a.png") && !is_left_out("a~1.png"));
        let folder = tempfile::tempdir().unwrap();
        for name in RUN_FILES {
            assert!(!is_run(folder.path()));
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(is_run(folder.path()));
    }
}
