//! DICOM SEG: masks, matched to the image frames that they were drawn on.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use dicom_dictionary_std::{tags, uids};

use crate::dataset::Dataset;
use crate::file::{self, File};
use crate::frames::Frames;
use crate::groups::Groups;
use crate::shape::Shape;
use crate::source::Source;
use crate::{Error, Identifier, Limits, Photometric, Plane, Result};

/// Segmentation Type (0062,0001).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentationKind {
    /// One bit per pixel.
    Binary,
    /// One byte per pixel: a probability or an occupancy, multiplied by `max`.
    Fractional {
        /// Maximum Fractional Value.
        max: u8,
    },
    /// The pixel's value is the number of its segment.
    Labelmap {
        /// Pixel Padding Value, the value of pixels that are of no segment; 0 if the file names none.
        background: u16,
    },
}

/// One entry of the Segment Sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Segment Number, from 1. A label map may describe its background as a segment, mostly as number 0.
    pub number: u16,
    /// Segment Label: free text that the author wrote; keep it out of logs.
    pub label: Identifier,
    /// The code of the Segmented Property Type: what the segment shows.
    pub kind: Option<Code>,
}

/// A code of a published vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Code Value.
    pub value: String,
    /// Coding Scheme Designator.
    pub scheme: String,
    /// Code Meaning.
    pub meaning: String,
}

/// The frame of an image that a mask belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceFrame {
    /// Referenced SOP Instance UID.
    pub sop_instance: String,
    /// Referenced Frame Number minus one, so counted from 0; `None` if the whole instance is referenced.
    pub frame: Option<u32>,
}

/// One frame of the segmentation.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentFrame {
    /// Referenced Segment Number; 0 for a label map, whose frames hold several.
    pub segment: u16,
    /// Image frames that it was drawn on (Derivation Image and Source Image Sequence).
    pub sources: Vec<SourceFrame>,
    /// Where it lies in the patient, for matching by position if no source is named.
    pub plane: Plane,
}

/// The attributes of the whole segmentation.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentationInfo {
    /// SOP Instance UID of the segmentation.
    pub sop_instance: String,
    /// Series Instance UID of the images, from the Referenced Series Sequence.
    pub referenced_series: Option<String>,
    /// SOP Instance UIDs of all images of the series that were looked at, from the Referenced Instance Sequences; an image that has no
    /// frame here has none of the segments. Empty if the file does not list them.
    pub referenced_instances: Vec<String>,
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

impl SegmentationInfo {
    /// The segments without the background, which a label map may describe as one.
    pub fn foreground(&self) -> impl Iterator<Item = &Segment> {
        let background = match self.kind {
            SegmentationKind::Labelmap { background } => Some(background),
            SegmentationKind::Binary | SegmentationKind::Fractional { .. } => None,
        };
        self.segments.iter().filter(move |segment| Some(segment.number) != background)
    }
}

/// Which segments go into a mask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selection {
    /// Every segment.
    #[default]
    All,
    /// The segments with these numbers.
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
    /// The greatest value that its frames store, of any pixel; of a fractional object, out of [`SegmentationKind::Fractional`]'s `max`.
    pub greatest: u16,
}

/// An open segmentation. Its header is in memory, and its masks stay in the file.
pub struct Segmentation {
    info: SegmentationInfo,
    entries: Vec<SegmentFrame>,
    frames: Frames,
}

impl fmt::Debug for Segmentation {
    /// Shows only the segmentation information, because the header contains names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segmentation").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Whether a SOP class is one of the segmentations with pixels.
pub(crate) fn is_segmentation(sop_class: &str) -> bool {
    matches!(sop_class, uids::SEGMENTATION_STORAGE | uids::LABEL_MAP_SEGMENTATION_STORAGE)
}

impl Segmentation {
    /// Opens a segmentation; reads its header only.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        Self::from_file(file::read(Source::open(path, limits)?, limits, false)?, limits)
    }

    /// Opens a segmentation held in memory; errors give `name` as its path.
    pub fn from_bytes(bytes: Vec<u8>, name: &Path, limits: &Limits) -> Result<Self> {
        Self::from_file(file::read(Source::from_bytes(bytes, name, limits), limits, false)?, limits)
    }

    pub(crate) fn from_file(file: File, limits: &Limits) -> Result<Self> {
        let (frames, parts) = Frames::new(file, limits)?;
        let root = parts.header.root(frames.path());
        let info = segmentation_info(&root, &frames.shape)?;
        let entries = entries(&root, &info, frames.shape.frames)?;
        Ok(Self { info, entries, frames })
    }

    /// The attributes of the whole object.
    pub fn info(&self) -> &SegmentationInfo {
        &self.info
    }

    /// Every frame's segment and sources, in the file's order.
    pub fn frames(&self) -> &[SegmentFrame] {
        &self.entries
    }

    /// The image frames that have a mask, sorted, each once.
    pub fn sources(&self) -> Vec<SourceFrame> {
        let all: BTreeSet<&SourceFrame> = self.entries.iter().flat_map(|entry| &entry.sources).collect();
        all.into_iter().cloned().collect()
    }

