//! A file that exists once and grows while its owner is alive.

use crate::lock::Owner;
use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

/// A lease that has not grown for so long is taken over: six beats, more than network file systems keep what they know of a file.
pub const STALE: Duration = Duration::from_secs(90);

/// The beginning of the name of a lease; its number follows.
const NAME: &str = ".lock-";

/// How often a lease grows, and how often it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    pub(super) beat: Duration,
    pub(super) look: Duration,
    pub(super) stale: Duration,
}

impl Rhythm {
    pub(super) const USUAL: Self = Self { beat: Duration::from_secs(15), look: Duration::from_secs(1), stale: STALE };
}

/// A lease that this process holds. It grows until it is dropped, and is then removed.
#[derive(Debug)]
pub(super) struct Lease {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: Mutex<bool>,
    ends: Condvar,
    lost: AtomicBool,
}

/// What a lease of another process shows while it is watched.
enum Watched {
    Alive,
    Stale,
    Gone,
    GivenUp,
}

impl Lease {
    /// Takes the lease of a folder, or says who has it. `has_file_lock` says that this process holds the file lock of the folder, so that no
    /// other process of this machine does.
    pub(super) fn take(
        folder: &Path,
        me: &Owner,
        has_file_lock: bool,
        rhythm: Rhythm,
        goes_on: &dyn Fn(&Owner) -> bool,
    ) -> io::Result<Result<Self, Owner>> {
        // The highest number that is known to exist: a listing of a folder may be old where machines share it.
        let mut known = 0;
        loop {
            let newest = numbers(folder)?.into_iter().max().unwrap_or(0).max(known);
            let path = named(folder, newest);
            // A lease that is no longer there is gone.
            let found = if newest == 0 { None } else { read(&path)? };
            if let Some((owner, length)) = found {
                let is_dead = me.follows(&owner) || (has_file_lock && me.shares_machine(&owner));
                let watched = if is_dead { Watched::Stale } else { watch(&path, &owner, length, rhythm, goes_on)? };
                match watched {
                    Watched::Alive | Watched::GivenUp => return Ok(Err(owner)),
                    Watched::Gone => {
                        known = 0;
                        continue;
                    }
                    Watched::Stale => {}
                }
            }
            let number = newest + 1;
            let own = named(folder, number);
            match create(&own, me) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    known = number;
                    thread::sleep(rhythm.look.min(Duration::from_millis(100)));
                    continue;
                }
                Err(error) => return Err(error),
            }
            match settle(folder, number)? {
                Some(higher) => known = higher,
                None => return Ok(Ok(Self::beating(own, number, rhythm))),
            }
        }
    }

    /// Whether another process took the folder over.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.lost.load(Ordering::Relaxed)
    }

    fn beating(path: PathBuf, number: u64, rhythm: Rhythm) -> Self {
        let shared = Arc::new(Shared::default());
        let (its_path, its_shared) = (path.clone(), Arc::clone(&shared));
        let thread = thread::Builder::new().name("lease".to_owned());
        // Without a thread the lease looks stale after a while, on other machines alone.
        let thread = thread.spawn(move || beat(&its_path, number, rhythm, &its_shared)).ok();
        Self { path, shared, thread }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.shared.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.ends.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread says nothing about the folder.
            let _ = thread.join();
        }
        if !self.is_lost() {
            // What stays looks like a process that died, and is taken over.
            let _ = remove(&self.path);
        }
    }
}

/// Lets a lease grow until it ends or is lost.
fn beat(path: &Path, number: u64, rhythm: Rhythm, shared: &Shared) {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut ended = shared.ended.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let waited = shared.ends.wait_timeout_while(ended, rhythm.beat, |ended| !*ended);
        ended = waited.unwrap_or_else(PoisonError::into_inner).0;
        if *ended {
            return;
        }
        let grown = File::options().append(true).open(path).and_then(|mut file| file.write_all(b"."));
        let is_gone = grown.is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let is_followed = numbers(folder).is_ok_and(|all| all.iter().any(|&other| other > number));
        if is_gone || is_followed {
            shared.lost.store(true, Ordering::Relaxed);
            return;
        }
    }
}

