//! Commands of pig that the page starts, as child processes of the same binary. A job belongs to no server: it goes on when the server ends, and
//! the next server finds it by its record. One training runs at a time, and one other job.

mod record;

pub(crate) use record::{Kind, Record, Request, State};

use crate::{
    process::Process,
    reply::{Refusal, Reply},
};
use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The seconds between lines of progress, by the environment variable that the terminal's output reads.
const PROGRESS: (&str, &str) = ("PIG_PROGRESS_SECONDS", "1");
/// The most jobs that are kept; older ones that have ended are forgotten.
const MOST_KEPT: usize = 200;

/// All jobs of a served folder.
#[derive(Debug)]
pub(crate) struct Jobs {
    binary: PathBuf,
    /// Flags of the server that every command gets, such as --device.
    flags: Vec<String>,
    folder: PathBuf,
    known: Arc<Mutex<HashMap<String, Record>>>,
}

impl Jobs {
    /// The jobs whose records are in `folder`.
    pub(crate) fn open(folder: PathBuf, binary: PathBuf, flags: Vec<String>) -> std::io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut known = HashMap::new();
        for entry in fs::read_dir(&folder)?.flatten() {
            if let Some(record) = Record::read(&entry.path()) {
                known.insert(record.id.clone(), record);
            }
        }
        let jobs = Self { binary, flags, folder, known: Arc::new(Mutex::new(known)) };
        jobs.forget();
        Ok(jobs)
    }

    /// All jobs, the newest first.
    pub(crate) fn all(&self) -> Vec<Record> {
        let mut all: Vec<Record> = self.known().values().cloned().collect();
        all.sort_by(|a, b| b.id.cmp(&a.id));
        all
    }

    /// The job with this name.
    pub(crate) fn get(&self, id: &str) -> Reply<Record> {
        self.known().get(id).cloned().ok_or_else(|| Refusal::missing(format!("There is no job {id:?}.")))
    }

    /// The newest job of a kind that writes `out`.
    pub(crate) fn that_writes(&self, out: &str) -> Option<Record> {
        self.all().into_iter().find(|record| record.out.as_deref() == Some(out))
    }

    /// What the job has said: the end of its messages.
    pub(crate) fn log(&self, id: &str) -> String {
        crate::table::end_of_file(&self.path(id, "log"), 16 << 10)
    }

    /// Starts a job, if none that stands in its way is running.
    pub(crate) fn start(&self, request: Request) -> Reply<Record> {
        // Held until the job is known, so that of two requests at the same time one is refused.
        let mut known = self.known();
        let is_training = request.kind == Kind::Train;
        let mut running = known.values().filter(|record| record.state() == State::Running);
        if let Some(other) = running.find(|record| (record.kind == Kind::Train) == is_training) {
            let what = if is_training { "One training runs at a time" } else { "One job runs beside a training" };
            return Err(Refusal::busy(format!(
                "{what}, and this one is running: {}. Wait for its end, or stop it.",
                other.title
            )));
        }
        let mut record = Record::new(request, known.keys());
        record.write(&self.folder).map_err(Refusal::fault)?;
        let child = self.spawn(&record).map_err(|error| {
            let _ = fs::remove_file(self.path(&record.id, "json"));
            Refusal::fault(format!("{}: cannot be started: {error}", self.binary.display()))
        })?;
        record.process = Some(Process::of(child.id()));
        record.write(&self.folder).map_err(Refusal::fault)?;
        known.insert(record.id.clone(), record.clone());
        self.wait_for(child, record.id.clone());
        Ok(record)
    }

    fn spawn(&self, record: &Record) -> std::io::Result<std::process::Child> {
        let mut command = Command::new(&self.binary);
        command.args(&record.args).args(&self.flags).env(PROGRESS.0, PROGRESS.1).stdin(Stdio::null());
        command.stdout(File::create(self.path(&record.id, "out"))?).stderr(File::create(self.path(&record.id, "log"))?);
        // In a group of its own: Ctrl-C and a closed terminal end the server alone.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn()
    }

    /// Notes how a job ended, on a thread of its own.
    fn wait_for(&self, mut child: std::process::Child, id: String) {
        let (known, folder) = (Arc::clone(&self.known), self.folder.clone());
        std::thread::spawn(move || {
            let code = child.wait().ok().and_then(|status| status.code());
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(record) = known.get_mut(&id) {
                record.end(code);
                // The next server does not know the exit code then.
                let _ = record.write(&folder);
            }
        });
    }

    /// Asks a job to stop.
    pub(crate) fn stop(&self, id: &str) -> Reply<Record> {
        let record = self.get(id)?;
        if let Some(process) = record.process {
            process.stop().map_err(Refusal::fault)?;
        }
        Ok(record)
    }

    /// Forgets the oldest jobs that have ended, with their messages.
    fn forget(&self) {
        let old: Vec<Record> =
            self.all().into_iter().skip(MOST_KEPT).filter(|job| job.state() != State::Running).collect();
        for record in old {
            self.known().remove(&record.id);
            for ending in ["json", "log", "out"] {
                let _ = fs::remove_file(self.path(&record.id, ending));
            }
        }
    }

    fn path(&self, id: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{id}.{ending}"))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        // A record is whole after every statement.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name such as `runs/phantoms-2` that nothing below `root` has yet.
pub(crate) fn free_name(root: &Path, folder: &str, wanted: &str) -> Reply<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if wanted.is_empty() || wanted.len() > 64 || !wanted.chars().all(is_plain) {
        return Err(Refusal::wrong(format!(
            "The name is {wanted:?}; expected 1 to 64 letters, digits, hyphens and underscores."
        )));
    }
    let numbered = (2..).map(|number| format!("{wanted}-{number}"));
    let mut names = std::iter::once(wanted.to_owned()).chain(numbered).map(|name| format!("{folder}/{name}"));
    names.find(|name| !root.join(name).exists()).ok_or_else(|| Refusal::fault("no free name"))
}
