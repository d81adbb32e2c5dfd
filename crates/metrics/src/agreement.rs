//! Pair agreement: does a generated image show a lesion at the place of its mask?
//!
//! Definition. The contrast of a pair is the mean intensity inside the mask minus the mean intensity in a ring around it
//! ([`Ring`] defines the gap, the width and the excluded pixels), in the units of the images. Where lesions of several classes exclude each
//! other, the contrast of a class is that with tissue: other lesions are left out of its ring ([`Pair::others`]). It is computed
//! - for real pairs (the contrast to reach),
//! - for generated pairs,
//! - for generated images with the masks of other generated images (*shuffled*: the contrast of images and masks that are
//!   unrelated).
//!
//! Shuffles are cyclic shifts 1, 2, ... of one seeded random order of the pairs, so each shuffle is a derangement and no
//! combination occurs twice. Two members of one group are never combined, because neighbouring slices of a patient show the same
//! lesion. Let `c[i][j]` be the contrast of image i with mask j. Pair i is compared with
//! `s[i] = mean over j of c[i][j] + mean over j of c[j][i] - mean of all c`, over the shuffled combinations: the contrast that is
//! expected of image i and mask i when they are combined with others. The mean of `s` is the mean of all shuffled contrasts, but the
//! difference `c[i][i] - s[i]` is paired by image *and* by mask: a bright image or a large mask changes both terms in the same way,
//! which makes the interval as narrow as the data allow.
//!
//! The verdict depends on the 95 % interval of the mean of `c[i][i] - s[i]` ([`crate::bootstrap`]; by group if groups are given). The
//! interval must lie on the same side of zero as the contrast of the real pairs (lesions are dark in ultrasound, bright in
//! mammograms), so a generator whose masks are unrelated to its images passes in 2.5 % of runs. If the real pairs do not determine
//! the side, the interval must exclude zero on either side (5 %), and [`Direction`] says so.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::bootstrap::{Bootstrap, Estimate, bootstrap_mean, group_ids};
use crate::region::{Regions, regions};

mod text;

/// The smallest number of usable pairs (or groups) for a verdict.
pub const MIN_UNITS: usize = 12;

/// One image with its mask, both row-major `height x width`. A colour image is given as one plane, for example its luma.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The intensities, in any unit; the contrast has the same unit.
    pub image: &'a [f32],
    /// True inside the lesion.
    pub mask: &'a [bool],
    /// True inside other lesions, such as those of other classes: neither they nor the gap around them are in the ring. None if there are
    /// none, or if they count as tissue.
    pub others: Option<&'a [bool]>,
    /// The number of rows.
    pub height: usize,
    /// The number of columns.
    pub width: usize,
    /// The patient or another group, if known; a pair without a group forms its own group.
    pub group: Option<&'a str>,
}

/// The ring with which a lesion is compared: the pixels outside the mask at a Euclidean distance `d` from it with
/// `gap < d <= gap + width`, and farther than `gap` from other lesions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ring {
    /// The width in pixels of a gap around the lesion that belongs neither to the lesion nor to the ring, because the edge of a lesion
    /// is soft.
    pub gap: usize,
    /// The width in pixels; `None` is a sixteenth of the shorter side, rounded, at least 2.
    pub width: Option<usize>,
    /// Pixels at or below this value are background (air) and are excluded from both lesion and ring; `None` keeps all pixels. Use
    /// `None` if lesions can be as dark as the background, such as cysts in ultrasound.
    pub background: Option<f32>,
}

impl Default for Ring {
    fn default() -> Self {
        Self { gap: 1, width: None, background: None }
    }
}

impl Ring {
    /// The width of the ring in pixels for an image of this size.
    #[must_use]
    pub fn width_for(&self, height: usize, width: usize) -> usize {
        let side = height.min(width);
        self.width.unwrap_or_else(|| ((side + 8) / 16).max(2))
    }

    fn regions(&self, pair: &Pair) -> Regions {
        let &Pair { mask, others, height, width, .. } = pair;
        regions(mask, others, [height, width], self.gap, self.width_for(height, width))
    }

    fn contrast(&self, image: &[f32], regions: &Regions) -> Option<f64> {
        let mean = |runs: &[std::ops::Range<usize>]| {
            let (mut sum, mut count) = (0.0, 0_usize);
            for &value in runs.iter().flat_map(|run| &image[run.clone()]) {
                if self.background.is_none_or(|background| value > background) {
                    sum += f64::from(value);
                    count += 1;
                }
            }
            (count > 0).then(|| sum / count as f64)
        };
        Some(mean(&regions.inside)? - mean(&regions.ring)?)
    }
}

/// Settings of [`pair_agreement`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgreementSettings {
    /// The ring.
    pub ring: Ring,
    /// The number of shuffles that are averaged for each case, if there are enough pairs.
    pub shuffles: usize,
    /// The settings of the intervals; the seed also determines the order of the shuffles.
    pub bootstrap: Bootstrap,
}

