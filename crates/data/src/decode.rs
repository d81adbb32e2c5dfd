//! Decodes a picture file into samples: any supported format, turned as its orientation tag says, without an opaque alpha channel.

use std::io::BufReader;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::content::{head_of, is_big_tiff};
use crate::error::{DataError, Result};
use crate::exif::orientation;
use crate::limits::{MAX_DECODER_BYTES, MAX_PIXELS};
use crate::{jpeg, png_chunks, tiff_kinds};

/// A decoded file without alpha: samples of shape (height, width, channels) with 1 or 3 channels.
pub(crate) struct Decoded {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) channels: usize,
    /// The greatest value of the pixel type: 255 or 65535.
    pub(crate) maximum: u16,
    /// Whether an orientation tag turned it.
    pub(crate) turned: bool,
    /// By how much samples differ whose stored values differ by 1: gray of 1, 2 or 4 bits is spread over the range from 0 to 255.
    pub(crate) step: u16,
    pub(crate) samples: Vec<u16>,
}

impl Decoded {
    /// Whether all colours are gray.
    pub(crate) fn is_gray(&self) -> bool {
        self.samples.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2])
    }

    /// Every pixel as three channels; gray is repeated.
    pub(crate) fn pixels(&self) -> impl Iterator<Item = [u16; 3]> + '_ {
        self.samples.chunks_exact(self.channels).map(|p| if let [r, g, b] = *p { [r, g, b] } else { [p[0]; 3] })
    }
}

/// An open file whose header was read.
pub(crate) struct Picture<'a> {
    path: &'a Path,
    format: Option<ImageFormat>,
    content: Content,
    orientation: Orientation,
    /// Width and height in pixels as stored, before it is turned.
    size: [u32; 2],
    /// The bits of gray that has fewer than 8; else 8.
    gray_bits: u8,
}

enum Content {
    /// The image library reads it.
    Library(Box<dyn ImageDecoder>),
    Tiff(tiff_kinds::Kind),
}

