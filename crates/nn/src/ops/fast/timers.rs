//! Measures the time of each operation and shape: seconds and calls, counted only after [`start`].

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// One operation with one shape, forward or backward.
#[derive(Clone, Debug)]
pub struct Row {
    /// `forward` or `backward`.
    pub pass: &'static str,
    /// The operation and its shape.
    pub operation: String,
    /// The number of calls.
    pub calls: u64,
    /// The wall time of all calls in seconds.
    pub seconds: f64,
    /// The wall time of the fastest call in seconds; other work on the machine disturbs it least.
    pub fastest: f64,
}

/// The number of calls, the sum of their seconds, and the smallest number of seconds.
type Count = (u64, f64, f64);

static IS_ON: AtomicBool = AtomicBool::new(false);
static ROWS: Mutex<Option<HashMap<(&'static str, String), Count>>> = Mutex::new(None);

/// Starts to count, from zero.
pub fn start() {
    *ROWS.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashMap::new());
    IS_ON.store(true, Ordering::Relaxed);
}

/// Stops counting and returns the rows, those with the most seconds first.
pub fn stop() -> Vec<Row> {
    IS_ON.store(false, Ordering::Relaxed);
    let counted = ROWS.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    let mut rows: Vec<Row> = counted
        .into_iter()
        .map(|((pass, operation), (calls, seconds, fastest))| Row { pass, operation, calls, seconds, fastest })
        .collect();
    rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    rows
}

/// Runs `f` and measures its time if counting is on.
pub(super) fn timed<T>(pass: &'static str, operation: &impl Debug, f: impl FnOnce() -> T) -> T {
    if !IS_ON.load(Ordering::Relaxed) {
        return f();
    }
    let begin = Instant::now();
    let result = f();
    let seconds = begin.elapsed().as_secs_f64();
    if let Some(rows) = ROWS.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        let row = rows.entry((pass, format!("{operation:?}"))).or_insert((0, 0.0, f64::INFINITY));
        *row = (row.0 + 1, row.1 + seconds, row.2.min(seconds));
    }
    result
}
