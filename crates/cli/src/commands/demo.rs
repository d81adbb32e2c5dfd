//! `pig demo`.

use crate::{
    args::{Args, Demo},
    commands::exit_code,
    terminal::{Terminal, device},
};
use pig_train::demo::{DemoRequest, demo};
use std::process::ExitCode;

/// Runs the demo and says where its page is.
pub(crate) fn run(args: &Args, asked: &Demo) -> anyhow::Result<ExitCode> {
    let request = DemoRequest {
        out: asked.out.clone(),
        patients: asked.patients as usize,
        count: asked.count,
        sets: asked.sets.clone(),
    };
    let summary = demo(&request, &device(args), &Terminal::new(args)?)?;
    let Some(agreement) = &summary.agreement else {
        eprintln!("stopped; the same command goes on from here");
        return Ok(exit_code(summary.outcome));
    };
    if args.machine.json {
        let json = serde_json::json!({ "page": summary.page, "agreement": agreement });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        println!("{agreement}");
        println!("the page: {}", summary.page.display());
    }
    Ok(exit_code(summary.outcome))
}
