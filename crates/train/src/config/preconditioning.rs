//! The section `[preconditioning]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[preconditioning]`: how what networks read and predict is scaled (Karras et al. 2022, here for each channel), for every
/// method but `controlnet` and `ldm`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PreconditioningConfig {
    /// Whether inputs and outputs of networks are scaled.
    pub kind: PreconditioningKind,
    /// Root mean square of each channel of the masks, as networks see them: of each band, the coarse ones first, with `data.space = "haar"`.
    /// A training measures it on its pairs if the list is empty.
    pub mask_strength: Vec<f64>,
    /// Root mean square of each channel of the images; likewise. The channels of a band are neighbours.
    pub image_strength: Vec<f64>,
}

/// Whether inputs and outputs of networks are scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PreconditioningKind {
    /// As in the paper: networks read noisy pixels or coefficients as they are.
    #[default]
    None,
    /// By the strength of each channel and by the noise level. Noise and loss stay as they are.
    Strength,
}

impl PreconditioningConfig {
    /// Takes the strengths that `other` has where these are still to be measured.
    pub(crate) fn measured_as(&mut self, other: &Self) {
        if self.is_to_be_measured() {
            for (own, other) in
                [(&mut self.mask_strength, &other.mask_strength), (&mut self.image_strength, &other.image_strength)]
            {
                if own.is_empty() {
                    own.clone_from(other);
                }
            }
        }
    }

    /// Whether a training must measure the strengths.
    pub(crate) fn is_to_be_measured(&self) -> bool {
        self.kind == PreconditioningKind::Strength && (self.mask_strength.is_empty() || self.image_strength.is_empty())
    }
}
