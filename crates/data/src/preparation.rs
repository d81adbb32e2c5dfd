//! Turns files into numbers (crop, resize, scale to [-1, 1]), and generated numbers back into pixels.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::colour;
use crate::config::{Crop, DataConfig, Intensity, MaskResize, Resize};
use crate::crop::Window;
use crate::discover::{Dataset, PairEntry};
use crate::error::{DataError, Result};
use crate::intensity::{Histogram, IntensityMap, to_unit};
use crate::placement::{Placement, offset};
use crate::prepared_set::PreparedSet;
use crate::read::{ImageHeader, RawImage, RawMask, read_header, read_image, read_mask};
use crate::remarks::exchanged;
use crate::resample::{fit_within, resize_image, resize_mask_area, resize_mask_nearest};

/// Everything that turns files into numbers and generated numbers into pixels. Stored with the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preparation {
    /// The configuration that it was fitted with; `channels` is a number.
    pub config: DataConfig,
    /// The measured map of raw values to [-1, 1].
    pub intensity: IntensityMap,
    /// Bits of the source images, and therefore of generated ones: 8 or 16.
    pub bit_depth: u8,
    /// How many training images were measured; 0 if nothing had to be measured.
    pub measured_images: usize,
}

/// Raw pixel values of a generated image, in the source's bit depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pixels {
    /// Values from 0 to 255.
    Eight(Vec<u8>),
    /// Values from 0 to 65535.
    Sixteen(Vec<u16>),
}

