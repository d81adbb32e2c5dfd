//! `pig demo`.

use crate::{
    args::{Args, Demo},
    commands::exit_code,
    terminal::{Terminal, device},
};
use pig_study::demo::{DemoRequest, demo};
use pig_train::observer::Outcome;
use std::process::ExitCode;

/// Runs the demo and says where its page is.
pub(crate) fn run(args: &Args, asked: &Demo) -> anyhow::Result<ExitCode> {
    let request = DemoRequest {
        out: asked.out.clone(),
        patients: asked.patients as usize,
        calcifications: asked.calcifications,
        count: asked.count,
        minutes: asked.minutes,
        sets: asked.sets.clone(),
    };
    let summary = demo(&request, &device(args)?, &Terminal::new(args)?)?;
    let finished = summary.outcome == Outcome::Finished;
    if !finished {
        eprintln!("stopped; run the same command again to continue");
    }
    if args.machine.json {
        let json = serde_json::json!({
            "finished": finished,
            "page": finished.then_some(&summary.page),
            "agreement": summary.agreement,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else if let Some(agreement) = &summary.agreement {
        println!("{agreement}");
        println!("the page: {}", summary.page.display());
    }
    Ok(exit_code(summary.outcome))
}
