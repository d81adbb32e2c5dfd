//! What is known of a job.

use crate::process::Process;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The kind of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// `pig plan`.
    Plan,
    /// `pig train`, also with --resume.
    Train,
    /// `pig sample`.
    Sample,
    /// `pig report`.
    Report,
    /// `pig export`.
    Export,
}

/// A job to start.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    /// What it does, for people.
    pub(crate) title: String,
    /// The words behind `pig`.
    pub(crate) args: Vec<String>,
    /// The address of what it writes.
    pub(crate) out: Option<String>,
    /// The address of what it works on, such as the run of a sampling or the data of a plan.
    pub(crate) of: Option<String>,
}

/// A job that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its name: a number that counts up.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    /// What it does, for people.
    pub(crate) title: String,
    /// The words behind `pig`.
    pub(crate) args: Vec<String>,
    /// The address of what it writes.
    pub(crate) out: Option<String>,
    /// The address of what it works on.
    pub(crate) of: Option<String>,
    /// When it was started, UTC.
    pub(crate) started: String,
    /// None until it runs.
    pub(crate) process: Option<Process>,
    /// Whether its end was seen, by a server that ran then.
    ended: bool,
    /// Its exit code; none if a signal ended it.
    code: Option<i32>,
}

/// How a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs.
    Running,
    /// It ended with success.
    Done,
    /// It was stopped, and can go on.
    Stopped,
    /// It ended with an error.
    Failed,
    /// It ended while no server ran, so that its exit code is not known.
    Ended,
}

impl State {
    /// The word for people.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }
}

impl Record {
    pub(super) fn new<'a>(request: Request, known: impl Iterator<Item = &'a String>) -> Self {
        let last = known.filter_map(|id| id.parse::<u64>().ok()).max().unwrap_or(0);
        let Request { kind, title, args, out, of } = request;
        let started = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        Self {
            id: format!("{:06}", last + 1),
            kind,
            title,
            args,
            out,
            of,
            started,
            process: None,
            ended: false,
            code: None,
        }
    }

    pub(super) fn read(path: &Path) -> Option<Self> {
        let is_record = path.extension().is_some_and(|ending| ending == "json");
        let bytes = is_record.then(|| pig_files::read(path).ok()).flatten()?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), pig_files::FileError> {
        pig_files::write_json(&folder.join(format!("{}.json", self.id)), self)
    }

    pub(super) fn end(&mut self, code: Option<i32>) {
        (self.ended, self.code) = (true, code);
    }

    /// How it is.
    pub(crate) fn state(&self) -> State {
        match (self.ended, self.code) {
            (false, _) if self.process.is_some_and(Process::is_alive) => State::Running,
            (false, _) => State::Ended,
            (true, Some(0)) => State::Done,
            (true, Some(130)) => State::Stopped,
            (true, _) => State::Failed,
        }
    }

    /// The command, as one would type it.
    pub(crate) fn command(&self) -> String {
        let quoted = |word: &String| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+".contains(c);
            if !word.is_empty() && word.chars().all(is_plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
        };
        std::iter::once("pig".to_owned()).chain(self.args.iter().map(quoted)).collect::<Vec<_>>().join(" ")
    }
}
