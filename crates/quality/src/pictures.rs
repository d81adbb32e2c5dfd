//! Pictures resized to the same size, so that they can be compared pixel by pixel.

use crate::Result;
use pig_data::{
    DataConfig,
    read::{ImageHeader, RawImage, RawMask, read_header, read_image, read_mask},
    resample::{fit_within, resize_image, resize_mask_area},
};
use rayon::prelude::*;
use std::path::PathBuf;

/// The common size of these pictures: the least number of rows and the least number of columns, reduced by one factor if the longer
/// side is above `longest`.
pub(crate) fn common_size<'a>(files: impl Iterator<Item = &'a PathBuf>, longest: usize) -> Result<[usize; 2]> {
    let files: Vec<&PathBuf> = files.collect();
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
pub(crate) fn mask_at(mut mask: RawMask, size: Option<[usize; 2]>) -> RawMask {
    if let Some([height, width]) = size {
        mask.data = resize_mask_area(&mask.data, [mask.height, mask.width], [height, width]);
        (mask.height, mask.width) = (height, width);
    }
    mask
}

/// Reads images as gray values from 0 to 1 at `size`.
pub(crate) fn gray(files: &[&PathBuf], size: [usize; 2]) -> Result<Vec<Vec<f32>>> {
    let of = |path: &&PathBuf| -> Result<Vec<f32>> {
        let image = read_image(path, 1)?;
        let scale = 1.0 / f32::from(image.maximum);
        let values: Vec<f32> = image.data.iter().map(|value| value * scale).collect();
        Ok(resize_image(&values, [image.height, image.width], size, 1))
    };
    files.par_iter().map(of).collect()
}

/// Reads masks at `size`; lesion pixels are true.
pub(crate) fn lesions(files: &[&PathBuf], size: [usize; 2], data: &DataConfig) -> Result<Vec<Vec<bool>>> {
    let of = |path: &&PathBuf| -> Result<Vec<bool>> {
        let mask = read_mask(path, data)?;
        let resized = resize_mask_area(&mask.data, [mask.height, mask.width], size);
        Ok(resized.into_iter().map(|value| value != 0).collect())
    };
    files.par_iter().map(of).collect()
}
