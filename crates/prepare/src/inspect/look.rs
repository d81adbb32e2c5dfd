//! Measures one case: its slices and their masks.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use pig_data::read::read_header;
use pig_metrics::components::{Connectivity, components};

use super::phash::Fingerprint;
use super::text::longest_word;
use crate::budget::Budget;
use crate::error::{PrepareError, Result};
use crate::layouts::{Case, ImageSource, Layout};
use crate::masks::Masks;
use crate::settings::{MissingMask, PrepareConfig, WindowRule};
use crate::sources::{Cost, Reading, Volume};
use crate::window::Window;

/// What was measured on a slice.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) slice: usize,
    /// Lowest and highest value before any window is applied.
    pub(crate) range: (f64, f64),
    /// Areas of the mask's lesions in pixels; `None` if there is no mask.
    pub(crate) lesions: Option<Vec<usize>>,
    /// Millimetres between rows and between columns.
    pub(crate) spacing: Option<[f64; 2]>,
    /// SHA-256 over size and values, and the fingerprint; only for the middle slice of a volume.
    pub(crate) hashes: Option<([u8; 32], Fingerprint)>,
    /// Number of letters in the longest bright row that looks like a word; 0 if there is none.
    pub(crate) letters: usize,
}

/// What a DICOM header says about its picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Says {
    pub(crate) burned_in: bool,
    pub(crate) synthetic: bool,
}

/// What was measured on a case.
#[derive(Debug)]
pub(crate) struct CaseLook {
    pub(crate) size: [usize; 2],
    pub(crate) side: Option<crate::layouts::Side>,
    pub(crate) view: Option<String>,
    /// Whether the image is in colour.
    pub(crate) coloured: bool,
    /// Whether it is a picture of 16 bits.
    pub(crate) sixteen: bool,
    /// What the DICOM header says about the picture.
    pub(crate) says: Says,
    pub(crate) weak: bool,
    pub(crate) mask_values: BTreeMap<String, u64>,
    /// For each class, if there are several: its name, how many slices have it, and its pixels.
    pub(crate) classes: Vec<(String, usize, u64)>,
    pub(crate) looks: Vec<Look>,
    /// Why there is no usable mask.
    pub(crate) mask_error: Option<PrepareError>,
}

/// Looks at every slice of a case, one at a time.
pub(crate) fn look_at(
    case: &Case,
    layout: Layout,
    config: &PrepareConfig,
    cost: &Cost,
    budget: &Budget,
) -> Result<CaseLook> {
    let picture = matches!(case.image, ImageSource::Picture(_));
    // Values, hashes and letters are measured on gray, whether colour is kept or not.
    let reading = Reading::gray(config.colour, layout);
    // A picture's share is held until nothing of it is needed any more.
    let in_colour = picture && read_header(case.image.path())?.colour;
    let held = if in_colour { Reading::Rgb } else { reading };
    let _picture = picture.then(|| budget.picture(case.image.path(), held)).transpose()?;
    let volume = Volume::open(case, reading, config.slice_axis, cost)?;
    // Letters differ from tissue in colour, so text is searched in colour where there is some.
    let coloured =
        volume.is_coloured().then(|| Volume::open(case, Reading::Rgb, config.slice_axis, cost)).transpose()?;
    let strict = PrepareConfig { missing_mask: MissingMask::Error, ..config.clone() };
    let mut mask_error = None;
    let masks = match Masks::open(case, &volume, &strict, cost) {
        Ok(masks) => masks,
        Err(error) => {
            mask_error = Some(error);
            None
        }
    };
    let dicom = volume.dicom().map(pig_dicom::Image::info);
    let mut seen = CaseLook {
        size: volume.size(),
        side: case.side.map_or_else(|| volume.side(0), |side| Ok(Some(side)))?,
        view: case.view.clone().or_else(|| volume.view().map(str::to_owned)),
        coloured: volume.is_coloured(),
        sixteen: picture && volume.stored_range()?.is_some_and(|range| range.high > 255.0),
        says: Says {
            burned_in: dicom.is_some_and(|info| info.burned_in_annotation == Some(true)),
            synthetic: dicom.is_some_and(|info| info.synthetic == Some(true)),
        },
        weak: masks.as_ref().is_some_and(Masks::weak),
        mask_values: BTreeMap::new(),
        classes: Vec::new(),
        looks: Vec::new(),
        mask_error: None,
    };
    let share = budget.slice(&volume);
    if let Some(masks) = &masks {
        // Values are counted even if they do not show which of them mean lesion.
        seen.mask_values = masks.values()?;
    }
    if let Some(classes) = masks.as_ref().map(Masks::classes).filter(|classes| classes.len() > 1) {
        seen.classes = classes.iter().map(|class| (class.name.clone(), 0, 0)).collect();
    }
    let window = quick_window(case, &volume, config)?;
    drop(share);
    let coding = masks.as_ref().map(Masks::coding);
    let areas = |mask: Option<&[u8]>| match (coding, mask) {
        (Some(coding), Some(mask)) => coding.areas(mask),
        _ => Vec::new(),
    };
    for slice in 0..volume.slices() {
        let _share = budget.slice(&volume);
        let mask = match masks.as_ref().filter(|_| mask_error.is_none()).map(|masks| masks.read(slice)).transpose() {
            Ok(mask) => mask,
            Err(error) => {
                mask_error = Some(error);
                None
            }
        };
        for (class, area) in seen.classes.iter_mut().zip(areas(mask.as_deref())) {
            class.1 += usize::from(area > 0);
            class.2 += area as u64;
        }
        let mut look = look(&volume, window, slice, mask.as_deref())?;
        if look.hashes.is_some() {
            let (shown, window) = match &coloured {
                Some(coloured) => (coloured, quick_window(case, coloured, config)?),
                None => (&volume, window),
            };
            let plane = window.shown(shown, slice)?;
            look.letters = longest_word(&plane.values, shown.size(), plane.channels);
        }
        seen.looks.push(look);
    }
    seen.mask_error = mask_error;
    Ok(seen)
}

/// The automatic window. The window in the settings is not used, because it is not an error here if the source lacks it.
pub(crate) fn quick_window(case: &Case, volume: &Volume, config: &PrepareConfig) -> Result<Window> {
    let auto = PrepareConfig { window: WindowRule::Auto, window_center: None, window_width: None, ..config.clone() };
    Window::of(volume, case.image.path(), &auto, None)
}

fn look(volume: &Volume, window: Window, slice: usize, mask: Option<&[u8]>) -> Result<Look> {
    let size = volume.size();
    let plane = volume.plane(slice)?;
    let range = plane.values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
        (low.min(f64::from(value)), high.max(f64::from(value)))
    });
    let lesions = mask.map(|mask| {
        let mask: Vec<bool> = mask.iter().map(|&value| value != 0).collect();
        components(&mask, size[0], size[1], Connectivity::Eight).areas
    });
    // Neighbouring slices are always similar, so only the middle slice represents its volume.
    let representative = slice == volume.slices() / 2;
    let mut hashes = None;
    if representative {
        let shown = window.shown(volume, slice)?;
        let mut exact = Sha256::new();
        exact.update([size[0] as u64, size[1] as u64].map(u64::to_le_bytes).concat());
        for chunk in plane.values.chunks(1 << 14) {
            exact.update(chunk.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
        hashes = Some((exact.finalize().into(), Fingerprint::of(&shown.values, size)));
    }
    Ok(Look { slice, range, lesions, spacing: volume.geometry(slice)?.spacing, hashes, letters: 0 })
}
