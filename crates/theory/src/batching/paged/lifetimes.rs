//! Time per output token and time to the last token.
//!
//! In a processor-sharing system the mean time for an output is proportional to its length, so that the mean time per token
//! follows from Little's law. Around it, requests differ for two reasons: the number inside drifts slowly, and a short
//! output meets few steps.

use statrs::distribution::{ContinuousCDF, Gamma};

use super::numbers::Numbers;
use super::points::Points;
use super::seats::Seats;
use super::steps::Steps;
use super::system::PagedSystem;
use crate::batching::grid::TimeLaw;

/// Groups of output lengths.
const GROUPS: usize = 48;
/// Grid points in a mean time per token, and in a long time to the last token.
const POINTS: f64 = 400.0;

/// Times of decoding.
pub(super) struct Lifetimes {
    /// Mean time per output token after the first (s).
    pub mean_tpot_s: f64,
    /// Variance of a step with the number inside (s^2).
    slow_s2: f64,
    /// Variance of a step at a number inside (s^2).
    fast_s2: f64,
    /// Third over second moment of the prefill that a request adds to a step (s): what makes short outputs skewed.
    lump_s: f64,
    /// Rate at which the number inside returns to its mean (1/s).
    return_per_s: f64,
    /// (probability, tokens after the first) of equally likely groups of outputs.
    groups: Vec<(f64, f64)>,
}

impl Lifetimes {
    pub(super) fn new(system: &PagedSystem<'_>, points: &Points, numbers: &Numbers, seats: &Seats) -> Self {
        let step = |n: usize| points.interpolated(seats.served(n).max(1.0) as usize, |steps| steps.mean_s);
        let noise =
            |n: usize| points.interpolated(n.max(1), |steps| steps.square_s2 - steps.mean_s * steps.mean_s);
        // Seen by a request that decodes: in proportion to those that do.
        let weights = numbers.chance.iter().enumerate().map(|(n, p)| (n, p * seats.served(n)));
        let (mut total, mut mean, mut square, mut fast, mut inside) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (n, weight) in weights.skip(1) {
            total += weight;
            mean += weight * step(n);
            square += weight * step(n) * step(n);
            fast += weight * noise(n);
            inside += weight * n as f64;
        }
        let running: f64 = numbers.chance.iter().enumerate().map(|(n, p)| p * seats.served(n)).sum();
        let (mean, square) = (mean / total, square / total);
        let at = (inside / total).max(1.0) as usize;
        let leave =
            |n: usize| n as f64 / (system.place_steps() * points.interpolated(n, |s: &Steps| s.mean_s));
        let width = (at / 8).max(1);
        let slope = (leave(at + width) - leave(at)) / width as f64;
        let decode_share = system.decode_steps() / system.place_steps();
        let mean_tpot_s = if system.decode_steps() > 0.0 {
            running * decode_share / (system.arrival_rate_per_s * system.decode_steps())
        } else {
            0.0
        };
        Self {
            mean_tpot_s,
            slow_s2: (square - mean * mean).max(0.0),
            fast_s2: (fast / total).max(0.0),
            lump_s: {
                let prompt_s = points.interpolated(at, |s: &Steps| {
                    (s.mean_s - s.bare_s) / (system.arrival_rate_per_s * s.mean_s)
                });
                let cube = system.prompt.expect(|p| p * p * p);
                prompt_s / system.prompt.mean() * cube / system.prompt.mean_square()
            },
            return_per_s: slope.max(1e-9),
            groups: groups(system),
        }
    }

    /// Variance of the time per token of an output with so many tokens after the first (s^2): an average over a time in which
    /// the number inside keeps its place (Ornstein and Uhlenbeck), and over so many steps.
    fn variance_s2(&self, gaps: f64) -> f64 {
        let x = self.return_per_s * gaps * self.mean_tpot_s;
        let kept = if x < 1e-4 { 1.0 } else { 2.0 * (x - 1.0 + libm::exp(-x)) / (x * x) };
        self.slow_s2 * kept + self.fast_s2 / gaps.max(1.0)
    }

    /// Third central moment of the same (s^3): that of the prefills met, which come as a compound Poisson process.
    fn third_s3(&self, gaps: f64) -> f64 {
        self.fast_s2 * self.lump_s / (gaps * gaps).max(1.0)
    }

