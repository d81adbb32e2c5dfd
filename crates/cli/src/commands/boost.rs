//! `pig boost`.

use crate::{
    args::{Args, Boost},
    terminal::{Terminal, device, duration},
};
use pig_study::boost::{Advice, Part, Plan, Request, Summary, boost, planned};
use std::process::ExitCode;

/// Does everything from the plan to the answer, or prints the plan.
pub(crate) fn run(args: &Args, asked: &Boost) -> anyhow::Result<ExitCode> {
    let (terminal, device) = (Terminal::new(args)?, device(args)?);
    let request = Request {
        data: asked.data.clone(),
        hours: asked.hours,
        size: asked.size,
        plan: asked.plan.clone(),
        out: asked.out.clone(),
    };
    if asked.dry_run {
        let plan = planned(&request, &device, &terminal)?;
        if args.machine.json {
            println!("{}", serde_json::to_string_pretty(&json(&plan)?)?);
        } else {
            print!("{plan}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(summary) = boost(&request, &device, &terminal)? else {
        if !args.machine.quiet {
            eprintln!("stopped; run the same command again to continue");
        }
        return Ok(ExitCode::from(130));
    };
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        print(&summary);
    }
    Ok(ExitCode::SUCCESS)
}

/// The plan with its warnings and its configurations, as JSON.
fn json(plan: &Plan) -> anyhow::Result<serde_json::Value> {
    let mut value = serde_json::to_value(plan)?;
    value["warnings"] = plan.warnings().into();
    value["crossval"] = serde_json::to_value(&plan.crossval)?;
    value["generator"] = plan.generator.clone().into();
    Ok(value)
}

fn print(summary: &Summary) {
    let advice: &Advice = &summary.advice;
    println!("{}. {}", advice.title(), advice.reason());
    if let Some(best) = &summary.best {
        println!("{} generated pairs: {}", best.generated, best.pairs.display());
        if let Some((folder, real)) = &best.joined {
            println!("with {real} real pairs: {}", folder.display());
        }
    }
    println!("page: {}", summary.page.display());
    for (part, (forecast, taken)) in Part::ALL.iter().zip(summary.forecast.iter().zip(&summary.taken)) {
        let note = if taken.interrupted > 0 { ", without what was interrupted" } else { "" };
        let (forecast, taken) = (duration(*forecast), duration(taken.seconds));
        println!("  {}: forecast about {forecast}, took {taken}{note}", part.words());
    }
}
