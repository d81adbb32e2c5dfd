//! Classes of lesion in masks: their names, the values that stand for them, and label maps.
//!
//! Classes exclude each other: a pixel is background or of one class. Prepared masks have a channel for each class, -1 or 1, and
//! background has none. In label maps 0 is background, and class k, counted from 0, is k + 1.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mask_values::{MaskValue, MaskValues};

/// The most classes that can be told apart: what a pair holds is kept as bits of 32.
pub const MOST_CLASSES: usize = 32;

/// Colours of classes on dark and on gray ground, which people who do not tell red from green can distinguish (Okabe and Ito, "Color
/// Universal Design", 2008, without black). If there are more classes, the colours begin again.
const COLOURS: [[u8; 3]; 7] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];

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
}

impl ClassConfig {
    /// The class that a label map has at `index`, counted from 0: its value is `index` + 1.
    pub(crate) fn at(index: usize, name: String) -> Self {
        Self { name, values: MaskValues(vec![MaskValue::Gray(index as u16 + 1)]) }
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

/// What is wrong with a list of classes: what was found, and what is expected. `background` are values that are no class; `by_case` says
/// that classes belong to cases and so have no values.
///
/// # Errors
/// When there are too many, a name is empty or occurs twice, a class has no value, or one value stands for two of them.
pub fn check(
    classes: &[ClassConfig],
    background: Option<&MaskValues>,
    by_case: bool,
) -> std::result::Result<(), (String, &'static str)> {
    if classes.len() > MOST_CLASSES {
        return Err((format!("{} tables", classes.len()), "at most 32 classes"));
    }
    let zero = [MaskValue::Gray(0), MaskValue::Colour([0; 3])];
    let ground = background.map_or(&[][..], |values| &values.0).iter().chain(&zero);
    let mut owners: BTreeMap<String, &str> = ground.map(|value| (value.to_string(), "the background")).collect();
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
                    "no values, since data.class_column names the class of each case",
                )
            } else {
                (format!("the class {name:?} without a value"), "at least one value for each class")
            });
        }
        for value in &class.values.0 {
            if let Some(other) = owners.insert(value.to_string(), name) {
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

/// The channels of a label map: for each pixel a value for each of `classes`, 1 where it is of this class, else -1.
pub fn channels(labels: &[u8], classes: usize) -> Vec<f32> {
    let of = |&label: &u8| (1..=classes).map(move |class| if usize::from(label) == class { 1.0 } else { -1.0 });
    labels.iter().flat_map(of).collect()
}

/// The label map of channels: the class of the greatest channel above `threshold` (the first of equal ones), else 0.
pub fn labels(channels: &[f32], classes: usize, threshold: f32) -> Vec<u8> {
    let label = |pixel: &[f32]| {
        let mut best = (0, threshold);
        for (class, &value) in pixel.iter().enumerate() {
            if value > best.1 {
                best = (class as u8 + 1, value);
            }
        }
        best.0
    };
    channels.chunks_exact(classes).map(label).collect()
}

/// The pixels of each class, in order.
pub fn areas(labels: &[u8], classes: usize) -> Vec<usize> {
    let mut areas = vec![0; classes];
    for &label in labels {
        if let Some(area) = usize::from(label).checked_sub(1).and_then(|class| areas.get_mut(class)) {
            *area += 1;
        }
    }
    areas
}

/// The classes that a label map holds, as bits: bit k is class k, counted from 0.
pub(crate) fn held(labels: impl IntoIterator<Item = u8>) -> u32 {
    labels.into_iter().filter(|&label| label > 0).fold(0, |bits, label| bits | 1 << (label - 1))
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
        let wide = channels(&map, 3);
        assert_eq!(wide[..6], [-1.0, -1.0, -1.0, -1.0, 1.0, -1.0]);
        assert_eq!(labels(&wide, 3, 0.0), map);
        // Above the threshold alone counts; of equal ones the first.
        assert_eq!(labels(&[0.1, 0.3, 0.2, 0.2, -0.1, -0.4], 2, 0.15), [2, 1, 0]);
        assert_eq!(labels(&[f32::NAN, 0.5], 2, 0.0), [2]);
        assert_eq!(labels(&[0.5, 0.0, -1.0], 1, 0.0), [1, 0, 0]);
        assert_eq!((areas(&map, 3), held(map)), (vec![1, 1, 1], 0b111));
    }

    #[test]
    fn a_list_of_classes_that_cannot_be_used_says_why() {
        let class = |name: &str, values: &[u16]| ClassConfig {
            name: name.to_owned(),
            values: MaskValues(values.iter().map(|&value| MaskValue::Gray(value)).collect()),
        };
        check(&[class("mass", &[1, 4]), class("cyst", &[2])], None, false).unwrap();
        check(&[class("mass", &[]), class("cyst", &[])], None, true).unwrap();
        assert!(check(&[class("mass", &[1])], None, true).unwrap_err().0.contains("with values"));
        for (classes, words) in [
            (vec![class("mass", &[1]), class("cyst", &[2, 1])], "the value 1 for mass and for cyst"),
            (vec![class("mass", &[0])], "the value 0 for the background and for mass"),
            (vec![class("mass", &[1]), class("Mass", &[2])], "two classes with the name \"Mass\""),
            (vec![class("mass", &[])], "without a value"),
            (vec![class(" ", &[1])], "the name \" \""),
            (vec![class("a/b", &[1])], "the name \"a/b\""),
        ] {
            let (found, _) = check(&classes, None, false).unwrap_err();
            assert!(found.contains(words), "{found}");
        }
        let many: Vec<ClassConfig> = (1..34).map(|value| class(&format!("c{value}"), &[value])).collect();
        assert_eq!(check(&many, None, false).unwrap_err().0, "33 tables");
        let ground = MaskValues(vec![MaskValue::Gray(9)]);
        assert!(
            check(&[class("mass", &[9])], Some(&ground), false)
                .unwrap_err()
                .0
                .contains("for the background and for mass")
        );
    }
}
