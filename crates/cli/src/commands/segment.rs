//! `pig segment`.

use crate::{
    args::{Args, BothEmptyName, Evaluate, Segment, SegmentPredict, SegmentTrain},
    commands::exit_code,
    terminal::{Terminal, device, duration},
};
use anyhow::ensure;
use pig_data::{
    CaseMask, DataConfig, Source,
    class_source::{Named, for_folder},
    classes::names,
    folder::{Groups, Kind, partners},
    table::write_csv,
};
use pig_metrics::{
    bootstrap::{Bootstrap, Estimate},
    classes::{ClassCase, evaluate_classes},
    detection::Matching,
    evaluation::{Case, EvaluationSettings, evaluate},
    overlap::BothEmpty,
};
use pig_segment::{
    config::SegmentFile,
    predict::{PredictRequest, predict},
    run::{SegmentPlan, SegmentRequest, plan, resume, train},
    scores::CASE_COLUMNS,
    truth::TruthFile,
};
use pig_train::{
    config::Layers,
    observer::Outcome,
    run_dir::{RunDir, advised},
};
use rayon::prelude::*;
use std::{path::PathBuf, process::ExitCode};

/// Runs a subcommand of `pig segment`.
pub(crate) fn run(args: &Args, asked: &Segment) -> anyhow::Result<ExitCode> {
    match asked {
        Segment::Train(train) => run_train(args, train),
        Segment::Predict(predict) => run_predict(args, predict),
        Segment::Evaluate(evaluate) => run_evaluate(args, evaluate),
    }
}

fn run_train(args: &Args, asked: &SegmentTrain) -> anyhow::Result<ExitCode> {
    let (terminal, device) = (Terminal::new(args)?, device(args)?);
    let (run, outcome) = if let Some(run) = &asked.resume {
        (run.clone(), resume(run, asked.data.as_deref(), &device, &terminal)?)
    } else {
        let layers = Layers { file: asked.config.clone(), sets: asked.sets.clone() };
        let mut file: SegmentFile = match &asked.like {
            Some(run) => layers.load_above(&RunDir::open(run)?.config()?.data)?,
            None => layers.load_as()?,
        };
        file.segment.train.equal_epochs |= asked.equal_epochs;
        // clap requires both without --resume.
        let path = |given: &Option<PathBuf>| given.clone().unwrap_or_default();
        let (data, out) = (path(&asked.data), path(&asked.out));
        let request = SegmentRequest { data, added: asked.add.clone(), splits: asked.splits.clone(), out: out.clone() };
        if asked.dry_run {
            return dry_run(args, &file, &plan(&file, &request, &device, &terminal)?);
        }
        let outcome = train(&file, &request, &device, &terminal);
        let outcome = outcome.map_err(|error| advised(error, &out, "pig segment train"))?;
        (out, outcome)
    };
    if args.machine.json {
        let json = serde_json::json!({ "run": run, "finished": outcome == Outcome::Finished });
        println!("{}", serde_json::to_string_pretty(&json)?);
    }
    Ok(exit_code(outcome))
}

