//! Reading image and mask files: PNG, JPEG, TIFF and BMP, 8 and 16 bit, gray or colour.
//!
//! The format is recognised by the content, not by the name. Values are returned as stored, without gamma or colour
//! profile, and turned as an orientation tag (EXIF, or TIFF's own) says. A file that is not whole is refused, and so is a TIFF
//! with several pages. An alpha channel that is opaque everywhere is dropped; any other is refused, because what such a file
//! shows depends on the viewer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use crate::class_error::ClassError;
use crate::classes::{ClassConfig, Coding, names};
use crate::config::{Case, DataConfig, MaskRule, MaskValue, MaskValues};
use crate::decode::{Decoded, Picture};
use crate::error::{DataError, Result};
pub use crate::limits::MAX_PIXELS;
pub use crate::palette::Taken;
use crate::palette::{self, Declared, Indexed};

/// How many of a mask's values an error lists.
const LISTED_VALUES: usize = 16;

/// How many different values of a mask are counted separately.
const COUNTED_VALUES: usize = 256;

/// Rec. 601 luma weights of red, green and blue. JPEG and most image libraries use them to convert to gray.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// An image as stored, before any scaling.
#[derive(Debug, Clone, PartialEq)]
pub struct RawImage {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// 1 or 3, as requested.
    pub channels: usize,
    /// The greatest value of the pixel type: 255 or 65535.
    pub maximum: u16,
    /// Whether a pixel of the file is in colour, that is, its channels differ.
    pub coloured: bool,
    /// Whether an orientation tag turned or mirrored it.
    pub turned: bool,
    /// Raw values of shape (height, width, channels), from 0 to `maximum`.
    pub data: Vec<f32>,
}

impl RawImage {
    /// Bits per channel: 8 or 16.
    pub fn bit_depth(&self) -> u8 {
        if self.maximum > 255 { 16 } else { 8 }
    }

    /// Whether colour was reduced to gray.
    pub fn from_colour(&self) -> bool {
        self.coloured && self.channels == 1
    }

    /// Whether gray was copied to three channels.
    pub fn from_gray(&self) -> bool {
        !self.coloured && self.channels == 3
    }

    /// The values in 8 bits, rounded.
    pub fn to_8_bits(&self) -> Vec<u8> {
        let scale = 255.0 / f32::from(self.maximum);
        self.data.iter().map(|value| (value * scale).round() as u8).collect()
    }
}

/// A mask at the file's resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMask {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Labels of shape (height, width): 0 background, 1 lesion; of several classes as their [`crate::classes::Coding`] says.
    pub data: Vec<u8>,
    /// Whether the file holds another value than 0 or black.
    pub holds_values: bool,
    /// What was taken of a palette whose grays are in another order than their indices; `None` for any other file.
    pub taken: Option<Taken>,
}

impl RawMask {
    /// How many pixels are lesion.
    pub fn lesion_pixels(&self) -> usize {
        self.data.iter().filter(|&&value| value != 0).count()
    }
}

/// What a file's header says, without decoding its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageHeader {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Bits per channel: 8 or 16.
    pub bit_depth: u8,
    /// Whether the file has colour channels (which may still hold gray values).
    pub colour: bool,
}

/// Reads size and pixel type from a file's header.
///
/// # Errors
/// When the file cannot be opened, is not an image, is larger than [`MAX_PIXELS`] or has pixels of a type that is not read.
pub fn read_header(path: &Path) -> Result<ImageHeader> {
    let picture = Picture::open(path)?;
    let ([width, height], (bit_depth, colour)) = (picture.size(), picture.kind()?);
    Ok(ImageHeader { width, height, bit_depth, colour })
}

