//! How pairs are chosen.

use pig_train::{Result, config::require};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[crossval.curate]` section: which of the generated pairs segmenters train on where a training set is `curated`. Filters are those
/// of `pig curate`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CurateConfig {
    /// The share of the pairs that is kept.
    pub keep: f64,
    /// Which pairs are kept first.
    pub order: Order,
    /// Which lesion areas the kept pairs have.
    pub areas: Areas,
    /// Whether pairs may be kept whose image is nearer to a training image than 95 % of the validating images are.
    pub keep_copies: bool,
}

impl Default for CurateConfig {
    fn default() -> Self {
        Self { keep: 0.5, order: Order::default(), areas: Areas::default(), keep_copies: false }
    }
}

/// Which pairs are kept first. Pairs with an empty mask are chosen among themselves: those go first in which the segmenters find least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Those with whose masks the segmenters agree most.
    #[default]
    Agreement,
    /// After the quarter with the lowest agreement was left out, the hardest third of the rest, and then those with the highest
    /// agreement. A pair with a middling agreement is one from which a segmenter has something to learn.
    Hard,
}

/// Which lesion areas the kept pairs have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Areas {
    /// Whatever the generated pairs have; the share of empty masks stays as it is.
    #[default]
    Any,
    /// Those of the real training pairs: as large a share of empty masks, and of lesions in each fifth of the real areas. Where too few
    /// pairs have such a lesion, fewer are kept.
    Real,
}

impl CurateConfig {
    /// Checks ranges; `section` is the beginning of the keys in messages.
    ///
    /// # Errors
    /// When the share is not above 0 and at most 1.
    pub fn check(&self, section: &str) -> Result<()> {
        let is_share = self.keep > 0.0 && self.keep <= 1.0;
        require(is_share, &format!("{section}keep"), self.keep, "a number above 0 and at most 1 (1: all pairs)")
    }

    /// How many pairs must be there so that `count` of them are kept, if no filter leaves fewer.
    #[must_use]
    pub fn candidates(&self, count: usize) -> usize {
        // The share may be a rounded one, such as 0.1, whose reciprocal is slightly more than 10.
        (count as f64 / self.keep - 1e-9).ceil() as usize
    }
}
