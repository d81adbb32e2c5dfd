//! One slice with its mask and its description.

use serde::{Deserialize, Serialize};

use super::mass::MassKind;

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

    /// Its name in manifests.
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
    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// The description of a mass. Kind, contrast and diameter belong to the patient, centre and area to the view.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MassDescription {
    /// Lobulated or spiculated.
    pub kind: MassKind,
    /// What the centre adds to the tissue, as a share of the full grey range.
    pub contrast: f32,
    /// Diameter in pixels of the circle with the same area as the core.
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
    /// Whether a pixel belongs to the cluster of microcalcifications and not to the mass, row by row; empty if the set has no clusters.
    pub cluster: Vec<bool>,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Patient number, from 0.
    pub patient: usize,
    /// The view.
    pub view: View,
    /// Which breast it is.
    pub laterality: Laterality,
    /// Glandular density of the patient, from 0 (nearly all fat) to 1 (very dense).
    pub density: f32,
    /// The mass, unless the patient has none.
    pub mass: Option<MassDescription>,
}

impl PhantomSlice {
    /// The stem of the slice's files, such as `p0007_mlo`.
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

    /// The label map: 1 in the mass, 2 in the cluster of microcalcifications.
    pub fn labels(&self) -> Vec<u8> {
        let cluster = self.cluster.iter().copied().chain(std::iter::repeat(false));
        self.mask.iter().zip(cluster).map(|(&mass, cluster)| if mass { 1 } else { 2 * u8::from(cluster) }).collect()
    }

    /// Turns a left breast into a right one.
    pub(super) fn mirror(&mut self) {
        self.image.chunks_exact_mut(self.width).for_each(<[f32]>::reverse);
        self.mask.chunks_exact_mut(self.width).for_each(<[bool]>::reverse);
        self.cluster.chunks_exact_mut(self.width).for_each(<[bool]>::reverse);
        if let Some(mass) = &mut self.mass {
            mass.centre[0] = (self.width - 1) as f32 - mass.centre[0];
        }
        self.laterality = Laterality::Right;
    }
}
