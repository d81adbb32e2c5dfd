//! Pairs in the formats of other tools: nnU-Net, MONAI, COCO, NIfTI, DICOM with SEG, WebDataset, plain PNG.
//!
//! [`export`] reads a folder of generated pairs, joins it with real ones where asked, and writes one folder that appears
//! whole or not at all. Pairs are read one at a time. The same request gives the same bytes.
//!
//! Every export has a `manifest.csv` that says of each pair where it lies and whether it is generated or real.

mod coco;
mod dicom;
mod error;
mod job;
mod monai;
mod nifti;
mod nnunet;
mod pixels;
mod place;
mod plain;
mod source;
mod split;
mod stack;
mod staging;
mod webdataset;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::SystemTime;

use pig_data::DataConfig;

pub use coco::Segmentation;
pub use error::{ExportError, Result};
pub use source::{Amount, Origin};

/// The name and version of this program, as files name their maker.
pub(crate) const MAKER: &str = concat!("pig ", env!("CARGO_PKG_VERSION"));

/// What is exported, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The folder of generated pairs, as `pig sample` writes it, or of prepared pairs.
    pub pairs: PathBuf,
    /// A folder of real pairs to join them with. All of its pairs are taken.
    pub real: Option<PathBuf>,
    /// Which of the generated pairs are taken.
    pub amount: Amount,
    /// The folder to write: new or empty.
    pub out: PathBuf,
    /// The format.
    pub format: Format,
    /// How masks are read (`mask_values`) and patients found (`group_column`); nothing else of it is used.
    pub data: DataConfig,
    /// Decides which generated pairs are taken, who validates, and the order in WebDataset shards.
    pub seed: u64,
    /// Parts for cross-validation, at least 2, where the format has them.
    pub folds: usize,
    /// The `splits.json` of a run: who validated there validates here, in one fold.
    pub splits: Option<PathBuf>,
    /// Millimetres between columns and between rows, for pairs whose manifest names none.
    pub spacing: Option<[f64; 2]>,
    /// The time of the export, which DICOM objects must name. Part of their identity.
    pub created: SystemTime,
}

impl Request {
    /// All pairs of a folder, with the default settings.
    pub fn new(pairs: PathBuf, out: PathBuf, format: Format) -> Self {
        Self {
            pairs,
            real: None,
            amount: Amount::All,
            out,
            format,
            data: DataConfig::default(),
            seed: 0,
            folds: 5,
            splits: None,
            spacing: None,
            created: SystemTime::now(),
        }
    }

    fn check(&self) -> Result<()> {
        let setting = |setting, found: String, expected| Err(ExportError::Setting { setting, found, expected });
        if self.folds < 2 {
            return setting("--folds", self.folds.to_string(), "at least 2 parts");
        }
        if let Some(spacing) = self.spacing
            && spacing.iter().any(|side| !side.is_finite() || *side <= 0.0)
        {
            return setting("--spacing", format!("{spacing:?}"), "two lengths above 0 in millimetres");
        }
        if self.format == (Format::Webdataset { shard_size: 0 }) {
            return setting("--shard-size", "0".to_owned(), "at least 1 pair in a shard");
        }
        if matches!(self.amount, Amount::Share(_)) && self.real.is_none() {
            return setting("--share", "a share without --real".to_owned(), "real pairs to share with, in --real");
        }
        Ok(())
    }
}

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A raw data set of nnU-Net v2.
    Nnunet,
    /// PNG with a MONAI datalist.
    Monai,
    /// PNG with COCO annotations, an instance for each connected component.
    Coco {
        /// How an instance's pixels are written.
        segmentation: Segmentation,
    },
    /// NIfTI-1, compressed.
    Nifti,
    /// Multi-frame Grayscale Secondary Capture with a binary Segmentation for each.
    DicomSeg,
    /// Tar shards of samples.
    Webdataset {
        /// Pairs in a shard.
        shard_size: usize,
    },
    /// `images/`, `masks/` and a manifest, as `pig` itself reads them.
    Png,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Pairs of a model or a program.
    pub generated: usize,
    /// Pairs found in data.
    pub real: usize,
    /// Pairs without a lesion.
    pub empty_masks: usize,
    /// What the user should know but what does not stop the work. Contains no ids.
    pub warnings: Vec<String>,
    /// What to do with the folder.
    pub notes: Vec<String>,
}

/// Called with the pairs done and all of them; [`ControlFlow::Break`] stops the export, which then leaves nothing.
pub type Progress<'a> = &'a dyn Fn(usize, usize) -> ControlFlow<()>;

/// Writes an export.
///
/// # Errors
/// As [`ExportError`] says; the output folder is then as it was.
pub fn export(request: &Request, progress: Progress<'_>) -> Result<Summary> {
    request.check()?;
    let mut job = job::Job::begin(request, progress)?;
    match request.format {
        Format::Nnunet => nnunet::write(&mut job)?,
        Format::Monai => monai::write(&mut job)?,
        Format::Coco { segmentation } => coco::write(&mut job, segmentation)?,
        Format::Nifti => nifti::write(&mut job)?,
        Format::DicomSeg => dicom::write(&mut job)?,
        Format::Webdataset { shard_size } => webdataset::write(&mut job, shard_size)?,
        Format::Png => plain::write(&mut job)?,
    }
    job.finish()
}
