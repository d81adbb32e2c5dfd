//! The `[prepare]` section of the configuration: every step from a source to a prepared pair.

use serde::{Deserialize, Serialize};

use pig_data::config::{MaskResize, MaskValues, Resize, size_from_one_or_two};

use crate::error::{PrepareError, Result};

/// The greatest width or height that may be asked for.
const MAX_SIDE: usize = 8192;

/// A configuration file of preparation: the section `[prepare]` alone.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// How pairs are made.
    pub prepare: PrepareConfig,
}

/// How `pig prepare` makes pairs. This section stands in a file of its own, for `pig prepare` and `pig inspect` alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrepareConfig {
    /// Height and width of the prepared pairs in pixels: `512` for a square or `[height, width]`.
    #[serde(deserialize_with = "size_from_one_or_two")]
    pub size: [usize; 2],
    /// How the aspect ratio is treated: `pad` keeps it and fills with the darkest value, `stretch` fills the size.
    pub resize: Resize,
    /// How masks are resized: `area-threshold` or `nearest`.
    pub mask_resize: MaskResize,
    /// Bits of the prepared images: 8 or 16.
    pub bit_depth: u8,
    /// Which source values become black and white: `auto`, `stored`, `voi`, `given` or `percentile`.
    pub window: WindowRule,
    /// Centre of the window in source values; needed by `window = "given"`.
    pub window_center: Option<f64>,
    /// Width of the window in source values; needed by `window = "given"`.
    pub window_width: Option<f64>,
    /// The two percentiles, in per cent, of `window = "percentile"`; measured over all slices of a volume.
    pub percentiles: [f64; 2],
    /// How colour pictures become gray: `auto`, `luma`, `red`, `green` or `blue`.
    pub colour: Colour,
    /// What is cut off before resizing: `auto`, `none` or `largest-component`.
    pub crop: CropRule,
    /// How much brighter than air, as a share of the image's range, tissue is; above 0 and below 1.
    pub crop_threshold: f64,
    /// What is kept around the tissue, as a share of the image's longer side; from 0 to 0.5.
    pub crop_margin: f64,
    /// Whether images are mirrored so that every breast or organ is of one side: `keep`, `left` or `right`.
    pub laterality: LateralityRule,
    /// The axis along which NIfTI volumes are sliced: 0, 1 or 2, as the file counts them.
    pub slice_axis: usize,
    /// The share of the images or slices without lesion that is kept: 0 keeps none, 1 keeps all. Each is drawn by itself,
    /// keyed by `seed`.
    pub empty_share: f64,
    /// The seed of the draw of images without lesion.
    pub seed: u64,
    /// The values that mean lesion: gray values or colours in pictures, labels in NIfTI, segment numbers in DICOM SEG.
    /// Without it, every value but 0 (in pictures: the one value that is not background).
    pub mask_values: Option<MaskValues>,
    /// What happens to an image without a mask: `error` lists it, `skip` leaves it out, `empty` takes it as free of lesion.
    pub missing_mask: MissingMask,
    /// The kinds of lesion that are kept where the source names them (CBIS-DDSM's abnormality types, INbreast's ROI names,
    /// BCS-DBT's classes), compared without regard to case; empty for all.
    pub lesion_types: Vec<String>,
    /// The occupancy from which a pixel of a fractional DICOM SEG is lesion; above 0 and up to 1.
    pub seg_threshold: f64,
    /// What a box becomes: a filled `ellipse` or a filled `box`. Either is marked as a weak label.
    pub box_shape: BoxShape,
    /// How many slices on either side of its own a box is drawn on.
    pub box_slices: usize,
    /// The input channel of an nnU-Net case that is read.
    pub channel: usize,
    /// How prepared pairs are named: `auto`, `hash` or `source`.
    pub names: Names,
    /// The manifest column of a generic folder that names the patient. Without it, `patient` and then `group`.
    pub group_column: Option<String>,
}

impl Default for PrepareConfig {
    fn default() -> Self {
        Self {
            size: [512, 512],
            resize: Resize::Pad,
            mask_resize: MaskResize::AreaThreshold,
            bit_depth: 8,
            window: WindowRule::Auto,
            window_center: None,
            window_width: None,
            percentiles: [0.1, 99.9],
            colour: Colour::Auto,
            crop: CropRule::Auto,
            crop_threshold: 0.05,
            crop_margin: 0.01,
            laterality: LateralityRule::Keep,
            slice_axis: 2,
            empty_share: 0.0,
            seed: 0,
            mask_values: None,
            missing_mask: MissingMask::Error,
            lesion_types: Vec::new(),
            seg_threshold: 0.5,
            box_shape: BoxShape::Ellipse,
            box_slices: 0,
            channel: 0,
            names: Names::Auto,
            group_column: None,
        }
    }
}

