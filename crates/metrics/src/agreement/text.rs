//! The text of an agreement on a terminal.

use std::fmt;

use super::{Agreement, Contrasts, Direction, MIN_UNITS, Verdict};
use crate::bootstrap::Estimate;
use crate::fixed::{fixed, signed};

impl Verdict {
    /// True for a run that must be reported as failed.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self == Self::NotAboveShuffled
    }
}

impl Agreement {
    /// The verdict in one sentence.
    #[must_use]
    pub fn verdict_sentence(&self) -> String {
        let zero = match self.direction {
            Direction::Brighter => "above zero, the side of the real pairs",
            Direction::Darker => "below zero, the side of the real pairs",
            Direction::EitherNoReal => "away from zero on either side, as no real pairs were given",
            Direction::EitherRealUnclear => {
                "away from zero on either side, as the real pairs are not clearly on one side"
            }
        };
        match self.verdict {
            Verdict::Agrees => {
                format!(
                    "AGREES: images and masks belong together; generated - shuffled lies clearly {zero}. This is contrast under the \
                     mask; it says nothing about the quality of the pictures."
                )
            }
            Verdict::NotAboveShuffled => format!(
                "FAILED: the masks do not fit their images better than shuffled masks do; \
                 generated - shuffled should lie clearly {zero}, but does not."
            ),
            Verdict::TooFew => {
                let units = self.difference.estimate.map_or(0, |d| d.units);
                format!(
                    "NO VERDICT: {units} pairs or groups could be measured, expected at least {MIN_UNITS}; \
                     generate more pairs, or find out why masks are empty."
                )
            }
        }
    }

    /// The definition in one sentence, with the numbers on which it depends.
    #[must_use]
    pub fn definition(&self) -> String {
        let ring = &self.settings.ring;
        let width = match self.size {
            Some((height, width, pixels)) => format!("{pixels} pixels wide at {height}x{width}"),
            None => "of unknown width".to_owned(),
        };
        let background = match ring.background {
            Some(value) => format!(", without values up to {value}, which are background"),
            None => String::new(),
        };
        format!(
            "mean intensity inside the mask minus mean in a ring around it ({width}, gap {}{background}), per pair; \
             mean over pairs with a 95 % bootstrap interval",
            ring.gap
        )
    }

    /// The rows of the table: name, estimate, and a note on the counted and the left-out pairs.
    #[must_use]
    pub fn rows(&self) -> Vec<(&'static str, Option<Estimate>, String)> {
        let mut rows = Vec::new();
        if let Some(real) = &self.real {
            rows.push(("real pairs", real.estimate, counts(real)));
        }
        let shuffles = format!("{} shuffles per pair", self.shuffles);
        rows.push(("generated pairs", self.generated.estimate, counts(&self.generated)));
        rows.push(("generated, masks shuffled", self.shuffled.estimate, shuffles));
        let share = self
            .share_of_real()
            .map_or(String::new(), |s| format!("generated contrast is {} % of the real contrast", fixed(100.0 * s, 0)));
        rows.push(("generated - shuffled", self.difference.estimate, share));
        rows
    }
}

fn counts(set: &Contrasts) -> String {
    let pairs = match set.estimate {
        Some(e) if e.units != e.cases => format!("{} pairs in {} groups", e.cases, e.units),
        Some(e) => format!("{} pairs", e.cases),
        None => "no pairs".to_owned(),
    };
    let without_ring = match set.without_ring {
        0 => String::new(),
        count => format!(", {count} without a ring left out"),
    };
    let plural = if set.empty_masks == 1 { "" } else { "s" };
    format!("{pairs}, {} empty mask{plural} left out{without_ring}", set.empty_masks)
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "Pair agreement: {}.", self.definition())?;
        for (name, estimate, note) in self.rows() {
            let numbers = match estimate {
                Some(e) => format!("{} [{}, {}]", signed(e.mean, 4), signed(e.low, 4), signed(e.high, 4)),
                None => "none".to_owned(),
            };
            writeln!(f, "{}", format!("  {name:<26} {numbers:<28} {note}").trim_end())?;
        }
        write!(f, "  {}", self.verdict_sentence())
    }
}
