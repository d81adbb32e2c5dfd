//! Where the time goes: seconds and calls of each operation and shape, counted only after [`start`].

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// One operation of one shape, forward or backward.
#[derive(Clone, Debug)]
pub struct Row {
    /// `forward` or `backward`.
    pub pass: &'static str,
    /// The operation and its shape.
    pub operation: String,
    /// How often it ran.
    pub calls: u64,
    /// Wall seconds of all calls.
    pub seconds: f64,
    /// Wall seconds of the fastest call: what other work on the machine disturbs least.
    pub fastest: f64,
}

/// Calls, the sum of their seconds, and the least.
type Count = (u64, f64, f64);

static IS_ON: AtomicBool = AtomicBool::new(false);
static ROWS: Mutex<Option<HashMap<(&'static str, String), Count>>> = Mutex::new(None);

/// Begins to count, from zero.
pub fn start() {
    *ROWS.lock().unwrap_or_else(PoisonError::into_inner) = Some(HashMap::new());
    IS_ON.store(true, Ordering::Relaxed);
}

/// Stops counting; what was counted, longest first.
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

/// Runs `f`, on the clock if there is one.
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
