//! The pairs of one training.

use pig_data::PreparedSet;

/// The pairs of one training.
#[derive(Clone, Copy, Debug)]
pub struct Sets<'a> {
    /// Pairs to learn from.
    pub training: &'a PreparedSet,
    /// Images without masks, if there are any.
    pub unlabelled: Option<&'a PreparedSet>,
    /// Pairs of other patients, for the validation loss.
    pub validation: &'a PreparedSet,
}
