//! The `[prepare]` section of the configuration: settings of every step from a source to a prepared pair.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use pig_data::classes::{Coding, Kind, check};
use pig_data::config::{ClassConfig, MaskResize, MaskValue, MaskValues, Resize, SizeWord, size_from_one_or_two};

use crate::channel::Channel;
use crate::error::{PrepareError, Result};

/// The greatest width or height that can be set.
const MAX_SIDE: usize = 8192;

/// The name of this section, for errors.
pub(crate) const SECTION: &str = "prepare";

/// A configuration file for preparation, which has only the section `[prepare]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigFile {
    /// How pairs are made.
    pub prepare: PrepareConfig,
}

impl ConfigFile {
    /// The settings as TOML.
    pub fn to_toml(&self) -> String {
        // Every field is a plain value, so this cannot fail.
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

/// How `pig prepare` makes pairs. This section is in a separate file, which only `pig prepare` and `pig inspect` read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrepareConfig {
    /// Height and width of the prepared pairs in pixels: `512` for a square or `[height, width]`.
    #[serde(deserialize_with = "size_from_one_or_two")]
    #[schemars(with = "SizeWord")]
    pub size: [usize; 2],
    /// How the aspect ratio is treated: `pad` keeps it and fills with the darkest value, `stretch` fills the size.
    pub resize: Resize,
    /// How masks are resized: `area-threshold` or `nearest`.
    pub mask_resize: MaskResize,
    /// Bits of the prepared images: 8 or 16.
    pub bit_depth: u8,
    /// Which source values become black and white: `auto`, `stored`, `voi`, `given` or `percentile`.
    pub window: WindowRule,
    /// Centre of the window in source values; required with `window = "given"`.
    pub window_center: Option<f64>,
    /// Width of the window in source values; required with `window = "given"`.
    pub window_width: Option<f64>,
    /// The two percentiles for `window = "percentile"`, in per cent; measured over all slices of a volume.
    pub percentiles: [f64; 2],
    /// What becomes of colour: `auto`, `keep`, `luma` (or `gray`), `red`, `green` or `blue`. All pairs of a source have the same number
    /// of channels.
    pub colour: Colour,
    /// What is cut off before resizing: `auto`, `none` or `largest-component`.
    pub crop: CropRule,
    /// Tissue is brighter than air by more than this share of the image's range; above 0 and below 1.
    pub crop_threshold: f64,
    /// The margin that the crop keeps around the tissue, as a share of the image's longer side; from 0 to 0.5.
    pub crop_margin: f64,
    /// Whether images are mirrored so that all show the same side: `keep`, `left` or `right`.
    pub laterality: LateralityRule,
    /// The axis along which NIfTI volumes are sliced: 0, 1 or 2, in the order of the file.
    pub slice_axis: usize,
    /// The share of the images or slices without lesion that is kept: 0 keeps none, 1 keeps all. Each is drawn independently,
    /// with `seed` as the seed.
    pub empty_share: f64,
    /// The seed for drawing images or slices without lesion.
    pub seed: u64,
    /// The values that mean lesion: gray values or colours in pictures, labels in NIfTI, segment numbers in DICOM SEG.
    /// If not set, every value except 0 means lesion (in pictures: the one value that is not background).
    pub mask_values: Option<MaskValues>,
    /// For masks of grays (saved as JPEG, or resampled) and soft masks: a pixel is lesion from this value on, as stored in the file
    /// (NIfTI: after scaling). Excludes `mask_values`.
    pub mask_threshold: Option<f64>,
    /// The classes of lesion, each a table with `name` and `values` (as `mask_values`), where masks tell several apart: prepared masks are
    /// then label maps with a palette. If there is none, and neither `mask_values` nor `mask_threshold`, they are those of nnU-Net's
    /// `dataset.json` or of masks that pig wrote. Every other value but 0 and black is an error. Excludes `mask_values` and
    /// `mask_threshold`.
    pub classes: Vec<ClassConfig>,
    /// Whether these classes may overlap, as the regions of nnU-Net do (its `dataset.json` turns this on): a value may stand for several
    /// of them, and so may a pixel. At most 8 classes.
    pub classes_overlap: bool,
    /// The manifest column of a generic folder that names the class of each mask, as `data.class_column` does: all lesion of a row is of its
    /// class, and an image may have a row for each class. The classes are those of `classes`, without `values`, or else the words of the
    /// column whose masks have lesion.
    pub class_column: Option<String>,
    /// What tells segments of DICOM SEG apart, if there are no `classes`: `code`, `label`, or `none` (all are one lesion).
    pub segment_classes: SegmentClasses,
    /// Values that are background beside 0 and black, where masks have `classes`.
    pub background_values: Option<MaskValues>,
    /// What happens to a NIfTI mask or a frame of DICOM SEG that lies elsewhere than its image: refused if not set; `ignore` takes the
    /// mask voxel by voxel, with a warning.
    pub mask_affine: Option<MaskAffine>,
    /// What happens to an image without a mask: `error` lists it, `skip` leaves it out, `empty` treats it as free of lesion.
    pub missing_mask: MissingMask,
    /// The kinds of lesion to keep, if the source names them (CBIS-DDSM's abnormality types, INbreast's ROI names, BCS-DBT's
    /// classes); case does not matter; empty keeps all.
    pub lesion_types: Vec<String>,
    /// A pixel of a fractional DICOM SEG is lesion if its value is at least this share of the maximum; above 0 and up to 1.
    pub seg_threshold: f64,
    /// How a box is drawn in the mask: as a filled `ellipse` or a filled `box`. Both are marked as weak labels.
    pub box_shape: BoxShape,
    /// A box is also drawn on this many slices before and after its own slice.
    pub box_slices: usize,
    /// Which channel is read, of cases that nnU-Net keeps in a file for each channel, and of NIfTI files with several channels (four
    /// dimensions, as in the Medical Segmentation Decathlon): a number from 0, or a name in `dataset.json`. If not set, the first one of
    /// files for each channel; a file with several channels is refused.
    pub channel: Option<Channel>,
    /// How prepared pairs are named: `auto`, `hash` or `source`.
    pub names: Names,
    /// The manifest column of a generic folder that names the patient. If not set, the column `patient` is used if there is one,
    /// else `group`.
    pub group_column: Option<String>,
}

/// What tells the segments of DICOM SEG apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentClasses {
    /// Their codes (Segmented Property Type), if there are several: a class is named by what its code means.
    #[default]
    Code,
    /// Their labels. Authors write them freely, so they may name a patient, and they become names in files.
    Label,
    /// Nothing: all are one lesion.
    None,
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
            mask_threshold: None,
            classes: Vec::new(),
            classes_overlap: false,
            class_column: None,
            segment_classes: SegmentClasses::default(),
            background_values: None,
            mask_affine: None,
            missing_mask: MissingMask::Error,
            lesion_types: Vec::new(),
            seg_threshold: 0.5,
            box_shape: BoxShape::Ellipse,
            box_slices: 0,
            channel: None,
            names: Names::Auto,
            group_column: None,
        }
    }
}

