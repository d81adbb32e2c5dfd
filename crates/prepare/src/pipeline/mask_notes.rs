//! Warnings that name files of masks. The notes of cases hold numbers in place of these names, which stay out of the prepared folder.

use std::collections::BTreeMap;
use std::path::Path;

use pig_data::read::Taken;
use pig_data::remarks::other_order;

use super::place::place_below;
use crate::layouts::Case;
use crate::prepared_folder::CaseNote;

/// What is told of mask files.
#[derive(Debug, Default)]
pub(super) struct OfMasks {
    /// Of each fractional DICOM SEG, the greatest value on all images, and the value that means a share of 1.
    fractions: BTreeMap<String, (u16, u8)>,
    /// Masks with a palette of grays in another order than their indices, by whether the indices were taken.
    other_order: [Vec<String>; 2],
}

impl OfMasks {
    /// Adds the notes of a case.
    pub(super) fn add(&mut self, notes: &[CaseNote], case: &Case, source: &Path) {
        let paths = case.masks.paths();
        let place = |mask: usize| paths.get(mask).map(|path| place_below(source, path));
        for note in notes {
            match *note {
                CaseNote::Fraction { mask, greatest, max } => {
                    let Some(place) = place(mask) else { continue };
                    let found = self.fractions.entry(place).or_insert((0, max));
                    found.0 = found.0.max(greatest);
                }
                CaseNote::OtherOrder { mask, by_index } => self.other_order[usize::from(by_index)].extend(place(mask)),
                _ => {}
            }
        }
    }

    /// The warnings; `total` is the number of cases.
    pub(super) fn warnings(&self, threshold: f64, total: usize) -> Vec<String> {
        let is_below = |(_, (greatest, max)): &(&String, &(u16, u8))| {
            *greatest > 0 && f64::from(*greatest) < threshold * f64::from(*max)
        };
        let below: Vec<_> = self.fractions.iter().filter(is_below).collect();
        let share = |(_, (greatest, max)): &(&String, &(u16, u8))| f64::from(*greatest) / f64::from(*max);
        let mut warnings = Vec::new();
        if let Some(greatest) = below.iter().copied().max_by(|a, b| share(a).total_cmp(&share(b))) {
            let (file, (stored, max)) = greatest;
            warnings.push(format!(
                "{} of {} fractional DICOM SEG object(s) have values, but all below prepare.seg_threshold = {threshold}, so that they \
                 count as free of lesion; the greatest of them is {:.3} ({stored} of {max}), in {file}. Lower prepare.seg_threshold if \
                 they show lesion.",
                below.len(),
                self.fractions.len(),
                share(&greatest)
            ));
        }
        for (files, taken) in self.other_order.iter().zip([Taken::Grays, Taken::Indices]) {
            warnings.extend(other_order(files.len(), total, files.first().map(String::as_str), taken));
        }
        warnings
    }
}
