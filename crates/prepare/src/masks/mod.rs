//! The masks of a case, opened once and read slice by slice as label maps: 0 is background, 1 lesion or the first class, and so on.

mod contours;
mod dicom;
mod grid;
mod labels;
mod segmentations;
mod volumes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pig_data::case_mask::join_labels;
use pig_data::classes::{Coding, names};
use pig_data::config::{Case as ClassOfCase, ClassConfig, MaskRule, MaskValues};
use pig_data::read::{Taken, count_labels, count_mask_values, label_by_case, read_header, read_mask_by};

use crate::error::{PrepareError, Result};
use crate::fill::{crossings, fill_box, fill_polygon};
use crate::layouts::{Case, LesionBox, MaskLayer, MaskSource};
use crate::settings::{BoxShape, MissingMask, PrepareConfig, SECTION};
use crate::sources::nifti::NiftiVolume;
use crate::sources::{Cost, Volume};
use dicom::DicomMask;
use grid::{check_size, one_slice};
use labels::LabelRule;
use segmentations::OpenSegmentation;

pub use labels::LABEL_TOLERANCE;
pub(crate) use segmentations::Fraction;

/// How often the contours of an image may cross its rows. Filling that many takes some seconds.
const MOST_CROSSINGS: u64 = 50_000_000;

/// How many different values of a NIfTI mask are counted.
const MOST_VALUES: usize = 256;

/// The open masks of a case.
#[derive(Debug)]
pub struct Masks {
    size: [usize; 2],
    kind: Open,
    /// From which stored value on a pixel is lesion, in masks that store grays.
    threshold: Option<f64>,
    /// By how many millimetres the place of a mask differs from the image's, if that is ignored.
    misplaced: Option<f64>,
    /// The classes that the masks tell apart; none if lesions are one.
    classes: Vec<ClassConfig>,
    /// How the labels of masks stand for them.
    coding: Coding,
    /// What decides the class of lesion.
    class: ClassBy,
    /// The first mask file, for errors.
    first: PathBuf,
    seen: Seen,
}

/// What the slices that were read until now hold.
#[derive(Debug, Default)]
struct Seen {
    /// Whether a file that stores values, a picture or NIfTI, holds another value than 0.
    values: AtomicBool,
    /// The labels of NIfTI files, as [`LabelRule::bits`] gives them, if all of them are lesion because nothing says what they mean.
    labels: AtomicU64,
    /// The first file with a palette of grays in another order than their indices, and what was taken of it.
    other_order: OnceLock<(PathBuf, Taken)>,
}

/// What decides the class of lesion.
#[derive(Debug)]
enum ClassBy {
    /// The values of the mask.
    Values,
    /// A row of the source's manifest, which may name none.
    Row(Option<String>),
}

#[derive(Debug)]
enum Open {
    Empty,
    Pictures {
        paths: Vec<PathBuf>,
        values: Option<MaskValues>,
        labels: LabelRule,
        background: Option<MaskValues>,
    },
    Nifti(Vec<NiftiVolume>, LabelRule),
    Segmentations {
        open: Vec<OpenSegmentation>,
        threshold: f64,
    },
    DicomMasks(Vec<DicomMask>),
    Contours(Vec<Vec<[f64; 2]>>),
    Boxes {
        boxes: Vec<LesionBox>,
        shape: BoxShape,
        around: usize,
    },
    /// Those of the rows of an image.
    Layers(Vec<Masks>),
}

