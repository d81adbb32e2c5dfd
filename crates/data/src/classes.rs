//! Classes of lesion in masks: their names, the values that stand for them, and label maps.
//!
//! Prepared masks have a channel for each class, -1 or 1, and background has none. Label maps have a byte for each pixel, and 0 is
//! background. Classes mostly exclude each other: then class k, counted from 0, is the label k + 1. Where they may overlap, as the regions
//! of nnU-Net do, a label is a set of classes: its bit k says whether the pixel is of class k ([`Coding`]).

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mask_values::{MaskValue, MaskValues};

/// The most classes that can be told apart: what a pair holds is kept as bits of 32.
pub const MOST_CLASSES: usize = 32;

/// The most classes that may overlap: a label is a byte with a bit for each.
pub const MOST_OVERLAPPING: usize = 8;

/// Colours of classes on dark and on gray ground, which people who do not tell red from green can distinguish (Okabe and Ito, "Color
/// Universal Design", 2008, without black). If there are more classes, the colours begin again.
const COLOURS: [[u8; 3]; 7] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];

/// What errors call the background.
const BACKGROUND: &str = "the background";

/// A class of lesion in masks that tell several apart: one table for each.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassConfig {
    /// The name, in tables, pictures and exports.
    pub name: String,
    /// The values that stand for this class in mask files: a gray value (in a PNG with a palette the index), a colour `"#rrggbb"`, or a
    /// list of these. Empty with `class_column`, where the case has a class.
    #[serde(default)]
    pub values: MaskValues,
    /// The code of this class, for segments of DICOM SEG; without it they have the code of a lesion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ClassCode>,
}

/// A code of a published vocabulary, such as `{ value = "4147007", scheme = "SCT", meaning = "Mass" }` of SNOMED CT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassCode {
    /// The code.
    pub value: String,
    /// The vocabulary, as DICOM writes it, such as `SCT`.
    pub scheme: String,
    /// What the code means, in words.
    pub meaning: String,
}

impl ClassCode {
    /// Whether DICOM can hold it (PS3.5, 6.2: SH and LO).
    fn is_valid(&self) -> bool {
        [(&self.value, 16), (&self.scheme, 16), (&self.meaning, 64)].into_iter().all(|(text, most)| {
            let is_plain = !text.chars().any(|letter| letter.is_control() || letter == '\\');
            is_plain && !text.trim().is_empty() && text.chars().count() <= most
        })
    }
}

impl ClassConfig {
    /// The classes of label maps of this coding: the values of each are the labels that have it.
    pub(crate) fn of_names(names: Vec<String>, overlap: bool) -> Vec<Self> {
        let coding = Coding { classes: names.len(), overlap };
        let gray = |label: u8| MaskValue::Gray(label.into());
        let values = |class: usize| MaskValues(coding.labels_of(class).into_iter().map(gray).collect());
        names.into_iter().enumerate().map(|(class, name)| Self { name, values: values(class), code: None }).collect()
    }
}

/// The colour in which the class `index`, counted from 0, is shown.
pub fn colour(index: usize) -> [u8; 3] {
    COLOURS[index % COLOURS.len()]
}

/// The names of classes, in order.
pub fn names(classes: &[ClassConfig]) -> Vec<&str> {
    classes.iter().map(|class| class.name.as_str()).collect()
}

/// What the values of masks stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Classes that exclude each other: a value stands for one of them.
    Exclusive,
    /// Classes that may overlap: a value may stand for several.
    Overlapping,
    /// Lesion alone, whose class is that of the case: classes have no values.
    ByCase {
        /// Whether a case may have masks of several classes that overlap.
        overlap: bool,
    },
}