/// Which source values become black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WindowRule {
    /// `voi` for DICOM files with a window or VOI LUT, `percentile` for other DICOM files and for NIfTI, `stored` for pictures.
    #[default]
    Auto,
    /// The whole range that the stored values can have.
    Stored,
    /// The first VOI LUT or window (linear, exact or sigmoid) of the DICOM file; sources without one are refused.
    Voi,
    /// The range from `window_center - window_width / 2` to `window_center + window_width / 2`.
    Given,
    /// The range between the two `percentiles` of an image or volume.
    Percentile,
}

/// What becomes of colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// `keep` if most images of the source are in colour, else `luma`. For LGG it is `green`, because the green channel is FLAIR.
    #[default]
    Auto,
    /// Kept: if an image of the source is in colour, all prepared images have three channels, and gray is copied to these.
    Keep,
    /// Reduced to Rec. 601 luma of the stored values.
    #[serde(alias = "gray")]
    Luma,
    /// The red channel.
    Red,
    /// The green channel.
    Green,
    /// The blue channel.
    Blue,
}

impl Colour {
    /// Its name in the configuration.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Keep => "keep",
            Self::Luma => "luma",
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
        }
    }
}

/// What is cut off before resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CropRule {
    /// `largest-component` for mammograms and tomosynthesis, `none` for everything else.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// Everything outside the rectangle around the largest bright component and the lesions; other bright components (labels,
    /// wedges) are made black.
    LargestComponent,
}

/// Whether images are mirrored to show the same side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MissingMask {
    /// It is listed among the errors.
    #[default]
    Error,
    /// It is left out and counted.
    Skip,
    /// It is treated as free of lesion.
    Empty,
}