impl Masks {
    /// Opens the masks of `case`, which must have the grid of `volume`. `None` if there are none and the settings say that such
    /// images are left out.
    ///
    /// # Errors
    /// When there are none and the settings treat that as an error, a file cannot be read, or size, number of slices or position
    /// differ.
    pub fn open(case: &Case, volume: &Volume, config: &PrepareConfig, cost: &Cost) -> Result<Option<Self>> {
        let size = volume.size();
        let image = case.image.path();
        let mut misplaced: Option<f64> = None;
        let classes = config.classes_of(&case.classes);
        check_kind(&case.masks, classes)?;
        let kind = match &case.masks {
            MaskSource::Missing(expected) => match config.missing_mask {
                MissingMask::Error => {
                    let (path, expected) = (image.to_path_buf(), expected.clone());
                    return Err(PrepareError::MissingMask { path, expected });
                }
                MissingMask::Skip => return Ok(None),
                MissingMask::Empty => Open::Empty,
            },
            MaskSource::NoLesion => Open::Empty,
            MaskSource::Pictures(paths) => {
                let mask_values = config.mask_values.clone().or_else(|| case.mask_values.clone());
                one_slice(image, paths, volume)?;
                for path in paths {
                    // Before it is decoded, since a picture of another size may be huge.
                    let header = read_header(path)?;
                    check_size(image, path, [header.height, header.width], size)?;
                }
                Open::Pictures {
                    paths: paths.clone(),
                    values: mask_values.filter(|_| classes.is_empty()),
                    labels: LabelRule::of(case, config),
                    background: config.background_values.clone().or_else(|| case.background.clone()),
                }
            }
            MaskSource::Nifti(paths) => {
                let mut open = Vec::new();
                for path in paths {
                    let (mask, far) = volumes::open(image, path, volume, config, cost)?;
                    misplaced = far.into_iter().chain(misplaced).reduce(f64::max);
                    open.push(mask);
                }
                Open::Nifti(open, LabelRule::of(case, config))
            }
            MaskSource::Segmentations(paths) => {
                let mut open = Vec::new();
                for path in paths {
                    let (mask, far) = segmentations::open(image, path, volume, (config, classes), cost)?;
                    misplaced = far.into_iter().chain(misplaced).reduce(f64::max);
                    open.push(mask);
                }
                Open::Segmentations { open, threshold: config.seg_threshold }
            }
            MaskSource::DicomMasks(lesions) => {
                let labels = LabelRule::of(case, config);
                let open = lesions.iter().map(|files| DicomMask::open(image, files, volume, labels.clone(), cost));
                Open::DicomMasks(open.collect::<Result<_>>()?)
            }
            MaskSource::Contours(path) => {
                let rois = contours::read(path, cost.max_bytes)?;
                let kept = rois.into_iter().filter(|roi| config.keeps_type(&roi.name));
                let points: Vec<_> = kept.map(|roi| roi.points).collect();
                check_contours(path, &points, size)?;
                Open::Contours(points)
            }
            MaskSource::Boxes(boxes) => {
                check_boxes(image, boxes, volume.slices())?;
                Open::Boxes { boxes: boxes.clone(), shape: config.box_shape, around: config.box_slices }
            }
            MaskSource::Layers(layers) => {
                let mut open = Vec::new();
                for layer in layers {
                    let Some(mut masks) = Self::of_layer(case, layer, volume, config, cost)? else { continue };
                    misplaced = masks.misplaced.into_iter().chain(misplaced).reduce(f64::max);
                    masks.classes = classes.to_vec();
                    masks.coding = config.coding_of(&case.classes, case.overlap);
                    masks.class = ClassBy::Row(layer.class.clone());
                    open.push(masks);
                }
                Open::Layers(open)
            }
        };
        let first = case.masks.paths().first().map_or_else(|| image.to_path_buf(), |path| path.to_path_buf());
        let coding = config.coding_of(&case.classes, case.overlap);
        let (threshold, classes, class) = (config.mask_threshold, classes.to_vec(), ClassBy::Values);
        let seen = Seen::default();
        Ok(Some(Self { size, kind, threshold, misplaced, classes, coding, class, first, seen }))
    }

    /// Opens the mask of one row of `case`, as lesion without a class.
    ///
    /// # Errors
    /// As [`Masks::open`].
    pub(crate) fn of_layer(
        case: &Case,
        layer: &MaskLayer,
        volume: &Volume,
        config: &PrepareConfig,
        cost: &Cost,
    ) -> Result<Option<Self>> {
        let case = Case { masks: layer.masks.clone(), classes: Vec::new(), ..case.clone() };
        let config = PrepareConfig { classes: Vec::new(), class_column: None, ..config.clone() };
        Self::open(&case, volume, &config, cost)
    }

    /// The classes that the masks tell apart; none if lesions are one.
    pub fn classes(&self) -> &[ClassConfig] {
        &self.classes
    }

    /// How the labels of masks stand for the classes.
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Whether the masks are guesses, such as ellipses in boxes.
    pub fn weak(&self) -> bool {
        matches!(self.kind, Open::Boxes { .. })
    }

    /// By how many millimetres the place of a mask differs from the image's, if the settings say to ignore that.
    pub fn misplaced(&self) -> Option<f64> {
        self.misplaced
    }

