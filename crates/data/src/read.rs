//! Reading image and mask files: PNG, JPEG, TIFF and BMP, 8 and 16 bit, gray or colour.
//!
//! The format is recognised by the content, not by the name. Values are returned as stored, without gamma or colour
//! profile; an orientation tag is not applied; a TIFF with several pages is refused. An alpha channel that is opaque
//! everywhere is dropped; any other is refused, because what such a file shows depends on the viewer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::config::{DataConfig, MaskValue};
use crate::error::{DataError, Result};

/// The greatest number of pixels that a file may have: 2^27, about four times as many as the largest mammograms.
pub const MAX_PIXELS: u64 = 1 << 27;

/// The memory that one decoder may use: twice that of `MAX_PIXELS` pixels with four 16-bit channels.
const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 16;

/// How many of a mask's values an error lists.
const LISTED_VALUES: usize = 16;

/// How many different values of a mask are counted separately.
const COUNTED_VALUES: usize = 256;

/// Rec. 601 luma weights of red, green and blue. JPEG and most image libraries use them to convert to gray.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// An image as stored, before any scaling.
#[derive(Debug, Clone, PartialEq)]
pub struct RawImage {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// 1 or 3, as requested.
    pub channels: usize,
    /// The greatest value of the pixel type: 255 or 65535.
    pub maximum: u16,
    /// Whether a colour file was reduced to gray by luma.
    pub from_colour: bool,
    /// Raw values of shape (height, width, channels), from 0 to `maximum`.
    pub data: Vec<f32>,
}

impl RawImage {
    /// Bits per channel: 8 or 16.
    pub fn bit_depth(&self) -> u8 {
        if self.maximum > 255 { 16 } else { 8 }
    }

    /// The values in 8 bits, rounded.
    pub fn to_8_bits(&self) -> Vec<u8> {
        let scale = 255.0 / f32::from(self.maximum);
        self.data.iter().map(|value| (value * scale).round() as u8).collect()
    }
}

/// A binary mask at the file's resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMask {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Values of shape (height, width): 0 background, 1 lesion.
    pub data: Vec<u8>,
}

impl RawMask {
    /// How many pixels are lesion.
    pub fn lesion_pixels(&self) -> usize {
        self.data.iter().filter(|&&value| value != 0).count()
    }
}

/// What a file's header says, without decoding its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageHeader {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Bits per channel: 8 or 16.
    pub bit_depth: u8,
    /// Whether the file has colour channels (which may still hold gray values).
    pub colour: bool,
}

/// Reads size and pixel type from a file's header.
///
/// # Errors
/// When the file cannot be opened, is not an image, is larger than [`MAX_PIXELS`] or has floating-point pixels.
pub fn read_header(path: &Path) -> Result<ImageHeader> {
    let decoder = open(path)?;
    let (width, height) = decoder.dimensions();
    let colour_type = decoder.color_type();
    let bytes = colour_type.bytes_per_pixel() / colour_type.channel_count();
    if bytes > 2 {
        return Err(DataError::UnsupportedPixels { path: path.to_path_buf(), found: format!("{colour_type:?}") });
    }
    Ok(ImageHeader {
        width: width as usize,
        height: height as usize,
        bit_depth: bytes * 8,
        colour: colour_type.has_color(),
    })
}

/// Reads an image with `channels` (1 or 3) channels.
///
/// With 3 channels, the values of a gray file are copied to each channel. With 1 channel, a colour file whose channels
/// are equal is read as gray; any other is reduced by Rec. 601 luma (0.299 R + 0.587 G + 0.114 B of the stored values),
/// and `from_colour` is set.
///
/// # Errors
/// When the file cannot be opened or decoded, is larger than [`MAX_PIXELS`], has floating-point pixels, or is not
/// opaque.
pub fn read_image(path: &Path, channels: usize) -> Result<RawImage> {
    let decoded = decode(path)?;
    let coloured = decoded.channels == 3 && !decoded.is_gray();
    let data = match (decoded.channels, channels) {
        (3, 1) if coloured => {
            let luma = |p: &[u16]| p.iter().zip(LUMA).map(|(&v, weight)| f32::from(v) * weight).sum::<f32>();
            decoded.samples.chunks_exact(3).map(|p| luma(p).clamp(0.0, f32::from(decoded.maximum))).collect()
        }
        (3, 1) => decoded.samples.iter().step_by(3).map(|&v| f32::from(v)).collect(),
        (1, 3) => decoded.samples.iter().flat_map(|&v| [f32::from(v); 3]).collect(),
        _ => decoded.samples.iter().map(|&v| f32::from(v)).collect(),
    };
    Ok(RawImage {
        width: decoded.width,
        height: decoded.height,
        channels,
        maximum: decoded.maximum,
        from_colour: coloured && channels == 1,
        data,
    })
}

