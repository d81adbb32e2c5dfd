//! `pig export`.

use super::data_keys::DataKeys;
use clap::ValueEnum;
use std::path::PathBuf;

/// `pig export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// The folder of pairs, as `pig sample` or `pig prepare` writes it.
    #[arg(value_name = "PAIRS")]
    pub(crate) pairs: PathBuf,
    /// The format to write.
    #[arg(long, value_enum)]
    pub(crate) format: FormatName,
    /// The folder to write, new or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Join the generated pairs with all real pairs of this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) real: Option<PathBuf>,
    /// Take as many generated pairs as are needed for this share of all pairs, from 0 to below 1; all generated pairs if not given.
    #[arg(long, value_name = "SHARE", requires = "real", conflicts_with = "count")]
    pub(crate) share: Option<f64>,
    /// Take this many generated pairs; all of them if not given.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
    /// Take only pairs that are marked "keep" in the column curated of their manifest, as `pig serve` writes it. Pairs that are marked
    /// "reject" are never taken.
    #[arg(long)]
    pub(crate) only_kept: bool,
    /// Seed that decides which generated pairs are taken, which patients validate, and the order of pairs in shards.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// nnunet and monai: number of folds of a cross-validation over the real patients; monai validates on the first.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) folds: usize,
    /// nnunet and monai: write one fold instead, with the validation patients of this splits.json of a run.
    #[arg(long, value_name = "FILE", conflicts_with = "folds")]
    pub(crate) splits: Option<PathBuf>,
    /// coco: how the pixels of an instance are written; both ways are exact.
    #[arg(long, value_enum, default_value = "rle")]
    pub(crate) segmentation: SegmentationName,
    /// dicom-seg: how masks are written. A label map needs classes that exclude each other.
    #[arg(long, value_enum, value_name = "TYPE", default_value = "binary")]
    pub(crate) segmentation_type: SegmentationTypeName,
    /// webdataset: number of pairs in a shard.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) shard_size: usize,
    /// nifti and dicom-seg: millimetres between columns and between rows, for pairs whose manifest has no spacing.
    #[arg(long, value_name = "X,Y", value_parser = spacing)]
    pub(crate) spacing: Option<Spacing>,
    /// How masks and patients are read.
    #[command(flatten)]
    pub(crate) keys: DataKeys,
}

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    /// A raw data set of nnU-Net v2, with splits by patient.
    Nnunet,
    /// PNG with a MONAI datalist.
    Monai,
    /// PNG with COCO annotations, one instance for each lesion.
    Coco,
    /// NIfTI-1, compressed; slices of a volume in one file.
    Nifti,
    /// DICOM secondary captures, each with a segmentation.
    DicomSeg,
    /// Tar shards of samples.
    Webdataset,
    /// Images and masks with a manifest, as pig reads them.
    Png,
}

/// How COCO stores an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SegmentationName {
    /// Compressed run lengths.
    Rle,
    /// Polygons along the pixels' edges.
    Polygon,
}

/// The Segmentation Type of DICOM SEG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SegmentationTypeName {
    /// BINARY: a frame of bits for each class.
    Binary,
    /// LABELMAP: one frame of labels, as DICOM has it since 2024; fewer programs read it.
    Labelmap,
}

/// Millimetres between columns and between rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spacing(pub(crate) [f64; 2]);

pub(super) fn spacing(text: &str) -> Result<Spacing, String> {
    let wrong = || format!("{text:?} is not two lengths in millimetres such as 0.085,0.085");
    let (x, y) = text.split_once(',').ok_or_else(wrong)?;
    let length = |text: &str| text.trim().parse().ok().filter(|length: &f64| length.is_finite() && *length > 0.0);
    length(x).zip(length(y)).map(|(x, y)| Spacing([x, y])).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacings_are_two_lengths() {
        assert_eq!(spacing("0.085, 0.1"), Ok(Spacing([0.085, 0.1])));
        for wrong in ["", "1", "1,0", "1,-1", "1,x", "inf,1", "1,1,1"] {
            assert!(spacing(wrong).is_err(), "{wrong:?}");
        }
    }
}
