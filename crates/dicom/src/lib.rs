//! DICOM images and segmentations in: frames one at a time, bounded memory, no panic.
//!
//! [`open`] reads a file's header, finds where each frame's bytes lie and leaves them there. What comes back is an [`Image`],
//! a [`Segmentation`] or the SOP class of something that holds no pixels.
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
//! displayed. Colour becomes gray only where [`Frame::to_gray`] is called.
//!
//! Everything that a file says of itself is held against [`Limits`] and against the file's length before memory is taken.
//! RLE, JPEG and JPEG-LS are decoded here. JPEG 2000 is decoded by `hayro-jpeg2000` (safe code) behind a check of the
//! codestream's headers, so that memory and time are bounded, and inside `catch_unwind`: its panics become [`Error::Codec`]. The
//! process's panic hook is left alone; [`panics_are_caught_here`] tells it which panics it need not report.
//!
//! Not read: HTJ2K, JPEG XL, progressive JPEG, video, more than 16 bits of JPEG 2000, sampled JPEG-LS and lossless JPEG.

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
pub use info::{FrameInfo, Identifier, ImageInfo, Laterality, ObjectKind, Photometric, Spacing, SpacingSource};
pub use limits::Limits;
pub use privacy::{PrivateTag, Reason, privacy, privacy_bytes};
pub use samples::Samples;
pub use seg::{Mask, Segment, SegmentFrame, Segmentation, SegmentationInfo, SegmentationKind, Selection, SourceFrame};
pub use voi::{Voi, Window, WindowFunction};

/// What a DICOM file turned out to be.
// One object is opened at a time: a smaller variant would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Object {
    /// An image of one frame or more.
    Image(Image),
    /// A DICOM SEG object.
    Segmentation(Segmentation),
    /// A DICOM object without pixel data (a report, a presentation state, a directory); the SOP class UID, if valid.
    Other {
        /// SOP class UID.
        sop_class: Option<String>,
    },
}

/// Opens a DICOM file of any kind, with or without a preamble; reads its header only.
pub fn open(path: &Path, limits: &Limits) -> Result<Object> {
    object(file::read(source::Source::open(path, limits)?, limits, false)?, limits)
}

/// Opens a DICOM file that lies in memory; `name` stands for the path in errors.
pub fn open_bytes(bytes: Vec<u8>, name: &Path, limits: &Limits) -> Result<Object> {
    object(file::read(source::Source::from_bytes(bytes, name, limits), limits, false)?, limits)
}

fn object(file: file::File, limits: &Limits) -> Result<Object> {
    let path = file.source.path();
    let uid = |header: &header::Header, tag| header.root(path).uid(tag).map(String::from);
    let sop_class =
        uid(&file.header, tags::SOP_CLASS_UID).or_else(|| uid(&file.meta, tags::MEDIA_STORAGE_SOP_CLASS_UID));
    if file.header.pixel_data.is_none() {
        return Ok(Object::Other { sop_class });
    }
    match sop_class.as_deref() {
        Some(class) if seg::is_segmentation(class) => Segmentation::from_file(file, limits).map(Object::Segmentation),
        _ => Image::from_file(file, limits).map(Object::Image),
    }
}
