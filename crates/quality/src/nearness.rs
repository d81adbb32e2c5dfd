//! A quick measure of picture quality that needs no weights: how near generated pairs are to real ones by radiomic features.

use crate::{
    Result,
    radiomic::{Region, positions},
};
use pig_metrics::{
    agreement::MIN_UNITS,
    features::Features,
    nearness,
    radiomics::{Discretisation, radiomics, standardise},
};
use pig_train::{
    evaluate::{PlainPair, judged},
    generation::Measured,
};
use rayon::prelude::*;
use serde::Serialize;
use std::{collections::BTreeSet, fmt};

/// How near generated pictures are to real ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Nearness {
    /// The distances.
    Found(nearness::Nearness),
    /// There are too few pictures.
    TooFew,
}

impl fmt::Display for Nearness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(found) => {
                write!(f, "{found}\n  By radiomic features of whole pictures in gray; pig fid calc measures more.")
            }
            Self::TooFew => write!(
                f,
                "Picture quality: NO VERDICT: it needs at least {MIN_UNITS} generated pictures, and real ones of {MIN_UNITS} patients or groups."
            ),
        }
    }
}

/// Compares the pictures of generated pairs with those of real ones, a limited number of each. `seed` draws the halves of the
/// real ones.
pub fn nearness(pairs: &Measured, seed: u64) -> Result<Nearness> {
    let [height, width] = pairs.size;
    // The real ones are those slices already; of so few, all are judged.
    let [generated, real] = [&pairs.generated, &pairs.real].map(|set| spread(set, height * width));
    let [ours, theirs] = [&generated, &real].map(|set| features(set, pairs.size));
    let ((ours, _), (theirs, groups)) = (ours?, theirs?);
    if ours.count().min(theirs.count()) < 2 {
        return Ok(Nearness::TooFew);
    }
    let (theirs, ours, _) = standardise(&theirs, &ours)?;
    // Without patients, every image is a group of its own; then the halves are said to be of other images.
    let groups: Option<Vec<String>> = groups.into_iter().collect();
    let groups = groups.filter(|groups| groups.iter().collect::<BTreeSet<_>>().len() < groups.len());
    Ok(nearness::nearness(&theirs, &ours, groups.as_deref(), seed)?.map_or(Nearness::TooFew, Nearness::Found))
}

/// The [`judged`] slices of pairs.
fn spread(set: &[PlainPair], pixels: usize) -> Vec<(&[f32], Option<&String>)> {
    let slices: Vec<(&[f32], Option<&String>)> =
        set.iter().flat_map(|pair| pair.image.chunks_exact(pixels).map(|slice| (slice, pair.group.as_ref()))).collect();
    judged(slices.len(), pixels).map(|index| slices[index]).collect()
}

/// The features of slices, and their groups.
fn features(
    slices: &[(&[f32], Option<&String>)],
    [height, width]: [usize; 2],
) -> Result<(Features, Vec<Option<String>>)> {
    let (chosen, region) = (positions(Region::WholeImage), vec![true; height * width]);
    let of = |slice: &&(&[f32], Option<&String>)| {
        let values: Vec<f32> = slice.0.iter().map(|value| f32::midpoint(*value, 1.0).clamp(0.0, 1.0)).collect();
        let found = radiomics(&values, &region, height, width, &Discretisation::default())?;
        Some((chosen.iter().map(|&at| found[at]).collect::<Vec<f64>>(), slice.1.cloned()))
    };
    let found: Vec<Option<(Vec<f64>, Option<String>)>> = slices.iter().collect::<Vec<_>>().par_iter().map(of).collect();
    let (values, groups): (Vec<Vec<f64>>, Vec<Option<String>>) = found.into_iter().flatten().unzip();
    Ok((Features::new(values.concat(), chosen.len())?, groups))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 24;

    /// Pictures of a wave and of noise of this strength, with a level of their own; two for each patient.
    fn pairs(seed: u64, count: u64, noise: f32) -> Vec<PlainPair> {
        let random = |key: u64| {
            let mut state = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xbf58_476d_1ce4_e5b9;
            (0..3).for_each(|_| state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9));
            (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        };
        let pair = |index: u64| {
            let key = (seed * 1_000 + index) * 10_000;
            let (level, tilt) = (0.3 * random(key), 0.2 + 0.05 * random(key + 1));
            let value = |at: usize| {
                let wave = (tilt * (at % SIDE) as f32 + 0.1 * (at / SIDE) as f32).sin();
                level + 0.4 * wave + noise * random(key + 2 + at as u64)
            };
            PlainPair {
                image: (0..SIDE * SIDE).map(value).collect(),
                mask: vec![0; SIDE * SIDE],
                group: Some(format!("p{}", index / 2)),
            }
        };
        (0..count).map(pair).collect()
    }

    fn measured(generated: Vec<PlainPair>, real: Vec<PlainPair>) -> Nearness {
        nearness(&Measured { generated, real, size: [SIDE, SIDE] }, 0).unwrap()
    }

    #[test]
    fn pictures_of_another_texture_are_farther_and_such_of_the_same_are_not() {
        let Nearness::Found(same) = measured(pairs(1, 32, 0.1), pairs(2, 60, 0.1)) else { panic!("a distance") };
        assert!(!same.is_farther() && same.by_patient, "{same:?}");
        assert_eq!((same.generated, same.real), (32, 60));
        let alone = |index: usize, pair: PlainPair| PlainPair { group: Some(format!("i{index}")), ..pair };
        let real = pairs(2, 60, 0.1).into_iter().enumerate().map(|(index, pair)| alone(index, pair)).collect();
        let Nearness::Found(by_image) = measured(pairs(1, 32, 0.1), real) else { panic!("a distance") };
        assert!(!by_image.by_patient, "{by_image:?}");
        let noisy = measured(pairs(1, 32, 0.6), pairs(2, 60, 0.1));
        let Nearness::Found(found) = noisy else { panic!("a distance") };
        assert!(found.is_farther() && found.distance > 10.0 * same.distance.abs(), "{found:?}");
        assert!(noisy.to_string().contains("FARTHER") && noisy.to_string().contains("radiomic features"), "{noisy}");
    }

    #[test]
    fn few_pictures_give_no_verdict_and_many_are_thinned() {
        let few = measured(pairs(1, 3, 0.1), pairs(2, 60, 0.1));
        assert!(few == Nearness::TooFew && few.to_string().contains("NO VERDICT"), "{few}");
        assert_eq!(measured(Vec::new(), pairs(2, 60, 0.1)), Nearness::TooFew);
        let Nearness::Found(many) = measured(pairs(1, 20, 0.1), pairs(2, 300, 0.1)) else { panic!("a distance") };
        assert_eq!(many.real, judged(300, SIDE * SIDE).count());
        assert!(many.real < 300);
    }
}
