//! Values of masks as a configuration writes them: gray values and colours.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The values that mean lesion in masks with many values.
#[derive(Debug, Clone, PartialEq, Eq, Default, JsonSchema)]
#[schemars(with = "MaskValuesWord")]
pub struct MaskValues(pub Vec<MaskValue>);

/// One value that means lesion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskValue {
    /// A gray value as stored in the file.
    Gray(u16),
    /// Red, green and blue, 8 bits each.
    Colour([u8; 3]),
}

impl fmt::Display for MaskValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gray(value) => write!(f, "{value}"),
            Self::Colour([r, g, b]) => write!(f, "#{r:02x}{g:02x}{b:02x}"),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum MaskValueWord {
    Gray(u16),
    Colour(#[schemars(regex(pattern = "^#[0-9A-Fa-f]{6}$"))] String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a gray value from 0 to 65535, a colour \"#rrggbb\", or a list of them")]
enum MaskValuesWord {
    One(MaskValueWord),
    Many(Vec<MaskValueWord>),
}

impl MaskValueWord {
    fn parse(self) -> std::result::Result<MaskValue, String> {
        match self {
            Self::Gray(value) => Ok(MaskValue::Gray(value)),
            Self::Colour(word) => {
                let digits =
                    word.strip_prefix('#').filter(|d| d.len() == 6 && d.bytes().all(|b| b.is_ascii_hexdigit()));
                let number = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
                let number = number.ok_or_else(|| format!("the colour {word:?} is not of the form \"#rrggbb\""))?;
                Ok(MaskValue::Colour([(number >> 16) as u8, (number >> 8) as u8, number as u8]))
            }
        }
    }
}

impl<'de> Deserialize<'de> for MaskValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let words = match MaskValuesWord::deserialize(deserializer)? {
            MaskValuesWord::One(word) => vec![word],
            MaskValuesWord::Many(words) => words,
        };
        let values: std::result::Result<Vec<_>, _> = words.into_iter().map(MaskValueWord::parse).collect();
        values.map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for MaskValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|value| match value {
            MaskValue::Gray(gray) => MaskValueWord::Gray(*gray),
            colour @ MaskValue::Colour(_) => MaskValueWord::Colour(colour.to_string()),
        }))
    }
}
