//! Pair agreement of generated pairs (the claim of the method), measured on the files that were written.

use crate::{
    Config, Result,
    observer::{Observer, Quiet},
    run_data::RunData,
    run_dir::RunDir,
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
    agreement_where(config, generated, real, |label| label > 0)
}

/// Pair agreement of one class, counted from 0: only its pixels are lesion. Those of other classes may lie in the ring around it, as other
/// tissue does.
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
    agreement_where(config, generated, real, move |label| coding.has(label, class))
}

/// Pair agreement of the labels that are lesion by `is_lesion`.
fn agreement_where(
    config: &Config,
    generated: &[PlainPair],
    real: Option<&PreparedSet>,
    is_lesion: impl Fn(u8) -> bool,
) -> Result<Agreement> {
    let lesions = |pairs: &[PlainPair]| -> Vec<Vec<bool>> {
        pairs.iter().map(|pair| pair.mask.iter().map(|&label| is_lesion(label)).collect()).collect()
    };
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
fn borrow<'a>(pairs: &'a [PlainPair], lesions: &'a [Vec<bool>], [height, width]: [usize; 2]) -> Vec<Pair<'a>> {
    let mut slices = Vec::new();
    for (pair, lesion) in pairs.iter().zip(lesions) {
        let parts = pair.image.chunks_exact(height * width).zip(lesion.chunks_exact(height * width));
        slices.extend(parts.map(|(image, mask)| Pair { image, mask, height, width, group: pair.group.as_deref() }));
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
