//! Which samples are made: their ids, and the part of one of several processes.

/// Sample ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seeds(pub(crate) Vec<u64>);

/// Part `index` of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) index: u64,
    pub(crate) count: u64,
}

/// Limit on the ids in one range. A larger range must be a typing error: no machine could make so many samples in a year.
const MOST_SEEDS: u64 = 100_000_000;

pub(super) fn seeds(text: &str) -> Result<Seeds, String> {
    let wrong = |part: &str| format!("{part:?} is not a range of sample ids; expected ids such as 0-2047 or 5,7,9-12");
    let mut ids = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong(part));
        let (from, to) = (number(from)?, number(to)?);
        if to < from || to - from >= MOST_SEEDS {
            return Err(wrong(part));
        }
        ids.extend(from..=to);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(Seeds(ids))
}

pub(super) fn shard(text: &str) -> Result<Shard, String> {
    if text == "auto" {
        return scheduler_shard(&|name| std::env::var(name).ok());
    }
    let wrong = || format!("{text:?} is not a part such as 0/8; of 8 parts the first is 0/8 and the last is 7/8");
    let (index, count) = text.split_once('/').ok_or_else(wrong)?;
    let shard = Shard { index: index.parse().map_err(|_| wrong())?, count: count.parse().map_err(|_| wrong())? };
    if shard.index < shard.count { Ok(shard) } else { Err(wrong()) }
}

/// The part that a scheduler assigns: by the task of a Slurm array, or by the index of a Kubernetes indexed job. Kubernetes does not set
/// the number of parts, so JOB_COMPLETIONS must be set.
fn scheduler_shard(variable: &dyn Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let number = |name: &str| variable(name).and_then(|value| value.trim().parse::<u64>().ok());
    if let (Some(task), Some(count)) = (number("SLURM_ARRAY_TASK_ID"), number("SLURM_ARRAY_TASK_COUNT")) {
        let first = number("SLURM_ARRAY_TASK_MIN").unwrap_or(0);
        if task >= first && task - first < count {
            return Ok(Shard { index: task - first, count });
        }
        return Err(format!(
            "the Slurm array task {task} (first {first}, count {count}) is of an array with a step; give --shard I/N"
        ));
    }
    match (number("JOB_COMPLETION_INDEX"), number("JOB_COMPLETIONS")) {
        (Some(index), Some(count)) if index < count => Ok(Shard { index, count }),
        _ => Err("no scheduler assigns a part here (SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, or \
                  JOB_COMPLETION_INDEX and JOB_COMPLETIONS); give --shard I/N"
            .to_owned()),
    }
}

impl Shard {
    /// This part of the samples: every `count`-th sample, so that the sizes of the parts differ by one at most.
    pub(crate) fn of(self, seeds: &[u64]) -> Vec<u64> {
        seeds.iter().skip(self.index as usize).step_by(self.count as usize).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_of_seeds() {
        assert_eq!(seeds("0-3").unwrap().0, [0, 1, 2, 3]);
        assert_eq!(seeds("5,7,9-11,10").unwrap().0, [5, 7, 9, 10, 11]);
        for wrong in ["", "3-1", "a", "1-", "0-99999999999"] {
            assert!(seeds(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn shards_part_the_seeds_without_rest() {
        let all: Vec<u64> = (0..17).collect();
        let mut joined: Vec<u64> = (0..5).flat_map(|index| Shard { index, count: 5 }.of(&all)).collect();
        joined.sort_unstable();
        assert_eq!(joined, all);
        assert!(shard("5/5").is_err() && shard("x").is_err());
        assert_eq!(shard("4/5"), Ok(Shard { index: 4, count: 5 }));
    }

    #[test]
    fn schedulers_are_read() {
        let from = |pairs: &'static [(&str, &str)]| {
            scheduler_shard(&move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        let slurm = [("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "1")];
        let slurm: &'static [(&str, &str)] = Box::leak(Box::new(slurm));
        assert_eq!(from(slurm), Ok(Shard { index: 2, count: 4 }));
        assert_eq!(from(&[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "2")]), Ok(Shard { index: 0, count: 2 }));
        assert!(from(&[]).is_err());
    }
}
