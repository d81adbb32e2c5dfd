//! Groups of similar pictures.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::phash::distance;

/// Up to this many hashes, all pairs are compared, which takes a second or two. Above, only those that share a part.
const COMPARED: usize = 40_000;

/// Into how many parts a hash is cut to find those that can be near.
const PARTS: u32 = 4;

/// Collects the indices of hashes that differ in at most `within` bits into groups of two or more, each sorted. Pictures with the
/// same `patient` are not compared; without a patient they are compared with all.
pub(crate) fn near<P: Ord + Sync>(hashes: &[u64], within: u32, patients: &[Option<P>]) -> Vec<Vec<usize>> {
    near_by(hashes, within, patients, COMPARED)
}

fn near_by<P: Ord + Sync>(hashes: &[u64], within: u32, patients: &[Option<P>], compared: usize) -> Vec<Vec<usize>> {
    let mut found = Groups::new(hashes.len());
    // Pictures of one hash and one patient are compared with the same others, so one stands for all. But they are not in one group
    // unless another joins them, so each is kept as a member.
    let mut kinds: BTreeMap<(u64, Option<&P>), Vec<usize>> = BTreeMap::new();
    for (index, (&hash, patient)) in hashes.iter().zip(patients).enumerate() {
        kinds.entry((hash, patient.as_ref())).or_default().push(index);
    }
    let kinds: Vec<_> = kinds.into_iter().collect();
    let mut distinct: Vec<(u64, std::ops::Range<usize>)> = Vec::new();
    for (index, ((hash, _), _)) in kinds.iter().enumerate() {
        match distinct.last_mut() {
            Some((last, range)) if last == hash => range.end = index + 1,
            _ => distinct.push((*hash, index..index + 1)),
        }
    }
    // Joins the members of two kinds that may be compared, which joins those of each.
    let mut whole = vec![false; kinds.len()];
    let mut join = |a: usize, b: usize| {
        let patient = kinds[a].0.1;
        if patient.is_some() && patient == kinds[b].0.1 {
            return;
        }
        for kind in [a, b] {
            if !std::mem::replace(&mut whole[kind], true) {
                kinds[kind].1.iter().for_each(|&member| found.join(kinds[kind].1[0], member));
            }
        }
        found.join(kinds[a].1[0], kinds[b].1[0]);
    };
    for (_, range) in &distinct {
        // Within one hash: those without a patient with each other, and all with those of another patient.
        for kind in range.clone() {
            if kinds[kind].0.1.is_none() {
                join(kind, kind);
            }
            if kind > range.start {
                join(range.start, kind);
            }
        }
    }
    let only: Vec<u64> = distinct.iter().map(|(hash, _)| *hash).collect();
    for (a, b) in pairs(&only, within, compared) {
        for first in distinct[a].1.clone() {
            for second in distinct[b].1.clone() {
                join(first, second);
            }
        }
    }
    found.groups()
}

/// The pairs of distinct hashes that differ in at most `within` bits.
fn pairs(hashes: &[u64], within: u32, compared: usize) -> Vec<(usize, usize)> {
    if hashes.len() <= compared {
        return (0..hashes.len())
            .into_par_iter()
            .flat_map_iter(|a| {
                (a + 1..hashes.len()).filter(move |&b| distance(hashes[a], hashes[b]) <= within).map(move |b| (a, b))
            })
            .collect();
    }
    // Of two hashes that differ in at most `within` bits, one of the parts differs in at most a quarter of that.
    let bits = u64::BITS / PARTS;
    let radius = within / PARTS;
    let masks = masks_of(bits, radius);
    let part = |hash: u64, number: u32| (hash >> (number * bits)) & ((1 << bits) - 1);
    let mut pairs: Vec<(usize, usize)> = (0..PARTS)
        .flat_map(|number| {
            let mut with: HashMap<u64, Vec<usize>> = HashMap::new();
            for (index, &hash) in hashes.iter().enumerate() {
                with.entry(part(hash, number)).or_default().push(index);
            }
            let found: Vec<(usize, usize)> = (0..hashes.len())
                .into_par_iter()
                .flat_map_iter(|a| {
                    let (with, own) = (&with, part(hashes[a], number));
                    let others = masks.iter().filter_map(move |mask| with.get(&(own ^ mask))).flatten().copied();
                    others.filter(move |&b| b > a && distance(hashes[a], hashes[b]) <= within).map(move |b| (a, b))
                })
                .collect();
            found
        })
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// All numbers of `bits` bits of which at most `most` are set.
fn masks_of(bits: u32, most: u32) -> Vec<u64> {
    (0..1_u64 << bits).filter(|mask| mask.count_ones() <= most).collect()
}

/// Members that are joined step by step.
pub(crate) struct Groups {
    parent: Vec<usize>,
}

impl Groups {
    pub(crate) fn new(count: usize) -> Self {
        Self { parent: (0..count).collect() }
    }

    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }

    fn root(&mut self, mut member: usize) -> usize {
        while self.parent[member] != member {
            self.parent[member] = self.parent[self.parent[member]];
            member = self.parent[member];
        }
        member
    }

    /// The groups with two or more members.
    pub(crate) fn groups(mut self) -> Vec<Vec<usize>> {
        let count = self.parent.len();
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); count];
        for member in 0..count {
            let top = self.root(member);
            groups[top].push(member);
        }
        groups.retain(|group| group.len() > 1);
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Without patients.
    fn all(hashes: &[u64], within: u32) -> Vec<Vec<usize>> {
        near::<u8>(hashes, within, &vec![None; hashes.len()])
    }

    #[test]
    fn groups_are_joined_through_their_members() {
        let hashes = [0b0000, 0b0001, 0b0011, 0xff00, 0xff01, 0xffff_0000];
        assert_eq!(all(&hashes, 1), [vec![0, 1, 2], vec![3, 4]]);
        let patients = [None, None, None, Some('a'), Some('a'), None];
        assert_eq!(near(&hashes, 1, &patients), [vec![0, 1, 2]]);
        assert_eq!(all(&hashes, 0), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn many_equal_pictures_are_one_group_at_once() {
        let start = std::time::Instant::now();
        assert_eq!(all(&vec![7; 200_000], 8)[0].len(), 200_000);
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }

    /// All pairs, one by one.
    fn plainly(hashes: &[u64], within: u32, patients: &[Option<u8>]) -> Vec<Vec<usize>> {
        let mut groups = Groups::new(hashes.len());
        for a in 0..hashes.len() {
            for b in a + 1..hashes.len() {
                let apart = patients[a].is_some() && patients[a] == patients[b];
                if !apart && distance(hashes[a], hashes[b]) <= within {
                    groups.join(a, b);
                }
            }
        }
        groups.groups()
    }

    proptest! {
        #[test]
        fn both_ways_find_what_comparing_all_pairs_finds(
            members in prop::collection::vec((0_u64..40, 0_u32..64, prop::option::of(0_u8..3)), 0..60),
            within in 0_u32..12,
        ) {
            // Few different hashes, some of which are near each other.
            let hashes: Vec<u64> = members
                .iter()
                .map(|(seed, flip, _)| (seed / 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (1 << flip) ^ (seed % 4))
                .collect();
            let patients: Vec<Option<u8>> = members.iter().map(|(_, _, patient)| *patient).collect();
            let expected = plainly(&hashes, within, &patients);
            prop_assert_eq!(near_by(&hashes, within, &patients, usize::MAX), expected.clone());
            prop_assert_eq!(near_by(&hashes, within, &patients, 0), expected);
        }
    }
}
