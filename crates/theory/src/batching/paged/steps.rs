//! Steps while the number of requests stands still: how much prefill they carry, how long they last, and what an arrival
//! sees of them.
//!
//! The number of requests changes over hundreds of steps, the prefill in a step from one step to the next. So for each number
//! the law of the prefill backlog is that of a chain by itself: a step that serves `min(w, budget)` of `w` prompt tokens
//! lasts `t(w)`, the arrivals during it are Poisson of mean `rate * t(w)`, and their prompts are the backlog of the step after
//! the next (of the next, without asynchronous scheduling); two interleaved chains have the law of one.

use super::prompts::{PromptSums, add, plus};
use super::system::PagedSystem;
use crate::batching::grid::TimeLaw;
use crate::queueing::numeric::poisson_pmf;

/// Most rounds towards the stationary backlog.
const ROUNDS: usize = 400;

/// The steps at one number of requests.
pub(super) struct Steps {
    /// Sequences that decode in a step, on average.
    pub decode_seqs: f64,
    /// A step without prefill (s).
    pub bare_s: f64,
    /// Mean step (s).
    pub mean_s: f64,
    /// Mean square of a step (s^2).
    pub square_s2: f64,
    /// Law of the backlog at a step.
    pub backlog: Vec<f64>,
    /// Duration of a step by backlog (s).
    pub duration_s: Vec<f64>,
}

impl Steps {
    /// Steps with this many decoding sequences when requests arrive at `rate_per_s`.
    pub(super) fn new(
        system: &PagedSystem<'_>,
        prompts: &PromptSums,
        rate_per_s: f64,
        decode_seqs: f64,
    ) -> Self {
        let cells = prompts.cells();
        let room = (system.limits.max_num_batched_tokens as f64 - decode_seqs).max(1.0);
        let tokens = |cell: usize| cell as f64 * prompts.cell;
        let duration_s: Vec<f64> =
            (0..cells).map(|c| system.step_s(decode_seqs, tokens(c).min(room))).collect();
        let served = (room / prompts.cell).max(1.0) as usize;
        let last = prompts.sums.len() - 1;
        let counts: Vec<Vec<f64>> =
            duration_s.iter().map(|d| (0..=last).map(|j| poisson_pmf(j, rate_per_s * d)).collect()).collect();
        let in_full = prompts.of_arrivals(rate_per_s * duration_s[cells - 1], 0);
        let mut backlog = prompts.sums[0].clone();
        let mean = |law: &[f64]| law.iter().zip(&duration_s).map(|(p, d)| p * d).sum::<f64>();
        let mut before = mean(&backlog);
        for _ in 0..ROUNDS {
            backlog = next_backlog(prompts, &counts, &in_full, &backlog, served);
            let now = mean(&backlog);
            let settled = (now - before).abs() < 1e-9 * now;
            before = now;
            if settled {
                break;
            }
        }
        Self {
            decode_seqs,
            bare_s: duration_s[0],
            mean_s: before,
            square_s2: backlog.iter().zip(&duration_s).map(|(p, d)| p * d * d).sum(),
            backlog,
            duration_s,
        }
    }

    /// Share of time that prefill adds.
    pub(super) fn prefill_share(&self) -> f64 {
        1.0 - self.bare_s / self.mean_s
    }

    /// Law of a step's duration.
    pub(super) fn law(&self, h: f64) -> TimeLaw {
        let mut law = TimeLaw::zero(h);
        for (p, &d) in self.backlog.iter().zip(&self.duration_s) {
            if *p > 1e-13 {
                law.put(d, *p);
            }
        }
        law
    }

    /// Time from an arrival to its first token: the rest of the step in progress (an arrival sees long ones more often), the
    /// step that was decided already, and the steps that carry its prompt with those that came in the same step.
    pub(super) fn first_token(
        &self,
        system: &PagedSystem<'_>,
        prompts: &PromptSums,
        rate_per_s: f64,
        h: f64,
    ) -> TimeLaw {
        let mut sum = TimeLaw::zero(h);
        let mut cell = 0;
        while cell < self.backlog.len() {
            let d = self.duration_s[cell];
            let alike = self.duration_s[cell..].iter().take_while(|other| **other <= d).count();
            let weight = self.backlog[cell..cell + alike].iter().sum::<f64>() * d / self.mean_s;
            cell += alike;
            if weight > 1e-9 {
                let own = self.own_steps(system, prompts, rate_per_s * d, h);
                sum.add(&own.plus(&TimeLaw::uniform(h, d)), weight);
            }
        }
        if system.lead_steps() > 0 {
            sum = sum.plus(&self.law(h));
        }
        sum
    }

    /// The steps that carry a request's prompt, together with those of Poisson arrivals of mean `others`.
    pub(super) fn own_steps(
        &self,
        system: &PagedSystem<'_>,
        prompts: &PromptSums,
        others: f64,
        h: f64,
    ) -> TimeLaw {
        let room = (system.limits.max_num_batched_tokens as f64 - self.decode_seqs).max(1.0);
        let mut law = TimeLaw::zero(h);
        for (cell, &mass) in prompts.of_arrivals(others, 1).iter().enumerate() {
            if mass < 1e-14 {
                continue;
            }
            let tokens = cell as f64 * prompts.cell;
            let full = libm::floor(tokens / room);
            let rest = tokens - full * room;
            let last_s = if rest > 0.0 || full < 1.0 { system.step_s(self.decode_seqs, rest) } else { 0.0 };
            let full_s = if full > 0.0 { full * system.step_s(self.decode_seqs, room) } else { 0.0 };
            law.put(full_s + last_s, mass);
        }
        law
    }
}

/// The backlog at the next step: what a full budget left, and the prompts that arrived during a step. All steps with a full
/// budget last equally long, so what arrives during them has one law, `in_full`.
fn next_backlog(
    prompts: &PromptSums,
    counts: &[Vec<f64>],
    in_full: &[f64],
    backlog: &[f64],
    served: usize,
) -> Vec<f64> {
    let cells = backlog.len();
    let mut fresh = vec![0.0; counts[0].len()];
    for (cell, &p) in backlog.iter().enumerate().take(served + 1).filter(|(_, p)| **p > 1e-15) {
        add(&mut fresh, &counts[cell], p);
    }
    let left: Vec<f64> =
        (0..cells).map(|i| backlog.get(i + served).copied().filter(|_| i > 0).unwrap_or(0.0)).collect();
    let mut next = plus(&left, in_full);
    for (j, share) in fresh.iter().enumerate().filter(|(_, share)| **share > 1e-15) {
        add(&mut next, &prompts.sums[j], *share);
    }
    let total: f64 = next.iter().sum();
    for mass in &mut next {
        *mass /= total;
    }
    next
}
