//! The number of channels of prepared images, which the data may decide.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The word for [`Channels::Auto`].
const AUTO: &str = "auto";

/// The number of channels of prepared images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[schemars(with = "ChannelsWord")]
pub enum Channels {
    /// The data decide; see [`crate::colour::resolve`].
    #[default]
    Auto,
    /// This number: 1 (gray) or 3 (red, green and blue).
    Count(usize),
}

impl Channels {
    /// The number. Whatever the data have not decided yet counts as gray, so that costs can be estimated without data.
    pub fn count(self) -> usize {
        match self {
            Self::Auto => 1,
            Self::Count(count) => count,
        }
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str(AUTO),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

/// A number of channels as it may be written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected \"auto\", 1 (gray) or 3 (colour)")]
enum ChannelsWord {
    Count(usize),
    Word(#[schemars(regex(pattern = "^auto$"))] String),
}

impl<'de> Deserialize<'de> for Channels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match ChannelsWord::deserialize(deserializer)? {
            ChannelsWord::Count(count) => Ok(Self::Count(count)),
            ChannelsWord::Word(word) if word == AUTO => Ok(Self::Auto),
            ChannelsWord::Word(word) => {
                Err(serde::de::Error::custom(format!("{word:?}: expected \"auto\", 1 (gray) or 3 (colour)")))
            }
        }
    }
}

impl Serialize for Channels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Count(count) => count.serialize(serializer),
        }
    }
}
