//! Parallel work whose result does not show how many threads did it: tasks share nothing, results are collected by
//! number, and of several failures the one with the lowest number is reported.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use thiserror::Error;

/// Threads that simulate. A run is sequential; threads share out whole runs.
#[derive(Debug)]
pub struct Workers {
    pool: rayon::ThreadPool,
}

/// Threads could not be started.
#[derive(Debug, Error)]
#[error("cannot start {threads} threads: {source}; ask for fewer with --threads")]
pub struct ThreadsError {
    threads: usize,
    source: rayon::ThreadPoolBuildError,
}

impl Workers {
    /// So many threads; as many as the machine has cores if `None`.
    ///
    /// # Errors
    /// If the operating system does not give them.
    pub fn new(threads: Option<usize>) -> Result<Self, ThreadsError> {
        let threads = threads.unwrap_or(0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map(|pool| Self { pool }).map_err(|source| ThreadsError { threads, source })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// `work(0)`, `work(1)`, ..., `work(n - 1)`, in this order.
    ///
    /// # Errors
    /// The failure of the lowest number. Tasks above a known failure are not begun.
    pub fn map<T: Send, E: Send>(
        &self,
        n: usize,
        work: impl Fn(usize) -> Result<T, E> + Sync,
    ) -> Result<Vec<T>, E> {
        let lowest_failure = AtomicUsize::new(usize::MAX);
        let task = |i: usize| {
            // Whatever lies below the lowest failure is done, so that failure is the same on any number of threads.
            if i > lowest_failure.load(Ordering::Relaxed) {
                return None;
            }
            let result = work(i);
            if result.is_err() {
                lowest_failure.fetch_min(i, Ordering::Relaxed);
            }
            Some(result)
        };
        // One task a piece: runs differ too much in length for anything coarser.
        let results: Vec<_> =
            self.pool.install(|| (0..n).into_par_iter().with_max_len(1).map(task).collect());
        results.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_on_any_number_of_threads() {
        for threads in 1..=4 {
            let workers = Workers::new(Some(threads)).expect("threads");
            assert_eq!(workers.threads(), threads);
            let squares = workers.map(1_000, |i| Ok::<_, ()>(i * i)).expect("no failure");
            assert!(squares.iter().enumerate().all(|(i, &square)| square == i * i));
        }
    }

    #[test]
    fn the_lowest_failure_wins_on_any_number_of_threads() {
        for threads in 1..=4 {
            let workers = Workers::new(Some(threads)).expect("threads");
            for _ in 0..20 {
                let result = workers.map(500, |i| if i % 100 == 37 { Err(i) } else { Ok(i) });
                assert_eq!(result, Err(37));
            }
        }
    }

    #[test]
    fn nothing_to_do_is_no_failure() {
        let workers = Workers::new(Some(2)).expect("threads");
        assert_eq!(workers.map(0, Err::<(), usize>), Ok(Vec::new()));
    }
}
