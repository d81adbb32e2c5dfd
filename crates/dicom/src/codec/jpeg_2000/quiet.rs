//! Panics of code that is not ours: caught, and not printed.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether panics of this thread are caught, so that nobody needs to read of them.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Lets the process's panic hook pass over panics of threads that are quiet; all others go to the hook that was there. A
/// hook that is set later and does not call this one prints them again.
fn install() {
    // A hook cannot be exchanged while this thread unwinds; the next call does it.
    if std::thread::panicking() {
        return;
    }
    HOOK.call_once(|| {
        let shown = take_hook();
        set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                shown(panic);
            }
        }));
    });
}

/// What `work` gives; `None` where it panicked, of which nothing is printed. `work` must run on this thread and leave nothing
/// half done behind.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    install();
    let before = QUIET.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    outcome.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set in the process that this test starts from itself.
    const CHILD: &str = "PIG_DICOM_PANICKING_CHILD";

    #[test]
    fn caught_panics_are_not_printed_and_others_are() {
        if std::env::var_os(CHILD).is_some() {
            assert_eq!(quietly(|| 3), Some(3));
            assert_eq!(quietly(|| -> i32 { panic!("a quiet one") }), None);
            let loud = std::thread::spawn(|| panic!("a loud one"));
            // Quiet on this thread alone, while another one panics.
            assert_eq!(quietly(|| loud.join().is_err()), Some(true));
            assert!(catch_unwind(|| panic!("loud afterwards")).is_err());
            return;
        }
        let name = "codec::jpeg_2000::quiet::tests::caught_panics_are_not_printed_and_others_are";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr).into_owned() + &String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        assert!(!said.contains("a quiet one"), "{said}");
        assert!(said.contains("a loud one") && said.contains("loud afterwards"), "{said}");
    }
}
