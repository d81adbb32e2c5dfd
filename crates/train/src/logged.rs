//! log.txt of a run.

use crate::{
    Error, Result,
    observer::{Cache, Event, Observer},
    ranks::Ranks,
    run_dir::now,
};
use std::{io::Write, path::Path, sync::Mutex};

/// Passes events on, and appends notes and warnings to the run's log.txt.
pub struct Logged<'a> {
    inner: &'a dyn Observer,
    file: Mutex<std::fs::File>,
}

impl<'a> Logged<'a> {
    /// Opens the log of a run, or makes it.
    pub fn open(run: &Path, inner: &'a dyn Observer) -> Result<Self> {
        let path = run.join("log.txt");
        let file = pig_files::append(&path).map_err(Error::io(&path, "write"))?;
        Ok(Self { inner, file: Mutex::new(file) })
    }
}

impl Observer for Logged<'_> {
    fn event(&self, event: Event) {
        let line = match &event {
            Event::Note(text) => Some(text.clone()),
            Event::Warning(text) => Some(format!("warning: {text}")),
            Event::Begin { stage, total, done } => Some(format!("{stage}: from step {done} to {total}")),
            Event::Progress { .. } | Event::End => None,
        };
        if let (Some(line), Ok(mut file)) = (line, self.file.lock()) {
            // The log is a convenience: a full disk must not end a training that can still be checkpointed elsewhere.
            let _ = writeln!(file, "{} {line}", now());
        }
        self.inner.event(event);
    }

    fn stop_requested(&self) -> bool {
        self.inner.stop_requested()
    }

    fn cache(&self) -> Option<Cache<'_>> {
        self.inner.cache().map(|cache| Cache { warned: self, ..cache })
    }

    fn ranks(&self) -> Ranks<'_> {
        self.inner.ranks()
    }
}
