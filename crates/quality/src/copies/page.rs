//! The page with the closest pairs of each search.

use super::found::{Copies, Request};
use pig_metrics::histogram::{Histogram, shared_range};
use pig_report::{Block, Document, HistogramChart, NearestPair, NearestSection};

/// Bins of the histograms of distances.
const BINS: usize = 24;

impl Copies {
    /// A page with the ten closest pairs of each search.
    pub fn page(&self, request: &Request) -> Document {
        let mut blocks: Vec<Block> = self.warnings.iter().cloned().map(Block::Warning).collect();
        for (search, shown) in self.searches.iter().zip(&self.shown) {
            blocks.push(Block::Heading(format!("Nearest training images: {}", search.space)));
            let pairs = search.closest.iter().zip(shown).map(|(one, [generated, training])| NearestPair {
                name: format!("{} near {}", one.generated, one.training),
                generated: generated.clone(),
                training: training.clone(),
                distance: one.distance,
                flipped: one.flipped,
            });
            let (check, unit) = (Some(search.check.clone()), search.unit.clone());
            blocks.push(Block::Nearest(NearestSection { pairs: pairs.collect(), check, unit }));
            let distances: Vec<f64> = search.closest.iter().map(|one| one.distance).collect();
            let range = shared_range(&[&search.check.held_out_distances, &distances]);
            let sets = [("held-out real images", &search.check.held_out_distances), ("generated", &distances)]
                .map(|(name, values)| (name.to_owned(), Histogram::new(values.iter().copied(), BINS, range)));
            blocks.push(Block::Charts(vec![HistogramChart {
                title: "Distance to the nearest training image".to_owned(),
                x_label: format!("distance ({})", search.space),
                sets: sets.into(),
            }]));
        }
        blocks.push(Block::Heading("What this does not show".to_owned()));
        blocks.push(Block::List(vec![
            "A copied lesion in another breast, or a rotated or cropped copy: pixels and whole masks do not detect these."
                .to_owned(),
            "That nothing was memorised: a share as expected only means that copies are not more frequent than by chance."
                .to_owned(),
        ]));
        let Request { training, held_out, generated, parts, .. } = request;
        let [training, held_out, generated] = [training, held_out, generated].map(|path| path.display());
        let limited = parts.as_ref().map_or(String::new(), |[first, second]| {
            format!(" The training images are limited to {first}, the others to {second}.")
        });
        Document {
            title: "Copies of training images".to_owned(),
            lead: format!(
                "Images in {generated} compared with those in {training}; {held_out} shows how near new images are.{limited}"
            ),
            blocks,
            footer: "Generated images and masks on this page are synthetic, training images are real. The file is \
                     self-contained: it uses no network and no script."
                .to_owned(),
        }
    }
}
