//! Images and volumes, opened once and read slice by slice.

mod cost;
mod geometry;
pub mod nifti;
pub(crate) mod nifti_header;
mod reading;

use std::path::Path;

use pig_data::read::{RawImage, read_image};
use pig_dicom::{Image, Laterality, ObjectKind, Photometric, Voi};

use crate::affine;
use crate::error::Result;
use crate::layouts::case::{Case, ImageSource, Side};
use nifti::NiftiVolume;

pub use cost::Cost;
pub(crate) use cost::{BYTES_A_PIXEL, read_text, within};
pub use geometry::{Geometry, StoredRange};
pub use reading::Reading;

/// One slice's values.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 (gray) or 3 (red, green and blue).
    pub channels: usize,
    /// Values of shape (height, width, channels).
    pub values: Vec<f32>,
    /// Whether the highest value is black (MONOCHROME1).
    pub inverted: bool,
    /// Which pixels are not part of the image (DICOM's pixel padding); empty if there are none.
    pub padding: Vec<bool>,
}

/// An open image or volume.
#[derive(Debug)]
pub enum Volume {
    /// A picture, read whole when it is opened.
    Picture(Box<Picture>),
    /// A DICOM object; frames are decoded when they are needed.
    Dicom(Box<Dicom>),
    /// A NIfTI volume; slices are read when they are needed.
    Nifti(Box<NiftiVolume>),
}

/// A picture as it was read.
#[derive(Debug)]
pub struct Picture {
    image: RawImage,
    spacing: Option<[f64; 2]>,
}

/// A DICOM image with the step from one frame to the next, and how its colour is read.
#[derive(Debug)]
pub struct Dicom {
    image: Image,
    step: Option<[f64; 3]>,
    reading: Reading,
    /// Whether it is in colour: gray is often stored as colour.
    coloured: bool,
}

impl Dicom {
    fn has_palette(&self) -> bool {
        self.image.info().photometric == Photometric::Palette
    }
}

