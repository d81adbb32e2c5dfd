//! `pig config show`, `check` and `budget`.

use crate::{
    args::{Args, BudgetArgs, Config, ConfigArgs},
    terminal::device,
};
use pig_study::budget::{Budget, TOLERANCE, budget};
use pig_train::{config::Layers, imported::frozen::resolve};
use std::{fmt::Write, path::Path, process::ExitCode};

/// Prints or checks a configuration.
pub(crate) fn run(args: &Args, command: &Config) -> anyhow::Result<ExitCode> {
    let load = |args: &ConfigArgs| Layers { file: args.config.clone(), sets: args.sets.clone() }.load_for_training();
    let json = args.machine.json;
    match command {
        Config::Show(asked) if json => println!("{}", serde_json::to_string_pretty(&load(asked)?)?),
        Config::Show(asked) => print!("{}", load(asked)?.to_toml()),
        Config::Check(asked) => {
            resolve(&load(asked)?)?;
            println!("{}", if json { r#"{ "usable": true }"# } else { "the configuration can be used" });
        }
        Config::Budget(asked) => return budgets(args, asked),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the budgets of all configurations, and whether each equals that of the first.
fn budgets(args: &Args, asked: &BudgetArgs) -> anyhow::Result<ExitCode> {
    let device = device(args)?;
    let count = |file: &std::path::PathBuf| -> anyhow::Result<(&'static str, Budget)> {
        let config = Layers { file: Some(file.clone()), sets: asked.sets.clone() }.load()?;
        let (config, _) = resolve(&config)?;
        Ok((config.method.word(), budget(&config, &device)?))
    };
    let counted = asked.configs.iter().map(count).collect::<anyhow::Result<Vec<_>>>()?;
    let first = &counted[0].1;
    let equal = counted.iter().all(|(_, budget)| budget.equals(first));
    if args.machine.json {
        let configs: Vec<serde_json::Value> = asked
            .configs
            .iter()
            .zip(&counted)
            .map(|(file, (method, budget))| json(file, method, budget, first))
            .collect();
        println!("{}", serde_json::to_string_pretty(&serde_json::json!({ "equal": equal, "configs": configs }))?);
    } else {
        for (file, (method, budget)) in asked.configs.iter().zip(&counted) {
            print!("{}", text(file, method, budget, first));
        }
        let (word, share) = (if equal { "equal" } else { "NOT equal" }, 100.0 * TOLERANCE);
        println!("budgets are {word} to the first within {share:.0} %");
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn text(file: &Path, method: &str, budget: &Budget, first: &Budget) -> String {
    let ratio = budget.flops() / first.flops();
    let mut text = format!(
        "{}: {method}, {:.2} TFLOP ({ratio:.3} of the first), {} parameters\n",
        file.display(),
        budget.flops() / 1e12,
        budget.parameters()
    );
    for network in &budget.networks {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "  {:<14} {:>9} parameters, {:>7} images x {:.4} GFLOP",
            network.network,
            network.parameters,
            network.images,
            network.forward_flops / 1e9
        );
        if network.frozen_flops > 0.0 {
            let _ = write!(text, " + {:.4} of frozen networks", network.frozen_flops / 1e9);
        }
        text.push('\n');
    }
    text
}

fn json(file: &Path, method: &str, budget: &Budget, first: &Budget) -> serde_json::Value {
    let networks: Vec<serde_json::Value> = budget
        .networks
        .iter()
        .map(|n| {
            serde_json::json!({
                "network": n.network, "parameters": n.parameters, "images": n.images, "steps": n.steps,
                "forward_flops": n.forward_flops, "frozen_flops": n.frozen_flops,
            })
        })
        .collect();
    serde_json::json!({
        "config": file, "method": method, "parameters": budget.parameters(), "budget_flops": budget.flops(),
        "ratio_to_first": budget.flops() / first.flops(), "networks": networks,
    })
}