/// Which source values become black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowRule {
    /// `voi` for DICOM that proposes a window, `percentile` for other DICOM and for NIfTI, `stored` for pictures.
    #[default]
    Auto,
    /// The whole range that the stored values could have.
    Stored,
    /// DICOM's own first VOI LUT or window (linear, exact or sigmoid); sources without one are refused.
    Voi,
    /// `window_center` minus to plus half of `window_width`.
    Given,
    /// Between the two `percentiles` of an image or volume.
    Percentile,
}

/// How colour pictures become gray.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// `green` for LGG, whose green channel is FLAIR; `luma` for everything else.
    #[default]
    Auto,
    /// Rec. 601 luma of the stored values.
    Luma,
    /// The red channel.
    Red,
    /// The green channel.
    Green,
    /// The blue channel.
    Blue,
}

/// What is cut off before resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CropRule {
    /// `largest-component` for mammograms and tomosynthesis, `none` for everything else.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// Everything around the largest bright component and the lesions; other bright components (labels, wedges) are made
    /// black.
    LargestComponent,
}

/// Whether images are mirrored to one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LateralityRule {
    /// Images stay as they are.
    #[default]
    Keep,
    /// Images of the right side are mirrored.
    Left,
    /// Images of the left side are mirrored.
    Right,
}

/// What happens to an image without a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingMask {
    /// It is listed among the errors.
    #[default]
    Error,
    /// It is left out and counted.
    Skip,
    /// It is taken as free of lesion.
    Empty,
}

/// What a box becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxShape {
    /// The filled ellipse that touches the box's sides.
    #[default]
    Ellipse,
    /// The filled box.
    Box,
}

/// How prepared pairs are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// `hash` where patients are known or the source is DICOM or NIfTI, `source` for other pictures.
    #[default]
    Auto,
    /// By a hash of the source file's place; keyed where a key is given.
    Hash,
    /// After the source file. Such names say what the source's names say.
    Source,
}

impl PrepareConfig {
    /// Checks what types alone cannot: ranges, and keys that need each other.
    pub fn check(&self) -> Result<()> {
        let invalid = |key, found: String, expected| Err(PrepareError::Config { key, found, expected });
        if self.size.iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
            return invalid("size", format!("{:?}", self.size), "a height and a width from 1 to 8192");
        }
        if !matches!(self.bit_depth, 8 | 16) {
            return invalid("bit_depth", self.bit_depth.to_string(), "8 or 16");
        }
        let [low, high] = self.percentiles;
        if !(0.0..=100.0).contains(&low) || !(0.0..=100.0).contains(&high) || low >= high {
            return invalid("percentiles", format!("{:?}", self.percentiles), "two rising numbers from 0 to 100");
        }
        if !(self.crop_threshold > 0.0 && self.crop_threshold < 1.0) {
            return invalid("crop_threshold", self.crop_threshold.to_string(), "a share above 0 and below 1");
        }
        if !(0.0..=0.5).contains(&self.crop_margin) {
            return invalid("crop_margin", self.crop_margin.to_string(), "a share from 0 to 0.5");
        }
        if self.slice_axis > 2 {
            return invalid("slice_axis", self.slice_axis.to_string(), "0, 1 or 2");
        }
        if !(0.0..=1.0).contains(&self.empty_share) {
            return invalid("empty_share", self.empty_share.to_string(), "a share from 0 to 1");
        }
        if !(self.seg_threshold > 0.0 && self.seg_threshold <= 1.0) {
            return invalid("seg_threshold", self.seg_threshold.to_string(), "a share above 0 and up to 1");
        }
        self.check_window()
    }

    fn check_window(&self) -> Result<()> {
        let given = self.window == WindowRule::Given;
        for (key, value) in [("window_center", self.window_center), ("window_width", self.window_width)] {
            let (found, expected) = match value {
                None if given => ("nothing".to_owned(), "a number, because prepare.window is \"given\""),
                Some(value) if !given => (value.to_string(), "nothing, unless prepare.window is \"given\""),
                Some(value) if !value.is_finite() || (key == "window_width" && value <= 0.0) => {
                    (value.to_string(), "a finite number, and a width above 0")
                }
                _ => continue,
            };
            return Err(PrepareError::Config { key, found, expected });
        }
        Ok(())
    }

    /// The labels or segment numbers that mean lesion; `None` for every one but 0.
    pub(crate) fn lesion_labels(&self) -> Option<Vec<u16>> {
        use pig_data::config::MaskValue;
        let values = self.mask_values.as_ref()?;
        let gray = |value: &MaskValue| match value {
            MaskValue::Gray(gray) => Some(*gray),
            MaskValue::Colour(_) => None,
        };
        Some(values.0.iter().filter_map(gray).collect())
    }

    /// Whether lesions of this kind are kept.
    pub(crate) fn keeps_type(&self, kind: &str) -> bool {
        self.lesion_types.is_empty() || self.lesion_types.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind.trim()))
    }
}