impl Default for AgreementSettings {
    fn default() -> Self {
        Self { ring: Ring::default(), shuffles: 32, bootstrap: Bootstrap::default() }
    }
}

/// A pair that cannot be measured.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum AgreementError {
    /// Image or mask does not have `height * width` pixels.
    #[error(
        "{set} pair {index}: the image has {image} and the mask {mask} values, expected {height} x {width} each; \
         give one plane per pair (convert colour to gray first)"
    )]
    Shape {
        /// "generated" or "real".
        set: &'static str,
        /// The position of the pair in the slice.
        index: usize,
        /// The number of values of the image.
        image: usize,
        /// The number of values of the mask, or of that of other lesions.
        mask: usize,
        /// The given number of rows.
        height: usize,
        /// The given number of columns.
        width: usize,
    },
    /// Generated pairs of different sizes, whose masks cannot be exchanged.
    #[error(
        "generated pair {index} is {found_height} x {found_width}, the first is {height} x {width}; \
         masks can be shuffled only between pairs of one size, so measure each size separately"
    )]
    MixedSizes {
        /// The position of the pair in the slice.
        index: usize,
        /// The number of its rows.
        found_height: usize,
        /// The number of its columns.
        found_width: usize,
        /// The number of rows of the first pair.
        height: usize,
        /// The number of columns of the first pair.
        width: usize,
    },
    /// An intensity that is NaN or infinite.
    #[error(
        "{set} pair {index}: the image holds {value} at row {row}, column {column}, expected a finite intensity; \
         a generator that produces such values has diverged"
    )]
    NotFinite {
        /// "generated" or "real".
        set: &'static str,
        /// The position of the pair in the slice.
        index: usize,
        /// The row of the first such pixel.
        row: usize,
        /// The column of the first such pixel.
        column: usize,
        /// The value of that pixel.
        value: f32,
    },
}

/// The contrasts of one set of pairs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contrasts {
    /// One contrast per pair, in the given order; `None` for an empty mask or a mask without a ring.
    pub per_case: Vec<Option<f64>>,
    /// The mean with its interval; `None` if no pair could be measured.
    pub estimate: Option<Estimate>,
    /// The number of pairs that are left out because their mask is empty.
    pub empty_masks: usize,
    /// The number of pairs that are left out for another reason: the mask fills the image, all of the lesion or of the ring is
    /// background, or other lesions fill the ring.
    pub without_ring: usize,
}

/// Values for the generated pairs: per case and their mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerCase {
    /// One value per generated pair, in the given order; `None` if the pair could not be measured.
    pub per_case: Vec<Option<f64>>,
    /// The mean with its interval; `None` if no pair could be measured.
    pub estimate: Option<Estimate>,
}

/// The side of zero on which the difference must lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Real lesions are brighter than their ring: the interval must lie above zero.
    Brighter,
    /// Real lesions are darker than their ring: the interval must lie below zero.
    Darker,
    /// No real pairs were given: the interval must exclude zero on either side.
    EitherNoReal,
    /// The interval of the real pairs contains zero: the interval must exclude zero on either side.
    EitherRealUnclear,
}

/// The conclusion from the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The images' own masks fit clearly better than shuffled masks.
    Agrees,
    /// The images' own masks do not fit clearly better than shuffled masks: a failed run.
    NotAboveShuffled,
    /// Fewer than [`MIN_UNITS`] pairs or groups could be measured: no verdict.
    TooFew,
}

/// The pair agreement of a set of generated pairs; the command line prints its `Display`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// The settings of the computation.
    pub settings: AgreementSettings,
    /// The numbers of rows and columns of the generated images, and the width of the ring in pixels; `None` without generated pairs.
    pub size: Option<(usize, usize, usize)>,
    /// The real pairs; `None` if none were given.
    pub real: Option<Contrasts>,
    /// The generated pairs with their own masks.
    pub generated: Contrasts,
    /// The generated images with shuffled masks: `s` in the documentation of the module.
    pub shuffled: PerCase,
    /// Generated minus shuffled, case by case.
    pub difference: PerCase,
    /// The number of shuffles that were averaged.
    pub shuffles: usize,
    /// The side on which `difference` must lie.
    pub direction: Direction,
    /// The verdict.
    pub verdict: Verdict,
}

impl Agreement {
    /// The generated contrast as a share of the real one (1 is a perfect match); `None` if the real contrast may be zero.
    #[must_use]
    pub fn share_of_real(&self) -> Option<f64> {
        let real = self.real.as_ref()?.estimate.filter(Estimate::excludes_zero)?;
        Some(self.generated.estimate?.mean / real.mean)
    }
}

