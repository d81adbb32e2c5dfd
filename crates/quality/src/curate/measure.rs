//! What segmenters of real pairs say of generated pairs, and how near these are to the training images.

use super::select::Scored;
use crate::neighbours::nearest_of_set;
use burn::tensor::Device;
use pig_data::{PreparedSet, classes::Coding};
use pig_metrics::nearest::{CopyCheck, Neighbour};
use pig_segment::{predict::SegmentModel, scores::dice_of};
use pig_train::Result;

/// What one segmenter says of a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Dice with the pair's mask; none if both are empty.
    pub dice: Option<f64>,
    /// The share of the picture in which it finds lesion.
    pub found: f64,
    /// The mean entropy of its probabilities, in bits for a pixel.
    pub uncertainty: f64,
}

/// What a segmenter says of each pair of a set, which must be prepared like the data of its run.
///
/// # Errors
/// When the pairs cannot be read.
pub fn judge(model: &SegmentModel, pairs: &PreparedSet, device: &Device) -> Result<Vec<Judged>> {
    let decision = model.file.decision();
    model.each(pairs, device, |index, probabilities| {
        let found = decision.labels(&probabilities);
        let lesion = found.iter().filter(|&&label| label > 0).count();
        Ok(Judged {
            dice: dice_of(&probabilities, pairs, index, &decision)?,
            found: lesion as f64 / found.len().max(1) as f64,
            uncertainty: entropy(&probabilities, pairs.coding()),
        })
    })
}

/// The mean entropy of the probabilities of background and classes, in bits for a pixel. Where classes may overlap, whether a pixel is of a
/// class is a question of its own, and the entropies of all classes are added.
fn entropy(probabilities: &[f32], coding: Coding) -> f64 {
    let bits = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    let pixel = |classes: &[f32]| -> f64 {
        if coding.overlap {
            return classes.iter().map(|&p| bits(f64::from(p)) + bits(1.0 - f64::from(p))).sum();
        }
        let own: f64 = classes.iter().map(|&p| bits(f64::from(p))).sum();
        let background = 1.0 - classes.iter().map(|&p| f64::from(p)).sum::<f64>();
        own + bits(background.clamp(0.0, 1.0))
    };
    let pixels = probabilities.chunks_exact(coding.classes);
    let count = pixels.len().max(1) as f64;
    pixels.map(pixel).sum::<f64>() / count
}

/// Joins what one or more segmenters say of each pair, with its distance to the training images; `pairs` and the real sets are prepared
/// alike, and `held_out` are the validating images, which show how near new images are. The ids are those of `pairs`.
///
/// # Errors
/// When pairs cannot be read, or there is no training image.
///
/// # Panics
/// When a segmenter judged another number of pairs, a mistake of the calling code.
pub fn scored(
    pairs: &PreparedSet,
    judged: &[Vec<Judged>],
    [training, held_out]: [&PreparedSet; 2],
) -> Result<Vec<Scored>> {
    assert!(judged.iter().all(|one| one.len() == pairs.len()), "every segmenter judges every pair");
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let near = nearest_of_set(pairs, training)?;
    let check = CopyCheck::new(&near, &nearest_of_set(held_out, training)?);
    let one = |(index, near): (usize, &Neighbour)| {
        let lesion = pairs.lesion(index)?;
        let mean = |of: fn(&Judged) -> f64| mean(judged.iter().map(|one| of(&one[index])));
        // In a pair with an empty mask, a segmenter that finds something has a Dice of 0, and one that does not has none.
        let values: Vec<f64> = judged.iter().filter_map(|one| one[index].dice).collect();
        Ok(Scored {
            id: pairs.ids[index].clone(),
            dice: (!values.is_empty()).then(|| mean_of(&values)),
            found: mean(|one| one.found),
            uncertainty: mean(|one| one.uncertainty),
            distance: near.distance,
            nearest: training.ids[near.index].clone(),
            copy: check.as_ref().map(|check| near.distance < check.threshold),
            area: lesion.iter().filter(|&&inside| inside).count() as f64 / lesion.len().max(1) as f64,
        })
    };
    near.iter().enumerate().map(one).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    mean_of(&values.collect::<Vec<_>>())
}

fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The lesion areas of a set, as shares of the picture.
///
/// # Errors
/// When a mask cannot be read.
pub fn areas(set: &PreparedSet) -> Result<Vec<f64>> {
    let area = |index: usize| {
        let lesion = set.lesion(index)?;
        Ok(lesion.iter().filter(|&&inside| inside).count() as f64 / lesion.len().max(1) as f64)
    };
    (0..set.len()).map(area).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_in_bits() {
        let [one, two] = [1, 2].map(Coding::exclusive);
        assert!((entropy(&[0.5, 0.5], one) - 1.0).abs() < 1e-12);
        assert_eq!(entropy(&[0.0, 1.0], one), 0.0);
        // A quarter for background and the rest between two classes: 0.25 * 2 + 2 * 0.375 * log2(1 / 0.375).
        let expected = 0.5 + 0.75 * (1.0_f64 / 0.375).log2();
        assert!((entropy(&[0.375, 0.375], two) - expected).abs() < 1e-6);
        assert!((entropy(&[0.5, 0.0], one) - 0.5).abs() < 1e-12, "the mean over pixels");
        // A bit for each class that is as likely as not, and none for one that is certain.
        let overlapping = Coding { overlap: true, ..two };
        assert!((entropy(&[0.5, 0.5], overlapping) - 2.0).abs() < 1e-12);
        assert!((entropy(&[1.0, 0.5], overlapping) - 1.0).abs() < 1e-12);
    }
}
