//! PNG files with text chunks: written whole or not at all, and read back with their text.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::classes::{ClassCode, ClassConfig, Coding, colour, names};
use crate::error::{DataError, Result};
use crate::limits::MAX_PIXELS;
use crate::palette::{CLASSES, CODES, REGIONS};
use crate::png_chunks;
use crate::preparation::Pixels;

/// A PNG's pixels and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPng {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Raw values of shape (height, width, channels).
    pub pixels: Pixels,
    /// The text chunks by keyword.
    pub text: BTreeMap<String, String>,
}

/// Writes a gray PNG of `width` x `height` with text chunks (keyword of 1 to 79 Latin-1 characters, and its text).
///
/// # Errors
/// When the file cannot be written or a keyword is not one that PNG allows.
///
/// # Panics
/// When the number of pixels is not `width * height`.
pub fn write_gray_png(path: &Path, width: usize, height: usize, pixels: &Pixels, text: &[(&str, &str)]) -> Result<()> {
    write_png(path, [height, width], 1, pixels, text)
}

/// Writes a PNG of `size` = (height, width) with 1 or 3 channels; see [`write_gray_png`].
pub fn write_png(path: &Path, size: [usize; 2], channels: usize, pixels: &Pixels, text: &[(&str, &str)]) -> Result<()> {
    Ok(pig_files::write(path, &encode_png(path, size, channels, pixels, text)?)?)
}

/// The bytes that [`write_png`] writes, for a PNG that is embedded in another file; errors name the file `path`.
pub fn encode_png(
    path: &Path,
    size: [usize; 2],
    channels: usize,
    pixels: &Pixels,
    text: &[(&str, &str)],
) -> Result<Vec<u8>> {
    assert!(matches!(channels, 1 | 3), "expected 1 or 3 channels");
    assert_eq!(pixels.len(), size[0] * size[1] * channels, "the pixels do not fit size and channels");
    encode(size, if channels == 1 { Kind::Gray } else { Kind::Colour }, pixels, text)
        .map_err(|error| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() })
}

/// The bytes of a PNG with a palette that shows a label map of classes that exclude each other: the index is the label, and a text names
/// the classes. Errors name the file `path`.
///
/// # Panics
/// When the number of labels is not that of the pixels.
pub fn encode_label_png(
    path: &Path,
    size: [usize; 2],
    labels: &[u8],
    names: &[&str],
    text: &[(&str, &str)],
) -> Result<Vec<u8>> {
    let class = |name: &&str| ClassConfig { name: (*name).to_owned(), ..ClassConfig::default() };
    encode_class_png(path, size, labels, (&names.iter().map(class).collect::<Vec<_>>(), false), text)
}

/// As [`encode_label_png`], for classes with their codes, which may overlap: then a set of classes has the mean of their colours.
///
/// # Panics
/// As [`encode_label_png`].
pub fn encode_class_png(
    path: &Path,
    size: [usize; 2],
    labels: &[u8],
    (classes, overlap): (&[ClassConfig], bool),
    text: &[(&str, &str)],
) -> Result<Vec<u8>> {
    assert_eq!(labels.len(), size[0] * size[1], "the labels do not fit the size");
    let coding = Coding { classes: classes.len(), overlap };
    let colours = (0..coding.labels_in_all()).flat_map(|label| label_colour(coding, label as u8)).collect();
    let declared = serde_json::json!(names(classes)).to_string();
    let keyword = if overlap { REGIONS } else { CLASSES };
    let mut text: Vec<(&str, &str)> = text.iter().copied().chain([(keyword, declared.as_str())]).collect();
    let codes: Vec<&Option<ClassCode>> = classes.iter().map(|class| &class.code).collect();
    let codes =
        if codes.iter().any(|code| code.is_some()) { serde_json::json!(codes).to_string() } else { String::new() };
    if !codes.is_empty() {
        text.push((CODES, &codes));
    }
    encode(size, Kind::Labels(colours), &Pixels::Eight(labels.to_vec()), &text)
        .map_err(|error| DataError::Encode { path: path.to_path_buf(), problem: error.to_string() })
}

/// The colour of a label: black, that of its class, or the mean of those of its classes.
fn label_colour(coding: Coding, label: u8) -> [u8; 3] {
    let own: Vec<[u8; 3]> = coding.classes_of(label).map(colour).collect();
    let sum = |channel: usize| own.iter().map(|colour| usize::from(colour[channel])).sum::<usize>();
    [0, 1, 2].map(|channel| (sum(channel) / own.len().max(1)) as u8)
}

/// The kind of the pixels of a PNG.
enum Kind {
    Gray,
    Colour,
    /// Indices of a palette, which holds red, green and blue of each index.
    Labels(Vec<u8>),
}