    /// One frame of the segmentation as a mask of 0 and 1; `index` counts from 0. In a label map, 1 means any segment. In a
    /// fractional object, 1 means a value of at least `threshold`, a share of the maximum, above 0 and up to 1. A fractional
    /// object is refused without a threshold; the other kinds ignore it.
    pub fn frame(&self, index: u32, threshold: Option<f64>) -> Result<Mask> {
        let mut mask = self.empty();
        self.add(&mut mask, index, &Selection::All, threshold)?;
        Ok(mask)
    }

    /// The union of the selected segments on one image frame; all zeros if nothing was drawn on it. An entry that references
    /// the whole instance counts for each of its frames. A source with `frame: None` selects all entries of the instance.
    pub fn mask(&self, source: &SourceFrame, selection: &Selection, threshold: Option<f64>) -> Result<Mask> {
        self.union(&self.frames_of(source), selection, threshold)
    }

    /// The frames, counted from 0, that name `source`, as [`Segmentation::mask`] takes them.
    pub fn frames_of(&self, source: &SourceFrame) -> Vec<u32> {
        let matches = |entry: &SourceFrame| {
            entry.sop_instance == source.sop_instance
                && (entry.frame.is_none() || source.frame.is_none() || entry.frame == source.frame)
        };
        let drawn = |index: &u32| self.entries[*index as usize].sources.iter().any(matches);
        (0..self.entries.len() as u32).filter(drawn).collect()
    }

    /// The union of the selected segments in `frames`, counted from 0; all zeros if there are none.
    pub fn union(&self, frames: &[u32], selection: &Selection, threshold: Option<f64>) -> Result<Mask> {
        let mut mask = self.empty();
        for &index in frames {
            let segment = self.entries.get(index as usize).map_or(0, |entry| entry.segment);
            if segment == 0 || selection.holds(segment) {
                self.add(&mut mask, index, selection, threshold)?;
            }
        }
        Ok(mask)
    }

    fn empty(&self) -> Mask {
        let (rows, columns) = (self.info.rows as usize, self.info.columns as usize);
        Mask { rows, columns, values: vec![0; rows * columns], greatest: 0 }
    }

    /// Adds the selected segments of a frame to the mask.
    fn add(&self, mask: &mut Mask, index: u32, selection: &Selection, threshold: Option<f64>) -> Result<()> {
        let least = match (self.info.kind, threshold) {
            (SegmentationKind::Fractional { max }, Some(share)) if share > 0.0 && share <= 1.0 => {
                share * f64::from(max)
            }
            (SegmentationKind::Fractional { .. }, _) => {
                return Err(Error::Invalid {
                    path: self.frames.path().to_path_buf(),
                    what: "the threshold of a fractional segmentation".into(),
                    found: threshold.map_or_else(|| "none".into(), |share| share.to_string()),
                    expected: "a share of the maximum, above 0 and up to 1".into(),
                });
            }
            _ => 1.0,
        };
        let stored = self.frames.stored(index)?.samples;
        let inside = |value: f64| match self.info.kind {
            SegmentationKind::Labelmap { background } => {
                let segment = value as u16;
                segment != background && selection.holds(segment)
            }
            _ => value >= least,
        };
        for (place, value) in mask.values.iter_mut().zip(stored.iter()) {
            *place |= u8::from(inside(value));
            mask.greatest = mask.greatest.max(value as u16);
        }
        Ok(())
    }
}

impl Selection {
    fn holds(&self, segment: u16) -> bool {
        match self {
            Self::All => true,
            Self::Numbers(numbers) => numbers.contains(&segment),
        }
    }
}

fn segmentation_info(root: &Dataset<'_>, shape: &Shape) -> Result<SegmentationInfo> {
    let tag = tags::SEGMENTATION_TYPE;
    let kind = match root.text(tag).ok_or_else(|| root.missing(tag))? {
        "BINARY" => SegmentationKind::Binary,
        "FRACTIONAL" => {
            let max: u8 = root.required(tags::MAXIMUM_FRACTIONAL_VALUE)?;
            SegmentationKind::Fractional { max: max.max(1) }
        }
        "LABELMAP" => {
            let padding = root.unsigned(tags::PIXEL_PADDING_VALUE)?.map(u16::try_from).transpose();
            let wrong = |_| root.invalid(tags::PIXEL_PADDING_VALUE, "a value above 65535", "a pixel value");
            SegmentationKind::Labelmap { background: padding.map_err(wrong)?.unwrap_or(0) }
        }
        _ => return Err(root.invalid(tag, "an unknown term", "BINARY, FRACTIONAL or LABELMAP")),
    };
    let gray = matches!(shape.photometric, Photometric::Monochrome2 | Photometric::Palette);
    if shape.samples != 1 || !gray || shape.signed {
        let found = "colour, signed or inverted pixels";
        return Err(root.invalid(tags::PHOTOMETRIC_INTERPRETATION, found, "unsigned MONOCHROME2 in a segmentation"));
    }
    if kind == SegmentationKind::Binary && shape.bits_stored != 1 {
        return Err(root.invalid(tags::BITS_STORED, shape.bits_stored.to_string(), "1 in a binary segmentation"));
    }
    let segments = root
        .items(tags::SEGMENT_SEQUENCE)
        .iter()
        .map(|item| {
            let label = Identifier(item.free_text(tags::SEGMENT_LABEL).unwrap_or_default());
            let kind = item.item(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE).and_then(|code| code_of(&code));
            Ok(Segment { number: item.required(tags::SEGMENT_NUMBER)?, label, kind })
        })
        .collect::<Result<_>>()?;
    let uid = |dataset: &Dataset<'_>, tag| dataset.uid(tag).map(String::from);
    let series = root.items(tags::REFERENCED_SERIES_SEQUENCE);
    let instances = series.iter().flat_map(|series| series.items(tags::REFERENCED_INSTANCE_SEQUENCE));
    Ok(SegmentationInfo {
        sop_instance: uid(root, tags::SOP_INSTANCE_UID).unwrap_or_default(),
        referenced_series: series.first().and_then(|series| uid(series, tags::SERIES_INSTANCE_UID)),
        referenced_instances: instances.filter_map(|item| uid(&item, tags::REFERENCED_SOP_INSTANCE_UID)).collect(),
        frame_of_reference: uid(root, tags::FRAME_OF_REFERENCE_UID),
        kind,
        rows: shape.rows,
        columns: shape.columns,
        segments,
    })
}

