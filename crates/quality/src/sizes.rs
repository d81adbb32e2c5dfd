//! The sizes of a folder's pictures. Texture and sharpness depend on the size, and so do all features: a set of pictures and the same
//! set at half the size are far from each other. So pictures of one size are compared, unless resizing is asked for.

use crate::{Error, Result};
use pig_data::{
    Source,
    read::{ImageHeader, read_header},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::Path};

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
    pub(crate) fn of(source: Source<'_>) -> Result<Self> {
        let files = source.images()?;
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

/// The size to which all pictures are resized, if `resize` is set and sizes differ. Without `resize`, pictures of more than one size are
/// refused.
pub(crate) fn agree(
    (reference, real): Placed<'_>,
    (other, made): Placed<'_>,
    resize: bool,
) -> Result<Option<[usize; 2]>> {
    if real.only().is_some() && real.only() == made.only() {
        return Ok(None);
    }
    if resize {
        return Ok(Some(real.commonest()));
    }
    Err(Error::Sizes {
        reference: reference.to_owned(),
        reference_sizes: real.to_string(),
        other: other.to_owned(),
        other_sizes: made.to_string(),
        target: real.commonest(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(list: &[[usize; 3]]) -> Sizes {
        Sizes::from(list.to_vec())
    }

    fn asked(real: &[[usize; 3]], made: &[[usize; 3]], resize: bool) -> Result<Option<[usize; 2]>> {
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
        assert_eq!(asked(&small, &large, true).unwrap(), Some([64, 96]));
        assert_eq!(asked(&small, &[[64, 96, 5]], true).unwrap(), None);
        assert_eq!(asked(&small, &[[64, 96, 5]], false).unwrap(), None);
        // Slightly different, but each set has one size of its own.
        assert!(asked(&[[64, 64, 30]], &[[66, 66, 30]], false).is_err());
        // Width and height exchanged.
        assert!(asked(&small, &[[96, 64, 30]], false).is_err());
    }

    #[test]
    fn sets_of_several_sizes_are_refused_even_if_both_have_the_same_ones() {
        let cut = |from: usize| -> Vec<[usize; 3]> { (0..20).map(|i| [from + 3 * i, from + 2 * i, 1]).collect() };
        let message = asked(&cut(400), &cut(400), false).unwrap_err().to_string();
        assert!(message.contains("20 pictures of 20 sizes"), "{message}");
        // A few of another size among many of one.
        let mixed = [[64, 64, 28], [128, 128, 2]];
        let message = asked(&[[64, 64, 30]], &mixed, false).unwrap_err().to_string();
        assert!(message.contains("30 pictures of 2 sizes, most often 64 x 64"), "{message}");
        assert_eq!(asked(&[[64, 64, 30]], &mixed, true).unwrap(), Some([64, 64]));
        assert_eq!(asked(&cut(400), &cut(400), true).unwrap(), Some([400, 400]));
    }

    #[test]
    fn the_commonest_size_counts_pictures() {
        let found = sizes(&[[10, 10, 1], [20, 20, 1], [30, 30, 5]]);
        assert_eq!((found.commonest(), found.total()), ([30, 30], 7));
        assert_eq!(sizes(&[[10, 10, 2], [20, 20, 2]]).commonest(), [10, 10]);
    }
}
