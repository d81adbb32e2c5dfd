//! The space that a network works in: pixels, or the coefficients of a Haar transform.
//!
//! The orthonormal Haar transform (Haar 1910; for diffusion WaveDiff, Phung et al. 2023, and WDM, Friedrich et al. 2024) maps blocks of
//! 2^levels pixels along each axis to as many channels. So a network on a grid of a quarter of the pixels makes the same pictures. White
//! noise stays white noise and squared errors stay what they are, so that diffusion in pixels with a network between the transform and
//! its inverse *is* diffusion of the coefficients. Noise, schedules, clipping, guides and losses therefore stay in pixels, and only
//! networks know of the transform.

use crate::volume::Volume;
use burn::tensor::{Tensor, TensorData};

/// The most levels of the transform: blocks of 8 by 8 pixels are 64 channels.
pub const MOST_HAAR_LEVELS: usize = 3;

/// How a network sees its data. The default is the pixels of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Depth and width in voxels, if the data are volumes.
    pub volume: Option<Volume>,
    /// Levels of the Haar transform; 0 for pixels.
    pub haar_levels: usize,
}

impl Space {
    /// How many pixels a block has along each axis.
    pub fn side(self) -> usize {
        1 << self.haar_levels
    }

    /// The number of bands, that is, of the pixels of a block: a network has so many channels for each channel of a picture.
    pub fn bands(self) -> usize {
        self.side().pow(self.axes())
    }

    fn axes(self) -> u32 {
        if self.volume.is_some() { 3 } else { 2 }
    }

    /// The coefficients of pictures: `[batch, height, width, channels]` to `[batch, height / side, width / side, bands * channels]`. The
    /// channels of one band are neighbours, and the mean of the block is the first band. Pixels stay as they are.
    pub fn analyse(self, x: Tensor<4>) -> Tensor<4> {
        if self.haar_levels == 0 {
            return x;
        }
        let ([batch, rows, width, channels], side) = (x.dims(), self.side());
        let blocks = match self.volume {
            None => x.reshape([batch, rows / side, side, width / side, side * channels]).swap_dims(2, 3),
            Some(volume) => {
                let depth = volume.depth_at(width);
                let height = rows / depth;
                x.reshape([batch * depth / side, side, height / side, side, width / side, side * channels])
                    .permute([0, 2, 4, 1, 3, 5])
                    .reshape([batch, depth / side * height / side, width / side, side * side, side * channels])
            }
        };
        self.transformed(blocks.reshape([batch, rows * width / self.bands(), self.bands() * channels]), false)
            .reshape([batch, self.rows_of(rows), width / side, self.bands() * channels])
    }

    /// The pictures of coefficients, the inverse of [`analyse`](Self::analyse).
    pub fn synthesise(self, x: Tensor<4>) -> Tensor<4> {
        if self.haar_levels == 0 {
            return x;
        }
        let ([batch, rows, width, channels], side) = (x.dims(), self.side());
        let inner = side * channels / self.bands();
        let blocks = self.transformed(x.reshape([batch, rows * width, channels]), true);
        match self.volume {
            None => blocks.reshape([batch, rows, width, side, inner]).swap_dims(2, 3).reshape([
                batch,
                rows * side,
                width * side,
                inner / side,
            ]),
            Some(volume) => {
                let depth = volume.depth_at(width * side) / side;
                let height = rows / depth;
                blocks.reshape([batch * depth, height, width, side, side, inner]).permute([0, 3, 1, 4, 2, 5]).reshape([
                    batch,
                    depth * side * height * side,
                    width * side,
                    inner / side,
                ])
            }
        }
    }

    /// The rows of the coefficients of pictures with so many rows; the slices of a volume lie below each other.
    fn rows_of(self, rows: usize) -> usize {
        rows / self.side().pow(self.axes() - 1)
    }

    /// Multiplies the blocks of pixels in the last dimension by the transform, or coefficients by its transpose, which is its inverse.
    fn transformed(self, blocks: Tensor<3>, is_inverse: bool) -> Tensor<3> {
        let [batch, count, values] = blocks.dims();
        let channels = values / self.bands();
        let matrix = haar(self.haar_levels, self.axes());
        let mut wide = vec![0.0; values * values];
        for (band, row) in matrix.iter().enumerate() {
            for (pixel, &weight) in row.iter().enumerate() {
                for channel in 0..channels {
                    let (pixel, band) = (pixel * channels + channel, band * channels + channel);
                    let at = if is_inverse { band * values + pixel } else { pixel * values + band };
                    wide[at] = weight;
                }
            }
        }
        let dtype = blocks.dtype();
        let data = TensorData::new(wide, [values, values]).convert_dtype(dtype);
        let matrix = Tensor::<2>::from_data(data, (&blocks.device(), dtype));
        blocks.reshape([batch * count, values]).matmul(matrix).reshape([batch, count, values])
    }
}

