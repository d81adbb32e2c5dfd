//! Which values of a stored mask mean lesion, or which class of lesion.

use std::collections::BTreeMap;
use std::path::Path;

use pig_data::classes::Coding;

use crate::error::{PrepareError, Result};
use crate::layouts::Case;
use crate::settings::{PrepareConfig, numbers};

/// How far a stored value may be from the label that it stands for. Scaling and resampling leave noise such as 1.0000153; soft
/// masks are much farther from whole numbers.
pub const LABEL_TOLERANCE: f32 = 0.01;

/// How many wrong values an error lists.
const LISTED: usize = 16;

/// The rule for one case.
#[derive(Debug, Clone)]
pub(super) struct LabelRule {
    /// From which value on a voxel is lesion; goes before labels.
    threshold: Option<f64>,
    /// The labels that mean lesion; `None` for every label but 0.
    lesion: Option<Vec<u16>>,
    /// The labels that the data set declares; `None` where nothing declares them, or the settings name the lesion's.
    declared: Option<Vec<u16>>,
    /// Whether the settings name the lesion's labels, so that others need not mean anything.
    named: bool,
    /// The labels of each class; empty if lesions are one.
    classes: Vec<Vec<u16>>,
    /// How labels of masks stand for these classes.
    coding: Coding,
    /// What declares the labels.
    source: &'static str,
}

impl LabelRule {
    pub(super) fn of(case: &Case, config: &PrepareConfig) -> Self {
        let named = config.mask_values.is_some();
        let classes = config.classes_of(&case.classes);
        let ground = config.background_values.as_ref().map(numbers).unwrap_or_default();
        // Classes of the settings are all that masks may hold.
        let own = config.classes.iter().flat_map(|class| numbers(&class.values)).chain(ground).chain([0]);
        let own = (!config.classes.is_empty()).then(|| own.collect());
        let of_layout = || PrepareConfig { mask_values: case.mask_values.clone(), ..PrepareConfig::default() };
        Self {
            threshold: config.mask_threshold,
            lesion: config.lesion_labels().or_else(|| of_layout().lesion_labels()),
            declared: own.or_else(|| case.declared.clone()).filter(|_| !named && config.mask_threshold.is_none()),
            named,
            classes: classes.iter().map(|class| numbers(&class.values)).collect(),
            coding: config.coding_of(&case.classes, case.overlap),
            source: if config.classes.is_empty() { "dataset.json" } else { "[[prepare.classes]]" },
        }
    }

    /// Whether the values of a mask have to be looked through for labels that nothing declares.
    pub(super) fn declares(&self) -> bool {
        self.declared.is_some()
    }

    /// Whether every label but 0 is lesion, because nothing says what labels mean.
    pub(super) fn takes_all(&self) -> bool {
        self.threshold.is_none() && self.lesion.is_none() && self.declared.is_none() && self.classes.is_empty()
    }

    /// The labels but 0 among values as bits, of which the last stands for all labels from 63 on.
    pub(super) fn bits(&self, values: &[f32]) -> u64 {
        let labels = values.iter().filter_map(|&value| self.label(value)).filter(|&label| label > 0);
        labels.fold(0_u64, |bits, label| bits | 1_u64 << label.min(63))
    }

    /// Refuses values of a picture, as text, that are not declared.
    pub(super) fn check_counts(&self, path: &Path, counts: &BTreeMap<String, u64>) -> Result<()> {
        let Some(declared) = &self.declared else { return Ok(()) };
        let known = |value: &str| value.parse().is_ok_and(|label: u16| declared.contains(&label));
        let odd = counts.iter().filter(|(value, _)| !known(value)).map(|(value, count)| (value.clone(), *count));
        self.refuse_undeclared(path, odd.collect(), "pixel(s)")
    }

    /// The values of slice `index` as 0 and 1, or as the number of the class, counted from 1.
    ///
    /// # Errors
    /// When a value stands for no label, or for one that the data set does not declare.
    pub(super) fn lesion(&self, path: &Path, index: usize, values: &[f32]) -> Result<Vec<u8>> {
        if let Some(threshold) = self.threshold {
            return Ok(values.iter().map(|&value| u8::from(f64::from(value) >= threshold)).collect());
        }
        // By the bits of the values, which can be keys of a map.
        let mut odd: BTreeMap<u32, u64> = BTreeMap::new();
        let mut undeclared: BTreeMap<u16, u64> = BTreeMap::new();
        let mask = values
            .iter()
            .map(|&value| {
                let Some(label) = self.label(value) else {
                    if odd.len() < LISTED || odd.contains_key(&value.to_bits()) {
                        *odd.entry(value.to_bits()).or_default() += 1;
                    }
                    return 0;
                };
                if self.declared.as_ref().is_some_and(|declared| !declared.contains(&label)) {
                    *undeclared.entry(label).or_default() += 1;
                }
                self.meaning(label)
            })
            .collect();
        if !odd.is_empty() {
            let found = odd.iter().map(|(&bits, &count)| (f32::from_bits(bits).to_string(), count));
            let found = listed(found.collect(), "voxel(s)");
            return Err(PrepareError::Labels {
                path: path.to_path_buf(),
                problem: format!("the mask's values in slice {index} (counted from 0) are not labels: {found}"),
                expected: format!("whole numbers from 0 on, each within {LABEL_TOLERANCE}"),
                remedy: "save labels, or set prepare.mask_threshold to the value from which on a voxel is lesion",
            });
        }
        let undeclared = undeclared.into_iter().map(|(label, count)| (label.to_string(), count));
        self.refuse_undeclared(path, undeclared.collect(), "voxel(s)")?;
        Ok(mask)
    }

