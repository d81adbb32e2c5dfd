//! Contrasts in words.

use super::{Contrast, Source};
use crate::fixed::p_text;

impl Source {
    /// The source in the plural.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Patients => "patients",
            Self::Segmenters => "segmenters",
            Self::Generators => "generators",
            Self::Folds => "folds",
        }
    }
}

impl Contrast {
    /// p as it is printed.
    #[must_use]
    pub fn p_text(&self) -> String {
        p_text(self.p_value, self.p_is_bound)
    }

    /// p by Holm's method as it is printed; p itself if there was nothing to adjust to.
    #[must_use]
    pub fn holm_text(&self) -> String {
        let adjusted = self.p_holm.unwrap_or(self.p_value);
        p_text(adjusted, self.p_is_bound && adjusted < 1.0)
    }

    /// Whether the difference is significant at 5 % after Holm's correction for the other comparisons of the table.
    #[must_use]
    pub fn is_family_wise(&self) -> bool {
        self.p_holm.unwrap_or(self.p_value) < super::MISSES
    }

    /// What the interval covers, and what it does not, with numbers.
    #[must_use]
    pub fn sources(&self) -> String {
        let list =
            |sources: &[Source]| sources.iter().map(|&source| self.counted(source)).collect::<Vec<_>>().join(", ");
        let leaves_out =
            if self.leaves_out.is_empty() { String::new() } else { format!("; not {}", list(&self.leaves_out)) };
        format!("{}{leaves_out}", list(&self.covers))
    }

    fn counted(&self, source: Source) -> String {
        let both = |[ours, theirs]: [usize; 2]| match (ours, theirs) {
            (ours, 0) => ours.to_string(),
            (0, theirs) => theirs.to_string(),
            (ours, theirs) if ours == theirs => ours.to_string(),
            (ours, theirs) => format!("{ours} and {theirs}"),
        };
        let word = source.word();
        match source {
            Source::Patients => format!("{word} ({})", self.difference.units),
            Source::Segmenters => format!("{word} ({} of a training set)", both(self.segmenters)),
            Source::Generators => format!("{word} ({} of an arm)", both(self.generators)),
            Source::Folds => format!("{word} ({})", self.folds),
        }
    }
}
