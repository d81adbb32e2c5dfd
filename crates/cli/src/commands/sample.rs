//! `pig sample`.

use crate::{
    args::{Args, Sample},
    commands::exit_code,
    terminal::{Terminal, device},
};
use anyhow::{Context, bail};
use pig_data::folder::Kind;
use pig_quality::nearness::{Nearness, nearness};
use pig_study::starter::{self, Unpacked};
use pig_train::{
    arrays::InitialNoise,
    generation::{Request, Summary, generate},
    given::{GivenSource, given_pictures},
    imported::join::Join,
    run_dir::RunDir,
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The seed that draws halves of the real pictures.
const QUALITY_SEED: u64 = 0;

/// Makes pairs, and prints whether image and mask belong together and whether images are as near to real ones as these to each other.
pub(crate) fn run(args: &Args, asked: &Sample) -> anyhow::Result<ExitCode> {
    let starter = starter_of(asked)?;
    let source = source(asked, starter.as_ref());
    let seeds: Vec<u64> = match (asked.count, &asked.seeds, &asked.initial_noise, &source) {
        (Some(count), ..) => (0..count).collect(),
        (None, Some(seeds), ..) => seeds.0.clone(),
        (None, None, Some(noise), _) => (0..InitialNoise::count(noise)? as u64).collect(),
        (None, None, None, GivenSource::MaskFolder(folder)) => of_each(folder, Kind::Masks, source.flag())?,
        (None, None, None, GivenSource::ImageFolder(folder)) => of_each(folder, Kind::Images, source.flag())?,
        (None, None, None, _) => bail!("the number of pairs to make is not given; give --count N or --seeds A-B"),
    };
    let seeds = asked.shard.map_or(seeds.clone(), |shard| shard.of(&seeds));
    let short = [("num_inference_steps", asked.steps), ("batch_size", asked.batch)];
    let short = short.iter().filter_map(|(key, value)| value.map(|value| format!("sample.{key}={value}")));
    let request = Request {
        run: folder_of(&run_of(asked)?, starter.as_ref()),
        out: asked.out.clone(),
        seeds,
        sets: asked.sets.iter().cloned().chain(short).collect(),
        source,
        classes: asked.classes.clone().map(|shares| shares.0).unwrap_or_default(),
        join: Join { model_x: asked.model_x.clone(), model_y: asked.model_y.clone() },
        initial_noise: asked.initial_noise.clone(),
        save_arrays: asked.save_arrays,
        save_steps: asked.save_steps,
        progress_strips: asked.progress_strips,
        data: asked.data.clone(),
    };
    let summary = generate(&request, &device(args)?, &Terminal::new(args)?)?;
    // Beside the agreement, which says nothing about it. What cannot be measured takes nothing from pairs that are made.
    let quality =
        summary.measured.as_ref().filter(|pairs| !pairs.real.is_empty()).map(|pairs| nearness(pairs, QUALITY_SEED));
    if args.machine.json {
        println!("{}", serde_json::to_string_pretty(&json(&summary, quality.as_ref()))?);
    } else {
        print(&summary, asked);
        match &quality {
            Some(Ok(found)) => println!("{found}"),
            Some(Err(error)) => println!("Picture quality: not measured: {error}"),
            None if summary.measured.is_some() => {
                println!("Picture quality: not measured: the real pairs of the run are not there; give --data DIR");
            }
            None => {}
        }
    }
    Ok(exit_code(summary.outcome))
}

/// A seed for each picture of a folder.
fn of_each(folder: &Path, kind: Kind, flag: &str) -> anyhow::Result<Vec<u64>> {
    Ok((0..given_pictures(folder, kind, flag)?.files.len() as u64).collect())
}

/// The starter model, if `--run` or `--masks-from` names it.
fn starter_of(asked: &Sample) -> anyhow::Result<Option<Unpacked>> {
    let is_meant = [&asked.run, &asked.masks_from].into_iter().flatten().any(|run| is_starter(run));
    Ok(if is_meant { Some(Unpacked::new()?) } else { None })
}

/// Whether the starter model is meant, which a folder of its name is not.
fn is_starter(run: &Path) -> bool {
    run == Path::new(starter::NAME) && !run.exists()
}

/// The run directory that a flag names.
fn folder_of(run: &Path, starter: Option<&Unpacked>) -> PathBuf {
    starter.filter(|_| is_starter(run)).map_or(run, Unpacked::path).to_owned()
}

/// The run whose configuration is used: the given run, or else the first of model_y and model_x that is a run.
fn run_of(asked: &Sample) -> anyhow::Result<PathBuf> {
    let models = [&asked.model_y, &asked.model_x].into_iter().flatten();
    let mut runs = asked.run.iter().chain(models.filter(|path| RunDir::open(path).is_ok()));
    runs.next().cloned().context(
        "neither --model-x nor --model-y is a run; give --run RUN, whose configuration and preparation of the data are used",
    )
}

/// The source of masks or images; clap allows at most one of the flags.
fn source(asked: &Sample, starter: Option<&Unpacked>) -> GivenSource {
    match (&asked.given_mask, &asked.masks_from, &asked.given_image) {
        (Some(folder), ..) => GivenSource::MaskFolder(folder.clone()),
        (_, Some(run), _) => GivenSource::MasksFrom(folder_of(run, starter)),
        (.., Some(folder)) => GivenSource::ImageFolder(folder.clone()),
        _ if asked.training_masks => GivenSource::TrainingMasks,
        _ => GivenSource::Nothing,
    }
}

fn print(summary: &Summary, asked: &Sample) {
    let (finished, made) = (&summary.finished, summary.made);
    match &summary.no_agreement {
        Some(why) => {
            println!("{}: {} images, {made} made now\nPair agreement: {why}", asked.out.display(), finished.pairs);
        }
        None => println!(
            "{}: {} pairs, {made} made now, {} with an empty mask",
            asked.out.display(),
            finished.pairs,
            finished.empty_masks
        ),
    }
    if let Some(choice) = &summary.choice {
        println!("{}", choice.sentence());
    }
    if let Some(latents) = &summary.latents {
        println!("Latents: {}", latents.sentence());
    }
    if let Some(agreement) = &summary.agreement {
        println!("{agreement}");
    }
    for (name, agreement) in &summary.agreement_by_class {
        println!("Class {name}: {agreement}");
    }
}

fn json(summary: &Summary, quality: Option<&pig_quality::Result<Nearness>>) -> serde_json::Value {
    let mut json = serde_json::json!({
        "pairs": summary.finished.pairs,
        "made": summary.made,
        "skipped": summary.skipped,
        "empty_masks": summary.finished.empty_masks,
        "agreement": summary.agreement,
        "quality": quality.and_then(|found| found.as_ref().ok()),
        "no_agreement": summary.no_agreement,
        "latents": summary.latents,
    });
    if let Some(choice) = &summary.choice {
        let natural: serde_json::Map<String, serde_json::Value> =
            choice.natural().into_iter().map(|(name, share)| (name.to_owned(), share.into())).collect();
        json["chosen"] =
            serde_json::json!({ "shares": choice.shares, "samples": choice.held.len(), "without_choice": natural });
    }
    if !summary.agreement_by_class.is_empty() {
        let classes = summary.agreement_by_class.iter().map(|(name, found)| (name.clone(), serde_json::json!(found)));
        json["agreement_by_class"] = classes.collect::<serde_json::Map<_, _>>().into();
    }
    json
}