/// Removes the leases that a new one follows. If there is a higher number, the listing that led to the new one was old, and the higher
/// one's owner holds the folder: then the new lease is removed, and the higher number returned.
fn settle(folder: &Path, number: u64) -> io::Result<Option<u64>> {
    // Whoever creates a file in a folder gets a new listing of it.
    let all = numbers(folder)?;
    let higher = all.iter().copied().filter(|&other| other > number).max();
    if higher.is_some() {
        remove(&named(folder, number))?;
    } else {
        for older in all.into_iter().filter(|&older| older < number) {
            remove(&named(folder, older))?;
        }
    }
    Ok(higher)
}

/// Watches a lease until it grows, is gone, or is stale.
fn watch(
    path: &Path,
    owner: &Owner,
    length: usize,
    rhythm: Rhythm,
    goes_on: &dyn Fn(&Owner) -> bool,
) -> io::Result<Watched> {
    let since = Instant::now();
    loop {
        if !goes_on(owner) {
            return Ok(Watched::GivenUp);
        }
        thread::sleep(rhythm.look);
        match read(path)? {
            None => return Ok(Watched::Gone),
            Some((_, now)) if now != length => return Ok(Watched::Alive),
            Some(_) if since.elapsed() >= rhythm.stale => return Ok(Watched::Stale),
            Some(_) => {}
        }
    }
}

/// Who holds a folder, by its newest lease.
pub(super) fn owner(folder: &Path) -> io::Result<Owner> {
    let newest = numbers(folder)?.into_iter().max();
    let found = newest.map(|number| read(&named(folder, number))).transpose()?.flatten();
    Ok(found.map(|(owner, _)| owner).unwrap_or_default())
}

/// The owner of a folder's newest lease, and when the lease grew last; none without a lease.
pub(super) fn newest(folder: &Path) -> io::Result<Option<(Owner, SystemTime)>> {
    let Some(number) = numbers(folder)?.into_iter().max() else { return Ok(None) };
    let path = named(folder, number);
    let Some((owner, _)) = read(&path)? else { return Ok(None) };
    match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
        Ok(grown) => Ok(Some((owner, grown))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn named(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{NAME}{number}"))
}

/// The numbers of the leases in a folder.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        found.extend(
            name.to_str().and_then(|name| name.strip_prefix(NAME)).and_then(|number| number.parse::<u64>().ok()),
        );
    }
    Ok(found)
}

