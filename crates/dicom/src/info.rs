//! What an image's header says about the whole object and about one frame.

use std::fmt;

use crate::Window;

/// A value that identifies a person or a study. Its `Debug` output is hidden, so that the value cannot get into a log.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier(pub(crate) String);

impl Identifier {
    /// The value itself; hash it with the user's key before you write it anywhere.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier(hidden)")
    }
}

/// The family of an image, from its SOP class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// Breast Tomosynthesis Image Storage.
    BreastTomosynthesis,
    /// Digital Mammography X-Ray, for presentation.
    MammographyForPresentation,
    /// Digital Mammography X-Ray, for processing.
    MammographyForProcessing,
    /// Secondary Capture, single or multi-frame.
    SecondaryCapture,
    /// Any other image (CT, MR, US and their enhanced forms, ...).
    Other,
}

/// The supported values of Photometric Interpretation (0028,0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    /// Gray, the lowest value is white.
    Monochrome1,
    /// Gray, the lowest value is black.
    Monochrome2,
    /// One index per pixel into a colour table.
    Palette,
    /// Red, green, blue.
    Rgb,
    /// Luma and two colour differences, full range (YBR_FULL).
    YbrFull,
    /// As `YbrFull`, with colour at half the horizontal resolution (YBR_FULL_422).
    YbrFull422,
    /// JPEG 2000's reversible colour transform; the decoder undoes it.
    YbrRct,
    /// JPEG 2000's irreversible colour transform; the decoder undoes it.
    YbrIct,
}

/// A side of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Laterality {
    /// L.
    Left,
    /// R.
    Right,
    /// B.
    Both,
    /// U, an unpaired organ.
    Unpaired,
}

/// Distance between neighbouring pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spacing {
    /// Between rows (vertical), in millimetres.
    pub row: f64,
    /// Between columns (horizontal), in millimetres.
    pub column: f64,
    /// The attribute that states it.
    pub source: SpacingSource,
}

/// The attribute that a [`Spacing`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpacingSource {
    /// Pixel Spacing, of the object or of its pixel measures group: distance in the patient.
    PixelSpacing,
    /// Imager Pixel Spacing: distance at the detector, which is magnified.
    ImagerPixelSpacing,
    /// Nominal Scanned Pixel Spacing of a digitised film.
    NominalScannedPixelSpacing,
}

/// The attributes that hold for every frame of an image.
#[derive(Debug, Clone)]
pub struct ImageInfo {
    /// SOP Class UID.
    pub sop_class: String,
    /// SOP Instance UID.
    pub sop_instance: String,
    /// Series Instance UID.
    pub series: Option<String>,
    /// Study Instance UID.
    pub study: Option<String>,
    /// Frame of Reference UID.
    pub frame_of_reference: Option<String>,
    /// Transfer Syntax UID; if the file states none, the UID of the encoding found in its data set.
    pub transfer_syntax: String,
    /// The family of the object.
    pub kind: ObjectKind,
    /// Modality (0008,0060), if it has the form of a code (capital letters, digits and underscores).
    pub modality: Option<String>,
    /// Patient ID.
    pub patient_id: Option<Identifier>,
    /// Rows of a frame.
    pub rows: u32,
    /// Columns of a frame.
    pub columns: u32,
    /// Frames; 1 if the attribute is absent.
    pub frames: u32,
    /// Frames that the pixel data hold beyond `frames`, so that they cannot be read; 0 in a consistent file.
    pub frames_left_over: u32,
    /// Samples per pixel: 1 or 3.
    pub samples_per_pixel: u16,
    /// Bits that an uncompressed sample takes.
    pub bits_allocated: u16,
    /// Bits that hold the value of a sample.
    pub bits_stored: u16,
    /// Position of a sample's highest bit.
    pub high_bit: u16,
    /// Whether stored values are two's complement.
    pub signed: bool,
    /// Photometric Interpretation.
    pub photometric: Photometric,
    /// Pixel Padding Value and Pixel Padding Range Limit (equal if there is no limit) as stored values, the smaller first.
    pub padding: Option<(i64, i64)>,
    /// Image Laterality, else Laterality, else the laterality of the shared functional groups.
    pub laterality: Option<Laterality>,
    /// View Position (MLO, CC, ...) if it is a defined term, else the acronym of the code in the View Code Sequence.
    pub view: Option<String>,
    /// Burned In Annotation (0028,0301).
    pub burned_in_annotation: Option<bool>,
    /// Synthetic Data (0008,001C).
    pub synthetic: Option<bool>,
    /// Whether the pixels are or were compressed with loss, according to the transfer syntax or (0028,2110).
    pub lossy: bool,
}