impl<'a> Picture<'a> {
    /// Opens a picture and reads its header.
    pub(crate) fn open(path: &'a Path) -> Result<Self> {
        let read = |error| DataError::io(path, "read")(error);
        let reader = ImageReader::new(BufReader::new(pig_files::open(path).map_err(read)?));
        let mut reader = reader.with_guessed_format().map_err(read)?;
        // The image library reads BigTIFF, but it does not know its mark.
        let head = head_of(path).map_err(read)?;
        if reader.format().is_none() && is_big_tiff(&head) {
            reader.set_format(ImageFormat::Tiff);
        }
        let format = reader.format();
        let tiff = if format == Some(ImageFormat::Tiff) { tiff_kinds::open(path)? } else { None };
        let gray_bits = match (format, &tiff) {
            (Some(ImageFormat::Png), _) => png_chunks::gray_bits(&head),
            (_, Some(tiff)) => tiff.gray_bits,
            _ => 8,
        };
        let mut limits = Limits::default();
        limits.max_alloc = Some(MAX_DECODER_BYTES);
        reader.limits(limits);
        let picture = if let Some(tiff_kinds::Tiff { size, kind: Some(kind), orientation, .. }) = tiff {
            let orientation = Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms);
            Self { path, format, content: Content::Tiff(kind), orientation, size, gray_bits }
        } else {
            let decoder = reader.into_decoder();
            let mut decoder = decoder
                .map_err(|error| DataError::Unreadable { path: path.to_path_buf(), problem: error.to_string() })?;
            // A damaged tag says nothing.
            let orientation = if format == Some(ImageFormat::Jpeg) {
                decoder.exif_metadata().ok().flatten().map_or(Orientation::NoTransforms, |exif| orientation(&exif))
            } else {
                decoder.orientation().unwrap_or(Orientation::NoTransforms)
            };
            let (width, height) = decoder.dimensions();
            let content = Content::Library(Box::new(decoder));
            Self { path, format, content, orientation, size: [width, height], gray_bits }
        };
        picture.check_size()?;
        picture.with_late_tag()
    }

    fn check_size(&self) -> Result<()> {
        let (path, [width, height]) = (self.path.to_path_buf(), self.size);
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(DataError::TooLarge { path, width, height, limit: MAX_PIXELS });
        }
        if width == 0 || height == 0 {
            return Err(DataError::Unreadable { path, problem: "the image has no pixels".to_owned() });
        }
        Ok(())
    }

    /// Finds the orientation tag of a PNG behind its pixels, where the image library does not look.
    fn with_late_tag(mut self) -> Result<Self> {
        if self.format == Some(ImageFormat::Png) {
            let exif = png_chunks::exif_of_whole(self.path)?;
            self.orientation = exif.map_or(Orientation::NoTransforms, |exif| orientation(&exif));
        }
        Ok(self)
    }

    /// Width and height in pixels, as its orientation tag turns it.
    pub(crate) fn size(&self) -> [usize; 2] {
        let [width, height] = self.size.map(|side| side as usize);
        if self.is_transposed() { [height, width] } else { [width, height] }
    }

    fn is_transposed(&self) -> bool {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        matches!(self.orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)
    }

    /// Bits per channel, and whether there are colour channels.
    pub(crate) fn kind(&self) -> Result<(u8, bool)> {
        match &self.content {
            Content::Library(decoder) => {
                let colour = decoder.color_type();
                let bytes = colour.bytes_per_pixel() / colour.channel_count();
                if bytes > 2 {
                    let found = format!("{colour:?}");
                    return Err(DataError::UnsupportedPixels { path: self.path.to_path_buf(), found });
                }
                Ok((bytes * 8, colour.has_color()))
            }
            Content::Tiff(tiff_kinds::Kind::GrayAlpha(bits)) => Ok((*bits, false)),
            Content::Tiff(tiff_kinds::Kind::FewBits(_)) => Ok((8, false)),
            Content::Tiff(tiff_kinds::Kind::Numbers { .. }) => Ok((16, false)),
            Content::Tiff(tiff_kinds::Kind::Palette(_) | tiff_kinds::Kind::YCbCr) => Ok((8, true)),
        }
    }

    /// Decodes the pixels. Refuses a file that is not whole, and an alpha channel that is not opaque.
    pub(crate) fn decode(self) -> Result<Decoded> {
        let path = self.path;
        let unreadable = |problem| DataError::Unreadable { path: path.to_path_buf(), problem };
        match self.format {
            Some(ImageFormat::Jpeg) => {
                let bytes = pig_files::read(path).map_err(DataError::io(path, "read"))?;
                jpeg::check_whole(&bytes).map_err(unreadable)?;
            }
            Some(ImageFormat::Tiff) => tiff_kinds::check_streams(path)?,
            _ => {}
        }
        let mut image = match self.content {
            Content::Library(decoder) => {
                DynamicImage::from_decoder(decoder).map_err(|error| unreadable(error.to_string()))?
            }
            Content::Tiff(kind) => tiff_kinds::decode(path, kind)?,
        };
        image.apply_orientation(self.orientation);
        let step = 255 / ((1_u16 << self.gray_bits) - 1);
        samples(path, image, self.orientation != Orientation::NoTransforms, step)
    }
}

/// The samples of an image without its alpha channel, which must be opaque.
fn samples(path: &Path, image: DynamicImage, turned: bool, step: u16) -> Result<Decoded> {
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
        return Ok(Decoded { width, height, channels: stored, maximum, turned, step, samples });
    }
    let count = samples.chunks_exact(stored).filter(|p| p[stored - 1] != maximum).count();
    if count > 0 {
        return Err(DataError::Transparent { path: path.to_path_buf(), count });
    }
    let samples = samples.chunks_exact(stored).flat_map(|p| p[..stored - 1].iter().copied()).collect();
    Ok(Decoded { width, height, channels: stored - 1, maximum, turned, step, samples })
}
