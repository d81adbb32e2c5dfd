//! Ranks: processes, on one machine or on several, that train one run together.
//!
//! The parts of an optimiser step lie at the leaves of a tree in which gradients are added ([`Workers::sum`](crate::workers::Workers::sum)). Each
//! of R ranks, R a power of two, computes one subtree at depth log2 R, and ranks then exchange sums in pairs, doubling the distance
//! (recursive doubling; Thakur et al. 2005). So the same numbers are added in the same order as in one process, and all
//! ranks make the same step from the same weights.

use crate::{
    Error, Result,
    workers::{halves, parts},
};
use pig_files::sha256;
use std::{fmt, io, ops::Range};

/// The connection of a rank to the others.
pub trait Link: Sync {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn count(&self) -> usize;

    /// Sends `mine` to `partner` and returns what it sends. Both call this.
    ///
    /// # Errors
    /// When the connection is lost.
    fn exchange(&self, partner: usize, mine: &[u8]) -> io::Result<Vec<u8>>;
}

/// The ranks of a training, as one of them sees them. The default is a process that trains alone.
#[derive(Clone, Copy, Default)]
pub struct Ranks<'a>(Option<&'a dyn Link>);

impl fmt::Debug for Ranks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.count())
    }
}

impl<'a> Ranks<'a> {
    /// The ranks that `link` connects.
    pub fn of(link: &'a dyn Link) -> Self {
        Self(Some(link))
    }

    /// This rank, from 0.
    pub fn rank(&self) -> usize {
        self.0.map_or(0, Link::rank)
    }

    /// The number of ranks.
    pub fn count(&self) -> usize {
        self.0.map_or(1, Link::count)
    }

    /// Whether this is the rank that writes and shows; so is a process that trains alone.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Refuses a number of ranks that cannot exchange in pairs. This comes before everything else here.
    ///
    /// # Errors
    /// When it is no power of two.
    pub fn check_power_of_two(&self) -> Result<()> {
        if self.count().is_power_of_two() { Ok(()) } else { Err(self.refused("a power of two, such as 2, 4 or 8")) }
    }

    fn refused(&self, expected: impl Into<String>) -> Error {
        Error::Setting {
            key: "the number of ranks".to_owned(),
            found: self.count().to_string(),
            expected: expected.into(),
        }
    }

    /// Refuses a number of ranks that cannot share steps of `images` images in parts of `size`, which on a device that is not the CPU are
    /// whole batches.
    ///
    /// # Errors
    /// When it is no power of two, or more than there are parts.
    pub fn check(&self, images: usize, size: usize, is_on_host: bool) -> Result<()> {
        let (count, most) = (self.count(), parts(images, size).len());
        if count == 1 || (count.is_power_of_two() && count <= most) {
            return Ok(());
        }
        let largest = 1_usize << most.max(1).ilog2();
        let (setting, advice) = if is_on_host {
            ("train.micro_batch_size", "smaller parts or a larger train.batch_size allow more")
        } else {
            ("train.batch_size", "a GPU takes whole batches, so more train.gradient_accumulation_steps allow more")
        };
        Err(self.refused(format!(
            "a power of two, and at most {largest} here, since the {images} images of a step are computed in {most} parts of \
             {setting} = {size}; {advice}"
        )))
    }

    /// Refuses several ranks for what one process does alone.
    ///
    /// # Errors
    /// When there are several.
    pub fn check_alone(&self, what: &str) -> Result<()> {
        if self.count() == 1 { Ok(()) } else { Err(self.refused(format!("1: {what}"))) }
    }

    /// The parts of a step that this rank computes, of so many.
    pub fn own(&self, count: usize) -> Range<usize> {
        let mut own = 0..count;
        for level in (0..self.levels()).rev() {
            let (first, rest) = halves(&own);
            own = if self.rank() >> level & 1 == 0 { first } else { rest };
        }
        own
    }

