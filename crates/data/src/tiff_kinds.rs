//! Kinds of TIFF that the image library refuses although they are ordinary: palettes, gray with alpha, gray of 2 and 4 bits, whole numbers
//! of other types, and the luma and colour differences that JPEG compression leaves.

use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageBuffer, RgbImage};
use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult, Limits, ifd::Value};
use tiff::tags::{PhotometricInterpretation, Tag};

use crate::error::{DataError, Result};
use crate::jpeg;
use crate::limits::MAX_DECODER_BYTES;

/// The tags that the crate `tiff` has no names for, or reads in one form only.
const COEFFICIENTS: Tag = Tag::Unknown(529);
const REFERENCE: Tag = Tag::Unknown(532);

/// The compression of JPEG streams in strips and tiles (TIFF Technical Note 2).
const MODERN_JPEG: u16 = 7;

/// A kind of TIFF that the image library does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Indices of this many bits into a table of colours.
    Palette(u8),
    /// Gray and alpha of 8 or 16 bits.
    GrayAlpha(u8),
    /// Gray of 2 or 4 bits.
    FewBits(u8),
    /// Luma and colour differences of 8 bits.
    YCbCr,
    /// Gray of signed, wide or floating-point numbers, as programs save label maps; read if they are whole numbers from 0 to 65535.
    Numbers {
        /// The bits of a number.
        bits: u16,
        /// The TIFF's code of their type: 1 unsigned, 2 signed, 3 floating point.
        format: u16,
    },
}

/// What a TIFF's tags say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiff {
    /// Width and height in pixels.
    pub(crate) size: [u32; 2],
    /// `None` if the image library reads it.
    pub(crate) kind: Option<Kind>,
    /// The orientation tag, 1 if there is none.
    pub(crate) orientation: u8,
    /// The bits of gray that has fewer than 8; else 8.
    pub(crate) gray_bits: u8,
}

/// What is read of a palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The colours that it shows.
    Colours,
    /// The indices of the pixels.
    Indices,
}

/// Reads the tags of a TIFF. `None` if it is too damaged for that: the image library says how.
///
/// # Errors
/// When the file has several pages, or pixels that nothing here reads.
pub(crate) fn open(path: &Path) -> Result<Option<Tiff>> {
    let file = BufReader::new(pig_files::open(path).map_err(DataError::io(path, "read"))?);
    let Ok(mut decoder) = Decoder::new(file) else { return Ok(None) };
    if decoder.more_images() {
        return Err(DataError::SeveralPages { path: path.to_path_buf() });
    }
    let Ok((width, height)) = decoder.dimensions() else { return Ok(None) };
    let kind = kind(&mut decoder).map_err(|found| DataError::UnsupportedPixels { path: path.to_path_buf(), found })?;
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten().unwrap_or(1);
    let bits = decoder.find_tag_unsigned_vec::<u16>(Tag::BitsPerSample).ok().flatten().unwrap_or_default();
    let gray_bits = match (kind, bits.first().copied().unwrap_or(1)) {
        (Some(Kind::FewBits(bits)), _) => bits,
        (None, 1) => 1,
        _ => 8,
    };
    Ok(Some(Tiff { size: [width, height], kind, orientation, gray_bits }))
}

