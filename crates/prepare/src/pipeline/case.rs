//! Prepares one case: selects its slices, applies the window, crops, resizes, mirrors and writes them.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use pig_data::Pixels;
use pig_data::config::{MaskResize, Resize};
use pig_data::png_file::{encode_class_png, encode_png};
use pig_data::read::{Taken, gray};
use pig_data::resample::{fit_within, resize_image, resize_labels_area, resize_mask_nearest};
use pig_files::hex;

use super::work::Work;
use crate::affine;
use crate::error::{PrepareError, Result};
use crate::foreground::{Foreground, Rectangle, largest_component};
use crate::layouts::{Case, ImageSource, MaskSource, Side};
use crate::masks::{Fraction, Masks};
use crate::prepared_folder::{CaseNote, CaseState, hash_texts, places};
use crate::record::Record;
use crate::settings::{CropRule, LateralityRule, PrepareConfig, WindowRule};
use crate::sources::nifti_header::data_file;
use crate::sources::{Reading, Volume};
use crate::transform::{Transform, mirrored};
use crate::window::Window;

/// Prepares a case, unless it was prepared before; the flag says that it was. `None` if the user asked to stop meanwhile.
pub(super) fn prepare_case(work: &Work<'_>, case: &Case) -> Result<Option<(CaseState, bool)>> {
    let id = work.ids[case.name.as_str()].as_str();
    let source_sha256 = source_hash(case)?;
    let common = work.sixteen.and_then(|sixteen| sixteen.of(case));
    let settings = work.folder.settings(common, work.reading);
    if let Some(state) = work.folder.finished(id, &source_sha256, &settings) {
        return Ok(Some((state, true)));
    }
    work.folder.forget(id);
    let (config, cost) = (&work.request.config, &work.request.cost);
    let mut state = CaseState {
        source_sha256,
        settings,
        left_out_empty: 0,
        left_out_without_mask: 0,
        records: Vec::new(),
        notes: Vec::new(),
    };
    let picture = matches!(case.image, ImageSource::Picture(_));
    // A picture's share is held until its pair is written.
    let _picture = picture.then(|| work.budget.picture(case.image.path(), work.reading)).transpose()?;
    let volume = Volume::open(case, work.reading, config.slice_axis, cost)?;
    let Some(masks) = Masks::open(case, &volume, config, cost)? else {
        state.left_out_without_mask = 1;
        work.folder.keep(id, &state)?;
        return Ok(Some((state, false)));
    };
    let slices = chosen_slices(work, case, &volume, &masks)?;
    state.left_out_empty = volume.slices() - slices.len();
    if !slices.is_empty() {
        let share = work.budget.slice(&volume);
        let window = Window::of(&volume, case.image.path(), config, common)?;
        let turned = case.upright && stands_on_its_head(&volume, case)?;
        drop(share);
        let open = OpenCase {
            work,
            case,
            id,
            window,
            turned,
            volume: &volume,
            masks: &masks,
            source_sha256: &state.source_sha256,
            flat: AtomicBool::new(true),
        };
        let Some(records) = open.records(&slices)? else { return Ok(None) };
        if open.flat.into_inner() {
            state.notes.push(CaseNote::Flat);
        }
        if config.window == WindowRule::Auto && volume.has_voi(0)? && !volume.has_usable_voi(0)? {
            state.notes.push(CaseNote::WindowIgnored);
        }
        state.notes.extend(volume.has_unusable_geometry()?.then_some(CaseNote::GeometryIgnored));
        state.notes.extend(volume.has_higher_bits()?.then_some(CaseNote::BitsCut));
        state.notes.extend(masks.misplaced().map(CaseNote::AffineIgnored));
        let left_over = volume.dicom().map_or(0, |image| image.info().frames_left_over);
        state.notes.extend((left_over > 0).then_some(CaseNote::FramesLeftOver(left_over)));
        state.notes.extend(volume.turned().then_some(CaseNote::Turned));
        state.notes.extend(match (volume.is_coloured(), work.reading) {
            (true, Reading::Rgb) => Some(CaseNote::ColourKept),
            (true, Reading::Luma | Reading::Channel(_)) => Some(CaseNote::ColourReduced),
            (false, Reading::Rgb) => Some(CaseNote::GrayCopied),
            (false, Reading::Luma | Reading::Channel(_)) => None,
        });
        state.records = records;
    }
    if state.records.iter().all(|record| record.source_mask_pixels == 0) {
        // Slices that were left out have no lesion, so nothing of this case has.
        state.notes.extend(masks.have_other_values(config).then_some(CaseNote::OtherValues));
    }
    let labels = masks.labels_seen();
    state.notes.extend((labels != 0).then_some(CaseNote::Labels(labels)));
    let place_of = |file: &Path| case.masks.paths().iter().position(|path| *path == file);
    for Fraction { path, greatest, max } in masks.fractions() {
        state.notes.extend(place_of(&path).map(|mask| CaseNote::Fraction { mask, greatest, max }));
    }
    if let Some((path, taken)) = masks.other_order() {
        let by_index = *taken == Taken::Indices;
        state.notes.extend(place_of(path).map(|mask| CaseNote::OtherOrder { mask, by_index }));
    }
    work.folder.keep(id, &state)?;
    Ok(Some((state, false)))
}

