//! The time embedding: sinusoids of t and a small perceptron.

use crate::{config::UNetConfig, layers::Linear, ops, pass::Precision};
use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor, TensorData},
};

/// The sinusoidal embedding of `times` (counted from 0), `[batch, width]`.
///
/// With half = width / 2, frequency k is exp(-ln(10000) k / (half - freq_shift)). The released code has sines first and
/// `freq_shift` 1; diffusers' default is cosines first (`flip_sin_to_cos`) and 0. An odd width ends with a zero.
pub fn sinusoidal(times: &[f32], width: usize, flip_sin_to_cos: bool, freq_shift: f64, device: &Device) -> Tensor<2> {
    let half = width / 2;
    let mut values = Vec::with_capacity(times.len() * width);
    for &time in times {
        let angle = |k: usize| {
            let exponent = -(10_000_f64.ln()) * k as f64 / (half as f64 - freq_shift);
            f64::from(time * exponent.exp() as f32)
        };
        let sines = (0..half).map(|k| angle(k).sin() as f32);
        let cosines = (0..half).map(|k| angle(k).cos() as f32);
        if flip_sin_to_cos {
            values.extend(cosines.chain(sines));
        } else {
            values.extend(sines.chain(cosines));
        }
        values.resize(values.len() + width % 2, 0.0);
    }
    Tensor::from_data(TensorData::new(values, [times.len(), width]), device)
}

/// The sinusoids of one network's time embedding.
#[derive(Clone, Copy, Debug)]
pub struct Sinusoids {
    /// The number of values for each time.
    pub width: usize,
    /// Whether cosines come first.
    pub flip_sin_to_cos: bool,
    /// The value subtracted from half the width in the denominator of the frequency exponents.
    pub freq_shift: f64,
}

impl Sinusoids {
    /// The sinusoids of a U-Net: as many as the channels of its first level.
    pub fn new(config: &UNetConfig) -> Self {
        let (width, flip_sin_to_cos) = (config.block_out_channels[0], config.flip_sin_to_cos);
        Self { width, flip_sin_to_cos, freq_shift: config.freq_shift }
    }

    /// [`sinusoidal`] of `times` (counted from 0), `[batch, width]`.
    pub fn of(&self, times: &[f32], device: &Device) -> Tensor<2> {
        sinusoidal(times, self.width, self.flip_sin_to_cos, self.freq_shift, device)
    }
}

/// Linear layer, SiLU, linear layer: from the sinusoids to the vector that every residual block receives.
#[derive(Module, Debug)]
pub struct TimeEmbedding {
    /// The layer from the width of the sinusoids to the width of the embedding.
    pub linear_1: Linear,
    /// The layer that keeps the width of the embedding.
    pub linear_2: Linear,
}

impl TimeEmbedding {
    /// An embedding from `width` sinusoids to `embedding` values.
    pub fn new(width: usize, embedding: usize, device: &Device) -> Self {
        Self {
            linear_1: Linear::new([width, embedding], device),
            linear_2: Linear::new([embedding, embedding], device),
        }
    }

    /// `[batch, width]` to `[batch, embedding]`.
    pub fn forward(&self, sinusoids: Tensor<2>) -> Tensor<2> {
        let hidden = ops::silu(self.linear_1.forward(sinusoids, Precision::F32));
        self.linear_2.forward(hidden, Precision::F32)
    }
}

/// One vector per class, added to the time embedding.
#[derive(Module, Debug)]
pub struct ClassEmbedding {
    /// `[classes, embedding]`.
    pub weight: Param<Tensor<2>>,
}

impl ClassEmbedding {
    /// A table of zeros for this many classes.
    pub fn new(classes: usize, config: &UNetConfig, device: &Device) -> Self {
        Self { weight: Param::from_tensor(Tensor::zeros([classes, config.time_embedding_width()], device)) }
    }

    /// The rows of `classes`, `[batch, embedding]`.
    ///
    /// # Panics
    /// When a class is not in the table.
    pub fn forward(&self, classes: &[usize]) -> Tensor<2> {
        let weight = self.weight.val();
        assert!(
            classes.iter().all(|&class| class < weight.dims()[0]),
            "classes {classes:?} must be below {}, the number of classes",
            weight.dims()[0]
        );
        let rows: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [classes.len()]), &weight.device());
        weight.select(0, rows)
    }
}
