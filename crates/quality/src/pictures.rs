//! Pictures resized to the same size, so that they can be compared pixel by pixel.

use crate::{Error, Result, masks::FolderMasks};
use pig_data::{
    Source,
    classes::Coding,
    colour::Colours,
    read::{ImageHeader, RawImage, RawMask, read_header, read_image},
    remarks::USED_BITS,
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

/// A warning about the 16-bit images of a folder if they leave a bit unused, as those of 10 and 12 bits do: Inception sees images with 8 bits
/// of the whole range, so that these are nearly black to it.
///
/// # Errors
/// When the folder or an image cannot be read.
pub fn unused_bits(source: Source<'_>) -> Result<Option<String>> {
    let files: Vec<PathBuf> = source.images()?.into_values().collect();
    let headers: Vec<ImageHeader> = files.par_iter().map(|path| read_header(path)).collect::<Result<_, _>>()?;
    let wide = files.iter().zip(headers).filter(|(_, header)| header.bit_depth == 16).map(|(path, _)| path);
    let wide: Vec<&PathBuf> = wide.collect();
    // Features were made of these pictures already: the first one that uses its bits ends this, so that few are decoded twice.
    let greatest = |path: &&PathBuf| -> Result<f32, Option<Error>> {
        let image = read_image(path, 1).map_err(|error| Some(Error::from(error)))?;
        let high = image.data.into_iter().fold(0.0, f32::max);
        if f64::from(high) < USED_BITS { Ok(high) } else { Err(None) }
    };
    let found: Result<f32, Option<Error>> = wide.par_iter().map(greatest).try_reduce(|| 0.0, |a, b| Ok(a.max(b)));
    let high = match found {
        Ok(high) if !wide.is_empty() => high,
        Ok(_) | Err(None) => return Ok(None),
        Err(Some(error)) => return Err(error),
    };
    Ok(Some(format!(
        "{}: {} image(s) have 16 bits, but no value above {high}: Inception sees 8 of the 16 bits, so they are nearly black to it, at most {:.0} \
         of 255, and distances are smaller than those of the pictures that people see; `pig prepare` makes pictures of the whole range, to \
         train with and to compare",
        source.folder.display(),
        wide.len(),
        high * 255.0 / f32::from(u16::MAX),
    )))
}

/// Reads masks at `size`; pixels of the class, or of lesion, are true.
pub(crate) fn lesions(masks: &FolderMasks, size: [usize; 2], class: Option<usize>) -> Result<Vec<Vec<bool>>> {
    masks.each(|mask| masks.pixels(&mask_at(mask, Some(size), masks.data().coding()).data, class))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pig_data::{DataConfig, png_file::write_gray_png, preparation::Pixels};

    #[test]
    fn images_of_12_bits_in_16_are_told() {
        let (folder, data) = (tempfile::tempdir().unwrap(), DataConfig::default());
        let write = |name: &str, pixels| write_gray_png(&folder.path().join(name), 2, 1, &pixels, &[]).unwrap();
        let told = || unused_bits(Source::all(folder.path(), &data)).unwrap();
        write("a.png", Pixels::Eight(vec![0, 255]));
        assert_eq!(told(), None);
        write("b.png", Pixels::Sixteen(vec![0, 4095]));
        write("c.png", Pixels::Sixteen(vec![7, 900]));
        let text = told().unwrap();
        assert!(text.contains("2 image(s) have 16 bits, but no value above 4095"), "{text}");
        assert!(text.contains("at most 16 of 255"), "{text}");
        write("c.png", Pixels::Sixteen(vec![7, 40_000]));
        assert_eq!(told(), None);
    }
}