/// Where a frame lies in the patient, as far as the file says it in a way that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Plane {
    /// Image Position (Patient): centre of the first pixel, in millimetres.
    pub position: Option<[f64; 3]>,
    /// Image Orientation (Patient): directions of a row and of a column.
    pub orientation: Option<[f64; 6]>,
    /// Distances between rows and between columns, in millimetres.
    pub spacing: Option<[f64; 2]>,
}

impl Plane {
    /// How far the corners of a frame of `rows` and `columns` are from those of `other`, a frame of the same size: the greatest distances
    /// in millimetres within the plane of `other`, and along its normal. `None` if one of the two does not say where it lies; a spacing that
    /// one of them does not say is that of the other.
    pub fn apart(&self, other: &Self, [rows, columns]: [u32; 2]) -> Option<[f64; 2]> {
        let spacing = self.spacing.or(other.spacing)?;
        let corners = |plane: &Self| {
            let (position, orientation) = plane.position.zip(plane.orientation)?;
            let [row, column] = plane.spacing.unwrap_or(spacing);
            let ends = [f64::from(columns.saturating_sub(1)) * column, f64::from(rows.saturating_sub(1)) * row];
            let corner = |corner: usize| -> [f64; 3] {
                let part = |side: usize| if corner >> side & 1 == 1 { ends[side] } else { 0.0 };
                std::array::from_fn(|axis| {
                    position[axis] + orientation[axis] * part(0) + orientation[3 + axis] * part(1)
                })
            };
            Some([0, 1, 2, 3].map(corner))
        };
        let [a, b, c, d, e, f] = other.orientation?;
        let normal = [b * f - c * e, c * d - a * f, a * e - b * d];
        let mut greatest = [0.0_f64; 2];
        for (here, there) in corners(self)?.into_iter().zip(corners(other)?) {
            let step: [f64; 3] = std::array::from_fn(|axis| here[axis] - there[axis]);
            let along: f64 = (0..3).map(|axis| step[axis] * normal[axis]).sum();
            let within = step.iter().map(|part| part * part).sum::<f64>() - along * along;
            greatest = [greatest[0].max(within.max(0.0).sqrt()), greatest[1].max(along.abs())];
        }
        Some(greatest)
    }
}

/// The attributes of one frame, from the per-frame functional groups, else from the shared ones, else from the object.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameInfo {
    /// Pixel spacing.
    pub spacing: Option<Spacing>,
    /// Slice Thickness, in millimetres.
    pub slice_thickness: Option<f64>,
    /// Spacing Between Slices, in millimetres.
    pub spacing_between_slices: Option<f64>,
    /// Image Position (Patient): centre of the first pixel, in millimetres.
    pub position: Option<[f64; 3]>,
    /// Image Orientation (Patient): directions of a row and of a column.
    pub orientation: Option<[f64; 6]>,
    /// Whether the file gives a spacing, a thickness, a position or an orientation that cannot be used, such as a spacing of 0 or text that
    /// is no number; it counts as not given.
    pub unusable_geometry: bool,
    /// Frame Laterality, else the object's.
    pub laterality: Option<Laterality>,
    /// Windows that the file proposes, in file order.
    pub windows: Vec<Window>,
    /// Number of VOI LUTs that the file proposes.
    pub voi_luts: usize,
    /// Rescale Slope; 1 if absent.
    pub slope: f64,
    /// Rescale Intercept; 0 if absent.
    pub intercept: f64,
    /// Whether a Modality LUT replaces slope and intercept.
    pub modality_lut: bool,
}

impl FrameInfo {
    /// Whether [`crate::Voi::Default`] changes values and can be applied: the file proposes a table, or its first window is valid.
    pub fn has_usable_voi(&self) -> bool {
        self.voi_luts > 0 || self.windows.first().is_some_and(Window::is_valid)
    }
}
