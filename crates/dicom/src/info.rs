//! What an image's header says: of the whole object, and of one frame.

use std::fmt;

use crate::Window;

/// A value that names a person or a study. Its `Debug` form is hidden, so that it cannot slip into a log.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier(pub(crate) String);

impl Identifier {
    /// The value itself; hash it with the user's key before it goes anywhere.
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

/// Photometric Interpretation (0028,0004), the ones that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    /// Gray, the lowest value is white.
    Monochrome1,
    /// Gray, the lowest value is black.
    Monochrome2,
    /// One index a pixel into a colour table.
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
    /// Which attribute said so.
    pub source: SpacingSource,
}

/// Where a [`Spacing`] was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpacingSource {
    /// Pixel Spacing, of the object or of its pixel measures group: in the patient.
    PixelSpacing,
    /// Imager Pixel Spacing: at the detector, magnified.
    ImagerPixelSpacing,
    /// Nominal Scanned Pixel Spacing of a digitised film.
    NominalScannedPixelSpacing,
}

/// What holds for every frame of an image.
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
    /// Transfer Syntax UID; the default (implicit little endian) where the file has no meta group.
    pub transfer_syntax: String,
    /// The family of the object.
    pub kind: ObjectKind,
    /// Modality (0008,0060), if it is a code of the form that the standard asks for (capital letters and digits).
    pub modality: Option<String>,
    /// Patient ID.
    pub patient_id: Option<Identifier>,
    /// Rows of a frame.
    pub rows: u32,
    /// Columns of a frame.
    pub columns: u32,
    /// Frames; 1 where the attribute is absent.
    pub frames: u32,
    /// Samples a pixel: 1 or 3.
    pub samples_per_pixel: u16,
    /// Bits that a sample takes when not compressed.
    pub bits_allocated: u16,
    /// Bits that a sample has.
    pub bits_stored: u16,
    /// Place of a sample's highest bit.
    pub high_bit: u16,
    /// Whether stored values are two's complement.
    pub signed: bool,
    /// Photometric Interpretation.
    pub photometric: Photometric,
    /// Pixel Padding Value and Pixel Padding Range Limit (equal where there is no limit), in order, as stored values.
    pub padding: Option<(i64, i64)>,
    /// Image Laterality, else Laterality, else that of the shared functional groups.
    pub laterality: Option<Laterality>,
    /// View Position (MLO, CC, ...), else the acronym of the View Code Sequence; codes of letters only.
    pub view: Option<String>,
    /// Burned In Annotation (0028,0301).
    pub burned_in_annotation: Option<bool>,
    /// Synthetic Data (0008,001C).
    pub synthetic: Option<bool>,
    /// Whether the pixels went through a lossy compression, now or before (by the transfer syntax or (0028,2110)).
    pub lossy: bool,
}

/// What holds for one frame: the per-frame functional groups, else the shared ones, else the object.
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
    /// Frame Laterality, else the object's.
    pub laterality: Option<Laterality>,
    /// Windows that the file proposes, in its order.
    pub windows: Vec<Window>,
    /// Number of VOI LUTs that the file proposes.
    pub voi_luts: usize,
    /// Rescale Slope; 1 where absent.
    pub slope: f64,
    /// Rescale Intercept; 0 where absent.
    pub intercept: f64,
    /// Whether a Modality LUT stands in place of slope and intercept.
    pub modality_lut: bool,
}
