//! The classes of the segments of DICOM SEG: by their codes, or by their labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pig_data::classes::ClassCode;
use pig_data::config::ClassConfig;
use pig_dicom::{Code, Limits, Segment, Segmentation, SegmentationInfo};

use crate::settings::{SegmentClasses, numbers};

/// What the segments of some files tell apart.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// What the codes mean.
    codes: BTreeMap<(String, String), String>,
    labels: BTreeSet<String>,
}

impl Segments {
    /// Adds the segments of a file. One that cannot be read is left to whoever reads its masks.
    pub(crate) fn add(&mut self, path: &Path, limits: &Limits) {
        let Ok(segmentation) = Segmentation::open(path, limits) else { return };
        for segment in segmentation.info().foreground() {
            if let Some(Code { value, scheme, meaning }) = &segment.kind {
                self.codes.entry((scheme.clone(), value.clone())).or_insert_with(|| meaning.clone());
            }
            self.labels.insert(name_of(segment.label.reveal()));
        }
    }

    /// The classes by `by`, in the order of their names; fewer than two if the segments are one lesion.
    pub(crate) fn classes(&self, by: SegmentClasses) -> Vec<ClassConfig> {
        match by {
            SegmentClasses::None => Vec::new(),
            SegmentClasses::Label => self.labels.iter().map(|label| class(label.clone(), None)).collect(),
            SegmentClasses::Code => {
                let mut found: Vec<ClassConfig> =
                    self.codes.iter().map(|(code, meaning)| by_code(code, meaning)).collect();
                found.sort_by(|a, b| a.name.cmp(&b.name));
                // Two codes that mean the same in words are told apart by themselves.
                let names: Vec<String> = found.iter().map(|class| class.name.to_lowercase()).collect();
                for (index, class) in found.iter_mut().enumerate() {
                    let is_twice = names.iter().filter(|name| **name == names[index]).count() > 1;
                    if let Some(code) = class.code.as_ref().filter(|_| is_twice) {
                        class.name = format!("{} {}", class.name, code.value);
                    }
                }
                found
            }
        }
    }

    /// The number of different labels.
    pub(crate) fn labels(&self) -> usize {
        self.labels.len()
    }
}

/// The numbers of the segments of a class in this file: those that the settings name, or those with its code, or else its label.
pub(crate) fn numbers_of(class: &ClassConfig, info: &SegmentationInfo) -> Vec<u16> {
    if !class.values.0.is_empty() {
        return numbers(&class.values);
    }
    let is_of = |segment: &&Segment| match (&class.code, &segment.kind) {
        (Some(own), Some(code)) => (&own.scheme, &own.value) == (&code.scheme, &code.value),
        (Some(_), None) => false,
        (None, _) => name_of(segment.label.reveal()) == class.name,
    };
    info.foreground().filter(is_of).map(|segment| segment.number).collect()
}

fn by_code((scheme, value): &(String, String), meaning: &str) -> ClassConfig {
    let code = ClassCode { value: value.clone(), scheme: scheme.clone(), meaning: meaning.to_owned() };
    let name = name_of(meaning);
    class(if name.is_empty() { value.clone() } else { name }, Some(code))
}

fn class(name: String, code: Option<ClassCode>) -> ClassConfig {
    ClassConfig { name, code, ..ClassConfig::default() }
}

/// A text as the name of a class, which may stand in names of files.
fn name_of(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() || matches!(letter, '/' | '\\') { '-' } else { letter };
    text.trim().trim_start_matches('.').chars().map(plain).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(codes: &[(&str, &str)], labels: &[&str]) -> Segments {
        Segments {
            codes: codes
                .iter()
                .map(|(value, meaning)| (("SCT".to_owned(), (*value).to_owned()), (*meaning).to_owned()))
                .collect(),
            labels: labels.iter().map(|label| name_of(label)).collect(),
        }
    }

    #[test]
    fn classes_are_named_by_what_codes_mean() {
        let found = segments(&[("4147007", "Mass"), ("129748009", "Calcification"), ("1", "a/b")], &["x", "y"]);
        let classes = found.classes(SegmentClasses::Code);
        let named: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(named, ["Calcification", "Mass", "a-b"]);
        assert_eq!(classes[1].code.as_ref().unwrap().value, "4147007");
        // Two codes with one meaning have two names, and a code without a meaning is its own name.
        let found = segments(&[("1", "Mass"), ("2", "mass"), ("3", "")], &[]);
        let classes = found.classes(SegmentClasses::Code);
        let named: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(named, ["3", "Mass 1", "mass 2"]);
        assert_eq!(segments(&[("1", "Mass")], &["x", "y"]).classes(SegmentClasses::Code).len(), 1);
        let labels = segments(&[], &[" .tumour/left ", "y"]).classes(SegmentClasses::Label);
        assert_eq!((labels[0].name.as_str(), labels[0].code.as_ref()), ("tumour-left", None));
        assert!(segments(&[], &["x", "y"]).classes(SegmentClasses::None).is_empty());
    }
}