/// SHA-256 over everything in the source that determines the case's pairs.
fn source_hash(case: &Case) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(&case.name);
    for path in std::iter::once(case.image.path()).chain(case.masks.paths()) {
        hash_file(path, &mut hash)?;
        if let Some(voxels) = data_file(path).filter(|voxels| voxels.exists()) {
            hash_file(&voxels, &mut hash)?;
        }
    }
    if let MaskSource::Boxes(boxes) = &case.masks {
        for lesion in boxes {
            for number in [lesion.slice as i64, lesion.x, lesion.y, lesion.width, lesion.height] {
                hash.update(number.to_le_bytes());
            }
        }
    }
    // Another order of the channels in dataset.json gives a name another number.
    if let Some(number) = case.channel.as_ref().and_then(|choice| choice.number).filter(|&number| number > 0) {
        hash.update((number as u64).to_le_bytes());
    }
    if let MaskSource::Layers(layers) = &case.masks {
        hash.update(hash_texts(layers.iter().map(|layer| layer.class.as_deref().unwrap_or_default())));
    }
    // The manifest contains what tables say about the case, so a change there must change the hash. Spacing gives the millimetres.
    let side = case.side.map_or("", Side::word);
    let words = [side, case.view.as_deref().unwrap_or_default(), case.class.as_deref().unwrap_or_default()];
    hash.update(words.join("\n"));
    for spacing in case.spacing.unwrap_or_default() {
        hash.update(spacing.to_le_bytes());
    }
    let classes = case.classes.iter().flat_map(|class| [class.name.clone(), format!("{:?}", class.values)]);
    let overlap = case.overlap.then(|| "overlap".to_owned());
    let codes = case.classes.iter().filter_map(|class| class.code.as_ref()).map(|code| format!("{code:?}"));
    let classes: Vec<String> = classes.chain(overlap).chain(codes).collect();
    if !classes.is_empty() {
        hash.update(hash_texts(classes.iter().map(String::as_str)));
    }
    if !case.others.is_empty() {
        hash.update(hash_texts(case.others.iter().flat_map(|(name, value)| [name.as_str(), value])));
    }
    Ok(hex(&hash.finalize()))
}

fn hash_file(path: &Path, hash: &mut Sha256) -> Result<()> {
    let mut file = pig_files::open(path).map_err(PrepareError::io(path, "read"))?;
    let mut block = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut block).map_err(PrepareError::io(path, "read"))?;
        if count == 0 {
            return Ok(());
        }
        hash.update(&block[..count]);
    }
}