impl Pixels {
    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Eight(values) => values.len(),
            Self::Sixteen(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Preparation {
    /// Checks the headers of all pairs and measures the intensity map only on the pairs named in `training_ids`.
    ///
    /// # Errors
    /// When the configuration is invalid, a file cannot be read, an image and its mask differ in size, bit depths are
    /// mixed although one intensity range is used for all images, `training_ids` names unknown pairs, or the training
    /// pixels have no contrast.
    pub fn fit(dataset: &Dataset, training_ids: &[String], config: &DataConfig) -> Result<Self> {
        config.check()?;
        let (config, _) = colour::resolve(dataset, config)?;
        let training = training_pairs(dataset, training_ids)?;
        let headers = check_headers(dataset)?;
        let bit_depth = headers.iter().map(|header| header.bit_depth).max().unwrap_or(8);
        let chosen = match config.intensity {
            Intensity::Auto if bit_depth == 8 => Intensity::Dtype,
            Intensity::Auto => Intensity::DatasetPercentile,
            other => other,
        };
        if matches!(chosen, Intensity::DatasetPercentile | Intensity::Window) {
            one_depth(dataset, &headers, chosen)?;
        }
        let mut measured_images = 0;
        let intensity = match chosen {
            Intensity::DatasetPercentile => {
                measured_images = training.len();
                measure(dataset, &training, &config)?
            }
            Intensity::Window => {
                let (centre, width) =
                    (config.window_center.unwrap_or_default(), config.window_width.unwrap_or_default());
                IntensityMap::Window { low: centre - width / 2.0, high: centre + width / 2.0 }
            }
            Intensity::PerImage => IntensityMap::PerImage,
            Intensity::Auto | Intensity::Dtype => {
                IntensityMap::Dtype { maximum: if bit_depth == 16 { u16::MAX } else { 255 } }
            }
        };
        Ok(Self { config, intensity, bit_depth, measured_images })
    }

    /// Reads and prepares all pairs, in parallel and in the order of `dataset`. `progress` is called with the number of
    /// pairs done and the number of all pairs, from several threads.
    ///
    /// # Errors
    /// When a pair cannot be read or its image and mask differ in size; of several, the first in the order of the data.
    pub fn load(&self, dataset: &Dataset, progress: &(dyn Fn(usize, usize) + Sync)) -> Result<PreparedSet> {
        let total = dataset.pairs.len();
        let done = AtomicUsize::new(0);
        let prepared: Vec<Result<PreparedPair>> = dataset
            .pairs
            .par_iter()
            .map(|pair| {
                let prepared = self.load_pair(&pair.image, &pair.mask);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                prepared
            })
            .collect();
        let prepared = prepared.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(self.gather(dataset, &prepared))
    }

    /// The preparation of pairs that a model generated after training on data of this preparation: there is nothing to crop, because
    /// the training images were cropped; masks have two values; no patients are known; and if images were scaled one by one, generated
    /// ones fill the range of the pixel type.
    #[must_use]
    pub fn of_generated(&self) -> Self {
        let config = DataConfig {
            crop: Crop::None,
            mask_values: None,
            mask_threshold: None,
            group_column: None,
            ..self.config.clone()
        };
        let intensity = match self.intensity {
            IntensityMap::PerImage => IntensityMap::Dtype { maximum: self.maximum() },
            other => other,
        };
        Self { config, intensity, ..*self }
    }

    /// Prepares one pair.
    pub fn load_pair(&self, image_path: &Path, mask_path: &Path) -> Result<PreparedPair> {
        let (image, mask) = read_pair(image_path, mask_path, &self.config)?;
        let window = Window::of(&image, &mask, self.config.crop);
        self.check_slices(image_path, image.height)?;
        let mask_unit = self.fit_mask(&mask, window);
        let lesion_pixels = mask_unit.iter().filter(|&&value| value > 0.0).count();
        Ok(PreparedPair {
            image: self.fit_image(&image, window),
            mask: mask_unit,
            source_lesion_pixels: mask.lesion_pixels(),
            mostly_lesion: 2 * mask.lesion_pixels() > mask.data.len(),
            lesion_pixels,
            conversion: match (image.from_colour(), image.from_gray()) {
                (true, _) => Conversion::ToGray,
                (_, true) => Conversion::ToColour,
                _ => Conversion::None,
            },
            turned: image.turned,
        })
    }

    /// Refuses a picture whose height is not a multiple of the number of slices.
    fn check_slices(&self, path: &Path, height: usize) -> Result<()> {
        let slices = self.config.slices;
        if height.is_multiple_of(slices) {
            return Ok(());
        }
        Err(DataError::NotSlices { path: path.to_path_buf(), height, slices })
    }

    /// The part of an image in `window` at the prepared size, in [-1, 1]; each slice is resized separately.
    fn fit_image(&self, image: &RawImage, window: Window) -> Vec<f32> {
        let cut = |window: Window| window.cut(&image.data, image.width, image.channels);
        let range = self.range_of(image, &cut(window));
        let slice = |window: Window| {
            let fitted = self.fitted_size(window.size());
            let resized = resize_image(&cut(window), window.size(), fitted, image.channels);
            let unit = resized.into_iter().map(|raw| to_unit(raw, range)).collect();
            pad(unit, fitted, self.config.slice_size(), image.channels)
        };
        window.slices(self.config.slices).flat_map(slice).collect()
    }

    /// The part of a mask in `window` at the prepared size, as -1 and 1; each slice is resized separately.
    fn fit_mask(&self, mask: &RawMask, window: Window) -> Vec<f32> {
        let slice = |window: Window| {
            let (from, fitted) = (window.size(), self.fitted_size(window.size()));
            let pixels = window.cut(&mask.data, mask.width, 1);
            let binary = match self.config.mask_resize {
                MaskResize::AreaThreshold => resize_mask_area(&pixels, from, fitted),
                MaskResize::Nearest => resize_mask_nearest(&pixels, from, fitted),
            };
            let unit = binary.into_iter().map(|value| if value == 0 { -1.0 } else { 1.0 }).collect();
            pad(unit, fitted, self.config.slice_size(), 1)
        };
        window.slices(self.config.slices).flat_map(slice).collect()
    }

    /// Prepares an image without a mask (to generate masks for given images): shape (height, width, channels) in
    /// [-1, 1], as the image of a pair with an empty mask.
    pub fn load_image(&self, path: &Path) -> Result<Vec<f32>> {
        Ok(self.load_image_placed(path)?.0)
    }

    /// As [`Preparation::load_image`]; also returns the position of the prepared picture in the file's picture.
    pub fn load_image_placed(&self, path: &Path) -> Result<(Vec<f32>, Placement)> {
        let image = read_image(path, self.config.channels.count())?;
        let (found, expected) = (image.bit_depth(), self.bit_depth);
        let has_one_range =
            matches!(self.intensity, IntensityMap::DatasetPercentile { .. } | IntensityMap::Window { .. });
        if found != expected && has_one_range {
            return Err(DataError::OtherBitDepth { path: path.to_path_buf(), found, expected });
        }
        let (width, height) = (image.width, image.height);
        self.check_slices(path, height)?;
        let mask = RawMask { width, height, data: vec![0; width * height] };
        let window = Window::of(&image, &mask, self.config.crop);
        let fitted = self.fitted_size(window.size());
        let placement = Placement { source: [height, width], window, fitted, size: self.config.size };
        Ok((self.fit_image(&image, window), placement))
    }

    /// Prepares a mask without an image (to generate images for given masks): shape (height, width) of -1 and +1.
    /// Nothing is cropped, because blank borders are found in the image.
    pub fn load_mask(&self, path: &Path) -> Result<Vec<f32>> {
        let mask = read_mask(path, &self.config)?;
        self.check_slices(path, mask.height)?;
        Ok(self.fit_mask(&mask, Window::whole(mask.height, mask.width)))
    }

    /// An image in its own size as values in [-1, 1], in the range in which a network reads it.
    pub fn whole_image(&self, image: &RawImage) -> Vec<f32> {
        let range = self.range_of(image, &image.data);
        image.data.iter().map(|&raw| to_unit(raw, range)).collect()
    }

    /// Maps a raw value of a source image to [-1, 1], clipped to the range. With a per-image map, the range is that of
    /// the pixel type.
    pub fn to_unit(&self, raw: f32) -> f32 {
        to_unit(raw, self.output_range())
    }

    /// The raw value of a number in [-1, 1]: the inverse of [`Preparation::to_unit`], clipped to the pixel type.
    ///
    /// A per-image map has no inverse; [-1, 1] then maps to the whole range of the pixel type.
    pub fn from_unit(&self, unit: f32) -> f32 {
        let (low, high) = self.output_range();
        let raw = low + 0.5 * (f64::from(unit.clamp(-1.0, 1.0)) + 1.0) * (high - low);
        raw.clamp(0.0, f64::from(self.maximum())) as f32
    }

    /// Generated values in [-1, 1] as raw pixels in the source's bit depth, rounded to the nearest.
    pub fn encode(&self, unit: &[f32]) -> Pixels {
        let raw = unit.iter().map(|&value| self.from_unit(value).round());
        if self.bit_depth == 16 {
            Pixels::Sixteen(raw.map(|value| value as u16).collect())
        } else {
            Pixels::Eight(raw.map(|value| value as u8).collect())
        }
    }

    /// Values in [-1, 1] as bytes for display: -1 becomes 0 and +1 255 in each channel, whatever the range of the source.
    pub fn display(unit: &[f32]) -> Vec<u8> {
        unit.iter().map(|&value| ((value.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8).collect()
    }

    fn maximum(&self) -> u16 {
        if self.bit_depth == 16 { u16::MAX } else { 255 }
    }

    fn output_range(&self) -> (f64, f64) {
        self.intensity.range().unwrap_or((0.0, f64::from(self.maximum())))
    }

    /// The range for one image. With a map by data type, it ends at the maximum of the image's own bit depth.
    fn range_of(&self, image: &RawImage, pixels: &[f32]) -> (f64, f64) {
        match self.intensity {
            IntensityMap::Dtype { .. } => (0.0, f64::from(image.maximum)),
            IntensityMap::DatasetPercentile { low, high } | IntensityMap::Window { low, high } => (low, high),
            IntensityMap::PerImage => {
                let mut histogram = Histogram::new();
                histogram.add(pixels);
                histogram.percentile_range()
            }
        }
    }

    /// The size to which a picture, or a slice of it, is resized before padding.
    fn fitted_size(&self, from: [usize; 2]) -> [usize; 2] {
        let target = self.config.slice_size();
        match self.config.resize {
            Resize::Stretch => target,
            Resize::Pad => fit_within(from, target),
        }
    }

    fn gather(&self, dataset: &Dataset, prepared: &[PreparedPair]) -> PreparedSet {
        let [height, width] = self.config.size;
        let mut set = PreparedSet {
            size: self.config.size,
            slices: self.config.slices,
            channels: self.config.channels.count(),
            ids: dataset.ids(),
            groups: dataset.pairs.iter().map(|pair| pair.group.clone()).collect(),
            images: Vec::with_capacity(prepared.len() * height * width * self.config.channels.count()),
            masks: Vec::with_capacity(prepared.len() * height * width),
            vanished: Vec::new(),
            warnings: Vec::new(),
        };
        let (mut empty, mut full, mut covered, mut from_colour, mut from_gray, mut turned) = (0, 0, 0, 0, 0, 0);
        for (pair, id) in prepared.iter().zip(&set.ids) {
            set.images.extend_from_slice(&pair.image);
            set.masks.extend_from_slice(&pair.mask);
            empty += usize::from(pair.source_lesion_pixels == 0);
            full += usize::from(pair.mask.iter().all(|&value| value > 0.0));
            covered += usize::from(pair.mostly_lesion);
            from_colour += usize::from(pair.conversion == Conversion::ToGray);
            from_gray += usize::from(pair.conversion == Conversion::ToColour);
            turned += usize::from(pair.turned);
            if pair.source_lesion_pixels > 0 && pair.lesion_pixels == 0 {
                set.vanished.push(id.clone());
            }
        }
        let total = prepared.len();
        let mut warn = |count: usize, text: &str| {
            if count > 0 {
                set.warnings.push(format!("{count} of {total} {text}"));
            }
        };
        warn(
            from_colour,
            "images are in colour and were reduced to gray by Rec. 601 luma (data.channels = 1); data.channels = 3 keeps the colour.",
        );
        warn(from_gray, "images are gray and were copied to three channels (data.channels = 3).");
        warn(turned, "images carry an orientation tag and were turned as it says.");
        warn(set.vanished.len(), "masks have lesion in the file but none at this size; raise data.size.");
        let swapped = exchanged(covered, total - empty, "data");
        if swapped.is_none() {
            warn(full, "masks cover the whole image; check that lesion and background are not swapped.");
        }
        if empty == total {
            warn(empty, "masks are empty: nothing can be learnt about lesions. Check data.mask_values.");
        }
        set.warnings.extend(swapped);
        set
    }
}

/// How the number of channels of a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// It stayed.
    None,
    /// Colour was reduced to gray.
    ToGray,
    /// Gray was copied to three channels.
    ToColour,
}

/// One prepared pair.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedPair {
    /// The image of shape (height, width, channels) in [-1, 1].
    pub image: Vec<f32>,
    /// The mask of shape (height, width): -1 background, +1 lesion.
    pub mask: Vec<f32>,
    /// Lesion pixels in the file.
    pub source_lesion_pixels: usize,
    /// Whether lesion covers more than half of the mask in the file.
    pub mostly_lesion: bool,
    /// Lesion pixels after resizing.
    pub lesion_pixels: usize,
    /// How the number of channels changed.
    pub conversion: Conversion,
    /// Whether an orientation tag turned or mirrored the image.
    pub turned: bool,
}

fn training_pairs<'a>(dataset: &'a Dataset, training_ids: &[String]) -> Result<Vec<&'a PairEntry>> {
    let wanted: HashSet<&str> = training_ids.iter().map(String::as_str).collect();
    let found: Vec<_> = dataset.pairs.iter().filter(|pair| wanted.contains(pair.id.as_str())).collect();
    if found.len() == wanted.len() && !found.is_empty() {
        return Ok(found);
    }
    let problem = format!("{} of {} training pair(s) are in the data", found.len(), wanted.len());
    Err(DataError::BadSplit { path: dataset.root.clone(), problem })
}

