//! Watching a training by the pairs of its previews: do images fit their masks, and are they copies of training images?

use crate::{
    Config, Result,
    evaluate::{agreement, agreement_of, sampled_pairs},
    pictures::spread,
    samples::Samples,
    sets::Sets,
};
use pig_data::{AugmentConfig, PreparedSet, classes::names, read::gray, resample::resize_image};
use pig_metrics::{agreement::Agreement, bootstrap::quantile};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::OnceLock};

/// Side of the pictures among which copies are looked for, in pixels.
const SIDE: usize = 32;
/// The most training images, and the most held-out images, among which copies are looked for.
const MOST_IMAGES: usize = 2000;
/// The most held-out pairs whose contrast is measured.
const MOST_PAIRS: usize = 128;
/// Neighbours whose distances stand for that of an image that is no copy.
const NEIGHBOURS: usize = 50;
/// The share of held-out images that counts as suspected copies by definition.
pub const EXPECTED: f64 = 0.05;

/// What the pairs of a preview showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// Mean lesion contrast of the generated pairs: inside the mask minus in a ring around it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contrast: Option<f64>,
    /// The same with the masks of other generated pairs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contrast_shuffled: Option<f64>,
    /// The same of held-out real pairs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contrast_real: Option<f64>,
    /// Share of the generated images that may be copies. An image is suspected if its nearest training image is much nearer than the next
    /// fifty: nearer, as a ratio, than for 95 % of held-out images. 0.05 is expected without copies. The ratio does not favour smooth
    /// images, which are near to all images.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub suspected_copies: Option<f64>,
    /// The same for each class by its name, if there are several: the contrast of its lesions with tissue, and the share of suspected copies
    /// among the images that hold it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub classes: BTreeMap<String, Watched>,
}

impl Watched {
    /// Takes over the contrasts of an agreement.
    fn with_contrasts(self, found: Agreement) -> Self {
        Self {
            contrast: found.generated.estimate.map(|estimate| estimate.mean),
            contrast_shuffled: found.shuffled.estimate.map(|estimate| estimate.mean),
            contrast_real: found.real.and_then(|real| real.estimate).map(|estimate| estimate.mean),
            ..self
        }
    }
}

/// Measures the pairs of previews.
#[derive(Debug)]
pub struct Watch<'a> {
    config: &'a Config,
    sets: Sets<'a>,
    /// Training images, and the ratio below which an image is suspected; computed once.
    known: OnceLock<Option<(Vec<Vec<f32>>, f64)>>,
}

impl<'a> Watch<'a> {
    /// Measures pairs by the pairs of a training.
    pub fn new(config: &'a Config, sets: Sets<'a>) -> Self {
        Self { config, sets, known: OnceLock::new() }
    }

    /// What `samples` show.
    ///
    /// # Errors
    /// When real pairs cannot be read, or a sample has values that are not finite.
    pub fn measure(&self, samples: &Samples) -> Result<Watched> {
        let suspected = self.suspected(&samples.images)?;
        let copies = |of: &dyn Fn(usize) -> bool| {
            let (mut images, mut copies) = (0_usize, 0_usize);
            for (_, &is_copy) in suspected.as_ref()?.iter().enumerate().filter(|(index, _)| of(*index)) {
                images += 1;
                copies += usize::from(is_copy);
            }
            (images > 0).then(|| copies as f64 / images as f64)
        };
        let watched = Watched { suspected_copies: copies(&|_| true), ..Watched::default() };
        if samples.masks.is_empty() {
            return Ok(watched);
        }
        let data = &self.config.data;
        let pairs = sampled_pairs(self.config, samples);
        let held_out = self.sets.validation;
        let real = held_out.subset(&spread(held_out, MOST_PAIRS).collect::<Vec<_>>());
        let mut watched = watched.with_contrasts(agreement(self.config, &pairs, Some(&real))?);
        if data.has_several_classes() {
            let coding = data.coding();
            for (class, name) in names(&data.classes).into_iter().enumerate() {
                let holds = |index: usize| pairs[index].mask.iter().any(|&label| coding.has(label, class));
                let own = Watched { suspected_copies: copies(&holds), ..Watched::default() };
                let found = agreement_of(self.config, &pairs, Some(&real), class)?;
                watched.classes.insert(name.to_owned(), own.with_contrasts(found));
            }
        }
        Ok(watched)
    }

    /// Which images may be copies; none with too few real images to judge by.
    fn suspected(&self, images: &[Vec<f32>]) -> Result<Option<Vec<bool>>> {
        let known = if let Some(known) = self.known.get() {
            known
        } else {
            let found = self.reference()?;
            self.known.get_or_init(|| found)
        };
        let Some((training, threshold)) = known.as_ref().filter(|_| !images.is_empty()) else { return Ok(None) };
        let (size, channels) = (self.config.data.size, self.config.data.channels.count());
        let ratios = ratios(&reduced(images, size, channels), training, &self.config.data.augment);
        Ok(Some(ratios.into_iter().map(|ratio| ratio < *threshold).collect()))
    }

