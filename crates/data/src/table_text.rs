//! The text of a table as spreadsheets write it: its encoding, and what separates its fields.

use std::path::Path;

use crate::error::{DataError, Result};

/// Separators of fields, in order of preference.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Columns that tables of this crate have; a separator that yields one of them is the right one.
const KNOWN: [&str; 5] = ["image", "mask", "id", "patient", "group"];

/// Decodes a table: UTF-8 with or without a byte order mark, or UTF-16 with one (Excel's "Unicode text").
pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<String> {
    let bad = |problem: String| DataError::BadManifest { path: path.to_path_buf(), line: 1, problem };
    let wide = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].as_chunks::<2>().0.iter().map(|unit| read(*unit)).collect();
        String::from_utf16(&units)
            .map_err(|_| bad("the text is no valid UTF-16; save the table as CSV in UTF-8".to_owned()))
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let invalid = |error: std::str::Utf8Error| {
                let lines = text[..error.valid_up_to()].split(|&byte| byte == b'\n').count() as u64;
                let problem = "the text is not in UTF-8; save the table as CSV in UTF-8".to_owned();
                DataError::BadManifest { path: path.to_path_buf(), line: lines, problem }
            };
            std::str::from_utf8(text).map(str::to_owned).map_err(invalid)
        }
    }
}

/// The separator of a table, and its text without a first line such as `sep=;`, by which Excel tells the separator.
pub(crate) fn separator(text: &str) -> (u8, &str) {
    let end = text.find(['\n', '\r']).unwrap_or(text.len());
    if let Some(told) = text[..end].strip_prefix("sep=")
        && let [separator] = told.as_bytes()
    {
        return (*separator, text[end..].trim_start_matches('\r'));
    }
    let header = header(text);
    let count = |separator: u8| fields(header, separator).len();
    let knows = |separator: u8| {
        let fields = fields(header, separator);
        fields.iter().any(|field| KNOWN.iter().any(|known| field.trim().trim_matches('"').eq_ignore_ascii_case(known)))
    };
    // The first of equal ones is the greatest in reverse order.
    let best = SEPARATORS
        .into_iter()
        .rev()
        .max_by_key(|&separator| (count(separator) > 1 && knows(separator), count(separator)));
    (best.unwrap_or(b','), text)
}

/// The first record, up to an end of line outside of quotes.
fn header(text: &str) -> &str {
    let mut quoted = false;
    let end = text.bytes().position(|byte| {
        quoted ^= byte == b'"';
        !quoted && matches!(byte, b'\n' | b'\r')
    });
    &text[..end.unwrap_or(text.len())]
}

/// The fields of a record, with their quotes.
fn fields(record: &str, separator: u8) -> Vec<&str> {
    let mut quoted = false;
    record
        .split(|letter: char| {
            quoted ^= letter == '"';
            !quoted && letter == char::from(separator)
        })
        .collect()
}
