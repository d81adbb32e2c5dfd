//! `pig segment`.

use crate::args::{Args, BothEmptyName, Evaluate, Segment};
use anyhow::ensure;
use pig_data::{
    DataConfig,
    folder::{Groups, Kind, matched},
    read::{RawMask, read_mask},
    table::{Column, Columns, write_csv},
};
use pig_metrics::{
    bootstrap::Bootstrap,
    detection::Matching,
    evaluation::{Case, CaseScores, EvaluationSettings, evaluate},
    overlap::{BothEmpty, Overlap},
};
use pig_train::config::Layers;
use rayon::prelude::*;
use std::{path::Path, process::ExitCode};

/// Does what was asked of masks.
pub(crate) fn run(args: &Args, asked: &Segment) -> anyhow::Result<ExitCode> {
    match asked {
        Segment::Evaluate(evaluate) => run_evaluate(args, evaluate),
    }
}

/// A prediction and its truth as read.
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
        write_csv(path, COLUMNS, &evaluation.per_case)?;
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
    ensure!(min_iou > 0.0 && min_iou <= 1.0, "--min-iou {min_iou}: expected a share above 0, at most 1");
    Ok(EvaluationSettings {
        both_empty: match asked.both_empty {
            BothEmptyName::Skip => BothEmpty::Skip,
            BothEmptyName::One => BothEmpty::One,
        },
        // Typed as columns, then rows; measured as rows, then columns.
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

fn overlap(case: &CaseScores, of: fn(&Overlap) -> f64) -> Option<f64> {
    case.overlap.as_ref().map(of)
}

/// The table of cases: what every mean can be computed from again.
const COLUMNS: &Columns<CaseScores> = &[
    ("id", Column::Text(|case| &case.id)),
    ("group", Column::Text(|case| case.group.as_deref().unwrap_or_default())),
    ("true_positive", Column::Count(|case| case.counts.true_positive)),
    ("false_positive", Column::Count(|case| case.counts.false_positive)),
    ("false_negative", Column::Count(|case| case.counts.false_negative)),
    ("dice", Column::MaybeNumber(|case| overlap(case, |o| o.dice))),
    ("iou", Column::MaybeNumber(|case| overlap(case, |o| o.iou))),
    ("precision", Column::MaybeNumber(|case| overlap(case, |o| o.precision))),
    ("recall", Column::MaybeNumber(|case| overlap(case, |o| o.recall))),
    ("surface_dice", Column::MaybeNumber(|case| case.surface_dice)),
    ("hausdorff_95", Column::MaybeNumber(|case| case.hausdorff_95)),
    ("hausdorff_95_joint", Column::MaybeNumber(|case| case.hausdorff_95_joint)),
    ("lesions", Column::Count(|case| case.lesions.lesions as u64)),
    ("lesions_found", Column::Count(|case| case.lesions.found as u64)),
    ("predicted", Column::Count(|case| case.lesions.predicted as u64)),
    ("false_lesions", Column::Count(|case| case.lesions.false_positives as u64)),
];
