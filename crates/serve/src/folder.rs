//! What a folder holds: runs, pairs, data for trainings, configurations, reports and studies.

use crate::below::Root;
use pig_data::names::is_run;
use std::{fs, path::Path};

/// How deep below the served folder things are looked for.
const DEEPEST: usize = 6;
/// The most folders that are looked into.
const MOST_FOLDERS: usize = 20_000;
/// Folders that hold parts of something else.
const INNER: &[&str] = &["images", "masks", "checkpoints", "previews", "arrays", "steps", "overlays", "probabilities"];

/// What was found, as addresses, in the order of their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Runs of generators and segmenters.
    pub(crate) runs: Vec<String>,
    /// Folders of generated pairs with a manifest.
    pub(crate) generated: Vec<String>,
    /// Other folders of images with masks, on which a training is possible.
    pub(crate) data: Vec<String>,
    /// Configurations: TOML files that are not a part of a run or of a prepared folder.
    pub(crate) configs: Vec<String>,
    /// Pages.
    pub(crate) pages: Vec<String>,
    /// Folders of cross-validations and experiments, which have a table.
    pub(crate) studies: Vec<String>,
    /// Folders of predicted masks with overlays.
    pub(crate) overlays: Vec<String>,
    /// Whether there were more folders than are looked into.
    pub(crate) is_cut: bool,
}

/// Looks through the served folder. Hidden folders, links, and what cannot be read are left out.
pub(crate) fn look(root: &Root) -> Found {
    let mut found = Found::default();
    let (mut open, mut seen) = (vec![(root.path().to_owned(), 0)], 0);
    while let Some((folder, depth)) = open.pop() {
        seen += 1;
        if seen > MOST_FOLDERS {
            found.is_cut = true;
            break;
        }
        let Some(address) = root.address(&folder) else { continue };
        let entries = Entries::of(&folder);
        let below = found.take(&folder, &address, &entries);
        if below && depth < DEEPEST {
            let inner = entries.folders.iter().filter(|name| !INNER.contains(&name.as_str()));
            open.extend(inner.map(|name| (folder.join(name), depth + 1)));
        }
    }
    for list in found.lists() {
        list.sort();
    }
    found
}

/// The names in a folder, without hidden ones and links.
struct Entries {
    files: Vec<String>,
    folders: Vec<String>,
}

impl Entries {
    fn of(folder: &Path) -> Self {
        let mut entries = Self { files: Vec::new(), folders: Vec::new() };
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            match entry.file_type() {
                _ if name.starts_with('.') => {}
                Ok(kind) if kind.is_dir() => entries.folders.push(name),
                Ok(kind) if kind.is_file() => entries.files.push(name),
                _ => {}
            }
        }
        entries
    }

    fn has_file(&self, name: &str) -> bool {
        self.files.iter().any(|file| file == name)
    }

    fn has_folder(&self, name: &str) -> bool {
        self.folders.iter().any(|folder| folder == name)
    }
}

impl Found {
    fn lists(&mut self) -> [&mut Vec<String>; 7] {
        let Self { runs, generated, data, configs, pages, studies, overlays, .. } = self;
        [runs, generated, data, configs, pages, studies, overlays]
    }

    /// Notes what a folder is; returns whether to look into the folders in it.
    fn take(&mut self, folder: &Path, address: &str, entries: &Entries) -> bool {
        let named = |name: &String| if address.is_empty() { name.clone() } else { format!("{address}/{name}") };
        self.pages.extend(entries.files.iter().filter(|name| has_ending(name, "html")).map(named));
        if is_run(folder) {
            self.runs.push(address.to_owned());
            return true;
        }
        if entries.has_file("crossval.toml") || entries.has_file("experiment.toml") {
            self.studies.push(address.to_owned());
        } else {
            let is_config =
                |name: &&String| has_ending(name, "toml") && *name != "dataset.toml" && *name != "model.toml";
            self.configs.extend(entries.files.iter().filter(is_config).map(named));
        }
        if entries.has_folder("overlays") {
            self.overlays.push(address.to_owned());
        }
        let has_images = entries.has_folder("images");
        if has_images && entries.has_file("manifest.csv") && is_generated(&folder.join("manifest.csv")) {
            self.generated.push(address.to_owned());
        } else if has_images && (entries.has_folder("masks") || entries.has_folder("labels")) {
            self.data.push(address.to_owned());
        }
        true
    }
}

/// Whether a name has this ending.
fn has_ending(name: &str, ending: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == ending)
}

/// Whether a manifest is one of generated pairs, by its first line.
fn is_generated(path: &Path) -> bool {
    use std::io::{BufRead as _, BufReader, Read as _};
    let mut line = String::new();
    let read = pig_files::open(path).and_then(|file| BufReader::new(file.take(1 << 16)).read_line(&mut line));
    read.is_ok() && line.trim_end().split(',').any(|column| column == "settings_hash")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_found_under_its_kind() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            "runs/a/config.toml",
            "runs/a/preparation.json",
            "runs/a/splits.json",
            "runs/a/report.html",
            "plan.toml",
            "pairs/images/0.png",
            "pairs/masks/0.png",
            "data/images/0.png",
            "data/masks/0.png",
            "data/dataset.toml",
            "cv/crossval.toml",
            "cv/report.html",
            ".serve/jobs/x.toml",
            "predicted/overlays/a.png",
        ];
        for name in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(folder.path().join("pairs/manifest.csv"), "id,seed,settings_hash\n").unwrap();
        let found = look(&Root::new(folder.path()).unwrap());
        assert_eq!(found.runs, ["runs/a"]);
        assert_eq!(found.generated, ["pairs"]);
        assert_eq!(found.data, ["data"]);
        assert_eq!(found.configs, ["plan.toml"]);
        assert_eq!(found.pages, ["cv/report.html", "runs/a/report.html"]);
        assert_eq!(found.studies, ["cv"]);
        assert_eq!(found.overlays, ["predicted"]);
        assert!(!found.is_cut);
    }
}
