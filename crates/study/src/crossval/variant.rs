//! The training sets of segmenters.

use crate::crossval::config::{Count, CrossvalFile, REAL, Use};

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
