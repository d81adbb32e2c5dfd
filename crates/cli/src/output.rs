//! What the program prints, after its readers may have gone: `pig train | tee log` must save its state when Ctrl-C ends `tee` first, and
//! `pig sample | head` must make all pairs. The macros of the standard library panic then; those here take their place in the whole program.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write as _},
    sync::OnceLock,
};

/// The first error of stdout that was not a closed pipe, such as that of a full disk.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints results on stdout.
macro_rules! print {
    ($($text:tt)*) => { $crate::output::to_stdout(format_args!($($text)*)) };
}

/// Prints results on stdout, and ends the line.
macro_rules! println {
    ($($text:tt)*) => { $crate::output::to_stdout(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints everything else on stderr, and ends the line.
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::output::to_stderr(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes results. A closed pipe is no error: whoever reads has had enough. Other errors are kept for [`lost`].
pub(crate) fn to_stdout(text: Arguments<'_>) {
    let written = std::io::stdout().lock().write_fmt(text);
    keep(written);
}

/// Writes to stderr. Nobody is left to be told if that fails.
pub(crate) fn to_stderr(text: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

fn keep(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        // The first one is the reason of those that follow.
        let _ = LOST.set(error.to_string());
    }
}

/// Why results did not get to stdout, if some did not.
pub(crate) fn lost() -> Option<&'static str> {
    keep(std::io::stdout().flush());
    LOST.get().map(String::as_str)
}
