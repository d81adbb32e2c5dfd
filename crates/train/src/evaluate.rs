//! Pair agreement of generated pairs (the claim of the method), measured on the files that were written.

use crate::{
    Config, Result,
    observer::{Observer, Quiet},
    run_data::RunData,
    run_dir::RunDir,
    samples::Samples,
};
use pig_data::{Preparation, PreparedSet, read::gray};
use pig_metrics::{
    agreement::{Agreement, AgreementSettings, MIN_UNITS, Pair, RealContrasts, Ring, agreement_with},
    bootstrap::Bootstrap,
};
use rayon::prelude::*;
use std::path::Path;

/// Real pairs that are in memory at once.
const AT_ONCE: usize = 64;

/// The most slices of a set by which it is judged.
const MOST_PICTURES: usize = 128;

/// The most pixels of a set by which it is judged (but at least as many slices as a verdict needs), so that large pictures take no
/// longer than a few seconds.
const MOST_PIXELS: usize = 64 * 256 * 256;

/// A pair as one plane of intensities in [-1, 1] with its mask.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainPair {
    /// `height * width` intensities; luma of a colour image.
    pub image: Vec<f32>,
    /// The label map: 0 outside of lesions, else as the coding of the classes says.
    pub mask: Vec<u8>,
    /// Patient or group, if known. The slices of a generated volume are not independent: their group is the sample.
    pub group: Option<String>,
}

/// Pair `index` of a prepared set.
pub fn prepared_pair(set: &PreparedSet, index: usize) -> Result<PlainPair> {
    Ok(PlainPair {
        image: gray(&set.image(index)?, set.channels),
        mask: set.labels(index)?,
        group: Some(set.groups[index].clone()),
    })
}

/// Samples as pairs, with masks as `pig sample` would write them, and images as far as a file can hold them: within [-1, 1]. The slices of a volume
/// have no group.
pub(crate) fn sampled_pairs(config: &Config, samples: &Samples) -> Vec<PlainPair> {
    let shown = |image: &[f32]| -> Vec<f32> { image.iter().map(|value| value.clamp(-1.0, 1.0)).collect() };
    let pair = |(image, mask): (&Vec<f32>, &Vec<f32>)| PlainPair {
        image: gray(&shown(image), config.data.channels.count()),
        mask: config.clean_mask(mask).mask,
        group: None,
    };
    samples.images.iter().zip(&samples.masks).map(pair).collect()
}

/// The generated image of `seed` as it was written to `out`: values in [-1, 1] of shape (height, width, channels).
pub fn written_image(out: &Path, seed: u64, preparation: &Preparation) -> Result<Vec<f32>> {
    let path = out.join("images").join(file_name(seed));
    let image = pig_data::read::read_image(&path, preparation.config.channels.count())?;
    Ok(image.data.iter().map(|&raw| preparation.to_unit(raw)).collect())
}

fn file_name(seed: u64) -> String {
    format!("{}.png", pig_data::write::file_stem(seed))
}

/// The generated pair of `seed` as it was written to `out`.
pub fn written_pair(out: &Path, seed: u64, preparation: &Preparation) -> Result<PlainPair> {
    let name = file_name(seed);
    let image = written_image(out, seed, preparation)?;
    let path = out.join("masks").join(&name);
    let config = preparation.of_generated().config;
    let one = pig_data::DataConfig::default();
    let mask = pig_data::read::read_mask(&path, if config.has_several_classes() { &config } else { &one })?;
    Ok(PlainPair {
        image: gray(&image, preparation.config.channels.count()),
        mask: mask.data,
        group: (preparation.config.slices > 1).then_some(name),
    })
}

/// Pair agreement of `generated`, of lesions of whatever class, compared with that of the same pairs with shuffled masks and that of the
/// `real` pairs, if they are there. Volumes are measured slice by slice; real pairs are read one after the other.
pub fn agreement(config: &Config, generated: &[PlainPair], real: Option<&PreparedSet>) -> Result<Agreement> {
    agreement_where(config, generated, real, &|mask| Lesions {
        own: mask.iter().map(|&label| label > 0).collect(),
        others: None,
    })
}

/// Pair agreement of one class, counted from 0: only its pixels are lesion. Classes that exclude each other are left out of the ring around
/// it, so that its contrast is that with tissue. Classes that overlap are not: what surrounds a region is mostly the region of which it is a
/// part.
///
/// # Errors
/// As [`agreement`].
pub fn agreement_of(
    config: &Config,
    generated: &[PlainPair],
    real: Option<&PreparedSet>,
    class: usize,
) -> Result<Agreement> {
    let coding = config.data.coding();
    let of_class = |mask: &[u8]| Lesions {
        own: coding.mask(mask, class),
        others: (!coding.overlap).then(|| mask.iter().map(|&label| label > 0 && !coding.has(label, class)).collect()),
    };
    agreement_where(config, generated, real, &of_class)
}

/// What of a mask is measured.
struct Lesions {
    own: Vec<bool>,
    /// Lesions that are not the surroundings of these.
    others: Option<Vec<bool>>,
}

