//! Parts of pages about a generator: real pairs beside generated ones, distributions, and the nearest training images.

use pig_data::{Preparation, PreparedSet};
use pig_metrics::{
    histogram::{Histogram, shared_range},
    nearest::CopyCheck,
};
use pig_quality::neighbours::{nearest_of, nearest_of_set, pixel_unit};
use pig_report::{
    Canvas, ClassColour, HistogramChart, NearestPair, NearestSection, PairPicture, Picture, Section, SheetStyle,
    contact_sheet,
};
use pig_train::{
    Result,
    evaluate::{PlainPair, prepared_pair, written_image, written_pair},
    loaded::LoadedRun,
    pictures::{class_colours, pair_picture, real_pictures},
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
    /// The classes of the mask, if there are several.
    classes: Vec<ClassColour>,
}

impl Generated {
    /// Reads the pair of `seed` from a folder of `pig sample`.
    pub(crate) fn read(folder: &Path, seed: u64, preparation: &Preparation) -> Result<Self> {
        Ok(Self {
            name: format!("seed {seed}"),
            pair: written_pair(folder, seed, preparation)?,
            image: written_image(folder, seed, preparation)?,
            classes: class_colours(&preparation.config),
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
    let style = SheetStyle { columns, classes: classes_of(generated), ..SheetStyle::default() };
    Ok(contact_sheet(&sections, &style)?)
}

/// A contact sheet of several kinds of generated pairs, with outlines; each kind has a title. `like` has their size.
pub(crate) fn kinds_sheet(kinds: &[(&str, &[Generated])], like: &PreparedSet, columns: usize) -> Result<Canvas> {
    let section = |(title, pairs): &(&str, &[Generated])| {
        let pairs = pictures(pairs, pairs.len(), like.size, like.channels)?;
        Ok(Section { title: (*title).to_owned(), pairs })
    };
    let sections: Vec<Section> = kinds.iter().map(section).collect::<Result<_>>()?;
    let classes = kinds.first().map(|(_, pairs)| classes_of(pairs)).unwrap_or_default();
    Ok(contact_sheet(&sections, &SheetStyle { columns, classes, ..SheetStyle::default() })?)
}

/// A contact sheet of generated pairs alone, with outlines.
pub(crate) fn generated_sheet(generated: &[Generated], run: &LoadedRun, title: &str) -> Result<Canvas> {
    let (size, channels) = (run.config.data.size, run.config.data.channels.count());
    let pairs = pictures(generated, generated.len(), size, channels)?;
    let sections = [Section { title: title.to_owned(), pairs }];
    let style = SheetStyle { columns: SHEET_COLUMNS, classes: classes_of(generated), ..SheetStyle::default() };
    Ok(contact_sheet(&sections, &style)?)
}

/// The classes of generated pairs, which are those of all of them.
fn classes_of(generated: &[Generated]) -> Vec<ClassColour> {
    generated.first().map(|one| one.classes.clone()).unwrap_or_default()
}

/// The first `count` generated pairs with their names.
fn pictures(generated: &[Generated], count: usize, size: [usize; 2], channels: usize) -> Result<Vec<PairPicture>> {
    let drawn = |one: &Generated| pair_picture(&one.image, one.pair.mask.clone(), size, channels, one.name.clone());
    generated.iter().take(count).map(drawn).collect()
}

/// Mask areas and intensities, real against generated. Real pairs are read one after the other.
pub(crate) fn histograms(real: (&str, &PreparedSet), generated: &[Generated]) -> Result<Vec<HistogramChart>> {
    const BINS: usize = 24;
    let area = |mask: &[u8]| 100.0 * mask.iter().filter(|&&label| label > 0).count() as f64 / mask.len() as f64;
    let intensities = |image: &[f32]| image.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
    let chart = |title: &str, x_label: &str, ours: Histogram, theirs: Histogram| {
        let sets = vec![(real.0.to_owned(), ours), ("generated".to_owned(), theirs)];
        HistogramChart { title: title.to_owned(), x_label: x_label.to_owned(), sets }
    };
    // First the areas, and the ends of the range of intensities; then the intensities.
    let (mut areas, mut ends) = (Vec::new(), Vec::new());
    for index in 0..real.1.len() {
        let pair = prepared_pair(real.1, index)?;
        areas.push(area(&pair.mask));
        let values = intensities(&pair.image);
        ends.extend([
            values.iter().copied().fold(f64::INFINITY, f64::min),
            values.into_iter().fold(-f64::INFINITY, f64::max),
        ]);
    }
    let made: Vec<f64> = generated.iter().map(|one| area(&one.pair.mask)).collect();
    let range = shared_range(&[&areas, &made]);
    let area = chart(
        "Mask area",
        "mask area (% of the image)",
        Histogram::new(areas, BINS, range),
        Histogram::new(made, BINS, range),
    );
    let made: Vec<f64> = generated.iter().flat_map(|one| intensities(&one.pair.image)).collect();
    let range = shared_range(&[&ends, &made]);
    let mut ours = Histogram::new([], BINS, range);
    for index in 0..real.1.len() {
        ours.add(intensities(&prepared_pair(real.1, index)?.image));
    }
    Ok(vec![area, chart("Intensity", "pixel intensity, -1 to 1", ours, Histogram::new(made, BINS, range))])
}

/// The nearest training image of each generated image; for comparison also the distances of held-out images to their nearest ones.
pub(crate) fn neighbours(
    training: &PreparedSet,
    held_out: &PreparedSet,
    generated: &[Generated],
) -> Result<NearestSection> {
    let ([height, width], channels) = (training.size, training.channels);
    let made: Vec<&[f32]> = generated.iter().map(|one| one.image.as_slice()).collect();
    let found = nearest_of(&made, training)?;
    let check = CopyCheck::new(&found, &nearest_of_set(held_out, training)?);
    let picture = |values: &[f32]| Picture::from_values(values, height, width, channels, (-1.0, 1.0));
    let pair = |(index, one): (usize, &Generated)| -> Result<NearestPair> {
        Ok(NearestPair {
            name: one.name.clone(),
            generated: picture(made[index])?,
            training: picture(&training.image(found[index].index)?)?,
            distance: found[index].distance,
            flipped: found[index].flipped,
        })
    };
    let pairs: Result<Vec<NearestPair>> = generated.iter().take(NEIGHBOURS).enumerate().map(pair).collect();
    Ok(NearestSection { pairs: pairs?, check, unit: pixel_unit(training.size, channels) })
}
