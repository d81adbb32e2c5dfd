//! `pig crossval`.

use crate::{
    args::{Args, Crossval},
    commands::exit_code,
    terminal::{Terminal, device, duration},
};
use pig_study::crossval::{self, Job, Progress};
use pig_train::{config::Layers, observer::Outcome};
use std::{fmt::Write, process::ExitCode};

/// Runs the unfinished pieces, or lists all pieces.
pub(crate) fn run(args: &Args, asked: &Crossval) -> anyhow::Result<ExitCode> {
    let (terminal, device) = (Terminal::new(args)?, device(args)?);
    let layers = Layers { file: asked.config.clone(), sets: asked.sets.clone() };
    let crossval = crossval::Crossval::open(&layers, &asked.data, &asked.out, &terminal)?;
    let selection = asked.pieces.selection();
    if asked.pieces.jobs {
        let jobs = crossval.jobs(&selection, &device, &terminal)?;
        if args.machine.json {
            println!("{}", serde_json::to_string_pretty(&jobs)?);
        } else {
            print!("{}", list(&jobs));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = crossval.run(&selection, &device, &terminal)?;
    if outcome == Outcome::Finished {
        let results = crossval.results()?;
        if args.machine.json {
            println!("{}", serde_json::to_string_pretty(&results)?);
        } else {
            print!("{results}");
        }
    } else if !args.machine.quiet {
        eprintln!("stopped; run the same command again to continue");
    }
    Ok(exit_code(outcome))
}

pub(super) fn list(jobs: &[Job]) -> String {
    let mut text = String::new();
    for job in jobs {
        let state = match job.progress {
            Progress::Done => "done",
            Progress::Begun => "begun",
            Progress::Open => "open",
        };
        let seed = job.seed.map(|seed| format!("--seed {seed}")).unwrap_or_default();
        let time = match (&job.time, job.progress) {
            (None, _) => "time unknown".to_owned(),
            (Some(time), Progress::Done) => format!("took {}", duration(time.seconds)),
            (Some(time), _) => format!("about {} ({})", duration(time.seconds), time.from),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{state:5}  --fold {} --arm {} {seed}  {time}", job.fold, job.arm);
    }
    let left: Vec<&Job> = jobs.iter().filter(|job| job.progress != Progress::Done).collect();
    let seconds: f64 = left.iter().filter_map(|job| job.time).map(|time| time.seconds).sum();
    let unknown = left.iter().filter(|job| job.time.is_none()).count();
    let _ = writeln!(
        text,
        "{} of {} pieces are left: about {} on one machine like this, not counting {unknown} of unknown time",
        left.len(),
        jobs.len(),
        duration(seconds)
    );
    text
}
