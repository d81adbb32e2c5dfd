//! Whether generated masks are like real masks: Wasserstein distances between the distributions of the area, eccentricity, position and
//! number of lesions, and the shares of empty masks.

use serde::Serialize;

use crate::components::{Connectivity, components};
use crate::radiomics::axes;

/// The properties of the lesions of a set of masks. Positions and areas are relative to the image, so that masks of different sizes can
/// be compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LesionProperties {
    /// The number of masks.
    pub masks: usize,
    /// The number of masks without a lesion.
    pub empty: usize,
    /// The number of lesions in each mask that is not empty.
    pub count: Vec<f64>,
    /// The area of each lesion divided by the area of the image.
    pub area: Vec<f64>,
    /// The eccentricity of the ellipse with the second moments of the lesion: 0 for a circle, near 1 for a line.
    pub eccentricity: Vec<f64>,
    /// The row of the centre of mass of each lesion divided by the height, from 0 to 1.
    pub row: Vec<f64>,
    /// The column of the centre of mass of each lesion divided by the width, from 0 to 1.
    pub column: Vec<f64>,
}

impl LesionProperties {
    /// Adds a row-major `height x width` mask; lesions are its connected components.
    ///
    /// # Panics
    ///
    /// When the mask does not have `height * width` pixels, a mistake of the calling code.
    pub fn add(&mut self, mask: &[bool], height: usize, width: usize, connectivity: Connectivity) {
        let found = components(mask, height, width, connectivity);
        self.masks += 1;
        if found.areas.is_empty() {
            self.empty += 1;
            return;
        }
        self.count.push(found.areas.len() as f64);
        let mut places = vec![Vec::new(); found.areas.len()];
        for (index, &label) in found.labels.iter().enumerate().filter(|(_, label)| **label > 0) {
            places[label as usize - 1].push(((index / width) as f64, (index % width) as f64));
        }
        for lesion in places {
            let pixels = lesion.len() as f64;
            let centre = |of: fn(&(f64, f64)) -> f64| lesion.iter().map(of).sum::<f64>() / pixels + 0.5;
            self.row.push(centre(|place| place.0) / height as f64);
            self.column.push(centre(|place| place.1) / width as f64);
            self.area.push(pixels / mask.len() as f64);
            let [major, minor] = axes(&lesion);
            self.eccentricity.push(if major > 0.0 { (1.0 - (minor / major).powi(2)).max(0.0).sqrt() } else { 0.0 });
        }
    }

    /// The share of empty masks; `None` without masks.
    #[must_use]
    pub fn empty_rate(&self) -> Option<f64> {
        (self.masks > 0).then(|| self.empty as f64 / self.masks as f64)
    }
}

/// The distances between two sets of masks, each in the unit of the property; `None` if a set has no lesion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MaskRealism {
    /// The share of empty masks in the real set.
    pub real_empty_rate: Option<f64>,
    /// The share of empty masks in the generated set.
    pub generated_empty_rate: Option<f64>,
    /// The distance between the numbers of lesions in masks that are not empty.
    pub count: Option<f64>,
    /// The distance between areas, relative to the area of the image.
    pub area: Option<f64>,
    /// The distance between eccentricities.
    pub eccentricity: Option<f64>,
    /// The distance between rows, relative to the height.
    pub row: Option<f64>,
    /// The distance between columns, relative to the width.
    pub column: Option<f64>,
}

/// Compares generated masks with real ones.
#[must_use]
pub fn mask_realism(real: &LesionProperties, generated: &LesionProperties) -> MaskRealism {
    MaskRealism {
        real_empty_rate: real.empty_rate(),
        generated_empty_rate: generated.empty_rate(),
        count: wasserstein(&real.count, &generated.count),
        area: wasserstein(&real.area, &generated.area),
        eccentricity: wasserstein(&real.eccentricity, &generated.eccentricity),
        row: wasserstein(&real.row, &generated.row),
        column: wasserstein(&real.column, &generated.column),
    }
}

/// The first Wasserstein distance between two samples: the area between their distribution functions, in the unit of the values.
/// `None` if a sample is empty.
#[must_use]
pub fn wasserstein(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let step = |values: &[f64], share: f64| values.iter().map(|&value| (value, share)).collect::<Vec<_>>();
    let mut steps = [step(a, 1.0 / a.len() as f64), step(b, -1.0 / b.len() as f64)].concat();
    steps.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut gap, mut area) = (0.0_f64, 0.0);
    for two in steps.windows(2) {
        gap += two[0].1;
        area += gap.abs() * (two[1].0 - two[0].0);
    }
    Some(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_moves_by_its_length() {
        assert_eq!(wasserstein(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0]), Some(5.0));
        assert_eq!(wasserstein(&[1.0], &[]), None);
        assert_eq!(wasserstein(&[2.0, 2.0], &[2.0]), Some(0.0));
    }

    #[test]
    fn lesions_of_a_mask_are_described() {
        let mut found = LesionProperties::default();
        // A line of four pixels in the second row, and a single pixel in the last corner.
        let mask: Vec<bool> = (0..40).map(|i| (8..12).contains(&i) || i == 39).collect();
        found.add(&mask, 5, 8, Connectivity::Eight);
        found.add(&[false; 40], 5, 8, Connectivity::Eight);
        assert_eq!((found.masks, found.empty, found.empty_rate()), (2, 1, Some(0.5)));
        assert_eq!((&found.count[..], &found.area[..]), (&[2.0][..], &[0.1, 0.025][..]));
        assert_eq!((&found.row[..], &found.column[..]), (&[0.3, 0.9][..], &[0.25, 0.9375][..]));
        assert_eq!(found.eccentricity, [1.0, 0.0]);
        let same = mask_realism(&found, &found);
        assert_eq!((same.area, same.count, same.generated_empty_rate), (Some(0.0), Some(0.0), Some(0.5)));
        assert_eq!(mask_realism(&found, &LesionProperties::default()).row, None);
    }
}
