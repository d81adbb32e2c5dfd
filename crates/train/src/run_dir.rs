//! The run directory: a training with its own description, which is never overwritten.

use crate::{Config, Error, Result, config::Layers, locked::locked, observer::Observer};
use pig_data::{Preparation, Splits};
use pig_files::{Lock, sha256};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// The resolved configuration.
pub const CONFIG: &str = "config.toml";
const PROVENANCE: &str = "provenance.json";
const SPLITS: &str = "splits.json";
const PREPARATION: &str = "preparation.json";

/// A run directory that exists.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

/// The origin of a run. It contains no paths and no names of patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name and version of the program.
    pub program: String,
    /// When the run was started, UTC.
    pub started: String,
    /// SHA-256 of the resolved configuration.
    pub config_sha256: String,
    /// SHA-256 of the prepared pairs: shape, ids, groups, images and masks.
    pub data_sha256: String,
    /// SHA-256 of the split.
    pub splits_sha256: String,
    /// How the data folder was laid out.
    pub layout: String,
    /// What the split kept together.
    pub split_by: String,
    /// Numbers of training pairs and of validation pairs.
    pub pairs: [usize; 2],
    /// Numbers of training groups and of validation groups.
    pub groups: [usize; 2],
    /// The device of the tensors.
    pub device: String,
    /// Number of threads.
    pub threads: usize,
    /// Number of training pairs of further folders or of generators, beside or instead of the real ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<usize>,
    /// SHA-256 of the pairs of further folders, which are trained on and never validated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_sha256: Option<String>,
    /// Images without masks beside the pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlabelled: Option<UnlabelledImages>,
    /// Further trainings of the finished run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<Leg>,
    /// SHA-256 of preparation.json; none in runs of versions that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparation_sha256: Option<String>,
    /// SHA-256 of splits.json as a file, whose lists have a hash of their own; none in runs of versions that did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits_file_sha256: Option<String>,
}

/// The images without masks of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlabelledImages {
    /// Their number.
    pub images: usize,
    /// SHA-256 of the prepared images: shape, ids, groups and values.
    pub sha256: String,
}

/// A further training of a finished run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// When it was asked for, UTC.
    pub started: String,
    /// The steps of each network before it.
    pub from: BTreeMap<String, usize>,
    /// SHA-256 of the configuration before it.
    pub config_sha256: String,
}

/// Name and version of this program.
pub fn program() -> String {
    format!("pig {}", env!("CARGO_PKG_VERSION"))
}

/// The present time, UTC, to the second.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

impl RunDir {
    /// Makes a new run directory with its configuration (as TOML), split, preparation and provenance. An existing run is left as it
    /// is. The directory appears with all these files, or not at all.
    pub fn create(
        path: &Path,
        config: &str,
        splits: &Splits,
        preparation: &Preparation,
        provenance: &Provenance,
    ) -> Result<Self> {
        Self::check_free(path)?;
        let filled =
            pig_files::create_folder(path, |folder| Self::fill(folder, config, splits, preparation, provenance));
        filled.map_err(|error| match error {
            // Another process may have created the run meanwhile.
            Error::File(error) if error.source.kind() == ErrorKind::DirectoryNotEmpty => {
                Error::RunExists { path: path.to_owned() }
            }
            other => other,
        })?;
        Ok(Self { path: path.to_owned() })
    }

    fn fill(
        folder: &Path,
        config: &str,
        splits: &Splits,
        preparation: &Preparation,
        provenance: &Provenance,
    ) -> Result<()> {
        pig_files::write(&folder.join(CONFIG), config.as_bytes())?;
        pig_files::write_json(&folder.join(PREPARATION), preparation)?;
        splits.save(&folder.join(SPLITS))?;
        let provenance = Provenance {
            preparation_sha256: Some(hash_of(&folder.join(PREPARATION))?),
            splits_file_sha256: Some(hash_of(&folder.join(SPLITS))?),
            ..provenance.clone()
        };
        Ok(pig_files::write_json(&folder.join(PROVENANCE), &provenance)?)
    }

