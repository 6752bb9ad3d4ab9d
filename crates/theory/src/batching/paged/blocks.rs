//! KV blocks: what a running request holds, and what an engine that always has a request waiting leaves free.
//!
//! A request holds the blocks of its prompt from the decision that admits it, and one more every `block_size` tokens. The head of
//! the queue is admitted once its prompt fits, so free blocks are a process with jumps: each step takes the growth of the running
//! requests, each departure gives blocks back, and an admission takes a prompt's. When growth finds too few, the request that was
//! admitted last gives its blocks back and becomes the head. The chain below is over (free blocks, blocks that the head needs).

use super::system::PagedSystem;
use crate::queueing::numeric::poisson_pmf;

/// Cells of the mean need of a head.
const CELLS_OF_A_NEED: f64 = 10.0;
/// Most cells of a head's need.
const MOST_NEED: usize = 48;
const ROUNDS: usize = 2_000;

/// Blocks that a running request holds, over its time in the running list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holding {
    /// Mean.
    pub mean: f64,
    /// Variance.
    pub variance: f64,
    /// Blocks of a prompt, on average.
    pub prompt: f64,
}

/// Blocks of so many tokens, the last one half used on average.
fn blocks_of(system: &PagedSystem<'_>, tokens: f64) -> f64 {
    let size = system.limits.block_size as f64;
    (tokens + (size - 1.0) / 2.0) / size
}

impl Holding {
    pub(super) fn of(system: &PagedSystem<'_>) -> Self {
        let size = system.limits.block_size as f64;
        let lead = system.lead_steps() as f64;
        let steps = system.place_steps();
        let growth = system.output.expect(|g| (g - 1.0) * g / 2.0) / size;
        let squares = system.output.expect(|g| (g - 1.0) * g * (2.0 * g - 1.0) / 6.0) / (size * size);
        let (first, second) = (
            system.prompt.expect(|p| blocks_of(system, p)),
            system.prompt.expect(|p| blocks_of(system, p) * blocks_of(system, p)),
        );
        let mean = first + growth / steps;
        let square = ((system.output.mean() + lead) * second + 2.0 * first * growth + squares) / steps;
        Self { mean, variance: (square - mean * mean).max(0.0), prompt: first }
    }

    /// Probability that `n` running requests need more than so many blocks (normal).
    pub(super) fn short(&self, n: usize, usable: f64) -> f64 {
        let spread = (n as f64 * self.variance).sqrt().max(1e-9);
        0.5 * libm::erfc((usable - n as f64 * self.mean) / spread * std::f64::consts::FRAC_1_SQRT_2)
    }
}

/// Free blocks of an engine with an endless queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slack {
    /// Mean free blocks.
    pub free: f64,
    /// Preemptions in a step.
    pub preemptions_per_step: f64,
}

/// The chain for `running` requests of which `departures` leave in a step.
pub(super) fn slack(system: &PagedSystem<'_>, running: f64, departures: f64) -> Slack {
    let holding = Holding::of(system);
    let unit = (holding.prompt / CELLS_OF_A_NEED)
        .max(blocks_of(system, quantile(system.prompt.masses(), 0.999)) / MOST_NEED as f64)
        .max(1e-9);
    let need = lattice(system.prompt.masses(), |p| blocks_of(system, p) / unit, MOST_NEED);
    let growth =
        running * system.decode_steps() / system.place_steps() / system.limits.block_size as f64 / unit;
    let net = net_change(system, unit, departures, growth);
    Chain { needs: need.len(), need, net }.stationary(unit)
}

fn quantile(mass: &[f64], p: f64) -> f64 {
    let mut sum = 0.0;
    for (i, m) in mass.iter().enumerate() {
        sum += m;
        if sum >= p {
            return i as f64;
        }
    }
    mass.len().saturating_sub(1) as f64
}

/// A law of token counts on whole cells 1, 2, ..., split so that means stay.
fn lattice(mass: &[f64], cells: impl Fn(f64) -> f64, most: usize) -> Vec<f64> {
    let mut law = vec![0.0; most + 1];
    for (tokens, &m) in mass.iter().enumerate().filter(|(_, m)| **m > 0.0) {
        let place = cells(tokens as f64).clamp(1.0, most as f64);
        let below = place as usize;
        let share = place - below as f64;
        law[below] += m * (1.0 - share);
        law[(below + 1).min(most)] += m * share;
    }
    law
}

/// Law of a change: masses from `-deepest` on.
struct Net {
    deepest: usize,
    mass: Vec<f64>,
}

