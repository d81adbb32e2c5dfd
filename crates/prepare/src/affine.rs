//! Maps positions on a pixel grid to millimetres in the world.
//!
//! Every affine of this crate maps to RAS+, as in NIfTI: the first axis points to the patient's right, the second to the
//! front, the third to the head. DICOM's first two axes point to the left and to the back (LPS+), so their signs are inverted.

use pig_dicom::{FrameInfo, Image, Plane, Spacing};

/// Three rows of four numbers: maps (column, row, slice), counted from 0 at pixel centres, to millimetres.
pub type Affine = [[f64; 4]; 3];

/// How far the corners of an image and of its mask may be apart, as a share of a pixel.
pub(crate) const PLACE_TOLERANCE: f64 = 0.1;

/// How far frames may deviate from even steps, as a share of the step.
const STEP_TOLERANCE: f64 = 0.01;

/// How far the direction cosines of frames may differ.
const ORIENTATION_TOLERANCE: f64 = 1e-4;

/// The affine with its origin moved by a number of slices.
pub(crate) fn from_slice(affine: Affine, slices: f64) -> Affine {
    affine.map(|[column, row, slice, origin]| [column, row, slice, slices.mul_add(slice, origin)])
}

/// Whether the affine is invertible: headers may contain distances of 0 and values that are not finite.
pub(crate) fn is_usable(affine: &Affine) -> bool {
    let [a, b, c] = affine;
    let volume =
        a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0]);
    affine.iter().flatten().all(|number| number.is_finite()) && volume.is_finite() && volume != 0.0
}

/// The twelve numbers as text, row by row, as in manifests.
pub(crate) fn text(affine: &Affine) -> String {
    // Adding 0 turns -0 into 0.
    affine.concat().iter().map(|number| (number + 0.0).to_string()).collect::<Vec<_>>().join(" ")
}

/// How many millimetres are [`PLACE_TOLERANCE`] in an image with this spacing; one without spacing has pixels of 1 mm.
pub(crate) fn place_tolerance(spacing: Option<[f64; 2]>) -> f64 {
    PLACE_TOLERANCE * spacing.map_or(1.0, |[row, column]| row.min(column))
}

/// Whether a frame of a segmentation lies where an image frame of the same size lies; `None` if one of them does not say where.
pub(crate) fn is_at(frame: &Plane, image: &Plane, size: [u32; 2]) -> Option<bool> {
    let tolerance = place_tolerance(image.spacing.or(frame.spacing));
    Some(frame.apart(image, size)?.into_iter().all(|far| far <= tolerance))
}

/// The step from one frame to the next in LPS+ millimetres; `None` unless all frames of an object are parallel and evenly spaced.
pub(crate) fn frame_step(image: &Image) -> pig_dicom::Result<Option<[f64; 3]>> {
    let frames = image.info().frames;
    if frames < 2 {
        return Ok(None);
    }
    let place = |index| image.plane(index).map(|plane| plane.position.zip(plane.orientation));
    let Some((begin, orientation)) = place(0)? else { return Ok(None) };
    let mut positions = vec![begin];
    for index in 1..frames {
        let Some((position, found)) = place(index)? else { return Ok(None) };
        if found.iter().zip(&orientation).any(|(a, b)| (a - b).abs() > ORIENTATION_TOLERANCE) {
            return Ok(None);
        }
        positions.push(position);
    }
    let count = f64::from(frames - 1);
    let last = positions[positions.len() - 1];
    let step: [f64; 3] = std::array::from_fn(|axis| (last[axis] - begin[axis]) / count);
    let length = norm(step);
    let even = positions.iter().enumerate().all(|(index, position)| {
        let beside = std::array::from_fn(|axis| position[axis] - begin[axis] - step[axis] * index as f64);
        norm(beside) <= STEP_TOLERANCE * length
    });
    Ok((even && length > 0.0).then_some(step))
}

/// The affine of one frame, which is its slice 0 (PS3.3 C.7.6.2.1.1). `step` is the step to the next frame. Without it, the step
/// is along the normal of the plane, by the object's slice spacing or thickness, else by 1 mm. `None` if the object does not give
/// the position of the frame.
pub(crate) fn of_frame(info: &FrameInfo, step: Option<[f64; 3]>) -> Option<Affine> {
    let (Spacing { row, column, .. }, position, orientation) = (info.spacing?, info.position?, info.orientation?);
    let [across, down] = [&orientation[..3], &orientation[3..]];
    let normal = [
        across[1] * down[2] - across[2] * down[1],
        across[2] * down[0] - across[0] * down[2],
        across[0] * down[1] - across[1] * down[0],
    ];
    let thickness = info.spacing_between_slices.or(info.slice_thickness).unwrap_or(1.0);
    let step = step.unwrap_or_else(|| normal.map(|part| part * thickness));
    Some(std::array::from_fn(|axis| {
        let turn = if axis < 2 { -1.0 } else { 1.0 };
        [across[axis] * column, down[axis] * row, step[axis], position[axis]].map(|part| turn * part)
    }))
}

fn norm(vector: [f64; 3]) -> f64 {
    vector.iter().map(|part| part * part).sum::<f64>().sqrt()
}