    /// Law of the time per output token of requests with more than one.
    pub(super) fn tpot(&self) -> TimeLaw {
        let h = self.mean_tpot_s / POINTS;
        let mut law = TimeLaw::zero(h.max(1e-12));
        for &(p, gaps) in self.groups.iter().filter(|(_, gaps)| *gaps >= 1.0) {
            let (variance, third) = (self.variance_s2(gaps), self.third_s3(gaps));
            law.add(&gamma(self.mean_tpot_s, variance, third, h), p);
        }
        law
    }

    /// Law of the time to the last token: the first, and decoding as if independent of it.
    pub(super) fn e2e(&self, ttft: &TimeLaw) -> TimeLaw {
        let longest = self.groups.last().map_or(0.0, |group| group.1) * self.mean_tpot_s;
        let h = ((longest + ttft.quantile_s(0.999)) / (8.0 * POINTS)).max(ttft.step_s());
        let mut first = TimeLaw::zero(h);
        for (i, &mass) in ttft.masses().iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
            first.put(i as f64 * ttft.step_s(), mass);
        }
        let mut law = TimeLaw::zero(h);
        for &(p, gaps) in &self.groups {
            let decoding = if gaps >= 0.5 {
                let square = gaps * gaps;
                let (variance, third) =
                    (square * self.variance_s2(gaps), square * gaps * self.third_s3(gaps));
                gamma(gaps * self.mean_tpot_s, variance, third, h)
            } else {
                TimeLaw::point(h, 0.0)
            };
            law.add(&decoding.plus(&first), p);
        }
        law
    }
}

/// Output lengths by quantile groups, finer towards the long ones: (probability, mean tokens after the first).
fn groups(system: &PagedSystem<'_>) -> Vec<(f64, f64)> {
    let mut bounds: Vec<f64> = (1..GROUPS).map(|i| i as f64 / GROUPS as f64).collect();
    bounds.extend([0.985, 0.99, 0.993, 0.996, 0.998, 0.999, 0.9999, 1.0]);
    bounds.retain(|bound| *bound > 0.0);
    bounds.sort_by(f64::total_cmp);
    let mut groups = Vec::with_capacity(bounds.len());
    let (mut below, mut weight, mut sum) = (0.0, 0.0, 0.0);
    let mut next = bounds.into_iter();
    let mut bound = next.next().unwrap_or(1.0);
    for (tokens, &p) in system.output.masses().iter().enumerate().skip(1) {
        let mut rest = p;
        while below + rest > bound && bound < 1.0 {
            let part = bound - below;
            weight += part;
            sum += part * (tokens - 1) as f64;
            if weight > 0.0 {
                groups.push((weight, sum / weight));
            }
            (below, weight, sum, rest) = (bound, 0.0, 0.0, rest - part);
            bound = next.next().unwrap_or(1.0);
        }
        below += rest;
        weight += rest;
        sum += rest * (tokens - 1) as f64;
    }
    if weight > 0.0 {
        groups.push((weight, sum / weight));
    }
    groups
}

/// Gamma law with these three moments on the grid, shifted as they ask for; nothing is below 0.
fn gamma(mean_s: f64, variance_s2: f64, third_s3: f64, h: f64) -> TimeLaw {
    let narrow = h * h / 4.0;
    if variance_s2 <= narrow {
        return TimeLaw::point(h, mean_s);
    }
    let sd = variance_s2.sqrt();
    // Third moment of a gamma law: 2 variance^2 / (mean - shift). Beyond 50 deviations it is as good as normal.
    let above = (2.0 * variance_s2 * variance_s2 / third_s3.max(f64::MIN_POSITIVE)).min(50.0 * sd);
    let shift = mean_s - above;
    let Ok(law) = Gamma::new(above * above / variance_s2, above / variance_s2) else {
        return TimeLaw::point(h, mean_s);
    };
    let (from, to) = (((mean_s - 8.0 * sd) / h).max(0.0) as usize, ((mean_s + 14.0 * sd) / h) as usize + 1);
    let cdf = |t: f64| if t <= shift { 0.0 } else { law.cdf(t - shift) };
    let mut grid = TimeLaw::zero(h);
    let mut before = 0.0;
    for i in from..=to {
        let now = cdf((i as f64 + 0.5) * h);
        grid.put(i as f64 * h, now - before);
        before = now;
    }
    grid
}
