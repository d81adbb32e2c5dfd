//! Pictures resized to the same size, so that they can be compared pixel by pixel.

use crate::{Result, masks::FolderMasks};
use pig_data::{
    classes::Coding,
    colour::Colours,
    read::{ImageHeader, RawImage, RawMask, read_header, read_image},
    resample::{fit_within, resize_image, resize_labels_area},
};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// The common size of these pictures: the least number of rows and the least number of columns, reduced by one factor if the longer
/// side is above `longest`.
pub(crate) fn common_size<'a>(files: impl Iterator<Item = &'a Path>, longest: usize) -> Result<[usize; 2]> {
    let files: Vec<&Path> = files.collect();
    let headers = files.par_iter().map(|path| read_header(path)).collect::<Result<Vec<_>, _>>()?;
    let least = |of: fn(&ImageHeader) -> usize| headers.iter().map(of).min().unwrap_or(1);
    let size = [least(|header| header.height), least(|header| header.width)];
    Ok(if size[0].max(size[1]) > longest { fit_within(size, [longest; 2]) } else { size })
}

/// An image at `size`, if one is given.
pub(crate) fn image_at(mut image: RawImage, size: Option<[usize; 2]>) -> RawImage {
    if let Some([height, width]) = size {
        image.data = resize_image(&image.data, [image.height, image.width], [height, width], image.channels);
        (image.height, image.width) = (height, width);
    }
    image
}

/// A mask at `size`, if one is given.
pub(crate) fn mask_at(mut mask: RawMask, size: Option<[usize; 2]>, coding: Coding) -> RawMask {
    if let Some([height, width]) = size {
        mask.data = resize_labels_area(&mask.data, [mask.height, mask.width], [height, width], coding);
        (mask.height, mask.width) = (height, width);
    }
    mask
}

/// Reads images with 1 or 3 channels as values from 0 to 1 at `size`.
pub(crate) fn values(files: &[&PathBuf], size: [usize; 2], channels: usize) -> Result<Vec<Vec<f32>>> {
    let of = |path: &&PathBuf| -> Result<Vec<f32>> {
        let image = read_image(path, channels)?;
        let scale = 1.0 / f32::from(image.maximum);
        let values: Vec<f32> = image.data.iter().map(|value| value * scale).collect();
        Ok(resize_image(&values, [image.height, image.width], size, channels))
    };
    files.par_iter().map(of).collect()
}

/// A warning about named sets of images of which some are in colour and others gray: then their distances measure the colour.
pub(crate) fn unlike_colours(sets: &[(&str, Colours)]) -> Option<String> {
    let are_mixed = sets.iter().any(|(_, colours)| colours.are_mixed());
    let kinds: Vec<usize> = sets.iter().map(|(_, colours)| colours.lossless_channels()).collect();
    if !are_mixed && kinds.windows(2).all(|pair| pair[0] == pair[1]) {
        return None;
    }
    let told = |(name, Colours { coloured, total }): &(&str, Colours)| format!("{coloured} of {total} {name} images");
    let told: Vec<String> = sets.iter().map(told).collect();
    Some(format!(
        "{} are in colour, the others are gray: distances between them measure the colour, too; compare images of one kind",
        told.join(" and ")
    ))
}

/// Reads masks at `size`; pixels of the class, or of lesion, are true.
pub(crate) fn lesions(masks: &FolderMasks, size: [usize; 2], class: Option<usize>) -> Result<Vec<Vec<bool>>> {
    masks.each(|mask| masks.pixels(&mask_at(mask, Some(size), masks.data().coding()).data, class))
}
