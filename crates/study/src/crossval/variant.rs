//! The training sets of segmenters.

use crate::crossval::config::{Count, CrossvalFile, REAL, Use};
use pig_segment::{PairUse, SegmentFile, pairs::Mixture};

/// One of the generators of an arm; in every fold, another one is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArmGenerator {
    /// Number of the arm.
    pub arm: usize,
    /// Number of the generator, from 0: the place of its seed in `crossval.generator_seeds`.
    pub number: usize,
}

impl ArmGenerator {
    /// Its seed, if the cross-validation gives it one; otherwise it has that of its own configuration.
    pub fn seed(self, file: &CrossvalFile) -> Option<u64> {
        file.crossval.generator_seeds.get(self.number).copied()
    }

    /// Its seed, if the arm has several generators, which it tells apart.
    pub(super) fn own_seed(self, file: &CrossvalFile) -> Option<u64> {
        self.seed(file).filter(|_| file.crossval.generators() > 1)
    }
}

/// The training set of a segmenter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Variant {
    /// Real pairs alone.
    Real,
    /// Pairs from the generator of an arm.
    Generated {
        /// Number of the arm.
        arm: usize,
        /// How the pairs are used.
        how: Use,
        /// How many pairs.
        count: Count,
    },
}

impl Variant {
    /// Name of the training set in folders and tables, such as `real` or `pig-add-0.29`.
    pub fn label(self, file: &CrossvalFile) -> String {
        match self {
            Self::Real => REAL.to_owned(),
            Self::Generated { arm, how, count } => {
                format!("{}-{}-{count}", file.crossval.arms[arm].name, how.word())
            }
        }
    }

    /// Whether segmenters train on all real pairs.
    fn has_real_pairs(self) -> bool {
        match self {
            Self::Real => true,
            Self::Generated { how, .. } => match how {
                Use::Add | Use::Curated | Use::Pretrained | Use::Placebo => true,
                Use::Only | Use::Shuffled => false,
            },
        }
    }

    /// Whether each image has the mask of another pair.
    pub(super) fn is_shuffled(self) -> bool {
        matches!(self, Self::Generated { how: Use::Placebo | Use::Shuffled, .. })
    }

    /// Whether its trainings are taken to vary as much as those of real pairs: segmenters train on all of these, and on no wrong masks.
    pub fn varies_alike(self) -> bool {
        self.has_real_pairs() && !self.is_shuffled()
    }

    /// How many pairs its segmenters train on in a fold with `real` real training pairs, if no filter leaves fewer.
    pub fn mixture(self, real: usize) -> Mixture {
        let generated = match self {
            Self::Real => 0,
            Self::Generated { count, .. } => count.of(real),
        };
        let training = if self.has_real_pairs() { real + generated } else { generated };
        Mixture { real, training, generated }
    }

    /// The configuration of its segmenter with one of the seeds.
    pub fn segmenter(self, file: &CrossvalFile, seed: u64) -> SegmentFile {
        let mut own = file.segmenter(seed);
        if matches!(self, Self::Generated { how: Use::Pretrained, .. }) {
            own.segment.train.pairs = PairUse::Pretrain;
        }
        own
    }

    /// Whether the pairs must be chosen first.
    pub fn is_curated(self) -> bool {
        matches!(self, Self::Generated { how: Use::Curated, .. })
    }

    /// The generator that makes the pairs of the segmenter with one of the seeds, if any.
    pub fn generator(self, file: &CrossvalFile, seed: u64) -> Option<ArmGenerator> {
        self.arm().map(|arm| ArmGenerator { arm, number: file.crossval.generator_of(seed) })
    }

    /// The number of the arm whose generator is needed, if any.
    pub fn arm(self) -> Option<usize> {
        match self {
            Self::Real => None,
            Self::Generated { arm, .. } => Some(arm),
        }
    }
}

/// All training sets of segmenters, in the order of tables.
pub fn variants(file: &CrossvalFile) -> Vec<Variant> {
    let mut variants = vec![Variant::Real];
    for (arm, config) in file.crossval.arms.iter().enumerate() {
        variants.extend(config.training_sets().map(|(how, count)| Variant::Generated { arm, how, count }));
    }
    variants
}
