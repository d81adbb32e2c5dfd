//! Parts of pages about a generator: real pairs beside generated ones, distributions, and the nearest training images.

use pig_data::{Preparation, PreparedSet};
use pig_metrics::{
    histogram::{Histogram, shared_range},
    nearest::{CopyCheck, Shape, nearest},
};
use pig_report::{
    Canvas, HistogramChart, NearestPair, NearestSection, PairPicture, Picture, Section, SheetStyle, contact_sheet,
};
use pig_train::{
    Result,
    evaluate::{PlainPair, written_image, written_pair},
    loaded::LoadedRun,
    pictures::{pair_picture, real_pictures},
};
use std::path::Path;

/// Pairs in a row of a sheet of generated pairs.
const SHEET_COLUMNS: usize = 6;
/// Number of nearest neighbours on a page.
const NEIGHBOURS: usize = 12;

/// A generated pair with its name, such as "seed 17".
#[derive(Clone, Debug)]
pub(crate) struct Generated {
    pub(crate) name: String,
    /// The pair as it is measured: in gray.
    pub(crate) pair: PlainPair,
    /// The image as it is shown: values in [-1, 1] of shape (height, width, channels).
    image: Vec<f32>,
}

impl Generated {
    /// Reads the pair of `seed` from a folder of `pig sample`.
    pub(crate) fn read(folder: &Path, seed: u64, preparation: &Preparation) -> Result<Self> {
        Ok(Self {
            name: format!("seed {seed}"),
            pair: written_pair(folder, seed, preparation)?,
            image: written_image(folder, seed, preparation)?,
        })
    }
}

/// A contact sheet with outlines: `count` real pairs above, `count` generated pairs below; `titles` names both.
pub(crate) fn sheet(
    real: &PreparedSet,
    generated: &[Generated],
    count: usize,
    titles: [&str; 2],
    columns: usize,
) -> Result<Canvas> {
    let sections = [
        Section { title: titles[0].to_owned(), pairs: real_pictures(real, count)? },
        Section { title: titles[1].to_owned(), pairs: pictures(generated, count, real.size, real.channels)? },
    ];
    Ok(contact_sheet(&sections, &SheetStyle { columns, ..SheetStyle::default() })?)
}

/// A contact sheet of generated pairs alone, with outlines.
pub(crate) fn generated_sheet(generated: &[Generated], run: &LoadedRun, title: &str) -> Result<Canvas> {
    let (size, channels) = (run.config.data.size, run.config.data.channels.count());
    let pairs = pictures(generated, generated.len(), size, channels)?;
    let sections = [Section { title: title.to_owned(), pairs }];
    Ok(contact_sheet(&sections, &SheetStyle { columns: SHEET_COLUMNS, ..SheetStyle::default() })?)
}

/// The first `count` generated pairs with their names.
fn pictures(generated: &[Generated], count: usize, size: [usize; 2], channels: usize) -> Result<Vec<PairPicture>> {
    let drawn = |one: &Generated| pair_picture(&one.image, one.pair.mask.clone(), size, channels, one.name.clone());
    generated.iter().take(count).map(drawn).collect()
}

/// Mask areas and intensities, real against generated.
pub(crate) fn histograms(real: (&str, &[PlainPair]), generated: &[Generated]) -> Vec<HistogramChart> {
    const BINS: usize = 24;
    let area =
        |pair: &PlainPair| 100.0 * pair.mask.iter().filter(|&&inside| inside).count() as f64 / pair.mask.len() as f64;
    let intensity = |pair: &PlainPair| pair.image.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let chart = |title: &str, x_label: &str, ours: Vec<f64>, theirs: Vec<f64>| {
        let range = shared_range(&[&ours, &theirs]);
        let sets = [(real.0, ours), ("generated", theirs)]
            .map(|(name, values)| (name.to_owned(), Histogram::new(values, BINS, range)));
        HistogramChart { title: title.to_owned(), x_label: x_label.to_owned(), sets: sets.into() }
    };
    vec![
        chart(
            "Mask area",
            "mask area (% of the image)",
            real.1.iter().map(area).collect(),
            generated.iter().map(|one| area(&one.pair)).collect(),
        ),
        chart(
            "Intensity",
            "pixel intensity, -1 to 1",
            real.1.iter().flat_map(intensity).collect(),
            generated.iter().flat_map(|one| intensity(&one.pair)).collect(),
        ),
    ]
}

/// The nearest training image of each generated image; for comparison also the distances of held-out images to their nearest ones.
pub(crate) fn neighbours(
    training: &PreparedSet,
    held_out: &PreparedSet,
    generated: &[Generated],
) -> Result<NearestSection> {
    fn images(set: &PreparedSet) -> Vec<&[f32]> {
        (0..set.len()).map(|index| set.image(index)).collect()
    }
    let ([height, width], channels) = (training.size, training.channels);
    let shape = Shape { height, width, channels };
    let (training, held_out) = (images(training), images(held_out));
    let made: Vec<&[f32]> = generated.iter().map(|one| one.image.as_slice()).collect();
    let found = nearest(&made, &training, shape, true)?;
    let check = CopyCheck::new(&found, &nearest(&held_out, &training, shape, true)?);
    let picture = |values: &[f32]| Picture::from_values(values, height, width, channels, (-1.0, 1.0));
    let pair = |(index, one): (usize, &Generated)| -> Result<NearestPair> {
        Ok(NearestPair {
            name: one.name.clone(),
            generated: picture(made[index])?,
            training: picture(training[found[index].index])?,
            distance: found[index].distance,
            flipped: found[index].flipped,
        })
    };
    let pairs: Result<Vec<NearestPair>> = generated.iter().take(NEIGHBOURS).enumerate().map(pair).collect();
    Ok(NearestSection { pairs: pairs?, check, unit: "mean squared difference on [-1, 1]".to_owned() })
}
