//! The layouts of source folders.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The tables of a prepared folder, and those of other folders.
const TABLES: [&str; 6] =
    ["manifest.csv", "manifest.parquet", "dataset.toml", "errors.csv", "manifest.tsv", "manifest.tab"];

/// How a source folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// BUSI: `benign (1).png` with the masks `benign (1)_mask.png` and `benign (1)_mask_1.png`, which are merged.
    Busi,
    /// CBIS-DDSM: `*_case_description_*_set.csv` with DICOM mammograms and ROI masks.
    CbisDdsm,
    /// INbreast: `AllDICOMs/` and the contours of `AllXML/`.
    Inbreast,
    /// BCS-DBT: `BCS-DBT-file-paths-*.csv` and `BCS-DBT-boxes-*.csv` with DICOM volumes.
    BcsDbt,
    /// nnU-Net raw: `dataset.json`, `imagesTr/` and `labelsTr/`.
    NnUnet,
    /// LGG: `TCGA_CS_4941_19960909_1.tif` with `_mask.tif`.
    Lgg,
    /// Anything else: a manifest, two folders, names with `_mask`, or DICOM with SEG.
    Generic,
}

impl Layout {
    /// Every layout, in the order in which they are tried.
    pub const ALL: [Self; 7] =
        [Self::BcsDbt, Self::CbisDdsm, Self::Inbreast, Self::NnUnet, Self::Busi, Self::Lgg, Self::Generic];

    /// The layout's name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Busi => "busi",
            Self::CbisDdsm => "cbis-ddsm",
            Self::Inbreast => "inbreast",
            Self::BcsDbt => "bcs-dbt",
            Self::NnUnet => "nn-unet",
            Self::Lgg => "lgg",
            Self::Generic => "generic",
        }
    }

    /// The layout with a name.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.word() == word)
    }

    /// The files that the layout consists of.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Busi => "files such as \"benign (1).png\" and \"benign (1)_mask.png\"",
            Self::CbisDdsm => "*_case_description_*_set.csv and the DICOM files that they name",
            Self::Inbreast => "AllDICOMs/ with files such as 20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm, and AllXML/",
            Self::BcsDbt => "BCS-DBT-file-paths-*.csv and the DICOM files that they name",
            Self::NnUnet => "dataset.json, imagesTr/ and labelsTr/",
            Self::Lgg => "files such as TCGA_CS_4941_19960909_1.tif and TCGA_CS_4941_19960909_1_mask.tif",
            Self::Generic => {
                "DICOM, NIfTI or picture files: a manifest.csv with the columns image and mask, images/ and masks/ with \
                 the same stems, NAME_mask beside NAME, or DICOM SEG objects"
            }
        }
    }

    /// Whether a file at this place, which is neither a picture nor a volume, is read as a table or is part of a prepared folder.
    pub(super) fn reads(self, place: &str) -> bool {
        let lower = place.to_lowercase();
        let name = lower.rsplit('/').next().unwrap_or_default();
        let ends = |ending: &str| name.ends_with(ending);
        match self {
            Self::Busi | Self::Lgg => false,
            Self::CbisDdsm => ends("_set.csv") && name.contains("_case_description_"),
            Self::Inbreast => ends(".xml") || (name.starts_with("inbreast") && ends(".csv")),
            Self::BcsDbt => name.starts_with("bcs-dbt-") && ends(".csv"),
            Self::NnUnet => lower == "dataset.json",
            Self::Generic => TABLES.contains(&lower.as_str()),
        }
    }

    /// Whether the layout holds X-ray images of the breast, which are surrounded by air.
    pub fn is_mammography(self) -> bool {
        matches!(self, Self::CbisDdsm | Self::Inbreast | Self::BcsDbt)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
