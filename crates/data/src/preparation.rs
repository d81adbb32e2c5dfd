//! Turns files into numbers (crop, resize, scale to [-1, 1]), and generated numbers back into pixels.

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::case_mask::CaseMask;
use crate::classes::channels_held;
use crate::columns::PairEntry;
use crate::config::{Crop, DataConfig, Intensity, MaskResize, MaskValue, Resize};
use crate::crop::Window;
use crate::discover::Dataset;
use crate::error::{DataError, Result};
use crate::intensity::{Histogram, IntensityMap, to_unit};
use crate::pairs::record::{Conversion, Facts, Fitted, FittedPair, Shape};
use crate::placement::{Placement, pad};
use crate::read::{ImageHeader, RawImage, RawMask, Taken, read_header, read_image, read_mask};
use crate::resample::{fit_within, resize_image, resize_labels_area, resize_mask_nearest};
use crate::split_error::SplitError;
use crate::{class_source, colour};

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
        let (config, _) = class_source::resolve(dataset, &config)?;
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

    /// The form of the pairs.
    pub(crate) fn shape(&self) -> Shape {
        let DataConfig { size, slices, channels, .. } = &self.config;
        Shape { size: *size, slices: *slices, channels: channels.count(), classes: self.config.mask_channels() }
    }

    /// The preparation of pairs that a model generated after training on data of this preparation: there is nothing to crop, because
    /// the training images were cropped; masks have two values, or name their classes; no patients are known; and if images were scaled
    /// one by one, generated ones fill the range of the pixel type.
    #[must_use]
    pub fn of_generated(&self) -> Self {
        // A class alone is written as a mask of two values.
        let classes = if self.config.has_several_classes() { self.config.classes.clone() } else { Vec::new() };
        let config = DataConfig {
            crop: Crop::None,
            mask_values: None,
            mask_threshold: None,
            classes,
            classes_overlap: self.config.coding().overlap,
            group_column: None,
            class_column: None,
            ..self.config.clone()
        };
        let intensity = match self.intensity {
            IntensityMap::PerImage => IntensityMap::Dtype { maximum: self.maximum() },
            other => other,
        };
        Self { config, intensity, ..*self }
    }

    /// Prepares one pair, up to the map of intensities.
    pub(crate) fn fit_pair(&self, pair: &PairEntry) -> Result<FittedPair> {
        let (image, mask) = read_pair(pair, &self.config)?;
        let window = Window::of(&image, &mask, self.config.crop);
        self.check_slices(&pair.image, image.height)?;
        let (fitted, lesion_pixels) = (self.fit_mask(&mask, window), mask.lesion_pixels());
        let facts = Facts {
            lesion_in_file: lesion_pixels > 0,
            mostly_lesion: 2 * lesion_pixels > mask.data.len(),
            lesion: fitted.iter().any(|&value| value > 0.0),
            full: fitted.chunks_exact(self.config.mask_channels()).all(|pixel| pixel.iter().any(|&value| value > 0.0)),
            conversion: match (image.from_colour(), image.from_gray()) {
                (true, _) => Conversion::ToGray,
                (_, true) => Conversion::ToColour,
                _ => Conversion::None,
            },
            turned: image.turned,
            other_values: lesion_pixels == 0 && mask.holds_values && self.names_values(),
            other_order: mask.taken.map(|taken| taken == Taken::Indices),
            classes: [self.config.coding().held(&mask.data), channels_held(&fitted, self.config.mask_channels())],
        };
        Ok(FittedPair { image: self.fit_image(&image, window), mask: fitted, facts })
    }

    /// Whether the settings name the values that mean lesion.
    fn names_values(&self) -> bool {
        let DataConfig { mask_values, mask_threshold, .. } = &self.config;
        // Where 0 is lesion, a mask of another value alone is an empty one.
        mask_values.as_ref().map_or(mask_threshold.is_some(), |values| !values.0.contains(&MaskValue::Gray(0)))
    }

    /// Refuses a picture of another bit depth where one range of intensities was measured for all.
    pub(crate) fn check_depth(&self, path: &Path, found: u8) -> Result<()> {
        let expected = self.bit_depth;
        let has_one_range =
            matches!(self.intensity, IntensityMap::DatasetPercentile { .. } | IntensityMap::Window { .. });
        if found != expected && has_one_range {
            return Err(DataError::OtherBitDepth { path: path.to_path_buf(), found, expected });
        }
        Ok(())
    }

    /// Refuses a picture whose height is not a multiple of the number of slices.
    fn check_slices(&self, path: &Path, height: usize) -> Result<()> {
        let slices = self.config.slices;
        if height.is_multiple_of(slices) {
            return Ok(());
        }
        Err(DataError::NotSlices { path: path.to_path_buf(), height, slices })
    }

    /// The range of one image, if its own range counts: that of these pixels with a map by image, else that of its type.
    fn own_range(&self, image: &RawImage, pixels: &[f32]) -> (f64, f64) {
        if self.intensity != IntensityMap::PerImage {
            return (0.0, f64::from(image.maximum));
        }
        let mut histogram = Histogram::new();
        histogram.add(pixels);
        histogram.percentile_range()
    }

    /// The part of an image in `window` at the prepared size, in raw values; each slice is resized separately.
    fn fit_image(&self, image: &RawImage, window: Window) -> Fitted {
        let cut = |window: Window| window.cut(&image.data, image.width, image.channels);
        let range = self.own_range(image, &cut(window));
        let resized =
            |slice: Window| resize_image(&cut(slice), slice.size(), self.fitted_size(slice.size()), image.channels);
        let slices: Vec<Window> = window.slices(self.config.slices).collect();
        let size = self.fitted_size(slices.first().unwrap_or(&window).size());
        Fitted { values: slices.into_iter().flat_map(resized).collect(), size, range }
    }

    /// The part of a mask in `window` at the prepared size, as -1 and 1 for each class; each slice is resized separately.
    fn fit_mask(&self, mask: &RawMask, window: Window) -> Vec<f32> {
        let coding = self.config.coding();
        let slice = |window: Window| {
            let (from, fitted) = (window.size(), self.fitted_size(window.size()));
            let pixels = window.cut(&mask.data, mask.width, 1);
            let labels = match self.config.mask_resize {
                MaskResize::AreaThreshold => resize_labels_area(&pixels, from, fitted, coding),
                MaskResize::Nearest => resize_mask_nearest(&pixels, from, fitted),
            };
            pad(coding.channels(&labels), fitted, self.config.slice_size(), coding.classes)
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
        self.check_depth(path, image.bit_depth())?;
        let (width, height) = (image.width, image.height);
        self.check_slices(path, height)?;
        let mask = empty_mask(&image);
        let window = Window::of(&image, &mask, self.config.crop);
        let fitted = self.fitted_size(window.size());
        let placement = Placement { source: [height, width], window, fitted, size: self.config.size };
        Ok((self.fit_image(&image, window).unit(self.shape(), self.intensity), placement))
    }

    /// Prepares a mask without an image (to generate images for given masks): shape (height, width, classes) of -1 and +1.
    /// Nothing is cropped, because blank borders are found in the image.
    pub fn load_mask(&self, path: &Path) -> Result<Vec<f32>> {
        let mask = read_mask(path, &self.config)?;
        self.check_slices(path, mask.height)?;
        Ok(self.fit_mask(&mask, Window::whole(mask.height, mask.width)))
    }

    /// An image in its own size as values in [-1, 1], in the range in which a network reads it.
    pub fn whole_image(&self, image: &RawImage) -> Vec<f32> {
        let range = self.intensity.range_of(self.own_range(image, &image.data));
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

    /// The size to which a picture, or a slice of it, is resized before padding.
    fn fitted_size(&self, from: [usize; 2]) -> [usize; 2] {
        let target = self.config.slice_size();
        match self.config.resize {
            Resize::Stretch => target,
            Resize::Pad => fit_within(from, target),
        }
    }
}

fn training_pairs<'a>(dataset: &'a Dataset, training_ids: &[String]) -> Result<Vec<&'a PairEntry>> {
    let wanted: HashSet<&str> = training_ids.iter().map(String::as_str).collect();
    let found: Vec<_> = dataset.pairs.iter().filter(|pair| wanted.contains(pair.id.as_str())).collect();
    if found.len() == wanted.len() && !found.is_empty() {
        return Ok(found);
    }
    let problem = format!("{} of {} training pair(s) are in the data", found.len(), wanted.len());
    Err(SplitError::Unfit { path: dataset.root.clone(), problem }.into())
}

