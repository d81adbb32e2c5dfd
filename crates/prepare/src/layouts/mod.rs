//! Finding the images, masks and patients of a folder by the way it is laid out.
//!
//! Public releases are recognised by the names of their files; anything else is taken as a generic folder. Nothing is
//! decoded here, but the headers of DICOM files in generic folders are read to tell images from segmentations.

mod bcs_dbt;
mod busi;
mod cbis;
mod generic;
mod inbreast;
mod lgg;
mod nnunet;
mod walk;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use pig_data::config::MaskValues;
use pig_dicom::Limits;

use crate::error::{PrepareError, Result};
use crate::privacy::Secret;
use crate::settings::PrepareConfig;
use walk::{Kind, Tree};

/// How a source folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// BUSI: `benign (1).png` with `benign (1)_mask.png` and `benign (1)_mask_1.png`, which are merged.
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
    /// Every layout, in the order in which they are looked for.
    pub const ALL: [Self; 7] =
        [Self::BcsDbt, Self::CbisDdsm, Self::Inbreast, Self::NnUnet, Self::Busi, Self::Lgg, Self::Generic];

    /// The word of the command line.
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

    /// The layout of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.word() == word)
    }

    /// What the layout consists of.
    fn expected(self) -> &'static str {
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

    /// Whether the layout holds X-ray images of the breast, whose borders are air.
    pub fn is_mammography(self) -> bool {
        matches!(self, Self::CbisDdsm | Self::Inbreast | Self::BcsDbt)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A side of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Left.
    Left,
    /// Right.
    Right,
}

impl Side {
    /// `left` or `right`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    /// The side that a word begins with: L or R.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        match word.trim().chars().next()?.to_ascii_lowercase() {
            'l' => Some(Self::Left),
            'r' => Some(Self::Right),
            _ => None,
        }
    }
}

/// An image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// PNG, JPEG, TIFF or BMP.
    Picture(PathBuf),
    /// DICOM, of one frame or more.
    Dicom(PathBuf),
    /// NIfTI, of two or three dimensions.
    Nifti(PathBuf),
}

impl ImageSource {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Picture(path) | Self::Dicom(path) | Self::Nifti(path) => path,
        }
    }

    /// A file by its kind; `None` for a file that holds no image.
    pub(crate) fn of_kind(path: PathBuf, kind: Kind) -> Option<Self> {
        match kind {
            Kind::Picture => Some(Self::Picture(path)),
            Kind::Dicom => Some(Self::Dicom(path)),
            Kind::Nifti => Some(Self::Nifti(path)),
            Kind::Other => None,
        }
    }
}

/// A box in a slice, as BCS-DBT gives it: pixels of the upright image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LesionBox {
    /// The slice, counted from 0.
    pub slice: usize,
    /// The first column.
    pub x: i64,
    /// The first row.
    pub y: i64,
    /// Columns.
    pub width: i64,
    /// Rows.
    pub height: i64,
}

/// Where a case's mask comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskSource {
    /// There is none; the text says where it was looked for.
    Missing(String),
    /// The source says that there is no lesion.
    NoLesion,
    /// Pictures, merged.
    Pictures(Vec<PathBuf>),
    /// NIfTI files, merged.
    Nifti(Vec<PathBuf>),
    /// DICOM SEG objects that reference the image.
    Segmentations(Vec<PathBuf>),
    /// DICOM images that are masks: for each lesion the files among which the one of the image's size is its mask.
    DicomMasks(Vec<Vec<PathBuf>>),
    /// An OsiriX XML file with contours in pixels.
    Contours(PathBuf),
    /// Boxes.
    Boxes(Vec<LesionBox>),
}

impl MaskSource {
    /// The files that the mask is read from.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::Missing(_) | Self::NoLesion | Self::Boxes(_) => Vec::new(),
            Self::Pictures(paths) | Self::Nifti(paths) | Self::Segmentations(paths) => {
                paths.iter().map(PathBuf::as_path).collect()
            }
            Self::DicomMasks(masks) => masks.iter().flatten().map(PathBuf::as_path).collect(),
            Self::Contours(path) => vec![path],
        }
    }
}