/// Reads an image with `channels` (1 or 3) channels.
///
/// With 3 channels, the values of a gray file are copied to each channel. With 1 channel, a colour file whose channels
/// are equal is read as gray; any other is reduced by Rec. 601 luma (0.299 R + 0.587 G + 0.114 B of the stored values).
///
/// # Errors
/// When the file cannot be opened or decoded, is larger than [`MAX_PIXELS`], has pixels that are no whole numbers of 16 bits, or is not
/// opaque.
pub fn read_image(path: &Path, channels: usize) -> Result<RawImage> {
    let decoded = Picture::open(path)?.decode()?;
    let coloured = decoded.channels == 3 && !decoded.is_gray();
    let data = match (decoded.channels, channels) {
        (3, 1) if coloured => {
            decoded.pixels().map(|pixel| luma(pixel).clamp(0.0, f32::from(decoded.maximum))).collect()
        }
        (3, 1) => decoded.samples.iter().step_by(3).map(|&v| f32::from(v)).collect(),
        (1, 3) => decoded.samples.iter().flat_map(|&v| [f32::from(v); 3]).collect(),
        _ => decoded.samples.iter().map(|&v| f32::from(v)).collect(),
    };
    Ok(RawImage {
        width: decoded.width,
        height: decoded.height,
        channels,
        maximum: decoded.maximum,
        coloured,
        turned: decoded.turned,
        data,
    })
}

/// Reads a mask as labels, as `data.mask_values`, `data.mask_threshold` and `data.classes` say; see [`read_mask_by`].
///
/// # Errors
/// As [`read_mask_by`].
pub fn read_mask(path: &Path, config: &DataConfig) -> Result<RawMask> {
    read_mask_by(path, &config.mask_rule())
}

/// Reads a mask as 0 (background) and 1 (lesion), or as label map.
///
/// With classes, each pixel is of the class that has its value, or background; a mask that declares the names of its classes, as pig
/// writes them, is read by these names. With a threshold, every pixel whose gray value (Rec. 601 luma of a colour) is at least the
/// threshold is lesion. With values, the listed values are lesion and all others background. Without either, a mask may be all zero (no
/// lesion), all 1 or all at the type's maximum (all lesion), have two gray values (the greater is lesion), or be black and one colour
/// (the colour is lesion).
///
/// # Errors
/// As [`read_image`], and when the mask has other values, which the error lists, or declares several classes where others, or none,
/// are known.
pub fn read_mask_by(path: &Path, rule: &MaskRule<'_>) -> Result<RawMask> {
    let decoded = Picture::open(path)?.decode()?;
    let indexed = palette::read(path)?;
    let declared = indexed.as_ref().filter(|indexed| indexed.declared.as_ref().is_some_and(|own| own.names.len() > 1));
    let names_classes = indexed.as_ref().is_some_and(|indexed| indexed.declared.is_some());
    if let Some(case) = rule.case.filter(|_| !names_classes) {
        return of_case(path, rule, case);
    }
    let holds_values = decoded.samples.iter().any(|&sample| sample != 0);
    let taken = indexed
        .as_ref()
        .filter(|indexed| indexed.declared.is_none() && indexed.has_other_order(decoded.pixels()))
        .map(|indexed| taken_of(&indexed.indices, rule));
    let data = if !rule.classes.is_empty() {
        labels_by(path, &decoded, indexed.as_ref(), rule)?
    } else if let Some(Indexed { indices, declared: Some(Declared { names, overlap, .. }) }) = declared {
        // Classes are made one only if somebody says so.
        let Some(values) = rule.values else {
            let all = Coding { classes: names.len(), overlap: *overlap }.labels_in_all();
            return Err(ClassError::SeveralClasses {
                path: path.to_path_buf(),
                classes: names.join(", "),
                all: format!("{:?}", (1..all).collect::<Vec<_>>()),
                section: rule.section,
            }
            .into());
        };
        lesion_of_palette(&decoded, indices, (values, Beyond::NoPixel))
    } else if let Some(threshold) = rule.threshold {
        decoded.pixels().map(|pixel| u8::from(f64::from(gray_of(pixel)) >= threshold)).collect()
    } else if let Some((values, Indexed { indices, .. })) = rule.values.zip(indexed.as_ref()) {
        lesion_of_palette(&decoded, indices, (values, Beyond::ShownGray))
    } else {
        let lesion: Vec<[u16; 3]> = match rule.values {
            Some(values) => values.0.iter().map(|&value| stored_colour(value, &decoded)).collect(),
            None => vec![lesion_colour(path, &decoded, rule.section)?],
        };
        decoded.pixels().map(|pixel| u8::from(lesion.contains(&pixel))).collect()
    };
    Ok(RawMask { width: decoded.width, height: decoded.height, data, holds_values, taken })
}

