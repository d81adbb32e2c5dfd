//! Helpers for tests: the data beside the repository, a record of the tests that were skipped, and threads that stand for processes.
//!
//! A test that lacks something calls [`skip`], [`shared`] or [`given`] and returns. Cargo then counts it as passed, so the skip is
//! printed, and if the environment variable [`LOG`] names a file, a line `TEST<tab>REASON` is appended to that file. `.ci/run`
//! counts these lines.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod threads;

pub use threads::{Member, in_members};

use std::{
    env,
    ffi::OsString,
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    thread,
};

/// The environment variable that names the file for skipped tests.
pub const LOG: &str = "PIG_SKIPPED_LOG";

/// The folder of data that some tests need, beside the repository.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");

/// Reports that the calling test, or a part of it, is skipped, and why. Equal reasons are counted together, so a reason names
/// what is missing and nothing that is specific to one test.
///
/// # Panics
/// If the file that [`LOG`] names cannot be written: an uncounted skip would look like a passed test.
pub fn skip(reason: &str) {
    println!("skipped: {reason}");
    if let Some(log) = env::var_os(LOG).map(PathBuf::from) {
        append(&log, &current_test(), reason).unwrap_or_else(|error| {
            panic!("{LOG} names {}, which cannot be written: {error}", log.display());
        });
    }
}

/// A file or folder of `../shared`, such as `data/lgg`. If it is absent, a skip is recorded and the result is `None`.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = existing(Path::new(SHARED), path);
    if found.is_none() {
        skip(&format!("../shared/{path} is absent"));
    }
    found
}

/// The value of an environment variable that `.ci/peers` sets. If it is not set, a skip is recorded and the result is `None`.
pub fn given(variable: &str) -> Option<OsString> {
    let value = env::var_os(variable);
    if value.is_none() {
        skip(&format!("{variable} is not set; .ci/peers sets it"));
    }
    value
}

fn existing(folder: &Path, path: &str) -> Option<PathBuf> {
    Some(folder.join(path)).filter(|path| path.exists())
}

/// `BINARY::TEST`: the test harness names each test's thread after the test.
fn current_test() -> String {
    let binary = env::current_exe().ok();
    let stem = binary.as_deref().and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
    // Cargo adds a dash and a hash.
    let stem = stem.map(|stem| stem.rsplit_once('-').map_or(stem.clone(), |(name, _)| name.to_owned()));
    let test = thread::current().name().map(str::to_owned);
    format!("{}::{}", stem.as_deref().unwrap_or("unknown"), test.as_deref().unwrap_or("unknown"))
}

/// Appends one line in a single write, so that lines of tests that run at the same time do not mix.
fn append(log: &Path, test: &str, reason: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(log)?.write_all(format!("{test}\t{reason}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new, empty folder.
    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("pig-testing-{}-{name}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn each_skip_is_one_line() {
        let folder = folder("lines");
        let log = folder.join("skipped.txt");
        append(&log, "a::b", "no data").unwrap();
        append(&log, "a::c", "no peers").unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "a::b\tno data\na::c\tno peers\n");
        assert!(append(&folder.join("absent/skipped.txt"), "a", "b").is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_test_knows_its_name() {
        // With one thread the harness runs tests on the main thread.
        let name = current_test();
        assert!(["pig_testing::tests::a_test_knows_its_name", "pig_testing::main"].contains(&name.as_str()), "{name}");
    }

    #[test]
    fn what_exists_is_found() {
        let folder = folder("found");
        std::fs::create_dir_all(folder.join("data/lgg")).unwrap();
        assert_eq!(existing(&folder, "data/lgg"), Some(folder.join("data/lgg")));
        assert_eq!(existing(&folder, "data/busi"), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
