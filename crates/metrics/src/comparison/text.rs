//! The text of a comparison on a terminal.

use std::fmt;

use super::{Comparison, Distances};
use crate::fixed::fixed;
use crate::frechet::{EXTRAPOLATE_FROM, FEW_IMAGES};
use crate::kernel::{KernelDistance, Subsets};

/// A row of the table: its name, and the function that gives its number.
type Row = (&'static str, fn(&Distances) -> String);

impl Comparison {
    /// The definition of the numbers, for example for the caption of a table.
    #[must_use]
    pub fn definition(&self) -> String {
        let kernel = match self.settings.kernel {
            Subsets::All => "all images".to_owned(),
            Subsets::Random { count, size, seed } => format!("{count} random subsets of {size} images (seed {seed})"),
        };
        format!(
            "{} and {} other images; features: {} ({} values), sha256 {}; images: {}. FID: Frechet distance of Gaussians. \
             Extrapolated: intercept of a line over 1/N, both sets reduced by the same factor. KID: unbiased squared maximum mean \
             discrepancy with the cubic polynomial kernel, {kernel}.",
            self.reference.map_or("an unknown number of reference".to_owned(), |count| format!("{count} reference")),
            self.other,
            self.extractor.name,
            self.width,
            self.extractor.hash,
            self.extractor.preprocessing
        )
    }

    /// Whether both sets are large enough for the extrapolated distance to be more reliable than the biased one.
    fn can_extrapolate(&self) -> bool {
        self.reference.unwrap_or(usize::MAX).min(self.other) >= EXTRAPOLATE_FROM
    }

    /// Warnings for the reader of the numbers.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.few_images {
            let first = if self.can_extrapolate() {
                "use KID and the extrapolated FID first".to_owned()
            } else {
                format!("use KID first; the extrapolated FID needs at least {EXTRAPOLATE_FROM} images in each set")
            };
            warnings.push(format!(
                "N is small ({} and {}, below {FEW_IMAGES}): FID is biased upwards and can be compared only with values of the same N; \
                 {first}",
                self.reference.map_or("unknown".to_owned(), |count| count.to_string()),
                self.other
            ));
        }
        if self.statistics_alone {
            warnings.push(
                "only the mean and the covariance of the reference are known: no KID, no extrapolation, no precision or recall, and no \
                 real-against-real floor; use a file of pig fid ref to get them"
                    .to_owned(),
            );
            return warnings;
        }
        match &self.floor {
            None => warnings.push("the reference is too small for two halves: no real-against-real floor".to_owned()),
            Some(floor) if !floor.by_patient => warnings.push(
                "no patients are known: the floor is by image, which is too low if patients have several images"
                    .to_owned(),
            ),
            Some(_) => {}
        }
        warnings
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28}{:>14}{:>20}", "", "generated", "real against real")?;
        let floor = self.floor.as_ref().map(|floor| &floor.distances);
        let biased = if self.few_images { "FID, biased by small N" } else { "FID" };
        let frechet: Row = (biased, |distances| number(Some(distances.frechet)));
        let name = if self.can_extrapolate() { "FID, extrapolated" } else { "FID, extrapolated, small N" };
        let extrapolated: Row = (name, |distances| number(distances.frechet_infinity));
        let kernel: Row = ("KID", kernel);
        let rows = match (self.few_images, self.can_extrapolate()) {
            (true, true) => [kernel, extrapolated, frechet],
            (true, false) => [kernel, frechet, extrapolated],
            (false, _) => [frechet, extrapolated, kernel],
        };
        for (name, of) in rows {
            writeln!(f, "{name:<28}{:>14}{:>20}", of(&self.distances), floor.map_or("-".to_owned(), of))?;
        }
        if let Some(interval) = &self.frechet_interval {
            writeln!(
                f,
                "FID of sets of this size, 95 % interval: [{}, {}] (jackknife, {} and {} blocks)",
                number(Some(interval.low)),
                number(Some(interval.high)),
                interval.blocks[0],
                interval.blocks[1]
            )?;
        }
        if let Some(shares) = &self.manifold {
            writeln!(
                f,
                "precision {:.4}, recall {:.4}, density {:.4}, coverage {:.4} (k = {})",
                shares.precision, shares.recall, shares.density, shares.coverage, shares.nearest_k
            )?;
        }
        if let Some(floor) = &self.floor {
            let by = if floor.by_patient { "disjoint patients" } else { "disjoint images" };
            writeln!(
                f,
                "real against real: halves with {by}, {:.0} images each, mean of {} splits",
                floor.images, floor.splits
            )?;
        }
        if let Some(same) = &self.floor_of_size {
            writeln!(
                f,
                "real against real at this N: {:.0} real images against {:.0} others: FID {} ± {}, {} splits",
                same.images[0],
                same.images[1],
                number(Some(same.frechet)),
                number(Some(same.std)),
                same.splits
            )?;
        }
        writeln!(f, "\n{}", self.definition())
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| fixed(value, 4))
}

fn kernel(distances: &Distances) -> String {
    match distances.kernel {
        Some(KernelDistance { mean, std: Some(std) }) => format!("{} ± {std:.5}", fixed(mean, 5)),
        Some(KernelDistance { mean, std: None }) => fixed(mean, 5),
        None => "-".to_owned(),
    }
}
