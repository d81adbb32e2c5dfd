//! Decides which pairs share a file, in the formats that can hold volumes.

use std::collections::BTreeMap;
use std::path::Path;

use pig_data::read::read_header;
use sha2::{Digest, Sha256};

use crate::error::{ExportError, Result};
use crate::job::Job;
use crate::pair::Pair;
use crate::place::{Affine, lengths, moved};
use crate::source::Namer;

/// How far a slice may be from its expected position, as a share of a pixel, and at how many pixels from the first pixel this
/// is measured.
const PLACE_TOLERANCE: f64 = 0.01;
const FAR: f64 = 1000.0;

/// The slices of a volume in order, or one pair that belongs to no volume.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stack {
    /// The name of its files.
    pub(crate) stem: String,
    /// Indices of the pairs.
    pub(crate) members: Vec<usize>,
    /// Whether this is a volume, even one of a single slice.
    pub(crate) volume: bool,
    /// Millimetres between columns and between rows, if known.
    pub(crate) spacing: Option<[f64; 2]>,
    /// Millimetres between the slices, if known.
    pub(crate) slice_spacing: Option<f64>,
    /// The position of the stack in the world, if known: the affine of its first slice, with the step from member to member.
    pub(crate) affine: Option<Affine>,
}

/// Puts the pairs of a volume together if its slices are evenly spaced and have the same size, grid, spacing, patient and
/// origin. All other pairs get files of their own; a warning counts the volumes that were not put together.
pub(crate) fn stacks(job: &mut Job<'_>) -> Result<Vec<Stack>> {
    let mut volumes: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    let mut members_of: Vec<Vec<usize>> = Vec::new();
    for (index, pair) in job.pairs.list.iter().enumerate() {
        match &pair.place.slice {
            Some(slice) => volumes.entry((pair.origin.word(), &slice.key)).or_default().push(index),
            None => members_of.push(vec![index]),
        }
    }
    let mut apart = 0;
    let mut whole = Vec::new();
    for mut members in volumes.into_values() {
        members.sort_by_key(|&index| slice_number(job.pair(index)));
        if alike(job, &members)? && step(job, &members).is_some() {
            whole.push(members);
        } else {
            apart += 1;
            members_of.extend(members.into_iter().map(|index| vec![index]));
        }
    }
    let mut namer = Namer::default();
    let mut stacks: Vec<Stack> = Vec::new();
    for (volume, members) in whole.into_iter().map(|m| (true, m)).chain(members_of.into_iter().map(|m| (false, m))) {
        stacks.push(stack(job, &mut namer, volume, members));
    }
    if apart > 0 {
        job.pairs.warnings.push(format!(
            "{apart} volume(s) have missing slices, slices that were cropped or resized differently, or slices at uneven \
             distances; these slices are written to separate files, because one file would state wrong distances."
        ));
    }
    stacks.sort_by_key(|stack| stack.members[0]);
    Ok(stacks)
}

fn stack(job: &Job<'_>, namer: &mut Namer, volume: bool, members: Vec<usize>) -> Stack {
    let first = job.pair(members[0]);
    let wanted = match (&first.place.slice, volume) {
        (Some(slice), true) if job.request.real.is_some() => format!("{}_{}", first.origin.word(), slice.volume),
        (Some(slice), true) => slice.volume.clone(),
        _ => first.stem.clone(),
    };
    let step = step(job, &members).filter(|_| volume).map(|step| step as f64);
    let affine = first.place.affine.map(|affine| {
        let step = step.unwrap_or(1.0);
        affine.map(|[column, row, slice, origin]| [column, row, slice * step, origin])
    });
    let known = affine.as_ref().map(lengths);
    let slice_spacing = match known {
        Some([.., slice]) if volume => Some(slice),
        _ => first.place.slice_spacing.zip(step).map(|(spacing, step)| spacing * step),
    };
    let spacing = known.map(|[x, y, _]| [x, y]).or(first.place.spacing).or(job.request.spacing);
    Stack { stem: namer.name(&wanted), volume, spacing, slice_spacing, affine, members }
}

fn slice_number(pair: &Pair) -> i64 {
    pair.place.slice.as_ref().map_or(0, |slice| slice.number)
}

/// The constant difference between the members' slice numbers; 1 for a single slice, `None` if it is not constant.
fn step(job: &Job<'_>, members: &[usize]) -> Option<i64> {
    let mut steps = members.windows(2).map(|two| slice_number(job.pair(two[1])) - slice_number(job.pair(two[0])));
    let first = steps.next().unwrap_or(1);
    (first > 0 && steps.all(|step| step == first)).then_some(first)
}

/// Whether the members can be slices of one array.
fn alike(job: &Job<'_>, members: &[usize]) -> Result<bool> {
    let key = |index: usize| {
        let pair = job.pair(index);
        let header = read_header(&pair.image)?;
        let place = &pair.place;
        let alike = (&pair.group, place.spacing, place.slice_spacing, &place.grid, pair.synthetic);
        Ok::<_, ExportError>((header.width, header.height, alike))
    };
    let first = key(members[0])?;
    let keys = members.iter().map(|&index| key(index)).collect::<Result<Vec<_>>>()?;
    Ok(keys.iter().all(|key| *key == first) && lined_up(job, members))
}

/// Whether the members' positions in the world follow from the first one and their slice numbers.
fn lined_up(job: &Job<'_>, members: &[usize]) -> bool {
    let first = job.pair(members[0]);
    members.iter().map(|&index| job.pair(index)).all(|pair| match (&first.place.affine, &pair.place.affine) {
        (None, None) => true,
        (Some(first_affine), Some(found)) => {
            let expected = moved(first_affine, (slice_number(pair) - slice_number(first)) as f64);
            let [pixel, ..] = lengths(first_affine);
            // Compared at the far side of a large image, where a difference in direction has the largest effect.
            let far = [FAR, FAR, 1.0, 1.0];
            let apart =
                |a: &[f64; 4], b: &[f64; 4]| (0..4).map(|part| (a[part] - b[part]).abs() * far[part]).sum::<f64>();
            found.iter().zip(&expected).all(|(a, b)| apart(a, b) <= PLACE_TOLERANCE * pixel)
        }
        _ => false,
    })
}

impl Stack {
    /// SHA-256 of all files of the stack in their order, each after its length.
    pub(crate) fn digest(&self, job: &Job<'_>) -> Result<Vec<u8>> {
        let mut hash = Sha256::new();
        for &index in &self.members {
            let pair = job.pair(index);
            for path in std::iter::once(pair.image.as_path()).chain(pair.mask.paths()) {
                let bytes = read(path)?;
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(&bytes);
            }
        }
        Ok(hash.finalize().to_vec())
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    pig_files::read(path).map_err(ExportError::io(path, "read"))
}
