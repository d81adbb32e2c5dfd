//! The raw data set of nnU-Net v2: `imagesTr/STEM_0000.png`, `labelsTr/STEM.png`, `dataset.json`, and
//! `splits_final.json`, which nnU-Net expects beside the preprocessed data.
//!
//! The format follows nnU-Net's own documentation (documentation/dataset_format.md of MIC-DKFZ/nnUNet): labels count from 0,
//! a colour PNG is one file with three channel names, two-dimensional PNG data have no spacing.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::job::{Job, MAKER};
use crate::pair::Origin;
use crate::regions::{Ordered, Regions, labels_png};
use crate::split::folds;

/// The end of the name of a file with the first channel.
const FIRST_CHANNEL: &str = "_0000";

/// Writes the pairs.
pub(crate) fn write(job: &mut Job<'_>) -> Result<()> {
    let regions = Regions::of(job)?;
    for index in 0..job.len() {
        let loaded = job.load(index, false)?;
        let pair = job.pair(index);
        let image = format!("imagesTr/{}{FIRST_CHANNEL}.png", pair.stem);
        let label = format!("labelsTr/{}.png", pair.stem);
        job.staging.write(&image, &loaded.image_png(&pair.image)?)?;
        job.staging.write(&label, &labels_png(&loaded, &pair.mask.first.path, regions.as_ref())?)?;
        job.record(index, &loaded, [&image, &label], 1)?;
    }
    let name = job.request.out.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let folds = folds(job)?;
    let described = dataset_json(job, &name);
    match &regions {
        None => job.write_json("dataset.json", &described)?,
        Some(regions) => {
            let mut rest = described.as_object().cloned().unwrap_or_default();
            rest.remove("labels");
            let regions = OfRegions { labels: regions.labels(), regions_class_order: regions.class_order(), rest };
            job.write_json("dataset.json", &regions)?;
        }
    }
    if !is_dataset_name(&name) {
        job.pairs.warnings.push(format!(
            "nnU-Net finds a data set by a folder name such as Dataset101_Lesions; {name:?} must be renamed before use."
        ));
    }
    if !folds.is_empty() {
        let stems = |indices: &[usize]| indices.iter().map(|&i| job.pair(i).stem.as_str()).collect::<Vec<_>>();
        let splits: Vec<Value> = folds
            .iter()
            .map(|fold| json!({ "train": stems(&fold.training), "val": stems(&fold.validation) }))
            .collect();
        job.write_json("splits_final.json", &splits)?;
        job.notes.push(format!(
            "after nnUNetv2_plan_and_preprocess, copy splits_final.json into nnUNet_preprocessed/{name}; {} fold(s)",
            folds.len()
        ));
    }
    Ok(())
}

/// `dataset.json` with regions.
#[derive(Serialize)]
struct OfRegions {
    labels: Ordered,
    regions_class_order: Vec<usize>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

fn dataset_json(job: &Job<'_>, name: &str) -> Value {
    let channels: &[&str] = if job.pairs.channels == 3 { &["R", "G", "B"] } else { &["image"] };
    let channels: Map<String, Value> =
        channels.iter().enumerate().map(|(index, name)| (index.to_string(), json!(name))).collect();
    let named = job.labels().into_iter().enumerate().map(|(index, name)| (name.to_owned(), json!(index + 1)));
    let labels: Map<String, Value> = std::iter::once(("background".to_owned(), json!(0))).chain(named).collect();
    json!({
        "name": name,
        "description": "Image and lesion mask pairs; manifest.csv says which are generated.",
        "channel_names": channels,
        "labels": labels,
        "numTraining": job.len(),
        "file_ending": ".png",
        "overwrite_image_reader_writer": "NaturalImage2DIO",
        "generated": job.count(Origin::Generated),
        "real": job.count(Origin::Real),
        "made_by": MAKER,
    })
}

/// Whether nnU-Net would find a folder with this name.
fn is_dataset_name(name: &str) -> bool {
    name.strip_prefix("Dataset").and_then(|rest| rest.split_once('_')).is_some_and(|(number, words)| {
        number.len() == 3 && number.bytes().all(|digit| digit.is_ascii_digit()) && !words.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dataset_names() {
        assert!(is_dataset_name("Dataset101_Lesions"));
        for wrong in ["Dataset1_x", "Dataset101", "Dataset101_", "dataset101_x", "out", "Dataset10a_x"] {
            assert!(!is_dataset_name(wrong), "{wrong}");
        }
    }
}
