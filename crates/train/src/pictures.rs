//! Pairs as pictures.

use crate::{Config, Result, samples::Samples};
use pig_data::{Preparation, PreparedSet, postprocess::clean_mask};
use pig_report::{PairPicture, Picture};

/// The evenly spread indices of `count` pairs, or of all pairs if there are fewer.
pub(crate) fn spread(set: &PreparedSet, count: usize) -> impl Iterator<Item = usize> + Clone + use<> {
    let (len, count) = (set.len(), count.min(set.len()));
    (0..count).map(move |i| i * len / count)
}

/// `count` pairs of a prepared set, evenly spread, as pictures.
pub fn real_pictures(set: &PreparedSet, count: usize) -> Result<Vec<PairPicture>> {
    spread(set, count)
        .map(|index| pair_picture(&set.image(index)?, set.lesion(index)?, set.size, set.channels, String::new()))
        .collect()
}

/// Samples as pictures. Their masks, if there are any, are postprocessed as in `pig sample`.
pub fn generated_pictures(samples: &Samples, ids: &[u64], config: &Config) -> Result<Vec<PairPicture>> {
    let (sample, size) = (&config.sample, config.data.size);
    samples
        .images
        .iter()
        .zip(ids)
        .enumerate()
        .map(|(index, (image, id))| {
            let slice = config.data.slice_size();
            let clean =
                |mask: &Vec<f32>| clean_mask(mask, slice, sample.mask_threshold, sample.min_component_area).mask;
            let mask = samples.masks.get(index).map_or(vec![0; size[0] * size[1]], clean);
            let mask = mask.iter().map(|&value| value > 0).collect();
            pair_picture(image, mask, size, config.data.channels.count(), format!("seed {id}"))
        })
        .collect()
}

/// One pair as a picture; `image` is in [-1, 1].
pub fn pair_picture(
    image: &[f32],
    mask: Vec<bool>,
    [height, width]: [usize; 2],
    channels: usize,
    label: String,
) -> Result<PairPicture> {
    let image = Picture::from_bytes(&Preparation::display(image), height, width, channels)?;
    Ok(PairPicture { image, mask, label })
}