/// What a number among `data.mask_values` means that is greater than all indices of a file with a palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beyond {
    /// No pixel: the file names several classes, and numbers are theirs alone.
    NoPixel,
    /// The gray that the palette shows, such as 255 for white.
    ShownGray,
}

/// What a rule takes of a palette of grays.
fn taken_of(indices: &[u8], rule: &MaskRule<'_>) -> Taken {
    let greatest = indices.iter().max().map_or(0, |&index| u16::from(index));
    let is_index = |value: &MaskValue| matches!(value, MaskValue::Gray(gray) if *gray <= greatest);
    let mut values = rule.values.into_iter().flat_map(|values| &values.0);
    let by_values = rule.threshold.is_none() && values.any(is_index);
    if by_values || !rule.classes.is_empty() { Taken::Indices } else { Taken::Grays }
}

/// Lesion of a mask with a palette. A number is an index, as in `data.classes`; what it is beyond all indices of the file, the caller says. A
/// colour is that of the palette.
fn lesion_of_palette(decoded: &Decoded, indices: &[u8], (values, beyond): (&MaskValues, Beyond)) -> Vec<u8> {
    let greatest = indices.iter().max().map_or(0, |&index| u16::from(index));
    let is_lesion = |(&index, pixel): (&u8, [u16; 3])| {
        let stands_for = |value: &MaskValue| match *value {
            MaskValue::Gray(gray) if gray <= greatest || beyond == Beyond::NoPixel => gray == u16::from(index),
            value => stored_colour(value, decoded) == pixel,
        };
        u8::from(values.0.iter().any(stands_for))
    };
    indices.iter().zip(decoded.pixels()).map(is_lesion).collect()
}

/// The label map of a mask of lesion whose case has a class.
fn of_case(path: &Path, rule: &MaskRule<'_>, case: Case<'_>) -> Result<RawMask> {
    let mut mask = read_mask_by(path, &MaskRule { case: None, classes: &[], ..*rule })?;
    label_by_case(path, &mut mask.data, rule, case)?;
    Ok(mask)
}

/// Makes a mask of lesion, 0 and 1, the label map of a case with a class: all lesion is of this class.
///
/// # Errors
/// When there is lesion, and the case has no class, or one that the rule does not know.
pub fn label_by_case(path: &Path, mask: &mut [u8], rule: &MaskRule<'_>, case: Case<'_>) -> Result<()> {
    if mask.iter().all(|&lesion| lesion == 0) {
        return Ok(());
    }
    let class = match case {
        Case::Unknown => None,
        Case::Named(name) => rule.classes.iter().position(|class| class.name == name),
    };
    let Some(class) = class else {
        return Err(ClassError::CaseWithoutClass {
            path: path.to_path_buf(),
            found: match case {
                Case::Unknown => "no class".to_owned(),
                Case::Named(name) => format!("the class {name:?}"),
            },
            expected: names(rule.classes).join(", "),
            section: rule.section,
        }
        .into());
    };
    let own = Coding { classes: rule.classes.len(), overlap: rule.overlap }.label(class);
    for label in mask {
        *label *= own;
    }
    Ok(())
}

