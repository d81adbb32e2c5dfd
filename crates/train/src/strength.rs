//! The strength of each channel of the training pairs, for `preconditioning.kind = "strength"`.

use crate::{Config, Result, config::PreconditioningConfig};
use burn::tensor::{Device, Tensor, TensorData};
use pig_data::PreparedSet;
use pig_nn::space::Space;

/// The most pairs that are measured: with more, the root mean squares move by less than networks could notice.
const MOST_PAIRS: usize = 512;
/// Pairs in memory at once.
const AT_ONCE: usize = 16;

/// The section `[preconditioning]` with the root mean squares of the channels of `training`, of at most [`MOST_PAIRS`] pairs that are evenly
/// distributed, as the networks of `config` see them. Strengths that are given stay.
///
/// # Errors
/// When pairs cannot be read.
pub(crate) fn measured(config: &Config, training: &PreparedSet) -> Result<PreconditioningConfig> {
    let count = training.len().min(MOST_PAIRS);
    let indices: Vec<usize> = (0..count).map(|index| index * training.len() / count).collect();
    let space = config.trained_space();
    let of = |channels, read: &dyn Fn(usize) -> pig_data::Result<Vec<f32>>| {
        strength(config.data.size, channels, space, &indices, read)
    };
    let mut settings = config.preconditioning.clone();
    if settings.mask_strength.is_empty() {
        settings.mask_strength = of(config.data.mask_channels(), &|index| training.mask(index))?;
    }
    if settings.image_strength.is_empty() {
        settings.image_strength = of(config.data.channels.count(), &|index| training.image(index))?;
    }
    Ok(settings)
}

fn strength(
    [height, width]: [usize; 2],
    channels: usize,
    space: Space,
    indices: &[usize],
    read: &dyn Fn(usize) -> pig_data::Result<Vec<f32>>,
) -> Result<Vec<f64>> {
    let mut squares = vec![0.0; space.bands() * channels];
    for some in indices.chunks(AT_ONCE) {
        let pictures: Vec<Vec<f32>> = some.iter().map(|&index| read(index)).collect::<pig_data::Result<_>>()?;
        let data = TensorData::new(pictures.concat(), [some.len(), height, width, channels]);
        let coefficients = space.analyse(Tensor::from_data(data, &Device::flex()));
        let means = coefficients.square().mean_dims(&[0, 1, 2]).into_data().convert::<f32>();
        let means = means.iter::<f32>().map(f64::from);
        squares.iter_mut().zip(means).for_each(|(sum, mean)| *sum += mean * some.len() as f64);
    }
    // Four digits say enough, and keep config.toml readable.
    let rounded = |sum: f64| ((sum / indices.len().max(1) as f64).sqrt() * 1e4).round() / 1e4;
    Ok(squares.into_iter().map(rounded).collect())
}
