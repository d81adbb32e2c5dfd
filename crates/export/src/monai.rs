//! PNG pairs with a MONAI datalist: the JSON that `monai.data.load_decathlon_datalist` reads, with the keys `image` and
//! `label` and paths relative to the file.

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::job::{Job, MAKER};
use crate::pair::Origin;
use crate::regions::{Regions, labels_png};
use crate::split::folds;

/// Writes the pairs. The first fold is for validation, as in the nnU-Net export with the same seed; without real patients,
/// all pairs are for training.
pub(crate) fn write(job: &mut Job<'_>) -> Result<()> {
    let regions = Regions::of(job)?;
    for index in 0..job.len() {
        let loaded = job.load(index, false)?;
        let pair = job.pair(index);
        let (image, label) = (image_name(&pair.stem), label_name(&pair.stem));
        job.staging.write(&image, &loaded.image_png(&pair.image)?)?;
        job.staging.write(&label, &labels_png(&loaded, &pair.mask.first.path, regions.as_ref())?)?;
        job.record(index, &loaded, [&image, &label], 1)?;
    }
    let everybody: Vec<usize> = (0..job.len()).collect();
    let (training, validation) = match folds(job)?.into_iter().next() {
        Some(fold) => (fold.training, fold.validation),
        None => (everybody, Vec::new()),
    };
    let items = |indices: &[usize]| indices.iter().map(|&index| item(job, index)).collect::<Vec<_>>();
    let named = job.labels().into_iter().enumerate();
    let labels: Map<String, Value> = std::iter::once(("0".to_owned(), json!("background")))
        .chain(named.map(|(index, name)| ((index + 1).to_string(), json!(name))))
        .collect();
    let mut list = json!({
        "name": job.request.out.file_name().unwrap_or_default().to_string_lossy(),
        "description": "Image and lesion mask pairs; origin says which are generated.",
        "made_by": MAKER,
        "labels": labels,
        "generated": job.count(Origin::Generated),
        "real": job.count(Origin::Real),
        "numTraining": training.len(),
        "numValidation": validation.len(),
        "training": items(&training),
        "validation": items(&validation),
    });
    if let Some(regions) = &regions {
        list["labels"] = json!(regions.words());
        list["regions"] = json!(regions.of_names());
    }
    job.write_json("datalist.json", &list)
}

fn image_name(stem: &str) -> String {
    format!("images/{stem}.png")
}

fn label_name(stem: &str) -> String {
    format!("labels/{stem}.png")
}

fn item(job: &Job<'_>, index: usize) -> Value {
    let pair = job.pair(index);
    json!({ "image": image_name(&pair.stem), "label": label_name(&pair.stem), "origin": pair.origin.word() })
}
