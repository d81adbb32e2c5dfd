//! `pig plan`.

use crate::{
    args::{Args, Plan},
    terminal::{Terminal, device},
};
use pig_study::recipe::{Recipe, Request, commands, recipe};
use pig_train::observer::{note, warn};
use std::process::ExitCode;

/// Writes a configuration for a folder, this machine and so many hours.
pub(crate) fn run(args: &Args, plan: &Plan) -> anyhow::Result<ExitCode> {
    let (terminal, device) = (Terminal::new(args)?, device(args)?);
    if let Some(out) = plan.out.as_ref().filter(|out| out.exists()) {
        anyhow::bail!("{}: it exists, and is not overwritten; choose another --out, or remove it", out.display());
    }
    let request =
        Request { data: plan.data.clone(), unlabelled: plan.unlabelled.clone(), hours: plan.hours, size: plan.size };
    let recipe = recipe(&request, &device, &terminal)?;
    for text in recipe.warnings() {
        warn(&terminal, text);
    }
    if let Some(out) = &plan.out {
        pig_files::write(out, recipe.text.as_bytes())?;
        note(&terminal, format!("wrote {}; then: {}", out.display(), commands(&request, out).join("; ")));
    }
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&json(&recipe))?);
    } else if plan.out.is_none() {
        print!("{}", recipe.text);
    }
    Ok(ExitCode::SUCCESS)
}

fn json(recipe: &Recipe) -> serde_json::Value {
    let settings: Vec<serde_json::Value> = recipe
        .settings
        .iter()
        .map(|setting| {
            serde_json::json!({
                "key": format!("{}.{}", setting.section, setting.key), "value": setting.value, "reason": setting.reason,
            })
        })
        .collect();
    let networks: Vec<serde_json::Value> = recipe
        .networks
        .iter()
        .map(|network| {
            serde_json::json!({
                "name": network.cost.network, "parameters": network.cost.parameters,
                "seconds_a_step": network.seconds_a_step,
            })
        })
        .collect();
    serde_json::json!({
        "settings": settings, "networks": networks, "images": recipe.images, "needed_images": recipe.needed,
        "hours": recipe.hours, "warning": recipe.warning(), "warnings": recipe.warnings(),
    })
}