    /// Refuses a directory that exists and is not empty.
    pub fn check_free(path: &Path) -> Result<()> {
        let occupied = match std::fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => path.exists(),
        };
        if occupied {
            return Err(Error::RunExists { path: path.to_owned() });
        }
        Ok(())
    }

    /// Refuses a folder of results that holds anything, since those of two commands must not be mixed, and one that cannot be created.
    ///
    /// # Errors
    /// When it is not empty, or cannot be created.
    pub fn check_new_results(out: &Path) -> Result<()> {
        Self::check_new(out).map_err(|error| match error {
            Error::RunExists { path } => Error::BadFile {
                path,
                problem: "it exists and is not empty, and is never overwritten".to_owned(),
                advice: "choose another --out, or remove it",
            },
            other => other,
        })
    }

    /// As [`check_free`](Self::check_free), and refuses a directory that cannot be created, before the data for it are read.
    pub fn check_new(path: &Path) -> Result<()> {
        Self::check_free(path)?;
        Ok(pig_files::check_creatable(path)?)
    }

    /// Opens a run directory.
    pub fn open(path: &Path) -> Result<Self> {
        for missing in [CONFIG, PREPARATION, SPLITS] {
            if !path.join(missing).is_file() {
                return Err(Error::NotARun { path: path.to_owned(), missing });
            }
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Opens a run directory to use its networks, and [verifies](Self::verify) it if it says where it comes from.
    pub fn open_verified(path: &Path) -> Result<Self> {
        let run = Self::open(path)?;
        if run.unverified().is_none() {
            run.verify()?;
        }
        Ok(run)
    }

    /// What the user should know of a run that cannot be verified.
    pub fn unverified(&self) -> Option<String> {
        let path = self.path.join(PROVENANCE);
        let told = || {
            format!(
                "{} is missing: nothing shows whether {CONFIG}, {PREPARATION} and {SPLITS} are those of the training",
                path.display()
            )
        };
        (!path.exists()).then(told)
    }

    /// Checks that configuration, preparation and split are those that the run began with.
    ///
    /// # Errors
    /// When provenance.json cannot be read, or another file has another hash than it says.
    pub fn verify(&self) -> Result<()> {
        let provenance = self.provenance()?;
        // A further training changes provenance.json first. Until it has changed the configuration, too, the run is as it was before.
        let config = match provenance.legs.last() {
            Some(leg) if self.config_sha256()? == leg.config_sha256 => leg.config_sha256.clone(),
            Some(_) | None => provenance.config_sha256,
        };
        let files = [
            (CONFIG, Some(config)),
            (PREPARATION, provenance.preparation_sha256),
            (SPLITS, provenance.splits_file_sha256),
        ];
        for (file, expected) in files {
            let (path, Some(expected)) = (self.path.join(file), expected) else { continue };
            let found = hash_of(&path)?;
            if found != expected {
                return Err(Error::BadFile {
                    path,
                    problem: format!("its SHA-256 is {found}, but {PROVENANCE} says {expected}"),
                    advice: "one of the two files was changed after the run began; restore it, or train a new run for other settings",
                });
            }
        }
        Ok(())
    }

    /// SHA-256 of the configuration's file.
    pub(crate) fn config_sha256(&self) -> Result<String> {
        hash_of(&self.path.join(CONFIG))
    }

    /// Keeps other processes from training this run until the returned lock is dropped.
    ///
    /// # Errors
    /// When another process trains it.
    pub fn lock(&self, observer: &dyn Observer) -> Result<Lock> {
        locked(&self.path, "is training this run", "wait until it ends, or stop it", observer)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration of a generator's training.
    ///
    /// # Errors
    /// When it cannot be read, or is that of a segmenter's training.
    pub fn config(&self) -> Result<Config> {
        Layers::load_of_run(&self.path.join(CONFIG)).map_err(|error| match self.config_as::<toml::Table>() {
            Ok(table) if table.contains_key("segment") => Error::BadFile {
                path: self.path.clone(),
                problem: "this is the run of a segmenter".to_owned(),
                advice: "expected that of a generator; give the --out of a pig train",
            },
            Ok(_) | Err(_) => error.into(),
        })
    }

    /// The resolved configuration of a run of another kind, such as a segmenter's training.
    pub fn config_as<C: DeserializeOwned>(&self) -> Result<C> {
        Ok(Layers { file: Some(self.path.join(CONFIG)), sets: Vec::new() }.load_as()?)
    }

    /// The split by patient or group.
    pub fn splits(&self) -> Result<Splits> {
        Ok(Splits::load(&self.path.join(SPLITS))?)
    }

    /// How files became numbers, and back.
    pub fn preparation(&self) -> Result<Preparation> {
        self.read_json(PREPARATION)
    }

    /// The origin of the run.
    pub fn provenance(&self) -> Result<Provenance> {
        self.read_json(PROVENANCE)
    }

    /// Writes the origin of the run again.
    pub(crate) fn replace_provenance(&self, provenance: &Provenance) -> Result<()> {
        Ok(pig_files::write_json(&self.path.join(PROVENANCE), provenance)?)
    }

    fn read_json<T: DeserializeOwned>(&self, file: &str) -> Result<T> {
        let path = self.path.join(file);
        let bytes = pig_files::read(&path).map_err(Error::io(&path, "read"))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::BadFile {
            path,
            problem: error.to_string(),
            advice: "the run directory was changed by hand; restore the file",
        })
    }
}

/// The error of the command that started `run`, with the right advice if the disk is full: the command refuses a run that exists, so
/// it cannot be repeated. `command` is its name, such as `pig train`.
pub fn advised(error: Error, run: &Path, command: &str) -> Error {
    let full = error.of_full_disk().filter(|_| run.join(CONFIG).is_file());
    let Some((path, action)) = full.map(|(path, action)| (path.to_owned(), action)) else { return error };
    let advice = if has_checkpoint(run) {
        format!("continue with: {command} --resume {}", run.display())
    } else {
        format!("remove {} and run the same command again: it has no checkpoint yet", run.display())
    };
    Error::Full { path, action, advice }
}

/// Whether a network of the run has a checkpoint.
fn has_checkpoint(run: &Path) -> bool {
    let networks = std::fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
    networks.map(|network| network.path()).any(|network| network.join("last").is_file())
}

fn hash_of(path: &Path) -> Result<String> {
    Ok(sha256(&pig_files::read(path).map_err(Error::io(path, "read"))?))
}

/// SHA-256 of a configuration's TOML.
pub fn config_sha256(config: &str) -> String {
    sha256(config.as_bytes())
}

/// The file that says where this machine keeps the run's data. It is not part of the description of the run.
pub const DATA_PATH: &str = "data-path.txt";

/// The same for images without masks.
const UNLABELLED_PATH: &str = "unlabelled-path.txt";

/// Records where this machine keeps the data of a run.
pub fn remember_data(run: &RunDir, data: &Path) -> Result<()> {
    remember(run, DATA_PATH, data)
}

/// Records where this machine keeps the images without masks of a run.
pub fn remember_unlabelled(run: &RunDir, images: &Path) -> Result<()> {
    remember(run, UNLABELLED_PATH, images)
}

fn remember(run: &RunDir, file: &str, folder: &Path) -> Result<()> {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    Ok(pig_files::write(&run.path().join(file), absolute.to_string_lossy().as_bytes())?)
}

/// The folder of a run's images without masks on this machine.
///
/// # Errors
/// When the run does not say where it is, or it is not there any more.
pub fn remembered_unlabelled(run: &RunDir) -> Result<PathBuf> {
    let path = run.path().join(UNLABELLED_PATH);
    let problem = match pig_files::read_to_string(&path).map(PathBuf::from) {
        Ok(folder) if folder.is_dir() => return Ok(folder),
        Ok(folder) => format!("the images without masks are not at \"{}\" any more", folder.display()),
        Err(error) => format!("the run does not say where its images without masks were ({error})"),
    };
    Err(Error::BadFile { path, problem, advice: "give their folder with --unlabelled DIR" })
}

/// The data folder that is recorded in `folder`, a run or a cross-validation, whether it is there or not. Editors end a file with a new
/// line, which is no part of the path.
///
/// # Errors
/// When there is no such record.
pub fn recorded_data(folder: &Path) -> std::io::Result<PathBuf> {
    let text = pig_files::read_to_string(folder.join(DATA_PATH))?;
    Ok(PathBuf::from(text.trim_end_matches(['\n', '\r'])))
}

/// The data folder of a run on this machine.
///
/// # Errors
/// When the run does not say where it is, or it is not there any more.
pub fn remembered_data(run: &RunDir) -> Result<PathBuf> {
    let problem = match recorded_data(run.path()) {
        Ok(path) if path.is_dir() => return Ok(path),
        // In quotes, because a damaged file may contain anything.
        Ok(path) => format!("its data are not at \"{}\" any more, as {DATA_PATH} says", path.display()),
        Err(error) => format!("the run does not say where its data were ({DATA_PATH}: {error})"),
    };
    Err(Error::DataMoved { run: run.path().to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_report::ReportError;
    use std::io;

    #[test]
    fn a_recorded_folder_may_end_with_a_new_line() {
        let folder = tempfile::tempdir().unwrap();
        for end in ["", "\n", "\r\n"] {
            std::fs::write(folder.path().join(DATA_PATH), format!("/data/a b{end}")).unwrap();
            assert_eq!(recorded_data(folder.path()).unwrap(), Path::new("/data/a b"));
        }
    }

    #[test]
    fn the_run_of_a_segmenter_is_no_generator() {
        let folder = tempfile::tempdir().unwrap();
        for file in [PREPARATION, SPLITS] {
            std::fs::write(folder.path().join(file), "{}").unwrap();
        }
        let said = |text: &str| {
            std::fs::write(folder.path().join(CONFIG), text).unwrap();
            RunDir::open(folder.path()).unwrap().config().unwrap_err().to_string()
        };
        let segmenter = said("[data]\nsize = 32\n[segment]\nthreshold = 0.5\n");
        assert!(segmenter.contains("this is the run of a segmenter; expected that of a generator"), "{segmenter}");
        assert!(said("[segments]\n").contains("unknown field `segments`"));
    }

    #[test]
    fn a_full_disk_is_answered_with_what_the_command_allows() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let file = run.join("checkpoints/model_x/last");
        let said = |kind: io::ErrorKind| advised(Error::io(&file, "write")(kind.into()), &run, "pig train").to_string();
        let full = |text: &str| text.contains("last: cannot write: the disk is full; free some space");
        // Before there is a run, the command can be repeated.
        let before = said(io::ErrorKind::StorageFull);
        assert!(full(&before) && before.ends_with("run the same command again"), "{before}");
        std::fs::create_dir_all(run.join("checkpoints")).unwrap();
        std::fs::write(run.join(CONFIG), "").unwrap();
        let empty = said(io::ErrorKind::QuotaExceeded);
        assert!(full(&empty) && empty.contains(", then remove ") && !empty.contains("--resume"), "{empty}");
        std::fs::create_dir(run.join("checkpoints/model_x")).unwrap();
        std::fs::write(&file, "step-000002").unwrap();
        let resume = format!(", then continue with: pig train --resume {}", run.display());
        assert!(full(&said(io::ErrorKind::StorageFull)));
        let full_disk = |path: &str| pig_files::FileError {
            path: path.into(),
            action: "write",
            source: io::ErrorKind::StorageFull.into(),
        };
        let errors = [
            Error::io(&file, "write")(io::ErrorKind::StorageFull.into()),
            Error::File(full_disk("a")),
            Error::Data(full_disk("b").into()),
            Error::Data(pig_data::DataError::io(&file, "create")(io::ErrorKind::StorageFull.into())),
            Error::Report(ReportError::from(full_disk("curves.svg"))),
        ];
        for error in errors {
            let text = advised(error, &run, "pig train").to_string();
            assert!(text.ends_with(&resume), "{text}");
        }
        let other = said(io::ErrorKind::PermissionDenied);
        assert!(!other.contains("--resume") && other.contains("permissions"), "{other}");
    }
}