/// The label map of a mask of several classes.
fn labels_by(path: &Path, decoded: &Decoded, indexed: Option<&Indexed>, rule: &MaskRule<'_>) -> Result<Vec<u8>> {
    if let Some(Indexed { indices, declared: Some(declared) }) = indexed {
        return labels_by_name(path, indices, declared, rule);
    }
    let coding = Coding { classes: rule.classes.len(), overlap: rule.overlap };
    let indices = indexed.map(|indexed| indexed.indices.as_slice());
    let mut known: HashMap<([u16; 3], Option<u8>), Option<u8>> = HashMap::new();
    let mut without: BTreeMap<String, u64> = BTreeMap::new();
    let mut labels = Vec::with_capacity(decoded.width * decoded.height);
    for (at, pixel) in decoded.pixels().enumerate() {
        let index = indices.map(|indices| indices[at]);
        let stands_for = |value: &MaskValue| match (value, index) {
            (MaskValue::Gray(gray), Some(index)) => *gray == u16::from(index),
            _ => stored_colour(*value, decoded) == pixel,
        };
        let label = *known.entry((pixel, index)).or_insert_with(|| {
            let has = |class: &usize| rule.classes[*class].values.0.iter().any(stands_for);
            let label = (0..rule.classes.len()).filter(has).fold(0, |label, class| label | coding.label(class));
            if label > 0 {
                return Some(label);
            }
            let is_ground = index == Some(0) || pixel == [0; 3];
            (is_ground || rule.background.is_some_and(|values| values.0.iter().any(stands_for))).then_some(0)
        });
        if label.is_none() {
            let word = index.map_or_else(|| colour_word(pixel, decoded.maximum), |index| index.to_string());
            *without.entry(word).or_default() += 1;
        }
        labels.push(label.unwrap_or(0));
    }
    if without.is_empty() {
        return Ok(labels);
    }
    let more = without.len().saturating_sub(LISTED_VALUES);
    let mut values: Vec<String> =
        without.iter().take(LISTED_VALUES).map(|(value, count)| format!("{value} ({count} pixel(s))")).collect();
    if more > 0 {
        values.push(format!("and {more} more"));
    }
    if rule.classes.iter().all(|class| class.values.0.is_empty()) {
        return Err(ClassError::LesionWithoutClass {
            path: path.to_path_buf(),
            values: values.join(", "),
            expected: names(rule.classes).join(", "),
            section: rule.section,
        }
        .into());
    }
    let of_class = |class: &ClassConfig| {
        let values: Vec<String> = class.values.0.iter().map(ToString::to_string).collect();
        format!("{} ({})", class.name, values.join(", "))
    };
    let classes: Vec<String> = rule.classes.iter().map(of_class).collect();
    Err(ClassError::ValueWithoutClass {
        path: path.to_path_buf(),
        values: values.join(", "),
        classes: classes.join(", "),
        section: rule.section,
    }
    .into())
}

/// The label map of a mask that declares its classes: they are found by their names.
fn labels_by_name(path: &Path, indices: &[u8], found: &Declared, rule: &MaskRule<'_>) -> Result<Vec<u8>> {
    let words = |names: String, overlap: bool| if overlap { names + " (which may overlap)" } else { names };
    let other = || ClassError::OtherClasses {
        path: path.to_path_buf(),
        found: words(found.names.join(", "), found.overlap),
        expected: words(names(rule.classes).join(", "), rule.overlap),
        section: rule.section,
    };
    let place = |name: &String| rule.classes.iter().position(|class| class.name == *name);
    let places: Vec<usize> = found.names.iter().map(place).collect::<Option<_>>().ok_or_else(other)?;
    // A mask of one class says nothing about whether it may overlap others.
    if found.overlap != rule.overlap && found.names.len() > 1 {
        return Err(other().into());
    }
    let theirs = Coding { classes: found.names.len(), overlap: found.overlap };
    let ours = Coding { classes: rule.classes.len(), overlap: rule.overlap };
    let label = |&index: &u8| {
        if usize::from(index) >= theirs.labels_in_all() {
            let problem = format!("the index {index} has no name; the file names {} classes", found.names.len());
            return Err(DataError::Unreadable { path: path.to_path_buf(), problem });
        }
        // Classes that exclude each other give one label.
        Ok(theirs.classes_of(index).fold(0, |label, class| label | ours.label(places[class])))
    };
    indices.iter().map(label).collect()
}

/// The gray value of a pixel; that of a gray pixel is exact.
fn gray_of(pixel: [u16; 3]) -> f32 {
    if pixel[0] == pixel[1] && pixel[1] == pixel[2] { f32::from(pixel[0]) } else { luma(pixel) }
}

fn luma(pixel: [u16; 3]) -> f32 {
    weighted(pixel.map(f32::from))
}

fn weighted(pixel: [f32; 3]) -> f32 {
    pixel.iter().zip(LUMA).map(|(&value, weight)| value * weight).sum()
}

/// Rec. 601 luma of channels-last values with 3 channels; the values themselves if there is one channel.
pub fn gray(values: &[f32], channels: usize) -> Vec<f32> {
    if channels == 1 {
        return values.to_vec();
    }
    values.as_chunks::<3>().0.iter().map(|&pixel| weighted(pixel)).collect()
}

