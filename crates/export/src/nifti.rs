//! NIfTI-1 files: `images/STEM.nii.gz` and `masks/STEM.nii.gz`, slices of a volume in one file.
//!
//! The header follows nifti1.h (nifti.nimh.nih.gov). If the manifest states the position of a pair (`affine_ras`), voxels get
//! that position. Otherwise only distances are known, from the manifest or the request; if neither states them, the header has
//! 1 mm and the description says so. Such images have no patient orientation, so the affine is that of an image on a screen by
//! the usual convention: columns run to the patient's left, rows to the back, slices to the head. The codes are 2 (aligned),
//! not 1 (measured by a scanner).

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use pig_data::Pixels;
use serde_json::{Map, Value, json};

use crate::error::{ExportError, Result};
use crate::job::{Job, MAKER};
use crate::pixels::Loaded;
use crate::place::{Affine, determinant, lengths};
use crate::regions::Regions;
use crate::stack::{Stack, stacks};
use crate::staging::{StagedFile, Staging};

/// Bytes before the pixels: the header and four bytes that say that no extension follows.
const VOXEL_OFFSET: usize = 352;

/// The longest side, which the header holds as a signed number of 16 bits.
const LONGEST_SIDE: usize = i16::MAX as usize;

/// The file that names the values of label maps.
const LABELS: &str = "labels.json";

/// Largest dot product of two directions that count as perpendicular.
const UPRIGHT: f64 = 1e-4;

/// How pixels are stored: the header's code and their bits.
#[derive(Debug, Clone, Copy)]
enum Type {
    Eight,
    Sixteen,
}

/// Writes the pairs, gray.
pub(crate) fn write(job: &mut Job<'_>) -> Result<()> {
    let stacks = stacks(job)?;
    let regions = Regions::of(job)?;
    let unknown = stacks.iter().filter(|stack| stack.spacing.is_none()).count();
    if job.pairs.channels == 3 {
        job.pairs.warn_of_gray("nifti");
    }
    if unknown > 0 {
        job.pairs.warnings.push(format!(
            "{unknown} of {} file pair(s) have no known spacing: their headers have 1 mm, and the description says so. \
             Give it with --spacing, or with pixel_width_mm and pixel_height_mm in the manifest.",
            stacks.len()
        ));
    }
    for stack in &stacks {
        write_stack(job, stack, regions.as_ref())?;
    }
    if let Some(regions) = &regions {
        job.write_json(LABELS, &json!({ "labels": regions.words(), "regions": regions.of_names() }))?;
        job.notes.push(format!("masks are label maps; {LABELS} says which classes their values stand for"));
        return Ok(());
    }
    let classes = job.several_classes();
    if !classes.is_empty() {
        // NIfTI has no names of labels.
        let named = classes.iter().enumerate().map(|(index, name)| ((index + 1).to_string(), json!(name)));
        let labels: Map<String, Value> = std::iter::once(("0".to_owned(), json!("background"))).chain(named).collect();
        job.write_json(LABELS, &json!({ "labels": labels }))?;
        job.notes.push(format!("masks are label maps; {LABELS} names their values"));
    }
    Ok(())
}

