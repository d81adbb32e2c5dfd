//! Runs third-party decoders: catches their panics, and does not change the process's panic hook.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Whether this thread is running such a decoder.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is running a decoder whose panics this crate catches and returns as [`Error::Codec`](crate::Error::Codec).
///
/// The crate does not change the panic hook, so the hook reports these panics as it reports all others. A program that does not
/// want these reports installs a hook that calls this function:
///
/// ```
/// let previous = std::panic::take_hook();
/// std::panic::set_hook(Box::new(move |panic| {
///     if !pig_dicom::panics_are_caught_here() {
///         previous(panic);
///     }
/// }));
/// ```
pub fn panics_are_caught_here() -> bool {
    CAUGHT.get()
}

/// Marks the thread until the guard is dropped.
struct Guard {
    before: bool,
}

impl Guard {
    fn enter() -> Self {
        Self { before: CAUGHT.replace(true) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        CAUGHT.set(self.before);
    }
}

/// Runs `work` and returns its result, or `None` if it panicked. `work` must run on this thread, and a panic must not leave its
/// data half changed.
pub(crate) fn catching<T>(work: impl FnOnce() -> T) -> Option<T> {
    let _guard = Guard::enter();
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_ends_with_the_work_and_with_its_panic() {
        assert!(!panics_are_caught_here());
        assert_eq!(catching(panics_are_caught_here), Some(true));
        assert!(!panics_are_caught_here());
        assert_eq!(catching(|| -> i32 { panic!("caught") }), None);
        assert!(!panics_are_caught_here());
    }

    #[test]
    fn marks_nest() {
        let after_inner = catching(|| {
            assert_eq!(catching(|| -> i32 { panic!("the inner one") }), None);
            let after_panic = panics_are_caught_here();
            assert_eq!(catching(|| 3), Some(3));
            [after_panic, panics_are_caught_here()]
        });
        assert_eq!(after_inner, Some([true, true]));
        assert!(!panics_are_caught_here());
    }

    #[test]
    fn other_threads_are_not_marked() {
        let elsewhere = catching(|| std::thread::spawn(panics_are_caught_here).join());
        assert!(matches!(elsewhere, Some(Ok(false))));
    }
}
