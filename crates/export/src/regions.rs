//! Classes that overlap, as formats that hold one number for each pixel have them: a number stands for a set of classes, and a class is
//! the region of all numbers whose set has it. So does nnU-Net (documentation/region_based_training.md).

use std::collections::BTreeSet;
use std::path::Path;

use pig_data::classes::Coding;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::error::Result;
use crate::job::Job;
use crate::pixels::Loaded;

/// The sets of classes that the masks of an export have, each with its number.
#[derive(Debug, Clone)]
pub(crate) struct Regions {
    coding: Coding,
    names: Vec<String>,
    /// The label of the number k + 1, in which each bit is a class.
    sets: Vec<u8>,
}

impl Regions {
    /// Reads all masks; none if the classes do not overlap. Sets of few classes are first, so that a region's outer part has a smaller
    /// number than its parts within.
    pub(crate) fn of(job: &Job<'_>) -> Result<Option<Self>> {
        let coding = job.coding();
        if !coding.overlap {
            return Ok(None);
        }
        let mut sets = BTreeSet::new();
        for index in 0..job.len() {
            let pair = job.pair(index);
            let mask = pair.mask.read(&job.pairs.data)?;
            sets.extend(mask.data.into_iter().filter(|&label| label > 0));
        }
        let names = job.labels().into_iter().map(str::to_owned).collect();
        Ok(Some(Self::new(coding, names, sets)))
    }

    fn new(coding: Coding, names: Vec<String>, mut sets: BTreeSet<u8>) -> Self {
        // A class that no mask has still needs a number.
        for class in 0..coding.classes {
            if !sets.iter().any(|&label| coding.has(label, class)) {
                sets.insert(coding.label(class));
            }
        }
        let mut sets: Vec<u8> = sets.into_iter().collect();
        sets.sort_by_key(|&label| (label.count_ones(), label));
        Self { coding, names, sets }
    }

    /// The numbers of a label map.
    pub(crate) fn numbers(&self, labels: &[u8]) -> Vec<u8> {
        let mut of = [0; 256];
        for (index, &label) in self.sets.iter().enumerate() {
            // There are at most 255 sets.
            of[usize::from(label)] = (index + 1) as u8;
        }
        labels.iter().map(|&label| of[usize::from(label)]).collect()
    }

    /// The numbers of each class, those of most numbers first.
    fn regions(&self) -> Vec<(&str, Vec<usize>)> {
        let numbers = |class: usize| -> Vec<usize> {
            let sets = self.sets.iter().enumerate();
            sets.filter(|(_, label)| self.coding.has(**label, class)).map(|(index, _)| index + 1).collect()
        };
        let mut found: Vec<(&str, Vec<usize>)> =
            self.names.iter().enumerate().map(|(class, name)| (name.as_str(), numbers(class))).collect();
        found.sort_by_key(|(_, numbers)| std::cmp::Reverse(numbers.len()));
        found
    }

    /// The object `labels` of nnU-Net's `dataset.json`, whose order counts.
    pub(crate) fn labels(&self) -> Ordered {
        let of = |(name, numbers): (&str, Vec<usize>)| (name.to_owned(), json!(numbers));
        Ordered(
            std::iter::once(("background".to_owned(), json!(0))).chain(self.regions().into_iter().map(of)).collect(),
        )
    }

    /// nnU-Net's `regions_class_order`: the number that a pixel gets where this region is predicted, but none of the later ones.
    pub(crate) fn class_order(&self) -> Vec<usize> {
        let regions = self.regions();
        let own = |(at, (_, numbers)): (usize, &(&str, Vec<usize>))| {
            let is_later = |number: &usize| regions[at + 1..].iter().any(|(_, later)| later.contains(number));
            numbers.iter().copied().find(|number| !is_later(number)).or(numbers.first().copied()).unwrap_or(0)
        };
        regions.iter().enumerate().map(own).collect()
    }

    /// What each number stands for, in words: `"3": "core + whole"`.
    pub(crate) fn words(&self) -> Ordered {
        let word = |&label: &u8| -> String {
            self.coding.classes_of(label).map(|class| self.names[class].as_str()).collect::<Vec<_>>().join(" + ")
        };
        let named = self.sets.iter().enumerate().map(|(index, label)| ((index + 1).to_string(), json!(word(label))));
        Ordered(std::iter::once(("0".to_owned(), json!("background"))).chain(named).collect())
    }

    /// The numbers of each class: `"core": [2, 3]`.
    pub(crate) fn of_names(&self) -> Ordered {
        Ordered(self.regions().into_iter().map(|(name, numbers)| (name.to_owned(), json!(numbers))).collect())
    }
}

/// The labels of a mask as a gray PNG; of classes that overlap, the numbers of their sets.
pub(crate) fn labels_png(loaded: &Loaded, path: &Path, regions: Option<&Regions>) -> Result<Vec<u8>> {
    match regions {
        None => loaded.mask_png(path, 1),
        Some(regions) => loaded.numbers_png(path, regions.numbers(&loaded.mask)),
    }
}

/// An object of JSON in this order.
#[derive(Debug, Clone)]
pub(crate) struct Ordered(pub(crate) Vec<(String, Value)>);

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions(sets: &[u8]) -> Regions {
        let names = ["enhancing", "core", "whole"].map(str::to_owned).to_vec();
        Regions::new(Coding { classes: 3, overlap: true }, names, sets.iter().copied().collect())
    }

    /// The regions of BraTS, as nnU-Net's documentation has them.
    #[test]
    fn nested_regions_are_those_of_nnunet() {
        let found = regions(&[0b111, 0b110, 0b100]);
        let labels = serde_json::to_string(&found.labels()).unwrap();
        assert_eq!(labels, r#"{"background":0,"whole":[1,2,3],"core":[2,3],"enhancing":[3]}"#);
        assert_eq!(found.class_order(), [1, 2, 3]);
        assert_eq!(found.numbers(&[0, 0b100, 0b110, 0b111]), [0, 1, 2, 3]);
        let words = serde_json::to_string(&found.words()).unwrap();
        assert_eq!(words, r#"{"0":"background","1":"whole","2":"core + whole","3":"enhancing + core + whole"}"#);
    }

    #[test]
    fn sets_that_are_not_nested_have_numbers_of_their_own() {
        // A part of the core outside of the whole, and no enhancing part at all.
        let found = regions(&[0b110, 0b100, 0b010]);
        assert_eq!(found.sets, [0b001, 0b010, 0b100, 0b110]);
        let order = found.class_order();
        let regions = found.regions();
        for ((_, numbers), number) in regions.iter().zip(&order) {
            assert!(numbers.contains(number));
        }
        assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 3);
    }
}
