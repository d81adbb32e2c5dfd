//! `pig fid calc`.

use super::inputs::{data_settings, network, remarks};
use crate::args::{Args, Calc, FeatureName};
use anyhow::ensure;
use pig_data::DataConfig;
use pig_metrics::{comparison::ComparisonSettings, frechet::Extrapolation, kernel::Subsets};
use pig_quality::{
    features::FeatureKind,
    fid::{ClassFound, Found, Request, with_file, with_folder},
    radiomic::Region,
};
use std::process::ExitCode;

/// Compares a folder with a reference and prints the distances.
pub(super) fn run(args: &Args, asked: &Calc) -> anyhow::Result<ExitCode> {
    let data = data_settings(&asked.keys.sets)?;
    let found = if asked.reference.is_file() { of_file(args, asked, &data)? } else { of_folder(args, asked, &data)? };
    if args.machine.json {
        let mut json = serde_json::to_value(&found.comparison)?;
        json["definition"] = found.comparison.definition().into();
        if !found.classes.is_empty() {
            json["classes"] = classes_json(&found.classes)?;
            json["mean_frechet_of_classes"] = serde_json::json!(found.mean_frechet().map(|(mean, _)| mean));
        }
        if !found.pictures.is_empty() {
            json["pictures_by_class"] = classes_json(&found.pictures)?;
        }
        json["warnings"] = found.warnings.into();
        json["notes"] = found.notes.into();
        json["left_out"] = serde_json::json!({ "reference": found.left_out[0], "other": found.left_out[1] });
        json["appearance"] = serde_json::to_value(&found.appearance)?;
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        print!("{}", found.comparison);
        for class in &found.classes {
            if let Some(comparison) = &class.comparison {
                print!("\nClass {}:\n{comparison}", class.class);
            }
        }
        for class in &found.pictures {
            if let Some(comparison) = &class.comparison {
                print!("\nPictures with the class {}:\n{comparison}", class.class);
            }
        }
        if let Some((mean, classes)) = found.mean_frechet() {
            let all = found.classes.len();
            println!("\nFrechet distance in the mean of classes: {mean:.4} (mean over {classes} of {all} classes)");
        }
        if let Some(appearance) = &found.appearance {
            print!("\n{appearance}");
        }
        remarks(args, &found.notes, &found.warnings);
    }
    Ok(ExitCode::SUCCESS)
}

/// The distances of each class, by its name.
fn classes_json(found: &[ClassFound]) -> anyhow::Result<serde_json::Value> {
    let of = |class: &ClassFound| -> anyhow::Result<(String, serde_json::Value)> {
        let mut json = serde_json::to_value(&class.comparison)?;
        if json.is_object() {
            json["left_out"] = serde_json::json!({ "reference": class.left_out[0], "other": class.left_out[1] });
        }
        Ok((class.class.clone(), json))
    };
    Ok(found.iter().map(of).collect::<anyhow::Result<serde_json::Map<_, _>>>()?.into())
}

/// Compares with a file from `pig fid ref` or pytorch-fid.
fn of_file(args: &Args, asked: &Calc, data: &DataConfig) -> anyhow::Result<Found> {
    let path = asked.reference.display();
    ensure!(
        asked.features == FeatureName::Inception,
        "{path}: a reference file holds Inception features; expected --features inception, or a folder of images as the reference"
    );
    ensure!(
        asked.part.splits.is_none(),
        "{path}: a reference file does not say of which images its features are; --splits is only valid with a folder as the reference"
    );
    ensure!(
        asked.manifest.is_none(),
        "{path}: a reference file contains its patients; --manifest is only valid with a folder as the reference"
    );
    let network = network(args, &asked.inception)?;
    Ok(with_file(&asked.reference, &asked.other, &network, asked.resize, &settings(asked), data)?)
}

fn of_folder(args: &Args, asked: &Calc, data: &DataConfig) -> anyhow::Result<Found> {
    let request = Request {
        reference: asked.reference.clone(),
        other: asked.other.clone(),
        only: asked.part.chosen()?,
        manifest: asked.manifest.clone(),
        resize: asked.resize,
        comparison: settings(asked),
        diversity_pairs: asked.diversity_pairs,
        seed: asked.seed,
    };
    if let Some(chosen) = request.only.as_ref().filter(|_| !args.machine.quiet) {
        eprintln!("reference: {chosen}");
    }
    Ok(match asked.features {
        FeatureName::Inception => {
            let network = network(args, &asked.inception)?;
            with_folder(&request, FeatureKind::Inception(&network), data)?
        }
        FeatureName::Radiomics => with_folder(&request, FeatureKind::Radiomics(Region::WholeImage), data)?,
        FeatureName::LesionRadiomics => with_folder(&request, FeatureKind::Radiomics(Region::Lesions), data)?,
    })
}

fn settings(asked: &Calc) -> ComparisonSettings {
    let kernel = match (asked.kid_subsets, asked.kid_subset_size) {
        (Some(count), Some(size)) => Subsets::Random { count, size, seed: asked.seed },
        _ => Subsets::All,
    };
    let extrapolation = Extrapolation { seed: asked.seed, ..Extrapolation::default() };
    ComparisonSettings { kernel, extrapolation, ..ComparisonSettings::default() }
}
