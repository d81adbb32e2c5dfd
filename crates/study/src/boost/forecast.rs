//! How long the parts of a boost take, and what it could detect: from its configurations, the folds, and what was measured.

use super::{
    design::detectable,
    speed::{GeneratorSpeed, SegmenterSpeed},
};
use crate::{
    crossval::{CrossvalFile, Variant, variants},
    pace::{sample_seconds, training_seconds},
};
use pig_data::Splits;
use pig_train::{Config, Result};
use serde::{Deserialize, Serialize};

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Segmenters of real pairs alone.
    RealSegmenters,
    /// Generators and their pairs.
    Generators,
    /// Choosing pairs, and their agreement.
    Curation,
    /// Segmenters of real and generated pairs.
    PairSegmenters,
}

impl Part {
    /// All parts in their order.
    pub const ALL: [Self; 4] = [Self::RealSegmenters, Self::Generators, Self::Curation, Self::PairSegmenters];

    /// The part in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::RealSegmenters => "segmenters of real pairs",
            Self::Generators => "generators and their pairs",
            Self::Curation => "choosing pairs, agreement",
            Self::PairSegmenters => "segmenters of real and generated pairs",
        }
    }
}

/// The generator of an arm.
pub(super) struct Generator {
    /// Its configuration.
    pub(super) config: Config,
    /// How fast it is.
    pub(super) speed: GeneratorSpeed,
}

/// What is known of a plan before it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Forecast {
    /// Seconds of each part in the order of [`Part::ALL`], if no segmenter ends before its last step.
    pub(super) seconds: [f64; 4],
    /// Patients or groups of the first fold: training, validating and testing.
    pub(super) patients: [usize; 3],
    /// Patients or groups that test in all of the folds, and how many of them have no picture with a lesion.
    pub(super) tested: [usize; 2],
    /// Real training pairs of the first fold.
    pub(super) training_pairs: usize,
    /// The difference in Dice that is found with a power of 80 %; none if there is no interval.
    pub(super) detectable: Option<f64>,
}

impl Forecast {
    /// The forecast of a cross-validation that computes these folds, with a generator for each of its arms. `tested` counts the
    /// patients that test, as [`Forecast::tested`] does.
    ///
    /// # Errors
    /// When the noise levels of a generator's sampling are not possible.
    pub(super) fn of(
        file: &CrossvalFile,
        folds: &[Splits],
        tested: [usize; 2],
        segmenter: &SegmenterSpeed,
        generators: &[Generator],
    ) -> Result<Self> {
        let first = folds.first();
        let count = |of: fn(&Splits) -> usize| first.map_or(0, of);
        // The others have no Dice.
        let with_lesion = tested[0].saturating_sub(tested[1]);
        let alike = variants(file).into_iter().filter(|variant| variant.varies_alike()).count();
        Ok(Self {
            seconds: seconds(file, folds, segmenter, generators)?,
            patients: [
                count(|fold| fold.training_groups),
                count(|fold| fold.validation_groups),
                count(|fold| fold.test_groups),
            ],
            tested,
            training_pairs: count(|fold| fold.training.len()),
            detectable: detectable(with_lesion, [folds.len(), file.crossval.segmenter_seeds.len()], alike),
        })
    }
}

fn seconds(
    file: &CrossvalFile,
    folds: &[Splits],
    segmenter: &SegmenterSpeed,
    generators: &[Generator],
) -> Result<[f64; 4]> {
    let mut parts = [0.0; 4];
    let seeds = file.crossval.segmenter_seeds.len() as f64;
    let predicted = file.segment.test_time_flips.pictures().len() as f64 * segmenter.picture;
    for fold in folds {
        for variant in variants(file) {
            let part = if variant == Variant::Real { Part::RealSegmenters } else { Part::PairSegmenters };
            parts[part as usize] += seeds * training_of_segmenter(file, variant, fold, segmenter);
        }
        for (arm, Generator { config, speed }) in file.crossval.arms.iter().zip(generators) {
            let made = file.pairs_of(arm, fold.training.len());
            let a_pair = sample_seconds(config, &speed.forwards)?;
            let sampled = |pairs: usize| pairs as f64 * a_pair;
            // Runs that were trained elsewhere make pairs alone.
            let trained =
                if arm.runs.is_some() { 0.0 } else { training_seconds(config, &speed.steps, &speed.forwards)? };
            parts[Part::Generators as usize] += trained + sampled(made);
            // Agreement of methods that need masks is that of pairs which are made for the masks of test patients.
            let (agreeing, more) =
                if config.method.needs_masks() { (fold.test.len(), fold.test.len()) } else { (made, 0) };
            let judged = agreeing + if arm.curated.is_empty() { 0 } else { made };
            parts[Part::Curation as usize] += sampled(more) + seeds * judged as f64 * predicted;
        }
    }
    Ok(parts)
}

