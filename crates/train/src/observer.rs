//! How long jobs report to the caller: events to show, a request to stop, the folder of prepared pairs, and the outcome.

use crate::ranks::Ranks;
use burn::tensor::Device;
use pig_nn::pass::Precision;
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// Something worth showing.
#[derive(Clone, Debug)]
pub enum Event {
    /// A sentence for the log.
    Note(String),
    /// A sentence for the log that the user should not miss.
    Warning(String),
    /// A stage begins; `total` is its number of steps.
    Begin {
        /// Name of the stage, such as "model_x".
        stage: String,
        /// Steps of the stage.
        total: usize,
        /// Steps that are done already.
        done: usize,
    },
    /// Progress within the stage.
    Progress {
        /// Steps done.
        done: usize,
        /// The text beside the progress bar, such as the loss and the rate.
        message: String,
    },
    /// The stage is over.
    End,
}

/// Receives events, and says when to stop and where prepared pairs are kept.
pub trait Observer: Sync {
    /// Takes an event.
    fn event(&self, event: Event);

    /// Whether the user asked to stop. The job then saves its state and returns.
    fn stop_requested(&self) -> bool {
        false
    }

    /// Where prepared pairs are kept from one job to the next; none if they are prepared again for each.
    fn cache(&self) -> Option<Cache<'_>> {
        None
    }

    /// The processes that train together with this one.
    fn ranks(&self) -> Ranks<'_> {
        Ranks::default()
    }
}

/// Where prepared pairs are kept.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "an observer has none")]
pub struct Cache<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// Who hears what is wrong with it, even while a job is quiet.
    pub warned: &'a dyn Observer,
}

/// Shows nothing and never asks to stop.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: Event) {}
}

/// Shows nothing but what is wrong with the cache; stops are asked for, and prepared pairs are kept, as for another observer.
#[expect(missing_debug_implementations, reason = "an observer has none")]
pub struct Quiet<'a>(
    /// The other observer.
    pub &'a dyn Observer,
);

impl Observer for Quiet<'_> {
    fn event(&self, _event: Event) {}

    fn stop_requested(&self) -> bool {
        self.0.stop_requested()
    }

    fn cache(&self) -> Option<Cache<'_>> {
        self.0.cache()
    }

    fn ranks(&self) -> Ranks<'_> {
        self.0.ranks()
    }
}

/// Shows nothing and asks to stop when its flag is set.
#[derive(Debug, Default)]
pub struct StopFlag(
    /// Set it to ask the job to stop.
    pub AtomicBool,
);

impl Observer for StopFlag {
    fn event(&self, _event: Event) {}

    fn stop_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends a note to an observer.
pub fn note(observer: &dyn Observer, text: impl Into<String>) {
    observer.event(Event::Note(text.into()));
}

/// Warns if `device` cannot compute in the configured precision.
pub fn warn_of_precision(observer: &dyn Observer, key: &str, precision: Precision, device: &Device) {
    if precision.on(device) != precision {
        warn(observer, format!("{key} = \"bf16\": this processor has no bf16 instructions, so it runs in f32"));
    }
}

/// Sends a warning to an observer.
pub fn warn(observer: &dyn Observer, text: impl Into<String>) {
    observer.event(Event::Warning(text.into()));
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// The user asked to stop; a checkpoint was written.
    Interrupted,
}
