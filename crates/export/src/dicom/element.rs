//! Functions that put values into objects.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_object::InMemDicomObject;

/// An object that is filled attribute by attribute.
#[derive(Debug)]
pub(crate) struct Object(InMemDicomObject);

impl Default for Object {
    fn default() -> Self {
        Self(InMemDicomObject::new_empty())
    }
}

impl Object {
    /// A text, or several separated by `\`. Only ASCII is written: other characters become `?`.
    pub(crate) fn text(mut self, tag: Tag, vr: VR, text: &str) -> Self {
        let text: String = text.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect();
        let value = match vr {
            // In texts with only one value, a backslash is an ordinary character.
            VR::ST | VR::LT | VR::UT => PrimitiveValue::from(text),
            _ => PrimitiveValue::Strs(text.split('\\').map(str::to_owned).collect()),
        };
        self.0.put(DataElement::new(tag, vr, value));
        self
    }

    /// An attribute that must be present, without a value.
    pub(crate) fn empty(mut self, tag: Tag, vr: VR) -> Self {
        self.0.put(DataElement::new(tag, vr, PrimitiveValue::Empty));
        self
    }

    /// A whole number of 16 bits.
    pub(crate) fn short(mut self, tag: Tag, value: u16) -> Self {
        self.0.put(DataElement::new(tag, VR::US, dicom_value!(U16, [value])));
        self
    }

    /// Whole numbers of 32 bits.
    pub(crate) fn long(mut self, tag: Tag, values: &[u32]) -> Self {
        self.0.put(DataElement::new(tag, VR::UL, PrimitiveValue::U32(values.iter().copied().collect())));
        self
    }

    /// A reference to an attribute.
    pub(crate) fn tag(mut self, tag: Tag, value: Tag) -> Self {
        self.0.put(DataElement::new(tag, VR::AT, PrimitiveValue::Tags(std::iter::once(value).collect())));
        self
    }

    /// A sequence of objects inside the object.
    pub(crate) fn items(mut self, tag: Tag, items: Vec<Self>) -> Self {
        let items: Vec<InMemDicomObject> = items.into_iter().map(|item| item.0).collect();
        self.0.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
        self
    }

    /// Calls `add` if there is a value.
    pub(crate) fn maybe<T>(self, value: Option<T>, add: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => add(self, value),
            None => self,
        }
    }

    /// The object in the type of the DICOM library.
    pub(crate) fn into_inner(self) -> InMemDicomObject {
        self.0
    }
}

/// A decimal number in at most 16 characters, as DS requires.
pub(crate) fn decimal(value: f64) -> String {
    let plain = value.to_string();
    if plain.len() <= 16 {
        return plain;
    }
    let digits = (0..=14).rev().map(|digits| format!("{value:.digits$}")).find(|text| text.len() <= 16);
    let near = |text: &String| text.parse().is_ok_and(|read: f64| (read - value).abs() <= value * 1e-9);
    digits.filter(near).unwrap_or_else(|| format!("{value:.8e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_short_and_near() {
        for value in [0.5, 1.0, 0.1 + 0.2, 1.0 / 3.0, 123_456.789_012_345, 1e-12 / 3.0, 0.084_999_999_999_999_99] {
            let text = decimal(value);
            assert!(text.len() <= 16, "{text}");
            let read: f64 = text.parse().unwrap();
            assert!((read - value).abs() <= value * 1e-8, "{text} for {value}");
        }
        assert_eq!(decimal(0.5), "0.5");
    }
}
