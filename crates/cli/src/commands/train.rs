//! `pig train`.

use crate::{
    args::{Args, Train},
    commands::exit_code,
    ranks::{self, Process},
    terminal::{Terminal, device, duration},
};
use burn::tensor::Device;
use pig_data::{DataConfig, Dataset, survey::Survey};
use pig_study::{
    plan::{NetworkPlan, Plan, Scaled, plan},
    recipe,
};
use pig_train::{
    Config,
    config::{Layers, Unlabelled},
    observer::{Observer, Outcome, note, warn},
    run_dir::advised,
    training::{self, Resume},
    unlabelled::Folders,
};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Trains, continues a training, or prints what a training would cost; in one of several processes its part of the training.
pub(crate) fn run(args: &Args, train: &Train) -> anyhow::Result<ExitCode> {
    let Some(process) = Process::join()? else { return run_in(args, train, &Terminal::new(args)?) };
    let result = Terminal::of_rank(args, process.link()).and_then(|terminal| {
        terminal.ranks().check_power_of_two()?;
        if let Some(text) = ranks::align_instructions(terminal.ranks())? {
            note(&terminal, text);
        }
        run_in(args, train, &terminal)
    });
    process.leave(result)
}

fn run_in(args: &Args, train: &Train, terminal: &Terminal<'_>) -> anyhow::Result<ExitCode> {
    let (device, is_first) = (device(args)?, terminal.ranks().is_first());
    if train.dry_run || train.plan_hours.is_some() {
        terminal
            .ranks()
            .check_alone("a plan and a dry run measure one process; run `pig plan` first, and train with its file")?;
    }
    if let Some(run) = &train.resume {
        let with = Resume { data: train.data.as_deref(), unlabelled: train.unlabelled.as_deref(), steps: train.steps };
        return ended(args, is_first, run, training::resume_with(run, with, &device, terminal)?);
    }
    let layers = Layers { file: train.config.clone(), sets: train.sets.clone() };
    let mut config = match train.plan_hours {
        Some(hours) => layers.over_config(&planned(train, hours, &device, terminal)?)?,
        None => layers.load_for_training()?,
    };
    if let Some(factor) = train.steps_scale {
        config.train = config.train.with_steps_scaled(factor);
    }
    if train.unlabelled.is_some() && config.train.unlabelled == Unlabelled::None {
        config.train.unlabelled = Unlabelled::Folder;
    }
    // clap requires both without --resume.
    let path = |given: &Option<PathBuf>| given.clone().unwrap_or_default();
    let (data, out) = (path(&train.data), path(&train.out));
    if train.config.is_none() && train.plan_hours.is_none() {
        config.data = survey(&config, train, (&data, &out), terminal)?;
    }
    let folders = Folders { data: &data, unlabelled: train.unlabelled.as_deref(), added: &train.add };
    if train.dry_run {
        return dry_run(args, &config, (folders, &out), &device, terminal);
    }
    let outcome = training::train_with(&config, folders, &out, &device, terminal);
    ended(args, is_first, &out, outcome.map_err(|error| advised(error, &out, "pig train"))?)
}

/// The configuration that `pig plan` decides, whose text is told.
fn planned(train: &Train, hours: f64, device: &Device, terminal: &Terminal<'_>) -> anyhow::Result<Config> {
    let data = train.data.clone().unwrap_or_default();
    let request = recipe::Request { data, unlabelled: train.unlabelled.clone(), hours, size: None };
    let recipe = recipe::recipe(&request, device, terminal)?;
    note(terminal, format!("the plan:\n{}", recipe.text));
    if let Some(text) = recipe.warning() {
        warn(terminal, text);
    }
    Ok(recipe.config)
}

fn ended(args: &Args, is_first: bool, run: &Path, outcome: Outcome) -> anyhow::Result<ExitCode> {
    if args.machine.json && is_first {
        let json = serde_json::json!({ "run": run, "finished": outcome == Outcome::Finished });
        println!("{}", serde_json::to_string_pretty(&json)?);
    }
    Ok(exit_code(outcome))
}

fn dry_run(
    args: &Args,
    config: &Config,
    (folders, out): (Folders<'_>, &Path),
    device: &Device,
    terminal: &Terminal<'_>,
) -> anyhow::Result<ExitCode> {
    let plan = plan(config, folders, out, device, terminal)?;
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&json(&plan))?);
    } else {
        // The answer first: the configuration fills several screens.
        print!("{}\n{}", text(&plan)?, plan.config.to_toml());
    }
    Ok(ExitCode::SUCCESS)
}