/// The Haar transform of a block with 2^levels pixels along each of its axes: a row for each band, a column for each pixel, the last axis
/// fastest. A level splits the means of the level before into means and differences. The bands of coarse levels come first.
fn haar(levels: usize, axes: u32) -> Vec<Vec<f64>> {
    let side = 1_usize << levels;
    let pixels = side.pow(axes);
    let mut bands = vec![vec![(pixels as f64).sqrt().recip(); pixels]];
    for level in (0..levels).rev() {
        // Details between neighbours of 2^level pixels.
        let (half, count) = (1 << level, side >> (level + 1));
        let norm = ((2 * half) as f64).powi(axes as i32).sqrt().recip();
        for place in 0..count.pow(axes) {
            for detail in 1..1_usize << axes {
                let mut row = vec![0.0; pixels];
                for (pixel, value) in row.iter_mut().enumerate() {
                    let mut sign = Some(1.0);
                    for axis in 0..axes {
                        let at = pixel / side.pow(axis) % side;
                        let is_inside = at / (2 * half) == place / count.pow(axis) % count;
                        let is_second = at / half % 2 == 1;
                        sign = sign.filter(|_| is_inside);
                        if is_second && detail >> axis & 1 == 1 {
                            sign = sign.map(|sign: f64| -sign);
                        }
                    }
                    *value = sign.map_or(0.0, |sign| sign * norm);
                }
                bands.push(row);
            }
        }
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn picture(shape: [usize; 4]) -> Tensor<4> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    fn difference(a: Tensor<4>, b: Tensor<4>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    #[test]
    fn the_matrix_is_orthonormal() {
        for (levels, axes) in [(1, 2), (2, 2), (3, 2), (1, 3), (2, 3)] {
            let matrix = haar(levels, axes);
            assert_eq!(matrix.len(), matrix[0].len());
            for (i, a) in matrix.iter().enumerate() {
                for (j, b) in matrix.iter().enumerate() {
                    let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                    assert!((product - f64::from(i == j)).abs() < 1e-12, "{levels} levels, {axes} axes, {i} {j}");
                }
            }
        }
    }

    /// The coefficients of a block of four pixels, by hand.
    #[test]
    fn one_level_gives_mean_and_differences() {
        let space = Space { haar_levels: 1, ..Space::default() };
        let x = Tensor::<4>::from_data(TensorData::new(vec![1.0_f32, 2.0, 4.0, 8.0], [1, 2, 2, 1]), &Device::flex());
        let found = space.analyse(x).into_data().try_into_vec::<f32>().unwrap();
        // The mean times two; left - right; top - bottom; diagonals.
        assert_eq!(found, [7.5, -2.5, -4.5, 1.5]);
    }

    #[test]
    fn the_inverse_gives_the_pictures_back() {
        for channels in [1, 3] {
            for haar_levels in 0..=3 {
                let space = Space { haar_levels, volume: None };
                let x = picture([2, 16, 24, channels]);
                let y = space.analyse(x.clone());
                assert_eq!(y.dims(), [2, 16 >> haar_levels, 24 >> haar_levels, channels << (2 * haar_levels)]);
                assert!(difference(space.synthesise(y.clone()), x.clone()) < 1e-5);
                let energy = |x: Tensor<4>| x.square().sum().into_scalar::<f32>();
                assert!((energy(x.clone()) / energy(y) - 1.0).abs() < 1e-5);
            }
        }
    }

    /// A volume is a picture of slices below each other: depth 8, height 4, width 8.
    #[test]
    fn volumes_are_transformed_along_three_axes() {
        let volume = Some(Volume { depth: 8, width: 8 });
        for haar_levels in 0..=2 {
            let space = Space { volume, haar_levels };
            let x = picture([2, 8 * 4, 8, 2]);
            let y = space.analyse(x.clone());
            assert_eq!(y.dims(), [2, 32 >> (2 * haar_levels), 8 >> haar_levels, 2 << (3 * haar_levels)]);
            assert!(difference(space.synthesise(y), x) < 1e-5);
        }
        // What is constant in each block of 2 x 2 x 2 voxels has a mean and no differences.
        let blocks = picture([1, 4 * 2, 4, 1]);
        let x = Volume { depth: 4, width: 4 }.upsample_nearest(blocks.clone());
        let y = Space { haar_levels: 1, volume }.analyse(x);
        let (means, details) = (y.clone().narrow(3, 0, 1), y.narrow(3, 1, 7));
        assert!(difference(means, blocks.mul_scalar(8.0_f32.sqrt())) < 1e-5);
        assert!(details.abs().max().into_scalar::<f32>() < 1e-6);
    }

    /// Two levels are one level applied to the means of one level.
    #[test]
    fn levels_follow_each_other() {
        let one = Space { haar_levels: 1, volume: None };
        let two = Space { haar_levels: 2, volume: None };
        let x = picture([1, 8, 8, 1]);
        let coarse = one.analyse(one.analyse(x.clone()).narrow(3, 0, 1));
        assert!(difference(two.analyse(x).narrow(3, 0, 4), coarse) < 1e-5);
    }
}