    /// Reduced training images, and the ratio below which 5 % of held-out images lie.
    fn reference(&self) -> Result<Option<(Vec<Vec<f32>>, f64)>> {
        let Sets { training, validation, unlabelled } = self.sets;
        if !can_judge(self.sets) {
            return Ok(None);
        }
        let read = |set: &PreparedSet| -> Result<Vec<Vec<f32>>> {
            let images = spread(set, MOST_IMAGES).map(|index| set.image(index));
            let images: Vec<Vec<f32>> = images.collect::<std::result::Result<_, _>>()?;
            Ok(reduced(&images, set.size, set.channels))
        };
        let (mut training, held_out) = (read(training)?, read(validation)?);
        if let Some(images) = unlabelled {
            training.extend(read(images)?);
        }
        let mut ratios = ratios(&held_out, &training, &self.config.data.augment);
        ratios.sort_by(f64::total_cmp);
        Ok(Some((training, quantile(&ratios, EXPECTED))))
    }
}

/// Whether there are training and held-out images enough to judge copies by.
pub fn can_judge(sets: Sets<'_>) -> bool {
    sets.training.len() > NEIGHBOURS && sets.validation.len() as f64 * EXPECTED >= 1.0
}

/// Images of 32 x 32 as luma.
fn reduced(images: &[Vec<f32>], size: [usize; 2], channels: usize) -> Vec<Vec<f32>> {
    images.par_iter().map(|image| resize_image(&gray(image, channels), size, [SIDE, SIDE], 1)).collect()
}

/// For each image, the distance of its nearest training image as a share of the mean distance of the next fifty. If training mirrors
/// images, mirrored ones count.
fn ratios(images: &[Vec<f32>], training: &[Vec<f32>], augment: &AugmentConfig) -> Vec<f64> {
    let ratio = |image: &Vec<f32>| {
        let across = |image: &[f32]| image.chunks_exact(SIDE).flat_map(|row| row.iter().rev().copied()).collect();
        let down = |image: &[f32]| image.chunks_exact(SIDE).rev().flatten().copied().collect();
        let mut versions = vec![image.clone()];
        if augment.horizontal_flip {
            versions.push(across(image));
        }
        if augment.vertical_flip {
            let mirrored: Vec<Vec<f32>> = versions.iter().map(|image| down(image)).collect();
            versions.extend(mirrored);
        }
        let nearest =
            |other: &Vec<f32>| versions.iter().map(|image| distance(image, other)).fold(f64::INFINITY, f64::min);
        let mut distances: Vec<f64> = training.iter().map(nearest).collect();
        let last = NEIGHBOURS.min(distances.len() - 1);
        distances.select_nth_unstable_by(last, f64::total_cmp);
        let near = &mut distances[..=last];
        near.sort_by(f64::total_cmp);
        let mean = near[1..].iter().sum::<f64>() / (near.len() - 1).max(1) as f64;
        if mean > 0.0 { near[0] / mean } else { 1.0 }
    };
    images.par_iter().map(ratio).collect()
}

/// The root of the mean squared difference.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let sum: f32 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    (f64::from(sum) / a.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u32, smooth: bool) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
        let mut values: Vec<f32> = (0..SIDE * SIDE)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        if smooth {
            for value in &mut values {
                *value *= 0.1;
            }
        }
        values
    }

    /// A slightly noisy or mirrored copy is far nearer to one image than to others; a smooth image is equally near to all.
    #[test]
    fn copies_have_small_ratios_and_smooth_images_do_not() {
        let training: Vec<Vec<f32>> = (0..80).map(|seed| noise(seed, false)).collect();
        let copy: Vec<f32> = training[7].iter().zip(noise(500, true)).map(|(a, b)| a + b).collect();
        let mirrored: Vec<f32> = copy.chunks_exact(SIDE).flat_map(|row| row.iter().rev().copied()).collect();
        let flips = AugmentConfig { horizontal_flip: true, ..AugmentConfig::default() };
        let none = AugmentConfig { horizontal_flip: false, ..AugmentConfig::default() };
        let images = [copy, mirrored, noise(501, false), noise(502, true)];
        let with = ratios(&images, &training, &flips);
        assert!(with[0] < 0.2 && with[1] < 0.2 && with[2] > 0.9 && with[3] > 0.9, "{with:?}");
        assert!(ratios(&images, &training, &none)[1] > 0.9);
        let upside_down: Vec<f32> = images[0].chunks_exact(SIDE).rev().flatten().copied().collect();
        let both = AugmentConfig { vertical_flip: true, ..flips.clone() };
        let found = [&flips, &both].map(|augment| ratios(std::slice::from_ref(&upside_down), &training, augment)[0]);
        assert!(found[0] > 0.9 && found[1] < 0.2, "{found:?}");
    }
}
