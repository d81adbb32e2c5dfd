//! The panic hook belongs to the program: decoding does not change it. This file has only one test, because a process has only
//! one hook.

mod common;

use std::panic::{catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{JPEG_2000, Pixels, decode};
use pig_dicom::{Error, panics_are_caught_here};

/// Panics that the hook below saw inside and outside of a decoder whose panics are caught.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static OUTSIDE: AtomicUsize = AtomicUsize::new(0);

fn seen() -> [usize; 2] {
    [INSIDE.load(Relaxed), OUTSIDE.load(Relaxed)]
}

/// An image that begins 40 columns before the last one that 32 bits can count: the decoder adds the size of a code-block and
/// overflows.
fn panicking() -> Vec<u8> {
    let mut stream = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/b12_unsigned.j2k")).unwrap();
    let from = u32::MAX - 40;
    // Xsiz, XOsiz, XTsiz and XTOsiz (ITU-T T.800 A.5.1).
    for (place, value) in [(8, u32::MAX), (16, from), (24, 40), (32, from)] {
        stream[place..place + 4].copy_from_slice(&value.to_be_bytes());
    }
    Pixels { rows: 36, columns: 40, ..Pixels::default() }.compressed(JPEG_2000, &stream)
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "the decoder panics only if overflow is checked")]
fn decoding_leaves_the_panic_hook_alone() {
    set_hook(Box::new(|_| {
        let counter = if panics_are_caught_here() { &INSIDE } else { &OUTSIDE };
        counter.fetch_add(1, Relaxed);
    }));
    let outcomes: Vec<_> = (1..=2).map(|times| (decode(panicking()), [times, 0] == seen())).collect();
    let own = catch_unwind(|| panic!("not the decoder's"));
    let after = seen();
    // The test's own hook would hide the messages of failed assertions.
    drop(take_hook());
    for (outcome, counted) in outcomes {
        assert!(matches!(&outcome, Err(Error::Codec { reason, .. }) if reason.contains("panic")), "{outcome:?}");
        assert!(counted, "the hook must be called for the decoder's panic and must recognise it");
    }
    assert!(own.is_err());
    assert_eq!(after, [2, 1]);
}
