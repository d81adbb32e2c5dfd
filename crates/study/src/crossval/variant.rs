//! The training sets of segmenters.

use crate::crossval::config::{Count, CrossvalFile, REAL, Use};
use pig_segment::{PairUse, SegmentFile, pairs::Mixture};

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

    /// Whether segmenters train on all real pairs, so that their trainings vary alike.
    pub fn has_real_pairs(self) -> bool {
        match self {
            Self::Real | Self::Generated { how: Use::Add | Use::Curated | Use::Pretrained, .. } => true,
            Self::Generated { how: Use::Only | Use::Shuffled, .. } => false,
        }
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

    /// The number of the arm whose pairs must be chosen first, if any.
    pub fn curated_arm(self) -> Option<usize> {
        match self {
            Self::Generated { arm, how: Use::Curated, .. } => Some(arm),
            _ => None,
        }
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
