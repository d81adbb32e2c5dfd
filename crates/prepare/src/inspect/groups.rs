//! Groups of similar pictures.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::phash::{Fingerprint, distance};

/// Up to this many hashes, all pairs are compared, which takes a second or two. Above, only those that share a part.
const COMPARED: usize = 40_000;

/// Into how many parts a hash is cut to find those that can be near.
const PARTS: u32 = 4;

/// Two pictures whose hashes are near are alike if their small pictures correlate at least so much. On 586 ultrasound images of BUSI all
/// near-duplicates pass (0.975 and above). On 880 endoscopic images of Kvasir-SEG, 163 pairs have near hashes, because an endoscope gives
/// all images one layout; 6 of these pairs pass, and all 6 are near-duplicates.
const LEAST_CORRELATION: f64 = 0.94;

/// Collects the indices of pictures whose hashes differ in at most `within` bits, and that are alike, into groups of two or more, each
/// sorted. No member of a group differs from its first in more than twice as many bits, so that chains of alike pictures do not join
/// what is not alike. Pictures with the same `patient` are not compared; without a patient they are compared with all.
pub(crate) fn near<P: Ord + Sync>(prints: &[&Fingerprint], within: u32, patients: &[Option<P>]) -> Vec<Vec<usize>> {
    let hashes: Vec<u64> = prints.iter().map(|print| print.hash).collect();
    let alike = |a: usize, b: usize| prints[a].correlation(prints[b]) >= LEAST_CORRELATION;
    near_by(&hashes, within, patients, &alike, COMPARED)
}