    /// The sum over all ranks of values that are numbers in a fixed order, added in the order of the tree: `mine` is that of this rank's
    /// parts, and `numbers` lists the numbers of a value to be read or overwritten.
    ///
    /// # Errors
    /// When a rank is lost, or sends another number of values.
    pub fn sum<T>(&self, mut mine: T, numbers: impl Fn(&mut T) -> Vec<&mut [f32]>, add: impl Fn(T, T) -> T) -> Result<T>
    where
        T: Clone,
    {
        for level in 0..self.levels() {
            let bytes: Vec<u8> = numbers(&mut mine)
                .into_iter()
                .flat_map(|slice| slice.iter().flat_map(|value| value.to_le_bytes()))
                .collect();
            let partner = self.rank() ^ 1 << level;
            let theirs = self.exchange(partner, &bytes)?;
            if theirs.len() != bytes.len() {
                return Err(self.differs(partner, "gradients", &bytes.len(), &theirs.len()));
            }
            let mut other = mine.clone();
            let mut values = theirs.chunks_exact(size_of::<f32>());
            for value in numbers(&mut other).into_iter().flatten() {
                if let Some(&[a, b, c, d]) = values.next() {
                    *value = f32::from_le_bytes([a, b, c, d]);
                }
            }
            mine = if self.rank() >> level & 1 == 0 { add(mine, other) } else { add(other, mine) };
        }
        Ok(mine)
    }

    /// Whether any rank says yes. All ranks call this.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn any(&self, own: bool) -> Result<bool> {
        let mut any = own;
        for level in 0..self.levels() {
            any |= self.exchange(self.rank() ^ 1 << level, &[u8::from(any)])? == [1];
        }
        Ok(any)
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn wait(&self) -> Result<()> {
        self.any(false).map(drop)
    }

