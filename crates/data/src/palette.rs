//! Pictures with a palette: the index of a pixel is its label. pig writes masks of several classes as PNG with a palette; TIFF and BMP with
//! a palette come from other tools.

use std::io::BufReader;
use std::path::Path;

use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage};

use crate::classes::ClassCode;
use crate::content::{head_of, is_picture, is_tiff};
use crate::error::{DataError, Result};
use crate::exif::orientation;
use crate::png_chunks::{self, COLOUR_TYPE_AT, INDEXED};
use crate::tiff_kinds;

/// The keyword of the text chunk with the names of the classes, a JSON list: the first has the index 1.
pub const CLASSES: &str = "classes";

/// The keyword of the text chunk with the names of classes that may overlap, a JSON list: the first is the lowest bit of an index.
pub const REGIONS: &str = "regions";

/// The keyword of the text chunk with the codes of classes, a JSON list of codes or null, in the order of the names.
pub const CODES: &str = "codes";

/// The keywords of all texts that declare classes.
pub const DECLARING: [&str; 3] = [CLASSES, REGIONS, CODES];

/// The classes that a file declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Their names.
    pub(crate) names: Vec<String>,
    /// Whether they may overlap, so that an index is a set of classes.
    pub(crate) overlap: bool,
    /// Their codes, as far as the file gives them.
    pub(crate) codes: Vec<Option<ClassCode>>,
}

/// Which of a palette's numbers were taken as the labels of a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The indices.
    Indices,
    /// The grays that people see.
    Grays,
}

/// The first bytes of a PNG.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The indices of a picture with a palette.
pub(crate) struct Indexed {
    /// The index of each pixel, turned as the orientation tag says.
    pub(crate) indices: Vec<u8>,
    /// The classes, if the file declares them.
    pub(crate) declared: Option<Declared>,
}

impl Indexed {
    /// Whether the palette shows nothing but grays, and these do not grow with their indices: a mask by index then differs from what
    /// people see. `pixels` are the colours that it shows.
    pub(crate) fn has_other_order(&self, pixels: impl Iterator<Item = [u16; 3]>) -> bool {
        let mut shown = [None; 256];
        for (&index, [red, green, blue]) in self.indices.iter().zip(pixels) {
            if red != green || green != blue {
                return false;
            }
            shown[usize::from(index)] = Some(red);
        }
        !shown.into_iter().flatten().is_sorted()
    }
}

/// The classes that a mask declares; none if it is no PNG with a palette, or declares none.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn declared_names(path: &Path) -> Result<Option<Declared>> {
    if !is_png_with_palette(&head_of(path).map_err(DataError::io(path, "read"))?) {
        return Ok(None);
    }
    names_of(path, reader(path)?.info())
}

/// The indices of a picture with a palette; none for any other file, which the caller decodes and checks.
///
/// # Errors
/// When the file cannot be read or is damaged.
pub(crate) fn read(path: &Path) -> Result<Option<Indexed>> {
    let head = head_of(path).map_err(DataError::io(path, "read"))?;
    let unnamed = |picture: GrayImage| Indexed { indices: picture.into_raw(), declared: None };
    if is_tiff(&head) {
        return Ok(tiff_kinds::indices(path)?.map(unnamed));
    }
    if is_bmp_of_indices(&head) {
        return Ok(Some(unnamed(indices_of_bmp(path)?)));
    }
    if !is_png_with_palette(&head) {
        return Ok(None);
    }
    let mut reader = reader(path)?;
    let unreadable =
        |error: png::DecodingError| DataError::Unreadable { path: path.to_path_buf(), problem: error.to_string() };
    let (width, height, depth) = (reader.info().width, reader.info().height, reader.info().bit_depth as usize);
    let declared = names_of(path, reader.info())?;
    // The caller has decoded the file, and so checked its size.
    let mut bytes = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let frame = reader.next_frame(&mut bytes).map_err(unreadable)?;
    let unpack = |row: &[u8]| -> Vec<u8> {
        let pixel = |x: usize| {
            let (byte, bit) = (x * depth / 8, x * depth % 8);
            row[byte] >> (8 - depth - bit) & (((1_u16 << depth) - 1) as u8)
        };
        (0..width as usize).map(pixel).collect()
    };
    let indices: Vec<u8> = bytes.chunks_exact(frame.line_size.max(1)).take(height as usize).flat_map(unpack).collect();
    let orientation = png_chunks::exif_of_whole(path)?.map_or(Orientation::NoTransforms, |exif| orientation(&exif));
    let Some(picture) = GrayImage::from_raw(width, height, indices) else {
        let problem = "the file has fewer pixels than its header says".to_owned();
        return Err(DataError::Unreadable { path: path.to_path_buf(), problem });
    };
    let mut picture = DynamicImage::ImageLuma8(picture);
    picture.apply_orientation(orientation);
    Ok(Some(Indexed { indices: picture.into_luma8().into_raw(), declared }))
}

fn is_png_with_palette(head: &[u8]) -> bool {
    head.starts_with(SIGNATURE) && head.get(COLOUR_TYPE_AT) == Some(&INDEXED)
}

/// Whether a file is a BMP that holds indices of 8 bits as they are. Those of fewer bits, and runs of indices, are seen as their colours,
/// because the image library does not give their indices.
fn is_bmp_of_indices(head: &[u8]) -> bool {
    let is_of_windows = head.get(14).is_some_and(|&bytes| bytes >= 40);
    is_picture(head)
        && head.starts_with(b"BM")
        && is_of_windows
        && head.get(28..30) == Some(&[8, 0])
        && head.get(30..34) == Some(&[0; 4])
}

fn indices_of_bmp(path: &Path) -> Result<GrayImage> {
    let unreadable =
        |error: image::ImageError| DataError::Unreadable { path: path.to_path_buf(), problem: error.to_string() };
    let file = pig_files::open(path).map_err(DataError::io(path, "read"))?;
    let mut decoder = BmpDecoder::new(BufReader::new(file)).map_err(unreadable)?;
    decoder.set_indexed_color(true);
    Ok(DynamicImage::from_decoder(decoder).map_err(unreadable)?.into_luma8())
}

fn reader(path: &Path) -> Result<png::Reader<BufReader<std::fs::File>>> {
    let file = pig_files::open(path).map_err(DataError::io(path, "read"))?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::IDENTITY);
    decoder.read_info().map_err(|error| DataError::Unreadable { path: path.to_path_buf(), problem: error.to_string() })
}

fn names_of(path: &Path, info: &png::Info<'_>) -> Result<Option<Declared>> {
    let read = |keyword: &str| {
        let plain = info.uncompressed_latin1_text.iter().filter(|chunk| chunk.keyword == keyword);
        let wide = info.utf8_text.iter().filter(|chunk| chunk.keyword == keyword);
        plain.map(|c| c.text.clone()).chain(wide.filter_map(|c| c.get_text().ok())).next()
    };
    let found = [(CLASSES, false), (REGIONS, true)].into_iter().find_map(|(key, is)| Some((key, is, read(key)?)));
    let Some((keyword, overlap, text)) = found else { return Ok(None) };
    let names = serde_json::from_str(&text).map_err(|_| DataError::Unreadable {
        path: path.to_path_buf(),
        problem: format!("its text {keyword:?} is {text:?}, expected a JSON list of the names of its classes"),
    })?;
    // A picture is read with or without codes.
    let codes = read(CODES).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok(Some(Declared { names, overlap, codes }))
}