/// What is wrong with a list of classes: what was found, and what is expected. `background` are values that are no class.
///
/// # Errors
/// When there are too many, a name is empty or occurs twice, a class has no value, or one value stands for two classes that exclude each
/// other.
pub fn check(
    classes: &[ClassConfig],
    background: Option<&MaskValues>,
    kind: Kind,
) -> std::result::Result<(), (String, &'static str)> {
    let by_case = matches!(kind, Kind::ByCase { .. });
    let overlap = matches!(kind, Kind::Overlapping | Kind::ByCase { overlap: true });
    if classes.len() > MOST_CLASSES {
        return Err((format!("{} tables", classes.len()), "at most 32 classes"));
    }
    if overlap && classes.len() > MOST_OVERLAPPING {
        return Err((format!("{} classes that overlap", classes.len()), "at most 8 classes that overlap"));
    }
    let zero = [MaskValue::Gray(0), MaskValue::Colour([0; 3])];
    let ground = background.map_or(&[][..], |values| &values.0).iter().chain(&zero);
    let mut owners: BTreeMap<String, &str> = ground.map(|value| (value.to_string(), BACKGROUND)).collect();
    let mut seen = HashSet::new();
    for class in classes {
        let name = class.name.trim();
        let is_odd = |letter: char| letter.is_control() || matches!(letter, '/' | '\\');
        if name.is_empty() || name.starts_with('.') || name != class.name || name.chars().any(is_odd) {
            return Err((
                format!("the name {:?}", class.name),
                "a name without slashes, without a dot at its beginning, and without spaces at its ends",
            ));
        }
        if !seen.insert(name.to_lowercase()) {
            return Err((format!("two classes with the name {name:?}"), "a different name for each class"));
        }
        if class.values.0.is_empty() != by_case {
            return Err(if by_case {
                (
                    format!("the class {name:?} with values"),
                    "no values, since the column of class_column names the class of each case",
                )
            } else {
                (format!("the class {name:?} without a value"), "at least one value for each class")
            });
        }
        if let Some(code) = class.code.as_ref().filter(|code| !code.is_valid()) {
            return Err((
                format!("the code {code:?} of {name:?}"),
                "a code value and a scheme of 1 to 16 characters and a meaning of 1 to 64, without backslashes",
            ));
        }
        for value in &class.values.0 {
            let word = value.to_string();
            if kind == Kind::Overlapping && owners.get(&word).is_some_and(|owner| *owner != BACKGROUND) {
                continue;
            }
            if let Some(other) = owners.insert(word, name) {
                let found = format!("the value {value} for {other} and for {name}");
                return Err((
                    found,
                    "different values for each class, and neither 0 nor black, which are the background",
                ));
            }
        }
    }
    Ok(())
}

/// How the labels of a label map stand for classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    /// How many classes there are.
    pub classes: usize,
    /// Whether they may overlap, so that a label is a set of classes.
    pub overlap: bool,
}

impl Coding {
    /// So many classes that exclude each other.
    pub fn exclusive(classes: usize) -> Self {
        Self { classes, overlap: false }
    }

    /// Whether a pixel with this label is of `class`, counted from 0.
    pub fn has(self, label: u8, class: usize) -> bool {
        if self.overlap { label >> class & 1 == 1 } else { usize::from(label) == class + 1 }
    }

    /// The label of a pixel of `class` alone, counted from 0.
    pub fn label(self, class: usize) -> u8 {
        if self.overlap { 1 << class } else { class as u8 + 1 }
    }

    /// The labels whose pixels are of `class`, counted from 0.
    pub fn labels_of(self, class: usize) -> Vec<u8> {
        (1..self.labels_in_all()).map(|label| label as u8).filter(|&label| self.has(label, class)).collect()
    }

    /// How many labels there can be, with that of the background.
    pub fn labels_in_all(self) -> usize {
        if self.overlap { 1 << self.classes } else { self.classes + 1 }
    }

    /// The classes of a pixel with this label, counted from 0.
    pub fn classes_of(self, label: u8) -> impl Iterator<Item = usize> {
        (0..self.classes).filter(move |&class| self.has(label, class))
    }

    /// The pixels of `class`, counted from 0.
    pub fn mask(self, labels: &[u8], class: usize) -> Vec<bool> {
        labels.iter().map(|&label| self.has(label, class)).collect()
    }

    /// The pixels of each class, in order.
    pub fn masks(self, labels: &[u8]) -> Vec<Vec<bool>> {
        (0..self.classes).map(|class| self.mask(labels, class)).collect()
    }

