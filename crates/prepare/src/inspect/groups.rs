//! Groups of similar pictures.

use rayon::prelude::*;

use super::phash::distance;

/// Collects the indices of hashes that differ in at most `within` bits into groups of two or more, each sorted. `apart` says
/// that two pictures must not be compared, such as those of the same patient.
pub(crate) fn near(hashes: &[u64], within: u32, apart: &(dyn Fn(usize, usize) -> bool + Sync)) -> Vec<Vec<usize>> {
    let pairs: Vec<(usize, usize)> = (0..hashes.len())
        .into_par_iter()
        .flat_map_iter(|a| {
            (a + 1..hashes.len())
                .filter(move |&b| distance(hashes[a], hashes[b]) <= within && !apart(a, b))
                .map(move |b| (a, b))
        })
        .collect();
    joined(hashes.len(), &pairs)
}

/// The connected components with two or more members, among `count` members that `pairs` connect.
pub(crate) fn joined(count: usize, pairs: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..count).collect();
    for &(a, b) in pairs {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        parent[a.max(b)] = a.min(b);
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); count];
    for member in 0..count {
        let top = root(&mut parent, member);
        groups[top].push(member);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn root(parent: &mut [usize], mut member: usize) -> usize {
    while parent[member] != member {
        parent[member] = parent[parent[member]];
        member = parent[member];
    }
    member
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_joined_through_their_members() {
        let hashes = [0b0000, 0b0001, 0b0011, 0xff00, 0xff01, 0xffff_0000];
        assert_eq!(near(&hashes, 1, &|_, _| false), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(near(&hashes, 1, &|a, b| (a, b) == (3, 4)), [vec![0, 1, 2]]);
        assert_eq!(near(&hashes, 0, &|_, _| false), Vec::<Vec<usize>>::new());
    }
}