/// Whether a pixel of the first, the middle or the last frame is in colour.
fn is_coloured(image: &Image) -> Result<bool> {
    let info = image.info();
    if info.samples_per_pixel == 1 && info.photometric != Photometric::Palette {
        return Ok(false);
    }
    for index in [0, info.frames / 2, info.frames.saturating_sub(1)] {
        let frame = image.frame(index)?.to_rgb()?;
        let mut values = frame.stored().iter();
        while let (Some(red), Some(green), Some(blue)) = (values.next(), values.next(), values.next()) {
            if red != green || green != blue {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl Volume {
    /// Opens a case's image.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or would take more than `cost` allows.
    pub fn open(case: &Case, reading: Reading, slice_axis: usize, cost: &Cost) -> Result<Self> {
        match &case.image {
            ImageSource::Picture(path) => {
                let image = read_channel(path, reading)?;
                Ok(Self::Picture(Box::new(Picture { image, spacing: case.spacing })))
            }
            ImageSource::Dicom(path) => {
                let image = Image::open(path, &cost.dicom)?;
                let info = image.info();
                let pixels = u64::from(info.rows) * u64::from(info.columns) * u64::from(info.samples_per_pixel);
                // Before a frame is decoded: a small file may hold a huge one.
                within(path, "a frame", pixels * BYTES_A_PIXEL, cost.max_bytes)?;
                let (step, coloured) = (affine::frame_step(&image)?, is_coloured(&image)?);
                Ok(Self::Dicom(Box::new(Dicom { image, step, reading, coloured })))
            }
            ImageSource::Nifti(path) => {
                let volume = match &case.channel {
                    Some(channel) => NiftiVolume::open_channel(path, channel, slice_axis, cost.max_bytes)?,
                    None => NiftiVolume::open(path, slice_axis, cost.max_bytes)?,
                };
                Ok(Self::Nifti(Box::new(volume)))
            }
        }
    }

    /// How many slices there are.
    pub fn slices(&self) -> usize {
        match self {
            Self::Picture(_) => 1,
            Self::Dicom(dicom) => dicom.image.info().frames as usize,
            Self::Nifti(volume) => volume.slices(),
        }
    }

    /// Height and width of a slice.
    pub fn size(&self) -> [usize; 2] {
        match self {
            Self::Picture(picture) => [picture.image.height, picture.image.width],
            Self::Dicom(dicom) => [dicom.image.info().rows as usize, dicom.image.info().columns as usize],
            Self::Nifti(volume) => volume.size(),
        }
    }

    /// The values of slice `index` before any window is applied: stored values of pictures, modality values of DICOM (where colour is not
    /// kept, of its luma), scaled values of NIfTI.
    pub fn plane(&self, index: usize) -> Result<Plane> {
        let [height, width] = self.size();
        match self {
            Self::Picture(picture) => {
                let (values, channels) = (picture.image.data.clone(), picture.image.channels);
                Ok(Plane { height, width, channels, values, inverted: false, padding: Vec::new() })
            }
            Self::Nifti(volume) => {
                let values = volume.slice(index)?;
                Ok(Plane { height, width, channels: 1, values, inverted: false, padding: Vec::new() })
            }
            Self::Dicom(dicom) => {
                let image = &dicom.image;
                let frame = image.frame(index as u32)?;
                if dicom.reading == Reading::Rgb && dicom.coloured {
                    let values = frame.to_rgb()?.stored().iter().map(|value| value as f32).collect();
                    return Ok(Plane { height, width, channels: 3, values, inverted: false, padding: Vec::new() });
                }
                let frame = frame.to_gray()?;
                let values = frame.modality()?.into_iter().map(|value| value as f32).collect();
                let inverted = image.info().photometric == Photometric::Monochrome1;
                Ok(Plane { height, width, channels: 1, values, inverted, padding: padding_of(image, &frame) })
            }
        }
    }

    /// Slice `index` of a DICOM object as a screen shows it with the object's own window, from 0 (black) to 1 (white); `None` for
    /// other sources.
    pub fn shown(&self, index: usize) -> Result<Option<Plane>> {
        let Some(image) = self.dicom().filter(|_| !self.keeps_colour()) else { return Ok(None) };
        let [height, width] = self.size();
        let frame = image.frame(index as u32)?.to_gray()?;
        let values = frame.display(&Voi::Default)?;
        Ok(Some(Plane { height, width, channels: 1, values, inverted: false, padding: padding_of(image, &frame) }))
    }

    /// Whether slice `index` has its own window or look-up table that can be applied, and is the one that is: a look-up table, or
    /// the first window.
    pub fn has_usable_voi(&self, index: usize) -> Result<bool> {
        match self {
            Self::Dicom(dicom) => Ok(dicom.image.frame_info(index as u32)?.has_usable_voi()),
            Self::Picture(_) | Self::Nifti(_) => Ok(false),
        }
    }

    /// Whether slice `index` has its own window or look-up table.
    pub fn has_voi(&self, index: usize) -> Result<bool> {
        match self {
            Self::Dicom(dicom) => {
                let info = dicom.image.frame_info(index as u32)?;
                Ok(!info.windows.is_empty() || info.voi_luts > 0)
            }
            Self::Picture(_) | Self::Nifti(_) => Ok(false),
        }
    }

    /// Whether values of the file have more bits than it says, and were cut. Of a DICOM object, the first, the middle and the last frame
    /// count.
    pub fn has_higher_bits(&self) -> Result<bool> {
        let Some(image) = self.dicom() else { return Ok(false) };
        let frames = image.info().frames;
        let mut places = vec![0, frames / 2, frames.saturating_sub(1)];
        places.dedup();
        for index in places {
            if image.has_higher_bits(index)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the file says where the image lies in a way that cannot be used; of several frames, the first one counts.
    pub fn has_unusable_geometry(&self) -> Result<bool> {
        match self {
            Self::Dicom(dicom) => Ok(dicom.image.frame_info(0)?.unusable_geometry),
            Self::Picture(_) | Self::Nifti(_) => Ok(false),
        }
    }

    /// The range that the values of [`Volume::plane`] can have; `None` if it is not known (floating point, a modality look-up
    /// table, the colours of a palette, or more than 32 bits).
    pub fn stored_range(&self) -> Result<Option<StoredRange>> {
        match self {
            Self::Picture(picture) => Ok(Some(StoredRange { low: 0.0, high: f64::from(picture.image.maximum) })),
            Self::Nifti(volume) => Ok(volume.stored_range()),
            Self::Dicom(dicom) => {
                let (info, frame) = (dicom.image.info(), dicom.image.frame_info(0)?);
                // The entries of a palette have their own bits.
                let looked_up = self.keeps_colour() && dicom.has_palette();
                if frame.modality_lut || info.bits_stored > 32 || looked_up {
                    return Ok(None);
                }
                let span = (1_u64 << info.bits_stored) as f64;
                let low = if info.signed { -span / 2.0 } else { 0.0 };
                let ends = [low, low + span - 1.0].map(|stored| stored * frame.slope + frame.intercept);
                Ok(Some(StoredRange { low: ends[0].min(ends[1]), high: ends[0].max(ends[1]) }))
            }
        }
    }

    /// The position of slice `index`.
    pub fn geometry(&self, index: usize) -> Result<Geometry> {
        match self {
            Self::Picture(picture) => Ok(Geometry { spacing: picture.spacing, ..Geometry::default() }),
            Self::Nifti(volume) => {
                let whole = volume.geometry();
                let affine = whole.affine.map(|affine| affine::from_slice(affine, index as f64));
                Ok(Geometry { affine, ..whole })
            }
            Self::Dicom(dicom) => {
                let info = dicom.image.frame_info(index as u32)?;
                let spacing = info.spacing.map(|spacing| [spacing.row, spacing.column]);
                let slice_spacing = info.spacing_between_slices.or(info.slice_thickness);
                Ok(Geometry { spacing, slice_spacing, affine: affine::of_frame(&info, dicom.step) })
            }
        }
    }

    /// The side that the header gives for slice `index`.
    pub fn side(&self, index: usize) -> Result<Option<Side>> {
        let Some(image) = self.dicom() else { return Ok(None) };
        Ok(match image.frame_info(index as u32)?.laterality {
            Some(Laterality::Left) => Some(Side::Left),
            Some(Laterality::Right) => Some(Side::Right),
            Some(Laterality::Both | Laterality::Unpaired) | None => None,
        })
    }

    /// The view that the header gives, such as MLO.
    pub fn view(&self) -> Option<&str> {
        self.dicom()?.info().view.as_deref()
    }

    /// Whether this is an X-ray image of the breast.
    pub fn is_mammography(&self) -> bool {
        let Some(info) = self.dicom().map(Image::info) else { return false };
        let kind = matches!(
            info.kind,
            ObjectKind::BreastTomosynthesis
                | ObjectKind::MammographyForPresentation
                | ObjectKind::MammographyForProcessing
        );
        kind || info.modality.as_deref() == Some("MG")
    }

    /// Whether a picture was turned or mirrored, as its orientation tag says.
    pub fn turned(&self) -> bool {
        matches!(self, Self::Picture(picture) if picture.image.turned)
    }

    /// Whether the image is in colour, that is, whether a pixel of it is. Of a DICOM object, the first, the middle and the last frame count.
    pub fn is_coloured(&self) -> bool {
        match self {
            Self::Picture(picture) => picture.image.coloured,
            Self::Dicom(dicom) => dicom.coloured,
            Self::Nifti(_) => false,
        }
    }

    /// Whether the image is in colour and its planes are, too.
    pub fn keeps_colour(&self) -> bool {
        match self {
            Self::Picture(picture) => picture.image.coloured && picture.image.channels == 3,
            Self::Dicom(dicom) => dicom.reading == Reading::Rgb && dicom.coloured,
            Self::Nifti(_) => false,
        }
    }

    /// The DICOM object, if it is one.
    pub fn dicom(&self) -> Option<&Image> {
        match self {
            Self::Dicom(dicom) => Some(&dicom.image),
            Self::Picture(_) | Self::Nifti(_) => None,
        }
    }
}

/// Reads a picture with the channels that `reading` says.
pub(crate) fn read_channel(path: &Path, reading: Reading) -> Result<RawImage> {
    let channel = match reading {
        Reading::Rgb => return Ok(read_image(path, 3)?),
        Reading::Luma => return Ok(read_image(path, 1)?),
        Reading::Channel(channel) => channel,
    };
    let image = read_image(path, 3)?;
    let data = image.data.iter().skip(channel).step_by(3).copied().collect();
    Ok(RawImage { channels: 1, data, ..image })
}

/// Which pixels have values in DICOM's padding range; empty if none has.
fn padding_of(image: &Image, frame: &pig_dicom::Frame) -> Vec<bool> {
    let Some((low, high)) = image.info().padding else { return Vec::new() };
    if frame.samples_per_pixel() != 1 || image.info().samples_per_pixel != 1 {
        return Vec::new();
    }
    let (low, high) = (low as f64, high as f64);
    let padding: Vec<bool> = frame.stored().iter().map(|value| (low..=high).contains(&value)).collect();
    if padding.iter().any(|&is| is) { padding } else { Vec::new() }
}
