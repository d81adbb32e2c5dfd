//! The `[data]` section of the configuration: how files become numbers in [-1, 1].

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::channels::Channels;
pub use crate::classes::ClassConfig;
use crate::classes::{Coding, Kind, check, names};
use crate::error::{DataError, Result};
pub use crate::mask_values::{MaskValue, MaskValues};

/// The greatest width or height that can be set.
const MAX_SIDE: usize = 8192;

/// The name of this section, for errors.
pub(crate) const SECTION: &str = "data";

/// The `[data]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Height and width of the prepared images in pixels: `64` for a square or `[height, width]`.
    #[serde(deserialize_with = "size_from_one_or_two")]
    #[schemars(with = "SizeWord")]
    pub size: [usize; 2],
    /// Number of slices of a volume, stacked from top to bottom in one picture; each is `size[0] / slices` pixels high. For networks
    /// with three spatial axes (`spatial_dims = 3`). 1 for single pictures.
    pub slices: usize,
    /// What the networks see: `pixels`, or the coefficients of an orthonormal `haar` transform. With `haar` a network works on a smaller
    /// grid with more channels, and is so much faster. Noise, losses, guides and results are those of pixels.
    pub space: SpaceKind,
    /// Levels of the Haar transform, 1 to 3, with `space = "haar"`: each level halves the sides of the grid.
    pub haar_levels: usize,
    /// Channels of the prepared images: `"auto"` (3 if most images are in colour, else 1), 1 (colour becomes gray by Rec. 601 luma,
    /// with a warning) or 3 (gray is copied to three channels, with a warning). A run stores the number; a frozen model_y decides it.
    pub channels: Channels,
    /// How raw values map to [-1, 1]: `auto`, `dtype`, `dataset-percentile`, `window` or `per-image`.
    pub intensity: Intensity,
    /// Centre of the window in raw values; required with `intensity = "window"`.
    pub window_center: Option<f64>,
    /// Width of the window in raw values; required with `intensity = "window"`.
    pub window_width: Option<f64>,
    /// The manifest column that names the patient or group by which the data is split. If not set, or `"auto"`, it is the first of
    /// `patient`, `patient_id`, `subject`, `subject_id`, `group` and `near_duplicate_group` that the manifest has; without any, every image is a group.
    #[serde(deserialize_with = "column_or_auto")]
    pub group_column: Option<String>,
    /// The values that mean lesion in masks with more than two values: a gray value (in a file with a palette its index), a colour
    /// `"#rrggbb"`, or a list of these. Every other value is background. Not needed for masks with two values.
    pub mask_values: Option<MaskValues>,
    /// For masks of grays (saved as JPEG, or resampled): a pixel is lesion from this value on, as stored in the file (0 to 255, or 0
    /// to 65535 in 16-bit files; colours by their Rec. 601 luma). Excludes `mask_values`.
    pub mask_threshold: Option<f64>,
    /// The classes of lesion, each a table with `name` and `values`, where masks are label maps. If there is none, and neither
    /// `mask_values` nor `mask_threshold`, they are those of nnU-Net's `dataset.json` or of the palettes of masks that pig wrote; else
    /// there is one class, lesion. Every other value but 0 and black is an error. Excludes `mask_values` and `mask_threshold`.
    pub classes: Vec<ClassConfig>,
    /// Whether classes may overlap, as the regions of nnU-Net do (its `dataset.json` turns this on): a pixel may be of several of them, and a
    /// value may stand for several. Each class then has its own threshold instead of the greatest channel. At most 8 classes.
    pub classes_overlap: bool,
    /// The manifest column that names the class of each case, such as benign and malignant, where masks show lesion alone: all lesion of a
    /// case is of its class. A case of several classes has a row for each, with the same image and a mask of its own; these may overlap
    /// only with `classes_overlap`. The classes are those of `classes`, without `values`, or else the words of the column whose cases have
    /// lesion.
    pub class_column: Option<String>,
    /// Values that are background beside 0 and black, where masks have `classes`: a gray value, a colour, or a list of these.
    pub background_values: Option<MaskValues>,
    /// How masks are resized: `area-threshold` or `nearest`.
    pub mask_resize: MaskResize,
    /// What is cut off image and mask alike before resizing: `none` or `blank-borders`.
    pub crop: Crop,
    /// How the aspect ratio is treated: `stretch` to the size, or `pad` to it with the darkest value.
    pub resize: Resize,
    /// The share of patients or groups (not of images) held out for validation, from 0 up to but not including 1.
    pub validation_fraction: f64,
    /// Random changes applied alike to image and mask during training.
    pub augment: AugmentConfig,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            size: [64, 64],
            slices: 1,
            space: SpaceKind::Pixels,
            haar_levels: 1,
            channels: Channels::Auto,
            intensity: Intensity::Auto,
            window_center: None,
            window_width: None,
            group_column: None,
            mask_values: None,
            mask_threshold: None,
            classes: Vec::new(),
            classes_overlap: false,
            class_column: None,
            background_values: None,
            mask_resize: MaskResize::AreaThreshold,
            crop: Crop::None,
            resize: Resize::Stretch,
            validation_fraction: 0.1,
            augment: AugmentConfig::default(),
        }
    }
}

