//! Steps at some numbers of requests; in between, their figures are interpolated.

use super::prompts::PromptSums;
use super::steps::Steps;
use super::system::PagedSystem;

/// Numbers for which steps are computed.
const POINTS: usize = 24;

/// Steps at some numbers of requests, from one up.
pub(super) struct Points {
    pub numbers: Vec<usize>,
    pub steps: Vec<Steps>,
}

impl Points {
    /// Up to `seats`, or to a number that is next to never reached.
    pub(super) fn new(system: &PagedSystem<'_>, prompts: &PromptSums, seats: usize) -> Self {
        let highest = highest(system, prompts, seats);
        let stride = highest.div_ceil(POINTS).max(1);
        let mut numbers: Vec<usize> = (1..highest).step_by(stride).collect();
        numbers.push(highest);
        let steps = numbers.iter().map(|&n| at(system, prompts, n)).collect();
        Self { numbers, steps }
    }

    pub(super) fn last(&self) -> usize {
        self.numbers.last().copied().unwrap_or(1)
    }

    /// The places below and above `n`, and the weight of the one above.
    pub(super) fn around(&self, n: usize) -> (usize, usize, f64) {
        let above = self.numbers.partition_point(|&point| point < n).min(self.numbers.len() - 1);
        let below = above.saturating_sub(1);
        let (low, high) = (self.numbers[below], self.numbers[above]);
        if n >= high || high == low {
            return (above, above, 1.0);
        }
        (below, above, n.saturating_sub(low) as f64 / (high - low) as f64)
    }

    /// A figure of the steps with `n` requests.
    pub(super) fn interpolated(&self, n: usize, of: impl Fn(&Steps) -> f64) -> f64 {
        let (low, high, weight) = self.around(n);
        of(&self.steps[low]) * (1.0 - weight) + of(&self.steps[high]) * weight
    }
}

fn at(system: &PagedSystem<'_>, prompts: &PromptSums, n: usize) -> Steps {
    let share = system.decode_steps() / system.place_steps();
    Steps::new(system, prompts, system.arrival_rate_per_s, n as f64 * share)
}

/// A number of requests that is next to never exceeded, or all seats.
fn highest(system: &PagedSystem<'_>, prompts: &PromptSums, seats: usize) -> usize {
    let mut n = 4_usize.min(seats);
    loop {
        let leave_per_s = n as f64 / (system.place_steps() * at(system, prompts, n).mean_s);
        let excess = leave_per_s / system.arrival_rate_per_s;
        // Far above balance, for the spread of the number inside.
        if n >= seats || excess > 1.5 && excess > 1.0 + 12.0 / (n as f64).sqrt() {
            return n;
        }
        n = (n * 3 / 2).min(seats);
    }
}
