//! How long jobs tell what they do: events for whoever shows them, a flag that asks them to stop, and how
//! they end.

use burn::tensor::Device;
use pig_nn::pass::Precision;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// A stage goes on.
    Progress {
        /// Steps done.
        done: usize,
        /// What stands beside the bar, such as the loss and the rate.
        message: String,
    },
    /// The stage is over.
    End,
}

/// Receives events and says when to stop.
pub trait Observer: Sync {
    /// Takes an event.
    fn event(&self, event: Event);

    /// Whether the user asked to stop: the job then saves its state and returns.
    fn stop_requested(&self) -> bool {
        false
    }
}

/// Says nothing and never stops.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: Event) {}
}

/// Says nothing and stops when its flag is set.
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

/// A note through any observer.
pub fn note(observer: &dyn Observer, text: impl Into<String>) {
    observer.event(Event::Note(text.into()));
}

/// Says so where `device` does not compute in the precision that the configuration asks for.
pub fn warn_of_precision(observer: &dyn Observer, key: &str, precision: Precision, device: &Device) {
    if precision.on(device) != precision {
        warn(observer, format!("{key} = \"bf16\": this processor has no bf16 instructions, so it runs in f32"));
    }
}

/// A warning through any observer.
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