/// The contrast of one pair: mean inside the mask minus mean in the ring; `None` for an empty mask, or if no ring is left.
///
/// # Panics
///
/// When image or mask does not have `height * width` values ([`pair_agreement`] returns an error instead).
#[must_use]
pub fn contrast(pair: &Pair, ring: &Ring) -> Option<f64> {
    let pixels = pair.height * pair.width;
    let others = pair.others.map_or(pixels, <[bool]>::len);
    assert_eq!((pair.image.len(), pair.mask.len(), others), (pixels, pixels, pixels));
    ring.contrast(pair.image, &ring.regions(pair))
}

/// The contrasts of real pairs, which need not be in memory together.
#[derive(Debug, Clone, PartialEq)]
pub struct RealContrasts {
    ring: Ring,
    per_case: Vec<Option<f64>>,
    groups: Vec<Option<String>>,
    empty_masks: usize,
}

impl RealContrasts {
    /// Contrasts with this ring, of no pairs yet.
    #[must_use]
    pub fn new(ring: &Ring) -> Self {
        Self { ring: ring.clone(), per_case: Vec::new(), groups: Vec::new(), empty_masks: 0 }
    }

    /// Measures further pairs.
    pub fn add(&mut self, pairs: &[Pair]) -> Result<(), AgreementError> {
        check("real", self.per_case.len(), pairs)?;
        let values: Vec<Option<f64>> = pairs.par_iter().map(|pair| contrast(pair, &self.ring)).collect();
        self.per_case.extend(values);
        self.groups.extend(pairs.iter().map(|pair| pair.group.map(str::to_owned)));
        self.empty_masks += empty_masks(pairs);
        Ok(())
    }

    fn contrasts(&self, settings: &Bootstrap) -> Option<Contrasts> {
        let group = |index: usize| self.groups[index].as_deref();
        (!self.per_case.is_empty()).then(|| contrasts(group, self.per_case.clone(), self.empty_masks, settings))
    }
}

/// Compares generated pairs with the same pairs with shuffled masks, and with real pairs (there may be none).
pub fn pair_agreement(
    generated: &[Pair],
    real: &[Pair],
    settings: &AgreementSettings,
) -> Result<Agreement, AgreementError> {
    check("generated", 0, generated)?;
    let mut contrasts = RealContrasts::new(&settings.ring);
    contrasts.add(real)?;
    agreement_with(generated, &contrasts, settings)
}

/// As [`pair_agreement`], with real pairs that were measured before, with the same ring.
pub fn agreement_with(
    generated: &[Pair],
    real: &RealContrasts,
    settings: &AgreementSettings,
) -> Result<Agreement, AgreementError> {
    check("generated", 0, generated)?;
    check_one_size(generated)?;
    let regions: Vec<Regions> = generated.par_iter().map(|pair| settings.ring.regions(pair)).collect();
    let own: Vec<Option<f64>> =
        generated.iter().zip(&regions).map(|(pair, regions)| settings.ring.contrast(pair.image, regions)).collect();
    let real = real.contrasts(&settings.bootstrap);
    let group = |index: usize| generated[index].group;
    let (shuffled, shuffles) = shuffled(generated, &regions, &own, settings);
    let difference: Vec<Option<f64>> =
        own.iter().zip(&shuffled).map(|(own, other)| Some((*own)? - (*other)?)).collect();
    let per_case = |values: Vec<Option<f64>>| PerCase {
        estimate: estimate(group, &values, &settings.bootstrap),
        per_case: values,
    };
    let difference = per_case(difference);
    let direction = direction(real.as_ref());
    Ok(Agreement {
        settings: settings.clone(),
        size: generated.first().map(|p| (p.height, p.width, settings.ring.width_for(p.height, p.width))),
        real,
        generated: contrasts(group, own, empty_masks(generated), &settings.bootstrap),
        shuffled: per_case(shuffled),
        shuffles,
        direction,
        verdict: verdict(difference.estimate, direction),
        difference,
    })
}

/// Checks pairs of a set, of which the first has the position `first`.
fn check(set: &'static str, first: usize, pairs: &[Pair]) -> Result<(), AgreementError> {
    for (index, pair) in (first..).zip(pairs) {
        let &Pair { image, mask, others, height, width, .. } = pair;
        let mut masks = [Some(mask), others].into_iter().flatten().map(<[bool]>::len);
        let wrong = masks.find(|&length| length != height * width);
        if image.len() != height * width || wrong.is_some() {
            let (image, mask) = (image.len(), wrong.unwrap_or(mask.len()));
            return Err(AgreementError::Shape { set, index, image, mask, height, width });
        }
        if let Some(at) = image.iter().position(|v| !v.is_finite()) {
            let (row, column) = (at / width, at % width);
            return Err(AgreementError::NotFinite { set, index, row, column, value: image[at] });
        }
    }
    Ok(())
}

