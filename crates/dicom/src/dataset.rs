//! Read access to a header: data sets, their elements, and values as text and numbers.

use std::path::Path;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::StandardDataDictionary;

use crate::element::name;
use crate::header::{Header, Kind, Node};
use crate::{Error, Result};

impl Header {
    /// The top level.
    pub(crate) fn root<'a>(&'a self, path: &'a Path) -> Dataset<'a> {
        Dataset { header: self, path, first: 0, last: self.nodes.len() }
    }

    /// A data set inside this header, by its [`Dataset::span`].
    pub(crate) fn dataset<'a>(&'a self, path: &'a Path, (first, last): (usize, usize)) -> Dataset<'a> {
        Dataset { header: self, path, first, last: last.min(self.nodes.len()) }
    }
}

/// A data set inside a header: the root, or an item of a sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dataset<'a> {
    header: &'a Header,
    path: &'a Path,
    first: usize,
    last: usize,
}

/// One element with its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    dataset: Dataset<'a>,
    index: usize,
}

impl<'a> Dataset<'a> {
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// The place of the data set in its header, for [`Header::dataset`].
    pub(crate) fn span(&self) -> (usize, usize) {
        (self.first, self.last)
    }

    fn children(&self) -> impl Iterator<Item = usize> + use<'a> {
        let (nodes, last) = (&self.header.nodes, self.last);
        let first = (self.first < last).then_some(self.first);
        std::iter::successors(first, move |&index| Some(nodes[index].end as usize).filter(|&next| next < last))
    }

    /// The element with a tag; `None` if it is absent or empty.
    pub(crate) fn get(&self, tag: Tag) -> Option<Element<'a>> {
        let index = self.children().find(|&index| self.header.nodes[index].tag == tag)?;
        let node = &self.header.nodes[index];
        let filled = match node.kind {
            Kind::Sequence => node.end as usize > index + 1,
            _ => node.length > 0,
        };
        filled.then_some(Element { dataset: *self, index })
    }

    /// The items of a sequence; empty if the sequence is absent.
    pub(crate) fn items(&self, tag: Tag) -> Vec<Dataset<'a>> {
        let Some(element) = self.get(tag) else { return Vec::new() };
        let node = &self.header.nodes[element.index];
        if node.kind != Kind::Sequence {
            return Vec::new();
        }
        let inside = Dataset { first: element.index + 1, last: node.end as usize, ..*self };
        inside
            .children()
            .map(|item| Dataset { first: item + 1, last: self.header.nodes[item].end as usize, ..*self })
            .collect()
    }

    /// The first item of a sequence.
    pub(crate) fn item(&self, tag: Tag) -> Option<Dataset<'a>> {
        self.items(tag).first().copied()
    }

    /// An error about an attribute of this data set; `found` must not be a value that could name a person.
    pub(crate) fn invalid(&self, tag: Tag, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::Invalid {
            path: self.path.to_path_buf(),
            what: name(tag),
            found: found.into(),
            expected: expected.into(),
        }
    }

    pub(crate) fn missing(&self, tag: Tag) -> Error {
        Error::Missing { path: self.path.to_path_buf(), what: name(tag) }
    }

    /// A text value, trimmed; `None` if it is absent, empty or not text.
    pub(crate) fn text(&self, tag: Tag) -> Option<&'a str> {
        self.get(tag)?.text()
    }

    /// Free text, trimmed; `None` if it is absent or empty. Bytes that are not UTF-8 are read as Latin-1: whatever the file's character
    /// set is, different texts stay different.
    pub(crate) fn free_text(&self, tag: Tag) -> Option<String> {
        let bytes = self.get(tag)?.bytes();
        let latin = || bytes.iter().map(|&byte| char::from(byte)).collect();
        let text: String = std::str::from_utf8(bytes).map_or_else(|_| latin(), str::to_owned);
        let text = text.trim_matches([' ', '\0']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A UID; `None` if the value is not one (1 to 64 digits and dots).
    pub(crate) fn uid(&self, tag: Tag) -> Option<&'a str> {
        self.text(tag).filter(|uid| is_uid(uid))
    }

    /// Numbers of any numerical VR (DS and IS too); `None` if absent or empty.
    pub(crate) fn numbers(&self, tag: Tag) -> Result<Option<Vec<f64>>> {
        self.get(tag).map(|element| element.numbers(false)).transpose()
    }

    /// The first number of a value.
    pub(crate) fn number(&self, tag: Tag) -> Result<Option<f64>> {
        Ok(self.numbers(tag)?.and_then(|numbers| numbers.first().copied()))
    }

    /// Exactly `N` numbers; `None` if there is none.
    pub(crate) fn vector<const N: usize>(&self, tag: Tag) -> Result<Option<[f64; N]>> {
        let Some(numbers) = self.numbers(tag)?.filter(|numbers| !numbers.is_empty()) else { return Ok(None) };
        let found = format!("{} values", numbers.len());
        <[f64; N]>::try_from(numbers).map(Some).map_err(|_| self.invalid(tag, found, format!("{N} values")))
    }

    /// One whole number of at least 0.
    pub(crate) fn unsigned(&self, tag: Tag) -> Result<Option<u64>> {
        let Some(number) = self.number(tag)? else { return Ok(None) };
        if number < 0.0 || number.fract() != 0.0 || number > 9e15 {
            return Err(self.invalid(tag, "a negative, fractional or huge number", "a whole number of at least 0"));
        }
        Ok(Some(number as u64))
    }

    /// A whole number that must be present and fit in `T`.
    pub(crate) fn required<T: TryFrom<u64>>(&self, tag: Tag) -> Result<T> {
        let value = self.unsigned(tag)?.ok_or_else(|| self.missing(tag))?;
        T::try_from(value).map_err(|_| self.invalid(tag, value.to_string(), "a smaller number"))
    }
}