/// Reads a mask as 0 (background) and 1 (lesion).
///
/// With `data.mask_values`, the listed values are lesion and all others background. Without it, a mask may be all zero (no
/// lesion), all 1 or all at the type's maximum (all lesion), have two gray values (the greater is lesion), or be black and
/// one colour (the colour is lesion).
///
/// # Errors
/// As [`read_image`], and when the mask has other values; the error lists the values found.
pub fn read_mask(path: &Path, config: &DataConfig) -> Result<RawMask> {
    let decoded = decode(path)?;
    let lesion: Vec<[u16; 3]> = match &config.mask_values {
        Some(values) => values.0.iter().map(|&value| stored_colour(value, decoded.maximum)).collect(),
        None => vec![lesion_colour(path, &decoded)?],
    };
    let data = decoded.pixels().map(|pixel| u8::from(lesion.contains(&pixel))).collect();
    Ok(RawMask { width: decoded.width, height: decoded.height, data })
}

/// Counts the pixels with each value of a mask file. The keys are the values as a user would write them in
/// `data.mask_values`. Only a limited number of values are counted separately; the rest are counted under `others`.
///
/// # Errors
/// As [`read_image`].
pub fn count_mask_values(path: &Path) -> Result<BTreeMap<String, u64>> {
    let mask = decode(path)?;
    let mut counts: BTreeMap<[u16; 3], u64> = BTreeMap::new();
    let mut others = 0;
    for pixel in mask.pixels() {
        if counts.len() >= COUNTED_VALUES && !counts.contains_key(&pixel) {
            others += 1;
        } else {
            *counts.entry(pixel).or_default() += 1;
        }
    }
    let named = counts.into_iter().map(|(value, count)| (colour_word(value, mask.maximum), count));
    Ok(named.chain((others > 0).then(|| ("others".to_owned(), others))).collect())
}

/// The colour of a configured lesion value in a file whose greatest value is `maximum`.
fn stored_colour(value: MaskValue, maximum: u16) -> [u16; 3] {
    let scale = if maximum > 255 { 257 } else { 1 };
    match value {
        MaskValue::Gray(gray) => [gray; 3],
        MaskValue::Colour(colour) => colour.map(|c| u16::from(c) * scale),
    }
}

/// Finds the one value that means lesion in a mask without `data.mask_values`. For an all-zero mask it returns the
/// maximum of the pixel type, which no pixel has.
fn lesion_colour(path: &Path, mask: &Decoded) -> Result<[u16; 3]> {
    let mut values = BTreeSet::new();
    let mut previous = None;
    for pixel in mask.pixels() {
        // Neighbours are mostly equal, so the set is used only where the value changes.
        if previous != Some(pixel) {
            values.insert(pixel);
            previous = Some(pixel);
        }
    }
    let gray = values.iter().all(|[r, g, b]| r == g && g == b);
    let black = [0; 3];
    let full = [mask.maximum; 3];
    let mut ordered = values.iter();
    match (ordered.next(), ordered.next(), ordered.next()) {
        (Some(&only), None, None) if only == black => return Ok(full),
        (Some(&only), None, None) if only == full || only == [1; 3] => return Ok(only),
        // The set is ordered, so the second is the greater gray value, or the colour if the first is black.
        (Some(&first), Some(&second), None) if gray || first == black => return Ok(second),
        _ => {}
    }
    let mut listed: Vec<String> =
        values.iter().take(LISTED_VALUES).map(|&value| colour_word(value, mask.maximum)).collect();
    if values.len() > LISTED_VALUES {
        listed.push(format!("and {} more", values.len() - LISTED_VALUES));
    }
    Err(DataError::AmbiguousMask { path: path.to_path_buf(), count: values.len(), values: listed.join(", ") })
}

