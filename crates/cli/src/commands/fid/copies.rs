//! `pig fid copies`.

use super::inputs::{data_settings, network, remarks};
use crate::args::{Args, Copies};
use pig_data::{Chosen, Part};
use pig_quality::copies::{Request, search};
use serde_json::json;
use std::process::ExitCode;

/// Searches for copies in every space that the folders allow, and writes and prints the results.
pub(super) fn run(args: &Args, asked: &Copies) -> anyhow::Result<ExitCode> {
    asked.csv.iter().chain(&asked.page).try_for_each(|path| pig_files::check_writable(path))?;
    let data = data_settings(&asked.keys.sets)?;
    let has_weights = asked.inception.weights.is_some();
    let network = has_weights.then(|| network(args, &asked.inception)).transpose()?;
    let request = Request {
        training: asked.train.clone(),
        // clap requires it without --splits.
        held_out: asked.held_out.clone().unwrap_or_else(|| asked.train.clone()),
        parts: parts(asked)?,
        generated: asked.generated.clone(),
        side: asked.side as usize,
        flips: !asked.no_flips,
    };
    if let Some([training, held_out]) = request.parts.as_ref().filter(|_| !args.machine.quiet) {
        eprintln!("training: {training}; held out: {held_out}");
    }
    let found = search(&request, network.as_ref(), &data)?;
    if let Some(path) = &asked.csv {
        found.write_csv(path)?;
    }
    if let Some(path) = &asked.page {
        found.page(&request).write(path)?;
    }
    if args.machine.json {
        let json = json!({ "searches": found.searches, "warnings": found.warnings, "notes": found.notes });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        print!("{found}");
        remarks(args, &found.notes, &found.warnings);
    }
    Ok(ExitCode::SUCCESS)
}

/// The training part of the split, and what was held out of it; none without `--splits`.
fn parts(asked: &Copies) -> anyhow::Result<Option<[Chosen; 2]>> {
    let Some(splits) = &asked.splits else { return Ok(None) };
    let held_out = match asked.part {
        Some(part) => Chosen::read(splits, part.into())?,
        None => Chosen::held_out(splits)?,
    };
    Ok(Some([Chosen::read(splits, Part::Training)?, held_out]))
}
