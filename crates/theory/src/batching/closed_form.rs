//! The closed form: a birth-death chain over the number in the system, corrected for what exponential service misses.
//!
//! With `n` inside, a request leaves each `G_n d(b) / b + x(b)` seconds: its share of decode steps, and its own prefill, which
//! nobody shares. Up to the batch this is a processor-sharing system, whose law of `n` does not depend on the law of
//! service. Above it the queue is first come, first served, and the ratio of neighbouring probabilities is that of the
//! diffusion with the variability of service; the probability to wait is left as it was.

use super::first_token::{Found, Grid, law};
use super::kv::{KvTable, OutputMoments};
use super::phases::{PhaseMoves, Phases, equilibrium};
use super::prediction::{Model, NotApplicable, Prediction};
use super::system::System;

/// Lattice cells of the KV cache.
const KV_CELLS: usize = 192;
/// Most requests in the system that the chain follows.
const MOST_REQUESTS: usize = 400;
/// Grid of the time to first token.
const GRID: Grid = Grid { finest_step_s: 2.5e-3, most_points: 2048, most_joined: 2, curve_points: 100 };
/// Most requests in a batch whose phases are followed; the phases of a larger batch are many.
const MOST_BATCH: usize = 256;

/// Birth-death chain with corrections, in milliseconds.
///
/// # Errors
/// A batch of more than 256, or an overload that keeps more than 400 requests inside.
pub fn closed_form(system: &System) -> Result<Prediction, NotApplicable> {
    let batch = system.max_batch();
    if batch > MOST_BATCH {
        let reason =
            format!("max_batch = {batch}: the wait for a place is computed for batches up to {MOST_BATCH}");
        return Err(NotApplicable { model: Model::ClosedForm, reason });
    }
    let kv = KvTable::new(system, KV_CELLS, MOST_REQUESTS);
    if !kv.complete {
        let reason = format!("more than {MOST_REQUESTS} requests in the system");
        return Err(NotApplicable { model: Model::ClosedForm, reason });
    }
    let moments = OutputMoments::of_accepted(&kv.kernels);
    let moves = PhaseMoves::full_batch(Phases::fit(&moments, if batch <= 16 { 3 } else { 2 }), batch);
    let prompt_scv = system.prompt().scv();
    let states: Vec<State> =
        (0..=kv.largest()).map(|n| State::new(system, &kv, &moments, prompt_scv, n)).collect();
    let chance = stationary(system, &states);
    let phases = equilibrium(&moves.phases, &moves.sets[batch]);
    let mut found = Vec::new();
    let mut lost = 0.0;
    for (n, (state, p)) in states.iter().zip(&chance).enumerate() {
        lost += p * state.lost;
        let occupancy = &kv.by_count[n];
        let phases = if n >= batch { phases.clone() } else { Vec::new() };
        let parts = [
            (None, (1.0 - state.prefill_share) * (1.0 - occupancy.lost)),
            (Some((1, 0)), state.prefill_share * (1.0 - occupancy.lost_in_prefill)),
        ];
        for (prefill, share) in parts.into_iter().filter(|x| x.1 > 0.0) {
            found.push(Found { count: n, prefill, chance: p * share, phases: phases.clone() });
        }
    }
    let ttft = law(system, &kv, &moves, &found, GRID);
    Ok(Prediction {
        model: Model::ClosedForm,
        mean_ttft_s: ttft.mean_s(),
        ttft,
        throughput_per_s: system.arrival_rate_per_s() * (1.0 - lost),
        blocking_probability: lost,
        mean_in_system: chance.iter().enumerate().map(|(n, p)| n as f64 * p).sum(),
        states: states.len(),
    })
}

/// One number in the system.
struct State {
    /// Departures (1/s).
    rate_per_s: f64,
    /// Fraction of time in prefill.
    prefill_share: f64,
    /// Probability that an arrival is lost.
    lost: f64,
    /// Squared variation of the time between departures of a full batch.
    scv: f64,
}

impl State {
    fn new(system: &System, kv: &KvTable, output: &OutputMoments, prompt_scv: f64, n: usize) -> Self {
        let occupancy = &kv.by_count[n];
        if n == 0 {
            return Self { rate_per_s: 0.0, prefill_share: 0.0, lost: occupancy.lost, scv: 1.0 };
        }
        let b = system.active(n);
        let steps = system.steps();
        let scv = (output.square / (output.mean * output.mean) - 1.0).max(0.0);
        // Product-form rates hold where service is exponential; where it is constant, work falls like the mean residual.
        let weight = if n > system.max_batch() { scv.min(1.0) } else { 1.0 };
        let by_residual = output.mean * occupancy.residual_output / output.residual;
        let decode_s =
            (weight * occupancy.rate_output + (1.0 - weight) * by_residual) * steps.decode_s(b) / b as f64;
        let prefill_s = steps.prefill_s(occupancy.prompt, b);
        let share = prefill_s / (decode_s + prefill_s);
        let tokens_share = steps.at(b).prefill_token_s * occupancy.prompt / prefill_s.max(f64::MIN_POSITIVE);
        let prefill_scv = tokens_share * tokens_share * prompt_scv;
        Self {
            rate_per_s: 1.0 / (decode_s + prefill_s),
            prefill_share: share,
            lost: (1.0 - share) * occupancy.lost + share * occupancy.lost_in_prefill,
            scv: (1.0 - share) * (1.0 - share) * scv + share * share * prefill_scv,
        }
    }
}

/// Stationary law: exponential up to the batch, diffusion ratios above, with the exponential probability to wait.
fn stationary(system: &System, states: &[State]) -> Vec<f64> {
    let batch = system.max_batch();
    let mut exponential = vec![0.0];
    let mut diffusion = vec![0.0];
    for pair in states.windows(2) {
        let accepted = system.arrival_rate_per_s() * (1.0 - pair[0].lost);
        let (mu, last) = (pair[1].rate_per_s, exponential.len() - 1);
        exponential.push(exponential[last] + libm::log(accepted / mu));
        let ratio =
            if last >= batch { queue_ratio(accepted, mu, pair[1].scv) } else { libm::log(accepted / mu) };
        diffusion.push(diffusion[last] + ratio);
    }
    let top = |logs: &[f64]| logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = |logs: &[f64]| -> Vec<f64> {
        let top = top(logs);
        logs.iter().map(|w| libm::exp(w - top)).collect()
    };
    let exponential = weights(&exponential);
    if states.len() <= batch {
        let total: f64 = exponential.iter().sum();
        return exponential.iter().map(|w| w / total).collect();
    }
    let diffusion = weights(&diffusion);
    let (below, waits): (f64, f64) = (exponential[..batch].iter().sum(), exponential[batch..].iter().sum());
    let tail: f64 = diffusion[batch..].iter().sum();
    let total = below + waits;
    let head = exponential[..batch].iter().map(|w| w / total);
    head.chain(diffusion[batch..].iter().map(|w| w / tail * waits / total)).collect()
}

/// Logarithm of the ratio of neighbouring probabilities in a queue. In overload that of the diffusion with Poisson arrivals,
/// `2 (l - m) / (l + m c^2)`; below it the geometric law whose mean is `(1 + c^2) / 2` times the exponential one, which
/// meets the diffusion where load is one and Pollaczek-Khinchine at any load.
fn queue_ratio(lambda: f64, mu: f64, scv: f64) -> f64 {
    if lambda >= mu {
        2.0 * (lambda - mu) / (lambda + mu * scv)
    } else {
        let queue = 0.5 * (1.0 + scv) * lambda / (mu - lambda);
        libm::log(queue / (1.0 + queue))
    }
}
