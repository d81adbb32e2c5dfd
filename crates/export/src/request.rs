//! The request of an export: which pairs, in which format, with which settings.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use pig_data::DataConfig;

use crate::error::{ExportError, Result};

/// What is exported, and how.
#[derive(Debug, Clone)]
pub struct Request {
    /// The folder of generated pairs, as `pig sample` writes it, or of prepared pairs.
    pub pairs: PathBuf,
    /// A folder of real pairs to add.
    pub real: Option<PathBuf>,
    /// The ids of the real pairs that are exported; all of the folder if it is none.
    pub real_ids: Option<BTreeSet<String>>,
    /// Which of the generated pairs are exported.
    pub amount: Amount,
    /// Whether only pairs are exported whose column `curated` is `keep`. Those that are marked `reject` are never exported.
    pub only_kept: bool,
    /// The folder to write: new or empty.
    pub out: PathBuf,
    /// The format.
    pub format: Format,
    /// How masks are read (`mask_values`) and patients found (`group_column`); the other settings are not used.
    pub data: DataConfig,
    /// Decides which generated pairs are exported, which patients are for validation, and the order in WebDataset shards.
    pub seed: u64,
    /// Folds for cross-validation, at least 2, in the formats that have them.
    pub folds: usize,
    /// The `splits.json` of a run: its validation patients are for validation here too, in one fold.
    pub splits: Option<PathBuf>,
    /// Millimetres between columns and between rows, for pairs whose manifest states none.
    pub spacing: Option<[f64; 2]>,
    /// The time of the export, which DICOM objects must state. Their identifiers depend on it.
    pub created: SystemTime,
}

impl Request {
    /// All pairs of a folder, with the default settings.
    pub fn new(pairs: PathBuf, out: PathBuf, format: Format) -> Self {
        Self {
            pairs,
            real: None,
            real_ids: None,
            amount: Amount::All,
            only_kept: false,
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

    pub(crate) fn check(&self) -> Result<()> {
        let setting = |setting, found: String, expected| Err(ExportError::Setting { setting, found, expected });
        if self.folds < 2 {
            return setting("--folds", self.folds.to_string(), "at least 2 folds");
        }
        if let Some(spacing) = self.spacing
            && spacing.iter().any(|side| !side.is_finite() || *side <= 0.0)
        {
            return setting("--spacing", format!("{spacing:?}"), "two lengths above 0 in millimetres");
        }
        if self.format == (Format::Webdataset { shard_size: 0 }) {
            return setting("--shard-size", "0".to_owned(), "at least 1 pair per shard");
        }
        if matches!(self.amount, Amount::Share(_)) && self.real.is_none() {
            return setting(
                "--share",
                "a share without --real".to_owned(),
                "real pairs in --real, which the share refers to",
            );
        }
        Ok(())
    }
}

/// Which generated pairs are exported.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Amount {
    /// All of them.
    #[default]
    All,
    /// This many.
    Count(usize),
    /// As many as are this share of all exported pairs, at least 0 and below 1. Needs real pairs.
    Share(f64),
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
    /// Multi-frame Grayscale Secondary Capture with a Segmentation for each.
    DicomSeg {
        /// How a Segmentation's pixels are written.
        segmentation_type: SegmentationType,
    },
    /// Tar shards of samples.
    Webdataset {
        /// Pairs per shard.
        shard_size: usize,
    },
    /// `images/`, `masks/` and a manifest, as `pig` itself reads them.
    Png,
}

/// How the pixels of a DICOM Segmentation are written: its Segmentation Type (0062,0001).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SegmentationType {
    /// A frame of single bits for each segment: segments may overlap, and every reader of DICOM SEG knows it.
    #[default]
    Binary,
    /// One frame of segment numbers, for classes that exclude each other (DICOM Supplement 243, in the standard since 2024).
    Labelmap,
}

/// How an instance's pixels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Segmentation {
    /// Compressed run lengths, as pycocotools writes them: exact and short.
    #[default]
    Rle,
    /// Polygons along the pixels' edges: also exact, and readable by tools that do not know run lengths. A component with
    /// holes is cut into polygons without holes.
    Polygon,
}
