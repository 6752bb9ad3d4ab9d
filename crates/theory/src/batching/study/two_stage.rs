//! The study's two-stage model: a birth-death chain whose death rate follows the batch, and Erlang waits for a place.

use super::{LONGEST_WAIT_S, StudyCell, StudyMetrics, bisect, erlang_cdf, first_token_s, service_s};

/// Two-stage birth-death model: requests beyond the batch wait, the KV cache holds so many mean requests and no more.
pub fn two_stage(cell: &StudyCell) -> StudyMetrics {
    let steps = cell.steps();
    let (prompt, output) = (cell.prompt.mean(), cell.output.mean());
    let lambda = cell.arrival_rate_per_s;
    let held = (libm::floor(cell.kv_tokens as f64 / (prompt + output)) as usize).max(1);
    let places = cell.max_batch.min(held);

    let rate_per_s = |batch: usize| batch as f64 / service_s(&steps, batch, prompt, output);
    let chance = stationary(lambda, (1..=held).map(|n| rate_per_s(n.min(places))));
    let blocking = chance[held];
    let accepted_per_s = lambda * (1.0 - blocking);
    let queue: f64 = (places + 1..=held).map(|n| (n - places) as f64 * chance[n]).sum();
    let wait_s = if accepted_per_s > 0.0 { (queue / accepted_per_s).min(LONGEST_WAIT_S) } else { 0.0 };
    let first_s = first_token_s(&steps, typical_batch(&chance, places), prompt);
    let law = WaitLaw { chance: &chance, places, full_rate_per_s: rate_per_s(places) };
    let quantile_s = |p: f64| first_s + law.quantile_s(p);
    StudyMetrics {
        mean_ttft_s: first_s + wait_s,
        p50_ttft_s: quantile_s(0.50),
        p95_ttft_s: quantile_s(0.95),
        p99_ttft_s: quantile_s(0.99),
        goodput_per_s: accepted_per_s,
        blocking_probability: blocking,
    }
}

/// Birth-death chain with constant births; weights are scaled as they grow, so that overload does not overflow.
fn stationary(lambda: f64, deaths_per_s: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut log_weights = vec![0.0];
    let mut log_weight = 0.0;
    for mu in deaths_per_s {
        log_weight += libm::log(lambda / mu);
        log_weights.push(log_weight);
    }
    let top = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = log_weights.iter().map(|w| libm::exp(w - top)).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// Mean active batch of the busy system, rounded.
fn typical_batch(chance: &[f64], places: usize) -> usize {
    let busy = 1.0 - chance[0];
    if busy <= 1e-9 {
        return 1;
    }
    let active: f64 = chance.iter().enumerate().map(|(n, p)| n.min(places) as f64 * p).sum();
    ((active / busy).round_ties_even() as usize).max(1)
}

/// Wait of an accepted arrival: who finds `n >= places` waits for `n - places + 1` departures.
struct WaitLaw<'a> {
    chance: &'a [f64],
    places: usize,
    full_rate_per_s: f64,
}

impl WaitLaw<'_> {
    fn cdf(&self, t_s: f64) -> f64 {
        let full = self.chance.len() - 1;
        let at_once: f64 = self.chance[..self.places.min(full + 1)].iter().sum();
        let later: f64 = (self.places..full)
            .map(|n| self.chance[n] * erlang_cdf(t_s, n + 1 - self.places, self.full_rate_per_s))
            .sum();
        (at_once + later) / (1.0 - self.chance[full])
    }

    fn quantile_s(&self, p: f64) -> f64 {
        let accepted = 1.0 - self.chance[self.chance.len() - 1];
        if accepted <= 0.0 {
            return LONGEST_WAIT_S;
        }
        if p <= self.cdf(0.0) {
            return 0.0;
        }
        let mut high = 1.0;
        while self.cdf(high) < p && high < LONGEST_WAIT_S {
            high *= 2.0;
        }
        if self.cdf(high) < p { LONGEST_WAIT_S } else { bisect(0.0, high, p, |t| self.cdf(t)) }
    }
}