fn dry_run(args: &Args, file: &SegmentFile, plan: &SegmentPlan) -> anyhow::Result<ExitCode> {
    let &SegmentPlan { mixture, drawn, validation, groups, steps, seconds_a_step } = plan;
    if args.machine.json {
        let json = serde_json::json!({
            "pairs": { "real": mixture.real, "generated": mixture.generated, "validation": validation },
            "groups": { "training": groups[0], "validation": groups[1] },
            "drawn": drawn, "steps": steps, "seconds_a_step": seconds_a_step,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(ExitCode::SUCCESS);
    }
    let generated = match mixture.generated {
        0 => String::new(),
        count => format!(" and {count} generated pairs, of which {drawn} are drawn"),
    };
    println!(
        "# training: {} real pairs of {} groups{generated}; validation: {validation} pairs of {} groups",
        mixture.real, groups[0], groups[1]
    );
    println!(
        "# {steps} steps of {} pairs, {seconds_a_step:.3} s each: {} in total, without validations",
        file.segment.train.batch_size,
        duration(seconds_a_step * steps as f64)
    );
    print!("{}", file.to_toml());
    Ok(ExitCode::SUCCESS)
}

fn run_predict(args: &Args, asked: &SegmentPredict) -> anyhow::Result<ExitCode> {
    let (terminal, device) = (Terminal::new(args)?, device(args)?);
    let TruthFile { data: truth } = Layers { file: None, sets: asked.keys.sets.clone() }.load_as()?;
    let request = PredictRequest {
        run: asked.run.clone(),
        data: asked.data.clone(),
        only: asked.part.chosen()?,
        out: asked.out.clone(),
        probabilities: asked.probabilities,
        truth,
    };
    let found = predict(&request, &device, &terminal)?;
    if args.machine.json {
        let json = serde_json::json!({
            "out": request.out, "pictures": found.pictures, "empty": found.empty, "unread_masks": found.unread_masks,
            "finished": found.outcome == Outcome::Finished,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        println!("{} pictures, nothing found in {}: {}", found.pictures, found.empty, request.out.display());
    }
    Ok(exit_code(found.outcome))
}

/// A prediction and its truth, as read from the files.
struct Masks {
    id: String,
    prediction: Vec<u8>,
    truth: Vec<u8>,
    height: usize,
    width: usize,
}

fn run_evaluate(args: &Args, asked: &Evaluate) -> anyhow::Result<ExitCode> {
    let data = Layers { file: None, sets: asked.keys.sets.clone() }.load()?.data;
    data.check()?;
    let settings = settings(asked)?;
    asked.csv.iter().try_for_each(|path| pig_files::check_writable(path))?;
    let only = asked.part.chosen()?;
    let [pred, truth] =
        [&asked.pred, &asked.truth].map(|folder| Source { only: only.as_ref(), ..Source::all(folder, &data) });
    Source::check_class_column(&[truth, pred])?;
    for source in [pred, truth] {
        if let Some(words) = source.left_out(Kind::Masks)? {
            eprintln!("warning: {words}");
        }
        if let Some(words) = source.rows()?.filter(|_| !args.machine.quiet) {
            eprintln!("note: {words}");
        }
    }
    let files = partners((&asked.pred, pred.masks()?), (&asked.truth, truth.masks()?), |mask: &CaseMask| {
        mask.first.path.as_path()
    })?;
    if let Some(chosen) = only.as_ref().filter(|_| !args.machine.quiet) {
        eprintln!("{chosen}");
    }
    let named = data.may_find_classes().then(|| truth.classes(&data)).transpose()?.flatten();
    let data = match named {
        Some(Named { classes, overlap }) => DataConfig { classes, classes_overlap: overlap, ..data.clone() },
        None => data.clone(),
    };
    let stems = files.iter().map(|(id, ..)| id.as_str());
    let (column, class_column) = (data.group_column.as_deref(), data.class_column.as_deref());
    let groups = match &asked.manifest {
        Some(path) => Groups::of_manifest(path, column, class_column)?,
        None => Groups::of_folder(&asked.truth, column, class_column)?,
    };
    let groups = groups.map(|groups| groups.of(stems)).transpose()?;
    if groups.is_none() && !args.machine.quiet {
        eprintln!(
            "warning: no patients are known; intervals are over cases. Give --manifest with the columns id and patient"
        );
    }
    let configs = [for_folder(&data, &asked.pred)?, for_folder(&data, &asked.truth)?];
    let masks: Vec<Masks> =
        files.par_iter().map(|(id, ours, theirs)| read(id, [ours, theirs], &configs)).collect::<anyhow::Result<_>>()?;
    let group = |index: usize| groups.as_ref().map(|groups| groups[index].as_str());
    if data.has_several_classes() {
        return evaluate_by_class(args, asked, &masks, &data, (&settings, &group));
    }
    let lesion = |labels: &[u8]| labels.iter().map(|&label| label > 0).collect::<Vec<bool>>();
    let lesions: Vec<[Vec<bool>; 2]> =
        masks.iter().map(|masks| [lesion(&masks.prediction), lesion(&masks.truth)]).collect();
    let cases: Vec<Case> = masks
        .iter()
        .enumerate()
        .map(|(index, masks)| Case {
            id: &masks.id,
            prediction: &lesions[index][0],
            truth: &lesions[index][1],
            height: masks.height,
            width: masks.width,
            group: group(index),
        })
        .collect();
    let evaluation = evaluate(&cases, &settings);
    if let Some(path) = &asked.csv {
        write_csv(path, CASE_COLUMNS, &evaluation.per_case)?;
    }
    if args.machine.json {
        let mut json = serde_json::to_value(&evaluation)?;
        json["definition"] = evaluation.definition().into();
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        print!("{evaluation}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What the mean of classes is.
const MEAN: &str = "Dice in the mean of classes: for each picture the mean over the classes that its prediction or its truth has, then \
                    the mean over pictures";

/// Measures each class, and the mean of classes. With --csv there is a file for each class, `NAME-CLASS.csv`.
fn evaluate_by_class<'g>(
    args: &Args,
    asked: &Evaluate,
    masks: &'g [Masks],
    data: &DataConfig,
    (settings, group): (&EvaluationSettings, &dyn Fn(usize) -> Option<&'g str>),
) -> anyhow::Result<ExitCode> {
    let coding = data.coding();
    let of = |labels: &Vec<u8>| coding.masks(labels);
    let by_class: Vec<[Vec<Vec<bool>>; 2]> =
        masks.par_iter().map(|masks| [&masks.prediction, &masks.truth].map(of)).collect();
    let case = |index: usize| {
        let (Masks { id, height, width, .. }, [prediction, truth]) = (&masks[index], &by_class[index]);
        ClassCase { id, prediction, truth, height: *height, width: *width, group: group(index) }
    };
    let cases: Vec<ClassCase> = (0..masks.len()).map(case).collect();
    let found = evaluate_classes(&cases, &names(&data.classes), settings);
    if let Some(path) = &asked.csv {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (name, evaluation) in &found.classes {
            write_csv(&path.with_file_name(format!("{stem}-{name}.csv")), CASE_COLUMNS, &evaluation.per_case)?;
        }
    }
    if args.machine.json {
        let classes: serde_json::Map<String, serde_json::Value> = found
            .classes
            .iter()
            .map(|(name, evaluation)| Ok((name.clone(), serde_json::to_value(evaluation)?)))
            .collect::<serde_json::Result<_>>()?;
        let definition = found.classes.first().map(|(_, evaluation)| evaluation.definition());
        let json = serde_json::json!({
            "classes": classes, "mean_dice": found.mean_dice, "mean_definition": MEAN, "definition": definition,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(ExitCode::SUCCESS);
    }
    for (name, evaluation) in &found.classes {
        println!("Class {name}:\n{evaluation}");
    }
    match &found.mean_dice {
        Some(Estimate { mean, low, high, .. }) => {
            println!("{MEAN}: {:.2} % ({:.2} to {:.2})", 100.0 * mean, 100.0 * low, 100.0 * high);
        }
        None => println!("{MEAN}: no picture has a lesion"),
    }
    Ok(ExitCode::SUCCESS)
}

fn settings(asked: &Evaluate) -> anyhow::Result<EvaluationSettings> {
    let defaults = EvaluationSettings::default();
    let surface_tolerance = asked.tolerance.unwrap_or(defaults.surface_tolerance);
    ensure!(
        surface_tolerance.is_finite() && surface_tolerance >= 0.0,
        "--tolerance {surface_tolerance}: expected a distance of 0 or more"
    );
    let min_iou = asked.min_iou.unwrap_or(defaults.matching.min_iou);
    ensure!(min_iou > 0.0 && min_iou <= 1.0, "--min-iou {min_iou}: expected a share above 0 and at most 1");
    Ok(EvaluationSettings {
        both_empty: match asked.both_empty {
            BothEmptyName::Skip => BothEmpty::Skip,
            BothEmptyName::One => BothEmpty::One,
        },
        // The flag gives columns, then rows; the settings have rows, then columns.
        spacing: asked.spacing.map_or(defaults.spacing, |spacing| [spacing.0[1], spacing.0[0]]),
        surface_tolerance,
        matching: Matching { min_iou, ..defaults.matching },
        bootstrap: Bootstrap { seed: asked.seed, ..defaults.bootstrap },
    })
}

/// Reads a prediction and its truth, each as its folder's settings say.
fn read(id: &str, [prediction, truth]: [&CaseMask; 2], [own, given]: &[DataConfig; 2]) -> anyhow::Result<Masks> {
    let (ours, theirs) = (prediction.read(own)?, truth.read(given)?);
    ensure!(
        (ours.width, ours.height) == (theirs.width, theirs.height),
        "{} has {} x {} pixels and {} has {} x {}; expected the same width and height; resize the prediction to the truth's grid",
        prediction.first.path.display(),
        ours.width,
        ours.height,
        truth.first.path.display(),
        theirs.width,
        theirs.height
    );
    Ok(Masks { id: id.to_owned(), height: ours.height, width: ours.width, prediction: ours.data, truth: theirs.data })
}
