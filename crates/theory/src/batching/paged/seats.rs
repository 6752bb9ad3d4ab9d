//! How many requests can run at once: `max_num_seqs`, or what the KV blocks hold, which varies with who is inside.

use statrs::distribution::{ContinuousCDF, Normal};

use super::blocks::Holding;
use super::overload::{Limit, Saturation};
use super::system::PagedSystem;

/// Values that stand for the law of a limit that varies.
const VALUES: usize = 15;

/// Law of the number of requests that can run.
pub(super) struct Seats {
    /// (number, probability), rising.
    law: Vec<(usize, f64)>,
    mean: f64,
}

impl Seats {
    pub(super) fn new(system: &PagedSystem<'_>, full: &Saturation) -> Self {
        let most = system.limits.max_num_seqs;
        let holding = Holding::of(system);
        let limit = match full.limit {
            Limit::Blocks => full.running,
            Limit::Seqs | Limit::Tokens => system.limits.usable_blocks as f64 / holding.mean,
        };
        // As many blocks are held by more or fewer requests, as these are small or large.
        let spread = (limit * holding.variance).sqrt() / holding.mean;
        if limit - 4.0 * spread > most as f64 {
            return Self { law: vec![(most, 1.0)], mean: most as f64 };
        }
        let mut law: Vec<(usize, f64)> = Vec::new();
        for i in 0..VALUES {
            let z = Normal::standard().inverse_cdf((i as f64 + 0.5) / VALUES as f64);
            let value = (libm::round(limit + z * spread).max(1.0) as usize).min(most);
            match law.last_mut() {
                Some((last, p)) if *last == value => *p += 1.0 / VALUES as f64,
                _ => law.push((value, 1.0 / VALUES as f64)),
            }
        }
        let mean = law.iter().map(|(value, p)| *value as f64 * p).sum();
        Self { law, mean }
    }

    pub(super) fn mean(&self) -> f64 {
        self.mean
    }

    /// The number at which the engine counts as full.
    pub(super) fn typical(&self) -> usize {
        (libm::round(self.mean) as usize).max(1)
    }

    pub(super) fn most(&self) -> usize {
        self.law.last().map_or(1, |(value, _)| *value)
    }

    /// Mean number that run when `n` are inside.
    pub(super) fn served(&self, n: usize) -> f64 {
        self.law.iter().map(|(value, p)| n.min(*value) as f64 * p).sum()
    }

    /// Probability that the `n + 1`st waits.
    pub(super) fn full(&self, n: usize) -> f64 {
        self.law.iter().filter(|(value, _)| *value <= n).map(|(_, p)| p).sum()
    }

    /// Values that make the `n + 1`st wait, with their probabilities.
    pub(super) fn full_values(&self, n: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.law.iter().copied().filter(move |(value, _)| *value <= n)
    }
}
