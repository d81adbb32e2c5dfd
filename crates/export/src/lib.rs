//! Exports pairs in the formats of other tools: nnU-Net, MONAI, COCO, NIfTI, DICOM with SEG, WebDataset, plain PNG.
//!
//! [`export`] reads a folder of generated pairs, adds real pairs on request, and writes one folder that appears complete or
//! not at all. Pairs are read one at a time. The same request gives the same bytes.
//!
//! Every export has a `manifest.csv` that says for each pair where its files are and whether it is generated or real.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod coco;
mod dicom;
mod error;
mod job;
mod monai;
mod nifti;
mod nnunet;
mod pair;
mod pixels;
mod place;
mod plain;
mod regions;
mod request;
mod source;
mod split;
mod stack;
mod staging;
mod webdataset;

pub use error::{ExportError, Result};
pub use job::{Progress, Summary};
pub use pair::Origin;
pub use request::{Amount, Format, Request, Segmentation, SegmentationType};

/// Writes an export.
///
/// # Errors
/// See [`ExportError`]; after an error, the output folder is unchanged.
pub fn export(request: &Request, progress: Progress<'_>) -> Result<Summary> {
    request.check()?;
    let mut job = job::Job::begin(request, progress)?;
    match request.format {
        Format::Nnunet => nnunet::write(&mut job)?,
        Format::Monai => monai::write(&mut job)?,
        Format::Coco { segmentation } => coco::write(&mut job, segmentation)?,
        Format::Nifti => nifti::write(&mut job)?,
        Format::DicomSeg { segmentation_type } => dicom::write(&mut job, segmentation_type)?,
        Format::Webdataset { shard_size } => webdataset::write(&mut job, shard_size)?,
        Format::Png => plain::write(&mut job)?,
    }
    job.finish()
}
