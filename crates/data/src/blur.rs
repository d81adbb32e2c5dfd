//! A Gaussian blur.

/// Standard deviations after which the kernel ends.
const REACH: f64 = 3.0;

/// `values` of shape (height, width, channels), blurred with this standard deviation in pixels; the edge is repeated outside. A constant
/// stays what it is, and values stay between the least and the greatest of their neighbourhood. With 0 nothing changes.
///
/// # Panics
/// When the number of values does not fit `size` and `channels`, a mistake of the calling code.
#[must_use]
pub fn blur(values: &[f32], size: [usize; 2], channels: usize, deviation: f64) -> Vec<f32> {
    assert_eq!(values.len(), size[0] * size[1] * channels, "the values do not fit size and channels");
    let reach = (REACH * deviation).ceil() as usize;
    if reach == 0 {
        return values.to_vec();
    }
    let weights: Vec<f64> = (-(reach as isize)..=reach as isize)
        .map(|place| libm::exp(-0.5 * (place as f64 / deviation).powi(2)))
        .collect();
    let down = along(values, size[0], size[1] * channels, 1, &weights);
    along(&down, size[1], channels, size[0], &weights)
}

/// Blurs along an axis of `side` places that are `stride` values apart; there are `blocks` such arrays, one after the other.
fn along(values: &[f32], side: usize, stride: usize, blocks: usize, weights: &[f64]) -> Vec<f32> {
    let (reach, total) = (weights.len() / 2, weights.iter().sum::<f64>());
    let mut blurred = vec![0.0; values.len()];
    for block in 0..blocks {
        for place in 0..side {
            for within in 0..stride {
                let value = |offset: usize| {
                    let at = (place + offset).saturating_sub(reach).min(side - 1);
                    f64::from(values[(block * side + at) * stride + within])
                };
                let sum: f64 = weights.iter().enumerate().map(|(offset, weight)| weight * value(offset)).sum();
                blurred[(block * side + place) * stride + within] = (sum / total) as f32;
            }
        }
    }
    blurred
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blur of one bright pixel is the kernel itself: the product of two sampled Gaussians, which sum to 1.
    #[test]
    fn a_point_becomes_the_gaussian() {
        let (side, deviation) = (21_usize, 1.3);
        let mut values = vec![0.0; side * side * 2];
        values[(10 * side + 10) * 2 + 1] = 1.0;
        let found = blur(&values, [side, side], 2, deviation);
        let gauss = |offset: isize| (-0.5 * (offset as f64 / deviation).powi(2)).exp();
        let total: f64 = (-4..=4).map(gauss).sum();
        for (row, column) in [(10, 10), (11, 10), (10, 13), (7, 12), (10, 15)] {
            let expected = if column > 14 { 0.0 } else { gauss(row - 10) * gauss(column - 10) / (total * total) };
            let at = (row as usize * side + column as usize) * 2 + 1;
            assert!((f64::from(found[at]) - expected).abs() < 1e-6, "{row} {column}: {} {expected}", found[at]);
        }
        assert!(found.iter().step_by(2).all(|&other_channel| other_channel == 0.0));
        assert!((found.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn constants_stay_and_no_blur_changes_nothing() {
        let constant = vec![0.25; 5 * 7];
        assert!(blur(&constant, [5, 7], 1, 2.0).iter().all(|value| (value - 0.25).abs() < 1e-6));
        let ramp: Vec<f32> = (0..35).map(|value| value as f32).collect();
        assert_eq!(blur(&ramp, [5, 7], 1, 0.0), ramp);
    }
}
