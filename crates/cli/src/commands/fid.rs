//! `pig fid`.

use self::{
    appearance::{Appearance, appearance},
    reference::Known,
};
use super::inception::FeatureNetwork;
use crate::{
    args::{Args, Calc, FeatureName, Fid},
    terminal::device,
};
use anyhow::ensure;
use pig_data::{
    DataConfig,
    folder::{Groups, Kind, pictures},
    read::{read_image, read_mask},
};
use pig_metrics::{
    comparison::{Comparison, ComparisonSettings, Extractor, compare, compare_with_statistics},
    features::Features,
    frechet::Extrapolation,
    kernel::Subsets,
    radiomics::{Discretisation, STANDARDISED_LIMIT, names, radiomics, standardise, without_shape},
};
use pig_train::config::Layers;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

mod appearance;
mod copies;
mod folders;
mod pictures;
mod reference;

pub(crate) use folders::FolderFeatures;

/// Does what was asked of folders of images.
pub(crate) fn run(args: &Args, asked: &Fid) -> anyhow::Result<ExitCode> {
    match asked {
        Fid::Calc(calc) => run_calc(args, calc),
        Fid::Ref(reference) => reference::run(args, reference),
        Fid::Copies(copies) => copies::run(args, copies),
    }
}

/// The section data of what was typed.
fn data_settings(sets: &[String]) -> anyhow::Result<DataConfig> {
    let data = Layers { file: None, sets: sets.to_vec() }.load()?.data;
    data.check()?;
    Ok(data)
}

/// Patients of a folder by its stems, from a table or from the folder's own.
fn groups(folder: &Path, manifest: Option<&Path>, data: &DataConfig) -> anyhow::Result<Option<Groups>> {
    let column = data.group_column.as_deref();
    Ok(match manifest {
        Some(path) => Groups::of_manifest(path, column)?,
        None => Groups::of_folder(folder, column)?,
    })
}

/// The features of a folder's images.
struct Extracted {
    /// Stems of the images that have features.
    ids: Vec<String>,
    features: Features,
    /// Images without features: empty masks, or lesions of single pixels.
    left_out: usize,
}