/// Reads the headers of all images and masks and checks that image and mask of each pair have the same size.
fn check_headers(dataset: &Dataset) -> Result<Vec<ImageHeader>> {
    let check = |pair: &PairEntry| {
        let (image, mask) = (read_header(&pair.image)?, read_header(&pair.mask)?);
        same_size(&pair.image, [image.width, image.height], &pair.mask, [mask.width, mask.height])?;
        Ok(image)
    };
    let headers: Vec<Result<ImageHeader>> = dataset.pairs.par_iter().map(check).collect();
    headers.into_iter().collect()
}

fn same_size(image: &Path, image_size: [usize; 2], mask: &Path, mask_size: [usize; 2]) -> Result<()> {
    if image_size == mask_size {
        return Ok(());
    }
    Err(DataError::SizeMismatch { image: image.to_path_buf(), image_size, mask: mask.to_path_buf(), mask_size })
}

fn one_depth(dataset: &Dataset, headers: &[ImageHeader], intensity: Intensity) -> Result<()> {
    let first_of = |bits: u8| headers.iter().position(|header| header.bit_depth == bits);
    let (Some(low), Some(high)) = (first_of(8), first_of(16)) else { return Ok(()) };
    Err(DataError::MixedBitDepth {
        first: dataset.pairs[low].image.clone(),
        first_bits: 8,
        second: dataset.pairs[high].image.clone(),
        second_bits: 16,
        intensity: intensity.word(),
    })
}

