//! `pig sample`.

use crate::{
    args::{Args, Sample},
    commands::exit_code,
    terminal::{Terminal, device},
};
use anyhow::bail;
use pig_train::sample::{Request, Summary, mask_paths, sample};
use std::process::ExitCode;

/// Makes pairs and says whether image and mask belong together.
pub(crate) fn run(args: &Args, asked: &Sample) -> anyhow::Result<ExitCode> {
    let seeds: Vec<u64> = match (asked.count, &asked.seeds, &asked.given_mask) {
        (Some(count), ..) => (0..count).collect(),
        (None, Some(seeds), _) => seeds.0.clone(),
        (None, None, Some(folder)) => (0..mask_paths(folder)?.len() as u64).collect(),
        (None, None, None) => bail!("nothing says how many pairs to make; give --count N or --seeds A-B"),
    };
    let seeds = asked.shard.map_or(seeds.clone(), |shard| shard.of(&seeds));
    let short = [("num_inference_steps", asked.steps), ("batch_size", asked.batch)];
    let short = short.iter().filter_map(|(key, value)| value.map(|value| format!("sample.{key}={value}")));
    let request = Request {
        run: asked.run.clone(),
        out: asked.out.clone(),
        seeds,
        sets: asked.sets.iter().cloned().chain(short).collect(),
        given_mask: asked.given_mask.clone(),
        progress_strips: asked.progress_strips,
        data: asked.data.clone(),
    };
    let summary = sample(&request, &device(args)?, &Terminal::new(args)?)?;
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&json(&summary))?);
    } else {
        print(&summary, asked);
    }
    Ok(exit_code(summary.outcome))
}

fn print(summary: &Summary, asked: &Sample) {
    println!(
        "{}: {} pairs, {} made now, {} with an empty mask",
        asked.out.display(),
        summary.finished.pairs,
        summary.made,
        summary.finished.empty_masks
    );
    if let Some(agreement) = &summary.agreement {
        println!("{agreement}");
    }
}

fn json(summary: &Summary) -> serde_json::Value {
    serde_json::json!({
        "pairs": summary.finished.pairs,
        "made": summary.made,
        "skipped": summary.skipped,
        "empty_masks": summary.finished.empty_masks,
        "agreement": summary.agreement,
    })
}
