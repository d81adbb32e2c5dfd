//! DICOM SEG: masks matched to the frames that they were drawn on.

use std::path::Path;

use crate::{Limits, Result};

/// Segmentation Type (0062,0001).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentationKind {
    /// One bit a pixel.
    Binary,
    /// One byte a pixel, a probability or an occupancy times `max`.
    Fractional {
        /// Maximum Fractional Value.
        max: u8,
    },
    /// The pixel's value is the number of its segment.
    Labelmap,
}

/// One entry of the Segment Sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Segment Number, from 1 (0 may be the background of a label map).
    pub number: u16,
    /// Segment Label: free text of the author; keep it out of logs.
    pub label: crate::Identifier,
}

/// The frame of an image that a mask belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceFrame {
    /// Referenced SOP Instance UID.
    pub sop_instance: String,
    /// Referenced Frame Number less one, so counted from 0; `None` where the whole instance is referenced.
    pub frame: Option<u32>,
}

/// One frame of the segmentation.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentFrame {
    /// Referenced Segment Number; 0 for a label map, whose frames hold several.
    pub segment: u16,
    /// Frames of the images that it was drawn on (Derivation Image and Source Image Sequence).
    pub sources: Vec<SourceFrame>,
    /// Image Position (Patient), for matching by place where no source is named.
    pub position: Option<[f64; 3]>,
}

/// What holds for the whole segmentation.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentationInfo {
    /// SOP Instance UID of the segmentation.
    pub sop_instance: String,
    /// Series Instance UID of the images, from the Referenced Series Sequence.
    pub referenced_series: Option<String>,
    /// Frame of Reference UID.
    pub frame_of_reference: Option<String>,
    /// Binary, fractional or label map.
    pub kind: SegmentationKind,
    /// Rows of a mask.
    pub rows: u32,
    /// Columns of a mask.
    pub columns: u32,
    /// Segments, in the file's order.
    pub segments: Vec<Segment>,
}

/// Which segments go into a mask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// Every segment.
    #[default]
    All,
    /// Those of these numbers.
    Numbers(Vec<u16>),
}

/// A mask of one image frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// rows * columns values: 1 inside any selected segment, else 0.
    pub values: Vec<u8>,
}

/// An open segmentation. Its header is in memory, its masks stay in the file.
#[derive(Debug)]
pub struct Segmentation {}

impl Segmentation {
    /// Opens a segmentation; reads its header only.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        todo!()
    }

    /// What holds for the whole object.
    pub fn info(&self) -> &SegmentationInfo {
        todo!()
    }

    /// Every frame's segment and sources, in the file's order.
    pub fn frames(&self) -> &[SegmentFrame] {
        todo!()
    }

    /// The image frames that have a mask, sorted, each once.
    pub fn sources(&self) -> Vec<SourceFrame> {
        todo!()
    }

    /// One frame of the segmentation as 0 and 1. `threshold` (a share of the maximum, above 0 and up to 1) decides
    /// fractional values, which are refused without one; binary frames ignore it.
    pub fn frame(&self, index: u32, threshold: Option<f64>) -> Result<Mask> {
        todo!()
    }

    /// The union of the selected segments on one image frame; an all-zero mask where nothing was drawn. An entry that
    /// references the whole instance counts for each of its frames.
    pub fn mask(&self, source: &SourceFrame, selection: &Selection, threshold: Option<f64>) -> Result<Mask> {
        todo!()
    }
}