/// Counts the pixels with each value of a mask file. The keys are the values as a user would write them in
/// `data.mask_values`. Only a limited number of values are counted separately; the rest are counted under `others`.
///
/// # Errors
/// As [`read_image`].
pub fn count_mask_values(path: &Path) -> Result<BTreeMap<String, u64>> {
    Ok(counted(&Picture::open(path)?.decode()?, 1))
}

/// Counts the pixels with each label of a mask file: an index of a palette, or a value as gray of few bits stores it. Other files are
/// counted as [`count_mask_values`] does.
///
/// # Errors
/// As [`read_image`].
pub fn count_labels(path: &Path) -> Result<BTreeMap<String, u64>> {
    let mask = Picture::open(path)?.decode()?;
    let Some(Indexed { indices, .. }) = palette::read(path)? else { return Ok(counted(&mask, mask.step)) };
    let mut counts: BTreeMap<u8, u64> = BTreeMap::new();
    for index in indices {
        *counts.entry(index).or_default() += 1;
    }
    Ok(counts.into_iter().map(|(index, count)| (index.to_string(), count)).collect())
}

/// The pixels with each value of a mask, in steps of `step`.
fn counted(mask: &Decoded, step: u16) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<[u16; 3], u64> = BTreeMap::new();
    let mut others = 0;
    for pixel in mask.pixels() {
        if counts.len() >= COUNTED_VALUES && !counts.contains_key(&pixel) {
            others += 1;
        } else {
            *counts.entry(pixel).or_default() += 1;
        }
    }
    let word = |value: [u16; 3]| colour_word(value.map(|sample| sample / step), mask.maximum);
    let named = counts.into_iter().map(|(value, count)| (word(value), count));
    named.chain((others > 0).then(|| ("others".to_owned(), others))).collect()
}

/// The colour of a configured lesion value in a file. In gray of few bits, a number is the label that is stored, or, where that would need
/// more bits, the gray that is shown: 1 and 255 are the same in a file of one bit.
fn stored_colour(value: MaskValue, file: &Decoded) -> [u16; 3] {
    let scale = if file.maximum > 255 { 257 } else { 1 };
    match value {
        MaskValue::Gray(label) if file.step > 1 && label <= 255 / file.step => [label * file.step; 3],
        MaskValue::Gray(gray) => [gray; 3],
        MaskValue::Colour(colour) => colour.map(|c| u16::from(c) * scale),
    }
}

/// Finds the one value that means lesion in a mask without `data.mask_values`. For an all-zero mask it returns the
/// maximum of the pixel type, which no pixel has.
fn lesion_colour(path: &Path, mask: &Decoded, section: &'static str) -> Result<[u16; 3]> {
    let mut values = BTreeSet::new();
    let mut previous = None;
    for pixel in mask.pixels() {
        // Neighbours are mostly equal, so the set is used only where the value changes.
        if previous != Some(pixel) {
            values.insert(pixel);
            previous = Some(pixel);
        }
    }
    let gray = values.iter().all(|[r, g, b]| r == g && g == b);
    let black = [0; 3];
    let full = [mask.maximum; 3];
    let mut ordered = values.iter();
    match (ordered.next(), ordered.next(), ordered.next()) {
        (Some(&only), None, None) if only == black => return Ok(full),
        (Some(&only), None, None) if only == full || only == [1; 3] => return Ok(only),
        // The set is ordered, so the second is the greater gray value, or the colour if the first is black.
        (Some(&first), Some(&second), None) if gray || first == black => return Ok(second),
        _ => {}
    }
    let mut listed: Vec<String> =
        values.iter().take(LISTED_VALUES).map(|&value| colour_word(value, mask.maximum)).collect();
    if values.len() > LISTED_VALUES {
        listed.push(format!("and {} more", values.len() - LISTED_VALUES));
    }
    Err(DataError::AmbiguousMask { path: path.to_path_buf(), count: values.len(), values: listed.join(", "), section })
}

/// A value as a user would write it in `data.mask_values`.
fn colour_word([r, g, b]: [u16; 3], maximum: u16) -> String {
    if r == g && g == b {
        r.to_string()
    } else if maximum > 255 {
        format!("({r}, {g}, {b})")
    } else {
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}