/// The kind of a TIFF, or what pixels it has instead.
fn kind<R: Read + Seek>(decoder: &mut Decoder<R>) -> std::result::Result<Option<Kind>, String> {
    use PhotometricInterpretation::{BlackIsZero, RGBPalette, WhiteIsZero, YCbCr};
    let mut numbers = |tag| decoder.find_tag_unsigned_vec::<u16>(tag).ok().flatten().unwrap_or_default();
    let bits = numbers(Tag::BitsPerSample).first().copied().unwrap_or(1);
    let format = numbers(Tag::SampleFormat).first().copied().unwrap_or(1);
    let samples = numbers(Tag::SamplesPerPixel).first().copied().unwrap_or(1);
    let alpha = matches!(numbers(Tag::ExtraSamples).first(), Some(1 | 2));
    let photometric = numbers(Tag::PhotometricInterpretation).first().copied();
    let photometric = photometric.and_then(PhotometricInterpretation::from_u16);
    if matches!(format, 2 | 3) || bits > 16 {
        return match (photometric, samples, bits) {
            (Some(BlackIsZero), 1, 8 | 16 | 32 | 64) => Ok(Some(Kind::Numbers { bits, format })),
            _ => Err(type_of(bits, format)),
        };
    }
    match (photometric, samples, bits) {
        (Some(RGBPalette), 1, 1 | 2 | 4 | 8) => Ok(Some(Kind::Palette(bits as u8))),
        (Some(RGBPalette), ..) => Err(format!("{bits}-bit palette with {samples} sample(s) a pixel")),
        (Some(BlackIsZero), 2, 8 | 16) if alpha => Ok(Some(Kind::GrayAlpha(bits as u8))),
        (Some(BlackIsZero | WhiteIsZero), 2, _) if !alpha => {
            Err("two gray bands, and nothing says that the second is alpha".to_owned())
        }
        (Some(BlackIsZero | WhiteIsZero), 1, 2 | 4) => Ok(Some(Kind::FewBits(bits as u8))),
        (Some(YCbCr), 3, 8) => {
            usual(decoder, COEFFICIENTS, &[0.299, 0.587, 0.114])?;
            usual(decoder, REFERENCE, &[0.0, 255.0, 128.0, 255.0, 128.0, 255.0])?;
            Ok(Some(Kind::YCbCr))
        }
        _ => Ok(None),
    }
}

/// The type of numbers, in words.
fn type_of(bits: u16, format: u16) -> String {
    match format {
        2 => format!("{bits}-bit signed"),
        3 => format!("{bits}-bit floating point"),
        _ => format!("{bits}-bit"),
    }
}

/// Refuses YCbCr whose `tag` is not the usual one.
fn usual<R: Read + Seek>(decoder: &mut Decoder<R>, tag: Tag, expected: &[f64]) -> std::result::Result<(), String> {
    let Some(Value::List(values)) = decoder.find_tag(tag).ok().flatten() else { return Ok(()) };
    let number = |value: &Value| match *value {
        Value::Rational(above, below) => f64::from(above) / f64::from(below),
        _ => f64::NAN,
    };
    let found: Vec<f64> = values.iter().map(number).collect();
    let same = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3);
    if same { Ok(()) } else { Err(format!("YCbCr with the unusual values {found:?} in tag {}", tag.to_u16())) }
}

/// Checks that every JPEG stream in a TIFF is whole; does nothing if the TIFF has none.
pub(crate) fn check_streams(path: &Path) -> Result<()> {
    let mut file = BufReader::new(pig_files::open(path).map_err(DataError::io(path, "read"))?);
    let Ok(mut decoder) = Decoder::new(&mut file) else { return Ok(()) };
    if decoder.find_tag_unsigned::<u16>(Tag::Compression).ok().flatten() != Some(MODERN_JPEG) {
        return Ok(());
    }
    let mut list = |tags: [Tag; 2]| {
        let found = tags.into_iter().find_map(|tag| decoder.find_tag_unsigned_vec::<u64>(tag).ok().flatten());
        found.unwrap_or_default()
    };
    let offsets = list([Tag::StripOffsets, Tag::TileOffsets]);
    let lengths = list([Tag::StripByteCounts, Tag::TileByteCounts]);
    let tables = decoder.get_tag_u8_vec(Tag::JPEGTables).ok();
    let unreadable = |problem| DataError::Unreadable { path: path.to_path_buf(), problem };
    for (&offset, &length) in offsets.iter().zip(&lengths) {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(offset)).map_err(DataError::io(path, "read"))?;
        (&mut file).take(length.min(MAX_DECODER_BYTES)).read_to_end(&mut bytes).map_err(DataError::io(path, "read"))?;
        jpeg::check_strip(tables.as_deref(), &bytes).map_err(unreadable)?;
    }
    Ok(())
}

/// Decodes a TIFF of `kind`.
pub(crate) fn decode(path: &Path, kind: Kind) -> Result<DynamicImage> {
    decode_as(path, kind, Wanted::Colours)
}

/// The indices of a TIFF with a palette, turned as its orientation tag says; none of any other TIFF.
///
/// # Errors
/// As [`open`], and when the file is damaged.
pub(crate) fn indices(path: &Path) -> Result<Option<GrayImage>> {
    let Some(Tiff { kind: Some(kind @ Kind::Palette(_)), orientation, .. }) = open(path)? else { return Ok(None) };
    let mut picture = decode_as(path, kind, Wanted::Indices)?;
    picture.apply_orientation(Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms));
    Ok(Some(picture.into_luma8()))
}

