//! The three models of the study that kendall grew from (EE384S, Stanford; github.com/Jav331/EE384S-Project), to be
//! reproduced to 1e-7 and then beaten. Their simplifications are theirs: mean lengths in place of laws, KV as a cap on a
//! count, waits cut off at 60 s.

mod mmc;
mod two_class;
mod two_stage;

pub use mmc::mmc_baseline;
pub use two_class::two_class_markov;
pub use two_stage::two_stage;

use super::step_times::StepTimes;

/// The study never reports a longer wait.
const LONGEST_WAIT_S: f64 = 60.0;

/// One cell of the study's grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StudyCell {
    /// Poisson arrival rate (requests/s).
    pub arrival_rate_per_s: f64,
    /// Most requests active at once.
    pub max_batch: usize,
    /// KV capacity (tokens).
    pub kv_tokens: usize,
    /// Lognormal prompt length.
    pub prompt: Lognormal,
    /// Lognormal output length.
    pub output: Lognormal,
}

impl StudyCell {
    /// With the study's lengths: prompts of median 256 and sigma 0.55, outputs of median 128 and sigma 0.70.
    pub fn new(arrival_rate_per_s: f64, max_batch: usize, kv_tokens: usize) -> Self {
        Self {
            arrival_rate_per_s,
            max_batch: max_batch.max(1),
            kv_tokens,
            prompt: Lognormal { median: 256.0, sigma: 0.55 },
            output: Lognormal { median: 128.0, sigma: 0.70 },
        }
    }

    fn steps(&self) -> StepTimes {
        StepTimes::study(self.max_batch)
    }
}

/// What each of the study's models reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StudyMetrics {
    /// Mean time to first token (s).
    pub mean_ttft_s: f64,
    /// Median time to first token (s).
    pub p50_ttft_s: f64,
    /// 95th percentile of time to first token (s).
    pub p95_ttft_s: f64,
    /// 99th percentile of time to first token (s).
    pub p99_ttft_s: f64,
    /// Accepted requests per second, which the study calls goodput.
    pub goodput_per_s: f64,
    /// Probability that an arrival is lost.
    pub blocking_probability: f64,
}

/// Lognormal length, neither floored nor cut: the study's models use means alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lognormal {
    /// Median (tokens).
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

impl Lognormal {
    /// Mean (tokens).
    pub fn mean(&self) -> f64 {
        self.median * libm::exp(0.5 * self.sigma * self.sigma)
    }

    /// Mean given the lower or the upper half of the law, `E[X] (Phi(b - sigma) - Phi(a - sigma)) / (1/2)`.
    fn half_means(&self) -> [f64; 2] {
        let below = 0.5 * libm::erfc(self.sigma * std::f64::consts::FRAC_1_SQRT_2);
        [self.mean() * below * 2.0, self.mean() * (1.0 - below) * 2.0]
    }
}

/// Prefill of one mean prompt, rounded to whole tokens as the study does, and all decode steps of a mean output (s).
fn service_s(steps: &StepTimes, batch: usize, mean_prompt: f64, mean_output: f64) -> f64 {
    steps.prefill_s(mean_prompt.round_ties_even(), batch) + mean_output * steps.decode_s(batch)
}

/// Prefill and first decode step at a typical batch (s).
fn first_token_s(steps: &StepTimes, batch: usize, mean_prompt: f64) -> f64 {
    steps.prefill_s(mean_prompt.round_ties_even(), batch) + steps.decode_s(batch)
}

/// `P(Erlang(k, rate) <= t)`: one minus a Poisson sum.
fn erlang_cdf(t_s: f64, k: usize, rate_per_s: f64) -> f64 {
    if t_s <= 0.0 {
        return 0.0;
    }
    let mean = rate_per_s * t_s;
    let mut term = libm::exp(-mean);
    let mut survival = term;
    for i in 1..k {
        term *= mean / i as f64;
        survival += term;
    }
    (1.0 - survival).max(0.0)
}

/// Smallest `t` in `[low, high]` with `cdf(t) >= p`, for a distribution function that reaches `p` at `high`.
fn bisect(mut low: f64, mut high: f64, p: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if cdf(middle) >= p {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}
