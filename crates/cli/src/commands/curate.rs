//! `pig curate`.

use crate::{
    args::{AreasName, Args, Curate, OrderName},
    commands::exit_code,
    terminal::{Terminal, device},
};
use pig_quality::curate::{Areas, CurateConfig, Order, Request, curate};
use std::process::ExitCode;

/// Chooses pairs and writes their folder.
pub(crate) fn run(args: &Args, asked: &Curate) -> anyhow::Result<ExitCode> {
    let (terminal, device) = (Terminal::new(args)?, device(args)?);
    let config = CurateConfig {
        keep: asked.keep,
        order: match asked.order {
            OrderName::Agreement => Order::Agreement,
            OrderName::Hard => Order::Hard,
        },
        areas: match asked.areas {
            AreasName::Any => Areas::Any,
            AreasName::Real => Areas::Real,
        },
        keep_copies: asked.keep_copies,
    };
    let request = Request {
        pairs: asked.pairs.clone(),
        runs: asked.runs.clone(),
        data: asked.data.clone(),
        splits: asked.splits.clone(),
        test: asked.test.clone(),
        config,
        out: asked.out.clone(),
    };
    let (outcome, summary) = curate(&request, &device, &terminal)?;
    match summary {
        Some(summary) if args.machine.json => println!("{}", serde_json::to_string_pretty(&summary)?),
        Some(summary) => print!("{}: {summary}", asked.out.display()),
        None => eprintln!("stopped; nothing was written"),
    }
    Ok(exit_code(outcome))
}
