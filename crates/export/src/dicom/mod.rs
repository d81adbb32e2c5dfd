//! DICOM: `images/STEM.dcm`, a Multi-frame Grayscale Byte or Word Secondary Capture, and `segmentations/STEM.dcm`, a Segmentation, binary or
//! as a label map, whose frames name the image's frames.
//!
//! The objects follow DICOM PS3.3 (A.8.3, A.8.4, A.51). Every object is new: identifiers come from a hash, nothing is copied
//! from a source's header, and attributes of an acquisition are absent or empty. Generated objects say so in Synthetic Data
//! (0008,001C), which validators older than 2022 do not know. Pixel data are written frame by frame.

mod common;
mod element;
mod image;
mod pixel_file;
mod segmentation;
mod uid;

use dicom_dictionary_std::uids;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use pig_data::{ClassConfig, Pixels};

use crate::error::{ExportError, Result};
use crate::job::Job;
use crate::pixels::Loaded;
use crate::request::SegmentationType;
use crate::stack::{Stack, stacks};
use crate::staging::StagedFile;
use common::About;
use pixel_file::{MaskFile, PixelFile};

/// The largest number of frames: their numbers must fit in an attribute of 65,534 bytes.
const MOST_FRAMES: usize = 9999;

/// The largest length of pixel data that an object in a file can state.
const MOST_BYTES: usize = u32::MAX as usize - 1;

/// Writes the pairs, gray, with masks of this kind.
///
/// # Errors
/// When classes overlap and the masks are to be label maps, besides what reading and writing give.
pub(crate) fn write(job: &mut Job<'_>, kind: SegmentationType) -> Result<()> {
    if kind == SegmentationType::Labelmap && job.coding().overlap {
        return Err(ExportError::Setting {
            setting: "--segmentation-type",
            found: format!("labelmap for classes that may overlap ({})", job.several_classes().join(", ")),
            expected: "binary, because a pixel of a label map has one segment",
        });
    }
    if job.pairs.channels == 3 {
        job.pairs.warn_of_gray("dicom-seg");
    }
    for stack in stacks(job)? {
        write_stack(job, &stack, kind)?;
    }
    Ok(())
}

fn write_stack(job: &mut Job<'_>, stack: &Stack, kind: SegmentationType) -> Result<()> {
    let [image_name, mask_name] = ["images", "segmentations"].map(|folder| format!("{folder}/{}.dcm", stack.stem));
    let mut files: Option<(PixelFile, MaskFile)> = None;
    for (frame, &index) in stack.members.iter().enumerate() {
        let loaded = job.load(index, true)?;
        let (image, mask) = match &mut files {
            Some(files) => files,
            None => files.insert(begin(job, stack, index, &loaded, kind, [&image_name, &mask_name])?),
        };
        match &loaded.image {
            Pixels::Eight(values) => image.put(values)?,
            Pixels::Sixteen(values) => {
                image.put(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
            }
        }
        mask.put(&loaded.mask, job.coding())?;
        job.record(index, &loaded, [&image_name, &mask_name], frame + 1)?;
    }
    match files {
        Some((image, mask)) => image.finish().and_then(|()| mask.finish()),
        None => Ok(()),
    }
}

fn begin(
    job: &Job<'_>,
    stack: &Stack,
    index: usize,
    loaded: &Loaded,
    kind: SegmentationType,
    names: [&str; 2],
) -> Result<(PixelFile, MaskFile)> {
    let (frames, segments) = (stack.members.len(), job.labels().len());
    let mask_frames = segmentation::frames(kind, frames, segments);
    let pixels = loaded.width * loaded.height;
    let (bytes, vr) = match loaded.image {
        Pixels::Eight(_) => (1, "OB"),
        Pixels::Sixteen(_) => (2, "OW"),
    };
    let length = pixels.checked_mul(frames * bytes).filter(|&length| length <= MOST_BYTES);
    let sides = u16::try_from(loaded.width).ok().zip(u16::try_from(loaded.height).ok());
    let (Some(length), Some((columns, rows)), 1..=MOST_FRAMES) = (length, sides, mask_frames) else {
        let found = format!("{} x {} pixels, {frames} frame(s), {segments} segment(s)", loaded.width, loaded.height);
        let limit = "65535 pixels in each direction, 9999 frames and 4 GB of pixel data";
        return Err(ExportError::TooLarge { path: job.pair(index).image.clone(), format: "DICOM", found, limit });
    };
    let about = About::new(job, stack, index, loaded, [rows, columns])?;
    let image = open(job, names[0], &image::object(&about, bytes == 2))?;
    let mask = open(job, names[1], &segmentation::object(&about, kind, &segment_classes(job), job.coding().overlap))?;
    Ok((PixelFile::begin(image, length, vr)?, MaskFile::begin(mask, kind, pixels * mask_frames)?))
}

/// The segments: lesion, or the classes.
fn segment_classes(job: &Job<'_>) -> Vec<ClassConfig> {
    let data = &job.pairs.data;
    if data.has_several_classes() {
        return data.classes.clone();
    }
    // The label of lesions that are one is a word of its own.
    let code = data.classes.first().and_then(|class| class.code.clone());
    vec![ClassConfig { name: "Lesion".to_owned(), code, ..ClassConfig::default() }]
}

/// Opens a file and writes everything that comes before the pixel data.
fn open(job: &Job<'_>, name: &str, object: &InMemDicomObject) -> Result<StagedFile> {
    let path = job.request.out.join(name);
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(uid::IMPLEMENTATION)
        .implementation_version_name("PIG");
    let object = object.clone().with_meta(meta).map_err(|error| ExportError::encode(&path)(&error))?;
    let mut file = job.staging.file(name)?;
    object
        .write_all(&mut file)
        .map_err(|error| file.failure().unwrap_or_else(|| ExportError::encode(&path)(&error)))?;
    Ok(file)
}