/// A value as a user would write it in `data.mask_values`.
fn colour_word([r, g, b]: [u16; 3], maximum: u16) -> String {
    if r == g && g == b {
        r.to_string()
    } else if maximum > 255 {
        format!("({r}, {g}, {b})")
    } else {
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

/// A decoded file without alpha: samples of shape (height, width, channels) with 1 or 3 channels.
struct Decoded {
    width: usize,
    height: usize,
    channels: usize,
    maximum: u16,
    samples: Vec<u16>,
}

impl Decoded {
    fn is_gray(&self) -> bool {
        self.samples.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2])
    }

    /// Every pixel as three channels; gray is repeated.
    fn pixels(&self) -> impl Iterator<Item = [u16; 3]> + '_ {
        self.samples.chunks_exact(self.channels).map(|p| if let [r, g, b] = *p { [r, g, b] } else { [p[0]; 3] })
    }
}

fn open(path: &Path) -> Result<impl ImageDecoder + use<>> {
    let unreadable =
        |error: image::ImageError| DataError::Unreadable { path: path.to_path_buf(), problem: error.to_string() };
    let reader = ImageReader::open(path).map_err(DataError::io(path, "read"))?;
    let mut reader = reader.with_guessed_format().map_err(DataError::io(path, "read"))?;
    if reader.format() == Some(ImageFormat::Tiff) {
        one_page(path)?;
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DataError::TooLarge { path: path.to_path_buf(), width, height, limit: MAX_PIXELS });
    }
    if width == 0 || height == 0 {
        return Err(DataError::Unreadable { path: path.to_path_buf(), problem: "the image has no pixels".to_owned() });
    }
    Ok(decoder)
}

/// Refuses a TIFF with several pages. If the file is not a valid TIFF, the decoder reports it later.
fn one_page(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(DataError::io(path, "read"))?;
    let pages = tiff::decoder::Decoder::new(BufReader::new(file));
    if pages.is_ok_and(|pages| pages.more_images()) {
        return Err(DataError::SeveralPages { path: path.to_path_buf() });
    }
    Ok(())
}

fn decode(path: &Path) -> Result<Decoded> {
    let image = DynamicImage::from_decoder(open(path)?)
        .map_err(|error| DataError::Unreadable { path: path.to_path_buf(), problem: error.to_string() })?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let has_alpha = image.color().has_alpha();
    let widen = |samples: Vec<u8>| samples.into_iter().map(u16::from).collect::<Vec<_>>();
    let (stored, maximum, samples) = match image {
        DynamicImage::ImageLuma8(buffer) => (1, 255, widen(buffer.into_raw())),
        DynamicImage::ImageLumaA8(buffer) => (2, 255, widen(buffer.into_raw())),
        DynamicImage::ImageRgb8(buffer) => (3, 255, widen(buffer.into_raw())),
        DynamicImage::ImageRgba8(buffer) => (4, 255, widen(buffer.into_raw())),
        DynamicImage::ImageLuma16(buffer) => (1, u16::MAX, buffer.into_raw()),
        DynamicImage::ImageLumaA16(buffer) => (2, u16::MAX, buffer.into_raw()),
        DynamicImage::ImageRgb16(buffer) => (3, u16::MAX, buffer.into_raw()),
        DynamicImage::ImageRgba16(buffer) => (4, u16::MAX, buffer.into_raw()),
        other => {
            let found = format!("{:?}", other.color());
            return Err(DataError::UnsupportedPixels { path: path.to_path_buf(), found });
        }
    };
    if !has_alpha {
        return Ok(Decoded { width, height, channels: stored, maximum, samples });
    }
    let count = samples.chunks_exact(stored).filter(|p| p[stored - 1] != maximum).count();
    if count > 0 {
        return Err(DataError::Transparent { path: path.to_path_buf(), count });
    }
    let samples = samples.chunks_exact(stored).flat_map(|p| p[..stored - 1].iter().copied()).collect();
    Ok(Decoded { width, height, channels: stored - 1, maximum, samples })
}
