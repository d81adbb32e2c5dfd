//! Measures how similar the images of a set are to each other, and whether its masks are like real ones.

use crate::{
    Result,
    patients::of_images,
    pictures::{common_size, values},
};
use pig_data::{
    DataConfig, Source,
    folder::{Groups, Kind, has_masks},
    read::read_mask,
};
use pig_metrics::{
    bootstrap::group_ids,
    components::Connectivity,
    realism::{LesionProperties, MaskRealism, mask_realism},
    ssim::{Diversity, diversity},
};
use rayon::prelude::*;
use serde::Serialize;
use std::{fmt, path::PathBuf};

/// Longest side at which images are compared: the smallest for which MS-SSIM has all its scales.
const LONGEST: usize = 176;

/// The result; a field is `None` if it cannot be measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Appearance {
    /// How similar the images of each set are.
    pub diversity: Option<BothDiversities>,
    /// Whether the masks are like real ones.
    pub masks: Option<MaskRealism>,
}

/// How similar the images of each set are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BothDiversities {
    /// Measured on pairs of real images; of different patients, if patients are known.
    pub real: Option<Diversity>,
    /// Measured on pairs of generated images.
    pub generated: Option<Diversity>,
    /// Rows and columns to which all images were resized.
    pub size: [usize; 2],
}

/// Measures two folders; if `pairs` is 0, the images are not compared.
pub(crate) fn appearance(
    [real, generated]: [Source<'_>; 2],
    groups: Option<&Groups>,
    (pairs, seed): (usize, u64),
    data: &DataConfig,
) -> Result<Appearance> {
    Ok(Appearance {
        diversity: (pairs > 0).then(|| diversities([real, generated], groups, pairs, seed)).transpose()?,
        masks: if has_masks(real.folder)? && has_masks(generated.folder)? {
            Some(mask_realism(&properties(real, data)?, &properties(generated, data)?))
        } else {
            None
        },
    })
}

fn diversities(sources: [Source<'_>; 2], groups: Option<&Groups>, pairs: usize, seed: u64) -> Result<BothDiversities> {
    let [real, generated] = sources.map(|source| source.pictures(Kind::Images));
    let (real, generated) = (real?, generated?);
    let size = common_size(real.values().chain(generated.values()), LONGEST)?;
    let of = |files: Vec<&PathBuf>, groups: Option<&[usize]>| -> Result<Option<Diversity>> {
        let images = values(&files, size, 1)?;
        let images: Vec<&[f32]> = images.iter().map(Vec::as_slice).collect();
        Ok(diversity(&images, groups, size[0], size[1], pairs, seed))
    };
    let groups = of_images(groups, real.keys())?.map(|groups| group_ids(&groups));
    Ok(BothDiversities {
        real: of(real.values().collect(), groups.as_deref())?,
        generated: of(generated.values().collect(), None)?,
        size,
    })
}

fn properties(source: Source<'_>, data: &DataConfig) -> Result<LesionProperties> {
    let files = source.pictures(Kind::Masks)?;
    let masks = files.par_iter().map(|(_, path)| read_mask(path, data)).collect::<Result<Vec<_>, _>>()?;
    let mut found = LesionProperties::default();
    for mask in masks {
        let lesion: Vec<bool> = mask.data.iter().map(|&value| value != 0).collect();
        found.add(&lesion, mask.height, mask.width, Connectivity::default());
    }
    Ok(found)
}

impl fmt::Display for Appearance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(BothDiversities { real: Some(real), generated: Some(generated), size: [height, width] }) =
            &self.diversity
        {
            writeln!(
                f,
                "MS-SSIM between images: generated {:.4}, real {:.4} ({} pairs each at {height} x {width}, {} scales; lower is more diverse)",
                generated.mean, real.mean, real.pairs, real.scales
            )?;
        }
        let Some(masks) = &self.masks else { return Ok(()) };
        let percent = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{:.1} %", 100.0 * rate));
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
        writeln!(
            f,
            "empty masks: generated {}, real {}",
            percent(masks.generated_empty_rate),
            percent(masks.real_empty_rate)
        )?;
        writeln!(
            f,
            "Wasserstein distances of lesions: area {}, eccentricity {}, row {}, column {} (area, row and column as shares of the image), \
             count {}",
            number(masks.area),
            number(masks.eccentricity),
            number(masks.row),
            number(masks.column),
            number(masks.count)
        )
    }
}
