//! The binary `pig`: paired image generation.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 an error that the user can correct, 2 a fault of pig itself, 130
//! interrupted after the state was saved.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

// First, since its macros replace those of the standard library in what follows.
#[macro_use]
mod output;

mod args;
mod commands;
mod failure;
mod ranks;
mod signals;
mod terminal;

use args::{Args, Command};
use clap::Parser;
use failure::{USER_ERROR, message};
use std::process::ExitCode;

/// A fault of pig itself.
const INTERNAL_ERROR: u8 = 2;

fn main() -> ExitCode {
    pass_over_caught_panics();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked_for_help = !error.use_stderr();
            // An error here means a closed pipe, which is no fault of pig.
            let _ = error.print();
            return ExitCode::from(if asked_for_help { 0 } else { USER_ERROR });
        }
    };
    let result = std::panic::catch_unwind(|| run(&args));
    match result {
        Ok(Ok(code)) => match output::lost() {
            None => code,
            Some(problem) => {
                eprintln!("error: stdout: {problem}; a part of the results was not printed");
                ExitCode::from(USER_ERROR)
            }
        },
        Ok(Err(error)) => {
            eprintln!("error: {}", message(&error));
            ExitCode::from(USER_ERROR)
        }
        Err(_) => {
            eprintln!("error: this is a fault of pig, not of your data; please report the lines above");
            ExitCode::from(INTERNAL_ERROR)
        }
    }
}

/// Makes the panic hook silent for the panics of decoders that are caught and become errors of their file; all other panics are reported.
fn pass_over_caught_panics() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !pig_dicom::panics_are_caught_here() {
            previous(panic);
        }
    }));
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(workers) = args.machine.workers {
        rayon::ThreadPoolBuilder::new().num_threads(workers).build_global()?;
    }
    if !matches!(args.command, Command::Train(_)) {
        ranks::check_alone()?;
    }
    // The command runs on a thread of the pool. Such a thread hands work to the others without going to sleep itself, so each of the
    // hundreds of operations in a forward pass needs one thread switch instead of three.
    let compute = |command: &(dyn Fn() -> anyhow::Result<ExitCode> + Sync)| rayon::scope(|_| command());
    match &args.command {
        Command::Demo(demo) => compute(&|| commands::demo::run(args, demo)),
        Command::Prepare(prepare) => commands::prepare::run(args, prepare),
        Command::Inspect(inspect) => commands::inspect::run(args, inspect),
        Command::Plan(plan) => compute(&|| commands::plan::run(args, plan)),
        Command::Train(train) => compute(&|| commands::train::run(args, train)),
        Command::Sample(sample) => compute(&|| commands::sample::run(args, sample)),
        Command::Fid(fid) => compute(&|| commands::fid::run(args, fid)),
        Command::Compare(compare) => commands::compare::run(args, compare),
        Command::Segment(segment) => compute(&|| commands::segment::run(args, segment)),
        Command::Boost(boost) => compute(&|| commands::boost::run(args, boost)),
        Command::Curate(curate) => compute(&|| commands::curate::run(args, curate)),
        Command::Crossval(crossval) => compute(&|| commands::crossval::run(args, crossval)),
        Command::Experiment(experiment) => compute(&|| commands::experiment::run(args, experiment)),
        Command::Report(report) => compute(&|| commands::report::run(args, report)),
        Command::Export(export) => commands::export::run(args, export),
        Command::Weights(weights) => commands::weights::run(args, weights),
        Command::Serve(serve) => commands::serve::run(args, serve),
        Command::Config(config) => commands::config::run(args, config),
        Command::Cache(cache) => commands::cache::run(args, cache),
        Command::Doctor => commands::doctor::run(args),
        Command::Completions(completions) => {
            commands::manuals::completions(completions);
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(man) => commands::manuals::man(man),
        Command::Reference => {
            print!("{}", commands::reference::markdown());
            Ok(ExitCode::SUCCESS)
        }
        Command::Panic => panic!("a panic on request"),
    }
}
