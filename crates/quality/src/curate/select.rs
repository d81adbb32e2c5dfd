//! Chooses pairs by what was measured of them. The choice depends on the measures and the ids alone, not on the order of the pairs.

use super::config::{Areas, CurateConfig, Order};
use pig_metrics::bootstrap::quantile;
use std::cmp::Ordering;

/// The share of the pairs with the lowest agreement that [`Order::Hard`] leaves out first.
const TOO_HARD: f64 = 0.25;

/// The share of the others that [`Order::Hard`] prefers.
const HARD: f64 = 1.0 / 3.0;

/// The parts into which the real lesion areas are divided for [`Areas::Real`].
const BINS: usize = 5;

/// What was measured of a pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// The pair's id.
    pub id: String,
    /// Dice of the segmenters' prediction with the pair's mask, mean over segmenters; none if all find nothing in a pair with an empty mask.
    pub dice: Option<f64>,
    /// The share of the picture in which the segmenters find lesion, mean over segmenters.
    pub found: f64,
    /// The mean entropy of the segmenters' probabilities, in bits for a pixel.
    pub uncertainty: f64,
    /// The mean squared difference to the nearest training image, of values from 0 to 1.
    pub distance: f64,
    /// The id of the nearest training image.
    pub nearest: String,
    /// Whether it is nearer than 95 % of the validating images are; none without validating images.
    pub copy: Option<bool>,
    /// The share of the picture that is lesion by the pair's mask.
    pub area: f64,
}

impl Scored {
    /// What agreement is ordered by, within pairs with a lesion and within pairs without one.
    fn agreement(&self) -> f64 {
        if self.area > 0.0 { self.dice.unwrap_or(0.0) } else { -self.found }
    }

    /// The pair with more agreement first; equal ones by id.
    fn by_agreement(&self, other: &Self) -> Ordering {
        other.agreement().total_cmp(&self.agreement()).then_with(|| self.id.cmp(&other.id))
    }
}

/// What became of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is kept.
    Kept,
    /// Its image may be a copy of a training image.
    Copy,
    /// Others of its kind have more agreement.
    LowAgreement,
    /// Harder ones of its kind are kept.
    Easy,
    /// None of its kind is kept: real pairs have no or few lesions of its area.
    Area,
}

impl Fate {
    /// The word in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Copy => "copy",
            Self::LowAgreement => "low agreement",
            Self::Easy => "easy",
            Self::Area => "area",
        }
    }
}

/// What becomes of each pair, in the order of the pairs. `real` are the areas of the real training pairs, as shares of the picture.
#[must_use]
pub fn select(pairs: &[Scored], real: &[f64], config: &CurateConfig) -> Vec<Fate> {
    select_count(pairs, real, config, (config.keep * pairs.len() as f64).round() as usize)
}

/// The same if this number of pairs is kept, whatever the share says.
#[must_use]
pub fn select_count(pairs: &[Scored], real: &[f64], config: &CurateConfig, count: usize) -> Vec<Fate> {
    let mut fates = vec![Fate::LowAgreement; pairs.len()];
    let mut members = Vec::new();
    for (index, pair) in pairs.iter().enumerate() {
        if pair.copy == Some(true) && !config.keep_copies {
            fates[index] = Fate::Copy;
        } else {
            members.push(index);
        }
    }
    let wanted = count.min(members.len());
    let edges = match config.areas {
        Areas::Any => Vec::new(),
        Areas::Real => edges(real),
    };
    let kinds = edges.len() + 2;
    let mut strata = vec![Vec::new(); kinds];
    for index in members {
        strata[kind(pairs[index].area, &edges)].push(index);
    }
    let weights: Vec<usize> = match config.areas {
        Areas::Any => strata.iter().map(Vec::len).collect(),
        Areas::Real => (0..kinds).map(|own| real.iter().filter(|&&area| kind(area, &edges) == own).count()).collect(),
    };
    for (mut own, quota) in strata.into_iter().zip(quotas(wanted, &weights)) {
        if quota == 0 && config.areas == Areas::Real && wanted > 0 {
            for index in own {
                fates[index] = Fate::Area;
            }
            continue;
        }
        own.sort_by(|&a, &b| pairs[a].by_agreement(&pairs[b]));
        let quota = quota.min(own.len());
        choose(&own, quota, config.order, &mut fates);
    }
    fates
}

/// Sets the fates of pairs of one kind, which come with the greatest agreement first.
fn choose(own: &[usize], quota: usize, order: Order, fates: &mut [Fate]) {
    let chosen: Vec<usize> = match order {
        Order::Agreement => own[..quota].to_vec(),
        Order::Hard => {
            let too_hard = ((own.len() as f64 * TOO_HARD) as usize).min(own.len() - quota);
            let rest = &own[..own.len() - too_hard];
            let (easy, hard) = rest.split_at(rest.len() - (rest.len() as f64 * HARD).ceil() as usize);
            for &index in rest {
                fates[index] = Fate::Easy;
            }
            hard.iter().rev().chain(easy).take(quota).copied().collect()
        }
    };
    for index in chosen {
        fates[index] = Fate::Kept;
    }
}

/// The kind of a lesion area: 0 without a lesion, else 1 and the number of edges below it.
fn kind(area: f64, edges: &[f64]) -> usize {
    if area > 0.0 { 1 + edges.partition_point(|&edge| edge < area) } else { 0 }
}

/// The areas between the parts of the real lesion areas; empty without real lesions.
fn edges(real: &[f64]) -> Vec<f64> {
    let mut areas: Vec<f64> = real.iter().copied().filter(|&area| area > 0.0).collect();
    areas.sort_by(f64::total_cmp);
    if areas.is_empty() {
        return Vec::new();
    }
    (1..BINS).map(|part| quantile(&areas, part as f64 / BINS as f64)).collect()
}

/// `total` divided in the ratio of the weights, by the largest remainders; of equal ones the first.
fn quotas(total: usize, weights: &[usize]) -> Vec<usize> {
    let sum: usize = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let mut quotas: Vec<usize> = weights.iter().map(|weight| total * weight / sum).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(total * weights[at] % sum));
    let left = total - quotas.iter().sum::<usize>();
    order.into_iter().take(left).for_each(|at| quotas[at] += 1);
    quotas
}

#[cfg(test)]
mod tests;
