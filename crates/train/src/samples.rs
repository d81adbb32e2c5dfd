//! What a sampling is given, and what it gives.

/// What a sampling is given, one for each sample, in [-1, 1].
#[derive(Clone, Copy, Debug)]
pub enum Given<'g> {
    /// Nothing: the method makes all that it makes.
    Nothing,
    /// Masks of `height * width` values of -1 or 1, to make images for.
    Masks(&'g [&'g [f32]]),
    /// Images of `height * width * channels` values, to make masks for.
    Images(&'g [&'g [f32]]),
}

/// Samples on the host: masks (x_0-hat; none, where a method makes images alone) and images (y_0-hat), before any threshold
/// or rounding.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// One mask a sample, `height * width` values, about -1 to 1.
    pub masks: Vec<Vec<f32>>,
    /// One image a sample, `height * width * channels` values, about -1 to 1.
    pub images: Vec<Vec<f32>>,
}

/// One sample's estimates at one timestep.
#[derive(Clone, Debug)]
pub struct StripEstimate {
    /// The timestep.
    pub t: usize,
    /// Estimated masks and images of the whole batch.
    pub samples: Samples,
}
