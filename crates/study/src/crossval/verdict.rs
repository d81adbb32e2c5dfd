//! Whether comparisons of segmenters allow a verdict. The tables show every difference; words such as "better", and p, need more.

use crate::crossval::config::CrossvalFile;

/// The least number of segmenter seeds of a verdict. The difference between two trainings of one training set cannot be told from
/// the difference between training sets with one seed, and two seeds do not show how much seeds vary.
pub const LEAST_SEEDS: usize = 3;

/// The least number of optimiser steps of the segmenters (`segment.train.steps`) of a verdict: ten times the default warm-up, in which
/// the learning rate rises. After a few steps a segmenter finds next to nothing, and which training set leads is chance.
pub const LEAST_STEPS: usize = 500;

/// Why no comparison of a cross-validation allows a verdict; empty if they do.
pub fn no_verdict(file: &CrossvalFile) -> Vec<String> {
    let (seeds, steps) = (file.crossval.segmenter_seeds.len(), file.segment.train.steps);
    let mut reasons = Vec::new();
    if seeds < LEAST_SEEDS {
        reasons.push(format!("{seeds} segmenter seed(s), a verdict needs {LEAST_SEEDS} (crossval.segmenter_seeds)"));
    }
    if steps < LEAST_STEPS {
        reasons.push(format!("segmenters of {steps} steps, a verdict needs {LEAST_STEPS} (segment.train.steps)"));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(seeds: u64, steps: usize) -> CrossvalFile {
        let mut file = CrossvalFile::default();
        (file.crossval.segmenter_seeds, file.segment.train.steps) = ((0..seeds).collect(), steps);
        file
    }

    #[test]
    fn few_seeds_and_few_steps_each_forbid_a_verdict() {
        assert_eq!(no_verdict(&file(3, 500)), Vec::<String>::new());
        let one = no_verdict(&file(1, 500));
        assert!(matches!(&one[..], [seeds] if seeds.starts_with("1 segmenter seed(s), a verdict needs 3")), "{one:?}");
        let short = no_verdict(&file(3, 12));
        assert!(matches!(&short[..], [steps] if steps.contains("12 steps, a verdict needs 500")), "{short:?}");
        assert_eq!(no_verdict(&file(2, 8)).len(), 2);
    }
}
