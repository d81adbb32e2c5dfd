//! Resizes images and masks: an antialiased triangle filter, exact area coverage, and nearest neighbour.
//!
//! The arithmetic is the same on every machine and uses no vector instructions, which differ between machines, so that a
//! prepared set has the same fingerprint wherever it was made.

use crate::classes::Coding;

/// Tolerance in "at least half covered", for rounding errors in the sum.
const COVERAGE_SLACK: f32 = 1e-6;

/// How an output pixel weights the input pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// Linear interpolation, widened by the reduction factor to avoid aliasing.
    Triangle,
    /// The share of the output pixel's area that an input pixel covers.
    Area,
}

/// The input positions that one output position reads, and their weights, which sum to 1.
struct Taps {
    first: usize,
    weights: Vec<f64>,
}

fn taps(input: usize, output: usize, kernel: Kernel) -> Vec<Taps> {
    let scale = input as f64 / output as f64;
    let spread = scale.max(1.0);
    (0..output)
        .map(|position| {
            let centre = (position as f64 + 0.5) * scale;
            let half = if kernel == Kernel::Triangle { spread } else { scale / 2.0 };
            let first = (centre - half).floor().max(0.0) as usize;
            let end = ((centre + half).ceil() as usize).clamp(first + 1, input);
            let first = first.min(end - 1);
            let weight = |index: usize| match kernel {
                Kernel::Triangle => (1.0 - ((index as f64 + 0.5 - centre) / spread).abs()).max(0.0),
                Kernel::Area => {
                    let (low, high) = ((centre - half).max(index as f64), (centre + half).min(index as f64 + 1.0));
                    (high - low).max(0.0)
                }
            };
            let mut weights: Vec<f64> = (first..end).map(weight).collect();
            let sum: f64 = weights.iter().sum();
            for weight in &mut weights {
                *weight /= sum;
            }
            Taps { first, weights }
        })
        .collect()
}

/// Filters `data` of shape (`from[0]`, `from[1]`, channels) to (`to[0]`, `to[1]`, channels), rows first, then columns.
fn filter(data: &[f32], from: [usize; 2], to: [usize; 2], channels: usize, kernel: Kernel) -> Vec<f32> {
    let horizontal = taps(from[1], to[1], kernel);
    let mut narrow = Vec::with_capacity(from[0] * to[1] * channels);
    for row in data.chunks_exact(from[1] * channels) {
        for tap in &horizontal {
            for channel in 0..channels {
                let values = row[tap.first * channels + channel..].iter().step_by(channels);
                let sum: f64 = values.zip(&tap.weights).map(|(&value, weight)| f64::from(value) * weight).sum();
                narrow.push(sum as f32);
            }
        }
    }
    let width = to[1] * channels;
    let mut output = Vec::with_capacity(to[0] * width);
    let mut sums = vec![0.0f64; width];
    for tap in taps(from[0], to[0], kernel) {
        sums.fill(0.0);
        for (row, weight) in narrow[tap.first * width..].chunks_exact(width).zip(&tap.weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += f64::from(value) * weight;
            }
        }
        output.extend(sums.iter().map(|&sum| sum as f32));
    }
    output
}

/// Resizes an image of shape (`from[0]`, `from[1]`, channels) to `to` = (height, width) with the antialiased triangle
/// filter: linear interpolation when enlarging, a triangle as wide as the reduction when reducing (what Pillow calls
/// `BILINEAR`).
pub fn resize_image(data: &[f32], from: [usize; 2], to: [usize; 2], channels: usize) -> Vec<f32> {
    if from == to { data.to_vec() } else { filter(data, from, to, channels, Kernel::Triangle) }
}

/// The largest size within `target` that has the aspect ratio of `from`. No side becomes 0.
pub fn fit_within(from: [usize; 2], target: [usize; 2]) -> [usize; 2] {
    let scale = (0..2).map(|axis| target[axis] as f64 / from[axis] as f64).fold(f64::INFINITY, f64::min);
    [0, 1].map(|axis| ((from[axis] as f64 * scale).round() as usize).clamp(1, target[axis]))
}

/// Resizes a mask of 0 and 1: an output pixel is 1 if ones cover at least half of its area.
pub fn resize_mask_area(data: &[u8], from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    resize_labels_area(data, from, to, Coding::exclusive(1))
}

/// Resizes a label map: an output pixel is not background if classes cover at least half of its area, and then it is of the class that
/// covers most of it (the first of equal ones). Where classes may overlap, it is of each class that covers at least half of it.
pub fn resize_labels_area(data: &[u8], from: [usize; 2], to: [usize; 2], coding: Coding) -> Vec<u8> {
    if from == to {
        return data.to_vec();
    }
    let classes = coding.classes;
    let cover = |&label: &u8| (0..classes).map(move |class| f32::from(u8::from(coding.has(label, class))));
    let cover: Vec<f32> = data.iter().flat_map(cover).collect();
    let cover = filter(&cover, from, to, classes, Kernel::Area);
    let half = 0.5 - COVERAGE_SLACK;
    let each = |shares: &[f32]| {
        let covered = shares.iter().enumerate().filter(|(_, share)| **share >= half);
        covered.fold(0, |label, (class, _)| label | coding.label(class))
    };
    let most = |shares: &[f32]| {
        if shares.iter().sum::<f32>() < half {
            return 0;
        }
        let mut best = (1, f32::NEG_INFINITY);
        for (class, &share) in shares.iter().enumerate() {
            if share > best.1 {
                best = (class as u8 + 1, share);
            }
        }
        best.0
    };
    let pixels = cover.chunks_exact(classes);
    if coding.overlap { pixels.map(each).collect() } else { pixels.map(most).collect() }
}

/// Resizes a mask: an output pixel takes the value of the input pixel that contains its centre.
pub fn resize_mask_nearest(data: &[u8], from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    // In integer arithmetic: floor((position + 1/2) * input / output).
    let source = |position: usize, axis: usize| (2 * position + 1) * from[axis] / (2 * to[axis]);
    (0..to[0]).flat_map(|y| (0..to[1]).map(move |x| data[source(y, 0) * from[1] + source(x, 1)])).collect()
}
