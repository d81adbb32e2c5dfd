//! No two files of a crate need each other, and crates depend only on crates of lower layers.
//!
//! The sources are read as text: `mod` and `use` say which file a path leads to. A method that another file implements
//! has no path in the code, so it makes no edge.

mod circles;
mod files;
mod imports;
mod layers;
mod modules;
mod samples;
mod tokens;

use imports::Edges;
use modules::{Crate, Sources};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The crates from the lowest layer to the highest. A crate may depend only on crates of lower layers.
const LAYERS: &[&[&str]] = &[
    &["diffusion", "files", "kernels", "metrics", "testing"],
    &["device", "dicom"],
    &["data", "report", "weights"],
    // A network's parameters are named arrays, as those of files are.
    &["nn"],
    // The optimiser keeps its moments by the names of a network's parameters.
    &["optim"],
    &["export", "prepare", "train"],
    &["segment"],
    &["quality"],
    &["study"],
    &["serve"],
    &["cli"],
];

/// A circle that is allowed.
struct Allowed {
    name: &'static str,
    /// Sorted.
    files: &'static [&'static str],
    reason: &'static str,
}

const ALLOWED: &[Allowed] = &[
    Allowed {
        name: "kernels",
        files: &["dot.rs", "tile.rs", "walk.rs"],
        reason: "Together they are one loop over the pixels of an image: a walk gives a tile its pixels, and a tile of few channels is a dot product.",
    },
    Allowed {
        name: "kernels",
        files: &["element.rs", "simd/avx2.rs", "simd/avx512.rs", "simd/mod.rs", "simd/portable.rs"],
        reason: "Vectors load and store elements, and elements define how this is done at each instruction level.",
    },
    Allowed {
        name: "nn",
        files: &["ops/fast/conv.rs", "ops/fast/packed.rs"],
        reason: "A convolution asks for packed weights, which are stored under the convolution's method.",
    },
];

#[test]
fn no_circles_among_files_but_the_allowed() {
    let mut problems = Vec::new();
    let mut all = BTreeMap::new();
    for (name, folder) in crates() {
        let read = Crate::read(&sources(&folder.join("src")));
        problems.extend(read.problems.iter().map(|problem| format!("{name}: {problem}\n")));
        all.insert(name, imports::edges(&read));
    }
    problems.extend(unlike_allowed(&all, ALLOWED));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn crates_depend_on_lower_layers_alone() {
    let manifests: BTreeMap<String, String> =
        crates().into_iter().map(|(name, folder)| (name, read(&folder.join("Cargo.toml")))).collect();
    let known = manifests.values().flat_map(|manifest| layers::dependencies(manifest)).count();
    assert!(known > 0, "no crate depends on another: this test does not understand the manifests");
    let problems = layers::problems(&manifests, LAYERS);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// `pig-files` refuses pipes, which would block for ever. `pig-dicom` depends on no other crate, so it looks by itself.
#[test]
fn files_are_opened_in_one_place() {
    let mut problems = Vec::new();
    for (name, folder) in crates() {
        if matches!(name.as_str(), "files" | "testing") {
            continue;
        }
        for (file, text) in sources(&folder.join("src")) {
            let is_checked = (name.as_str(), file.as_str()) == ("dicom", "source.rs") || file.ends_with("/tests.rs");
            let lines = files::opened(&text).into_iter().filter(|_| !is_checked);
            problems.extend(lines.map(|line| {
                format!("crates/{name}/src/{file}:{line}: opens a file by itself; use pig_files::open, read or read_to_string")
            }));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Circles that are not allowed, and allowed circles that do not exist any more.
fn unlike_allowed(crates: &BTreeMap<String, Edges>, allowed: &[Allowed]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut met = vec![false; allowed.len()];
    for (name, edges) in crates {
        for circle in circles::circles(edges) {
            match allowed.iter().position(|allowed| allowed.name == name && allowed.files == circle) {
                Some(index) => met[index] = true,
                None => problems.push(circles::describe(name, &circle, edges)),
            }
        }
    }
    for (Allowed { name, files, reason }, _) in allowed.iter().zip(met).filter(|(_, met)| !met) {
        let files = files.join(", ");
        problems.push(format!(
            "{name}: the allowed circle of exactly {files} does not exist any more: correct or remove it in ALLOWED ({reason})\n"
        ));
    }
    problems
}

/// The folders of all crates by name.
fn crates() -> BTreeMap<String, PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies beside the others");
    let found = entries(folder).into_iter().filter(|path| path.join("Cargo.toml").is_file());
    found.map(|path| (path.file_name().expect("a folder has a name").to_string_lossy().into_owned(), path)).collect()
}

/// The Rust files under a folder.
fn sources(folder: &Path) -> Sources {
    let mut found = Sources::new();
    for path in entries(folder) {
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(sources(&path).into_iter().map(|(file, text)| (format!("{name}/{file}"), text)));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(name, read(&path));
        }
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a folder lists its entries").path()).collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
