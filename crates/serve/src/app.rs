//! What all handlers share.

use crate::{
    access::Access,
    below::Root,
    folder::{Found, look},
    jobs::Jobs,
    masks::Masks,
    nearest::Trainings,
    pairs::Lists,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// What a look through the folder found holds for so long.
const FRESH: Duration = Duration::from_secs(2);
/// The most streams of events at a time.
const MOST_STREAMS: usize = 256;

/// A served folder, shared by all handlers.
#[derive(Clone, Debug)]
pub(crate) struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: Root,
    access: Access,
    jobs: Jobs,
    masks: Masks,
    lists: Lists,
    trainings: Trainings,
    found: Mutex<Option<(Instant, Arc<Found>)>>,
    streams: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
    /// Held while a password is tried.
    trying: tokio::sync::Mutex<()>,
    /// Held while a training is started.
    starting: Mutex<()>,
}

impl App {
    /// Joins the parts of a server.
    pub(crate) fn new(root: Root, access: Access, jobs: Jobs, masks: Masks) -> Self {
        Self(Arc::new(Inner {
            root,
            access,
            jobs,
            masks,
            lists: Lists::default(),
            trainings: Trainings::default(),
            found: Mutex::default(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            decoders: Arc::new(Semaphore::new(rayon::current_num_threads())),
            trying: tokio::sync::Mutex::default(),
            starting: Mutex::default(),
        }))
    }

    /// The served folder.
    pub(crate) fn root(&self) -> &Root {
        &self.0.root
    }

    /// Who may use the page.
    pub(crate) fn access(&self) -> &Access {
        &self.0.access
    }

    /// The jobs.
    pub(crate) fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// Masks that were drawn or sent.
    pub(crate) fn masks(&self) -> &Masks {
        &self.0.masks
    }

    /// The pairs of folders.
    pub(crate) fn lists(&self) -> &Lists {
        &self.0.lists
    }

    /// The training images of runs.
    pub(crate) fn trainings(&self) -> &Trainings {
        &self.0.trainings
    }

    /// Streams of events that may still be opened.
    pub(crate) fn streams(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.streams)
    }

    /// Pictures that may still be decoded at the same time.
    pub(crate) fn decoders(&self) -> Arc<Semaphore> {
        Arc::clone(&self.0.decoders)
    }

    /// What makes attempts at the password wait for each other.
    pub(crate) fn trying(&self) -> &tokio::sync::Mutex<()> {
        &self.0.trying
    }

    /// What makes starts of trainings wait for each other.
    pub(crate) fn starting(&self) -> &Mutex<()> {
        &self.0.starting
    }

    /// What the folder holds, as of a moment ago at most.
    pub(crate) fn found(&self) -> Arc<Found> {
        // Held while the folder is looked through, so that many requests at once look once.
        let mut known = self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((since, found)) if since.elapsed() < FRESH => Arc::clone(found),
            _ => {
                let found = Arc::new(look(&self.0.root));
                *known = Some((Instant::now(), Arc::clone(&found)));
                found
            }
        }
    }

    /// Looks through the folder anew at the next question.
    pub(crate) fn forget_found(&self) {
        *self.0.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
