//! Workers: threads that each compute whole parts of a batch, so that all cores have work.
//!
//! An operation on a few samples has too little work for many threads, and parts of every operation run on one thread. Samples do not
//! depend on each other, so a worker takes some of them through the whole network. What is computed does not depend on the number
//! of workers: the parts are given by the configuration, and sums are added in a fixed order.

use pig_nn::ops::use_buffers_of_worker;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Workers, each with its own threads.
#[derive(Debug, Default)]
pub struct Workers {
    /// None if the work is done on the threads of the caller.
    pools: Vec<ThreadPool>,
}

impl Workers {
    /// Divides as many threads as the current pool has among workers, at most one worker for each of `jobs`. With one worker, or where
    /// the system starts no more threads, the caller does the work itself on the threads of its pool.
    pub fn new(jobs: usize) -> Self {
        let threads = threads_of_workers(rayon::current_num_threads(), jobs);
        if threads.len() < 2 {
            return Self::default();
        }
        let pool = |(index, &threads): (usize, &usize)| {
            ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(move |_| format!("worker-{index}"))
                .start_handler(move |_| use_buffers_of_worker(index))
                .build()
        };
        Self { pools: threads.iter().enumerate().map(pool).collect::<Result<_, _>>().unwrap_or_default() }
    }

    /// The number of workers.
    pub fn count(&self) -> usize {
        self.pools.len().max(1)
    }