fn write_stack(job: &mut Job<'_>, stack: &Stack, regions: Option<&Regions>) -> Result<()> {
    let [image_name, mask_name] = ["images", "masks"].map(|folder| format!("{folder}/{}.nii.gz", stack.stem));
    let mut files: Option<[Volume; 2]> = None;
    for (frame, &index) in stack.members.iter().enumerate() {
        let loaded = job.load(index, true)?;
        let [image, mask] = match &mut files {
            Some(files) => files,
            None => files.insert(begin(job, stack, index, &loaded, [&image_name, &mask_name])?),
        };
        match &loaded.image {
            Pixels::Eight(values) => image.put(values)?,
            Pixels::Sixteen(values) => {
                image.put(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
            }
        }
        match regions {
            None => mask.put(&loaded.mask)?,
            Some(regions) => mask.put(&regions.numbers(&loaded.mask))?,
        }
        job.record(index, &loaded, [&image_name, &mask_name], frame + 1)?;
    }
    files.into_iter().flatten().try_for_each(Volume::finish)
}

fn begin(job: &Job<'_>, stack: &Stack, index: usize, loaded: &Loaded, names: [&str; 2]) -> Result<[Volume; 2]> {
    let pair = job.pair(index);
    let sides = [loaded.width, loaded.height, stack.members.len()];
    if sides.iter().any(|&side| side > LONGEST_SIDE) {
        let found = format!("{} x {} pixels, {} slice(s)", sides[0], sides[1], sides[2]);
        let (path, limit) = (pair.image.clone(), "32767 in each direction");
        return Err(ExportError::TooLarge { path, format: "NIfTI-1", found, limit });
    }
    let kind = match loaded.image {
        Pixels::Eight(_) => Type::Eight,
        Pixels::Sixteen(_) => Type::Sixteen,
    };
    let description = description(stack, pair.synthetic);
    let open = |name, kind| Volume::create(&job.staging, name, &header(stack, sides, kind, &description));
    Ok([open(names[0], kind)?, open(names[1], Type::Eight)?])
}

/// The text of up to 80 bytes: maker, whether the pair is synthetic, and where the spacing comes from.
fn description(stack: &Stack, synthetic: bool) -> String {
    let spacing = match (stack.spacing, stack.slice_spacing, stack.volume) {
        _ if stack.affine.is_some() => "affine of the source",
        (None, ..) => "spacing unknown, 1 mm assumed",
        (Some(_), None, true) => "slice spacing unknown, 1 mm assumed",
        (Some(_), ..) => "spacing in mm",
    };
    format!("{MAKER}; synthetic={}; {spacing}", if synthetic { "yes" } else { "no" })
}

/// A header of 348 bytes and the four after it, little-endian.
fn header(stack: &Stack, [width, height, slices]: [usize; 3], kind: Type, description: &str) -> [u8; VOXEL_OFFSET] {
    let mut bytes = [0; VOXEL_OFFSET];
    let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
    let affine = stack.affine.unwrap_or_else(|| {
        let [x, y] = stack.spacing.unwrap_or([1.0; 2]);
        [[-x, 0.0, 0.0, 0.0], [0.0, -y, 0.0, 0.0], [0.0, 0.0, stack.slice_spacing.unwrap_or(1.0), 0.0]]
    });
    let [x, y, z] = lengths(&affine).map(|length| length as f32);
    let rotation = quaternion(&affine);
    // The handedness of the quaternion's frame.
    let hand = if determinant(&affine) < 0.0 { -1.0 } else { 1.0 };
    put(0, &348_i32.to_le_bytes());
    // dim: how many dimensions there are, then their lengths.
    let dimensions = if stack.volume { 3 } else { 2 };
    for (place, side) in [dimensions, width, height, slices, 1, 1, 1, 1].into_iter().enumerate() {
        put(40 + 2 * place, &(side as i16).to_le_bytes());
    }
    let (code, bits): (i16, i16) = match kind {
        Type::Eight => (2, 8),
        Type::Sixteen => (512, 16),
    };
    put(70, &code.to_le_bytes());
    put(72, &bits.to_le_bytes());
    // pixdim: the handedness, then the spacing.
    for (place, side) in [hand, x, y, z, 1.0, 1.0, 1.0, 1.0].into_iter().enumerate() {
        put(76 + 4 * place, &side.to_le_bytes());
    }
    put(108, &(VOXEL_OFFSET as f32).to_le_bytes());
    // scl_slope: values are not scaled.
    put(112, &1_f32.to_le_bytes());
    // xyzt_units: millimetres.
    put(123, &[2]);
    let text = description.as_bytes();
    put(148, &text[..text.len().min(79)]);
    // qform_code and sform_code: aligned. A quaternion can express only rotations.
    put(252, &if rotation.is_some() { 2_i16 } else { 0 }.to_le_bytes());
    put(254, &2_i16.to_le_bytes());
    if let Some(parts) = rotation {
        let offsets = affine.map(|row| row[3]);
        for (place, value) in parts.into_iter().chain(offsets).enumerate() {
            put(256 + 4 * place, &(value as f32).to_le_bytes());
        }
    }
    for (place, value) in affine.iter().flatten().enumerate() {
        put(280 + 4 * place, &(*value as f32).to_le_bytes());
    }
    put(344, b"n+1\0");
    bytes
}

/// The last three parts of the unit quaternion of an affine's rotation (nifti1.h, method 2), with the third axis reversed in a
/// left-handed frame; `None` if the columns are not perpendicular.
fn quaternion(affine: &Affine) -> Option<[f64; 3]> {
    let lengths = lengths(affine);
    let hand = if determinant(affine) < 0.0 { -1.0 } else { 1.0 };
    let r = affine.map(|row| [row[0] / lengths[0], row[1] / lengths[1], hand * row[2] / lengths[2]]);
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        if r.iter().map(|row| row[a] * row[b]).sum::<f64>().abs() > UPRIGHT {
            return None;
        }
    }
    // Four times the square of each part; the largest is the safest divisor.
    let [x, y, z] = [0, 1, 2].map(|axis| r[axis][axis]);
    let squares = [1.0 + x + y + z, 1.0 + x - y - z, 1.0 - x + y - z, 1.0 - x - y + z];
    let greatest = (0..4).max_by(|&a, &b| squares[a].total_cmp(&squares[b]))?;
    let twice = squares[greatest].sqrt();
    let (difference, sum) =
        (|i: usize, j: usize| (r[i][j] - r[j][i]) / twice, |i: usize, j: usize| (r[i][j] + r[j][i]) / twice);
    let [a, b, c, d] = match greatest {
        0 => [twice, difference(2, 1), difference(0, 2), difference(1, 0)],
        1 => [difference(2, 1), twice, sum(0, 1), sum(0, 2)],
        2 => [difference(0, 2), sum(0, 1), twice, sum(1, 2)],
        _ => [difference(1, 0), sum(0, 2), sum(1, 2), twice],
    }
    .map(|part| part / 2.0);
    // The header leaves out the first part, which must not be negative.
    Some([b, c, d].map(|part| if a < 0.0 { -part } else { part }))
}

/// A compressed file that is being written.
struct Volume(GzEncoder<StagedFile>);

impl Volume {
    fn create(staging: &Staging, name: &str, header: &[u8]) -> Result<Self> {
        // No name and no time, so that the bytes depend only on the content.
        let mut volume = Self(GzBuilder::new().write(staging.file(name)?, Compression::default()));
        volume.put(header)?;
        Ok(volume)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let written = std::io::Write::write_all(&mut self.0, bytes);
        written.map_err(ExportError::io(self.0.get_ref().path(), "write"))
    }

    fn finish(self) -> Result<()> {
        let path = self.0.get_ref().path().to_path_buf();
        self.0.finish().map_err(ExportError::io(&path, "write"))?.finish()
    }
}
