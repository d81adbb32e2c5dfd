//! The phantom: seeded slices that look like breast tomosynthesis, with the exact mask of their mass.
//!
//! A patient has a breast size, a glandular density and at most one mass; both views, CC and MLO, are projections of
//! the same patient. A slice shows the breast on air, its skin line, fat, glandular tissue with a power spectrum near
//! `1 / f^3` ([`GLANDULAR_EXPONENT`] gives the source), ducts, Cooper's ligaments, and in the MLO view the pectoral
//! muscle.
//! It is made for training and testing, and does not simulate X-rays: nothing measured on it is evidence about
//! tomosynthesis.
//!
//! **The mask** is the mass's core: the pixels where the mass's profile is at least half of its maximum, so that the
//! mask's edge is the half-maximum line of what the core adds.
//! The spicules of a spiculated mass extend beyond the core and are not part of the mask.
//!
//! **Clusters of microcalcifications** are a second class of lesion, if [`PhantomConfig::calcification_share`] is above 0: bright specks
//! within an ellipse, which is their mask. Masks are then label maps, mass 1 and calcification 2, and everything else stays the same.
//!
//! A slice depends only on (seed, patient, view) and the settings, not on the slices made before it or on the number of
//! threads. The same processor gives the same bits; the mathematical library of another one may change the last bits.

mod anatomy;
mod canvas;
mod cluster;
mod config;
mod dataset;
mod error;
mod mass;
mod render;
mod slice;
mod texture;

pub use config::PhantomConfig;
pub use dataset::{CALCIFICATION_COLUMN, PhantomSummary, generate_all, write_dataset};
pub use error::PhantomError;
pub use mass::MassKind;
pub use slice::{BACKGROUND, Laterality, MassDescription, PhantomSlice, View};
pub use texture::{Field, GLANDULAR_EXPONENT, power_law_fields};

/// Makes one slice of `config`'s set.
///
/// # Errors
/// [`PhantomError::Setting`] for a setting out of range, [`PhantomError::NoSuchPatient`] for a patient beyond the set.
pub fn generate_slice(config: &PhantomConfig, patient: usize, view: View) -> Result<PhantomSlice, PhantomError> {
    config.validate()?;
    if patient >= config.patients {
        return Err(PhantomError::NoSuchPatient { patient, last: config.patients - 1 });
    }
    Ok(render::render(config, patient, view))
}
