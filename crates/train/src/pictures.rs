//! Pairs as pictures.

use crate::{Config, Result, samples::Samples};
use pig_data::{ClassConfig, DataConfig, Preparation, PreparedSet, classes::colour};
use pig_report::{ClassColour, PairPicture, Picture};

/// The classes of masks with the colours of their outlines, if there are several.
pub fn class_colours(data: &DataConfig) -> Vec<ClassColour> {
    let classes = if data.has_several_classes() { &data.classes[..] } else { &[] };
    let coding = data.coding();
    let of = |(index, class): (usize, &ClassConfig)| ClassColour {
        name: class.name.clone(),
        colour: colour(index),
        labels: coding.labels_of(index),
    };
    classes.iter().enumerate().map(of).collect()
}

/// The evenly spread indices of `count` pairs, or of all pairs if there are fewer.
pub(crate) fn spread(set: &PreparedSet, count: usize) -> impl Iterator<Item = usize> + Clone + use<> {
    let (len, count) = (set.len(), count.min(set.len()));
    (0..count).map(move |i| i * len / count)
}

/// `count` pairs of a prepared set, evenly spread, as pictures.
pub fn real_pictures(set: &PreparedSet, count: usize) -> Result<Vec<PairPicture>> {
    spread(set, count)
        .map(|index| pair_picture(&set.image(index)?, set.labels(index)?, set.size, set.channels, String::new()))
        .collect()
}

/// Samples as pictures. Their masks, if there are any, are postprocessed as in `pig sample`.
pub fn generated_pictures(samples: &Samples, ids: &[u64], config: &Config) -> Result<Vec<PairPicture>> {
    let size = config.data.size;
    samples
        .images
        .iter()
        .zip(ids)
        .enumerate()
        .map(|(index, (image, id))| {
            let clean = |mask: &Vec<f32>| config.clean_mask(mask).mask;
            let mask = samples.masks.get(index).map_or(vec![0; size[0] * size[1]], clean);
            pair_picture(image, mask, size, config.data.channels.count(), format!("seed {id}"))
        })
        .collect()
}

/// One pair as a picture; `image` is in [-1, 1], and `mask` a label map.
pub fn pair_picture(
    image: &[f32],
    mask: Vec<u8>,
    [height, width]: [usize; 2],
    channels: usize,
    label: String,
) -> Result<PairPicture> {
    let image = Picture::from_bytes(&Preparation::display(image), height, width, channels)?;
    Ok(PairPicture { image, mask, label })
}
