//! One image or volume with its masks, as listed by a layout.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use pig_data::config::{ClassConfig, MaskValues};

use super::content::Kind;
use crate::channel::ChannelChoice;
use crate::privacy::Secret;

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

    /// The side of a word that begins with L or R.
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
    /// DICOM, with one or more frames.
    Dicom(PathBuf),
    /// NIfTI, with two or three dimensions, or a fourth one of channels.
    Nifti(PathBuf),
}

impl ImageSource {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Picture(path) | Self::Dicom(path) | Self::Nifti(path) => path,
        }
    }

    /// The source of a file of this kind; `None` for a file that holds no image.
    pub(crate) fn of_kind(path: PathBuf, kind: Kind) -> Option<Self> {
        match kind {
            Kind::Picture => Some(Self::Picture(path)),
            Kind::Dicom => Some(Self::Dicom(path)),
            Kind::Nifti => Some(Self::Nifti(path)),
            Kind::Other => None,
        }
    }
}

/// A box in a slice, as in BCS-DBT: in pixels of the upright image.
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

/// A mask with the class of its lesion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskLayer {
    /// The mask, which is there.
    pub masks: MaskSource,
    /// The class that the manifest names, if it names one.
    pub class: Option<String>,
}

/// Where a case's mask comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskSource {
    /// There is none; the text says where it was expected.
    Missing(String),
    /// The source says that there is no lesion.
    NoLesion,
    /// Pictures, merged.
    Pictures(Vec<PathBuf>),
    /// NIfTI files, merged.
    Nifti(Vec<PathBuf>),
    /// DICOM SEG objects that reference the image.
    Segmentations(Vec<PathBuf>),
    /// DICOM images that are masks: for each lesion several files, of which the one with the image's size is the mask.
    DicomMasks(Vec<Vec<PathBuf>>),
    /// An OsiriX XML file with contours in pixels.
    Contours(PathBuf),
    /// Boxes.
    Boxes(Vec<LesionBox>),
    /// Masks whose classes a column of the manifest names (`prepare.class_column`): one for each row of the image.
    Layers(Vec<MaskLayer>),
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
            Self::Layers(layers) => layers.iter().flat_map(|layer| layer.masks.paths()).collect(),
        }
    }

    /// These masks with the class that the manifest names; as they are if there are none.
    pub(crate) fn of_class(self, class: Option<String>) -> Self {
        match self {
            Self::Missing(_) | Self::NoLesion => self,
            masks => Self::Layers(vec![MaskLayer { masks, class }]),
        }
    }
}

/// One image or volume with its masks.
#[derive(Debug, Clone)]
pub struct Case {
    /// The image's path below the source, with slashes and without its ending: unique, and the same on every machine.
    pub name: String,
    /// The image.
    pub image: ImageSource,
    /// Its masks.
    pub masks: MaskSource,
    /// The patient, if the layout names one.
    pub patient: Option<Secret>,
    /// Which channel of a NIfTI file is read; `None` for a file that must have only one.
    pub channel: Option<ChannelChoice>,
    /// The side, if the layout names one.
    pub side: Option<Side>,
    /// The view, such as CC or MLO, if the layout names one.
    pub view: Option<String>,
    /// The diagnosis or class, such as benign, if the layout names one.
    pub class: Option<String>,
    /// Whether the image is rotated by 180 degrees if its bright edge is not on `side`; needed for BCS-DBT.
    pub upright: bool,
    /// The values that mean lesion according to the layout; the settings take precedence.
    pub mask_values: Option<MaskValues>,
    /// The classes that the source tells apart; empty or one if lesions are one. The settings take precedence.
    pub classes: Vec<ClassConfig>,
    /// Whether these classes may overlap.
    pub overlap: bool,
    /// Values that are background beside 0, according to the layout.
    pub background: Option<MaskValues>,
    /// All labels that the data set declares, those of the background included; other values in masks are errors.
    pub declared: Option<Vec<u16>>,
    /// Spacing of rows and columns in mm, if the manifest gives it.
    pub spacing: Option<[f64; 2]>,
    /// What the manifest says in columns that pig does not know and that do not identify people: names and values, in its order.
    pub others: Vec<(String, String)>,
}

impl Case {
    /// A case without any details except its files.
    pub(crate) fn new(name: String, image: ImageSource, masks: MaskSource) -> Self {
        Self {
            name,
            image,
            masks,
            patient: None,
            channel: Some(ChannelChoice::default()),
            side: None,
            view: None,
            class: None,
            upright: false,
            mask_values: None,
            classes: Vec::new(),
            overlap: false,
            background: None,
            declared: None,
            spacing: None,
            others: Vec::new(),
        }
    }
}