    /// The label map of masks, one for each class. Where classes that exclude each other do overlap, the first counts.
    ///
    /// # Panics
    /// When the masks differ in size.
    pub fn of_masks(self, masks: &[Vec<bool>]) -> Vec<u8> {
        let mut labels = vec![0; masks.first().map_or(0, Vec::len)];
        for (class, mask) in masks.iter().enumerate() {
            assert_eq!(mask.len(), labels.len(), "masks of one size");
            for (label, _) in labels.iter_mut().zip(mask).filter(|(_, inside)| **inside) {
                *label = if self.overlap || *label == 0 { *label | self.label(class) } else { *label };
            }
        }
        labels
    }

    /// The channels of a label map: for each pixel a value for each class, 1 where it is of this class, else -1.
    pub fn channels(self, labels: &[u8]) -> Vec<f32> {
        let of = |&label: &u8| (0..self.classes).map(move |class| if self.has(label, class) { 1.0 } else { -1.0 });
        labels.iter().flat_map(of).collect()
    }

    /// The label map of channels: the class of the greatest channel above its threshold (the first of equal ones), else 0. Where classes may
    /// overlap, every class whose channel is above its threshold. There is a threshold for each class.
    pub fn labels(self, channels: &[f32], thresholds: &[f32]) -> Vec<u8> {
        let overlapping = |pixel: &[f32]| {
            let above = pixel.iter().zip(thresholds).enumerate().filter(|(_, (value, threshold))| value > threshold);
            above.fold(0, |label, (class, _)| label | 1 << class)
        };
        let greatest = |pixel: &[f32]| {
            let mut best = (0, f32::NEG_INFINITY);
            for (class, (&value, &threshold)) in pixel.iter().zip(thresholds).enumerate() {
                if value > threshold && value > best.1 {
                    best = (class as u8 + 1, value);
                }
            }
            best.0
        };
        let pixels = channels.chunks_exact(self.classes);
        if self.overlap { pixels.map(overlapping).collect() } else { pixels.map(greatest).collect() }
    }

    /// The number of pixels of each class, in order.
    pub fn areas(self, labels: &[u8]) -> Vec<usize> {
        let mut areas = vec![0; self.classes];
        for &label in labels.iter().filter(|&&label| label > 0) {
            for class in self.classes_of(label) {
                areas[class] += 1;
            }
        }
        areas
    }

    /// The classes that a label map holds, as bits: bit k is class k, counted from 0.
    pub(crate) fn held(self, labels: &[u8]) -> u32 {
        let bits = |label: u8| self.classes_of(label).fold(0, |bits, class| bits | 1 << class);
        labels.iter().filter(|&&label| label > 0).fold(0, |held, &label| held | bits(label))
    }
}

/// The channels of a mask that belongs to an image with `channels`, by the numbers of their values. Both are stacks of slices of `pixels`.
///
/// # Panics
/// When the numbers do not fit each other.
pub(crate) fn mask_channels(image: usize, mask: usize, pixels: usize, channels: usize) -> usize {
    let all = image / channels;
    assert!(image.is_multiple_of(channels) && all.is_multiple_of(pixels), "the image is not a whole number of slices");
    assert!(all > 0 && mask >= all && mask.is_multiple_of(all), "the mask does not fit the image");
    mask / all
}