    fn meaning(&self, label: u16) -> u8 {
        if self.classes.is_empty() {
            return u8::from(self.lesion.as_ref().map_or(label != 0, |lesion| lesion.contains(&label)));
        }
        let has = self.classes.iter().enumerate().filter(|(_, labels)| labels.contains(&label));
        has.fold(0, |found, (class, _)| found | self.coding.label(class))
    }

    /// The label that a value stands for.
    fn label(&self, value: f32) -> Option<u16> {
        let nearest = value.round();
        let near = (value - nearest).abs() <= LABEL_TOLERANCE;
        if near && (0.0..=f32::from(u16::MAX)).contains(&nearest) {
            return Some(nearest as u16);
        }
        // Where the settings name the lesion's labels, every other whole number is background.
        (near && self.named).then_some(0)
    }

    fn refuse_undeclared(&self, path: &Path, found: Vec<(String, u64)>, unit: &str) -> Result<()> {
        if found.is_empty() {
            return Ok(());
        }
        let declared: Vec<String> = self.declared.iter().flatten().map(ToString::to_string).collect();
        Err(PrepareError::Labels {
            path: path.to_path_buf(),
            problem: format!("unexpected labels: {}", listed(found, unit)),
            expected: format!("the labels that {} declares: {}", self.source, declared.join(", ")),
            remedy: "correct the mask or the declaration, or name the lesion's labels in prepare.mask_values, a class in \
                     [[prepare.classes]], or the background in prepare.background_values",
        })
    }
}

fn listed(found: Vec<(String, u64)>, unit: &str) -> String {
    let more = found.len().saturating_sub(LISTED);
    let mut words: Vec<String> =
        found.into_iter().take(LISTED).map(|(value, count)| format!("{value} ({count} {unit})")).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(declared: Option<Vec<u16>>, lesion: Option<Vec<u16>>, threshold: Option<f64>, named: bool) -> LabelRule {
        let coding = Coding::exclusive(1);
        LabelRule { threshold, lesion, declared, named, classes: Vec::new(), coding, source: "dataset.json" }
    }

    #[test]
    fn noise_is_rounded_and_anything_else_is_named() {
        let path = Path::new("a.nii");
        let labels = rule(Some(vec![0, 1, 2]), Some(vec![2]), None, false);
        let found = labels.lesion(path, 0, &[0.0, 1e-5, 1.000_015_3, 1.999_9, 2.009, -0.001]).unwrap();
        assert_eq!(found, [0, 0, 0, 1, 1, 0]);
        for (values, words) in [
            (vec![0.0, 0.4, 0.4], "slice 3 (counted from 0) are not labels: 0.4 (2 voxel(s))"),
            (vec![f32::NAN], "NaN (1 voxel(s))"),
            (vec![-1.0], "-1 (1 voxel(s))"),
            (vec![1.02], "1.02 (1 voxel(s))"),
            (vec![f32::INFINITY], "inf"),
            (
                vec![255.0, 3.0, 255.0],
                "unexpected labels: 3 (1 voxel(s)), 255 (2 voxel(s)); expected the labels that \
                                       dataset.json declares: 0, 1, 2",
            ),
        ] {
            let error = labels.lesion(path, 3, &values).unwrap_err().to_string();
            assert!(error.contains(words) && error.starts_with("a.nii"), "{error}");
        }
        // Settings that name the lesion's labels leave the meaning of others open, but not of what is no label.
        let named = rule(None, Some(vec![255]), None, true);
        assert_eq!(named.lesion(path, 0, &[255.0, -3.0, 7.0]).unwrap(), [1, 0, 0]);
        named.lesion(path, 0, &[254.5]).unwrap_err();
        let soft = rule(None, None, Some(0.5), false);
        assert_eq!(soft.lesion(path, 0, &[0.49, 0.5, -1.0, f32::NAN]).unwrap(), [0, 1, 0, 0]);
        assert_eq!(rule(None, None, None, false).lesion(path, 0, &[0.0, 1e-6, 7.0]).unwrap(), [0, 0, 1]);
        let classes =
            LabelRule { classes: vec![vec![3], vec![1, 2]], ..rule(Some(vec![0, 1, 2, 3, 9]), None, None, false) };
        assert_eq!(classes.lesion(path, 0, &[0.0, 3.0, 1.0, 2.0, 9.0]).unwrap(), [0, 1, 2, 2, 0]);
        classes.lesion(path, 0, &[4.0]).unwrap_err();
        // Regions: a label is of each region that lists it.
        let regions = LabelRule {
            classes: vec![vec![1, 2, 3], vec![2, 3]],
            coding: Coding { classes: 2, overlap: true },
            ..rule(Some(vec![0, 1, 2, 3]), None, None, false)
        };
        assert_eq!(regions.lesion(path, 0, &[0.0, 1.0, 2.0, 3.0]).unwrap(), [0, 0b01, 0b11, 0b11]);
    }
}
