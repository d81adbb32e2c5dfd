//! Reads DICOM images and segmentations: one frame at a time, in bounded memory, without panics.
//!
//! [`open`] reads a file's header and records where the bytes of each frame are, without reading them. It returns an [`Image`],
//! a [`Segmentation`] or, for an object without pixels, its SOP class.
//!
//! ```no_run
//! use pig_dicom::{Limits, Object, Voi, open};
//!
//! # fn main() -> pig_dicom::Result<()> {
//! if let Object::Image(image) = open("volume.dcm".as_ref(), &Limits::default())? {
//!     for index in 0..image.info().frames {
//!         let frame = image.frame(index)?;
//!         let shown: Vec<f32> = frame.display(&Voi::Default)?; // rows * columns, 0 is black and 1 is white
//!         let geometry = image.frame_info(index)?; // spacing, position, laterality
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Values go through the stages of DICOM PS3.3: stored, modality (rescale or modality LUT), windowed (VOI window or LUT) and
//! displayed. Colour is converted to gray only if [`Frame::to_gray`] is called.
//!
//! Every size that a file states is checked against [`Limits`] and against the file's length before memory is allocated.
//! This crate decodes RLE, JPEG and JPEG-LS itself. `hayro-jpeg2000` (safe code) decodes JPEG 2000: the headers of the
//! codestream are checked first, so that memory and time are bounded, and the decoder runs inside `catch_unwind`, so that its
//! panics become [`Error::Codec`]. The process's panic hook is not changed; the hook can call [`panics_are_caught_here`] to learn
//! which panics it need not report.
//!
//! Not supported: HTJ2K, JPEG XL, progressive JPEG, video, JPEG 2000 with more than 16 bits, and JPEG-LS and lossless JPEG with
//! subsampled components.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod attributes;
mod basic_profile;
mod codec;
mod colour;
mod dataset;
mod element;
mod error;
mod file;
mod foreign;
mod fragments;
mod frames;
mod groups;
mod header;
mod image;
mod info;
mod limits;
mod pixel_data;
mod privacy;
mod samples;
mod seg;
mod shape;
mod source;
mod voi;

use std::path::Path;

use dicom_dictionary_std::tags;

pub use basic_profile::BASIC_PROFILE;
pub use error::{Error, Result};
pub use file::is_dicom;
pub use foreign::panics_are_caught_here;
pub use image::{Frame, Image, Windowed};
pub use info::{FrameInfo, Identifier, ImageInfo, Laterality, ObjectKind, Photometric, Plane, Spacing, SpacingSource};
pub use limits::Limits;
pub use privacy::{PrivateTag, Reason, privacy, privacy_bytes};
pub use samples::Samples;
pub use seg::{
    Code, Mask, Segment, SegmentFrame, Segmentation, SegmentationInfo, SegmentationKind, Selection, SourceFrame,
};
pub use voi::{Voi, Window, WindowFunction};

/// What a DICOM file contains.
// One object is opened at a time: a smaller variant would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Object {
    /// An image of one or more frames.
    Image(Image),
    /// A DICOM SEG object.
    Segmentation(Segmentation),
    /// A DICOM object without pixel data (a report, a presentation state, a directory).
    Other {
        /// SOP class UID, if the file has a valid one.
        sop_class: Option<String>,
    },
}

/// Opens a DICOM file of any kind, with or without a preamble; reads its header only.
pub fn open(path: &Path, limits: &Limits) -> Result<Object> {
    object(file::read(source::Source::open(path, limits)?, limits, false)?, limits)
}

/// Opens a DICOM file held in memory; errors give `name` as its path.
pub fn open_bytes(bytes: Vec<u8>, name: &Path, limits: &Limits) -> Result<Object> {
    object(file::read(source::Source::from_bytes(bytes, name, limits), limits, false)?, limits)
}

fn object(file: file::File, limits: &Limits) -> Result<Object> {
    let path = file.source.path();
    let uid = |header: &header::Header, tag| header.root(path).uid(tag).map(String::from);
    let sop_class =
        uid(&file.header, tags::SOP_CLASS_UID).or_else(|| uid(&file.meta, tags::MEDIA_STORAGE_SOP_CLASS_UID));
    if file.header.pixel_data.is_none() {
        // Only images say how their pixels are stored: the file ends before them, or they were taken out.
        if file.header.root(path).get(tags::BITS_ALLOCATED).is_some() {
            return Err(Error::Missing { path: path.to_path_buf(), what: element::name(tags::PIXEL_DATA) });
        }
        return Ok(Object::Other { sop_class });
    }
    match sop_class.as_deref() {
        Some(class) if seg::is_segmentation(class) => Segmentation::from_file(file, limits).map(Object::Segmentation),
        _ => Image::from_file(file, limits).map(Object::Image),
    }
}
