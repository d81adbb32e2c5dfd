//! Maps source values to gray: which values become black and which white.

use crate::error::{PrepareError, Result};
use crate::settings::{PrepareConfig, WindowRule};
use crate::sources::{Plane, StoredRange, Volume};

/// Bins of the histogram for values that are not integers or whose range is wider than this.
const BINS: usize = 1 << 16;

/// A case's window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    /// The window or VOI LUT in the DICOM file.
    Voi,
    /// Linear between two values.
    Linear {
        /// The value that becomes black (white in MONOCHROME1).
        low: f64,
        /// The value that becomes white (black in MONOCHROME1).
        high: f64,
    },
}

impl Window {
    /// Its name in the manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Voi => "voi",
            Self::Linear { .. } => "linear",
        }
    }

    /// Black and white in source values; `None` for a DICOM file's own window, which need not be linear.
    pub fn range(self) -> Option<(f64, f64)> {
        match self {
            Self::Voi => None,
            Self::Linear { low, high } => Some((low, high)),
        }
    }

    /// Decides the window of a case; percentiles are measured over all of its slices. `common` is the range of the source's pictures,
    /// if it is narrower than their files allow.
    ///
    /// # Errors
    /// When the rule cannot be used for the source, or a slice cannot be read.
    pub fn of(
        volume: &Volume,
        path: &std::path::Path,
        config: &PrepareConfig,
        common: Option<StoredRange>,
    ) -> Result<Self> {
        let refuse =
            |rule, problem, instead| Err(PrepareError::Window { path: path.to_path_buf(), rule, problem, instead });
        let rule = match config.window {
            WindowRule::Auto if matches!(volume, Volume::Picture(_)) => WindowRule::Stored,
            // A window or percentiles would change colours.
            WindowRule::Auto if volume.keeps_colour() && volume.stored_range()?.is_some() => WindowRule::Stored,
            WindowRule::Auto if volume.has_usable_voi(0)? => WindowRule::Voi,
            WindowRule::Auto => WindowRule::Percentile,
            other => other,
        };
        if let (WindowRule::Auto, Volume::Picture(_), Some(StoredRange { low, high })) = (config.window, volume, common)
        {
            return Ok(Self::Linear { low, high });
        }
        match rule {
            WindowRule::Voi if volume.has_voi(0)? => Ok(Self::Voi),
            WindowRule::Voi => refuse("voi", "the file has no window of its own", "\"percentile\" or \"auto\""),
            WindowRule::Stored => match volume.stored_range()? {
                Some(range) => Ok(Self::Linear { low: range.low, high: range.high }),
                None => refuse("stored", "the values have no fixed range", "\"percentile\" or \"given\""),
            },
            WindowRule::Given => {
                let (centre, width) =
                    (config.window_center.unwrap_or_default(), config.window_width.unwrap_or_default());
                Ok(Self::Linear { low: centre - width / 2.0, high: centre + width / 2.0 })
            }
            WindowRule::Percentile | WindowRule::Auto => {
                let (low, high) = percentiles(volume, config.percentiles)?;
                Ok(Self::Linear { low, high })
            }
        }
    }

    /// Slice `index` with the window applied, from 0 (black) to 1 (white); padding is black.
    pub fn shown(self, volume: &Volume, index: usize) -> Result<Plane> {
        let mut plane = match self {
            Self::Voi => volume.shown(index)?.map_or_else(|| volume.plane(index), Ok)?,
            Self::Linear { low, high } => {
                let mut plane = volume.plane(index)?;
                let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
                for value in &mut plane.values {
                    let unit = ((f64::from(*value) - low) * scale).clamp(0.0, 1.0) as f32;
                    *value = if plane.inverted { 1.0 - unit } else { unit };
                }
                plane
            }
        };
        plane.inverted = false;
        for (pixel, _) in
            plane.values.chunks_exact_mut(plane.channels).zip(&plane.padding).filter(|(_, padding)| **padding)
        {
            pixel.fill(0.0);
        }
        Ok(plane)
    }
}

/// The values below which the given percentages of all slices' pixels lie, without padding, interpolated between ranks as in
/// numpy. They are exact for integers within a range of 65,536 values; other values are counted in that many bins.
fn percentiles(volume: &Volume, per_cent: [f64; 2]) -> Result<(f64, f64)> {
    let mut extremes = (f64::INFINITY, f64::NEG_INFINITY);
    let mut whole = true;
    // A single slice is kept, so that pictures and single frames are decoded only once.
    let kept = (volume.slices() == 1).then(|| volume.plane(0)).transpose()?;
    let each = |visit: &mut dyn FnMut(f64)| -> Result<()> {
        for index in 0..volume.slices() {
            let read;
            let plane = if let Some(plane) = &kept {
                plane
            } else {
                read = volume.plane(index)?;
                &read
            };
            let padded = |index: usize| plane.padding.get(index).copied().unwrap_or(false);
            for (_, &value) in plane.values.iter().enumerate().filter(|(index, _)| !padded(index / plane.channels)) {
                visit(f64::from(value));
            }
        }
        Ok(())
    };
    each(&mut |value| {
        extremes = (extremes.0.min(value), extremes.1.max(value));
        whole &= value.fract() == 0.0;
    })?;
    let (low, high) = extremes;
    if high <= low {
        return Ok(if low.is_finite() { (low, low) } else { (0.0, 0.0) });
    }
    let exact = whole && high - low < BINS as f64;
    let step = if exact { 1.0 } else { (high - low) / (BINS - 1) as f64 };
    let mut counts = vec![0_u64; BINS];
    each(&mut |value| counts[((value - low) / step).round() as usize] += 1)?;
    let total: u64 = counts.iter().sum();
    let at_rank = |rank: u64| {
        let mut seen = 0;
        let bin = counts.iter().position(|count| {
            seen += count;
            seen > rank
        });
        low + bin.unwrap_or(BINS - 1) as f64 * step
    };
    let ends = per_cent.map(|per_cent| {
        let rank = per_cent / 100.0 * (total - 1) as f64;
        let (below, above) = (at_rank(rank.floor() as u64), at_rank(rank.ceil() as u64));
        below + (above - below) * rank.fract()
    });
    Ok((ends[0], ends[1]))
}
