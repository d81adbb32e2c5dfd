//! `pig inspect`.

use crate::{
    args::{Args, Inspect},
    commands::prepare::{Bar, config},
};
use pig_prepare::inspect::{Inspection, inspect, privacy::privacy, table_text, write_page};
use std::process::ExitCode;

/// Inspects a folder and prints a report. The exit code is 1 if a file cannot be read.
pub(crate) fn run(args: &Args, asked: &Inspect) -> anyhow::Result<ExitCode> {
    let bar = Bar::new(args, "inspect")?;
    let unreadable = if asked.privacy { tags(args, asked, &bar)? } else { look(args, asked, &bar)? };
    Ok(if unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn tags(args: &Args, asked: &Inspect, bar: &Bar) -> anyhow::Result<usize> {
    let report = privacy(&asked.source, &asked.reading.cost(), bar);
    bar.end();
    let report = report?;
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", report.text());
    }
    Ok(report.unreadable.len())
}

fn look(args: &Args, asked: &Inspect, bar: &Bar) -> anyhow::Result<usize> {
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
    Ok(inspected.report.unreadable.len())
}