fn read_pair(image_path: &Path, mask_path: &Path, config: &DataConfig) -> Result<(RawImage, RawMask)> {
    let image = read_image(image_path, config.channels.count())?;
    let mask = read_mask(mask_path, config)?;
    same_size(image_path, [image.width, image.height], mask_path, [mask.width, mask.height])?;
    Ok((image, mask))
}

/// The percentiles of all pixels of the training pairs, after the crop.
fn measure(dataset: &Dataset, training: &[&PairEntry], config: &DataConfig) -> Result<IntensityMap> {
    let add = |mut histogram: Histogram, pair: &&PairEntry| -> Result<Histogram> {
        let image = if config.crop == Crop::None {
            read_image(&pair.image, config.channels.count())?.data
        } else {
            let (image, mask) = read_pair(&pair.image, &pair.mask, config)?;
            Window::of(&image, &mask, config.crop).cut(&image.data, image.width, image.channels)
        };
        histogram.add(&image);
        Ok(histogram)
    };
    let histogram = training
        .par_iter()
        .try_fold(Histogram::new, add)
        .try_reduce(Histogram::new, |left, right| Ok(left.merge(&right)))?;
    let (low, high) = histogram.percentile_range();
    if high <= low {
        return Err(DataError::NoContrast { path: dataset.root.clone(), pixels: histogram.total(), value: low });
    }
    Ok(IntensityMap::DatasetPercentile { low, high })
}

/// Centres values of shape (`from[0]`, `from[1]`, channels) on a background of -1 with the size `to`.
fn pad(values: Vec<f32>, from: [usize; 2], to: [usize; 2], channels: usize) -> Vec<f32> {
    if from == to {
        return values;
    }
    let mut padded = vec![-1.0; to[0] * to[1] * channels];
    let [top, left] = offset(from, to);
    for (row, line) in values.chunks_exact(from[1] * channels).enumerate() {
        let start = ((top + row) * to[1] + left) * channels;
        padded[start..start + line.len()].copy_from_slice(line);
    }
    padded
}
