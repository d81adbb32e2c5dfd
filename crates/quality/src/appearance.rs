//! Measures how similar the images of a set are to each other, and whether its masks are like real ones.

use crate::{
    Result,
    masks::{FolderMasks, several},
    patients::of_images,
    pictures::{common_size, values},
};
use pig_data::{DataConfig, Source, folder::Groups};
use pig_metrics::{
    bootstrap::group_ids,
    components::Connectivity,
    realism::{LesionProperties, MaskRealism, mask_realism},
    ssim::{Diversity, diversity},
};
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
    /// The same of each class alone, if masks tell several apart: only its pixels are lesion.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassMasks>,
}

/// Whether the masks of one class are like real ones.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassMasks {
    /// The name of the class.
    pub class: String,
    /// The measures.
    pub masks: MaskRealism,
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
    let diversity = (pairs > 0).then(|| diversities([real, generated], groups, pairs, seed)).transpose()?;
    if !real.has_masks()? || !generated.has_masks()? {
        return Ok(Appearance { diversity, masks: None, classes: Vec::new() });
    }
    let names = several(data);
    let (real, generated) = (properties(real, data, names.len())?, properties(generated, data, names.len())?);
    let mut realism = real.iter().zip(&generated).map(|(real, generated)| mask_realism(real, generated));
    let masks = realism.next();
    let classes = names.into_iter().zip(realism).map(|(class, masks)| ClassMasks { class, masks }).collect();
    Ok(Appearance { diversity, masks, classes })
}

fn diversities(sources: [Source<'_>; 2], groups: Option<&Groups>, pairs: usize, seed: u64) -> Result<BothDiversities> {
    let [real, generated] = sources.map(Source::images);
    let (real, generated) = (real?, generated?);
    let size = common_size(real.values().chain(generated.values()).map(PathBuf::as_path), LONGEST)?;
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

/// The properties of lesions of whatever class, and then those of each of so many classes.
fn properties(source: Source<'_>, data: &DataConfig, classes: usize) -> Result<Vec<LesionProperties>> {
    let masks = FolderMasks::of(source, data)?;
    let read = masks.each(|mask| mask)?;
    let mut found = vec![LesionProperties::default(); classes + 1];
    for mask in read {
        for (index, found) in found.iter_mut().enumerate() {
            let pixels = masks.pixels(&mask.data, index.checked_sub(1));
            found.add(&pixels, mask.height, mask.width, Connectivity::default());
        }
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
        describe(masks, f)?;
        for ClassMasks { class, masks } in &self.classes {
            writeln!(f, "class {class}:")?;
            describe(masks, f)?;
        }
        Ok(())
    }
}

fn describe(masks: &MaskRealism, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