/// Reads the headers of all images and masks and checks that image and mask of each pair have the same size.
fn check_headers(dataset: &Dataset) -> Result<Vec<ImageHeader>> {
    let check = |pair: &PairEntry| {
        let image = read_header(&pair.image)?;
        for path in pair.mask.iter().flat_map(CaseMask::paths) {
            let mask = read_header(path)?;
            same_size(&pair.image, [image.width, image.height], path, [mask.width, mask.height])?;
        }
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

/// The image and the mask of a pair; an image without a mask has an empty one.
fn read_pair(pair: &PairEntry, config: &DataConfig) -> Result<(RawImage, RawMask)> {
    let image = read_image(&pair.image, config.channels.count())?;
    let Some(files) = &pair.mask else {
        let mask = empty_mask(&image);
        return Ok((image, mask));
    };
    let mask = files.read(config)?;
    same_size(&pair.image, [image.width, image.height], &files.first.path, [mask.width, mask.height])?;
    Ok((image, mask))
}

fn empty_mask(image: &RawImage) -> RawMask {
    let (width, height) = (image.width, image.height);
    RawMask { width, height, data: vec![0; width * height], holds_values: false, taken: None }
}

/// The percentiles of all pixels of the training pairs, after the crop.
fn measure(dataset: &Dataset, training: &[&PairEntry], config: &DataConfig) -> Result<IntensityMap> {
    let add = |mut histogram: Histogram, pair: &&PairEntry| -> Result<Histogram> {
        let image = if config.crop == Crop::None {
            read_image(&pair.image, config.channels.count())?.data
        } else {
            let (image, mask) = read_pair(pair, config)?;
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
