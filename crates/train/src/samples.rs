//! The input of a sampling beside noise, and its output.

use std::ops::Range;

/// The input of a sampling beside noise: one mask or image for each sample, in [-1, 1].
#[derive(Clone, Copy, Debug)]
pub enum Given<'g> {
    /// Nothing: the method makes everything from noise.
    Nothing,
    /// Masks of `height * width * classes` values of -1 or 1, to make images for.
    Masks(&'g [&'g [f32]]),
    /// Images of `height * width * channels` values, to make masks for.
    Images(&'g [&'g [f32]]),
}

impl Given<'_> {
    /// What is given for the samples `range`.
    pub(crate) fn part(self, range: Range<usize>) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Masks(masks) => Self::Masks(&masks[range]),
            Self::Images(images) => Self::Images(&images[range]),
        }
    }
}

/// Samples on the host, before any threshold or rounding: masks (x_0-hat; none if the method makes images alone) and images
/// (y_0-hat).
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// One mask per sample, `height * width * classes` values, about -1 to 1.
    pub masks: Vec<Vec<f32>>,
    /// One image per sample, `height * width * channels` values, about -1 to 1.
    pub images: Vec<Vec<f32>>,
}

/// The estimates of a batch at one timestep.
#[derive(Clone, Debug)]
pub struct StripEstimate {
    /// The timestep.
    pub t: usize,
    /// Estimated masks and images of the whole batch.
    pub samples: Samples,
}
