//! COCO annotations: a category for lesion or for each class, and one instance for each connected component of a class (pixels that
//! share an edge or a corner).
//!
//! An image without a lesion has no instance. Boxes and polygons have their corners at pixel edges: the pixel in the first
//! column and row covers (0, 0) to (1, 1). The format follows cocodataset.org's data format.

mod polygon;
mod region;
mod rle;

use serde_json::{Value, json};

use crate::error::Result;
use crate::job::{Job, MAKER};
use crate::request::Segmentation;
use crate::staging::StagedFile;
use region::Region;

/// Writes the pairs. Annotations go to the file one by one; only the list of images is kept.
pub(crate) fn write(job: &mut Job<'_>, segmentation: Segmentation) -> Result<()> {
    let mut annotations = Annotations::begin(job)?;
    let mut images = Vec::with_capacity(job.len());
    for index in 0..job.len() {
        let loaded = job.load(index, false)?;
        let pair = job.pair(index);
        let name = format!("images/{}.png", pair.stem);
        job.staging.write(&name, &loaded.image_png(&pair.image)?)?;
        let image_id = index as u64 + 1;
        images.push(json!({
            "id": image_id,
            "file_name": name,
            "width": loaded.width,
            "height": loaded.height,
            "origin": pair.origin.word(),
            "synthetic": pair.synthetic,
        }));
        let coding = job.coding();
        for class in 0..coding.classes {
            let mask: Vec<u8> = loaded.mask.iter().map(|&label| u8::from(coding.has(label, class))).collect();
            for region in region::components(&mask, loaded.width, loaded.height) {
                annotations.add([image_id, class as u64 + 1], &region, [loaded.width, loaded.height], segmentation)?;
            }
        }
        job.record(index, &loaded, [&name, ""], 1)?;
    }
    let instances = annotations.finish(&images)?;
    job.notes.push(format!("{instances} instances in annotations.json; its file names are relative to the folder"));
    Ok(())
}

/// `annotations.json` while it is being written.
struct Annotations {
    file: StagedFile,
    count: u64,
}

impl Annotations {
    fn begin(job: &Job<'_>) -> Result<Self> {
        let mut file = job.staging.file("annotations.json")?;
        let info = json!({
            "description": "Image and lesion mask pairs; origin says which images are generated.",
            "contributor": MAKER,
            "version": "1.0",
        });
        let category =
            |(index, name): (usize, &str)| json!({ "id": index + 1, "name": name, "supercategory": "finding" });
        let categories: Value = job.labels().into_iter().enumerate().map(category).collect();
        file.put(
            format!("{{\"info\":{info},\"licenses\":[],\"categories\":{categories},\n\"annotations\":[").as_bytes(),
        )?;
        Ok(Self { file, count: 0 })
    }

    fn add(
        &mut self,
        [image_id, category]: [u64; 2],
        region: &Region,
        size: [usize; 2],
        segmentation: Segmentation,
    ) -> Result<()> {
        self.count += 1;
        let annotation = json!({
            "id": self.count,
            "image_id": image_id,
            "category_id": category,
            "segmentation": segmentation_of(region, size, segmentation),
            "area": region.area(),
            "bbox": [region.left, region.top, region.width, region.height],
            "iscrowd": 0,
        });
        let separator = if self.count == 1 { "\n" } else { ",\n" };
        self.write_json(separator, &annotation)
    }

    fn write_json(&mut self, before: &str, value: &impl serde::Serialize) -> Result<()> {
        self.file.put(before.as_bytes())?;
        self.file.put_json(value)
    }

    /// Ends the file; returns the number of instances.
    fn finish(mut self, images: &[Value]) -> Result<u64> {
        self.write_json("],\n\"images\":", &images)?;
        self.file.put(b"}\n")?;
        self.file.finish()?;
        Ok(self.count)
    }
}

fn segmentation_of(region: &Region, [width, height]: [usize; 2], segmentation: Segmentation) -> Value {
    match segmentation {
        Segmentation::Rle => {
            json!({ "size": [height, width], "counts": rle::compress(&rle::counts(region, width, height)) })
        }
        Segmentation::Polygon => json!(polygon::polygons(region)),
    }
}
