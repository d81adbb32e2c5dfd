//! Converts a picture to the input of the FID's Inception network: 299 x 299 pixels, three channels, about -1 to 1.
//!
//! The results of different tools differ only because of this step, so the name of the method is printed with every number.

use serde::{Deserialize, Serialize};

/// The height and width of the network's input.
pub const INPUT_SIZE: usize = 299;

/// How a picture is resized and scaled for the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preprocess {
    /// The bilinear resize of TensorFlow 1 (source pixel = target pixel x scale, without averaging), then (v - 128) / 128, as in the
    /// original FID and in torch-fidelity.
    #[default]
    TorchFidelity,
    /// A bilinear resize with aligned pixel centres, without averaging, then (v - 127.5) / 127.5, as in pytorch-fid.
    PytorchFid,
    /// A bicubic resize that averages when it reduces the size (Parmar et al. 2022), then (v - 128) / 128.
    Antialiased,
}

impl Preprocess {
    /// The name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::TorchFidelity => "torch-fidelity",
            Self::PytorchFid => "pytorch-fid",
            Self::Antialiased => "antialiased",
        }
    }

    /// Converts a picture. `pixels` has `height * width * channels` values from 0 to 255, channels last; a single channel is repeated.
    /// The result has `299 * 299 * 3` values, channels last.
    ///
    /// # Panics
    /// When `pixels` has another length or is empty, or `channels` is neither 1 nor 3.
    pub fn apply(self, pixels: &[u8], [height, width]: [usize; 2], channels: usize) -> Vec<f32> {
        assert!(matches!(channels, 1 | 3) && pixels.len() == height * width * channels && !pixels.is_empty());
        let rows: Vec<Taps> = (0..INPUT_SIZE).map(|at| self.taps(at, height)).collect();
        let columns: Vec<Taps> = (0..INPUT_SIZE).map(|at| self.taps(at, width)).collect();
        // The order of rows and columns does not matter for rounding, because all sums are in f64.
        let mut narrow = vec![0.0; height * INPUT_SIZE * channels];
        for (row, out) in narrow.chunks_exact_mut(INPUT_SIZE * channels).enumerate() {
            for (taps, pixel) in columns.iter().zip(out.chunks_exact_mut(channels)) {
                for (channel, value) in pixel.iter_mut().enumerate() {
                    *value = taps.sum(|at| f64::from(pixels[(row * width + at) * channels + channel]));
                }
            }
        }
        let mut values = Vec::with_capacity(INPUT_SIZE * INPUT_SIZE * 3);
        for taps in &rows {
            for column in 0..INPUT_SIZE {
                for channel in 0..3 {
                    let channel = channel.min(channels - 1);
                    let value = taps.sum(|row| narrow[(row * INPUT_SIZE + column) * channels + channel]);
                    values.push(self.scale(value) as f32);
                }
            }
        }
        values
    }

    fn scale(self, value: f64) -> f64 {
        match self {
            Self::TorchFidelity => (value - 128.0) / 128.0,
            Self::PytorchFid => (value - 127.5) / 127.5,
            Self::Antialiased => (value.clamp(0.0, 255.0) - 128.0) / 128.0,
        }
    }

    /// The source pixels of a target pixel along an axis of `size` pixels.
    fn taps(self, at: usize, size: usize) -> Taps {
        let scale = size as f64 / INPUT_SIZE as f64;
        match self {
            Self::TorchFidelity => Taps::linear(at as f64 * scale, size),
            Self::PytorchFid => Taps::linear(((at as f64 + 0.5) * scale - 0.5).max(0.0), size),
            Self::Antialiased => Taps::cubic((at as f64 + 0.5) * scale, scale.max(1.0), size),
        }
    }
}

/// The weights of neighbouring source pixels.
struct Taps {
    first: usize,
    weights: Vec<f64>,
}

impl Taps {
    fn linear(place: f64, size: usize) -> Self {
        let first = (place.floor() as usize).min(size - 1);
        let part = if first + 1 < size { place - first as f64 } else { 0.0 };
        let weights = if part > 0.0 { vec![1.0 - part, part] } else { vec![1.0] };
        Self { first, weights }
    }

    /// Keys' cubic kernel with a = -1/2, widened by `stretch`, and normalised at the border.
    fn cubic(centre: f64, stretch: f64, size: usize) -> Self {
        let reach = 2.0 * stretch;
        let first = ((centre - reach + 0.5).floor().max(0.0)) as usize;
        let end = ((centre + reach + 0.5).floor() as usize).min(size);
        let weights: Vec<f64> = (first..end).map(|at| cubic((at as f64 + 0.5 - centre) / stretch)).collect();
        let sum: f64 = weights.iter().sum();
        Self { first, weights: weights.into_iter().map(|weight| weight / sum).collect() }
    }

    fn sum(&self, value: impl Fn(usize) -> f64) -> f64 {
        self.weights.iter().enumerate().map(|(i, weight)| weight * value(self.first + i)).sum()
    }
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Preprocess; 3] = [Preprocess::TorchFidelity, Preprocess::PytorchFid, Preprocess::Antialiased];

    #[test]
    fn a_flat_picture_stays_flat_and_gray_is_repeated() {
        for way in ALL {
            let values = way.apply(&[200; 7 * 5], [7, 5], 1);
            assert_eq!(values.len(), INPUT_SIZE * INPUT_SIZE * 3);
            let wanted = way.scale(200.0) as f32;
            assert!(values.iter().all(|v| (v - wanted).abs() < 1e-6), "{way:?}");
            let gray: Vec<u8> = (0..=254).collect();
            let colour: Vec<u8> = gray.iter().flat_map(|&v| [v; 3]).collect();
            assert_eq!(way.apply(&gray, [17, 15], 1), way.apply(&colour, [17, 15], 3), "{way:?}");
        }
    }

    #[test]
    fn a_picture_of_the_right_size_is_only_scaled() {
        let pixels: Vec<u8> = (0..INPUT_SIZE * INPUT_SIZE).map(|i| (i * 7 % 256) as u8).collect();
        for way in ALL {
            let values = way.apply(&pixels, [INPUT_SIZE; 2], 1);
            let wrong = values
                .iter()
                .step_by(3)
                .zip(&pixels)
                .filter(|&(v, &p)| (f64::from(*v) - way.scale(f64::from(p))).abs() > 1e-6);
            assert_eq!(wrong.count(), 0, "{way:?}");
        }
    }

    /// Bilinear weights reproduce a ramp, so the shift of half a pixel between the two methods is visible.
    #[test]
    fn a_ramp_tells_where_pixels_are_taken_from() {
        let ramp: Vec<u8> = (0..100).map(|x| 2 * x).collect();
        let at = |way: Preprocess, x: usize| f64::from(way.apply(&ramp, [1, 100], 1)[3 * x]);
        let scale = 100.0 / 299.0;
        let wanted = 2.0 * 150.0 * scale;
        assert!((at(Preprocess::TorchFidelity, 150) - (wanted - 128.0) / 128.0).abs() < 1e-6);
        let wanted = 2.0 * (150.5 * scale - 0.5);
        assert!((at(Preprocess::PytorchFid, 150) - (wanted - 127.5) / 127.5).abs() < 1e-6);
    }
}