impl DataConfig {
    /// Height and width of a prepared slice; of the whole picture if `slices` is 1.
    pub fn slice_size(&self) -> [usize; 2] {
        [self.size[0] / self.slices, self.size[1]]
    }

    /// How masks are read.
    pub fn mask_rule(&self) -> MaskRule<'_> {
        MaskRule {
            values: self.mask_values.as_ref(),
            threshold: self.mask_threshold,
            classes: &self.classes,
            overlap: self.classes_overlap,
            background: self.background_values.as_ref(),
            case: self.class_column.as_ref().map(|_| Case::Unknown),
            section: SECTION,
        }
    }

    /// Whether no key says what the values of masks mean, so that the data may.
    pub fn leaves_masks_open(&self) -> bool {
        self.classes.is_empty()
            && self.mask_values.is_none()
            && self.mask_threshold.is_none()
            && self.class_column.is_none()
    }

    /// Whether the data may name classes that this configuration does not know yet.
    pub fn may_find_classes(&self) -> bool {
        self.classes.is_empty() && (self.leaves_masks_open() || self.class_column.is_some())
    }

    /// The names of the classes, or lesion if there are not several; for messages.
    pub fn class_words(&self) -> String {
        let overlap = if self.classes_overlap { " (which may overlap)" } else { "" };
        if self.has_several_classes() { names(&self.classes).join(", ") + overlap } else { "lesion".to_owned() }
    }

    /// How many channels a mask has: one for each class, one without classes.
    pub fn mask_channels(&self) -> usize {
        self.classes.len().max(1)
    }

    /// How the labels of label maps stand for classes.
    pub fn coding(&self) -> Coding {
        Coding { classes: self.mask_channels(), overlap: self.classes_overlap && self.has_several_classes() }
    }

    /// Whether masks tell several classes apart.
    pub fn has_several_classes(&self) -> bool {
        self.classes.len() > 1
    }

    /// Checks what the types cannot: ranges, and keys that depend on each other.
    pub fn check(&self) -> Result<()> {
        let invalid = |key, found: String, expected| Err(DataError::InvalidConfig { key, found, expected });
        if self.size.iter().any(|side| !(1..=MAX_SIDE).contains(side)) {
            return invalid("size", format!("{:?}", self.size), "a height and a width from 1 to 8192");
        }
        if self.slices == 0 || !self.size[0].is_multiple_of(self.slices) {
            return invalid("slices", self.slices.to_string(), "1 or more, a divisor of the height in data.size");
        }
        if self.slices > 1 && self.crop != Crop::None {
            let expected = "\"none\" if data.slices is above 1: a crop would move the borders between slices";
            return invalid("crop", "\"blank-borders\"".to_owned(), expected);
        }
        if !matches!(self.channels, Channels::Auto | Channels::Count(1 | 3)) {
            return invalid("channels", self.channels.to_string(), "\"auto\", 1 (gray) or 3 (colour)");
        }
        if self.mask_values.as_ref().is_some_and(|values| values.0.is_empty()) {
            return invalid("mask_values", "[]".to_owned(), "at least one gray value or colour");
        }
        if let Some(threshold) = self.mask_threshold {
            if self.mask_values.is_some() {
                return invalid("mask_threshold", threshold.to_string(), "nothing, because data.mask_values is set");
            }
            if !(0.0..=65535.0).contains(&threshold) {
                return invalid("mask_threshold", threshold.to_string(), "a value from 0 to 65535");
            }
        }
        if !self.classes.is_empty() && self.class_column.is_none() {
            for (key, is_set) in
                [("mask_values", self.mask_values.is_some()), ("mask_threshold", self.mask_threshold.is_some())]
            {
                if is_set {
                    return invalid(key, "set".to_owned(), "nothing, because data.classes says what values mean");
                }
            }
        }
        let kind = match (self.classes_overlap, &self.class_column) {
            (overlap, Some(_)) => Kind::ByCase { overlap },
            (true, None) => Kind::Overlapping,
            (false, None) => Kind::Exclusive,
        };
        check(&self.classes, self.background_values.as_ref(), kind)
            .map_err(|(found, expected)| DataError::InvalidConfig { key: "classes", found, expected })?;
        if !(0.0..1.0).contains(&self.validation_fraction) {
            return invalid("validation_fraction", self.validation_fraction.to_string(), "a share from 0 to below 1");
        }
        if !(0.0..=0.5).contains(&self.augment.shift) {
            return invalid("augment.shift", self.augment.shift.to_string(), "a fraction from 0 to 0.5");
        }
        let told = &self.augment.told;
        for (key, value, most, expected) in [
            ("augment.told.rotation", told.rotation, 180.0, "degrees from 0 to 180"),
            ("augment.told.scale", told.scale, 4.0, "0 to 4"),
            ("augment.told.shift", told.shift, 0.5, "a fraction from 0 to 0.5"),
            ("augment.told.gamma", told.gamma, 4.0, "0 to 4"),
            ("augment.told.probability", told.probability, 1.0, "0 to 1"),
        ] {
            if !(0.0..=most).contains(&value) {
                return invalid(key, value.to_string(), expected);
            }
        }
        let windowed = self.intensity == Intensity::Window;
        for (key, value) in [("window_center", self.window_center), ("window_width", self.window_width)] {
            match value {
                None if windowed => {
                    return invalid(key, "nothing".to_owned(), "a number, because data.intensity is \"window\"");
                }
                Some(value) if !windowed => {
                    return invalid(key, value.to_string(), "nothing, unless data.intensity is \"window\"");
                }
                Some(value) if !value.is_finite() || (key == "window_width" && value <= 0.0) => {
                    return invalid(key, value.to_string(), "a finite number, and a width above 0");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> MaskRule<'a> {
    /// The rule for the mask of a case of this class, which counts where cases have classes.
    #[must_use]
    pub fn of_case(self, class: Option<&'a str>) -> Self {
        Self { case: self.case.map(|unknown| class.map_or(unknown, Case::Named)), ..self }
    }
}

/// What networks see of the prepared pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpaceKind {
    /// The pixels.
    #[default]
    Pixels,
    /// The coefficients of an orthonormal Haar transform.
    Haar,
}

/// How raw pixel values map to [-1, 1].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Intensity {
    /// `dtype` if all images have 8 bits, `dataset-percentile` if any image has 16.
    #[default]
    Auto,
    /// The whole range of the pixel type: 0 to 255, or 0 to 65535.
    Dtype,
    /// The range from the 0.1 to the 99.9 percentile of all pixels of the training patients. It is stored for the inverse.
    DatasetPercentile,
    /// The range from `window_center - window_width / 2` to `window_center + window_width / 2`.
    Window,
    /// The range from the 0.1 to the 99.9 percentile of each image. It has no inverse: generated images fill the output range.
    PerImage,
}

impl Intensity {
    /// Its name in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dtype => "dtype",
            Self::DatasetPercentile => "dataset-percentile",
            Self::Window => "window",
            Self::PerImage => "per-image",
        }
    }
}

