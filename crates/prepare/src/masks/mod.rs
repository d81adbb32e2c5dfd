//! The masks of a case, opened once and read slice by slice as 0 (background) and 1 (lesion).

mod contours;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pig_data::DataConfig;
use pig_data::read::{count_mask_values, read_mask};
use pig_dicom::{Image, Object, Segmentation, Selection, SourceFrame};

use crate::affine::Affine;
use crate::error::{PrepareError, Result};
use crate::fill::{crossings, fill_box, fill_polygon};
use crate::layouts::{Case, LesionBox, MaskSource};
use crate::settings::{BoxShape, MissingMask, PrepareConfig};
use crate::sources::nifti::NiftiVolume;
use crate::sources::{Cost, Volume};

/// How far the corners of an image and of its mask may be apart, as a share of a pixel.
const PLACE_TOLERANCE: f64 = 0.1;

/// How often the contours of an image may cross its rows. Filling that many takes some seconds.
const MOST_CROSSINGS: u64 = 50_000_000;

/// How many different values of a NIfTI mask are counted.
const MOST_VALUES: usize = 256;

/// The open masks of a case.
#[derive(Debug)]
pub struct Masks {
    size: [usize; 2],
    kind: Open,
}

#[derive(Debug)]
enum Open {
    Empty,
    Pictures(Vec<PathBuf>, Box<DataConfig>),
    Nifti(Vec<NiftiVolume>, Option<Vec<u16>>),
    Segmentations { open: Vec<Segmentation>, instance: String, selection: Selection, threshold: f64 },
    DicomMasks(Vec<Image>),
    Contours(Vec<Vec<[f64; 2]>>),
    Boxes { boxes: Vec<LesionBox>, shape: BoxShape, around: usize },
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
                let settings = DataConfig { mask_values, ..DataConfig::default() };
                one_slice(image, paths, volume)?;
                Open::Pictures(paths.clone(), Box::new(settings))
            }
            MaskSource::Nifti(paths) => {
                let labels = match config.lesion_labels() {
                    None => case.mask_values.is_some().then(|| nnunet_labels(case)),
                    labels => labels,
                };
                let open = paths.iter().map(|path| open_nifti(image, path, volume, config, cost));
                Open::Nifti(open.collect::<Result<_>>()?, labels)
            }
            MaskSource::Segmentations(paths) => open_segmentations(image, paths, volume, config, cost)?,
            MaskSource::DicomMasks(lesions) => {
                one_slice(image, lesions.first().map_or(&[], Vec::as_slice), volume)?;
                let open = lesions.iter().map(|candidates| choose_mask(image, candidates, size, cost));
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
        };
        Ok(Some(Self { size, kind }))
    }

    /// Whether the masks are guesses, such as ellipses in boxes.
    pub fn weak(&self) -> bool {
        matches!(self.kind, Open::Boxes { .. })
    }

    /// How many pixels of all slices have each stored value; only for files that store values: pictures and NIfTI.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn values(&self) -> Result<BTreeMap<String, u64>> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        match &self.kind {
            Open::Pictures(paths, _) => {
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
                        for value in volume.slice(index)? {
                            // Floating-point numbers cannot be keys of a map, but their bits can.
                            if stored.len() < MOST_VALUES || stored.contains_key(&value.to_bits()) {
                                *stored.entry(value.to_bits()).or_default() += 1;
                            }
                        }
                    }
                }
                counts.extend(stored.into_iter().map(|(bits, count)| (f32::from_bits(bits).to_string(), count)));
            }
            _ => {}
        }
        Ok(counts)
    }

    /// The mask of slice `index`: `height * width` values of 0 or 1.
    pub fn read(&self, index: usize) -> Result<Vec<u8>> {
        let mut mask = vec![0; self.size[0] * self.size[1]];
        match &self.kind {
            Open::Empty => {}
            Open::Pictures(paths, settings) => {
                for path in paths {
                    let found = read_mask(path, settings)?;
                    check_size(path, path, [found.height, found.width], self.size)?;
                    merge(&mut mask, found.data);
                }
            }
            Open::Nifti(volumes, labels) => {
                for volume in volumes {
                    let is_lesion = |value: &f32| match labels {
                        None => *value != 0.0,
                        Some(labels) => labels.iter().any(|&label| f32::from(label) == *value),
                    };
                    merge(&mut mask, volume.slice(index)?.iter().map(|value| u8::from(is_lesion(value))));
                }
            }
            Open::Segmentations { open, instance, selection, threshold } => {
                let source = SourceFrame { sop_instance: instance.clone(), frame: Some(index as u32) };
                for segmentation in open {
                    merge(&mut mask, segmentation.mask(&source, selection, Some(*threshold))?.values);
                }
            }
            Open::DicomMasks(images) => {
                for image in images {
                    let frame = image.frame(0)?;
                    merge(&mut mask, frame.stored().iter().map(|value| u8::from(value != 0.0)));
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
        }
        Ok(mask)
    }
}

fn merge(mask: &mut [u8], more: impl IntoIterator<Item = u8>) {
    for (pixel, value) in mask.iter_mut().zip(more) {
        *pixel |= value;
    }
}

fn nnunet_labels(case: &Case) -> Vec<u16> {
    let config = PrepareConfig { mask_values: case.mask_values.clone(), ..PrepareConfig::default() };
    config.lesion_labels().unwrap_or_default()
}

fn mismatch(image: &Path, mask: &Path, what: &'static str, found: String, expected: String) -> PrepareError {
    PrepareError::Mismatch { image: image.to_path_buf(), mask: mask.to_path_buf(), what, found, expected }
}

fn check_size(image: &Path, mask: &Path, found: [usize; 2], expected: [usize; 2]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let words = |[height, width]: [usize; 2]| format!("{width} x {height} pixels");
    Err(mismatch(image, mask, "size", words(found), words(expected)))
}

/// Refuses a mask with one slice for a volume with several slices.
fn one_slice(image: &Path, masks: &[PathBuf], volume: &Volume) -> Result<()> {
    let slices = volume.slices();
    if slices == 1 {
        return Ok(());
    }
    let mask = masks.first().map_or(Path::new(""), PathBuf::as_path);
    Err(mismatch(image, mask, "slices", "1".to_owned(), slices.to_string()))
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

fn open_nifti(image: &Path, path: &Path, volume: &Volume, config: &PrepareConfig, cost: &Cost) -> Result<NiftiVolume> {
    let mask = NiftiVolume::open(path, config.slice_axis, cost.max_bytes)?;
    check_size(image, path, mask.size(), volume.size())?;
    if mask.slices() != volume.slices() {
        let (found, expected) = (mask.slices().to_string(), volume.slices().to_string());
        return Err(mismatch(image, path, "slices", found, expected));
    }
    if let (Volume::Nifti(image_volume), Some(found)) = (volume, mask.geometry().affine)
        && let Some(expected) = image_volume.geometry().affine
    {
        let far = corner_distance(found, expected, volume);
        let pixel = image_volume.geometry().spacing.map_or(1.0, |spacing| spacing[0].min(spacing[1]));
        if far > PLACE_TOLERANCE * pixel {
            let found = format!("its corners are up to {far:.3} mm away from the image's");
            return Err(mismatch(image, path, "geometry", found, "the same affine".to_owned()));
        }
    }
    Ok(mask)
}

/// The greatest distance between the positions that two affines give a volume's corners.
fn corner_distance(a: Affine, b: Affine, volume: &Volume) -> f64 {
    let [height, width] = volume.size();
    let ends = [width, height, volume.slices()].map(|count| (count - 1) as f64);
    let mut greatest = 0.0_f64;
    for corner in 0..8 {
        let at: [f64; 3] = std::array::from_fn(|axis| if corner >> axis & 1 == 1 { ends[axis] } else { 0.0 });
        let place = |affine: Affine| affine.map(|row| row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3]);
        let (p, q) = (place(a), place(b));
        greatest = greatest.max((0..3).map(|axis| (p[axis] - q[axis]).powi(2)).sum::<f64>().sqrt());
    }
    greatest
}

fn open_segmentations(
    image: &Path,
    paths: &[PathBuf],
    volume: &Volume,
    config: &PrepareConfig,
    cost: &Cost,
) -> Result<Open> {
    let Some(dicom) = volume.dicom() else {
        let (found, expected) =
            ("a DICOM SEG object".to_owned(), "a mask that does not reference a DICOM image".to_owned());
        return Err(mismatch(image, paths.first().map_or(image, PathBuf::as_path), "kind", found, expected));
    };
    let mut open = Vec::new();
    for path in paths {
        let segmentation = Segmentation::open(path, &cost.dicom)?;
        let info = segmentation.info();
        check_size(image, path, [info.rows as usize, info.columns as usize], volume.size())?;
        open.push(segmentation);
    }
    let selection = config.lesion_labels().map_or(Selection::All, Selection::Numbers);
    let instance = dicom.info().sop_instance.clone();
    Ok(Open::Segmentations { open, instance, selection, threshold: config.seg_threshold })
}

/// Chooses the mask among the files of a lesion: the one that has the image's size.
fn choose_mask(image: &Path, candidates: &[PathBuf], size: [usize; 2], cost: &Cost) -> Result<Image> {
    let mut found = None;
    for path in candidates {
        let Object::Image(mask) = pig_dicom::open(path, &cost.dicom)? else { continue };
        let mask_size = [mask.info().rows as usize, mask.info().columns as usize];
        if mask_size == size && mask.info().samples_per_pixel == 1 {
            return Ok(mask);
        }
        found = Some((path, mask_size));
    }
    let Some((path, mask_size)) = found else {
        let expected = "a DICOM mask with the image's size".to_owned();
        return Err(PrepareError::MissingMask { path: image.to_path_buf(), expected });
    };
    check_size(image, path, mask_size, size)?;
    Err(mismatch(image, path, "kind", "colour".to_owned(), "one value per pixel".to_owned()))
}