fn check_one_size(pairs: &[Pair]) -> Result<(), AgreementError> {
    let Some(&Pair { height, width, .. }) = pairs.first() else { return Ok(()) };
    match pairs.iter().position(|pair| (pair.height, pair.width) != (height, width)) {
        None => Ok(()),
        Some(index) => {
            let (found_height, found_width) = (pairs[index].height, pairs[index].width);
            Err(AgreementError::MixedSizes { index, found_height, found_width, height, width })
        }
    }
}

/// The group ids of some of the pairs; a pair without a group forms its own group. `None` if no pair has a group.
fn groups<'a>(group: impl Fn(usize) -> Option<&'a str>, chosen: &[usize]) -> Option<Vec<usize>> {
    let label = |&index: &usize| group(index).ok_or(index);
    let labels: Vec<Result<&str, usize>> = chosen.iter().map(label).collect();
    labels.iter().any(Result::is_ok).then(|| group_ids(&labels))
}

fn estimate<'a>(
    group: impl Fn(usize) -> Option<&'a str>,
    values: &[Option<f64>],
    settings: &Bootstrap,
) -> Option<Estimate> {
    let chosen: Vec<usize> = (0..values.len()).filter(|&i| values[i].is_some()).collect();
    let groups = groups(group, &chosen);
    let values: Vec<f64> = values.iter().copied().flatten().collect();
    bootstrap_mean(&values, groups.as_deref(), settings)
}

fn empty_masks(pairs: &[Pair]) -> usize {
    pairs.iter().filter(|pair| !pair.mask.contains(&true)).count()
}

fn contrasts<'a>(
    group: impl Fn(usize) -> Option<&'a str>,
    per_case: Vec<Option<f64>>,
    empty_masks: usize,
    settings: &Bootstrap,
) -> Contrasts {
    let undefined = per_case.iter().filter(|value| value.is_none()).count();
    let estimate = estimate(group, &per_case, settings);
    Contrasts { per_case, estimate, empty_masks, without_ring: undefined - empty_masks }
}

/// `s` in the documentation of the module for every pair whose own contrast is defined, and the number of shuffles.
fn shuffled(
    pairs: &[Pair],
    regions: &[Regions],
    own: &[Option<f64>],
    settings: &AgreementSettings,
) -> (Vec<Option<f64>>, usize) {
    let mut order: Vec<usize> = (0..pairs.len()).filter(|&i| own[i].is_some()).collect();
    let count = order.len();
    let shuffles = settings.shuffles.min(count.saturating_sub(1));
    // A separate stream, so that the order does not repeat the draws of the bootstrap.
    let mut rng = ChaCha8Rng::seed_from_u64(settings.bootstrap.seed);
    rng.set_stream(1);
    order.shuffle(&mut rng);
    let same_group = |i: usize, j: usize| pairs[i].group.is_some() && pairs[i].group == pairs[j].group;
    let combine = |at: usize, shift: usize| {
        let (i, j) = (order[at], order[(at + shift) % count]);
        if same_group(i, j) { None } else { settings.ring.contrast(pairs[i].image, &regions[j]).map(|c| (i, j, c)) }
    };
    let combinations: Vec<Vec<(usize, usize, f64)>> =
        (0..count).into_par_iter().map(|at| (1..=shuffles).filter_map(|shift| combine(at, shift)).collect()).collect();

    let mut by_image = vec![Mean::default(); pairs.len()];
    let mut by_mask = vec![Mean::default(); pairs.len()];
    let mut all = Mean::default();
    for (i, j, contrast) in combinations.into_iter().flatten() {
        by_image[i].add(contrast);
        by_mask[j].add(contrast);
        all.add(contrast);
    }
    let value = |i: usize| Some(by_image[i].get()? + by_mask[i].get()? - all.get()?);
    ((0..pairs.len()).map(value).collect(), shuffles)
}

#[derive(Debug, Clone, Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn get(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

fn direction(real: Option<&Contrasts>) -> Direction {
    let Some(real) = real else { return Direction::EitherNoReal };
    match real.estimate {
        Some(e) if e.low > 0.0 => Direction::Brighter,
        Some(e) if e.high < 0.0 => Direction::Darker,
        _ => Direction::EitherRealUnclear,
    }
}

fn verdict(difference: Option<Estimate>, direction: Direction) -> Verdict {
    let Some(difference) = difference.filter(|d| d.units >= MIN_UNITS) else { return Verdict::TooFew };
    let agrees = match direction {
        Direction::Brighter => difference.low > 0.0,
        Direction::Darker => difference.high < 0.0,
        Direction::EitherNoReal | Direction::EitherRealUnclear => difference.excludes_zero(),
    };
    if agrees { Verdict::Agrees } else { Verdict::NotAboveShuffled }
}

#[cfg(test)]
mod tests;
