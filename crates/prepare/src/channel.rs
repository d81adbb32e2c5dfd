//! The channel of a source that is read: one of nnU-Net's files of a case, or one volume of a file with four dimensions.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{PrepareError, Result};

/// How many channels an error lists: files of four dimensions may hold hundreds of points in time.
const LISTED: usize = 16;

/// A channel as the settings name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number from 0, or the name of a channel in dataset.json")]
pub enum Channel {
    /// By its number, from 0.
    Number(usize),
    /// By its name in `dataset.json`; case does not matter.
    Name(String),
}

/// The channels that a source names, by their numbers: `channel_names` or `modality` of `dataset.json`.
pub(crate) type ChannelNames = BTreeMap<usize, String>;

impl Channel {
    /// The number of this channel among those that `description` names.
    ///
    /// # Errors
    /// When there is none of this name, or there are several, or the number is none of theirs.
    pub(crate) fn number(&self, description: &Path, names: &ChannelNames) -> Result<usize> {
        let numbers: Vec<usize> = match self {
            Self::Number(number) if names.is_empty() || names.contains_key(number) => vec![*number],
            Self::Number(_) => Vec::new(),
            Self::Name(wanted) => {
                let named = names.iter().filter(|(_, name)| name.trim().eq_ignore_ascii_case(wanted.trim()));
                named.map(|(number, _)| *number).collect()
            }
        };
        if let [number] = numbers[..] {
            return Ok(number);
        }
        let (found, known) = (self.word(), listed(names.keys().copied(), names));
        Err(PrepareError::Channel {
            path: description.to_path_buf(),
            problem: match numbers.len() {
                _ if names.is_empty() => format!("prepare.channel = {found}, but it names no channels"),
                0 => format!("prepare.channel = {found}, but its channels are {known}"),
                count => format!("prepare.channel = {found}, but {count} channels have this name: {known}"),
            },
            expected: "the number of a channel, from 0, in prepare.channel".to_owned(),
        })
    }

    /// As it is written.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Name(name) => format!("{name:?}"),
        }
    }
}

/// Which volume of a file with four dimensions is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelChoice {
    /// Its number, if the settings choose one.
    pub(crate) number: Option<usize>,
    /// The names of the channels, if the source gives them.
    pub(crate) names: ChannelNames,
}

impl ChannelChoice {
    /// The channel to read of a file with `count` of them; the only one if it has only one.
    ///
    /// # Errors
    /// When none is chosen of several, or one that the file does not have.
    pub(crate) fn of(&self, path: &Path, count: usize) -> Result<usize> {
        match self.number {
            None if count == 1 => Ok(0),
            Some(number) if number < count => Ok(number),
            chosen => {
                let known = listed(0..count, &self.names);
                let but = chosen.map_or_else(String::new, |number| format!(", and prepare.channel is {number}"));
                Err(PrepareError::Channel {
                    path: path.to_path_buf(),
                    problem: format!("the file has {count} channel(s){but}: {known}"),
                    expected: "the number or the name of one of them in prepare.channel".to_owned(),
                })
            }
        }
    }
}

/// Channels in words: numbers, with their names where these are known.
pub(crate) fn listed(numbers: impl ExactSizeIterator<Item = usize>, names: &ChannelNames) -> String {
    let more = numbers.len().saturating_sub(LISTED);
    let word =
        |number: usize| names.get(&number).map_or_else(|| number.to_string(), |name| format!("{number} ({name})"));
    let mut words: Vec<String> = numbers.take(LISTED).map(word).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_found_by_number_and_by_name() {
        let path = Path::new("dataset.json");
        let names = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).enumerate().collect::<ChannelNames>();
        let by_name = |word: &str| Channel::Name(word.to_owned());
        let brain = names(&["FLAIR", "T1w", "t1gd", "T2w"]);
        assert_eq!(by_name("T1GD").number(path, &brain).unwrap(), 2);
        assert_eq!(Channel::Number(3).number(path, &brain).unwrap(), 3);
        assert_eq!(Channel::Number(7).number(path, &names(&[])).unwrap(), 7, "nothing says how many there are");
        let error = by_name("T2").number(path, &brain).unwrap_err().to_string();
        assert!(error.contains("\"T2\", but its channels are 0 (FLAIR), 1 (T1w), 2 (t1gd), 3 (T2w)"), "{error}");
        let error = by_name("MR").number(path, &names(&["MR", "mr"])).unwrap_err().to_string();
        assert!(error.contains("2 channels have this name: 0 (MR), 1 (mr)"), "{error}");
        Channel::Number(4).number(path, &brain).unwrap_err();
        let of = |number, count| ChannelChoice { number, names: brain.clone() }.of(path, count);
        assert_eq!((of(None, 1).unwrap(), of(Some(1), 2).unwrap()), (0, 1));
        let error = of(None, 300).unwrap_err().to_string();
        assert!(
            error.contains("300 channel(s): 0 (FLAIR), 1 (T1w)") && error.ends_with("in prepare.channel"),
            "{error}"
        );
        assert!(error.contains("15, and 284 more"), "{error}");
        let error = of(Some(1), 1).unwrap_err().to_string();
        assert!(error.contains("has 1 channel(s), and prepare.channel is 1: 0 (FLAIR)"), "{error}");
    }
}