    /// The results of `job` for `0..count`, in this order. A worker takes the next job as soon as it has finished one.
    pub fn map<T: Send>(&self, count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
        if self.pools.is_empty() || count < 2 {
            return (0..count).map(job).collect();
        }
        let next = AtomicUsize::new(0);
        let results = Mutex::new((0..count).map(|_| None).collect::<Vec<Option<T>>>());
        let work = |pool: &ThreadPool| {
            pool.install(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let result = job(index);
                    results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
                }
            });
        };
        let work = &work;
        thread::scope(|scope| {
            let threads: Vec<_> = self.pools.iter().take(count).map(|pool| scope.spawn(move || work(pool))).collect();
            for thread in threads {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
        // A panic of a job has gone on by now, so every result is there.
        results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
    }

    /// The sum of the results of `job` for `0..count`, added in a fixed order: the first half, rounded up, and the rest, and so on
    /// within both. `None` if `count` is 0.
    pub fn sum<T: Send>(
        &self,
        count: usize,
        add: impl Fn(T, T) -> T + Sync,
        job: impl Fn(usize) -> T + Sync,
    ) -> Option<T> {
        let tree = Tree::new(count);
        self.map(count, |index| tree.put(index, job(index), &add)).into_iter().flatten().next()
    }
}

/// The number of threads of each worker: at most `jobs` workers, whose numbers of threads differ by one at most.
pub fn threads_of_workers(threads: usize, jobs: usize) -> Vec<usize> {
    let workers = threads.min(jobs).max(1);
    (0..workers).map(|index| threads / workers + usize::from(index < threads % workers)).collect()
}

/// Cuts `count` samples into parts of `size` samples; the last part may be smaller.
pub fn parts(count: usize, size: usize) -> Vec<Range<usize>> {
    let size = size.max(1);
    (0..count.div_ceil(size)).map(|part| part * size..count.min((part + 1) * size)).collect()
}

/// A sum of n values in a fixed order: that of the first ceil(n / 2) values plus that of the rest, and so on. Values may arrive in any order
/// and from any thread; a value is added to its neighbour as soon as both are there, so that few are kept.
#[derive(Debug)]
struct Tree<T> {
    count: usize,
    /// The sums that wait for their neighbours, by their ranges.
    waiting: Mutex<HashMap<Range<usize>, T>>,
}

impl<T> Tree<T> {
    fn new(count: usize) -> Self {
        Self { count, waiting: Mutex::default() }
    }

    /// Gives value `index`. Returns the whole sum if this was the last value that was missing.
    fn put(&self, index: usize, value: T, add: impl Fn(T, T) -> T) -> Option<T> {
        let mut path = path_to(index, self.count);
        let mut sum = value;
        // The last range of the path is the value itself.
        path.pop();
        let mut own = index..index + 1;
        while let Some(parent) = path.pop() {
            let (first, rest) = halves(&parent);
            let neighbour = if own == first { rest.clone() } else { first.clone() };
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(other) = waiting.remove(&neighbour) else {
                waiting.insert(own, sum);
                return None;
            };
            drop(waiting);
            sum = if own == first { add(sum, other) } else { add(other, sum) };
            own = parent;
        }
        Some(sum)
    }
}

/// The first ceil(n / 2) and the rest of a range of n >= 2.
pub(crate) fn halves(range: &Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = range.start + range.len().div_ceil(2);
    (range.start..middle, middle..range.end)
}

/// The ranges of the tree that contain `index`, from the whole to the value itself.
fn path_to(index: usize, count: usize) -> Vec<Range<usize>> {
    let mut path = Vec::from([Range { start: 0, end: count }]);
    while let Some(range) = path.last().filter(|range| range.len() > 1) {
        let (first, rest) = halves(range);
        path.push(if first.contains(&index) { first } else { rest });
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_threads<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
        ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
    }

    #[test]
    fn parts_cover_all_samples_once() {
        assert_eq!(parts(8, 2), [0..2, 2..4, 4..6, 6..8]);
        assert_eq!(parts(7, 3), [0..3, 3..6, 6..7]);
        assert_eq!(parts(2, 8), [Range { start: 0, end: 2 }]);
        assert_eq!(parts(3, 0), [0..1, 1..2, 2..3]);
        assert!(parts(0, 2).is_empty());
    }

    #[test]
    fn threads_are_divided_evenly() {
        assert_eq!(threads_of_workers(2, 4), [1, 1]);
        assert_eq!(threads_of_workers(16, 4), [4, 4, 4, 4]);
        assert_eq!(threads_of_workers(7, 3), [3, 2, 2]);
        assert_eq!(threads_of_workers(4, 1), [4]);
        assert_eq!(threads_of_workers(4, 0), [4]);
    }

    #[test]
    fn results_are_in_order_for_any_number_of_workers() {
        for threads in 1..=5 {
            let found = with_threads(threads, || {
                Workers::new(7).map(7, |index| {
                    // The first jobs take longest.
                    thread::sleep(std::time::Duration::from_millis(7 - index as u64));
                    index * index
                })
            });
            assert_eq!(found, [0, 1, 4, 9, 16, 25, 36]);
        }
    }

    /// The parentheses show the order of the additions.
    #[test]
    fn sums_are_added_in_the_order_of_the_tree() {
        for (count, expected) in
            [(1, "0"), (2, "(0+1)"), (3, "((0+1)+2)"), (4, "((0+1)+(2+3))"), (5, "(((0+1)+2)+(3+4))")]
        {
            for threads in 1..=4 {
                let found = with_threads(threads, || {
                    let add = |a: String, b: String| format!("({a}+{b})");
                    Workers::new(count).sum(count, add, |index| index.to_string())
                });
                assert_eq!(found.as_deref(), Some(expected), "{count} values, {threads} threads");
            }
        }
        assert_eq!(Workers::new(0).sum(0, |a: u32, b| a + b, |_| 1), None);
    }

    /// Each job runs on the threads of its worker.
    #[test]
    fn workers_have_their_own_threads() {
        let found = with_threads(4, || Workers::new(2).map(2, |_| rayon::current_num_threads()));
        assert_eq!(found, [2, 2]);
        let alone = with_threads(4, || Workers::new(1).map(1, |_| rayon::current_num_threads()));
        assert_eq!(alone, [4]);
    }

    #[test]
    #[should_panic(expected = "a job failed")]
    fn a_panic_of_a_job_is_not_lost() {
        with_threads(2, || Workers::new(2).map(2, |index| assert!(index == 0, "a job failed")));
    }
}