    /// How many pixels of all slices have each stored value; only for files that store values: pictures and NIfTI.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn values(&self) -> Result<BTreeMap<String, u64>> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        match &self.kind {
            Open::Pictures { paths, .. } => {
                for path in paths {
                    for (value, count) in count_mask_values(path)? {
                        *counts.entry(value).or_default() += count;
                    }
                }
            }
            Open::Nifti(volumes, _) => {
                let mut stored: BTreeMap<u32, u64> = BTreeMap::new();
                for volume in volumes {
                    for index in 0..volume.slices() {
                        for value in volume.labels(index)? {
                            // Floating-point numbers cannot be keys of a map, but their bits can.
                            if stored.len() < MOST_VALUES || stored.contains_key(&value.to_bits()) {
                                *stored.entry(value.to_bits()).or_default() += 1;
                            }
                        }
                    }
                }
                counts.extend(stored.into_iter().map(|(bits, count)| (f32::from_bits(bits).to_string(), count)));
            }
            Open::Layers(layers) => {
                for layer in layers {
                    for (value, count) in layer.values()? {
                        *counts.entry(value).or_default() += count;
                    }
                }
            }
            _ => {}
        }
        Ok(counts)
    }

    /// Whether the settings name the values that mean lesion, and masks without lesion hold other values in the slices that were read until
    /// now. Only files that store values, pictures and NIfTI, do.
    pub fn have_other_values(&self, config: &PrepareConfig) -> bool {
        config.names_values() && self.hold_values()
    }

    fn hold_values(&self) -> bool {
        match &self.kind {
            Open::Layers(layers) => layers.iter().any(Self::hold_values),
            _ => self.seen.values.load(Ordering::Relaxed),
        }
    }

    /// The first picture among those read until now that has a palette of grays in another order than their indices, and what was taken of
    /// it.
    pub(crate) fn other_order(&self) -> Option<&(PathBuf, Taken)> {
        match &self.kind {
            Open::Layers(layers) => layers.iter().find_map(Self::other_order),
            _ => self.seen.other_order.get(),
        }
    }

    /// The labels in the slices that were read until now, as bits, if all of them are lesion because nothing says what they mean. The last bit
    /// stands for all labels from 63 on.
    pub(crate) fn labels_seen(&self) -> u64 {
        match &self.kind {
            Open::Layers(layers) => layers.iter().fold(0_u64, |bits, layer| bits | layer.labels_seen()),
            Open::DicomMasks(masks) => masks.iter().fold(0_u64, |bits, mask| bits | mask.labels_seen()),
            _ => self.seen.labels.load(Ordering::Relaxed),
        }
    }

    /// What the fractional segmentations among the masks hold in the slices that were read until now.
    pub(crate) fn fractions(&self) -> Vec<Fraction> {
        match &self.kind {
            Open::Layers(layers) => layers.iter().flat_map(Self::fractions).collect(),
            Open::Segmentations { open, .. } => open.iter().filter_map(OpenSegmentation::fraction).collect(),
            _ => Vec::new(),
        }
    }

    /// The mask of slice `index`: `height * width` labels.
    ///
    /// # Errors
    /// When a file cannot be read, has a value that stands for nothing, or two masks give a pixel different classes.
    pub fn read(&self, index: usize) -> Result<Vec<u8>> {
        let mut overlap = 0;
        let mask = self.merged(index, &mut overlap)?;
        if overlap == 0 {
            return Ok(mask);
        }
        Err(PrepareError::Labels {
            path: self.first.clone(),
            problem: format!("{overlap} pixel(s) of slice {index} (counted from 0) have several classes"),
            expected: "one class for each pixel".to_owned(),
            remedy: "keep classes that overlap with prepare.classes_overlap = true, name one of them in [[prepare.classes]], or make all one lesion with prepare.mask_values",
        })
    }

    /// The mask of slice `index`, and how many pixels have several classes.
    fn merged(&self, index: usize, overlap: &mut usize) -> Result<Vec<u8>> {
        let coding = self.coding;
        let mut merge = |mask: &mut [u8], more: Vec<u8>| *overlap += merge(mask, &more, coding.overlap);
        let mut mask = vec![0; self.size[0] * self.size[1]];
        match &self.kind {
            Open::Empty => {}
            Open::Pictures { paths, values, labels, background } => {
                for path in paths {
                    if labels.declares() && self.classes.is_empty() {
                        labels.check_counts(path, &count_labels(path)?)?;
                    }
                    let rule = self.rule(values.as_ref(), background.as_ref());
                    let found = read_mask_by(path, &rule)?;
                    self.seen.values.fetch_or(found.holds_values, Ordering::Relaxed);
                    if let Some(taken) = found.taken {
                        // Another one came before it if this fails.
                        let _ = self.seen.other_order.set((path.clone(), taken));
                    }
                    merge(&mut mask, found.data);
                }
            }
            Open::Nifti(volumes, labels) => {
                for volume in volumes {
                    let values = volume.labels(index)?;
                    let is_other = |value: &f32| value.is_nan() || value.abs() > LABEL_TOLERANCE;
                    self.seen.values.fetch_or(values.iter().any(is_other), Ordering::Relaxed);
                    if labels.takes_all() {
                        self.seen.labels.fetch_or(labels.bits(&values), Ordering::Relaxed);
                    }
                    merge(&mut mask, labels.lesion(volume.path(), index, &values)?);
                }
            }
            Open::Segmentations { open, threshold } => {
                for segmentation in open {
                    for (class, found) in segmentation.masks(index, *threshold)?.into_iter().enumerate() {
                        merge(&mut mask, found.into_iter().map(|value| value * coding.label(class)).collect());
                    }
                }
            }
            Open::DicomMasks(masks) => {
                for lesion in masks {
                    merge(&mut mask, lesion.read(index)?);
                }
            }
            Open::Contours(rois) => {
                for points in rois {
                    fill_polygon(&mut mask, self.size, points);
                }
            }
            Open::Boxes { boxes, shape, around } => {
                for lesion in boxes.iter().filter(|lesion| lesion.slice.abs_diff(index) <= *around) {
                    fill_box(&mut mask, self.size, lesion, *shape);
                }
            }
            Open::Layers(layers) => {
                for layer in layers {
                    join_labels(
                        &mut mask,
                        &layer.labelled(index)?,
                        [&self.first, &layer.first],
                        &self.rule(None, None),
                    )?;
                }
            }
        }
        Ok(mask)
    }

    /// The label map of a row in slice `index`.
    fn labelled(&self, index: usize) -> Result<Vec<u8>> {
        let mut mask = self.read(index)?;
        let rule = self.rule(None, None);
        // Pictures have their labels already, since some name their classes themselves.
        if let Some(class) = rule.case.filter(|_| !matches!(self.kind, Open::Pictures { .. })) {
            label_by_case(&self.first, &mut mask, &rule, class)?;
        }
        Ok(mask)
    }

    /// How masks are read, with these values of lesion and of background.
    fn rule<'a>(&'a self, values: Option<&'a MaskValues>, background: Option<&'a MaskValues>) -> MaskRule<'a> {
        let case = match &self.class {
            ClassBy::Values => None,
            ClassBy::Row(class) => Some(class.as_deref().map_or(ClassOfCase::Unknown, ClassOfCase::Named)),
        };
        MaskRule {
            values,
            threshold: self.threshold,
            classes: &self.classes,
            overlap: self.coding.overlap,
            background,
            case,
            section: SECTION,
        }
    }
}

