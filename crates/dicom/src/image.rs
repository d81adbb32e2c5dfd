//! Images: frames are read from their places in the file and decoded one at a time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::attributes;
use crate::dataset::Dataset;
use crate::file::{self, File};
use crate::frames::{Frames, Parts};
use crate::groups::Groups;
use crate::samples::Samples;
use crate::shape::Shape;
use crate::source::Source;
use crate::voi::{Modality, Pipeline, Stage};
use crate::{Error, FrameInfo, ImageInfo, Limits, Photometric, Plane, Result, Voi, colour};

/// An open image. Its header is in memory, and its pixel data stays in the file. Frames can be read from several threads.
pub struct Image {
    info: ImageInfo,
    frames: Frames,
    parts: Parts,
    palette: Option<Arc<colour::Palette>>,
    /// The place of each frame's functional groups in the header; empty if there are none.
    groups: Vec<(usize, usize)>,
}

impl fmt::Debug for Image {
    /// Shows only the image information, because the header contains names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Image {
    /// Opens an image; reads its header only.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        Self::from_file(file::read(Source::open(path, limits)?, limits, false)?, limits)
    }

    /// Opens an image held in memory; errors give `name` as its path.
    pub fn from_bytes(bytes: Vec<u8>, name: &Path, limits: &Limits) -> Result<Self> {
        Self::from_file(file::read(Source::from_bytes(bytes, name, limits), limits, false)?, limits)
    }

    pub(crate) fn from_file(file: File, limits: &Limits) -> Result<Self> {
        let (frames, parts) = Frames::new(file, limits)?;
        let root = parts.header.root(frames.path());
        let info = attributes::image_info(&parts, &root, &frames.shape, frames.left_over);
        let palette = match frames.shape.photometric {
            Photometric::Palette => Some(Arc::new(colour::Palette::read(&root, frames.shape.signed)?)),
            _ => None,
        };
        let tag = tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE;
        let groups: Vec<_> = root.items(tag).iter().map(Dataset::span).collect();
        if !groups.is_empty() && groups.len() < info.frames as usize {
            let expected = format!("{} (Number of Frames)", info.frames);
            return Err(root.invalid(tag, format!("{} items", groups.len()), expected));
        }
        Ok(Self { info, frames, parts, palette, groups })
    }

    /// The attributes that hold for every frame.
    pub fn info(&self) -> &ImageInfo {
        &self.info
    }

    /// Bytes that the open image takes in memory, without its decoded frames.
    pub fn memory(&self) -> u64 {
        self.parts.header.memory() + (self.groups.len() * size_of::<(usize, usize)>()) as u64
    }

    fn root(&self) -> Dataset<'_> {
        self.parts.header.root(self.frames.path())
    }

    fn groups(&self, index: u32) -> Groups<'_> {
        let root = self.root();
        let frame = self.groups.get(index as usize).map(|&span| self.parts.header.dataset(self.frames.path(), span));
        Groups::new(root, frame, root.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE))
    }

    /// Geometry, laterality and value transformations of a frame; `index` counts from 0.
    pub fn frame_info(&self, index: u32) -> Result<FrameInfo> {
        self.frames.check(index)?;
        let groups = self.groups(index);
        Ok(groups.frame_info(self.info.laterality, &groups.pipeline(&self.frames.shape)?))
    }

    /// Position, orientation and spacing of a frame; `index` counts from 0. The values are those of [`Image::frame_info`], which also
    /// reads the other attributes.
    pub fn plane(&self, index: u32) -> Result<Plane> {
        self.frames.check(index)?;
        Ok(self.groups(index).plane())
    }

    /// Whether values of a frame have more bits than Bits Stored says, so that [`Image::frame`] cuts them; `index` counts from 0. An overlay
    /// that is stored in these bits (retired, PS3.5 8.1.2) does not count.
    pub fn has_higher_bits(&self, index: u32) -> Result<bool> {
        let root = self.root();
        // Overlay Bit Position of each of the sixteen overlays; 0 where the overlay has its own data.
        let position = |overlay: u16| root.number(Tag(0x6000 + 2 * overlay, 0x0102)).ok().flatten();
        if (0..16).any(|overlay| position(overlay).is_some_and(|bit| bit > 0.0)) {
            return Ok(false);
        }
        self.frames.has_higher_bits(index)
    }

    /// Reads and decodes a frame; `index` counts from 0.
    pub fn frame(&self, index: u32) -> Result<Frame> {
        self.frames.check(index)?;
        let pipeline = self.groups(index).pipeline(&self.frames.shape)?;
        let decoded = self.frames.stored(index)?;
        let stated = self.frames.shape;
        Ok(Frame {
            path: self.frames.path().to_path_buf(),
            index,
            shape: Shape { photometric: decoded.photometric.unwrap_or(stated.photometric), ..stated },
            stored: decoded.samples,
            pipeline,
            palette: self.palette.clone(),
        })
    }
}

