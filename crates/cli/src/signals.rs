//! The signals that ask a job to stop.

/// Calls `asked`, on a thread of its own, each time that a signal asks the program to stop: SIGINT (Ctrl-C), SIGTERM and SIGHUP (a terminal
/// that was closed). A signal that was ignored when the program began stays ignored, as `nohup` means it.
#[cfg(unix)]
pub(crate) fn listen(asked: impl Fn() + Send + 'static) -> std::io::Result<()> {
    use signal_hook::{
        consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
        iterator::Signals,
    };
    // Without a handler, a file that grows beyond the limit of the process (`ulimit -f`) ends it; with one, writing gives an error.
    signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default())?;
    let ignored = ignored(&pig_files::read_to_string("/proc/self/status").unwrap_or_default());
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
    let mut signals = Signals::new(wanted.collect::<Vec<_>>())?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            asked();
        }
    })?;
    Ok(())
}

/// The same for Ctrl-C and what else the system has of the kind.
#[cfg(not(unix))]
pub(crate) fn listen(asked: impl Fn() + Send + 'static) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(asked)
}

/// The signals that a process ignores, by the text of its `/proc/PID/status`: bit n - 1 is signal n. Systems without it tell nothing, and
/// none counts as ignored.
#[cfg(unix)]
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let status = "Name:\tpig\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000440\n";
        assert_eq!(ignored(status), 1 | 1 << 12);
        assert_eq!((ignored(""), ignored("SigIgn:\tnone\n")), (0, 0));
    }
}
