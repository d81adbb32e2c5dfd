//! Guides compute model_y's condition from (x_t, x_0-hat, x_{t-1}).

use burn::tensor::{Tensor, module::avg_pool2d, ops::AvgPoolOptions};

/// Turns the state of the x chain into model_y's condition.
pub trait Guide {
    /// `x_t`, `x_0` (x_0-hat) and `x_prev` (x_{t-1}) are `[batch, height, width, channels]`; so is the condition.
    fn guide(&self, x_t: &Tensor<4>, x_0: &Tensor<4>, x_prev: &Tensor<4>) -> Tensor<4>;
}

impl<G: Guide + ?Sized> Guide for Box<G> {
    fn guide(&self, x_t: &Tensor<4>, x_0: &Tensor<4>, x_prev: &Tensor<4>) -> Tensor<4> {
        (**self).guide(x_t, x_0, x_prev)
    }
}

/// The guide of the paper, Algorithm 2 line 6: x_0-hat, unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct PredictedX0;

impl Guide for PredictedX0 {
    fn guide(&self, _x_t: &Tensor<4>, x_0: &Tensor<4>, _x_prev: &Tensor<4>) -> Tensor<4> {
        x_0.clone()
    }
}

/// The guide of Eq. (12), taken literally: p_y(y_{t-1} | x_{t-1}, y_t).
#[derive(Clone, Copy, Debug, Default)]
pub struct PreviousX;

impl Guide for PreviousX {
    fn guide(&self, _x_t: &Tensor<4>, _x_0: &Tensor<4>, x_prev: &Tensor<4>) -> Tensor<4> {
        x_prev.clone()
    }
}

/// The guide of the released code: x_0-hat is smoothed by a 5x5 average and thresholded to -1 and +1 at 3/4 maximum + 1/4
/// minimum of each sample and channel. It makes the mask certain too early and so favours the majority (`tests/toy.rs` measures this),
/// so it is off by default.
///
/// The maximum and minimum are those of each sample (and class), so the result does not depend on the batch. At the border the average
/// includes only pixels inside the picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thresholded;

impl Guide for Thresholded {
    fn guide(&self, _x_t: &Tensor<4>, x_0: &Tensor<4>, _x_prev: &Tensor<4>) -> Tensor<4> {
        threshold(x_0)
    }
}

/// The condition of [`Thresholded`] for x_0-hat, `[batch, height, width, channels]`.
pub fn threshold(x_0: &Tensor<4>) -> Tensor<4> {
    let options = AvgPoolOptions::new([5, 5]).with_stride([1, 1]).with_padding([2, 2]).with_count_include_pad(false);
    let smooth = avg_pool2d(x_0.clone().permute([0, 3, 1, 2]), options).permute([0, 2, 3, 1]);
    let extreme = |values: Tensor<4>| values.max_dim(1).max_dim(2);
    let (highest, lowest) = (extreme(smooth.clone()), extreme(smooth.clone().neg()).neg());
    let cut = highest.mul_scalar(0.75) + lowest.mul_scalar(0.25);
    let inside = smooth.greater(cut.expand(x_0.dims()));
    x_0.full_like(-1.0).mask_fill(inside, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn thresholding_is_by_sample_and_ignores_specks() {
        let mut values = vec![-1.0_f32; 2 * 16 * 16];
        for row in 4..11 {
            for column in 4..11 {
                values[row * 16 + column] = 1.0;
            }
        }
        values[14 * 16 + 14] = 1.0;
        values[256 + 8 * 16 + 8] = 0.1;
        let x_0 = Tensor::<4>::from_data(TensorData::new(values, [2, 16, 16, 1]), &Device::flex());
        let both = threshold(&x_0).into_data().try_to_vec::<f32>().unwrap();
        assert!(both.iter().all(|v| v.abs() == 1.0));
        assert_eq!(both[7 * 16 + 7], 1.0);
        assert_eq!(both[14 * 16 + 14], -1.0, "one pixel's 5x5 average stays below 3/4 max + 1/4 min");
        assert_eq!(both[4 * 16 + 4], -1.0, "a corner of the square is smoothed away");
        let alone = threshold(&x_0.clone().narrow(0, 0, 1)).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(alone, both[..256]);
        // A channel is a class, and is cut by itself: one with low values keeps its lesion beside one with high values.
        let low = x_0.clone().mul_scalar(0.1);
        let two = threshold(&Tensor::cat(vec![x_0.clone(), low.clone()], 3));
        let of = |channel| two.clone().narrow(3, channel, 1).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!([of(0), of(1)], [both, threshold(&low).into_data().try_to_vec::<f32>().unwrap()]);
    }
}