/// How masks are resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MaskResize {
    /// A target pixel is lesion if lesion covers at least half of its area, and then of the class that covers most of it. This keeps
    /// areas; a lesion smaller than half a target pixel vanishes, and a warning gives the number of such masks.
    #[default]
    AreaThreshold,
    /// A target pixel takes the value at its centre.
    Nearest,
}

/// What is cut off before resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Crop {
    /// Nothing.
    #[default]
    None,
    /// Border rows and columns without lesion whose values exceed the image's darkest value by at most 1 % of its range.
    BlankBorders,
}

/// How the aspect ratio is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Width and height are scaled independently to the target size.
    #[default]
    Stretch,
    /// The aspect ratio is kept; the picture is centred, the rest is -1 (darkest, background).
    Pad,
}

/// Random changes applied alike to image and mask during training.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Mirrors left and right with probability one half.
    pub horizontal_flip: bool,
    /// Mirrors top and bottom with probability one half.
    pub vertical_flip: bool,
    /// The greatest shift in each direction as a fraction of the side, from 0 to 0.5, in whole pixels. Uncovered image
    /// pixels repeat the edge; uncovered mask pixels are background.
    pub shift: f32,
    /// Changes that the networks are told, so that they do not leak into what is generated.
    pub told: ToldConfig,
}