/// The slices with lesion, and those of the others that were drawn.
fn chosen_slices(work: &Work<'_>, case: &Case, volume: &Volume, masks: &Masks) -> Result<Vec<usize>> {
    let chosen = |index: usize| -> Result<Option<usize>> {
        let lesion = || {
            let _share = work.budget.slice(volume);
            Ok::<_, PrepareError>(masks.read(index)?.iter().any(|&label| label > 0))
        };
        let keep = drawn(&work.request.config, &case.name, index) || lesion()?;
        Ok(keep.then_some(index))
    };
    let all: Vec<usize> = (0..volume.slices()).collect();
    let slices: Vec<Option<usize>> = in_parts(work, volume, &all, chosen).into_iter().collect::<Result<_>>()?;
    Ok(slices.into_iter().flatten().collect())
}

/// Calls `one` for each slice and returns the results in order; uses as many threads as the memory allows.
fn in_parts<T: Send>(work: &Work<'_>, volume: &Volume, slices: &[usize], one: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let part = slices.len().div_ceil(work.budget.parts(volume.size())).max(1);
    slices.par_chunks(part).flat_map_iter(|part| part.iter().map(|&index| one(index))).collect()
}

/// Whether an image or slice without lesion is kept: a random draw keyed by seed, case and slice, independent of all others.
fn drawn(config: &PrepareConfig, name: &str, slice: usize) -> bool {
    let mut hash = Sha256::new();
    hash.update(config.seed.to_le_bytes());
    hash.update((slice as u64).to_le_bytes());
    hash.update(name);
    let digest = hash.finalize();
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    // A double represents 53 bits exactly, so a share of 1 keeps all and a share of 0 none.
    ((u64::from_le_bytes(number) >> 11) as f64) < config.empty_share * (1_u64 << 53) as f64
}

/// Whether the bright edge is not on the case's side. As in the reader of BCS-DBT, this is decided in the slice of the first
/// box; without a box, in the middle slice.
fn stands_on_its_head(volume: &Volume, case: &Case) -> Result<bool> {
    let Some(side) = case.side else { return Ok(false) };
    let decisive = match &case.masks {
        MaskSource::Boxes(boxes) => boxes.first().map(|lesion| lesion.slice),
        _ => None,
    };
    let plane = volume.plane(decisive.unwrap_or(volume.slices() / 2))?;
    let values = gray(&plane.values, plane.channels);
    let edge = |column: usize| values.iter().skip(column).step_by(plane.width).map(|&v| f64::from(v)).sum::<f64>();
    let found = if edge(0) < edge(plane.width - 1) { Side::Right } else { Side::Left };
    Ok(found != side)
}

/// A case with its files open.
struct OpenCase<'a> {
    work: &'a Work<'a>,
    case: &'a Case,
    id: &'a str,
    volume: &'a Volume,
    masks: &'a Masks,
    window: Window,
    turned: bool,
    source_sha256: &'a str,
    /// Whether every pixel that was shown until now is as its neighbours.
    flat: AtomicBool,
}

