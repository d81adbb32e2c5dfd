//! The network of a segmenter, and its predictions.

use crate::config::{SegmentConfig, SegmentFile};
use burn::tensor::{Device, Tensor, TensorData};
use pig_data::{PreparedSet, classes::Coding};
use pig_nn::{
    pass::Pass,
    segmentation::{Outputs, SegmentationNet},
};
use pig_train::Result;
use rayon::prelude::*;

/// What the logits of a segmenter of these classes stand for.
fn outputs(coding: Coding) -> Outputs {
    if coding.overlap { Outputs::Each } else { Outputs::Background }
}

/// What `of` makes of each picture of a set, in order: it gets the picture's position and the probability of lesion at each pixel,
/// `height * width * classes` values. The pictures of a batch are in memory together, no more.
pub(crate) fn each_prediction<T: Send>(
    network: &SegmentationNet,
    set: &PreparedSet,
    segment: &SegmentConfig,
    device: &Device,
    of: impl Fn(usize, Vec<f32>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let mut found = Vec::with_capacity(set.len());
    let positions: Vec<usize> = (0..set.len()).collect();
    for batch in positions.chunks(segment.train.batch_size) {
        let images: Vec<Vec<f32>> =
            batch.iter().map(|&index| set.image(index)).collect::<std::result::Result<_, _>>()?;
        let images: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
        let predicted = batch_probabilities(network, &images, (set.size, set.channels, set.coding()), segment, device);
        let made: Vec<T> = batch
            .par_iter()
            .zip(predicted)
            .map(|(&index, probabilities)| of(index, probabilities))
            .collect::<Result<_>>()?;
        found.extend(made);
    }
    Ok(found)
}

/// A batch `[batch, height, width, channels]`, mirrored.
fn mirrored(batch: Tensor<4>, [rows, columns]: [bool; 2]) -> Tensor<4> {
    let batch = if rows { batch.flip([1]) } else { batch };
    if columns { batch.flip([2]) } else { batch }
}

/// The probability of lesion, or of each class, at each pixel of a few images with this size, number of channels, and classes: the mean
/// over the mirrored pictures of `test_time_flips`.
pub(crate) fn batch_probabilities(
    network: &SegmentationNet,
    images: &[&[f32]],
    ([height, width], channels, coding): ([usize; 2], usize, Coding),
    segment: &SegmentConfig,
    device: &Device,
) -> Vec<Vec<f32>> {
    let pass = Pass { precision: segment.train.precision.on(device), ..Pass::default() };
    let data = TensorData::new(images.concat(), [images.len(), height, width, channels]);
    let batch = Tensor::<4>::from_data(data, device);
    let flips = segment.test_time_flips.pictures();
    let of = |&flip: &[bool; 2]| {
        mirrored(network.probabilities(mirrored(batch.clone(), flip), outputs(coding), &pass), flip)
    };
    let sum = flips.iter().map(of).reduce(|sum, one| sum + one).expect("the picture itself is always there");
    let found = if flips.len() > 1 { sum.div_scalar(flips.len() as f64) } else { sum };
    let values = found.into_data().try_into_vec::<f32>().expect("probabilities are f32");
    values.chunks_exact(values.len() / images.len().max(1)).map(<[f32]>::to_vec).collect()
}

/// Builds the network with weights of zero.
pub(crate) fn build(file: &SegmentFile, device: &Device) -> Result<SegmentationNet> {
    let (channels, coding) = (file.data.channels.count(), file.data.coding());
    let ends = (coding.classes, outputs(coding));
    Ok(SegmentationNet::of_classes(&file.segment.network, channels, ends, file.data.size, device)?)
}
