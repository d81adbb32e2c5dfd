//! `pig inspect`.

use crate::{
    args::{Args, Inspect},
    commands::prepare::{Bar, config},
};
use pig_prepare::inspect::{Inspection, inspect, privacy::privacy, table_text, write_page};
use std::process::ExitCode;

/// Inspects a folder and prints a report. The exit code is 1 if a file cannot be read, and 130 if the inspection was stopped:
/// then nothing is said of the folder.
pub(crate) fn run(args: &Args, asked: &Inspect) -> anyhow::Result<ExitCode> {
    asked.page.iter().try_for_each(|path| pig_files::check_writable(path))?;
    let bar = Bar::new(args, "inspect")?;
    if asked.privacy { tags(args, asked, &bar) } else { look(args, asked, &bar) }
}

/// The exit code of a whole inspection.
fn code(unreadable: usize) -> ExitCode {
    if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Says that the inspection was stopped, with `left` files still to look at.
fn stopped(args: &Args, left: usize) -> ExitCode {
    if args.machine.json {
        println!("{}", serde_json::json!({ "finished": false, "left": left }));
    }
    eprintln!("stopped with {left} file(s) still to look at; nothing can be said of the folder");
    ExitCode::from(130)
}

fn tags(args: &Args, asked: &Inspect, bar: &Bar) -> anyhow::Result<ExitCode> {
    let report = privacy(&asked.source, &asked.reading.cost(), bar);
    bar.end();
    let report = report?;
    if report.stopped > 0 {
        return Ok(stopped(args, report.stopped));
    }
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(code(report.unreadable.len()))
}

fn look(args: &Args, asked: &Inspect, bar: &Bar) -> anyhow::Result<ExitCode> {
    let inspection = Inspection {
        source: asked.source.clone(),
        layout: asked.reading.layout,
        config: config(&asked.reading)?,
        cost: asked.reading.cost(),
        near_bits: asked.near_bits,
    };
    let inspected = inspect(inspection, bar);
    bar.end();
    let inspected = inspected?;
    if inspected.stopped > 0 {
        return Ok(stopped(args, inspected.stopped));
    }
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&inspected.report)?);
    } else {
        print!("{}", table_text(&inspected.report));
    }
    if let Some(page) = &asked.page {
        write_page(&inspected, page)?;
        if !args.machine.json {
            println!("\nthe page: {}", page.display());
        }
    }
    Ok(code(inspected.report.unreadable.len()))
}
