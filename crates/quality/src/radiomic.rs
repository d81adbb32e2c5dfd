//! Radiomic features of a folder's images, which need no network.

use crate::{
    Error, Result,
    masks::FolderMasks,
    pictures::{image_at, mask_at},
};
use pig_data::{DataConfig, DataError, Source, read::read_image};
use pig_metrics::{
    comparison::Extractor,
    features::Features,
    radiomics::{Discretisation, STANDARDISED_LIMIT, names, radiomics, without_shape},
};
use rayon::prelude::*;
use std::path::Path;

/// The pixels from which features are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// The whole image; shape features are left out, because the shape of an image says nothing.
    WholeImage,
    /// The pixels of the mask; images with an empty mask are left out and counted.
    Lesions,
    /// The same of the pixels of one class, counted from 0.
    Class(usize),
}

/// The features of a folder's images.
pub(crate) struct Extracted {
    /// Stems of the images that have features.
    pub(crate) ids: Vec<String>,
    pub(crate) features: Features,
    /// Number of images without features: those with an empty mask, or only lesions of single pixels.
    pub(crate) left_out: usize,
}

/// Describes the features that were kept, of pictures that are resized to `size` first if one is given. There are no weights, so the hash is that of the features' definition.
pub(crate) fn extractor(region: Region, kept: &[usize], size: Option<[usize; 2]>) -> Extractor {
    let Discretisation { levels, low, high } = Discretisation::default();
    let of = match region {
        Region::Lesions | Region::Class(_) => "lesions",
        Region::WholeImage => "whole images",
    };
    let (all, positions) = (names(), positions(region));
    let chosen: Vec<&str> = kept.iter().map(|&at| all[positions[at]].as_str()).collect();
    let definition = format!("{of}\n{levels} {low} {high} {STANDARDISED_LIMIT}\n{}", chosen.join("\n"));
    let resized =
        size.map_or("not resized".to_owned(), |[height, width]| format!("resized to {width} x {height} pixels"));
    Extractor {
        name: format!("IBSI radiomics of {of}"),
        hash: pig_files::sha256(definition.as_bytes()),
        preprocessing: format!(
            "{resized}, gray by luma, the pixel type's range mapped to {low}..{high}, {levels} gray levels; features standardised \
             by the reference's mean and standard deviation, clipped at {STANDARDISED_LIMIT} standard deviations, constant ones left out"
        ),
    }
}

/// Positions of the features that are compared.
pub(crate) fn positions(region: Region) -> Vec<usize> {
    match region {
        Region::WholeImage => without_shape(),
        Region::Lesions | Region::Class(_) => (0..names().len()).collect(),
    }
}

/// The features of a folder's images, resized to `size` if one is given; of lesions, the folder must contain masks too. `data` names their
/// classes.
pub(crate) fn extract(
    source: Source<'_>,
    region: Region,
    size: Option<[usize; 2]>,
    data: &DataConfig,
) -> Result<Extracted> {
    let images = source.images()?;
    let class = match region {
        Region::Class(class) => Some(class),
        Region::Lesions | Region::WholeImage => None,
    };
    let masks = match region {
        Region::Lesions | Region::Class(_) => Some((FolderMasks::of(source, data)?, class)),
        Region::WholeImage => None,
    };
    let found: Vec<(String, Option<Vec<f64>>)> = images
        .par_iter()
        .map(|(id, path)| Ok((id.clone(), of_image(id, path, masks.as_ref(), size)?)))
        .collect::<Result<_>>()?;
    let total = found.len();
    let (ids, vectors): (Vec<String>, Vec<Vec<f64>>) =
        found.into_iter().filter_map(|(id, vector)| Some((id, vector?))).unzip();
    if ids.len() < 2 {
        return Err(Error::TooFewWithFeatures { path: source.folder.to_owned(), found: ids.len(), total });
    }
    let left_out = total - ids.len();
    let positions = positions(region);
    let values = vectors.iter().flat_map(|vector| positions.iter().map(|&at| vector[at])).collect();
    Ok(Extracted { ids, features: Features::new(values, positions.len())?, left_out })
}

fn of_image(
    id: &str,
    path: &Path,
    masks: Option<&(FolderMasks, Option<usize>)>,
    size: Option<[usize; 2]>,
) -> Result<Option<Vec<f64>>> {
    let stored = read_image(path, 1)?;
    let stored_size = [stored.width, stored.height];
    let image = image_at(stored, size);
    let scale = 1.0 / f32::from(image.maximum);
    let values: Vec<f32> = image.data.iter().map(|value| value * scale).collect();
    let region = match masks {
        None => vec![true; values.len()],
        Some((masks, class)) => {
            let expected = "a mask with the same stem".to_owned();
            let missing = || DataError::MissingMask { image: path.to_path_buf(), expected, count: 1 };
            let (mask, file) = masks.read(id)?.zip(masks.file(id)).ok_or_else(missing)?;
            let mask_size = [mask.width, mask.height];
            if stored_size != mask_size {
                let (image, mask) = (path.to_path_buf(), file.to_path_buf());
                return Err(DataError::SizeMismatch { image, image_size: stored_size, mask, mask_size }.into());
            }
            masks.pixels(&mask_at(mask, size, masks.data().coding()).data, *class)
        }
    };
    Ok(radiomics(&values, &region, image.height, image.width, &Discretisation::default()))
}