fn run_calc(args: &Args, asked: &Calc) -> anyhow::Result<ExitCode> {
    let data = data_settings(&asked.sets)?;
    let found = if asked.reference.is_file() { with_file(args, asked)? } else { with_folder(args, asked, &data)? };
    if args.machine.json {
        let mut json = serde_json::to_value(&found.comparison)?;
        json["definition"] = found.comparison.definition().into();
        json["warnings"] = found.warnings.into();
        json["left_out"] = serde_json::json!({ "reference": found.left_out[0], "other": found.left_out[1] });
        json["appearance"] = serde_json::to_value(&found.appearance)?;
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        print!("{}", found.comparison);
        if let Some(appearance) = &found.appearance {
            print!("\n{appearance}");
        }
        for warning in &found.warnings {
            eprintln!("warning: {warning}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is printed.
struct Found {
    comparison: Comparison,
    /// Of reference and other.
    left_out: [usize; 2],
    /// Of two folders.
    appearance: Option<Appearance>,
    warnings: Vec<String>,
}

fn comparison_settings(asked: &Calc) -> ComparisonSettings {
    let kernel = match (asked.kid_subsets, asked.kid_subset_size) {
        (Some(count), Some(size)) => Subsets::Random { count, size, seed: asked.seed },
        _ => Subsets::All,
    };
    let extrapolation = Extrapolation { seed: asked.seed, ..Extrapolation::default() };
    ComparisonSettings { kernel, extrapolation, ..ComparisonSettings::default() }
}

/// Against a file of `pig fid ref` or pytorch-fid.
fn with_file(args: &Args, asked: &Calc) -> anyhow::Result<Found> {
    let path = asked.reference.display();
    ensure!(
        asked.features == FeatureName::Inception,
        "{path}: a file holds Inception features; expected --features inception, or a folder of images"
    );
    ensure!(asked.manifest.is_none(), "{path}: a file brings its patients along; --manifest goes with a folder");
    let network = FeatureNetwork::open(&asked.inception, device(args)?)?;
    let (known, unsaid) = reference::read(&asked.reference, &network)?;
    let (_, other) = network.extract(&asked.other)?;
    let (settings, extractor) = (comparison_settings(asked), network.extractor());
    let comparison = match known {
        Known::Vectors { features, groups } => compare(&features, &other, groups.as_deref(), extractor, &settings)?,
        Known::Statistics { statistics, images } => {
            compare_with_statistics(&statistics, images, &other, extractor, &settings)?
        }
    };
    let mut warnings = comparison.warnings();
    warnings.extend(unsaid);
    warnings.extend(network.warning());
    Ok(Found { comparison, left_out: [0, 0], appearance: None, warnings })
}

fn with_folder(args: &Args, asked: &Calc, data: &DataConfig) -> anyhow::Result<Found> {
    let network = match asked.features {
        FeatureName::Inception => Some(FeatureNetwork::open(&asked.inception, device(args)?)?),
        FeatureName::Radiomics | FeatureName::LesionRadiomics => None,
    };
    let of_folder = |folder: &Path| -> anyhow::Result<Extracted> {
        let Some(network) = &network else { return extract(folder, asked.features, data) };
        let (ids, features) = network.extract(folder)?;
        Ok(Extracted { ids, features, left_out: 0 })
    };
    let known = groups(&asked.reference, asked.manifest.as_deref(), data)?;
    let (reference, other) = (of_folder(&asked.reference)?, of_folder(&asked.other)?);
    let patients = known.as_ref().map(|groups| groups.of(reference.ids.iter().map(String::as_str))).transpose()?;
    let (ours, theirs, extractor) = if let Some(network) = &network {
        (reference.features, other.features, network.extractor())
    } else {
        let (ours, theirs, kept) = standardise(&reference.features, &other.features)?;
        (ours, theirs, extractor(asked.features, &kept))
    };
    let comparison = compare(&ours, &theirs, patients.as_deref(), extractor, &comparison_settings(asked))?;
    let folders = [asked.reference.as_path(), asked.other.as_path()];
    let appearance = appearance(folders, known.as_ref(), (asked.diversity_pairs, asked.seed), data)?;
    let mut warnings = comparison.warnings();
    warnings.extend(network.as_ref().and_then(FeatureNetwork::warning));
    let left_out = [reference.left_out, other.left_out];
    for (folder, left_out) in folders.into_iter().zip(left_out).filter(|(_, left_out)| *left_out > 0) {
        let folder = folder.display();
        warnings.push(format!("{folder}: {left_out} image(s) without a lesion of touching pixels were left out"));
    }
    Ok(Found { comparison, left_out, appearance: Some(appearance), warnings })
}

/// Names the features that were kept; there are no weights, so the hash is that of their definition.
fn extractor(features: FeatureName, kept: &[usize]) -> Extractor {
    let Discretisation { levels, low, high } = Discretisation::default();
    let region = match features {
        FeatureName::LesionRadiomics => "lesions",
        FeatureName::Radiomics | FeatureName::Inception => "whole images",
    };
    let (all, positions) = (names(), positions(features));
    let chosen: Vec<&str> = kept.iter().map(|&at| all[positions[at]].as_str()).collect();
    let definition = format!("{region}\n{levels} {low} {high} {STANDARDISED_LIMIT}\n{}", chosen.join("\n"));
    Extractor {
        name: format!("IBSI radiomics of {region}"),
        hash: pig_data::hex(&Sha256::digest(definition)),
        preprocessing: format!(
            "not resized, gray by luma, the pixel type's range to {low}..{high}, {levels} gray levels; features scaled by the \
             reference's mean and standard deviation, at most {STANDARDISED_LIMIT} of these away, constant ones left out"
        ),
    }
}

/// Positions of the features that are compared.
fn positions(features: FeatureName) -> Vec<usize> {
    match features {
        FeatureName::Radiomics | FeatureName::Inception => without_shape(),
        FeatureName::LesionRadiomics => (0..names().len()).collect(),
    }
}

fn extract(folder: &Path, features: FeatureName, data: &DataConfig) -> anyhow::Result<Extracted> {
    let images = pictures(folder, Kind::Images)?;
    let masks = match features {
        FeatureName::LesionRadiomics => Some(pictures(folder, Kind::Masks)?),
        FeatureName::Radiomics | FeatureName::Inception => None,
    };
    let found: Vec<(String, Option<Vec<f64>>)> = images
        .par_iter()
        .map(|(id, path)| Ok((id.clone(), of_image(id, path, masks.as_ref(), data)?)))
        .collect::<anyhow::Result<_>>()?;
    let total = found.len();
    let (ids, vectors): (Vec<String>, Vec<Vec<f64>>) =
        found.into_iter().filter_map(|(id, vector)| Some((id, vector?))).unzip();
    let left_out = total - ids.len();
    ensure!(
        ids.len() > 1,
        "{}: {} of {total} image(s) have features, expected at least 2; give more images",
        folder.display(),
        ids.len()
    );
    let positions = positions(features);
    let values = vectors.iter().flat_map(|vector| positions.iter().map(|&at| vector[at])).collect();
    Ok(Extracted { ids, features: Features::new(values, positions.len())?, left_out })
}

fn of_image(
    id: &str,
    path: &Path,
    masks: Option<&BTreeMap<String, PathBuf>>,
    data: &DataConfig,
) -> anyhow::Result<Option<Vec<f64>>> {
    let image = read_image(path, 1)?;
    let scale = 1.0 / f32::from(image.maximum);
    let values: Vec<f32> = image.data.iter().map(|value| value * scale).collect();
    let region = match masks {
        None => vec![true; values.len()],
        Some(masks) => {
            let expected = "a mask of the same stem".to_owned();
            let missing = || pig_data::DataError::MissingMask { image: path.to_path_buf(), expected, count: 1 };
            let mask_path = masks.get(id).ok_or_else(missing)?;
            let mask = read_mask(mask_path, data)?;
            let [image_size, mask_size] = [[image.width, image.height], [mask.width, mask.height]];
            if image_size != mask_size {
                let (image, mask) = (path.to_path_buf(), mask_path.clone());
                return Err(pig_data::DataError::SizeMismatch { image, image_size, mask, mask_size }.into());
            }
            mask.data.iter().map(|&value| value != 0).collect()
        }
    };
    Ok(radiomics(&values, &region, image.height, image.width, &Discretisation::default()))
}
