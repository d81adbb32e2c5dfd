//! Keeps two processes out of one folder, on one machine or on several that share the folder.
//!
//! Two things are held, since neither suffices alone:
//!
//! - A **file lock** on `.lock`, which the system releases when a process ends, however it ends. Not every network file system passes such
//!   locks on to other machines.
//! - A **lease**, a file `.lock-N` that exists once: it is created under the condition that it is not there, which every file system that
//!   machines share keeps. It names its owner, and grows by a byte with every beat, so that others see that the owner is alive without
//!   comparing clocks. A lease that does not grow for [`STALE`] is taken over with the next number. An owner that
//!   finds a higher number has lost its lease.
//!
//! A lease whose owner is known to be dead is taken over at once: a process of this machine that no longer holds the file lock, and an
//! earlier start of the same Slurm job.

mod lease;
mod owner;

pub use lease::STALE;
pub use owner::Owner;

use lease::{Lease, Rhythm};
use std::{
    fs::{File, TryLockError},
    io::{self, ErrorKind, Write as _},
    path::Path,
};

/// What the file says to whoever finds it.
const TEXT: &str = "pig locks this file while it works in this folder. The file stays; it says nothing by itself.\n";

/// A folder that this process holds, until this value is dropped.
#[derive(Debug)]
pub struct Lock {
    lease: Lease,
    /// The system releases the lock when the file is closed.
    _file: File,
}

impl Lock {
    /// Whether another machine took the folder over, because this process was not seen alive for [`STALE`], such as on a machine that
    /// was suspended.
    pub fn is_lost(&self) -> bool {
        self.lease.is_lost()
    }
}

/// The result of [`lock`].
#[derive(Debug)]
pub enum Locked {
    /// This process holds the folder.
    Mine(Lock),
    /// Another process holds it, or another part of this one.
    Theirs(Owner),
}

impl Locked {
    /// The lock; none if another process has it.
    pub fn mine(self) -> Option<Lock> {
        match self {
            Self::Mine(lock) => Some(lock),
            Self::Theirs(_) => None,
        }
    }
}

/// Locks a folder for this process. The file `.lock` stays in the folder, a lease is removed.
///
/// If another machine's process has left a lease, this call watches it for up to [`STALE`] to see whether its owner is alive. It calls
/// `goes_on` with the owner meanwhile, about once a second, and gives up if that says so.
///
/// # Errors
/// When the files cannot be written.
pub fn lock(folder: &Path, goes_on: &dyn Fn(&Owner) -> bool) -> io::Result<Locked> {
    let mut file = File::options().create(true).truncate(false).write(true).open(folder.join(".lock"))?;
    let has_file_lock = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => return Ok(Locked::Theirs(lease::owner(folder)?)),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => false,
        Err(TryLockError::Error(error)) => return Err(error),
    };
    file.write_all(TEXT.as_bytes())?;
    Ok(match Lease::take(folder, &Owner::this(), has_file_lock, Rhythm::USUAL, goes_on)? {
        Ok(lease) => Locked::Mine(Lock { lease, _file: file }),
        Err(owner) => Locked::Theirs(owner),
    })
}

/// Who works in a folder now, as far as its lease shows without waiting; none if nobody does. This is for showing and for asking an owner to
/// stop; [`lock`] alone decides who may work there.
///
/// A lease that has not grown for [`STALE`], or whose process of this machine has ended, has no owner any more.
///
/// # Errors
/// When the folder cannot be read.
pub fn holder(folder: &Path) -> io::Result<Option<Owner>> {
    let Some((owner, grown)) = lease::newest(folder)? else { return Ok(None) };
    // A time in the future is that of a machine whose clock is ahead.
    let is_stale = grown.elapsed().is_ok_and(|age| age > STALE);
    Ok((!is_stale && !owner.has_ended()).then_some(owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(folder: &Path) -> Option<Lock> {
        lock(folder, &|_| false).unwrap().mine()
    }

    #[test]
    fn a_lease_without_a_living_owner_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock-1");
        let write = |owner: &Owner| std::fs::write(&path, serde_json::to_vec(owner).unwrap()).unwrap();
        let elsewhere = Owner { host: "other".to_owned(), machine: "another start".to_owned(), ..Owner::this() };
        write(&elsewhere);
        assert_eq!(holder(folder.path()).unwrap(), Some(elsewhere));
        let old = std::time::SystemTime::now() - 2 * STALE;
        File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
        assert_eq!(holder(folder.path()).unwrap(), None);
        if cfg!(target_os = "linux") {
            // The greatest number of a process on Linux is 2^22.
            write(&Owner { process: 1 << 23, ..Owner::this() });
            assert_eq!(holder(folder.path()).unwrap(), None);
        }
    }

    #[test]
    fn a_folder_is_locked_once_until_its_lock_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let held = locked(folder.path());
        assert!(held.is_some_and(|held| {
            let Locked::Theirs(owner) = lock(folder.path(), &|_| false).unwrap() else { panic!("locked twice") };
            assert_eq!(owner.process, std::process::id());
            assert!(!held.is_lost());
            true
        }));
        assert_eq!(std::fs::read_to_string(folder.path().join(".lock")).unwrap(), TEXT);
        assert_eq!(holder(folder.path()).unwrap(), None);
        let held = locked(folder.path());
        assert_eq!(holder(folder.path()).unwrap(), Some(Owner::this()));
        drop(held);
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "a lease is removed with its lock");
        let absent = lock(&folder.path().join("absent"), &|_| false).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
    }
}
