//! `pig report`.

use crate::{
    args::{Args, Report},
    terminal::{Terminal, device},
};
use pig_study::report::{Request, report};
use std::process::ExitCode;

/// Writes the page of a folder; its numbers go to stdout with --json.
pub(crate) fn run(args: &Args, asked: &Report) -> anyhow::Result<ExitCode> {
    asked.out.iter().try_for_each(|path| pig_files::check_writable(path))?;
    let request = Request { path: asked.path.clone(), data: asked.data.clone(), count: asked.count };
    let found = report(&request, &device(args)?, &Terminal::new(args)?)?;
    let path = asked.out.clone().unwrap_or_else(|| asked.path.join("report.html"));
    found.document.write(&path)?;
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&found.json)?);
    } else {
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
