//! One request at a time: M/G/1, and exact.
//!
//! With `max_num_seqs = 1` nobody shares a step. A request takes the steps of its prompt and one step for each further token, the
//! next begins when it has gone (the step that asynchronous scheduling decides ahead is empty and takes no time), and an idle
//! engine begins at once. So requests are served one after another, in order, with independent times.

use super::prediction::PagedNotApplicable;
use super::system::PagedSystem;
use crate::queueing::{Empirical, Mg1, QueueingError, Service, WaitLaw};

/// Lattice points of a service time up to its longest.
const POINTS: usize = 4_000;
/// Groups of prompts for the law of service.
const PROMPTS: usize = 64;

/// The engine that runs one request at a time.
pub struct SinglePrediction {
    /// Share of time busy.
    pub utilization: f64,
    /// Mean time to first token (s).
    pub mean_ttft_s: f64,
    /// Mean time per output token, over requests with more than one (s).
    pub mean_tpot_s: f64,
    /// Mean time to the last token (s).
    pub mean_e2e_s: f64,
    /// Mean number of waiting requests.
    pub mean_waiting: f64,
    wait: WaitLaw,
    /// Front end and prompt, in groups of equal probability (s).
    prompts_s: Vec<(f64, f64)>,
}

impl SinglePrediction {
    /// Time to first token that a share `p` of requests does not exceed (s): the wait and, independent of it, the own prompt.
    ///
    /// # Errors
    /// Tails beyond the numerical method.
    pub fn ttft_quantile_s(&self, p: f64) -> Result<f64, QueueingError> {
        let exceeds = |t: f64| -> Result<f64, QueueingError> {
            self.prompts_s.iter().try_fold(0.0, |sum, &(own_s, weight)| {
                let tail = if t < own_s { 1.0 } else { self.wait.tail(t - own_s)? };
                Ok(sum + weight * tail)
            })
        };
        let mut high = self.mean_ttft_s.max(1e-9);
        while exceeds(high)? > 1.0 - p {
            high *= 2.0;
        }
        let mut low = 0.0;
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if exceeds(middle)? > 1.0 - p { low = middle } else { high = middle }
        }
        Ok(0.5 * (low + high))
    }
}

/// The engine with `max_num_seqs = 1`.
///
/// # Errors
/// More than one place, a setting that is none, overload, or a law beyond the numerical method.
pub fn single(system: &PagedSystem<'_>) -> Result<SinglePrediction, PagedNotApplicable> {
    system.check()?;
    if system.limits.max_num_seqs != 1 {
        return Err(PagedNotApplicable::ManySeats { max_num_seqs: system.limits.max_num_seqs });
    }
    let holds = system.limits.usable_blocks * system.limits.block_size;
    let largest = system.prompt.largest() + system.output.largest();
    if largest > holds {
        return Err(PagedNotApplicable::TooFewBlocks {
            blocks: largest as f64 / system.limits.block_size as f64,
            usable: system.limits.usable_blocks,
        });
    }
    let prompts = groups(system);
    let service = service(system, &prompts)?;
    let queue = Mg1::new(system.arrival_rate_per_s, service)?;
    let own = |of: &dyn Fn(f64) -> f64| prompts.iter().map(|(tokens, p)| p * of(*tokens)).sum::<f64>();
    let mean_prompt_s = own(&|tokens| prompt_s(system, tokens));
    let several: f64 = system.output.masses().iter().skip(2).sum();
    let per_token_s = |tokens: f64| -> f64 {
        let law = system.output.masses().iter().enumerate().skip(2);
        law.map(|(g, p)| p * decode_s(system, tokens, g as f64) / (g as f64 - 1.0)).sum()
    };
    Ok(SinglePrediction {
        utilization: queue.utilization(),
        mean_ttft_s: system.front_end_s + queue.mean_wait() + mean_prompt_s,
        mean_tpot_s: if several > 0.0 { own(&per_token_s) / several } else { 0.0 },
        mean_e2e_s: system.front_end_s + queue.mean_sojourn(),
        mean_waiting: queue.mean_queue(),
        wait: queue.wait()?,
        prompts_s: prompts
            .iter()
            .map(|(tokens, p)| (system.front_end_s + prompt_s(system, *tokens), *p))
            .collect(),
    })
}

/// Steps of a prompt alone (s).
fn prompt_s(system: &PagedSystem<'_>, tokens: f64) -> f64 {
    let budget = system.limits.max_num_batched_tokens as f64;
    let full = libm::floor(tokens / budget);
    let rest = tokens - full * budget;
    let last_s = if rest > 0.0 { system.prompt_step_s(rest, tokens) } else { 0.0 };
    (0..full as usize).map(|i| system.prompt_step_s(budget, (i + 1) as f64 * budget)).sum::<f64>() + last_s
}

/// Decode steps of an output of `g` tokens alone (s): steps are linear in the context.
fn decode_s(system: &PagedSystem<'_>, prompt: f64, g: f64) -> f64 {
    (g - 1.0) * system.decode_step_s(1.0, prompt + g / 2.0)
}

/// Prompts in groups: (mean tokens, probability). Few different ones stay as they are.
fn groups(system: &PagedSystem<'_>) -> Vec<(f64, f64)> {
    let masses = system.prompt.masses();
    let all: Vec<(f64, f64)> =
        masses.iter().enumerate().filter(|(_, p)| **p > 0.0).map(|(t, p)| (t as f64, *p)).collect();
    if all.len() <= PROMPTS {
        return all;
    }
    let mut groups = Vec::with_capacity(PROMPTS + 1);
    let (mut weight, mut sum) = (0.0, 0.0);
    for (tokens, p) in all {
        weight += p;
        sum += p * tokens;
        if weight >= 1.0 / PROMPTS as f64 {
            groups.push((sum / weight, weight));
            (weight, sum) = (0.0, 0.0);
        }
    }
    if weight > 0.0 {
        groups.push((sum / weight, weight));
    }
    groups
}

/// The law of service on a lattice, split between neighbours so that the mean stays. Values that lie on the lattice stay.
fn service(system: &PagedSystem<'_>, prompts: &[(f64, f64)]) -> Result<Service, QueueingError> {
    let mut atoms = Vec::new();
    for &(tokens, p) in prompts {
        let own_s = prompt_s(system, tokens);
        for (g, q) in system.output.masses().iter().enumerate().filter(|(_, q)| **q > 1e-14) {
            atoms.push((own_s + decode_s(system, tokens, g as f64), p * q));
        }
    }
    let longest = atoms.iter().map(|(s, _)| *s).fold(0.0, f64::max);
    // Steps that all last equally long are a lattice of their own.
    let one_s = atoms.iter().map(|(s, _)| *s).fold(f64::INFINITY, f64::min);
    let whole = |s: f64| (s / one_s - libm::round(s / one_s)).abs() < 1e-9;
    let unit = if atoms.iter().all(|(s, _)| whole(*s)) { one_s } else { longest / POINTS as f64 };
    let mut weights = vec![0.0; (longest / unit) as usize + 3];
    for (s, p) in atoms {
        let place = s / unit;
        let below = libm::floor(place + 1e-9);
        let share = (place - below).max(0.0);
        weights[below as usize] += p * (1.0 - share);
        weights[below as usize + 1] += p * share;
    }
    let values: Vec<(f64, f64)> = weights
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, p)| **p > 0.0)
        .map(|(i, p)| (i as f64 * unit, *p))
        .collect();
    let (values, weights): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
    Ok(Service::Empirical(Empirical::new(&values, &weights)?))
}