/// The classes that channels hold, as bits.
pub(crate) fn channels_held(channels: &[f32], classes: usize) -> u32 {
    let of = |bits: u32, (at, &value): (usize, &f32)| if value > 0.0 { bits | 1 << (at % classes) } else { bits };
    channels.iter().enumerate().fold(0, of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_and_labels_are_inverse_and_the_greatest_channel_wins() {
        let map = [0, 2, 1, 0, 3];
        let three = Coding::exclusive(3);
        let wide = three.channels(&map);
        assert_eq!(wide[..6], [-1.0, -1.0, -1.0, -1.0, 1.0, -1.0]);
        assert_eq!(three.labels(&wide, &[0.0; 3]), map);
        // Above the threshold alone counts; of equal ones the first.
        let two = Coding::exclusive(2);
        assert_eq!(two.labels(&[0.1, 0.3, 0.2, 0.2, -0.1, -0.4], &[0.15; 2]), [2, 1, 0]);
        assert_eq!(two.labels(&[f32::NAN, 0.5], &[0.0; 2]), [2]);
        assert_eq!(Coding::exclusive(1).labels(&[0.5, 0.0, -1.0], &[0.0]), [1, 0, 0]);
        assert_eq!((three.areas(&map), three.held(&map)), (vec![1, 1, 1], 0b111));
        assert_eq!(three.of_masks(&three.masks(&map)), map);
    }

    #[test]
    fn overlapping_classes_are_bits_and_each_has_its_own_threshold() {
        let both = Coding { classes: 2, overlap: true };
        let map = [0, 1, 3, 2];
        assert_eq!(both.channels(&map), [-1.0, -1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0]);
        assert_eq!(both.labels(&both.channels(&map), &[0.0; 2]), map);
        assert_eq!(both.labels(&[0.2, 0.2, 0.4, 0.9, -0.1, 0.6], &[0.1, 0.5]), [1, 3, 2]);
        assert_eq!((both.areas(&map), both.held(&map[..2])), (vec![2, 2], 0b01));
        assert_eq!(both.of_masks(&both.masks(&map)), map);
        assert_eq!(both.labels_in_all(), 4);
        // The values of each class in a file are the labels that have it.
        let classes = ClassConfig::of_names(vec!["whole".to_owned(), "core".to_owned()], true);
        assert_eq!(classes[0].values.0, [MaskValue::Gray(1), MaskValue::Gray(3)]);
        check(&classes, None, Kind::Overlapping).unwrap();
        assert!(check(&classes, None, Kind::Exclusive).is_err());
        let eight = ClassConfig::of_names((0..8).map(|index| format!("r{index}")).collect(), true);
        assert!(eight.iter().all(|class| class.values.0.len() == 128));
    }

    #[test]
    fn a_list_of_classes_that_cannot_be_used_says_why() {
        let class = |name: &str, values: &[u16]| ClassConfig {
            name: name.to_owned(),
            values: MaskValues(values.iter().map(|&value| MaskValue::Gray(value)).collect()),
            code: None,
        };
        check(&[class("mass", &[1, 4]), class("cyst", &[2])], None, Kind::Exclusive).unwrap();
        let by_case = Kind::ByCase { overlap: false };
        check(&[class("mass", &[]), class("cyst", &[])], None, by_case).unwrap();
        assert!(check(&[class("mass", &[1])], None, by_case).unwrap_err().0.contains("with values"));
        for (classes, words) in [
            (vec![class("mass", &[1]), class("cyst", &[2, 1])], "the value 1 for mass and for cyst"),
            (vec![class("mass", &[0])], "the value 0 for the background and for mass"),
            (vec![class("mass", &[1]), class("Mass", &[2])], "two classes with the name \"Mass\""),
            (vec![class("mass", &[])], "without a value"),
            (vec![class(" ", &[1])], "the name \" \""),
            (vec![class("a/b", &[1])], "the name \"a/b\""),
        ] {
            let (found, _) = check(&classes, None, Kind::Exclusive).unwrap_err();
            assert!(found.contains(words), "{found}");
        }
        let zero = check(&[class("mass", &[0]), class("all", &[0, 1])], None, Kind::Overlapping).unwrap_err();
        assert!(zero.0.contains("for the background and for mass"), "{}", zero.0);
        let many: Vec<ClassConfig> = (1..34).map(|value| class(&format!("c{value}"), &[value])).collect();
        assert_eq!(check(&many, None, Kind::Exclusive).unwrap_err().0, "33 tables");
        assert!(check(&many[..9], None, Kind::Overlapping).unwrap_err().1.contains("at most 8"));
        let code = |value: &str| {
            let [value, scheme, meaning] = [value, "SCT", "Mass"].map(str::to_owned);
            ClassConfig { code: Some(ClassCode { value, scheme, meaning }), ..class("mass", &[1]) }
        };
        check(&[code("4147007")], None, Kind::Exclusive).unwrap();
        let long = check(&[code("12345678901234567")], None, Kind::Exclusive).unwrap_err();
        assert!(long.0.contains("of \"mass\""), "{}", long.0);
        let ground = MaskValues(vec![MaskValue::Gray(9)]);
        assert!(
            check(&[class("mass", &[9])], Some(&ground), Kind::Exclusive)
                .unwrap_err()
                .0
                .contains("for the background and for mass")
        );
    }
}
