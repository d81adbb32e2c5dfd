//! Locks of the folders in which long work is done.

use crate::{
    Error, Result,
    observer::{Observer, note},
};
use pig_files::{Lock, Locked, STALE};
use std::{cell::Cell, path::Path};

/// Locks a folder for this process until the result is dropped. `work` says what another process would do in it, as in "is training this
/// run". While it is not clear whether another machine's process is alive, the observer is told that this one waits.
///
/// # Errors
/// When another process works in the folder, when the observer asks to stop meanwhile, or when the lock cannot be written.
pub fn locked(folder: &Path, work: &str, advice: &'static str, observer: &dyn Observer) -> Result<Lock> {
    let is_told = Cell::new(false);
    let goes_on = |owner: &pig_files::Owner| {
        if !is_told.replace(true) {
            let seconds = STALE.as_secs();
            let folder = folder.display();
            note(observer, format!("{folder}: watching for up to {seconds} s whether {owner} is still at work there"));
        }
        !observer.stop_requested()
    };
    match pig_files::lock(folder, &goes_on).map_err(Error::io(&folder.join(".lock"), "lock"))? {
        Locked::Mine(lock) => Ok(lock),
        Locked::Theirs(owner) => {
            Err(Error::BadFile { path: folder.to_owned(), problem: format!("{owner} {work}"), advice })
        }
    }
}

/// Refuses to go on if another process took the folder over.
///
/// # Errors
/// When the lock is lost.
pub fn check_held(lock: &Lock, folder: &Path) -> Result<()> {
    if !lock.is_lost() {
        return Ok(());
    }
    Err(Error::BadFile {
        path: folder.to_owned(),
        problem: format!(
            "another process took over this folder, since this one showed no life for {} s, as on a machine that was suspended",
            STALE.as_secs()
        ),
        advice: "nothing is lost: the other process goes on from what was written",
    })
}
