//! The settings of a phantom set, and their checks.

use serde::{Deserialize, Serialize};

use super::error::PhantomError;

/// The settings of a phantom set; `Default` is the set that the demo trains on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhantomConfig {
    /// Number of patients; each has two slices, one CC and one MLO.
    pub patients: usize,
    /// Columns and rows of a slice. Lines are about 1/250 of the shorter side wide, so make slices of 256 pixels or
    /// more and reduce them afterwards.
    pub size: [usize; 2],
    /// Random seed. A slice depends only on (seed, patient, view) and these settings.
    pub seed: u64,
    /// Lowest and highest contrast of a mass: what its centre adds to the tissue, as a share of the full grey
    /// range; drawn uniformly for each patient. Below about 0.05 a mass is hardly visible.
    pub mass_contrast: [f32; 2],
    /// Lowest and highest diameter of a mass, as a share of the shorter side; drawn uniformly for each patient.
    pub mass_diameter: [f32; 2],
    /// Share of masses that are spiculated; the others are lobulated.
    pub spiculated_share: f32,
    /// Share of patients without a mass: their masks are empty.
    pub lesion_free_share: f32,
    /// Share of patients with a cluster of microcalcifications, the second class of lesion. With 0, masses are the only class.
    pub calcification_share: f32,
    /// Whether there are left and right breasts, with equal probability for each patient. If not, all are left
    /// breasts, with the chest wall on the left edge; right breasts are mirrored.
    pub both_sides: bool,
}

impl Default for PhantomConfig {
    fn default() -> Self {
        Self {
            patients: 500,
            size: [256, 256],
            seed: 0,
            mass_contrast: [0.2, 0.42],
            mass_diameter: [0.09, 0.22],
            spiculated_share: 0.5,
            lesion_free_share: 0.0,
            calcification_share: 0.0,
            both_sides: false,
        }
    }
}

impl PhantomConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`PhantomError::Setting`] names the first setting that cannot be used, its value and what is expected.
    pub fn validate(&self) -> Result<(), PhantomError> {
        let fail = |setting: &'static str, found: String, expected: &'static str| {
            Err(PhantomError::Setting { setting, found, expected })
        };
        let ordered = |[low, high]: [f32; 2], least: f32, most: f32| least <= low && low <= high && high <= most;
        if self.patients == 0 {
            return fail("patients", self.patients.to_string(), "at least 1");
        }
        let [width, height] = self.size;
        if !(32..=4096).contains(&width) || !(32..=4096).contains(&height) {
            return fail("size", format!("{:?}", self.size), "both sides from 32 to 4096 pixels");
        }
        if width > 2 * height || height > 2 * width {
            return fail("size", format!("{:?}", self.size), "a longer side of at most twice the shorter one");
        }
        if !ordered(self.mass_contrast, 0.0, 1.0) {
            return fail(
                "mass_contrast",
                format!("{:?}", self.mass_contrast),
                "[low, high] with 0 <= low <= high <= 1",
            );
        }
        if !ordered(self.mass_diameter, 0.04, 0.3) {
            return fail(
                "mass_diameter",
                format!("{:?}", self.mass_diameter),
                "[low, high] with 0.04 <= low <= high <= 0.3",
            );
        }
        if !(0.0..=1.0).contains(&self.spiculated_share) {
            return fail("spiculated_share", self.spiculated_share.to_string(), "a share from 0 to 1");
        }
        if !(0.0..=1.0).contains(&self.calcification_share) {
            return fail("calcification_share", self.calcification_share.to_string(), "a share from 0 to 1");
        }
        if !(0.0..=1.0).contains(&self.lesion_free_share) {
            return fail("lesion_free_share", self.lesion_free_share.to_string(), "a share from 0 to 1");
        }
        Ok(())
    }
}