impl OpenCase<'_> {
    /// Makes the pairs of `slices`. If one of them fails, all are removed; `None` if the user asked to stop.
    fn records(&self, slices: &[usize]) -> Result<Option<Vec<Record>>> {
        let one = |index: usize| {
            if self.work.progress.stop_requested() {
                return Ok(None);
            }
            self.pair(index).map(Some)
        };
        let made: Vec<Result<Option<Record>>> = in_parts(self.work, self.volume, slices, one);
        let whole = made.iter().all(|record| matches!(record, Ok(Some(_))));
        if !whole {
            made.iter().flatten().flatten().for_each(|record| self.work.folder.remove(record));
        }
        made.into_iter().collect()
    }

    fn pair(&self, index: usize) -> Result<Record> {
        let config = &self.work.request.config;
        let size = self.volume.size();
        let share = self.work.budget.slice(self.volume);
        let (mut values, channels) = self.values(index)?;
        let mask = self.masks.read(index)?;
        let foreground = self.foreground(&gray(&values, channels), &mask);
        for (pixel, _) in values.chunks_exact_mut(channels).zip(&foreground.others).filter(|(_, other)| **other) {
            pixel.fill(0.0);
        }
        let crop = foreground.crop;
        let resized = match config.resize {
            Resize::Stretch => config.size,
            Resize::Pad => fit_within(crop.size(), config.size),
        };
        let mut transform = Transform::new(size, self.turned, &crop, resized, config.size);
        let geometry = self.volume.geometry(index)?;
        transform.spacing = geometry.spacing.or(self.case.spacing);
        let side = self.case.side.map_or_else(|| self.volume.side(index), |side| Ok(Some(side)))?;
        transform.mirrored = matches!(
            (config.laterality, side),
            (LateralityRule::Left, Some(Side::Right)) | (LateralityRule::Right, Some(Side::Left))
        );
        let image = resize_image(&crop.cut(&values, size[1], channels), crop.size(), resized, channels);
        let cut_mask = crop.cut(&mask, size[1], 1);
        let small_mask = match config.mask_resize {
            MaskResize::AreaThreshold => resize_labels_area(&cut_mask, crop.size(), resized, self.masks.coding()),
            MaskResize::Nearest => resize_mask_nearest(&cut_mask, crop.size(), resized),
        };
        let (image, small_mask) = (placed(&image, &transform, channels), placed(&small_mask, &transform, 1));
        let name = self.name(index);
        let [image_place, mask_place] = places(&name);
        let image_sha256 = self.write(&image_place, channels, &quantised(&image, config.bit_depth))?;
        let mask_sha256 = self.write_mask(&mask_place, &small_mask)?;
        drop(share);
        let placed = geometry.affine.map(|affine| transform.prepared_affine(&affine)).filter(affine::is_usable);
        let affine_ras = placed.as_ref().map(affine::text);
        let key = self.work.request.key.as_ref();
        let patient = self.case.patient.as_ref().zip(key).map(|(patient, key)| key.pseudonym(patient));
        let lesion = |mask: &[u8]| mask.iter().filter(|&&value| value != 0).count();
        Ok(Record {
            id: name,
            patient: patient.unwrap_or_default(),
            case: self.id.to_owned(),
            laterality: side.map_or("", Side::word).to_owned(),
            view: self.case.view.clone().or_else(|| self.volume.view().map(str::to_owned)).unwrap_or_default(),
            class: self.case.class.clone().unwrap_or_default(),
            slice: index,
            slices: self.volume.slices(),
            weak_label: self.masks.weak(),
            mask_pixels: lesion(&small_mask),
            source_mask_pixels: lesion(&mask),
            class_pixels: self.class_pixels(&small_mask, &mask),
            transform,
            slice_axis: config.slice_axis,
            slice_spacing_mm: geometry.slice_spacing,
            affine_ras: affine_ras.unwrap_or_default(),
            window: self.window.word().to_owned(),
            window_low: self.window.range().map(|range| range.0),
            window_high: self.window.range().map(|range| range.1),
            blanked_pixels: foreground.others.iter().filter(|&&other| other).count(),
            source_sha256: self.source_sha256.to_owned(),
            image_sha256,
            mask_sha256,
            image: image_place,
            mask: mask_place,
            others: self.case.others.clone(),
        })
    }

    /// The values of a slice from 0 to 1, upright, with the channels that all pairs have.
    fn values(&self, index: usize) -> Result<(Vec<f32>, usize)> {
        let (plane, channels) = (self.window.shown(self.volume, index)?, self.work.reading.channels());
        let mut values = plane.values;
        let pixels = || values.chunks_exact(plane.channels);
        if pixels().zip(pixels().skip(1)).any(|(pixel, next)| pixel != next) {
            self.flat.store(false, Ordering::Relaxed);
        }
        if plane.channels < channels {
            values = values.into_iter().flat_map(|value| [value; 3]).collect();
        }
        if self.turned {
            values = values.chunks_exact(channels).rev().flatten().copied().collect();
        }
        Ok((values, channels))
    }

    fn foreground(&self, values: &[f32], mask: &[u8]) -> Foreground {
        let config = &self.work.request.config;
        let size = self.volume.size();
        let cropped = match config.crop {
            CropRule::None => false,
            CropRule::LargestComponent => true,
            CropRule::Auto => self.work.layout.is_mammography() || self.volume.is_mammography(),
        };
        if cropped {
            largest_component(values, mask, size, config.crop_threshold, config.crop_margin)
        } else {
            Foreground { crop: Rectangle::whole(size), others: Vec::new() }
        }
    }

    /// The case's id, with the slice number if there are several slices.
    fn name(&self, index: usize) -> String {
        if self.volume.slices() == 1 { self.id.to_owned() } else { format!("{}_{index:04}", self.id) }
    }

    /// The pixels of each class in the prepared mask and in the source's, if there are several.
    fn class_pixels(&self, prepared: &[u8], source: &[u8]) -> Vec<(String, [usize; 2])> {
        let classes = self.masks.classes();
        if classes.len() < 2 {
            return Vec::new();
        }
        let coding = self.masks.coding();
        let (prepared, source) = (coding.areas(prepared), coding.areas(source));
        let both = prepared.into_iter().zip(source).map(|(prepared, source)| [prepared, source]);
        classes.iter().map(|class| class.name.clone()).zip(both).collect()
    }

    /// Writes a mask, of lesion or with a palette of several classes, and returns its hash.
    fn write_mask(&self, place: &str, mask: &[u8]) -> Result<String> {
        let classes = self.masks.classes();
        if classes.len() < 2 {
            return self.write(place, 1, &Pixels::Eight(mask.iter().map(|&value| value * 255).collect()));
        }
        let path = self.work.folder.path(place);
        let classes = (classes, self.masks.coding().overlap);
        keep(&path, &encode_class_png(&path, self.work.request.config.size, mask, classes, &[])?)
    }

    /// Writes a PNG and returns its hash.
    fn write(&self, place: &str, channels: usize, pixels: &Pixels) -> Result<String> {
        let path = self.work.folder.path(place);
        keep(&path, &encode_png(&path, self.work.request.config.size, channels, pixels, &[])?)
    }
}