fn decode_as(path: &Path, kind: Kind, wanted: Wanted) -> Result<DynamicImage> {
    let mut bytes = pig_files::read(path).map_err(DataError::io(path, "read"))?;
    let unreadable = |problem: String| DataError::Unreadable { path: path.to_path_buf(), problem };
    if let Kind::Numbers { bits, format } = kind {
        let (size, values) = numbers(bytes).map_err(|error| unreadable(error.to_string()))?;
        let fits = |value: &f64| (0.0..=f64::from(u16::MAX)).contains(value) && value.fract() == 0.0;
        if let Some(odd) = values.iter().find(|value| !fits(value)) {
            let found = format!("{} with values such as {odd}", type_of(bits, format));
            return Err(DataError::UnsupportedPixels { path: path.to_path_buf(), found });
        }
        let samples: Vec<u16> = values.into_iter().map(|value| value as u16).collect();
        return ImageBuffer::from_raw(size.0, size.1, samples)
            .map(DynamicImage::ImageLuma16)
            .ok_or_else(|| unreadable("the TIFF's pixels are not of the stated size".to_owned()));
    }
    if matches!(kind, Kind::Palette(_)) {
        // The decoder refuses palettes, but it reads the same indices as gray.
        say_gray(&mut bytes).ok_or_else(|| unreadable("the tags of the TIFF are damaged".to_owned()))?;
    }
    pixels(bytes, kind, wanted)
        .map_err(|error| unreadable(error.to_string()))?
        .ok_or_else(|| unreadable("the TIFF's pixels or its table of colours are not of the stated size".to_owned()))
}

/// A decoder with the limits of all pictures.
fn decoder(bytes: Vec<u8>) -> std::result::Result<Decoder<Cursor<Vec<u8>>>, TiffError> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_DECODER_BYTES as usize;
    limits.intermediate_buffer_size = MAX_DECODER_BYTES as usize;
    Ok(Decoder::new(Cursor::new(bytes))?.with_limits(limits))
}

