//! Pair agreement of generated pairs (the claim of the method), measured on the files that were written.

use crate::{
    Config, Result,
    observer::{Observer, Silent},
    run_data::RunData,
    run_dir::RunDir,
};
use pig_data::{Preparation, PreparedSet, read::gray};
use pig_metrics::{
    agreement::{Agreement, AgreementSettings, Pair, Ring, pair_agreement},
    bootstrap::Bootstrap,
};
use std::path::Path;

/// A pair as one plane of intensities in [-1, 1] with its mask.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainPair {
    /// `height * width` intensities; luma of a colour image.
    pub image: Vec<f32>,
    /// True inside the lesion.
    pub mask: Vec<bool>,
    /// Patient or group, if known. The slices of a generated volume are not independent: their group is the sample.
    pub group: Option<String>,
}

/// All pairs of a prepared set.
pub fn prepared_pairs(set: &PreparedSet) -> Vec<PlainPair> {
    (0..set.len())
        .map(|i| PlainPair {
            image: gray(set.image(i), set.channels),
            mask: set.mask(i).iter().map(|&value| value > 0.0).collect(),
            group: Some(set.groups[i].clone()),
        })
        .collect()
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
    let mask = pig_data::read::read_mask(&out.join("masks").join(&name), &pig_data::DataConfig::default())?;
    Ok(PlainPair {
        image: gray(&image, preparation.config.channels.count()),
        mask: mask.data.iter().map(|&value| value > 0).collect(),
        group: (preparation.config.slices > 1).then_some(name),
    })
}

/// Pair agreement of `generated`, compared with that of the same pairs with shuffled masks and that of the `real` pairs (there may
/// be none). Volumes are measured slice by slice.
pub fn agreement(config: &Config, generated: &[PlainPair], real: &[PlainPair]) -> Result<Agreement> {
    let size = config.data.slice_size();
    let settings = AgreementSettings {
        ring: Ring { background: config.sample.agreement_background, ..Ring::default() },
        bootstrap: Bootstrap { seed: config.sample.seed, ..Bootstrap::default() },
        ..AgreementSettings::default()
    };
    Ok(pair_agreement(&borrow(generated, size), &borrow(real, size), &settings)?)
}

/// The slices of the pairs.
fn borrow(pairs: &[PlainPair], [height, width]: [usize; 2]) -> Vec<Pair<'_>> {
    let mut slices = Vec::new();
    for pair in pairs {
        let parts = pair.image.chunks_exact(height * width).zip(pair.mask.chunks_exact(height * width));
        slices.extend(parts.map(|(image, mask)| Pair { image, mask, height, width, group: pair.group.as_deref() }));
    }
    slices
}

/// The real pairs of a run, from the folder `data` or else from the data folder that this machine remembers. If the remembered
/// folder is not known or cannot be read, there are none.
pub fn real_pairs(run: &RunDir, data: Option<&Path>) -> Result<Vec<PlainPair>> {
    let silent: &dyn Observer = &Silent;
    let run_data = RunData::found(data, run, silent);
    match run_data {
        Ok(run_data) => Ok(prepared_pairs(&run_data.set)),
        Err(error) if data.is_some() => Err(error),
        Err(_) => Ok(Vec::new()),
    }
}
