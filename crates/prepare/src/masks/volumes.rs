//! Opens masks that are NIfTI volumes, on the grid of their image.

use std::path::Path;

use super::grid::{check_size, mismatch};
use crate::affine::{Affine, from_slice, place_tolerance};
use crate::error::Result;
use crate::settings::{MaskAffine, PrepareConfig};
use crate::sources::nifti::NiftiVolume;
use crate::sources::{Cost, Volume};

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
    let far = corner_distance(&mask, volume)?;
    let tolerance = place_tolerance(volume.geometry(0)?.spacing);
    let Some(far) = far.filter(|far| *far > tolerance || far.is_nan()) else { return Ok((mask, None)) };
    if config.mask_affine != Some(MaskAffine::Ignore) {
        let found = format!("its corners are up to {far:.3} mm away from the image's");
        let expected = "the same affine (or prepare.mask_affine = \"ignore\", which takes the mask voxel by voxel)";
        return Err(mismatch(image, path, "geometry", found, expected.to_owned()));
    }
    Ok((mask, Some(far)))
}

fn is_finite(affine: &Affine) -> bool {
    affine.iter().flatten().all(|number| number.is_finite())
}

/// The greatest distance between the positions that a mask and its volume, NIfTI or DICOM, give the corners of the first and of the last
/// slice; `None` if the volume does not say where it lies.
fn corner_distance(mask: &NiftiVolume, volume: &Volume) -> Result<Option<f64>> {
    let Some(of_mask) = mask.geometry().affine else { return Ok(None) };
    let [height, width] = volume.size();
    let ends = [width, height].map(|count| (count - 1) as f64);
    let mut greatest = 0.0_f64;
    for slice in [0, volume.slices() - 1] {
        let Some(of_image) = volume.geometry(slice)?.affine.filter(is_finite) else { return Ok(None) };
        let of_mask = from_slice(of_mask, slice as f64);
        for corner in 0..4 {
            let at: [f64; 2] = std::array::from_fn(|axis| if corner >> axis & 1 == 1 { ends[axis] } else { 0.0 });
            let place = |affine: Affine| affine.map(|row| row[0] * at[0] + row[1] * at[1] + row[3]);
            let (p, q) = (place(of_mask), place(of_image));
            let far = (0..3).map(|axis| (p[axis] - q[axis]).powi(2)).sum::<f64>().sqrt();
            // A place that is no number is not the right one, but `max` would drop it.
            if far.is_nan() {
                return Ok(Some(far));
            }
            greatest = greatest.max(far);
        }
    }
    Ok(Some(greatest))
}
