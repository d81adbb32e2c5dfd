//! `pig prepare`.

use crate::{
    args::{Args, Prepare, Reading},
    terminal::Terminal,
};
use pig_prepare::{
    Key, PrepareConfig, Request, Summary,
    pipeline::{Plan, Progress, plan},
    prepare,
    settings::ConfigFile,
};
use pig_train::{
    config::Layers,
    observer::{Event, Observer},
};
use std::process::ExitCode;

/// How many files with errors are printed on the terminal; errors.csv lists all.
const TOLD: usize = 5;

/// Prepares a folder and prints a summary.
pub(crate) fn run(args: &Args, asked: &Prepare) -> anyhow::Result<ExitCode> {
    let config = config(&asked.reading)?;
    let key = match (&asked.key, &asked.new_key) {
        (Some(path), _) => {
            Key::check_outside(path, &asked.out)?;
            Some(Key::read(path)?)
        }
        (None, Some(path)) => {
            Key::check_outside(path, &asked.out)?;
            Some(Key::create(path)?)
        }
        (None, None) => None,
    };
    let links = asked.links.clone();
    let request = Request {
        source: asked.source.clone(),
        out: asked.out.clone(),
        layout: asked.reading.layout,
        config,
        key,
        strict: asked.strict,
        cost: asked.reading.cost(),
        links,
        prune: asked.prune,
    };
    let bar = Bar::new(args, "prepare")?;
    if asked.dry_run {
        let plan = plan(&request, &bar);
        bar.end();
        return planned(args, asked, &request, &plan?);
    }
    let summary = prepare(&request, &bar);
    bar.end();
    let summary = summary?;
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&json(&summary))?);
    } else {
        print(&summary, asked);
    }
    Ok(match (summary.stopped, summary.errors.is_empty()) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(1),
    })
}

/// Prints what would be prepared, and then the settings.
fn planned(args: &Args, asked: &Prepare, request: &Request, plan: &Plan) -> anyhow::Result<ExitCode> {
    let file = ConfigFile { prepare: request.config.clone() };
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "plan": plan, "prepare": file.prepare }))?);
        return Ok(ExitCode::SUCCESS);
    }
    let [height, width] = request.config.size;
    let kind = if plan.channels == 3 { "RGB" } else { "gray" };
    println!(
        "# {}: {} image(s) or volume(s), layout {}, become {kind} pairs of {height} x {width}",
        asked.source.display(),
        plan.cases,
        plan.layout
    );
    println!("# {} of them in colour, which is {}", plan.coloured, plan.colour_becomes);
    println!(
        "# {} without a mask; {} patients{}",
        plan.without_mask,
        plan.patients,
        if plan.needs_key { ": give --key FILE or --new-key FILE" } else { "" }
    );
    for text in &plan.notes {
        println!("# note: {text}");
    }
    for file in &plan.too_large {
        println!("# cannot be prepared: {file}");
    }
    for file in &plan.unreadable {
        println!("# cannot be read: {file}");
    }
    println!("\n{}", file.to_toml());
    Ok(if plan.too_large.is_empty() && plan.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn print(summary: &Summary, asked: &Prepare) {
    let description = &summary.description;
    if summary.stopped {
        eprintln!("stopped; run the same command again to continue");
        return;
    }
    println!(
        "{}: {} pairs of {} image(s) or volume(s), {} with an empty mask; left out: {} without a lesion and {} without a mask",
        asked.out.display(),
        description.pairs,
        description.cases,
        description.empty_masks,
        description.left_out_empty,
        description.left_out_without_mask
    );
    if summary.kept > 0 {
        println!("{} of them were finished before and are kept", summary.kept);
    }
    for note in &summary.notes {
        eprintln!("note: {note}");
    }
    for warning in &summary.warnings {
        eprintln!("warning: {warning}");
    }
    for (_, reason) in summary.errors.iter().take(TOLD) {
        eprintln!("error: {reason}");
    }
    if !summary.errors.is_empty() {
        let path = asked.out.join("errors.csv");
        eprintln!("{} file(s) could not be prepared; {} lists them", summary.errors.len(), path.display());
    }
}

fn json(summary: &Summary) -> serde_json::Value {
    let errors: Vec<_> =
        summary.errors.iter().map(|(file, reason)| serde_json::json!({ "file": file, "reason": reason })).collect();
    serde_json::json!({
        "finished": !summary.stopped,
        "description": summary.description,
        "kept": summary.kept,
        "errors": errors,
        "notes": summary.notes,
        "warnings": summary.warnings,
    })
}

/// The settings of `--config` and `--set`.
pub(crate) fn config(reading: &Reading) -> anyhow::Result<PrepareConfig> {
    let layers = Layers { file: reading.config.clone(), sets: reading.sets.clone() };
    let config = layers.load_as::<ConfigFile>()?.prepare;
    config.check()?;
    Ok(config)
}

/// Shows progress on the terminal.
pub(crate) struct Bar {
    terminal: Terminal<'static>,
    stage: &'static str,
}

impl Bar {
    pub(crate) fn new(args: &Args, stage: &'static str) -> anyhow::Result<Self> {
        Ok(Self { terminal: Terminal::new(args)?, stage })
    }

    pub(crate) fn end(&self) {
        self.terminal.event(Event::End);
    }
}

impl Progress for Bar {
    fn begin(&self, total: usize) {
        self.terminal.event(Event::Begin { stage: self.stage.to_owned(), total, done: 0 });
    }

    fn done(&self, done: usize) {
        self.terminal.event(Event::Progress { done, message: "files".to_owned() });
    }

    fn stop_requested(&self) -> bool {
        self.terminal.stop_requested()
    }
}