fn encode(
    size: [usize; 2],
    kind: Kind,
    pixels: &Pixels,
    text: &[(&str, &str)],
) -> std::result::Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size[1] as u32, size[0] as u32);
    match kind {
        Kind::Gray => encoder.set_color(png::ColorType::Grayscale),
        Kind::Colour => encoder.set_color(png::ColorType::Rgb),
        Kind::Labels(colours) => {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(colours);
        }
    }
    encoder.set_depth(match pixels {
        Pixels::Eight(_) => png::BitDepth::Eight,
        Pixels::Sixteen(_) => png::BitDepth::Sixteen,
    });
    for (keyword, value) in text {
        // Every viewer reads tEXt, but it can only hold Latin-1.
        if value.chars().all(|c| u32::from(c) <= 0xff) {
            encoder.add_text_chunk((*keyword).to_owned(), (*value).to_owned())?;
        } else {
            encoder.add_itxt_chunk((*keyword).to_owned(), (*value).to_owned())?;
        }
    }
    let mut writer = encoder.write_header()?;
    match pixels {
        Pixels::Eight(values) => writer.write_image_data(values)?,
        Pixels::Sixteen(values) => {
            let big_endian: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
            writer.write_image_data(&big_endian)?;
        }
    }
    writer.finish()?;
    Ok(bytes)
}

/// Reads the text chunks before a PNG's pixels, with their keywords, without decoding the pixels.
pub fn read_png_text(path: &Path) -> Result<BTreeMap<String, String>> {
    Ok(text_of(open(path)?.info()))
}

/// Reads a whole gray or colour PNG of 8 or 16 bit with its text.
///
/// # Errors
/// When the file cannot be opened, is damaged or truncated, or has another pixel type.
pub fn read_png(path: &Path) -> Result<StoredPng> {
    read_stored(path, false)
}

/// Reads a whole PNG with a palette of 8 bit, or a gray one, with its text; the values of one with a palette are its indices.
///
/// # Errors
/// As [`read_png`].
pub fn read_label_png(path: &Path) -> Result<StoredPng> {
    read_stored(path, true)
}

fn read_stored(path: &Path, takes_palette: bool) -> Result<StoredPng> {
    let mut reader = open(path)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let channels = match reader.output_color_type() {
        (png::ColorType::Grayscale, png::BitDepth::Eight | png::BitDepth::Sixteen) => 1,
        (png::ColorType::Rgb, png::BitDepth::Eight | png::BitDepth::Sixteen) => 3,
        (png::ColorType::Indexed, png::BitDepth::Eight) if takes_palette => 1,
        found => {
            return Err(DataError::UnsupportedPixels { path: path.to_path_buf(), found: format!("{found:?}") });
        }
    };
    let sixteen = reader.output_color_type().1 == png::BitDepth::Sixteen;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(DataError::TooLarge { path: path.to_path_buf(), width, height, limit: MAX_PIXELS });
    }
    let mut bytes = vec![0; width as usize * height as usize * channels * if sixteen { 2 } else { 1 }];
    reader.next_frame(&mut bytes).map_err(unreadable(path))?;
    reader.finish().map_err(unreadable(path))?;
    png_chunks::exif_of_whole(path)?;
    let pixels = if sixteen {
        Pixels::Sixteen(bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
    } else {
        Pixels::Eight(bytes)
    };
    Ok(StoredPng { width: width as usize, height: height as usize, channels, pixels, text: text_of(reader.info()) })
}

fn open(path: &Path) -> Result<png::Reader<BufReader<File>>> {
    let file = pig_files::open(path).map_err(DataError::io(path, "read"))?;
    let mut options = png::DecodeOptions::default();
    // The text says where a picture comes from, so a damaged text is damage, too.
    options.set_skip_ancillary_crc_failures(false);
    png::Decoder::new_with_options(BufReader::new(file), options).read_info().map_err(unreadable(path))
}

fn unreadable(path: &Path) -> impl Fn(png::DecodingError) -> DataError {
    move |error| DataError::Unreadable { path: path.to_path_buf(), problem: error.to_string() }
}

fn text_of(info: &png::Info<'_>) -> BTreeMap<String, String> {
    let plain = info.uncompressed_latin1_text.iter().map(|chunk| (chunk.keyword.clone(), chunk.text.clone()));
    // The chunks that pig writes are not compressed; a chunk that cannot be decoded is from another program.
    let wide = info.utf8_text.iter().filter_map(|chunk| Some((chunk.keyword.clone(), chunk.get_text().ok()?)));
    plain.chain(wide).collect()
}