/// The `[data.augment.told]` table: random changes of the training of `pig`, `joint`, `ddpm`, `ddim` and `seg-guided`, the same for image and
/// mask. The network receives what was changed as a vector (0 in sampling), so that it does not learn to make turned or enlarged
/// pictures (Karras et al. 2020 and 2022). It helps with few pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToldConfig {
    /// The greatest rotation to either side, in degrees.
    pub rotation: f64,
    /// The greatest enlargement or reduction: the factor lies between 1 / (1 + scale) and 1 + scale.
    pub scale: f64,
    /// The greatest shift in each direction as a fraction of the side.
    pub shift: f64,
    /// Intensities, scaled to 0 to 1, are raised to a power between 1 / (1 + gamma) and 1 + gamma.
    pub gamma: f64,
    /// The probability of each of these changes for a sample. Karras et al. (2022) use 0.12 to 0.15.
    pub probability: f64,
}

impl ToldConfig {
    /// No changes.
    pub const NONE: Self = Self { rotation: 0.0, scale: 0.0, shift: 0.0, gamma: 0.0, probability: 0.15 };

    /// Whether anything is changed.
    pub fn is_on(&self) -> bool {
        [self.rotation, self.scale, self.shift, self.gamma].iter().any(|&strength| strength != 0.0)
    }
}

impl Default for ToldConfig {
    fn default() -> Self {
        Self::NONE
    }
}

/// The class of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case<'a> {
    /// It is not known: the mask must be empty, or name its classes.
    Unknown,
    /// A word of the column.
    Named(&'a str),
}

/// What the pixels of a mask mean.
#[derive(Debug, Clone, Copy)]
pub struct MaskRule<'a> {
    /// The values that mean lesion.
    pub values: Option<&'a MaskValues>,
    /// The gray value from which on a pixel is lesion; goes before `values`.
    pub threshold: Option<f64>,
    /// The classes of lesion; if there are some, neither values nor a threshold.
    pub classes: &'a [ClassConfig],
    /// Whether the classes may overlap, so that a label is a set of them.
    pub overlap: bool,
    /// The values beside 0 and black that are background, where there are classes.
    pub background: Option<&'a MaskValues>,
    /// The class of the case, where it decides that of all lesion; none where values do.
    pub case: Option<Case<'a>>,
    /// The section of the configuration that holds these settings, for errors: `data` or `prepare`.
    pub section: &'static str,
}

/// A size as it may be written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected one side such as 64, or [height, width]")]
pub enum SizeWord {
    /// The side of a square.
    Square(usize),
    /// Height and width.
    Both([usize; 2]),
}

/// Reads `[height, width]`, or one side of a square.
pub fn size_from_one_or_two<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<[usize; 2], D::Error> {
    Ok(match SizeWord::deserialize(deserializer)? {
        SizeWord::Square(side) => [side, side],
        SizeWord::Both(size) => size,
    })
}

/// Reads the name of a column; `auto` is no name.
pub fn column_or_auto<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|name| name != "auto"))
}
