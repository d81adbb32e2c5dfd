//! `pig experiment`.

use super::{crossval, exit_code};
use crate::{
    args::{Args, Experiment, InceptionArgs, Pieces, Table1},
    terminal::{Terminal, device},
};
use pig_quality::folders::FolderFeatures;
use pig_study::{
    crossval::{Job, piece::pieces},
    experiments::{self, Request, fig3, low_data, table1, table2},
    report,
};
use pig_train::observer::{Event, Observer, Outcome};
use serde::Serialize;
use std::{fmt::Write, process::ExitCode};

/// Runs the unfinished parts of an experiment and writes its tables and its page, or lists the parts.
pub(crate) fn run(args: &Args, asked: &Experiment) -> anyhow::Result<ExitCode> {
    let (kind, told) = match asked {
        Experiment::Table1(table1) => (experiments::Experiment::Table1, &table1.study),
        Experiment::Table2(study) => (experiments::Experiment::Table2, study),
        Experiment::Fig3(study) => (experiments::Experiment::Fig3, study),
        Experiment::LowData(study) => (experiments::Experiment::LowData, study),
    };
    let study = experiments::Study::read(&Request {
        experiment: kind,
        budget: told.budget.into(),
        config: told.config.clone(),
        sets: told.sets.clone(),
        data: told.data.clone(),
        out: told.out.clone(),
        reuse: told.reuse.clone(),
    })?;
    if told.dry_run {
        print!("{}", plan(&study)?);
        return Ok(ExitCode::SUCCESS);
    }
    let (terminal, device) = (Terminal::new(args)?, device(args)?);
    let selection = told.pieces.selection();
    if told.pieces.jobs {
        return jobs(args, &study, &told.pieces, &device, &terminal);
    }
    let fold = told.pieces.fold.unwrap_or(0);
    let (outcome, shown) = match asked {
        Experiment::Table1(asked) => run_table1(args, &study, asked, (&device, &terminal))?,
        Experiment::Table2(_) => {
            let (outcome, found) = table2::run(&study, &selection, &device, &terminal)?;
            (outcome, found.map(|found| shown(args, &found, found.to_string())).transpose()?)
        }
        Experiment::LowData(_) => {
            let (outcome, found) = low_data::run(&study, &selection, &device, &terminal)?;
            (outcome, found.map(|found| shown(args, &found, found.to_string())).transpose()?)
        }
        Experiment::Fig3(_) => {
            let (outcome, found) = fig3::run(&study, fold, &device, &terminal)?;
            (outcome, found.map(|found| shown(args, &found, found.to_string())).transpose()?)
        }
    };
    if let Some(shown) = shown {
        let request = report::Request { path: told.out.clone(), data: Some(told.data.clone()), count: 0 };
        report::report(&request, &device, &terminal)?.document.write(&told.out.join("report.html"))?;
        println!("{shown}");
    }
    if outcome == Outcome::Interrupted && !args.machine.quiet {
        eprintln!("stopped; run the same command again to continue");
    }
    Ok(exit_code(outcome))
}

fn shown<T: Serialize>(args: &Args, found: &T, text: String) -> anyhow::Result<String> {
    Ok(if args.machine.json { serde_json::to_string_pretty(found)? } else { text })
}

/// The parts of the first fold, and the configuration.
fn plan(study: &experiments::Study) -> anyhow::Result<String> {
    let mut text = format!("# {}\n", study.notes());
    let file = &study.loaded.file;
    for (name, generator) in &file.generators {
        writeln!(text, "# generator {name}: {} {}", generator.config.display(), generator.set.join(" "))?;
    }
    if let Some(arms) = study.arms()? {
        let labels: Vec<String> = pieces(&arms, 0).into_iter().map(|piece| piece.label(&arms)).collect();
        writeln!(
            text,
            "# {} folds, each of {} parts: {}",
            file.crossval.folds,
            labels.len(),
            distinct(labels).join(", ")
        )?;
    }
    // The answer comes first: the configuration fills several screens.
    write!(text, "\n{}", study.loaded.to_toml())?;
    Ok(text)
}

fn distinct(mut labels: Vec<String>) -> Vec<String> {
    labels.dedup();
    labels
}

fn jobs(
    args: &Args,
    study: &experiments::Study,
    pieces: &Pieces,
    device: &burn::tensor::Device,
    terminal: &Terminal<'_>,
) -> anyhow::Result<ExitCode> {
    study.begin()?;
    let crossvals = study.crossvals(terminal)?;
    anyhow::ensure!(
        !crossvals.is_empty(),
        "{} has no parts that can be listed; it trains one generator after the other, and continues where it stopped",
        study.request.experiment.word()
    );
    let mut all = Vec::new();
    for crossval in &crossvals {
        all.push((crossval.out().to_owned(), crossval.jobs(&pieces.selection(), pieces.sbatch, device, terminal)?));
    }
    if pieces.sbatch {
        let jobs: Vec<Job> = all.into_iter().flat_map(|(_, jobs)| jobs).collect();
        print!("{}", crossval::script(&jobs)?);
        return Ok(ExitCode::SUCCESS);
    }
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(ExitCode::SUCCESS);
    }
    for (out, jobs) in &all {
        println!("{}", out.display());
        print!("{}", crossval::list(jobs));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the images and measures every method against every reference.
fn run_table1(
    args: &Args,
    study: &experiments::Study,
    asked: &Table1,
    (device, terminal): (&burn::tensor::Device, &Terminal<'_>),
) -> anyhow::Result<(Outcome, Option<String>)> {
    let Pieces { fold, arm, .. } = &asked.study.pieces;
    let (outcome, made) = table1::make(study, fold.unwrap_or(0), arm.as_deref(), device, terminal)?;
    let Some(made) = made else { return Ok((outcome, None)) };
    let measured = measure(&made, &asked.inception, device, terminal)?;
    let found = table1::Table1::new(study, &made, measured);
    found.write(&asked.study.out)?;
    Ok((outcome, Some(shown(args, &found, found.to_string())?)))
}

fn measure(
    made: &table1::Made,
    inception: &InceptionArgs,
    device: &burn::tensor::Device,
    terminal: &Terminal<'_>,
) -> anyhow::Result<Vec<table1::Measured>> {
    let mut features = FolderFeatures::open(inception.settings().as_ref(), device)?;
    if let Some(warning) = features.warning() {
        terminal.event(Event::Warning(warning));
    }
    let mut measured = Vec::new();
    for reference in &made.references {
        for method in &made.methods {
            terminal.event(Event::Note(format!("{} against {}", method.name, reference.name)));
            let found = features.compare(&reference.folder, &method.folder)?;
            measured.push(table1::Measured::new(method, reference, &found));
        }
    }
    Ok(measured)
}
