//! Ends a sampling between two of its turns, when the user asks for it.

use crate::observer::Observer;
use std::{
    fmt::{Debug, Formatter},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A flag that stays set once it was found that the user asked to stop. What a sampling has made by then is to be discarded.
#[derive(Clone)]
pub struct Stop<'a> {
    observer: &'a dyn Observer,
    flag: Arc<AtomicBool>,
}

impl<'a> Stop<'a> {
    /// Not set yet.
    pub fn new(observer: &'a dyn Observer) -> Self {
        Self { observer, flag: Arc::default() }
    }

    /// Sets the flag if the user asked to stop.
    pub fn ask(&self) {
        if self.observer.stop_requested() {
            self.flag.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was found that the user asked to stop.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// The flag, for the moves that it ends.
    pub(crate) fn flag(&self) -> &Arc<AtomicBool> {
        &self.flag
    }
}

impl Debug for Stop<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Stop").field(&self.is_set()).finish()
    }
}