/// What happens to a mask that lies elsewhere than its image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MaskAffine {
    /// The mask is taken voxel by voxel, as if it had the image's affine.
    Ignore,
}

/// How a box is drawn in the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoxShape {
    /// The filled ellipse that touches the box's sides.
    #[default]
    Ellipse,
    /// The filled box.
    Box,
}

/// How prepared pairs are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Names {
    /// `hash` if patients are known or the source is DICOM or NIfTI, `source` for other pictures.
    #[default]
    Auto,
    /// A hash of the source file's path below the source folder; the hash uses the key if one is given.
    Hash,
    /// The source file's name, or its path if names repeat. These reveal everything that the source's names reveal.
    Source,
}

impl PrepareConfig {
    /// Checks what the types cannot: ranges, and keys that depend on each other.
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
            return invalid("percentiles", format!("{:?}", self.percentiles), "two increasing numbers from 0 to 100");
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
        if let Some(threshold) = self.mask_threshold {
            if self.mask_values.is_some() {
                return invalid("mask_threshold", threshold.to_string(), "nothing, because prepare.mask_values is set");
            }
            if !threshold.is_finite() {
                return invalid("mask_threshold", threshold.to_string(), "a finite number");
            }
        }
        if !self.classes.is_empty() && self.class_column.is_none() {
            for (key, is_set) in
                [("mask_values", self.mask_values.is_some()), ("mask_threshold", self.mask_threshold.is_some())]
            {
                if is_set {
                    return invalid(key, "set".to_owned(), "nothing, because prepare.classes says what values mean");
                }
            }
        }
        let kind = match (self.classes_overlap, &self.class_column) {
            (overlap, Some(_)) => Kind::ByCase { overlap },
            (true, None) => Kind::Overlapping,
            (false, None) => Kind::Exclusive,
        };
        check(&self.classes, self.background_values.as_ref(), kind)
            .map_err(|(found, expected)| PrepareError::Config { key: "classes", found, expected })?;
        self.check_window()
    }

    /// The classes that the masks of a case tell apart, of which the source says that it has `known`; none if lesions are one.
    pub(crate) fn classes_of<'a>(&'a self, known: &'a [ClassConfig]) -> &'a [ClassConfig] {
        if self.class_column.is_some() {
            // One alone counts, too: it is the class that rows must name.
            return if self.classes.is_empty() { known } else { &self.classes };
        }
        let classes = if self.leaves_masks_open() { known } else { &self.classes };
        if classes.len() > 1 { classes } else { &self.classes }
    }

    /// Whether nothing here says what the values of masks mean, so that the source may.
    pub(crate) fn leaves_masks_open(&self) -> bool {
        self.classes.is_empty()
            && self.mask_values.is_none()
            && self.mask_threshold.is_none()
            && self.class_column.is_none()
    }

    /// Whether these settings name the values that mean lesion, so that all others are background, and 0 is one of these.
    pub(crate) fn names_values(&self) -> bool {
        self.mask_values
            .as_ref()
            .map_or(self.mask_threshold.is_some(), |values| !values.0.contains(&MaskValue::Gray(0)))
    }

    /// How the labels of masks stand for the classes of a case, of which the source says that it has `known`, and whether they overlap.
    pub(crate) fn coding_of(&self, known: &[ClassConfig], overlap: bool) -> Coding {
        let classes = self.classes_of(known).len();
        let overlap = if self.leaves_masks_open() { overlap || self.classes_overlap } else { self.classes_overlap };
        Coding { classes: classes.max(1), overlap: overlap && classes > 1 }
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

    /// The labels or segment numbers that mean lesion; `None` means all except 0.
    pub(crate) fn lesion_labels(&self) -> Option<Vec<u16>> {
        self.mask_values.as_ref().map(numbers)
    }

    /// Whether lesions of this kind are kept.
    pub(crate) fn keeps_type(&self, kind: &str) -> bool {
        self.lesion_types.is_empty() || self.lesion_types.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind.trim()))
    }
}

/// The gray values among some values: labels of volumes and numbers of segments.
pub(crate) fn numbers(values: &MaskValues) -> Vec<u16> {
    let gray = |value: &MaskValue| match value {
        MaskValue::Gray(gray) => Some(*gray),
        MaskValue::Colour(_) => None,
    };
    values.0.iter().filter_map(gray).collect()
}