/// The owner of a lease and the length of its file; none if it is gone. An owner that cannot be read, as while its file is being written,
/// has no name.
fn read(path: &Path) -> io::Result<Option<(Owner, usize)>> {
    match crate::read(path) {
        Ok(bytes) => {
            let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
            Ok(Some((serde_json::from_slice(line).unwrap_or_default(), bytes.len())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn create(path: &Path, owner: &Owner) -> io::Result<()> {
    let mut text = serde_json::to_vec(owner)?;
    text.push(b'\n');
    let mut file = File::options().write(true).create_new(true).open(path)?;
    file.write_all(&text)?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::owner::tests::owner;
    use std::sync::atomic::AtomicUsize;

    /// A hundred times as fast as usual.
    const FAST: Rhythm =
        Rhythm { beat: Duration::from_millis(150), look: Duration::from_millis(10), stale: Duration::from_millis(900) };

    /// Takes a lease on a file system that does not pass locks on.
    fn take(folder: &Path, me: &Owner) -> Result<Lease, Owner> {
        Lease::take(folder, me, false, FAST, &|_| true).unwrap()
    }

    /// A lease of a process that was killed.
    fn left(folder: &Path, owner: &Owner) {
        create(&named(folder, 4), owner).unwrap();
    }

    #[test]
    fn one_machine_holds_a_folder_and_the_other_is_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let held = take(folder.path(), &owner("a", None)).unwrap();
        let since = Instant::now();
        assert_eq!(take(folder.path(), &owner("b", None)).unwrap_err(), owner("a", None));
        assert!(since.elapsed() < FAST.stale, "a lease that grows is not waited for");
        assert_eq!(super::owner(folder.path()).unwrap(), owner("a", None));
        assert!(!held.is_lost());
        drop(held);
        assert!(take(folder.path(), &owner("b", None)).is_ok());
        assert_eq!(numbers(folder.path()).unwrap(), Vec::<u64>::new());
    }

    #[test]
    fn a_lease_that_does_not_grow_is_taken_over_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        left(folder.path(), &owner("a", None));
        let since = Instant::now();
        let held = take(folder.path(), &owner("b", None)).unwrap();
        assert!(since.elapsed() >= FAST.stale);
        assert_eq!(numbers(folder.path()).unwrap(), [5], "the old lease is removed");
        drop(held);
    }

    #[test]
    fn whoever_is_known_to_be_dead_is_not_waited_for() {
        let at_once = |me: &Owner, dead: &Owner, has_file_lock: bool| {
            let folder = tempfile::tempdir().unwrap();
            left(folder.path(), dead);
            let since = Instant::now();
            let taken = Lease::take(folder.path(), me, has_file_lock, FAST, &|_| true).unwrap();
            assert!(taken.is_ok());
            since.elapsed() < FAST.stale / 2
        };
        // The file lock of this machine was free.
        assert!(at_once(&owner("a", None), &owner("a", None), true));
        assert!(!at_once(&owner("a", None), &owner("a", None), false));
        assert!(!at_once(&owner("b", None), &owner("a", None), true));
        // A job that Slurm put into the queue again.
        assert!(at_once(&owner("b", Some(1)), &owner("a", Some(0)), true));
        assert!(!at_once(&owner("b", Some(0)), &owner("a", Some(0)), true));
    }

    #[test]
    fn who_waits_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        left(folder.path(), &owner("a", None));
        let found = Lease::take(folder.path(), &owner("b", None), true, FAST, &|_| false).unwrap();
        assert_eq!(found.unwrap_err(), owner("a", None));
        assert_eq!(numbers(folder.path()).unwrap(), [4]);
    }

    /// A machine that was suspended finds that it lost the folder, and does not remove the other's lease.
    #[test]
    fn an_owner_that_was_taken_over_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let slow = Rhythm { beat: Duration::from_millis(1200), ..FAST };
        let suspended = Lease::take(folder.path(), &owner("a", None), false, slow, &|_| true).unwrap().unwrap();
        let held = take(folder.path(), &owner("b", None)).unwrap();
        let since = Instant::now();
        while !suspended.is_lost() {
            assert!(since.elapsed() < Duration::from_secs(20), "it never knew");
            thread::sleep(FAST.look);
        }
        drop(suspended);
        assert_eq!(numbers(folder.path()).unwrap(), [2]);
        assert!(!held.is_lost());
    }

    /// A listing that does not show the newest lease leads to no second owner.
    #[test]
    fn a_lease_with_a_lower_number_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        for number in [1, 3] {
            create(&named(folder.path(), number), &owner("a", None)).unwrap();
        }
        assert_eq!(settle(folder.path(), 1).unwrap(), Some(3));
        assert_eq!(numbers(folder.path()).unwrap(), [3]);
        create(&named(folder.path(), 4), &owner("b", None)).unwrap();
        assert_eq!(settle(folder.path(), 4).unwrap(), None);
        assert_eq!(numbers(folder.path()).unwrap(), [4]);
    }

    /// Many machines want one folder in turn; never do two hold it.
    #[test]
    fn never_do_two_hold_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        left(folder.path(), &owner("dead", None));
        let (inside, turns) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for machine in 0..6 {
                let (folder, inside, turns) = (folder.path(), &inside, &turns);
                scope.spawn(move || {
                    let me = owner(&format!("m{machine}"), None);
                    let since = Instant::now();
                    while turns.load(Ordering::SeqCst) < 12 && since.elapsed() < Duration::from_mins(1) {
                        let Ok(held) = take(folder, &me) else { continue };
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the folder");
                        thread::sleep(Duration::from_millis(20));
                        assert!(!held.is_lost());
                        inside.fetch_sub(1, Ordering::SeqCst);
                        turns.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(turns.load(Ordering::SeqCst) >= 12);
        assert_eq!(numbers(folder.path()).unwrap(), Vec::<u64>::new());
    }
}
