//! The phantom: seeded slices that look like breast tomosynthesis, with the exact mask of their mass.
//!
//! A patient has a breast size, a glandular density and at most one mass; both views, CC and MLO, are projections of
//! the same patient. A slice shows the breast on air, its skin line, fat, glandular tissue with a power spectrum near
//! `1 / f^3` ([`GLANDULAR_EXPONENT`] gives the source), ducts, Cooper's ligaments, and in the MLO view the pectoral
//! muscle.
//! It is a picture to learn on, not a simulation of X-rays: nothing measured on it is evidence about tomosynthesis.
//!
//! **The mask** is the mass's core: the pixels where the mass's profile is at least half of its maximum, so that the
//! mask's edge is the half-maximum line of what the core adds.
//! The spicules of a spiculated mass run out of the core and are not part of the mask.
//!
//! A slice follows from (seed, patient, view) and the settings alone, whatever was made before it and on how many
//! threads. The same processor gives the same bits; another one's mathematical library may differ in the last of them.

mod anatomy;
mod canvas;
mod config;
mod dataset;
mod mass;
mod render;
mod texture;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use config::PhantomConfig;
pub use dataset::{PhantomSummary, generate_all, write_dataset};
pub use mass::MassKind;
pub use texture::{Field, GLANDULAR_EXPONENT, power_law_fields};

/// The grey level of air.
pub const BACKGROUND: f32 = 0.0;

/// A mammographic view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum View {
    /// Craniocaudal: from above.
    Cc,
    /// Mediolateral oblique: from the side at an angle, with the pectoral muscle.
    Mlo,
}

impl View {
    /// Both views, in the order of manifests.
    pub const BOTH: [Self; 2] = [Self::Cc, Self::Mlo];

    /// The word in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cc => "CC",
            Self::Mlo => "MLO",
        }
    }
}

/// Which breast a slice shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Laterality {
    /// The chest wall is on the left edge of the slice.
    Left,
    /// The chest wall is on the right edge of the slice.
    Right,
}

impl Laterality {
    /// The word in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// What is known of a mass. Kind, contrast and diameter belong to the patient, centre and area to the view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MassDescription {
    /// Lobulated or spiculated.
    pub kind: MassKind,
    /// What the centre adds to the tissue, as a share of the full grey range.
    pub contrast: f32,
    /// Diameter in pixels of the circle of the core's area.
    pub diameter: f32,
    /// Column and row of the centre, in pixels; whole numbers are pixel centres.
    pub centre: [f32; 2],
    /// Pixels of the mask.
    pub area: usize,
}

/// One slice with its mask.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomSlice {
    /// Grey levels from 0 to 1, row by row, `width * height` of them.
    pub image: Vec<f32>,
    /// Whether a pixel belongs to the mass's core, row by row.
    pub mask: Vec<bool>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Patient number, from 0.
    pub patient: usize,
    /// The view.
    pub view: View,
    /// The breast.
    pub laterality: Laterality,
    /// Glandular density of the patient, from 0 (nearly all fat) to 1 (very dense).
    pub density: f32,
    /// The mass, unless the patient has none.
    pub mass: Option<MassDescription>,
}

impl PhantomSlice {
    /// The stem of its files, such as `p0007_mlo`.
    pub fn id(&self) -> String {
        format!("p{:04}_{}", self.patient, self.view.name().to_lowercase())
    }

    /// The grey levels as 8-bit numbers, 0 for air and 255 for full range.
    pub fn image_u8(&self) -> Vec<u8> {
        self.image.iter().map(|&grey| (255.0 * grey).round() as u8).collect()
    }

    /// The mask as 8-bit numbers, 0 and 255.
    pub fn mask_u8(&self) -> Vec<u8> {
        self.mask.iter().map(|&inside| if inside { 255 } else { 0 }).collect()
    }

    /// Turns a left breast into a right one.
    fn mirror(&mut self) {
        self.image.chunks_exact_mut(self.width).for_each(<[f32]>::reverse);
        self.mask.chunks_exact_mut(self.width).for_each(<[bool]>::reverse);
        if let Some(mass) = &mut self.mass {
            mass.centre[0] = (self.width - 1) as f32 - mass.centre[0];
        }
        self.laterality = Laterality::Right;
    }
}

/// Why a phantom could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// A setting is out of range.
    #[error("phantom setting `{setting}` is {found}; expected {expected}")]
    Setting {
        /// Its name in [`PhantomConfig`].
        setting: &'static str,
        /// The value found.
        found: String,
        /// What can be used.
        expected: &'static str,
    },
    /// A patient beyond those of the set was asked for.
    #[error("phantom patient {patient} was asked for, but the set has patients 0 to {last}; raise `patients`")]
    NoSuchPatient {
        /// The patient asked for.
        patient: usize,
        /// The last one.
        last: usize,
    },
    /// The folder to write into holds something.
    #[error("{path} is not empty; name a new or empty folder for the phantom set")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("{path} could not be written; check that its folder exists, is writable and has room left")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system or the encoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

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
