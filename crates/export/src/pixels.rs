//! One pair in memory: its pixels as stored, its mask as 0 and 1 or as labels of classes, its text chunks, and its files' bytes.

use std::collections::BTreeMap;
use std::path::Path;

use pig_data::palette::DECLARING;
use pig_data::png_file::{encode_class_png, encode_png, read_png_text};
use pig_data::read::read_image;
use pig_data::{ClassConfig, DataConfig, DataError, Pixels};

use crate::error::{ExportError, Result};
use crate::pair::Pair;

/// A pair that was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// 1 or 3.
    pub(crate) channels: usize,
    /// Values of shape (height, width, channels).
    pub(crate) image: Pixels,
    /// Labels of shape (height, width): 0 background, 1 lesion, or those of the classes.
    pub(crate) mask: Vec<u8>,
    /// The image's text chunks.
    pub(crate) text: BTreeMap<String, String>,
    mask_text: BTreeMap<String, String>,
    /// The bytes of the image's file, if it is a PNG that every tool reads as these pixels.
    plain_image: Option<Vec<u8>>,
}

impl Loaded {
    /// Reads a pair with 1 or 3 channels.
    ///
    /// # Errors
    /// When a file cannot be read, or image and mask differ in size.
    pub(crate) fn read(pair: &Pair, channels: usize, config: &DataConfig) -> Result<Self> {
        let raw = read_image(&pair.image, channels)?;
        let mask = pair.mask.read(config)?;
        if (raw.width, raw.height) != (mask.width, mask.height) {
            return Err(ExportError::Data(DataError::SizeMismatch {
                image: pair.image.clone(),
                image_size: [raw.width, raw.height],
                mask: pair.mask.first.path.clone(),
                mask_size: [mask.width, mask.height],
            }));
        }
        let image = match raw.bit_depth() {
            // Stored values, or gray computed from them; only a conversion from colour gives fractional values.
            8 => Pixels::Eight(raw.data.iter().map(|&value| value.round() as u8).collect()),
            _ => Pixels::Sixteen(raw.data.iter().map(|&value| value.round() as u16).collect()),
        };
        Ok(Self {
            width: raw.width,
            height: raw.height,
            channels,
            image,
            mask: mask.data,
            text: text_of(&pair.image)?,
            mask_text: text_of(&pair.mask.first.path)?,
            plain_image: plain_png(&pair.image, channels)?,
        })
    }

    /// How many pixels are lesion.
    pub(crate) fn mask_pixels(&self) -> usize {
        self.mask.iter().filter(|&&value| value != 0).count()
    }

    /// The image as a PNG with its text chunks: the bytes of the source file if they can be kept.
    pub(crate) fn image_png(&self, path: &Path) -> Result<Vec<u8>> {
        match &self.plain_image {
            Some(bytes) => Ok(bytes.clone()),
            None => self.png(path, self.channels, &self.image, &self.text),
        }
    }

    /// The mask as a PNG with a palette of these classes, which may overlap, and with its text chunks.
    pub(crate) fn palette_png(&self, path: &Path, classes: (&[ClassConfig], bool)) -> Result<Vec<u8>> {
        // The names are written anew.
        let text: Vec<(&str, &str)> = self
            .mask_text
            .iter()
            .filter(|(key, _)| !DECLARING.contains(&key.as_str()))
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        Ok(encode_class_png(path, [self.height, self.width], &self.mask, classes, &text)?)
    }

    /// The labels as a gray PNG of 8 bit with its text chunks; a label is stored `value` times.
    pub(crate) fn mask_png(&self, path: &Path, value: u8) -> Result<Vec<u8>> {
        self.numbers_png(path, self.mask.iter().map(|&inside| inside * value).collect())
    }

    /// Numbers for the pixels of the mask as a gray PNG of 8 bit with the mask's text chunks.
    pub(crate) fn numbers_png(&self, path: &Path, numbers: Vec<u8>) -> Result<Vec<u8>> {
        let mask = Pixels::Eight(numbers);
        let mut text = self.mask_text.clone();
        text.retain(|key, _| !DECLARING.contains(&key.as_str()));
        self.png(path, 1, &mask, &text)
    }

    fn png(&self, path: &Path, channels: usize, pixels: &Pixels, text: &BTreeMap<String, String>) -> Result<Vec<u8>> {
        let text: Vec<(&str, &str)> = text.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        Ok(encode_png(path, [self.height, self.width], channels, pixels, &text)?)
    }
}

/// The text chunks of a PNG; empty for any other file.
pub(crate) fn text_of(path: &Path) -> Result<BTreeMap<String, String>> {
    match read_png_text(path) {
        Err(DataError::Unreadable { .. }) => Ok(BTreeMap::new()),
        other => Ok(other?),
    }
}

/// A file's bytes, if it is a gray or colour PNG of 8 or 16 bit with these channels and without transparency.
fn plain_png(path: &Path, channels: usize) -> Result<Option<Vec<u8>>> {
    let bytes = pig_files::read(path).map_err(ExportError::io(path, "read"))?;
    let plain = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().is_ok_and(|reader| {
        let info = reader.info();
        let colour = if channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb };
        let deep = matches!(info.bit_depth, png::BitDepth::Eight | png::BitDepth::Sixteen);
        info.color_type == colour && deep && info.trns.is_none()
    });
    Ok(plain.then_some(bytes))
}