fn text(plan: &Plan) -> pig_train::Result<String> {
    let mut text = format!(
        "# training: {} pairs of {} groups; validation: {} pairs of {} groups\n",
        plan.pairs[0], plan.groups[0], plan.pairs[1], plan.groups[1]
    );
    for NetworkPlan { cost, seconds_a_step } in &plan.networks {
        let _ = writeln!(
            text,
            "# {}: {} parameters, {:.2} GFLOP for a forward pass, {} steps of {seconds_a_step:.2} s, {} in total",
            cost.network,
            cost.parameters,
            cost.forward_flops / 1e9,
            cost.steps,
            duration(seconds_a_step * cost.steps as f64),
        );
    }
    if let Some(Scaled { images, size: [height, width] }) = plan.scaled {
        let _ = writeln!(
            text,
            "# these times are scaled, by counted operations, from steps of {images} image(s) of {height} x {width}: whole steps take \
             too long to be measured"
        );
    }
    let budget = plan.budget();
    let _ = writeln!(
        text,
        "# in total: {} parameters; budget {:.1} TFLOP (training images x forward operations, summed over the networks)",
        budget.parameters(),
        budget.flops() / 1e12
    );
    let gigabytes = |bytes: f64| format!("{:.2} GB", bytes / 1e9);
    let peak = plan.peak_memory.map_or(String::new(), |peak| format!("; {} while measuring", gigabytes(peak as f64)));
    let there = plan.available_memory.map_or(String::new(), |there| format!("; {} available", gigabytes(there as f64)));
    let _ = writeln!(text, "# memory: at least {} by count{peak}{there}", gigabytes(plan.needed.total()));
    for warning in &plan.warnings {
        let _ = writeln!(text, "# warning: {warning}");
    }
    let _ = writeln!(
        text,
        "# it can be trained here, in about {} with its previews; the same command without --dry-run begins",
        duration(plan.seconds()?)
    );
    Ok(text)
}

/// Says what the data are and which settings they need, to somebody who gives no configuration. Returns the section `[data]` with what
/// the data decide.
fn survey(
    config: &Config,
    train: &Train,
    (data, out): (&Path, &Path),
    terminal: &Terminal<'_>,
) -> anyhow::Result<DataConfig> {
    let found = Survey::of(&Dataset::discover(data, &config.data)?)?;
    note(terminal, format!("found {found}"));
    let decided = found.decided(&config.data);
    if !train.sets.iter().all(|set| set.trim_start().starts_with("data.")) {
        // Whoever sets networks or training has a configuration.
        return Ok(decided);
    }
    note(
        terminal,
        format!(
            "there is no --config: the networks and their training are the paper's, which takes long. For these data, a file with\n{}\n\
             and the other sections of configs/hq.toml, which was measured with short trainings, is a good beginning:\n\
             pig train --config configs/hq.toml --data {} --out {}",
            found.section(&config.data),
            data.display(),
            out.display()
        ),
    );
    Ok(decided)
}

fn json(plan: &Plan) -> serde_json::Value {
    let budget = plan.budget();
    let networks: Vec<serde_json::Value> = plan
        .networks
        .iter()
        .map(|NetworkPlan { cost, seconds_a_step }| {
            serde_json::json!({
                "name": cost.network, "network": cost.network, "parameters": cost.parameters, "forward_flops": cost.forward_flops,
                "frozen_flops": cost.frozen_flops, "images": cost.images,
                "steps": cost.steps, "seconds_a_step": seconds_a_step,
            })
        })
        .collect();
    serde_json::json!({
        "pairs": { "training": plan.pairs[0], "validation": plan.pairs[1] },
        "groups": { "training": plan.groups[0], "validation": plan.groups[1] },
        "scaled_from": plan.scaled.map(|Scaled { images, size }| serde_json::json!({ "images": images, "size": size })),
        "networks": networks, "parameters": budget.parameters(), "budget_flops": budget.flops(),
        "peak_memory_bytes": plan.peak_memory, "needed_memory_bytes": plan.needed.total(),
        "available_memory_bytes": plan.available_memory, "warnings": plan.warnings, "channels": plan.config.data.channels,
    })
}