impl<'a> Element<'a> {
    fn node(&self) -> &'a Node {
        &self.dataset.header.nodes[self.index]
    }

    pub(crate) fn vr(&self) -> VR {
        self.node().vr
    }

    pub(crate) fn big_endian(&self) -> bool {
        self.node().big_endian
    }

    /// The value's bytes; empty for sequences and for values that were too long to keep.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        let node = self.node();
        match node.kind {
            Kind::Value => {
                let start = node.start as usize;
                &self.dataset.header.bytes[start..start + node.length as usize]
            }
            _ => &[],
        }
    }

    fn text(&self) -> Option<&'a str> {
        let text = std::str::from_utf8(self.bytes()).ok()?;
        Some(text.trim_matches([' ', '\0'])).filter(|text| !text.is_empty())
    }

    /// The numbers of a value, read by the element's VR; `signed` decides how a value that may be US or SS is read.
    pub(crate) fn numbers(&self, signed: bool) -> Result<Vec<f64>> {
        let node = self.node();
        let bytes = self.bytes();
        let big = node.big_endian;
        let wrong = |found: &str| self.dataset.invalid(node.tag, found, "numbers");
        // The dictionary supplies the VR of an element that is written as UN.
        let vr = match node.vr {
            VR::UN => StandardDataDictionary.by_tag(node.tag).map_or(VR::UN, |entry| entry.vr().relaxed()),
            known => known,
        };
        Ok(match vr {
            VR::US | VR::OW if signed => words(bytes, big).map(|word| f64::from(word as i16)).collect(),
            VR::US | VR::OW => words(bytes, big).map(f64::from).collect(),
            VR::SS => words(bytes, big).map(|word| f64::from(word as i16)).collect(),
            VR::UL | VR::OL => array::<4>(bytes, big).map(|b| f64::from(u32::from_le_bytes(b))).collect(),
            VR::SL => array::<4>(bytes, big).map(|b| f64::from(i32::from_le_bytes(b))).collect(),
            VR::FL | VR::OF => array::<4>(bytes, big).map(|b| f64::from(f32::from_le_bytes(b))).collect(),
            VR::FD | VR::OD => array::<8>(bytes, big).map(f64::from_le_bytes).collect(),
            VR::OB => bytes.iter().map(|&byte| f64::from(byte)).collect(),
            VR::DS | VR::IS => {
                let text = std::str::from_utf8(bytes).map_err(|_| wrong("bytes that are not text"))?;
                let parse = |part: &str| part.trim_matches([' ', '\0']).parse::<f64>().ok().filter(|x| x.is_finite());
                let trimmed = text.trim_matches([' ', '\0']);
                if trimmed.is_empty() {
                    return Ok(Vec::new());
                }
                trimmed
                    .split('\\')
                    .map(|part| parse(part).ok_or_else(|| wrong("text that is not a number")))
                    .collect::<Result<_>>()?
            }
            _ => return Err(wrong("a value that is not numeric")),
        })
    }
}

/// 16-bit words of a value.
pub(crate) fn words(bytes: &[u8], big_endian: bool) -> impl Iterator<Item = u16> + '_ {
    array::<2>(bytes, big_endian).map(u16::from_le_bytes)
}

/// Groups of `N` bytes, put into little-endian order.
fn array<const N: usize>(bytes: &[u8], big_endian: bool) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().map(move |chunk| {
        let mut chunk = *chunk;
        if big_endian {
            chunk.reverse();
        }
        chunk
    })
}

/// Whether text is a UID: 1 to 64 digits and dots.
pub(crate) fn is_uid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
}
