//! Progress of long jobs: a bar on a terminal, plain lines elsewhere, always on stderr.

use crate::{args::Args, ranks::Local, signals};
use anyhow::Context;
use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressStyle};
use pig_device::DeviceKind;
use pig_train::{
    observer::{Cache, Event, Observer},
    ranks::{Link, Ranks},
};
use std::{
    ffi::OsString,
    io::IsTerminal,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The time between plain lines of progress.
const PLAIN_INTERVAL: Duration = Duration::from_secs(15);
/// The environment variable with another number of seconds, for programs that follow the lines.
const INTERVAL_VARIABLE: &str = "PIG_PROGRESS_SECONDS";

/// The terminal as an observer; Ctrl-C, SIGTERM and SIGHUP ask the job to stop, unless they were ignored when it began.
pub(crate) struct Terminal<'a> {
    quiet: bool,
    bars: bool,
    interval: Duration,
    stop: Arc<AtomicBool>,
    stage: Mutex<Option<Stage>>,
    cache: Option<PathBuf>,
    ranks: Ranks<'a>,
}

struct Stage {
    name: String,
    total: usize,
    first: usize,
    since: Instant,
    shown: Instant,
    bar: Option<ProgressBar>,
}

impl<'a> Terminal<'a> {
    /// An observer for one of several processes that train together: the first one shows what happens.
    pub(crate) fn of_rank(args: &Args, link: &'a dyn Link) -> anyhow::Result<Self> {
        let ranks = Ranks::of(link);
        let terminal = Terminal::new(args)?;
        let quiet = terminal.quiet || !ranks.is_first();
        Ok(Self { quiet, bars: terminal.bars && !quiet, ranks, ..terminal })
    }

    /// An observer for this call. A second Ctrl-C ends the program at once.
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        let interval = interval(std::env::var_os(INTERVAL_VARIABLE))?;
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let asked = move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            eprintln!(
                "stopping after this step; what is finished is kept, and a training saves its state (press Ctrl-C again to stop at once)"
            );
        };
        signals::listen(asked).context("cannot listen for Ctrl-C")?;
        let quiet = args.machine.quiet;
        let (bars, cache) = (!quiet && std::io::stderr().is_terminal(), args.machine.cache());
        Ok(Self { quiet, bars, interval, stop, stage: Mutex::new(None), cache, ranks: Ranks::default() })
    }

    fn say(&self, text: &str) {
        match self.stage.lock().ok().as_ref().and_then(|stage| stage.as_ref()?.bar.as_ref()) {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    fn begin(&self, name: String, total: usize, done: usize) {
        let bar = self.bars.then(|| {
            let bar = ProgressBar::new(total as u64).with_position(done as u64);
            let template = "{prefix} {bar:30} {pos}/{len}  {msg}  {elapsed} + {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(name.clone());
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        if let Ok(mut stage) = self.stage.lock() {
            *stage = Some(Stage { name, total, first: done, since: now, shown: now, bar });
        }
    }

    fn progress(&self, done: usize, message: String) {
        let Ok(mut stage) = self.stage.lock() else { return };
        let Some(stage) = stage.as_mut() else { return };
        if let Some(bar) = &stage.bar {
            bar.set_position(done as u64);
            bar.set_message(message);
        } else if !self.quiet && (stage.shown.elapsed() >= self.interval || done == stage.total) {
            stage.shown = Instant::now();
            let (worked, left) = (done - stage.first.min(done), stage.total - done.min(stage.total));
            let seconds = stage.since.elapsed().as_secs_f64() * left as f64 / worked.max(1) as f64;
            eprintln!("{} {done}/{}  {message}  {} left", stage.name, stage.total, duration(seconds));
        }
    }

    fn end(&self) {
        if let Some(stage) = self.stage.lock().ok().and_then(|mut stage| stage.take()) {
            if let Some(bar) = stage.bar {
                bar.finish_and_clear();
            }
            if !self.quiet {
                eprintln!("{}: {}", stage.name, duration(stage.since.elapsed().as_secs_f64()));
            }
        }
    }
}

impl Observer for Terminal<'_> {
    fn event(&self, event: Event) {
        match event {
            Event::Note(text) if !self.quiet => self.say(&text),
            Event::Note(_) => {}
            Event::Warning(text) => self.say(&format!("warning: {text}")),
            Event::Begin { stage, total, done } => self.begin(stage, total, done),
            Event::Progress { done, message } => self.progress(done, message),
            Event::End => self.end(),
        }
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn ranks(&self) -> Ranks<'_> {
        self.ranks
    }

    fn cache(&self) -> Option<Cache<'_>> {
        self.cache.as_deref().map(|folder| Cache { folder, warned: self })
    }
}

/// The time between plain lines of progress, by the value of [`INTERVAL_VARIABLE`].
fn interval(value: Option<OsString>) -> anyhow::Result<Duration> {
    let Some(value) = value else { return Ok(PLAIN_INTERVAL) };
    let seconds = value.to_str().and_then(|text| text.trim().parse().ok());
    let interval = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    interval.with_context(|| {
        format!(
            "the environment variable {INTERVAL_VARIABLE} is \"{}\"; expected a number of seconds, such as 15; correct or unset it",
            value.display()
        )
    })
}

/// A number of seconds as text: 45 s, 3 min 20 s, 2 h 5 min.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Opens the requested device. Names a GPU on stderr, because `auto` may have chosen it, and warns if all processes of a machine take the same.
pub(crate) fn device(args: &Args) -> anyhow::Result<Device> {
    let (request, local) = (args.machine.device, Local::found());
    let opened = match local {
        Local::Alone => pig_device::open(request)?,
        Local::Number(number) => pig_device::open_own(request, number)?,
        // A machine may show each process its own GPU alone, which is then the first.
        Local::Unknown => pig_device::open_own(request, 0)?,
    };
    if opened.kind != DeviceKind::Cpu {
        if !args.machine.quiet {
            eprintln!("device: {} ({})", opened.label(), opened.name);
        }
        if let Some(text) = local.warning(request, &opened.label()) {
            eprintln!("warning: {text}");
        }
    }
    Ok(opened.device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_between_lines_is_a_number_of_seconds() {
        let of = |text: &str| interval(Some(text.into()));
        assert_eq!(interval(None).unwrap(), PLAIN_INTERVAL);
        assert_eq!((of("0").unwrap(), of(" 0.5 ").unwrap()), (Duration::ZERO, Duration::from_millis(500)));
        for wrong in ["", "soon", "-1", "nan", "1e30"] {
            let message = of(wrong).unwrap_err().to_string();
            assert!(message.contains(INTERVAL_VARIABLE) && message.contains(&format!("{wrong:?}")), "{message}");
        }
    }
}
