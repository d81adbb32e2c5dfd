//! `pig crossval`.

use crate::{
    args::{Args, Crossval},
    commands::exit_code,
    terminal::{Terminal, device, duration},
};
use anyhow::Context as _;
use pig_study::{
    crossval::{self, Job, Progress, Submission},
    plan::peak_memory,
};
use pig_train::{config::Layers, observer::Outcome};
use std::{env, fmt::Write, path::Path, process::ExitCode};

/// Runs the unfinished pieces, or lists all pieces.
pub(crate) fn run(args: &Args, asked: &Crossval) -> anyhow::Result<ExitCode> {
    let (terminal, device) = (Terminal::new(args)?, device(args)?);
    let layers = Layers { file: asked.config.clone(), sets: asked.sets.clone() };
    let crossval = crossval::Crossval::open(&layers, &asked.data, &asked.out, &terminal)?;
    let selection = asked.pieces.selection();
    if asked.pieces.jobs {
        let jobs = crossval.jobs(&selection, asked.pieces.sbatch, &device, &terminal)?;
        if asked.pieces.sbatch {
            print!("{}", script(&jobs)?);
        } else if args.machine.json {
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

/// The script that submits pieces to Slurm with this command.
pub(super) fn script(jobs: &[Job]) -> anyhow::Result<String> {
    let program = env::current_exe().context("cannot find the program's own path")?;
    let folder = env::current_dir().context("cannot find the working folder")?;
    let arguments = env::args_os().skip(1).map(|word| text(Path::new(&word))).collect::<anyhow::Result<Vec<_>>>()?;
    let submission = Submission {
        command: [text(&program)?].into_iter().chain(unselected(arguments)).collect(),
        folder: text(&folder)?,
        threads: rayon::current_num_threads(),
        memory: peak_memory(),
    };
    Ok(crossval::sbatch(&submission, jobs))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().with_context(|| format!("{}: is not UTF-8, as a script needs it", path.display()))?;
    Ok(text.to_owned())
}

/// Arguments without those that select or list pieces, since each job selects its own.
fn unselected(arguments: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(word) = arguments.next() {
        let name = word.split('=').next().unwrap_or_default();
        match name {
            "--fold" | "--arm" | "--seed" if name == word => {
                arguments.next();
            }
            "--jobs" | "--sbatch" | "--fold" | "--arm" | "--seed" => {}
            _ => kept.push(word),
        }
    }
    kept
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_selects_its_own_pieces() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let asked = words("crossval --data D --fold 2 --set a=--arm --arm=pig --jobs --out O --seed 1 --sbatch -q");
        assert_eq!(unselected(asked), words("crossval --data D --set a=--arm --out O -q"));
    }
}