/// Seconds of the training of one segmenter, with its validations.
fn training_of_segmenter(file: &CrossvalFile, variant: Variant, fold: &Splits, speed: &SegmenterSpeed) -> f64 {
    let train = variant.segmenter(file, 0).segment.train;
    let steps = variant.mixture(fold.training.len()).steps(&train);
    let validations = steps / train.validate_every.max(1);
    steps as f64 * speed.step + (validations * fold.validation.len()) as f64 * speed.picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_train::config::Layers;

    /// A fold of ten training, two validating and three testing pairs, each of its own patient.
    fn fold() -> Splits {
        let ids = |first: usize, count: usize| {
            (first..first + count).map(|id| format!("\"p{id:02}\"")).collect::<Vec<_>>().join(",")
        };
        let text = format!(
            "{{\"by\":\"image\",\"seed\":0,\"training_groups\":10,\"validation_groups\":2,\"test_groups\":3,\"training\":[{}],\
             \"validation\":[{}],\"test\":[{}],\"sha256\":\"\"}}",
            ids(0, 10),
            ids(10, 2),
            ids(12, 3)
        );
        serde_json::from_str(&text).unwrap()
    }

    fn forecast(arm: &str, folds: usize) -> Forecast {
        forecast_with(arm, folds, &[], 0)
    }

    /// The forecast with some settings of the generator, and so many patients without a lesion.
    fn forecast_with(arm: &str, folds: usize, more: &[&str], without: usize) -> Forecast {
        let text = format!(
            "[segment]\ntest_time_flips = \"both\"\n[segment.train]\nsteps = 100\nvalidate_every = 20\n[crossval]\nsegmenter_seeds = [0, 1, 2]\n\
             [[crossval.arms]]\nname = \"pig\"\n{arm}\n"
        );
        let file: CrossvalFile = toml::from_str(&text).unwrap();
        let sets =
            ["train.steps=40", "train.model_x_steps=20", "train.preview_every=0", "sample.num_inference_steps=5"];
        let sets = sets.iter().chain(more).map(|&set| set.to_owned()).collect();
        let config = Layers { file: None, sets }.load().unwrap();
        let speed = GeneratorSpeed { sha256: String::new(), steps: vec![1.0, 2.0], forwards: vec![0.04, 0.06] };
        let segmenter = SegmenterSpeed { sha256: String::new(), step: 0.5, picture: 0.01 };
        let tested = [3 * folds, without];
        Forecast::of(&file, &vec![fold(); folds], tested, &segmenter, &[Generator { config, speed }]).unwrap()
    }

    fn close(found: [f64; 4], expected: [f64; 4]) {
        let is_close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9);
        assert!(is_close, "{found:?}, expected {expected:?}");
    }

    /// A segmenter takes 100 steps of 0.5 s and five validations of two pictures: 50.1 s. The generator takes 20 steps of 1 s and 40 of
    /// 2 s: 100 s; and half a second for a pair. A prediction is the mean over four pictures.
    #[test]
    fn parts_follow_from_steps_pairs_and_seeds() {
        let plain = forecast("add = [4]\ncurated = [4]", 1);
        // Four chosen pairs need eight; three segmenters judge eight pairs for the choice, and eight for agreement.
        close(plain.seconds, [150.3, 104.0, 3.0 * 16.0 * 0.04, 300.6]);
        assert_eq!((plain.patients, plain.training_pairs), ([10, 2, 3], 10));
        // A share is one of real training pairs; without a choice, there is agreement alone.
        close(forecast("add = [0.5]", 1).seconds, [150.3, 102.5, 3.0 * 5.0 * 0.04, 150.3]);
        close(forecast("add = [4]\ncurated = [4]", 3).seconds, plain.seconds.map(|seconds| 3.0 * seconds));
        // Pairs of runs from elsewhere cost no training.
        close(forecast("add = [4]\nruns = \"{fold}\"", 1).seconds, [150.3, 2.0, 3.0 * 4.0 * 0.04, 150.3]);
        // With guidance, each of the five steps of a pair takes two passes of model_y.
        let guided = forecast_with("add = [4]\ncurated = [4]", 1, &["sample.guidance_scale=2"], 0);
        close(guided.seconds, [150.3, 100.0 + 8.0 * 5.0 * 0.16, 3.0 * 16.0 * 0.04, 300.6]);
    }

    #[test]
    fn what_could_be_detected_falls_with_folds_and_with_training_sets_that_vary_alike() {
        let of = |arm: &str, folds: usize| forecast(arm, folds).detectable.unwrap();
        assert!(of("add = [4]", 3) < of("add = [4]", 1));
        assert!(of("add = [4, 5, 6]", 1) < of("add = [4]", 1));
        // Segmenters of generated pairs alone vary in another way.
        assert_eq!(of("add = [4]\nonly = [4, 5]", 1), of("add = [4]", 1));
    }

    /// Dice is measured on pictures with a lesion, so a patient without one tells nothing of it.
    #[test]
    fn patients_without_a_lesion_detect_nothing() {
        let without = |count| forecast_with("add = [4]", 2, &[], count);
        assert_eq!((without(2).tested, without(2).patients[2]), ([6, 2], 3));
        assert!(without(2).detectable > without(0).detectable);
        assert_eq!(without(5).detectable, None);
    }
}