/// Pair agreement of these lesions of each mask.
fn agreement_where(
    config: &Config,
    generated: &[PlainPair],
    real: Option<&PreparedSet>,
    of_mask: &dyn Fn(&[u8]) -> Lesions,
) -> Result<Agreement> {
    let lesions = |pairs: &[PlainPair]| -> Vec<Lesions> { pairs.iter().map(|pair| of_mask(&pair.mask)).collect() };
    let size = config.data.slice_size();
    let settings = AgreementSettings {
        ring: Ring { background: config.sample.agreement_background, ..Ring::default() },
        bootstrap: Bootstrap { seed: config.sample.seed, ..Bootstrap::default() },
        ..AgreementSettings::default()
    };
    let mut contrasts = RealContrasts::new(&settings.ring);
    if let Some(set) = real {
        for first in (0..set.len()).step_by(AT_ONCE) {
            let indices = first..set.len().min(first + AT_ONCE);
            let pairs = indices.into_par_iter().map(|index| prepared_pair(set, index)).collect::<Result<Vec<_>>>()?;
            contrasts.add(&borrow(&pairs, &lesions(&pairs), size))?;
        }
    }
    Ok(agreement_with(&borrow(generated, &lesions(generated), size), &contrasts, &settings)?)
}

/// The slices of the pairs with these lesions.
fn borrow<'a>(pairs: &'a [PlainPair], lesions: &'a [Lesions], [height, width]: [usize; 2]) -> Vec<Pair<'a>> {
    let (mut slices, pixels) = (Vec::new(), height * width);
    for (pair, lesions) in pairs.iter().zip(lesions) {
        let parts = pair.image.chunks_exact(pixels).zip(lesions.own.chunks_exact(pixels));
        slices.extend(parts.enumerate().map(|(slice, (image, mask))| {
            let others = lesions.others.as_ref().map(|others| &others[slice * pixels..(slice + 1) * pixels]);
            Pair { image, mask, others, height, width, group: pair.group.as_deref() }
        }));
    }
    slices
}

/// The real pairs of a run, from the folder `data` or else from the data folder that this machine remembers. If the remembered
/// folder is not known or cannot be read, there are none. `observer` is told nothing.
pub fn real_pairs(run: &RunDir, data: Option<&Path>, observer: &dyn Observer) -> Result<Option<PreparedSet>> {
    match RunData::found(data, run, &Quiet(observer)) {
        Ok(run_data) => Ok(Some(run_data.set)),
        Err(error) if data.is_some() => Err(error),
        Err(_) => Ok(None),
    }
}

/// The slices by which a set of so many slices of so many pixels is judged: a limited number at even distances, so that all patients
/// have a part in them.
pub fn judged(slices: usize, pixels: usize) -> impl Iterator<Item = usize> {
    let most = MOST_PICTURES.min(MOST_PIXELS / pixels).max(MIN_UNITS).min(slices);
    (0..most).map(move |at| at * slices / most)
}

/// The [`judged`] slices of a prepared set.
pub fn judged_slices(set: &PreparedSet) -> Result<Vec<PlainPair>> {
    let [height, width] = set.slice_size();
    let pixels = height * width;
    let slice = |index: usize| {
        let PlainPair { image, mask, group } = prepared_pair(set, index / set.slices)?;
        let part = index % set.slices * pixels..(index % set.slices + 1) * pixels;
        Ok(PlainPair { image: image[part.clone()].to_vec(), mask: mask[part].to_vec(), group })
    };
    judged(set.len() * set.slices, pixels).map(slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_data::ClassConfig;

    const SIDE: usize = 16;

    /// A picture of these labels, with a gray for each, from that of tissue on.
    fn pairs(label: fn(usize, usize) -> u8, grays: [f32; 4]) -> Vec<PlainPair> {
        let mask: Vec<u8> = (0..SIDE * SIDE).map(|i| label(i / SIDE, i % SIDE)).collect();
        let image = mask.iter().map(|&label| grays[usize::from(label)]).collect();
        vec![PlainPair { image, mask, group: None }; MIN_UNITS]
    }

    fn config(overlap: bool) -> Config {
        let class = |name: &str| ClassConfig { name: name.to_owned(), ..ClassConfig::default() };
        let mut config = Config::default();
        (config.data.size, config.data.classes_overlap) = ([SIDE, SIDE], overlap);
        config.data.classes = vec![class("first"), class("second")];
        config
    }

    /// Two squares in flat tissue, one column apart. The contrast of each is its gray minus that of tissue, and of both together the mean
    /// over their pixels.
    #[test]
    fn the_contrast_of_a_class_is_that_with_tissue() {
        let label = |row, column| match (row, column) {
            (4..=9, 3..=6) => 1,
            (4..=9, 8..=11) => 2,
            _ => 0,
        };
        let (config, pairs) = (config(false), pairs(label, [0.25, 0.75, -0.5, 0.0]));
        let mean = |found: Agreement| found.generated.estimate.map(|estimate| estimate.mean);
        let of = |class| mean(agreement_of(&config, &pairs, None, class).unwrap());
        assert_eq!((of(0), of(1)), (Some(0.5), Some(-0.75)));
        assert_eq!(mean(agreement(&config, &pairs, None).unwrap()), Some(-0.125));
        // One class is lesion: the same numbers in all their bits.
        let one: Vec<PlainPair> = pairs
            .iter()
            .map(|pair| PlainPair {
                mask: pair.mask.iter().map(|&label| u8::from(label == 1)).collect(),
                ..pair.clone()
            })
            .collect();
        let mut single = config.clone();
        single.data.classes.truncate(1);
        assert_eq!(agreement_of(&single, &one, None, 0).unwrap(), agreement(&single, &one, None).unwrap());
    }

    /// What surrounds a core is the whole of which it is a part.
    #[test]
    fn regions_have_their_contrast_with_what_is_around_them() {
        let label = |row, column| match (row, column) {
            (6..=9, 6..=9) => 0b11,
            (2..=13, 2..=13) => 0b10,
            _ => 0,
        };
        let (config, pairs) = (config(true), pairs(label, [0.25, 0.0, 0.5, 0.75]));
        let core = agreement_of(&config, &pairs, None, 0).unwrap().generated.estimate.unwrap().mean;
        assert_eq!(core, 0.25);
    }
}