/// Width, height and numbers of a TIFF of gray.
fn numbers(bytes: Vec<u8>) -> std::result::Result<((u32, u32), Vec<f64>), TiffError> {
    let mut decoder = decoder(bytes)?;
    let size = decoder.dimensions()?;
    let mut result = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut result)?;
    // A number of 64 bits that a double does not hold exactly is far beyond 16 bits.
    let values = match result {
        DecodingResult::I8(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::I16(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::I32(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::U32(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::I64(values) => values.into_iter().map(|value| value as f64).collect(),
        DecodingResult::U64(values) => values.into_iter().map(|value| value as f64).collect(),
        DecodingResult::F16(values) => values.into_iter().map(|value| f64::from(value.to_f32())).collect(),
        DecodingResult::F32(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::F64(values) => values,
        DecodingResult::U8(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::U16(values) => values.into_iter().map(f64::from).collect(),
    };
    Ok((size, values))
}

/// Decodes a TIFF; `None` if sizes do not fit each other.
fn pixels(bytes: Vec<u8>, kind: Kind, wanted: Wanted) -> std::result::Result<Option<DynamicImage>, TiffError> {
    let mut decoder = decoder(bytes)?;
    let (width, height) = decoder.dimensions()?;
    let colours = if let Kind::Palette(_) = kind { decoder.get_tag_u16_vec(Tag::ColorMap)? } else { Vec::new() };
    let mut result = DecodingResult::U8(Vec::new());
    let planes = decoder.read_image_to_buffer(&mut result)?.planes;
    Ok(match (kind, result) {
        (Kind::Palette(bits), DecodingResult::U8(packed)) if wanted == Wanted::Indices => {
            GrayImage::from_raw(width, height, unpack(&packed, width, bits).collect()).map(Into::into)
        }
        (Kind::Palette(bits), DecodingResult::U8(packed)) => {
            let table = colour_table(&colours, bits);
            let found = unpack(&packed, width, bits).map(|index| table.get(usize::from(index)).copied());
            let flat: Option<Vec<[u8; 3]>> = found.collect();
            flat.and_then(|flat| RgbImage::from_raw(width, height, flat.concat())).map(Into::into)
        }
        (Kind::FewBits(bits), DecodingResult::U8(packed)) => {
            let most = (1 << bits) - 1;
            let gray = unpack(&packed, width, bits).map(|value| value * (255 / most)).collect();
            GrayImage::from_raw(width, height, gray).map(Into::into)
        }
        (Kind::GrayAlpha(_), DecodingResult::U8(samples)) => {
            GrayAlphaImage::from_raw(width, height, interleaved(samples, planes)).map(Into::into)
        }
        (Kind::GrayAlpha(_), DecodingResult::U16(samples)) => {
            ImageBuffer::from_raw(width, height, interleaved(samples, planes)).map(DynamicImage::ImageLumaA16)
        }
        (Kind::YCbCr, DecodingResult::U8(samples)) if planes == 1 => {
            let colours = samples.chunks_exact(3).flat_map(|p| rgb([p[0], p[1], p[2]])).collect();
            RgbImage::from_raw(width, height, colours).map(Into::into)
        }
        _ => None,
    })
}

/// Values of `bits` bits, packed into whole bytes a row.
fn unpack(packed: &[u8], width: u32, bits: u8) -> impl Iterator<Item = u8> + '_ {
    let row = (width as usize * usize::from(bits)).div_ceil(8).max(1);
    let (mask, values) = (((1_u16 << bits) - 1) as u8, 8 / bits);
    let each = move |byte: &u8| {
        let byte = *byte;
        (0..values).map(move |place| byte >> (8 - bits * (place + 1)) & mask)
    };
    packed.chunks_exact(row).flat_map(move |row| row.iter().flat_map(each).take(width as usize))
}

/// Samples pixel by pixel, whether they were stored so or in two planes.
fn interleaved<T: Copy>(samples: Vec<T>, planes: usize) -> Vec<T> {
    if planes != 2 {
        return samples;
    }
    let (gray, alpha) = samples.split_at(samples.len() / 2);
    gray.iter().zip(alpha).flat_map(|(&gray, &alpha)| [gray, alpha]).collect()
}

/// The colours of a palette in 8 bits: the file has all reds, then all greens, then all blues, in 16 bits.
fn colour_table(values: &[u16], bits: u8) -> Vec<[u8; 3]> {
    // Some writers store 8-bit values as they are.
    let small = values.iter().all(|&value| value < 256);
    let exact = values.iter().all(|&value| value % 257 == 0);
    let to_8_bits = |value: u16| match (small, exact) {
        (true, _) => value as u8,
        (_, true) => (value / 257) as u8,
        _ => (value >> 8) as u8,
    };
    let count = 1 << bits;
    if values.len() < 3 * count {
        return Vec::new();
    }
    (0..count).map(|index| [0, 1, 2].map(|channel| to_8_bits(values[channel * count + index]))).collect()
}

/// JFIF's full-range luma and colour differences of Rec. 601 as red, green and blue.
fn rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|v| v.round().clamp(0.0, 255.0) as u8)
}

/// Changes the photometric interpretation in the first directory of a TIFF to gray; `None` if it is not there.
fn say_gray(bytes: &mut [u8]) -> Option<()> {
    let little = bytes.starts_with(b"II");
    let number = |at: usize, length: usize| {
        let digits = bytes.get(at..at.checked_add(length)?)?;
        let add = |sum: u64, &digit: &u8| sum << 8 | u64::from(digit);
        Some(if little { digits.iter().rev().fold(0, add) } else { digits.iter().fold(0, add) })
    };
    // BigTIFF has eight bytes where TIFF has four.
    let big = number(2, 2)? == 43;
    let (start, count, entry, value) = if big { (number(8, 8)?, 8, 20, 12) } else { (number(4, 4)?, 2, 12, 8) };
    let start = usize::try_from(start).ok()?;
    let entries = usize::try_from(number(start, count)?).ok()?.min(usize::from(u16::MAX));
    let first = start.checked_add(count)?;
    let wanted = u64::from(Tag::PhotometricInterpretation.to_u16());
    let at = (0..entries).map(|index| first + entry * index).find(|&at| number(at, 2) == Some(wanted))? + value;
    let gray = PhotometricInterpretation::BlackIsZero.to_u16();
    let gray = if little { gray.to_le_bytes() } else { gray.to_be_bytes() };
    bytes.get_mut(at..at + 2)?.copy_from_slice(&gray);
    Some(())
}