/// Windowed values with the range that they can take.
#[derive(Debug, Clone, PartialEq)]
pub struct Windowed {
    /// rows * columns values.
    pub values: Vec<f64>,
    /// The value at the dark end of the range (for MONOCHROME1, the bright end).
    pub low: f64,
    /// The value at the other end of the range.
    pub high: f64,
}

/// One decoded frame, with the transformations from its stored values to the other stages.
#[derive(Debug, Clone)]
pub struct Frame {
    path: PathBuf,
    index: u32,
    shape: Shape,
    stored: Samples,
    pipeline: Pipeline,
    palette: Option<Arc<colour::Palette>>,
}

impl Frame {
    /// Index in the object, counted from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.shape.rows as usize
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.shape.columns as usize
    }

    /// Samples per pixel: 1 (gray, or an index into a palette) or 3.
    pub fn samples_per_pixel(&self) -> usize {
        usize::from(self.shape.samples)
    }

    /// The meaning of the stored values. It can differ from the header, because a decoder may have undone a colour transform.
    pub fn photometric(&self) -> Photometric {
        match self.shape.photometric {
            Photometric::YbrRct | Photometric::YbrIct => Photometric::Rgb,
            other => other,
        }
    }

    /// Stored values: rows * columns * samples per pixel.
    pub fn stored(&self) -> &Samples {
        &self.stored
    }

    /// Modality values of a gray frame (rows * columns), after rescale slope and intercept or after the modality LUT. A colour
    /// frame gives [`Error::Unsupported`]: see [`Frame::to_gray`].
    pub fn modality(&self) -> Result<Vec<f64>> {
        self.check_gray()?;
        Ok(self.stored.map(|stored| self.pipeline.modality.apply(stored)))
    }

    /// Windowed values of a gray frame (rows * columns) with the range of the output, as given by pydicom's
    /// `apply_modality_lut` followed by `apply_voi_lut` (MONOCHROME1 is not inverted).
    pub fn windowed(&self, voi: &Voi) -> Result<Windowed> {
        let (values, low, high) = self.through(voi, |value, _, _| value)?;
        Ok(Windowed { values, low, high })
    }

    /// A gray frame for display (rows * columns): windowed, scaled to 0 (black) to 1 (white), with MONOCHROME1 inverted.
    pub fn display(&self, voi: &Voi) -> Result<Vec<f32>> {
        let inverted = self.shape.photometric == Photometric::Monochrome1;
        let show = move |value: f64, low: f64, high: f64| {
            let share = if high == low { 0.0 } else { ((value - low) / (high - low)).clamp(0.0, 1.0) };
            // NaN, from floating-point pixels, is shown as black.
            let share = if share.is_nan() { 0.0 } else { share };
            (if inverted { 1.0 - share } else { share }) as f32
        };
        Ok(self.through(voi, show)?.0)
    }

    /// Applies the modality and VOI stages to every value, then `end`, which also gets the range of the output.
    fn through<T>(&self, voi: &Voi, end: impl Fn(f64, f64, f64) -> T) -> Result<(Vec<T>, f64, f64)> {
        self.check_gray()?;
        let stage = self.pipeline.stage(voi, &self.path)?;
        let modality = &self.pipeline.modality;
        let (low, high) = match stage {
            Stage::Lut(lut) => (0.0, lut.top()),
            Stage::None if self.stored.is_float() => self.extremes(),
            _ => modality.range(self.shape.bits_stored, self.shape.signed),
        };
        let values = match stage {
            Stage::Lut(lut) => self.stored.map(|v| end(f64::from(lut.apply(modality.apply(v))), low, high)),
            Stage::Window(window) => self.stored.map(|v| end(window.apply(modality.apply(v), low, high), low, high)),
            Stage::None => self.stored.map(|v| end(modality.apply(v), low, high)),
        };
        Ok((values, low, high))
    }

    /// Smallest and largest modality value: the range of floating-point pixels, whose type has no useful range.
    fn extremes(&self) -> (f64, f64) {
        let values = self.stored.iter().filter(|value| value.is_finite());
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            return (0.0, 1.0);
        }
        let (a, b) = (self.pipeline.modality.apply(low), self.pipeline.modality.apply(high));
        (a.min(b), a.max(b))
    }

    fn check_gray(&self) -> Result<()> {
        if matches!(self.shape.photometric, Photometric::Monochrome1 | Photometric::Monochrome2) {
            return Ok(());
        }
        Err(Error::Unsupported {
            path: self.path.clone(),
            what: "reading gray values from a frame of Photometric Interpretation".into(),
            found: format!("{:?}", self.shape.photometric),
            expected: "MONOCHROME1 or MONOCHROME2, or a request for conversion to gray".into(),
        })
    }

    /// Converts a colour or palette frame to interleaved red, green and blue: rows * columns * 3. A gray frame is refused.
    pub fn to_rgb(&self) -> Result<Frame> {
        let stored = match (self.photometric(), &self.palette) {
            (Photometric::Palette, Some(palette)) => palette.look_up(&self.stored),
            (Photometric::Rgb, _) => self.stored.clone(),
            (Photometric::YbrFull | Photometric::YbrFull422, _) => {
                colour::rgb_from_ybr(&self.stored, self.shape.bits_stored)
            }
            _ => {
                return Err(Error::Unsupported {
                    path: self.path.clone(),
                    what: "reading colours from a frame of Photometric Interpretation".into(),
                    found: format!("{:?}", self.shape.photometric),
                    expected: "a colour or palette image".into(),
                });
            }
        };
        let bits = match &self.palette {
            Some(palette) => palette.bits(),
            None => self.shape.bits_stored,
        };
        let shape = Shape { samples: 3, photometric: Photometric::Rgb, bits_stored: bits, signed: false, ..self.shape };
        Ok(Frame { shape, stored, pipeline: identity(), palette: None, path: self.path.clone(), index: self.index })
    }

    /// Converts a colour frame to gray: looks up the palette or converts YBR to RGB, then computes luma (ITU-R BT.601: 0.299,
    /// 0.587, 0.114), rounded to whole numbers of the samples' width. A gray frame is returned unchanged.
    pub fn to_gray(self) -> Result<Frame> {
        if self.check_gray().is_ok() {
            return Ok(self);
        }
        let rgb = self.to_rgb()?;
        let stored = colour::luma(&rgb.stored);
        let shape = Shape { samples: 1, photometric: Photometric::Monochrome2, ..rgb.shape };
        Ok(Frame { shape, stored, ..rgb })
    }
}

/// The pipeline of a colour image, which has no stages.
fn identity() -> Pipeline {
    let modality = Modality::Rescale { slope: 1.0, intercept: 0.0, stated: false };
    Pipeline { modality, windows: Vec::new(), luts: Vec::new() }
}
