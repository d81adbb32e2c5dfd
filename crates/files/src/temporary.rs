//! Temporary files and folders beside their targets, and the removal of those whose process ended too early.

use std::{
    fs::{self, File, TryLockError},
    hash::{BuildHasher, RandomState},
    io,
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// Makes the temporary names of one process differ from each other.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Makes the temporary names of processes differ, even if processes on several machines or containers share a folder and have
/// the same process id.
static NONCE: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

/// How old a temporary file must be to count as abandoned where the file system has no locks.
const ABANDONED: Duration = Duration::from_hours(24);

/// A file or folder under a temporary name, which is locked while its process writes it.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    /// The open file or folder, which holds the lock; `None` if folders cannot be opened here.
    file: Option<File>,
}

impl Temporary {
    /// Creates an empty file that will become `target`.
    pub fn file(target: &Path) -> io::Result<Self> {
        Self::create(target, |path| File::create_new(path).map(Some))
    }

    /// Creates an empty folder that will become `target`, and the folders above it.
    pub fn folder(target: &Path) -> io::Result<Self> {
        Self::create(target, |path| fs::create_dir_all(path).map(|()| File::open(path).ok()))
    }

    fn create(target: &Path, make: impl Fn(&Path) -> io::Result<Option<File>>) -> io::Result<Self> {
        loop {
            let path = temporary(target);
            let file = make(&path)?;
            // Another process may have taken it for abandoned before it was locked: then a new one is made.
            let swept = file.as_ref().is_some_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)));
            if !swept && path.exists() {
                return Ok(Self { path, file });
            }
        }
    }

    /// The temporary path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, to write to.
    pub(crate) fn opened(&mut self) -> Option<&mut File> {
        self.file.as_mut()
    }
}

/// A name beside `path` that no other file has.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{:016x}-{count}.tmp", *NONCE))
}

/// The name of the target of a temporary name, `None` for any other name.
fn target_of(name: &str) -> Option<&str> {
    let (target, unique) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let (nonce, count) = unique.split_once('-').unwrap_or((unique, "0"));
    let hexadecimal = nonce.len() == 16 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
    let counted = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    (hexadecimal && counted).then_some(target)
}

/// Removes the temporary files and folders in `folder` that a process has left behind; returns how many. Those of running
/// processes stay. What cannot be removed stays as well: it does no harm.
pub fn sweep(folder: &Path) -> usize {
    sweep_where(folder, |_| true)
}

/// As [`sweep`], for the temporary files and folders of `target` alone.
pub fn sweep_beside(target: &Path) -> usize {
    let (Some(name), Some(parent)) = (target.file_name(), target.parent()) else { return 0 };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let name = name.to_string_lossy();
    sweep_where(parent, |target| target == name)
}

fn sweep_where(folder: &Path, wanted: impl Fn(&str) -> bool) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let is_wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        target_of(&name).is_some_and(&wanted)
    };
    entries.flatten().map(|entry| entry.path()).filter(is_wanted).filter(|path| remove_abandoned(path)).count()
}

/// Removes a temporary file or folder if no process holds its lock; says whether it is gone.
fn remove_abandoned(path: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(path) else { return false };
    if !metadata.is_file() && !metadata.is_dir() {
        return false;
    }
    let opened = File::open(path);
    let abandoned = match opened.as_ref().map(File::try_lock) {
        Ok(Ok(())) => true,
        Ok(Err(TryLockError::WouldBlock)) => false,
        Ok(Err(TryLockError::Error(_))) | Err(_) => {
            let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
            age.is_some_and(|age| age > ABANDONED)
        }
    };
    let remove = || if metadata.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    abandoned && remove().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_writers_of_one_file_never_meet_in_a_temporary_name() {
        let path = Path::new("folder/file");
        let names: std::collections::BTreeSet<PathBuf> = (0..100).map(|_| temporary(path)).collect();
        assert_eq!(names.len(), 100);
        assert!(names.iter().all(|name| name.parent() == path.parent()));
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(names.iter().map(name).all(|name| target_of(&name) == Some("file")));
    }

    #[test]
    fn what_was_abandoned_is_swept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [".run.0123456789abcdef-0.tmp", ".other.0123456789abcdef-12.tmp"] {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("a"), "half").unwrap();
        }
        let others = [
            "run",
            ".run.tmp",
            ".run.0123456789abcdeg-0.tmp",
            ".run.0123456789abcdef-.tmp",
            "run.0123456789abcdef.tmp",
        ];
        for name in others {
            fs::write(at(name), "mine").unwrap();
        }
        fs::write(at(".run.0123456789abcdef.tmp"), "half").unwrap();
        let (file, inner) = (Temporary::file(&at("run")).unwrap(), Temporary::folder(&at("run")).unwrap());
        assert_eq!(sweep_beside(&at("run")), 2);
        assert!(file.path().is_file() && inner.path().is_dir() && at(".other.0123456789abcdef-12.tmp").is_dir());
        assert_eq!(sweep(folder.path()), 1);
        drop((file, inner));
        assert_eq!(sweep(folder.path()), 2);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), others.len());
        assert_eq!(sweep(&at("absent")), 0);
    }
}