/// One image or volume with its masks.
#[derive(Debug, Clone)]
pub struct Case {
    /// The image's place below the source, with slashes and without its ending: unique, the same on every machine.
    pub name: String,
    /// The image.
    pub image: ImageSource,
    /// Its masks.
    pub masks: MaskSource,
    /// The patient as the layout names it.
    pub patient: Option<Secret>,
    /// The side as the layout names it.
    pub side: Option<Side>,
    /// The view as the layout names it, such as CC or MLO.
    pub view: Option<String>,
    /// The diagnosis or class as the layout names it, such as benign.
    pub class: Option<String>,
    /// Whether the image is turned by 180 degrees where its bright edge does not lie on `side`, as BCS-DBT needs it.
    pub upright: bool,
    /// The values that mean lesion, where the layout says so and the settings do not.
    pub mask_values: Option<MaskValues>,
    /// Spacing of rows and columns in mm, where the manifest says so.
    pub spacing: Option<[f64; 2]>,
}

impl Case {
    /// A case of which nothing but its files is known.
    pub(crate) fn new(name: String, image: ImageSource, masks: MaskSource) -> Self {
        Self {
            name,
            image,
            masks,
            patient: None,
            side: None,
            view: None,
            class: None,
            upright: false,
            mask_values: None,
            spacing: None,
        }
    }
}

/// What a layout's search found.
#[derive(Debug)]
pub struct Found {
    /// The layout.
    pub layout: Layout,
    /// The cases, sorted by name.
    pub cases: Vec<Case>,
    /// What the user should know: how many files a table names that are not here, and the like. No names.
    pub notes: Vec<String>,
    /// Files that could not be understood while searching, with the reason.
    pub unreadable: Vec<(PathBuf, PrepareError)>,
}

/// Cases and notes of one layout.
#[derive(Debug, Default)]
struct Listing {
    cases: Vec<Case>,
    notes: Vec<String>,
    unreadable: Vec<(PathBuf, PrepareError)>,
}

/// Finds the cases below `source`, of the layout that is given or recognised. `limits` bound what a DICOM header may cost.
///
/// # Errors
/// When the folder cannot be read, a table of the release is damaged, or there are no images.
pub fn find(source: &Path, forced: Option<Layout>, config: &PrepareConfig, limits: &Limits) -> Result<Found> {
    let tree = Tree::read(source)?;
    let layout = forced.unwrap_or_else(|| recognise(&tree));
    let mut listing = match layout {
        Layout::Busi => busi::list(&tree),
        Layout::CbisDdsm => cbis::list(&tree, config)?,
        Layout::Inbreast => inbreast::list(&tree)?,
        Layout::BcsDbt => bcs_dbt::list(&tree, config)?,
        Layout::NnUnet => nnunet::list(&tree, config)?,
        Layout::Lgg => lgg::list(&tree),
        Layout::Generic => generic::list(&tree, config, limits)?,
    };
    if listing.cases.is_empty() && listing.unreadable.is_empty() {
        let path = source.to_path_buf();
        return Err(PrepareError::NothingFound { path, layout: layout.word(), expected: layout.expected() });
    }
    listing.cases.sort_by(|a, b| a.name.cmp(&b.name));
    listing.unreadable.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Found { layout, cases: listing.cases, notes: listing.notes, unreadable: listing.unreadable })
}

/// The DICOM files below a folder, by their content where the name does not say it.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn dicom_files(source: &Path) -> Result<Vec<PathBuf>> {
    let files = Tree::read(source)?.files.into_iter().filter(|entry| entry.kind == Kind::Dicom);
    let named = |entry: &walk::Entry| entry.stem() != entry.name() || pig_dicom::is_dicom(&entry.path);
    Ok(files.filter(named).map(|entry| entry.path).collect())
}

/// The layout that a folder's names speak for.
fn recognise(tree: &Tree) -> Layout {
    let recognised = Layout::ALL.into_iter().find(|layout| match layout {
        Layout::BcsDbt => bcs_dbt::recognised(tree),
        Layout::CbisDdsm => cbis::recognised(tree),
        Layout::Inbreast => inbreast::recognised(tree),
        Layout::NnUnet => nnunet::recognised(tree),
        Layout::Busi => busi::recognised(tree),
        Layout::Lgg => lgg::recognised(tree),
        Layout::Generic => true,
    });
    recognised.unwrap_or(Layout::Generic)
}

/// A count with a note, where there is something to count.
fn note(notes: &mut Vec<String>, count: usize, text: &str) {
    if count > 0 {
        notes.push(format!("{count} {text}"));
    }
}
