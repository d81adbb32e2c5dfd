//! The sizes of a folder's pictures. Texture and sharpness depend on the size, and so do all features: a set of pictures and the same
//! set at half the size are far from each other.

use crate::{Error, Result};
use pig_data::{
    folder::{Kind, pictures},
    read::{ImageHeader, read_header},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::Path};

/// Sets of many sizes (photographs cut by hand) are compared if their median sides, the roots of the areas, differ by this factor at
/// most.
const ALIKE: f64 = 1.1;

/// The number of pictures of each size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<[usize; 3]>", from = "Vec<[usize; 3]>")]
pub(crate) struct Sizes {
    /// By height and width.
    counts: BTreeMap<[usize; 2], usize>,
}

/// Height, width and number of pictures.
impl From<Sizes> for Vec<[usize; 3]> {
    fn from(sizes: Sizes) -> Self {
        sizes.counts.into_iter().map(|([height, width], count)| [height, width, count]).collect()
    }
}

impl From<Vec<[usize; 3]>> for Sizes {
    fn from(list: Vec<[usize; 3]>) -> Self {
        Self { counts: list.into_iter().map(|[height, width, count]| ([height, width], count)).collect() }
    }
}

impl Sizes {
    /// Reads the headers of a folder's images.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let files = pictures(folder, Kind::Images)?;
        let headers: Vec<ImageHeader> =
            files.par_iter().map(|(_, path)| read_header(path)).collect::<Result<_, _>>()?;
        let mut counts = BTreeMap::new();
        for header in headers {
            *counts.entry([header.height, header.width]).or_default() += 1;
        }
        Ok(Self { counts })
    }

    fn total(&self) -> usize {
        self.counts.values().sum()
    }

    /// The only size, if there is one.
    pub(crate) fn only(&self) -> Option<[usize; 2]> {
        self.counts.keys().next().copied().filter(|_| self.counts.len() == 1)
    }

    /// The size of the most pictures; the smallest of equals.
    fn commonest(&self) -> [usize; 2] {
        let most = self.counts.values().max();
        self.counts.iter().find(|(_, count)| Some(*count) == most).map_or([0; 2], |(size, _)| *size)
    }

    /// The number of pictures that have a size of `other`.
    fn shared_with(&self, other: &Self) -> usize {
        self.counts.iter().filter(|(size, _)| other.counts.contains_key(*size)).map(|(_, count)| count).sum()
    }

    /// The median of the roots of the areas.
    fn median_side(&self) -> f64 {
        let of = |(size, &count): (&[usize; 2], &usize)| ((size[0] as f64 * size[1] as f64).sqrt(), count);
        let mut sides: Vec<(f64, usize)> = self.counts.iter().map(of).collect();
        sides.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut before = 0;
        let middle = sides.iter().find(|(_, count)| {
            before += count;
            2 * before > self.total()
        });
        middle.map_or(0.0, |(side, _)| *side)
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.commonest();
        match self.counts.len() {
            1 => write!(f, "{} picture(s) of {width} x {height} pixels", self.total()),
            sizes => write!(f, "{} pictures of {sizes} sizes, most often {width} x {height} pixels", self.total()),
        }
    }
}

/// A set of pictures with its place.
pub(crate) type Placed<'a> = (&'a Path, &'a Sizes);

/// The size to which all pictures are resized, if `resize` is set and sizes differ, and a warning. Without `resize`, sets of different
/// sizes are refused.
pub(crate) fn agree(
    (reference, real): Placed<'_>,
    (other, made): Placed<'_>,
    resize: bool,
) -> Result<(Option<[usize; 2]>, Option<String>)> {
    if real.only().is_some() && real.only() == made.only() {
        return Ok((None, None));
    }
    if resize {
        return Ok((Some(real.commonest()), None));
    }
    let shared = made.shared_with(real);
    if shared == made.total() {
        return Ok((None, None));
    }
    let (first, second) = (real.median_side(), made.median_side());
    let alike = first.max(second) <= ALIKE * first.min(second);
    let both_uniform = real.only().is_some() && made.only().is_some();
    if 2 * shared < made.total() && (both_uniform || !alike) {
        return Err(Error::Sizes {
            reference: reference.to_owned(),
            reference_sizes: real.to_string(),
            other: other.to_owned(),
            other_sizes: made.to_string(),
            target: real.commonest(),
        });
    }
    let warning = format!(
        "{} of {} picture(s) of {} have a size that no picture of {} has; features depend on the size: --resize brings all to one size",
        made.total() - shared,
        made.total(),
        other.display(),
        reference.display()
    );
    Ok((None, Some(warning)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(list: &[[usize; 3]]) -> Sizes {
        Sizes::from(list.to_vec())
    }

    fn asked(real: &[[usize; 3]], made: &[[usize; 3]], resize: bool) -> Result<(Option<[usize; 2]>, Option<String>)> {
        agree((Path::new("real"), &sizes(real)), (Path::new("made"), &sizes(made)), resize)
    }

    #[test]
    fn sets_of_different_sizes_are_refused_or_resized_to_the_reference() {
        let (small, large) = ([[64, 96, 30]], [[128, 192, 20]]);
        let message = asked(&small, &large, false).unwrap_err().to_string();
        for part in
            ["30 picture(s) of 96 x 64 pixels", "made holds 20 picture(s) of 192 x 128", "to 96 x 64", "--resize"]
        {
            assert!(message.contains(part), "{part:?} is missing in: {message}");
        }
        assert_eq!(asked(&small, &large, true).unwrap(), (Some([64, 96]), None));
        assert_eq!(asked(&small, &[[64, 96, 5]], true).unwrap(), (None, None));
        assert_eq!(asked(&small, &[[64, 96, 5]], false).unwrap(), (None, None));
        // Slightly different, but each set has one size of its own.
        assert!(asked(&[[64, 64, 30]], &[[66, 66, 30]], false).is_err());
        // Width and height exchanged.
        assert!(asked(&small, &[[96, 64, 30]], false).is_err());
    }

    #[test]
    fn photographs_of_many_sizes_are_compared_with_a_warning() {
        let cut = |from: usize| -> Vec<[usize; 3]> { (0..20).map(|i| [from + 3 * i, from + 2 * i, 1]).collect() };
        let (found, warning) = asked(&cut(400), &cut(401), false).unwrap();
        assert!(found.is_none() && warning.unwrap().contains("20 of 20 picture(s) of made"));
        assert!(asked(&cut(400), &cut(800), false).is_err());
        assert!(asked(&cut(400), &[[64, 64, 9]], false).is_err());
        // A few of another size among many of one.
        let (_, warning) = asked(&[[64, 64, 30]], &[[64, 64, 28], [128, 128, 2]], false).unwrap();
        assert!(warning.unwrap().contains("2 of 30"));
    }

    #[test]
    fn the_median_and_the_commonest_size_count_pictures() {
        let found = sizes(&[[10, 10, 1], [20, 20, 1], [30, 30, 5]]);
        assert_eq!((found.median_side(), found.commonest(), found.total()), (30.0, [30, 30], 7));
        assert_eq!(sizes(&[[10, 10, 2], [20, 20, 2]]).commonest(), [10, 10]);
    }
}
