//! The range of values that a source's 16-bit pictures have in common: data of 10 or 12 bits in 16-bit files would be almost black
//! if the whole range of the files became that from black to white.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use pig_data::read::read_header;
use pig_data::remarks::USED_BITS;

use super::request::{Progress, Request};
use crate::budget::Budget;
use crate::layouts::{Case, ImageSource};
use crate::remarks::unused_bits;
use crate::settings::WindowRule;
use crate::sources::{Reading, StoredRange, read_channel};

/// The 16-bit pictures of a source and their range.
#[derive(Debug)]
pub(super) struct Sixteen {
    /// From the least to the greatest value of all of them.
    range: StoredRange,
    /// The names of their cases.
    cases: HashSet<String>,
    /// How many other pictures there are.
    others: usize,
}

impl Sixteen {
    /// The range for a case, if it is one of these pictures.
    pub(super) fn of(&self, case: &Case) -> Option<StoredRange> {
        self.cases.contains(&case.name).then_some(self.range)
    }

    /// What is told about the pictures.
    pub(super) fn note(&self) -> String {
        let note = unused_bits(self.cases.len(), self.range);
        if self.others == 0 {
            return note;
        }
        format!("{note} The other {} picture(s) have 8 bits, and their values from 0 to 255 become that.", self.others)
    }
}

/// Measures the 16-bit pictures; `None` if there are none, the settings name a window, or the pictures use all of their bits. A file
/// that cannot be read is left out here: preparing it gives the error.
pub(super) fn measure(
    cases: &[Case],
    reading: Reading,
    request: &Request,
    budget: &Budget,
    progress: &dyn Progress,
) -> Option<Sixteen> {
    if request.config.window != WindowRule::Auto {
        return None;
    }
    let pictures: Vec<(&Case, u8)> = cases
        .par_iter()
        .filter_map(|case| match &case.image {
            ImageSource::Picture(path) => Some((case, read_header(path).ok()?.bit_depth)),
            ImageSource::Dicom(_) | ImageSource::Nifti(_) => None,
        })
        .collect();
    let wide: Vec<&Case> = pictures.iter().filter(|(_, bits)| *bits == 16).map(|(case, _)| *case).collect();
    if wide.is_empty() {
        return None;
    }
    progress.begin(wide.len());
    let done = AtomicUsize::new(0);
    let one = |case: &&Case| {
        if progress.stop_requested() {
            return None;
        }
        let share = budget.picture(case.image.path(), reading);
        let extremes = share.ok().and_then(|_share| {
            let image = read_channel(case.image.path(), reading).ok()?;
            let ends = (f32::INFINITY, f32::NEG_INFINITY);
            Some(image.data.iter().fold(ends, |(low, high), &value| (low.min(value), high.max(value))))
        });
        progress.done(done.fetch_add(1, Ordering::Relaxed) + 1);
        extremes
    };
    let extremes: Vec<(f32, f32)> = wide.par_iter().filter_map(one).collect();
    let low = extremes.iter().map(|ends| ends.0).fold(f32::INFINITY, f32::min);
    let high = extremes.iter().map(|ends| ends.1).fold(f32::NEG_INFINITY, f32::max);
    (low < high && f64::from(high) < USED_BITS).then(|| Sixteen {
        range: StoredRange { low: f64::from(low), high: f64::from(high) },
        cases: wide.iter().map(|case| case.name.clone()).collect(),
        others: pictures.len() - wide.len(),
    })
}