fn near_by<P: Ord + Sync>(
    hashes: &[u64],
    within: u32,
    patients: &[Option<P>],
    alike: &(dyn Fn(usize, usize) -> bool + Sync),
    compared: usize,
) -> Vec<Vec<usize>> {
    // Pictures of one hash and one patient are compared with the same others, so one stands for all. But they are not in one group
    // unless another joins them, so each is kept as a member.
    let mut kinds: BTreeMap<(u64, Option<&P>), Vec<usize>> = BTreeMap::new();
    for (index, (&hash, patient)) in hashes.iter().zip(patients).enumerate() {
        kinds.entry((hash, patient.as_ref())).or_default().push(index);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    // By their first members, so that the first of a group is the first in the order of the pictures.
    kinds.sort_by_key(|(_, members)| members[0]);
    let mut of_hash: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (kind, ((hash, _), _)) in kinds.iter().enumerate() {
        of_hash.entry(*hash).or_default().push(kind);
    }
    let may_join = |a: usize, b: usize| kinds[a].0.1.is_none() || kinds[a].0.1 != kinds[b].0.1;
    let mut edges: Vec<(u32, usize, usize)> = Vec::new();
    for same in of_hash.values() {
        // Within one hash: all with those of another patient.
        edges.extend(same.iter().skip(1).map(|&kind| (0, same[0], kind)));
    }
    let distinct: Vec<(&u64, &Vec<usize>)> = of_hash.iter().collect();
    let only: Vec<u64> = distinct.iter().map(|(hash, _)| **hash).collect();
    for (a, b) in pairs(&only, within, compared) {
        let bits = distance(only[a], only[b]);
        let of = |first: usize, second: usize| (bits, first.min(second), first.max(second));
        let both = distinct[a].1.iter().flat_map(|&first| distinct[b].1.iter().map(move |&second| of(first, second)));
        edges.extend(both.filter(|&(_, first, second)| may_join(first, second)));
    }
    let is_alike = |&&(bits, a, b): &&(u32, usize, usize)| bits == 0 || alike(kinds[a].1[0], kinds[b].1[0]);
    let mut edges: Vec<(u32, usize, usize)> = edges.par_iter().filter(is_alike).copied().collect();
    // The nearest first, so that a group grows around what is most alike.
    edges.sort_unstable();
    let mut found = Groups::new(kinds.len());
    for (_, a, b) in edges {
        found.join_if(a, b, |first, member| distance(kinds[first].0.0, kinds[member].0.0) <= 2 * within);
    }
    let members = |group: Vec<usize>| {
        let mut members: Vec<usize> = group.iter().flat_map(|&kind| kinds[kind].1.iter().copied()).collect();
        members.sort_unstable();
        members
    };
    // A kind alone is a group if its members may be compared with each other: if they have no patient.
    let is_group = |group: &Vec<usize>| group.len() > 1 || kinds[group[0]].0.1.is_none();
    let all = found.all().into_iter().filter(is_group).map(members);
    all.filter(|members| members.len() > 1).collect()
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
    /// The members below each root.
    below: Vec<Vec<usize>>,
}

impl Groups {
    pub(crate) fn new(count: usize) -> Self {
        Self { parent: (0..count).collect(), below: (0..count).map(|member| vec![member]).collect() }
    }

    pub(crate) fn join(&mut self, a: usize, b: usize) {
        self.join_if(a, b, |_, _| true);
    }

    /// Joins the groups of two members, if `fits` holds for the first member of the joined group with each that is new to it.
    fn join_if(&mut self, a: usize, b: usize, fits: impl Fn(usize, usize) -> bool) {
        let (a, b) = (self.root(a), self.root(b));
        let (first, second) = (a.min(b), a.max(b));
        if first == second || !self.below[second].iter().all(|&member| fits(first, member)) {
            return;
        }
        self.parent[second] = first;
        let more = std::mem::take(&mut self.below[second]);
        self.below[first].extend(more);
    }

    fn root(&mut self, mut member: usize) -> usize {
        while self.parent[member] != member {
            self.parent[member] = self.parent[self.parent[member]];
            member = self.parent[member];
        }
        member
    }

    /// All groups, also those of one member, in the order of their first members; each is sorted.
    fn all(self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = self.below.into_iter().filter(|group| !group.is_empty()).collect();
        for group in &mut groups {
            group.sort_unstable();
        }
        groups
    }

    /// The groups with two or more members.
    pub(crate) fn groups(self) -> Vec<Vec<usize>> {
        self.all().into_iter().filter(|group| group.len() > 1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_hash(hashes: &[u64], within: u32, patients: &[Option<u8>], compared: usize) -> Vec<Vec<usize>> {
        near_by(hashes, within, patients, &|_, _| true, compared)
    }

    /// Without patients.
    fn all(hashes: &[u64], within: u32) -> Vec<Vec<usize>> {
        by_hash(hashes, within, &vec![None; hashes.len()], COMPARED)
    }

    #[test]
    fn groups_are_joined_through_their_members() {
        let hashes = [0b0000, 0b0001, 0b0011, 0xff00, 0xff01, 0xffff_0000];
        assert_eq!(all(&hashes, 1), [vec![0, 1, 2], vec![3, 4]]);
        let patients = [None, None, None, Some(1), Some(1), None];
        assert_eq!(by_hash(&hashes, 1, &patients, COMPARED), [vec![0, 1, 2]]);
        assert_eq!(all(&hashes, 0), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn a_chain_does_not_join_what_is_far_from_its_first_member() {
        // Each hash has one bit more than the one before.
        let chain: Vec<u64> = (0..9).map(|bits| (1 << bits) - 1).collect();
        assert_eq!(all(&chain, 1), [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8]]);
    }

    #[test]
    fn near_hashes_of_pictures_that_do_not_correlate_are_no_group() {
        let hashes = [0b0000, 0b0001, 0b0011];
        let alike = |a: usize, b: usize| (a, b) != (1, 2);
        assert_eq!(near_by::<u8>(&hashes, 1, &[None; 3], &alike, COMPARED), [vec![0, 1]]);
    }

    #[test]
    fn many_equal_pictures_are_one_group_at_once() {
        let start = std::time::Instant::now();
        assert_eq!(all(&vec![7; 200_000], 8)[0].len(), 200_000);
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn groups_hold_what_comparing_all_pairs_finds(
            members in prop::collection::vec((0_u64..40, 0_u32..64, prop::option::of(0_u8..3)), 0..60),
            within in 0_u32..12,
        ) {
            // Few different hashes, some of which are near each other.
            let hashes: Vec<u64> = members
                .iter()
                .map(|(seed, flip, _)| (seed / 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (1 << flip) ^ (seed % 4))
                .collect();
            let patients: Vec<Option<u8>> = members.iter().map(|(_, _, patient)| *patient).collect();
            let groups = by_hash(&hashes, within, &patients, usize::MAX);
            prop_assert_eq!(&groups, &by_hash(&hashes, within, &patients, 0), "both ways of comparing");
            let mut group_of = vec![None; hashes.len()];
            for (number, group) in groups.iter().enumerate() {
                for &member in group {
                    prop_assert!(group_of[member].replace(number).is_none(), "in one group only");
                    prop_assert!(distance(hashes[group[0]], hashes[member]) <= 2 * within);
                }
            }
            for a in 0..hashes.len() {
                for b in a + 1..hashes.len() {
                    let apart = patients[a].is_some() && patients[a] == patients[b];
                    let near = !apart && distance(hashes[a], hashes[b]) <= within;
                    // Nearness leaves nobody alone: the nearest pair is joined first.
                    prop_assert!(!near || group_of[a].is_some() || group_of[b].is_some(), "{a} and {b}");
                }
            }
        }
    }
}
