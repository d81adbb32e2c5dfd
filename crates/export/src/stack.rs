//! Which pairs lie in one file of the formats that hold volumes.

use std::collections::BTreeMap;
use std::path::Path;

use pig_data::read::read_header;
use sha2::{Digest, Sha256};

use crate::error::{ExportError, Result};
use crate::job::Job;
use crate::source::{Namer, Pair};

/// The slices of a volume in order, or one pair that belongs to none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stack {
    /// The name of its files.
    pub(crate) stem: String,
    /// Indices of the pairs.
    pub(crate) members: Vec<usize>,
    /// Whether this is a volume, be it of one slice.
    pub(crate) volume: bool,
    /// Millimetres between columns and between rows, where known.
    pub(crate) spacing: Option<[f64; 2]>,
    /// Millimetres between the slices, where known.
    pub(crate) slice_spacing: Option<f64>,
}

/// Puts pairs of one volume together, where their slices are evenly spaced and alike in size, grid, spacing, patient
/// and origin. All others stand alone; a warning counts the volumes that were left apart.
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
            "{apart} volume(s) lack slices between others, or their slices were cropped or resized differently; these slices are written one by \
             one, because a stack of them would lie about distances."
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
    let slice_spacing = match step(job, &members) {
        Some(step) if volume => first.place.slice_spacing.map(|spacing| spacing * step as f64),
        _ => None,
    };
    let spacing = first.place.spacing.or(job.request.spacing);
    Stack { stem: namer.name(&wanted), volume, spacing, slice_spacing, members }
}

fn slice_number(pair: &Pair) -> i64 {
    pair.place.slice.as_ref().map_or(0, |slice| slice.number)
}

/// The even distance between the members' slice numbers; 1 for a single slice, `None` where they are not even.
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
    Ok(keys.iter().all(|key| *key == first))
}

impl Stack {
    /// SHA-256 of all files of the stack in their order, each after its length.
    pub(crate) fn digest(&self, job: &Job<'_>) -> Result<Vec<u8>> {
        let mut hash = Sha256::new();
        for &index in &self.members {
            let pair = job.pair(index);
            for path in [&pair.image, &pair.mask] {
                let bytes = read(path)?;
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(&bytes);
            }
        }
        Ok(hash.finalize().to_vec())
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(ExportError::io(path, "read"))
}