/// Whether a value of [`Masks::values`] stands for the label 0.
pub(crate) fn is_background(value: &str) -> bool {
    value.parse().is_ok_and(|value: f32| value.abs() <= LABEL_TOLERANCE)
}

/// Adds a mask to another one. Returns how many pixels have different classes in both, if these exclude each other.
fn merge(mask: &mut [u8], more: &[u8], overlap: bool) -> usize {
    let mut different = 0;
    if overlap {
        mask.iter_mut().zip(more).for_each(|(pixel, &value)| *pixel |= value);
        return different;
    }
    for (pixel, &value) in mask.iter_mut().zip(more) {
        different += usize::from(*pixel != 0 && value != 0 && *pixel != value);
        *pixel = (*pixel).max(value);
    }
    different
}

/// Refuses classes for masks that do not tell any apart.
fn check_kind(masks: &MaskSource, classes: &[ClassConfig]) -> Result<()> {
    let path = match masks {
        MaskSource::DicomMasks(_) | MaskSource::Contours(_) => masks.paths().first().map(|path| path.to_path_buf()),
        MaskSource::Boxes(_) => Some(PathBuf::from("the boxes of the release")),
        _ => None,
    };
    match path {
        Some(path) if classes.len() > 1 => Err(PrepareError::Labels {
            path,
            problem: format!(
                "masks of this kind have no labels, but there are the classes {}",
                names(classes).join(", ")
            ),
            expected: "pictures, NIfTI or DICOM SEG".to_owned(),
            remedy: "remove the [[prepare.classes]] tables",
        }),
        _ => Ok(()),
    }
}

fn check_boxes(image: &Path, boxes: &[LesionBox], slices: usize) -> Result<()> {
    match boxes.iter().find(|lesion| lesion.slice >= slices || lesion.width <= 0 || lesion.height <= 0) {
        None => Ok(()),
        Some(lesion) => Err(PrepareError::Annotation {
            path: image.to_path_buf(),
            problem: format!(
                "a box of {} x {} pixels in slice {} (counted from 0) of {slices}",
                lesion.width, lesion.height, lesion.slice
            ),
            expected: "boxes with a positive area in one of the volume's slices",
        }),
    }
}

/// Refuses contours that would take many seconds to fill.
fn check_contours(path: &Path, contours: &[Vec<[f64; 2]>], size: [usize; 2]) -> Result<()> {
    let crossings: u64 = contours.iter().map(|points| crossings(points, size[0])).sum();
    if crossings <= MOST_CROSSINGS {
        return Ok(());
    }
    Err(PrepareError::Annotation {
        path: path.to_path_buf(),
        problem: format!("contours that cross rows of the image {crossings} times"),
        expected: "outlines of lesions, which cross rows far less often",
    })
}
