//! Processes of this machine: whether one still runs, and asking it to stop.

use serde::{Deserialize, Serialize};

/// A process that was started, told apart from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) id: u32,
    /// When it began, in the system's own unit since the machine began; none where the system does not say it.
    began: Option<u64>,
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn of(id: u32) -> Self {
        Self { id, began: began(id) }
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(self) -> bool {
        exists(self.id) && began(self.id) == self.began
    }

    /// Asks it to stop, as Ctrl-C does: it saves its state first.
    pub(crate) fn stop(self) -> std::io::Result<()> {
        if self.is_alive() { terminate(self.id) } else { Ok(()) }
    }
}

/// The fields of /proc/ID/stat behind the name, which may hold spaces and brackets.
fn stat(id: u32) -> Option<Vec<String>> {
    let text = pig_files::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Field 22 of /proc/ID/stat (proc_pid_stat(5)), of which the first two are not counted here.
fn began(id: u32) -> Option<u64> {
    stat(id)?.get(19)?.parse().ok()
}

/// Whether there is such a process that has not ended.
#[cfg(unix)]
fn exists(id: u32) -> bool {
    // A process that has ended stays as a zombie until its parent has asked for its status.
    if let Some(fields) = stat(id) {
        return fields.first().is_none_or(|state| state != "Z" && state != "X");
    }
    number(id).is_some_and(|id| rustix::process::test_kill_process(id).is_ok())
}

#[cfg(unix)]
fn terminate(id: u32) -> std::io::Result<()> {
    let Some(id) = number(id) else { return Ok(()) };
    Ok(rustix::process::kill_process(id, rustix::process::Signal::TERM)?)
}

#[cfg(unix)]
fn number(id: u32) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(id).ok()?)
}

#[cfg(not(unix))]
fn exists(_id: u32) -> bool {
    false
}

#[cfg(not(unix))]
fn terminate(_id: u32) -> std::io::Result<()> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "this system has no signal that asks a process to stop"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_it_was_stopped() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id());
        assert!(process.is_alive());
        let earlier = Process { began: process.began.map(|began| began - 1), ..process };
        assert_eq!(earlier.is_alive(), process.began.is_none());
        process.stop().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        process.stop().unwrap();
    }
}