    /// The least of the numbers of all ranks.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn least(&self, own: u8) -> Result<u8> {
        let mut least = own;
        for level in 0..self.levels() {
            let theirs = self.exchange(self.rank() ^ 1 << level, &[least])?;
            least = theirs.first().map_or(least, |&other| least.min(other));
        }
        Ok(least)
    }

    /// Refuses to go on if ranks have different texts of `what`, such as a hash.
    ///
    /// # Errors
    /// When they differ, with both, or when a rank is lost.
    pub fn agree(&self, what: &str, own: &str) -> Result<()> {
        for level in 0..self.levels() {
            let partner = self.rank() ^ 1 << level;
            let theirs = self.exchange(partner, own.as_bytes())?;
            if theirs != own.as_bytes() {
                return Err(self.differs(partner, what, &own, &String::from_utf8_lossy(&theirs)));
            }
        }
        Ok(())
    }

    /// [`agree`](Self::agree) on bytes, by their SHA-256.
    ///
    /// # Errors
    /// As there.
    pub fn agree_on_bytes(&self, what: &str, own: impl FnOnce() -> Vec<u8>) -> Result<()> {
        if self.count() == 1 { Ok(()) } else { self.agree(what, &sha256(&own())) }
    }

    /// What the first rank has, in all ranks. All ranks call this.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn first<const N: usize>(&self, own: [u8; N]) -> Result<[u8; N]> {
        let mut known = own;
        for level in 0..self.levels() {
            let partner = self.rank() ^ 1 << level;
            let theirs = self.exchange(partner, &known)?;
            if partner < self.rank() {
                known = theirs
                    .try_into()
                    .map_err(|theirs: Vec<u8>| self.differs(partner, "numbers of bytes", &N, &theirs.len()))?;
            }
        }
        Ok(known)
    }

    fn levels(&self) -> u32 {
        self.count().ilog2()
    }

    fn exchange(&self, partner: usize, mine: &[u8]) -> Result<Vec<u8>> {
        let Some(link) = self.0 else { return Ok(mine.to_vec()) };
        link.exchange(partner, mine).map_err(|source| Error::Rank { rank: partner, source })
    }

    fn differs(&self, partner: usize, what: &str, own: &dyn fmt::Display, theirs: &dyn fmt::Display) -> Error {
        Error::RanksDiffer {
            what: what.to_owned(),
            ranks: [self.rank(), partner],
            found: [own.to_string(), theirs.to_string()],
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::workers::Workers;
    use pig_testing::{Member, in_members};

    struct Thread(Member);

    impl Link for Thread {
        fn rank(&self) -> usize {
            self.0.rank
        }

        fn count(&self) -> usize {
            self.0.count()
        }

        fn exchange(&self, partner: usize, mine: &[u8]) -> io::Result<Vec<u8>> {
            self.0.exchange(partner, mine)
        }
    }

    /// Runs `job` in so many ranks, which are threads; returns what each returned.
    pub(crate) fn in_ranks<T: Send>(count: usize, job: impl Fn(Ranks<'_>) -> T + Sync) -> Vec<T> {
        in_members(count, |member| job(Ranks::of(&Thread(member))))
    }

    #[test]
    fn sums_over_ranks_have_the_bits_of_one_process() {
        let value = |index: usize| [(index as f32 * 0.7).sin() * 1e3, (index as f32).cos()];
        let add = |[a, b]: [f32; 2], [c, d]: [f32; 2]| [a + c, b + d];
        for count in 1..=17 {
            let expected = Workers::default().sum(count, add, value).unwrap();
            for ranks in [1, 2, 4, 8, 16].into_iter().filter(|&ranks| ranks <= count) {
                let found = in_ranks(ranks, |ranks| {
                    let own = ranks.own(count);
                    let mine = Workers::default().sum(own.len(), add, |index| value(own.start + index)).unwrap();
                    ranks.sum(mine, |value| vec![value], add).unwrap()
                });
                for found in found {
                    assert_eq!(found.map(f32::to_bits), expected.map(f32::to_bits), "{count} parts, {ranks} ranks");
                }
            }
        }
    }

    #[test]
    fn ranks_own_all_parts_once() {
        for (count, ranks) in [(8, 4), (7, 4), (5, 2), (4, 4), (3, 1)] {
            let own = in_ranks(ranks, |ranks| ranks.own(count));
            assert_eq!(own.into_iter().flatten().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn ranks_agree_or_say_who_differs() {
        let agreed = |second: &'static str| {
            in_ranks(4, move |ranks| {
                ranks
                    .agree("the split", if ranks.rank() == 1 { second } else { "a" })
                    .map_err(|error| error.to_string())
            })
        };
        assert!(agreed("a").iter().all(std::result::Result::is_ok));
        let different = agreed("b");
        let message = different[0].as_ref().unwrap_err();
        assert!(
            message.contains("the split") && message.contains("rank 0 has a") && message.contains("rank 1 has b"),
            "{message}"
        );
        assert!(different.iter().any(std::result::Result::is_err));
        assert_eq!(in_ranks(4, |ranks| ranks.any(ranks.rank() == 2).unwrap()), [true; 4]);
        assert_eq!(in_ranks(4, |ranks| ranks.any(false).unwrap()), [false; 4]);
        assert_eq!(in_ranks(4, |ranks| ranks.least(7 - ranks.rank() as u8).unwrap()), [4; 4]);
        assert_eq!(in_ranks(8, |ranks| ranks.first([ranks.rank() as u8 + 3, 1]).unwrap()), [[3, 1]; 8]);
    }

    #[test]
    fn a_lost_rank_is_named() {
        let found = in_ranks(2, |ranks| if ranks.rank() == 1 { Ok(()) } else { ranks.wait() });
        let message = found[0].as_ref().unwrap_err().to_string();
        assert!(message.contains("rank 1"), "{message}");
    }

    #[test]
    fn numbers_of_ranks_that_cannot_share_a_step_are_refused() {
        let check_on = |is_on_host, ranks, images, size| {
            in_ranks(ranks, |ranks| ranks.check(images, size, is_on_host).map_err(|error| error.to_string())).remove(0)
        };
        let check = |ranks, images, size| check_on(true, ranks, images, size);
        assert_eq!(check(1, 8, 8), Ok(()));
        assert_eq!(check(4, 8, 2), Ok(()));
        for (ranks, images, size, most) in [(3, 8, 2, "at most 4"), (4, 8, 4, "at most 2"), (2, 8, 8, "at most 1")] {
            let message = check(ranks, images, size).unwrap_err();
            assert!(message.contains(most) && message.contains("micro_batch_size"), "{message}");
        }
        let message = check_on(false, 2, 8, 8).unwrap_err();
        assert!(
            message.contains("train.batch_size = 8") && message.contains("gradient_accumulation_steps"),
            "{message}"
        );
    }
}
