//! `pig segment`.

use crate::{
    args::{Args, BothEmptyName, Evaluate, Segment, SegmentPredict, SegmentTrain},
    commands::exit_code,
    terminal::{Terminal, device},
};
use anyhow::ensure;
use pig_data::{
    DataConfig,
    folder::{Groups, Kind, left_out, matched},
    read::{RawMask, read_mask},
    table::write_csv,
};
use pig_metrics::{
    bootstrap::Bootstrap,
    detection::Matching,
    evaluation::{Case, EvaluationSettings, evaluate},
    overlap::BothEmpty,
};
use pig_segment::{
    config::SegmentFile,
    predict::{PredictRequest, predict},
    run::{SegmentRequest, resume, train},
    scores::CASE_COLUMNS,
};
use pig_train::{config::Layers, observer::Outcome};
use rayon::prelude::*;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

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
        let mut file: SegmentFile = Layers { file: asked.config.clone(), sets: asked.sets.clone() }.load_as()?;
        file.segment.train.equal_epochs |= asked.equal_epochs;
        // clap requires both without --resume.
        let path = |given: &Option<PathBuf>| given.clone().unwrap_or_default();
        let (data, out) = (path(&asked.data), path(&asked.out));
        let request = SegmentRequest { data, added: asked.add.clone(), splits: asked.splits.clone(), out: out.clone() };
        (out, train(&file, &request, &device, &terminal)?)
    };
    if args.machine.json {
        let json = serde_json::json!({ "run": run, "finished": outcome == Outcome::Finished });
        println!("{}", serde_json::to_string_pretty(&json)?);
    }
    Ok(exit_code(outcome))
}

fn run_predict(args: &Args, asked: &SegmentPredict) -> anyhow::Result<ExitCode> {
    let (terminal, device) = (Terminal::new(args)?, device(args)?);
    let request = PredictRequest {
        run: asked.run.clone(),
        data: asked.data.clone(),
        out: asked.out.clone(),
        probabilities: asked.probabilities,
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
    prediction: Vec<bool>,
    truth: Vec<bool>,
    height: usize,
    width: usize,
}

fn run_evaluate(args: &Args, asked: &Evaluate) -> anyhow::Result<ExitCode> {
    let data = Layers { file: None, sets: asked.sets.clone() }.load()?.data;
    data.check()?;
    let settings = settings(asked)?;
    let files = matched(&asked.pred, &asked.truth, Kind::Masks)?;
    for folder in [&asked.pred, &asked.truth] {
        if let Some(words) = left_out(folder, Kind::Masks)? {
            eprintln!("warning: {words}");
        }
    }
    let stems = files.iter().map(|(id, ..)| id.as_str());
    let column = data.group_column.as_deref();
    let groups = match &asked.manifest {
        Some(path) => Groups::of_manifest(path, column)?,
        None => Groups::of_folder(&asked.truth, column)?,
    };
    let groups = groups.map(|groups| groups.of(stems)).transpose()?;
    if groups.is_none() && !args.machine.quiet {
        eprintln!(
            "warning: no patients are known; intervals are over cases. Give --manifest with the columns id and patient"
        );
    }
    let masks: Vec<Masks> =
        files.par_iter().map(|(id, ours, theirs)| read(id, ours, theirs, &data)).collect::<anyhow::Result<_>>()?;
    let cases: Vec<Case> = masks
        .iter()
        .enumerate()
        .map(|(index, masks)| Case {
            id: &masks.id,
            prediction: &masks.prediction,
            truth: &masks.truth,
            height: masks.height,
            width: masks.width,
            group: groups.as_ref().map(|groups| groups[index].as_str()),
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

fn read(id: &str, prediction: &Path, truth: &Path, data: &DataConfig) -> anyhow::Result<Masks> {
    let (ours, theirs) = (read_mask(prediction, data)?, read_mask(truth, data)?);
    ensure!(
        (ours.width, ours.height) == (theirs.width, theirs.height),
        "{} has {} x {} pixels and {} has {} x {}; expected the same width and height; resize the prediction to the truth's grid",
        prediction.display(),
        ours.width,
        ours.height,
        truth.display(),
        theirs.width,
        theirs.height
    );
    let lesion = |mask: &RawMask| mask.data.iter().map(|&value| value != 0).collect();
    let (prediction, truth) = (lesion(&ours), lesion(&theirs));
    Ok(Masks { id: id.to_owned(), prediction, truth, height: ours.height, width: ours.width })
}
