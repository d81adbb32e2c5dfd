//! What a checkpoint knows of metrics.jsonl.

use pig_files::sha256;
use serde::{Deserialize, Serialize};

/// What metrics.jsonl held when a checkpoint was written. It stays the beginning of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The number of lines.
    pub lines: usize,
    /// SHA-256 of these lines without `images_per_second`, which is another in each run of the same training.
    pub sha256: String,
}

impl Mark {
    /// What a file of this content holds.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let lines: Vec<&[u8]> = lines(bytes).collect();
        Self { lines: lines.len(), sha256: sha256(&lines.into_iter().flat_map(without_speed).collect::<Vec<u8>>()) }
    }
}

/// The lines, each with the line feed at its end; the last one may be torn.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

/// A line without the one value that depends on the machine.
fn without_speed(line: &[u8]) -> Vec<u8> {
    const KEY: &[u8] = b",\"images_per_second\":";
    let Some(start) = line.windows(KEY.len()).position(|part| part == KEY) else { return line.to_vec() };
    let number = &line[start + KEY.len()..];
    let end = number.iter().position(|byte| matches!(byte, b',' | b'}')).unwrap_or(number.len());
    [&line[..start], &number[end..]].concat()
}