/// The code of an item of a code sequence; none if it has no value.
fn code_of(item: &Dataset<'_>) -> Option<Code> {
    let text = |tag| item.text(tag).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Some(Code {
        value: text(tags::CODE_VALUE)?,
        scheme: text(tags::CODING_SCHEME_DESIGNATOR).unwrap_or_default(),
        meaning: item.free_text(tags::CODE_MEANING).unwrap_or_default().trim().to_owned(),
    })
}

/// Segment and sources of every frame, from the functional groups.
fn entries(root: &Dataset<'_>, info: &SegmentationInfo, frames: u32) -> Result<Vec<SegmentFrame>> {
    let tag = tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE;
    let groups = root.items(tag);
    if groups.len() < frames as usize {
        return Err(root.invalid(tag, format!("{} items", groups.len()), format!("{frames} (Number of Frames)")));
    }
    let shared = root.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let known: BTreeSet<u16> = info.segments.iter().map(|segment| segment.number).collect();
    groups
        .iter()
        .take(frames as usize)
        .map(|item| {
            let places = [Some(*item), shared].into_iter().flatten();
            let labelled = matches!(info.kind, SegmentationKind::Labelmap { .. });
            let segment = if labelled { 0 } else { segment_of(root, places.clone(), &known)? };
            let derivations = places.map(|place| place.items(tags::DERIVATION_IMAGE_SEQUENCE));
            let derivation = derivations.into_iter().find(|items| !items.is_empty()).unwrap_or_default();
            let mut sources = Vec::new();
            for image in derivation.iter().flat_map(|item| item.items(tags::SOURCE_IMAGE_SEQUENCE)) {
                sources_of(&image, &mut sources)?;
            }
            let plane = Groups::new(*root, Some(*item), shared).plane();
            Ok(SegmentFrame { segment, sources, plane })
        })
        .collect()
}

/// The segment of a frame; `places` are its functional groups: per-frame, then shared.
fn segment_of<'a>(
    root: &Dataset<'_>,
    mut places: impl Iterator<Item = Dataset<'a>>,
    known: &BTreeSet<u16>,
) -> Result<u16> {
    let holder = places.find_map(|place| place.item(tags::SEGMENT_IDENTIFICATION_SEQUENCE));
    let holder = holder.ok_or_else(|| root.missing(tags::SEGMENT_IDENTIFICATION_SEQUENCE))?;
    let number: u16 = holder.required(tags::REFERENCED_SEGMENT_NUMBER)?;
    if !known.contains(&number) {
        let expected = "a number of the Segment Sequence";
        return Err(root.invalid(tags::REFERENCED_SEGMENT_NUMBER, number.to_string(), expected));
    }
    Ok(number)
}

/// Collects the frames that an item of the Source Image Sequence names; the whole instance if it names none.
fn sources_of(image: &Dataset<'_>, sources: &mut Vec<SourceFrame>) -> Result<()> {
    let tag = tags::REFERENCED_SOP_INSTANCE_UID;
    let sop_instance = image.uid(tag).ok_or_else(|| image.missing(tag))?;
    let source = |frame| SourceFrame { sop_instance: sop_instance.to_string(), frame };
    let numbers = image.numbers(tags::REFERENCED_FRAME_NUMBER)?.unwrap_or_default();
    if numbers.is_empty() {
        sources.push(source(None));
    }
    for number in numbers {
        if number < 1.0 || number.fract() != 0.0 || number > f64::from(u32::MAX) {
            let found = number.to_string();
            return Err(image.invalid(tags::REFERENCED_FRAME_NUMBER, found, "a whole number of at least 1"));
        }
        sources.push(source(Some(number as u32 - 1)));
    }
    Ok(())
}
