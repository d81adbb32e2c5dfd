//! Opens masks that are NIfTI volumes, on the grid of their image.

use std::path::Path;

use super::grid::{check_size, mismatch};
use crate::affine::Affine;
use crate::error::Result;
use crate::settings::{MaskAffine, PrepareConfig};
use crate::sources::nifti::NiftiVolume;
use crate::sources::{Cost, Volume};

/// How far the corners of an image and of its mask may be apart, as a share of a pixel.
const PLACE_TOLERANCE: f64 = 0.1;

/// Opens a mask; with the millimetres by which its corners are away from the image's, if the settings ignore that.
pub(super) fn open(
    image: &Path,
    path: &Path,
    volume: &Volume,
    config: &PrepareConfig,
    cost: &Cost,
) -> Result<(NiftiVolume, Option<f64>)> {
    let mask = NiftiVolume::open(path, config.slice_axis, cost.max_bytes)?;
    check_size(image, path, mask.size(), volume.size())?;
    if mask.slices() != volume.slices() {
        let (found, expected) = (mask.slices().to_string(), volume.slices().to_string());
        return Err(mismatch(image, path, "slices", found, expected));
    }
    let mut ignored = None;
    if let (Volume::Nifti(image_volume), Some(found)) = (volume, mask.geometry().affine)
        && let Some(expected) = image_volume.geometry().affine
    {
        let far = corner_distance(found, expected, volume);
        let pixel = image_volume.geometry().spacing.map_or(1.0, |spacing| spacing[0].min(spacing[1]));
        if far > PLACE_TOLERANCE * pixel || far.is_nan() {
            if config.mask_affine != Some(MaskAffine::Ignore) {
                let found = format!("its corners are up to {far:.3} mm away from the image's");
                let expected =
                    "the same affine (or prepare.mask_affine = \"ignore\", which takes the mask voxel by voxel)";
                return Err(mismatch(image, path, "geometry", found, expected.to_owned()));
            }
            ignored = Some(far);
        }
    }
    Ok((mask, ignored))
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