/// Writes a file and returns its hash.
fn keep(path: &Path, bytes: &[u8]) -> Result<String> {
    pig_files::write(path, bytes)?;
    Ok(hex(&Sha256::digest(bytes)))
}

/// Resized values of shape (height, width, channels), padded with zeros and mirrored.
fn placed<T: Copy + Default>(values: &[T], transform: &Transform, channels: usize) -> Vec<T> {
    let [height, width] = transform.prepared;
    let mut padded = vec![T::default(); height * width * channels];
    for (index, row) in values.chunks_exact(transform.resized[1] * channels).enumerate() {
        let start = ((transform.pad[0] + index) * width + transform.pad[1]) * channels;
        padded[start..start + row.len()].copy_from_slice(row);
    }
    if transform.mirrored { mirrored(&padded, width, channels) } else { padded }
}

/// Values from 0 to 1 as integers of the bit depth, rounded to the nearest.
fn quantised(values: &[f32], bit_depth: u8) -> Pixels {
    let round = |value: &f32, maximum: f32| (value.clamp(0.0, 1.0) * maximum).round();
    if bit_depth == 16 {
        Pixels::Sixteen(values.iter().map(|value| round(value, 65535.0) as u16).collect())
    } else {
        Pixels::Eight(values.iter().map(|value| round(value, 255.0) as u8).collect())
    }
}
