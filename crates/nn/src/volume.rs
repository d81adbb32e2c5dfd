//! Volumes, computed with the operations on pictures.
//!
//! A batch of volumes is `[batch, depth * height, width, channels]`: the slices of each volume follow each other. Norms, attention and
//! 1x1 convolutions do not depend on the arrangement of pixels and need no change. A 3x3x3 convolution reads each slice together with
//! its two neighbours as additional channels. So it is one convolution of pictures, with the same kernels and backward pass.

use crate::{
    ops::{self, ConvGeometry},
    precision::Precision,
};
use burn::tensor::{Int, Tensor, TensorData};

/// The depth and the width of the volumes of a forward pass at one of its levels. All levels halve both, so the depth of a tensor
/// follows from its width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The number of slices.
    pub depth: usize,
    /// The width of each slice.
    pub width: usize,
}

impl Volume {
    /// The number of slices of a tensor with this width.
    pub fn depth_at(self, width: usize) -> usize {
        width * self.depth / self.width
    }

    /// `[batch, depth * height, width, channels]` as `[batch, depth, height, width, channels]`.
    fn unfolded(self, x: Tensor<4>) -> Tensor<5> {
        let [batch, rows, width, channels] = x.dims();
        let depth = self.depth_at(width);
        x.reshape([batch, depth, rows / depth, width, channels])
    }

    /// A convolution. `weight` is `[out, in * kernel, kernel, kernel]`; the kernel slices of one input channel are neighbours, so the
    /// order of the values is that of `[out, in, kernel, kernel, kernel]`. The depth has the stride and the padding of the height.
    pub(crate) fn conv(
        self,
        x: Tensor<4>,
        weight: Tensor<4>,
        bias: Tensor<1>,
        geometry: ConvGeometry,
        precision: Precision,
    ) -> Tensor<4> {
        let (kernel, [front, back, ..], device) = (weight.dims()[2], geometry.padding, x.device());
        let x = self.unfolded(x);
        let [batch, depth, height, width, channels] = x.dims();
        let zeros =
            |slices: usize| (slices > 0).then(|| Tensor::<5>::zeros([batch, slices, height, width, channels], &device));
        let parts: Vec<Tensor<5>> = [zeros(front), Some(x), zeros(back)].into_iter().flatten().collect();
        let padded = Tensor::cat(parts, 1);
        let slices = (depth + front + back - kernel) / geometry.stride + 1;
        let tap = |k: usize| {
            let from: Vec<i64> = (0..slices).map(|slice| (slice * geometry.stride + k) as i64).collect();
            padded.clone().select(1, Tensor::<1, Int>::from_data(TensorData::new(from, [slices]), &device))
        };
        let taps: Tensor<6> = Tensor::stack((0..kernel).map(tap).collect(), 5);
        let taps = taps.reshape([batch * slices, height, width, channels * kernel]);
        let y = ops::conv2d(taps, weight, bias, geometry, precision);
        let [_, height, width, channels] = y.dims();
        y.reshape([batch, slices * height, width, channels])
    }

    /// Repeats each voxel two by two by two times.
    pub fn upsample_nearest(self, x: Tensor<4>) -> Tensor<4> {
        self.resized(x, |x| Tensor::stack(vec![x.clone(), x], 2))
    }

    /// Doubles the size in all directions by linear interpolation between the centres of voxels; beyond the outermost centres, the
    /// outermost voxels are repeated.
    pub fn upsample_linear(self, x: Tensor<4>) -> Tensor<4> {
        self.resized(x, |x| {
            let length = x.dims()[1];
            let (first, last) = (x.clone().narrow(1, 0, 1), x.clone().narrow(1, length - 1, 1));
            let before = Tensor::cat(vec![first, x.clone().narrow(1, 0, length - 1)], 1);
            let behind = Tensor::cat(vec![x.clone().narrow(1, 1, length - 1), last], 1);
            let near = x.mul_scalar(0.75);
            let mixed = |other: Tensor<3>| near.clone() + other.mul_scalar(0.25);
            Tensor::stack(vec![mixed(before), mixed(behind)], 2)
        })
    }

    /// The means over cubes of `factor` voxels.
    pub(crate) fn mean(self, x: Tensor<4>, factor: usize) -> Tensor<4> {
        let [batch, depth, height, width, channels] = self.unfolded(x.clone()).dims();
        let [depth, height, width] = [depth, height, width].map(|side| side / factor);
        x.reshape([batch * depth, factor, height, factor, width, factor, channels]).mean_dims(&[1, 3, 5]).reshape([
            batch,
            depth * height,
            width,
            channels,
        ])
    }

    /// Doubles depth, height and width with `twice`, which maps `[outer, length, inner]` to `[outer, length, 2, inner]`.
    fn resized(self, x: Tensor<4>, twice: impl Fn(Tensor<3>) -> Tensor<4>) -> Tensor<4> {
        let [batch, depth, height, width, channels] = self.unfolded(x.clone()).dims();
        let along = |x: Tensor<3>| {
            let [outer, length, inner] = x.dims();
            twice(x).reshape([outer, 2 * length, inner])
        };
        let x = along(x.reshape([batch, depth, height * width * channels]));
        let x = along(x.reshape([batch * 2 * depth, height, width * channels]));
        let x = along(x.reshape([batch * 2 * depth * 2 * height, width, channels]));
        x.reshape([batch, 2 * depth * 2 * height, 2 * width, channels])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// The values on the grid are a linear function of the position, so interpolation is exact inside.
    #[test]
    fn linear_interpolation_keeps_a_slope() {
        let [depth, height, width] = [2, 3, 4];
        let at = |z: f32, y: f32, x: f32| 100.0 * z + 10.0 * y + x;
        let grid = |f: &dyn Fn(usize) -> f32, [d, h, w]: [usize; 3]| -> Vec<f32> {
            let place = |i: usize| at(f(i / (h * w)), f(i / w % h), f(i % w));
            (0..d * h * w).map(place).collect()
        };
        let volume = Volume { depth: 4, width: 8 };
        let values = grid(&|i| i as f32, [depth, height, width]);
        let x = Tensor::<4>::from_data(TensorData::new(values, [1, depth * height, width, 1]), &Device::flex());
        let y = volume.upsample_linear(x.clone());
        assert_eq!(y.dims(), [1, 4 * depth * height, 2 * width, 1]);
        let found = y.into_data().try_into_vec::<f32>().unwrap();
        let [_, h, w] = [2 * depth, 2 * height, 2 * width];
        let clamped = |i: usize, length: usize| ((i as f32 - 0.5) / 2.0).clamp(0.0, length as f32 - 1.0);
        for (i, found) in found.into_iter().enumerate() {
            let place = [clamped(i / (h * w), depth), clamped(i / w % h, height), clamped(i % w, width)];
            let wanted = at(place[0], place[1], place[2]);
            assert!((found - wanted).abs() < 1e-4, "{place:?}: {found}, expected {wanted}");
        }
        let near = volume.upsample_nearest(x).into_data().try_into_vec::<f32>().unwrap();
        let wanted: Vec<f32> = grid(&|i| (i / 2) as f32, [2 * depth, h, w]);
        assert_eq!(near, wanted);
    }
}