/// Blocks given back less blocks grown in a step, in cells.
fn net_change(system: &PagedSystem<'_>, unit: f64, departures: f64, growth: f64) -> Net {
    let tokens = system.prompt.mean() + system.output.mean() - 1.0;
    let size = blocks_of(system, tokens) / unit;
    let spread = {
        let variance = system.prompt.scv() * system.prompt.mean() * system.prompt.mean()
            + system.output.scv() * system.output.mean() * system.output.mean();
        (variance.sqrt() / tokens).min(2.0)
    };
    // Departures have gamma sizes with the two moments of prompt and output together, on nine quantiles.
    let sizes: Vec<f64> =
        (0..9).map(|i| size * gamma_quantile((f64::from(i) + 0.5) / 9.0, spread * spread)).collect();
    let scale = size * 9.0 / sizes.iter().sum::<f64>();
    let mut one = vec![0.0; (sizes[8] * scale) as usize + 2];
    for s in &sizes {
        let (below, share) = (libm::floor(s * scale), (s * scale).fract());
        one[below as usize] += (1.0 - share) / 9.0;
        one[below as usize + 1] += share / 9.0;
    }
    let most = (departures + 6.0 * departures.sqrt() + 4.0) as usize;
    let mut sum = vec![1.0];
    let mut gains = vec![0.0; one.len() * (most + 1)];
    for j in 0..=most {
        let p = poisson_pmf(j, departures);
        for (i, m) in sum.iter().enumerate() {
            gains[i] += p * m;
        }
        let mut next = vec![0.0; sum.len() + one.len() - 1];
        for (i, a) in sum.iter().enumerate() {
            for (k, b) in one.iter().enumerate() {
                next[i + k] += a * b;
            }
        }
        sum = next;
        sum.truncate(gains.len());
    }
    let deepest = (growth + 6.0 * growth.sqrt() + 4.0) as usize;
    let mut net = vec![0.0; gains.len() + deepest];
    for g in 0..=deepest {
        let p = poisson_pmf(g, growth);
        for (i, m) in gains.iter().enumerate() {
            net[i + deepest - g] += p * m;
        }
    }
    let total: f64 = net.iter().sum();
    Net { deepest, mass: net.into_iter().map(|m| m / total).collect() }
}

/// Quantile of a gamma law of mean 1 (Wilson and Hilferty's cube root).
fn gamma_quantile(p: f64, scv: f64) -> f64 {
    if scv < 1e-9 {
        return 1.0;
    }
    // Peizer and Pratt's normal quantile is not needed: nine fixed points.
    let z = normal_quantile(p);
    let k = scv / 9.0;
    let root = 1.0 - k + z * k.sqrt();
    root.max(0.0) * root.max(0.0) * root.max(0.0)
}

fn normal_quantile(p: f64) -> f64 {
    use statrs::distribution::{ContinuousCDF, Normal};
    Normal::standard().inverse_cdf(p)
}

/// Free blocks and the head's need, in cells.
struct Chain {
    needs: usize,
    need: Vec<f64>,
    net: Net,
}

impl Chain {
    /// Power iteration: the chain forgets within some departures.
    fn stationary(&self, unit: f64) -> Slack {
        let width = self.needs;
        let reach = self.net.mass.len() + width;
        let settled = self.settled(reach);
        let mut law = vec![0.0; width * width];
        law[1] = 1.0;
        let mut before = f64::NAN;
        let mut preempted = 0.0;
        for _ in 0..ROUNDS {
            let (next, hit) = self.step(&law, &settled, reach);
            law = next;
            preempted = hit;
            let free: f64 = law.iter().enumerate().map(|(i, p)| (i / width) as f64 * p).sum::<f64>() * unit;
            if (free - before).abs() < 1e-7 * free.max(1e-3) {
                before = free;
                break;
            }
            before = free;
        }
        Slack { free: before, preemptions_per_step: preempted }
    }

    /// For `l` cells free and a fresh head: where admissions end, by (free, need).
    fn settled(&self, reach: usize) -> Vec<Vec<f64>> {
        let width = self.needs;
        let mut laws: Vec<Vec<f64>> = Vec::with_capacity(reach);
        for l in 0..reach {
            let mut law = vec![0.0; width * width];
            for (q, &p) in self.need.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                if l < q {
                    law[l * width + q] += p;
                } else {
                    for (into, m) in law.iter_mut().zip(&laws[l - q]) {
                        *into += p * m;
                    }
                }
            }
            laws.push(law);
        }
        laws
    }

    /// One step, and the preemptions in it.
    fn step(&self, law: &[f64], settled: &[Vec<f64>], reach: usize) -> (Vec<f64>, f64) {
        let width = self.needs;
        let mut next = vec![0.0; width * width];
        let mut fresh = vec![0.0; reach];
        let mut short = vec![0.0; reach];
        for (state, &p) in law.iter().enumerate().filter(|(_, p)| **p > 1e-14) {
            let (free, q) = (state / width, state % width);
            for (i, &m) in self.net.mass.iter().enumerate() {
                let given = free + i;
                match given.checked_sub(self.net.deepest) {
                    None => short[self.net.deepest - given] += p * m,
                    Some(now) if now < q => next[now * width + q] += p * m,
                    Some(now) => fresh[(now - q).min(reach - 1)] += p * m,
                }
            }
        }
        let mut preempted = 0.0;
        // The last admitted gives its blocks back and is the next head; if that is not enough, another one.
        for deficit in (1..reach).rev() {
            let p = short[deficit];
            if p < 1e-15 {
                continue;
            }
            preempted += p;
            for (q, &m) in self.need.iter().enumerate().filter(|(_, m)| **m > 0.0) {
                if q >= deficit {
                    next[(q - deficit) * width + q] += p * m;
                } else {
                    short[deficit - q] += p * m;
                }
            }
        }
        for (l, &p) in fresh.iter().enumerate().filter(|(_, p)| **p > 1e-15) {
            for (into, m) in next.iter_mut().zip(&settled[l]) {
                *into += p * m;
            }
        }
        (next, preempted)
    }
}
