//! The study's two-class Markov chain: short and long requests share the batch in proportion to their numbers, and KV
//! is held in pages.
//!
//! The study solves a sparse linear system. The chain is reversible, though: with rate `r(n) n_c / n` for departures of
//! class `c`, the weight `prod_k lambda / r(k) * n! / (n_1! n_2!) * p_1^n_1 p_2^n_2` meets detailed balance, and cutting
//! the state space at the KV limit keeps it so. Kelly, Reversibility and Stochastic Networks, sections 1.6 and 3.1.

use super::{LONGEST_WAIT_S, StudyCell, StudyMetrics, bisect, erlang_cdf, first_token_s, service_s};

/// Tokens of a KV page in the study.
const PAGE_TOKENS: usize = 16;
/// Each half of the length laws is one class.
const SHARE: f64 = 0.5;

/// Two-class Markov chain over (short requests, long requests).
pub fn two_class_markov(cell: &StudyCell) -> StudyMetrics {
    let steps = cell.steps();
    let (prompt, output) = (cell.prompt.mean(), cell.output.mean());
    let rate_per_s = |batch: usize| batch as f64 / service_s(&steps, batch, prompt, output);
    let chain = Chain::new(cell, rate_per_s);
    let blocking = chain.lost();
    let accepted_per_s = cell.arrival_rate_per_s * (1.0 - blocking);
    let first_s = first_token_s(&steps, chain.typical_batch(cell.max_batch), prompt);
    let queue: f64 =
        chain.states.iter().map(|s| s.total().saturating_sub(cell.max_batch) as f64 * s.chance).sum();
    let wait_s = if accepted_per_s > 0.0 { (queue / accepted_per_s).min(LONGEST_WAIT_S) } else { 0.0 };
    let ahead = chain.found_by_accepted(cell.max_batch);
    let full_rate_per_s = rate_per_s(cell.max_batch);
    let cdf = |t_s: f64| -> f64 {
        let later = ahead.iter().enumerate().skip(1);
        ahead[0] + later.map(|(k, p)| p * erlang_cdf(t_s, k, full_rate_per_s)).sum::<f64>()
    };
    let quantile_s = |p: f64| first_s + wait_quantile_s(p, first_s, cdf);
    StudyMetrics {
        mean_ttft_s: first_s + wait_s,
        p50_ttft_s: quantile_s(0.50),
        p95_ttft_s: quantile_s(0.95),
        p99_ttft_s: quantile_s(0.99),
        goodput_per_s: accepted_per_s,
        blocking_probability: blocking,
    }
}

/// The wait that a fraction `p` of the accepted does not exceed, cut off as in the study.
fn wait_quantile_s(p: f64, first_s: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    if cdf(0.0) >= p {
        return 0.0;
    }
    let mut high = first_s.clamp(1.0, LONGEST_WAIT_S);
    while cdf(high) < p && high < LONGEST_WAIT_S {
        high = (2.0 * high).min(LONGEST_WAIT_S);
    }
    if cdf(high) < p { LONGEST_WAIT_S } else { bisect(0.0, high, p, cdf) }
}

/// Numbers of short and long requests in the system, and the probability to find them.
struct State {
    short: usize,
    long: usize,
    chance: f64,
    /// Probability that an arrival then fits.
    accepts: f64,
}

impl State {
    fn total(&self) -> usize {
        self.short + self.long
    }
}

struct Chain {
    states: Vec<State>,
}

impl Chain {
    fn new(cell: &StudyCell, rate_per_s: impl Fn(usize) -> f64) -> Self {
        let budget = (cell.kv_tokens / PAGE_TOKENS).max(1);
        let prompt = cell.prompt.half_means();
        let output = cell.output.half_means();
        let pages = |class: usize| {
            let tokens = prompt[class] + output[class];
            (libm::ceil(tokens / PAGE_TOKENS as f64) as usize).max(1)
        };
        let (short_pages, long_pages) = (pages(0), pages(1));
        let longest = budget / short_pages.min(long_pages);
        let log_fall: Vec<f64> = std::iter::once(0.0)
            .chain((1..=longest).scan(0.0, |sum, n| {
                let rate = rate_per_s(n.min(cell.max_batch));
                *sum += libm::log(cell.arrival_rate_per_s * SHARE / rate);
                Some(*sum)
            }))
            .collect();
        let mut states = Vec::new();
        for short in 0..=budget / short_pages {
            for long in 0..=(budget - short * short_pages) / long_pages {
                let free = budget - short * short_pages - long * long_pages;
                let fits = |pages: usize| if pages <= free { SHARE } else { 0.0 };
                let log_weight = log_fall[short + long] + log_binomial(short + long, short);
                let accepts = fits(short_pages) + fits(long_pages);
                states.push(State { short, long, chance: log_weight, accepts });
            }
        }
        let top = states.iter().map(|s| s.chance).fold(f64::NEG_INFINITY, f64::max);
        for state in &mut states {
            state.chance = libm::exp(state.chance - top);
        }
        let total: f64 = states.iter().map(|s| s.chance).sum();
        for state in &mut states {
            state.chance /= total;
        }
        Self { states }
    }

    /// Probability that an arrival is lost (PASTA).
    fn lost(&self) -> f64 {
        self.states.iter().map(|s| s.chance * (1.0 - s.accepts)).sum()
    }

    /// Mean active batch of the busy system, rounded.
    fn typical_batch(&self, max_batch: usize) -> usize {
        let busy: f64 = self.states.iter().filter(|s| s.total() > 0).map(|s| s.chance).sum();
        if busy <= 1e-12 {
            return 1;
        }
        let active: f64 = self.states.iter().map(|s| s.chance * s.total().min(max_batch) as f64).sum();
        ((active / busy).round_ties_even() as usize).max(1)
    }

    /// Probability that an accepted arrival must wait for `k` departures, by `k`.
    fn found_by_accepted(&self, max_batch: usize) -> Vec<f64> {
        let accepted = 1.0 - self.lost();
        let most = self.states.iter().map(State::total).max().unwrap_or(0);
        let mut waits = vec![0.0; most + 2];
        for state in &self.states {
            let departures = (state.total() + 1).saturating_sub(max_batch);
            waits[departures] += state.chance * state.accepts / accepted;
        }
        waits
    }
}

/// Logarithm of the binomial coefficient.
fn log_binomial(n: usize, k: usize) -> f64 {
    let log_factorial = |m: usize| libm::lgamma(m as f64 + 1.0);
    log_factorial(n) - log_factorial(k) - log_factorial(n - k)
}
