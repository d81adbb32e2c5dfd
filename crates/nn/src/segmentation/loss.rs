//! Soft Dice + cross-entropy (MONAI's `DiceCELoss` with `sigmoid=True`; of several classes with `softmax=True` and without the background
//! in Dice), over one or several outputs. Classes that may overlap have each its own loss of one class, and the mean is taken; so it is
//! nnU-Net's loss of regions (soft Dice + binary cross-entropy).

use burn::tensor::{
    Tensor,
    activation::{log_sigmoid, log_softmax, sigmoid},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value added to the numerator and the denominator of Dice, MONAI's default: a batch without lesion has no loss if nothing is
/// predicted.
const SMOOTH: f64 = 1e-5;

/// The pixels over which the sums of soft Dice run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiceSums {
    /// All pixels of a batch together: an image without lesion does not cause a large jump of the loss.
    #[default]
    Batch,
    /// The pixels of each image; the loss of the batch is the mean over images.
    Image,
}

/// 1 - (2 sum p t + s) / (sum p + sum t + s), plus the mean binary cross-entropy; `[1]`.
///
/// `logits` and `target` are `[batch, height, width, 1]`; the target is 0 or 1. With logits for a background and several classes, the
/// target has a channel for each class, p is their softmax, Dice is the mean of that of the classes, and the cross-entropy that of all.
/// With several logits and a target for each, it is the mean of the losses of each.
pub fn dice_cross_entropy(logits: &Tensor<4>, target: &Tensor<4>, sums: DiceSums) -> Tensor<1> {
    let [batch, height, width, channels] = logits.dims();
    if channels > target.dims()[3] {
        return of_classes(logits, target, sums);
    }
    if channels > 1 {
        let one = |values: &Tensor<4>, class| values.clone().narrow(3, class, 1);
        let losses =
            (0..channels).map(|class| dice_cross_entropy(&one(logits, class), &one(target, class), sums).unsqueeze());
        return Tensor::<2>::cat(losses.collect(), 0).mean();
    }
    let rows = match sums {
        DiceSums::Batch => [1, batch * height * width * channels],
        DiceSums::Image => [batch, height * width * channels],
    };
    let (p, t) = (sigmoid(logits.clone()).reshape(rows), target.clone().reshape(rows));
    let both = (p.clone() * t.clone()).sum_dim(1).mul_scalar(2.0).add_scalar(SMOOTH);
    let dice = both / (p + t).sum_dim(1).add_scalar(SMOOTH);
    // t log s(x) + (1 - t) log s(-x), with log s(-x) = log s(x) - x.
    let log_likelihood = log_sigmoid(logits.clone()) - logits.clone() * (target.clone().neg().add_scalar(1.0));
    dice.mean().neg().add_scalar(1.0) - log_likelihood.mean()
}

/// The loss of several classes: `logits` is `[batch, height, width, 1 + classes]`, `target` `[batch, height, width, classes]`.
fn of_classes(logits: &Tensor<4>, target: &Tensor<4>, sums: DiceSums) -> Tensor<1> {
    let [batch, height, width, outputs] = logits.dims();
    let (classes, pixels) = (outputs - 1, height * width);
    let likelihoods = log_softmax(logits.clone(), 3);
    // Rows of pixels for each class, and for each image if the sums are by image.
    let rows = |values: Tensor<4>| match sums {
        DiceSums::Batch => values.permute([3, 0, 1, 2]).reshape([classes, batch * pixels]),
        DiceSums::Image => values.permute([0, 3, 1, 2]).reshape([batch * classes, pixels]),
    };
    let (p, t) = (rows(likelihoods.clone().narrow(3, 1, classes).exp()), rows(target.clone()));
    let both = (p.clone() * t.clone()).sum_dim(1).mul_scalar(2.0).add_scalar(SMOOTH);
    let dice = both / (p + t).sum_dim(1).add_scalar(SMOOTH);
    let background = target.clone().sum_dim(3).neg().add_scalar(1.0);
    let true_ones = (likelihoods * Tensor::cat(vec![background, target.clone()], 3)).sum_dim(3);
    dice.mean().neg().add_scalar(1.0) - true_ones.mean()
}

/// The weighted mean of [`dice_cross_entropy`] over the outputs of deep supervision; output `i` has the weight 2^-i. `logits[i]` is
/// `[batch, height / 2^i, width / 2^i, 1]`; the target is reduced by taking the pixel next to the centre of each square (nearest
/// neighbour).
pub fn supervised(logits: &[Tensor<4>], target: &Tensor<4>, sums: DiceSums) -> Tensor<1> {
    let weights: Vec<f64> = (0..logits.len()).map(|i| 0.5_f64.powi(i as i32)).collect();
    let total: f64 = weights.iter().sum();
    let losses = logits.iter().zip(&weights).enumerate().map(|(i, (logits, weight))| {
        dice_cross_entropy(logits, &reduced(target, 1 << i), sums).mul_scalar(weight / total)
    });
    losses.reduce(|sum, loss| sum + loss).expect("a network has an output")
}

/// Keeps every `factor`-th pixel in both directions.
fn reduced(target: &Tensor<4>, factor: usize) -> Tensor<4> {
    let [batch, height, width, channels] = target.dims();
    if factor == 1 {
        return target.clone();
    }
    let (rows, columns) = (height / factor, width / factor);
    target
        .clone()
        .reshape([batch, rows, factor, columns, factor, channels])
        .narrow(2, factor / 2, 1)
        .narrow(4, factor / 2, 1)
        .reshape([batch, rows, columns, channels])
}
