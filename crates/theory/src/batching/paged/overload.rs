//! The boundary of overload: what the engine completes when a request is always waiting.

use super::blocks::{Holding, Slack, slack};
use super::prompts::PromptSums;
use super::system::PagedSystem;
use crate::queueing::numeric::poisson_pmf;

/// What limits an engine that always has a request waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `max_num_seqs`.
    Seqs,
    /// `max_num_batched_tokens`.
    Tokens,
    /// KV blocks.
    Blocks,
}

/// The engine with a queue that never ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Saturation {
    /// Completions per second: the queue drifts if and only if more arrive.
    pub capacity_per_s: f64,
    /// Requests that complete in a step, on average.
    pub completed_per_step: f64,
    /// Sequences that decode in a step, on average.
    pub decode_seqs: f64,
    /// Requests in the running list, on average.
    pub running: f64,
    /// Mean step (s).
    pub step_s: f64,
    /// A step without prompts (s).
    pub bare_step_s: f64,
    /// Preemptions per completion.
    pub preemptions_per_request: f64,
    /// KV blocks in use, as a share.
    pub kv_use: f64,
    /// What binds.
    pub limit: Limit,
}

/// The saturated engine: the tightest of its three limits.
pub(super) fn saturation(system: &PagedSystem<'_>, prompts: &PromptSums) -> Saturation {
    let limits = &system.limits;
    let budget = limits.max_num_batched_tokens as f64;
    let by_tokens = budget / (system.prompt.mean() + system.decode_steps());
    let mut by_seqs = limits.max_num_seqs as f64 / system.place_steps();
    for _ in 0..20 {
        let room = (budget - by_seqs * system.decode_steps()).max(1.0);
        by_seqs =
            limits.max_num_seqs as f64 / (system.place_steps() + further_chunks(prompts, by_seqs, room));
    }
    let (completed, limit) =
        if by_seqs <= by_tokens { (by_seqs, Limit::Seqs) } else { (by_tokens, Limit::Tokens) };
    let holding = Holding::of(system);
    let usable = limits.usable_blocks as f64;
    let running = completed * system.place_steps();
    // Blocks bind where the running list would fill them: then some are always left over.
    if running * holding.mean + 2.0 * (running * holding.variance).sqrt() < usable {
        return at(system, prompts, completed, 0.0, limit);
    }
    let (by_blocks, slack) = completed_by_blocks(system, &holding, completed);
    if by_blocks < completed {
        let preemptions = slack.preemptions_per_step / by_blocks;
        let again = preemptions * computed_again(system, &holding, by_blocks);
        let full = at(system, prompts, by_blocks, again, Limit::Blocks);
        Saturation { preemptions_per_request: preemptions, ..full }
    } else {
        at(system, prompts, completed, 0.0, limit)
    }
}

/// Share of its prompt that a preempted request computes again.
///
/// Without prefix caching all of it. With it, its full blocks are the free ones and stay cached until the growth of the others takes
/// them, from the end of the prompt on: in the rest of the step that preempts, half of it on average, and those decided already, then
/// until somebody leaves and the request is admitted again.
fn computed_again(system: &PagedSystem<'_>, holding: &Holding, completed: f64) -> f64 {
    if !system.limits.prefix_caching {
        return 1.0;
    }
    let growth = completed * system.decode_steps() / system.limits.block_size as f64;
    let at_once = growth * (system.lead_steps() as f64 + 0.5);
    // Blocks that are taken before a departure: geometric with this mean, up to all that there are.
    let mean = growth / completed.min(1.0);
    let left = (holding.prompt - 0.5 - at_once).max(0.0);
    let kept = left - mean * (1.0 - libm::exp(-left / mean));
    1.0 - (kept / holding.prompt).clamp(0.0, 1.0)
}

/// Completions in a step that the blocks allow.
fn completed_by_blocks(system: &PagedSystem<'_>, holding: &Holding, most: f64) -> (f64, Slack) {
    let usable = system.limits.usable_blocks as f64;
    let lead = system.lead_steps() as f64;
    let mut completed = most.min(usable / holding.mean / system.place_steps());
    let mut last = Slack { free: 0.0, preemptions_per_step: 0.0 };
    for _ in 0..12 {
        last = slack(system, completed * system.place_steps(), completed);
        // A preempted request held its prompt's blocks for the steps until it was preempted, and will again.
        let wasted = last.preemptions_per_step * (lead + 2.0) * holding.prompt;
        let used = (usable - last.free - wasted).max(holding.mean.min(usable));
        let next = used / holding.mean / system.place_steps();
        let settled = (next - completed).abs() < 1e-6 * completed;
        completed = 0.5 * (completed + next);
        if settled {
            break;
        }
    }
    (completed, last)
}

/// The engine that completes so many requests a step.
pub(super) fn at(
    system: &PagedSystem<'_>,
    prompts: &PromptSums,
    completed: f64,
    preemptions: f64,
    limit: Limit,
) -> Saturation {
    let decode_seqs = completed * system.decode_steps();
    let room = (system.limits.max_num_batched_tokens as f64 - decode_seqs).max(1.0);
    let step_s = mean_step_s(system, prompts, completed * (1.0 + preemptions), decode_seqs, room);
    let running = completed * system.place_steps();
    Saturation {
        capacity_per_s: completed / step_s,
        completed_per_step: completed,
        decode_seqs,
        running,
        step_s,
        bare_step_s: system.step_s(decode_seqs, 0.0),
        preemptions_per_request: preemptions,
        kv_use: (running * Holding::of(system).mean / system.limits.usable_blocks as f64).min(1.0),
        limit,
    }
}

/// Mean step when Poisson many prompts of this mean begin in each.
fn mean_step_s(
    system: &PagedSystem<'_>,
    prompts: &PromptSums,
    admitted: f64,
    decode_seqs: f64,
    room: f64,
) -> f64 {
    let bare_s = system.step_s(decode_seqs, 0.0);
    let full_s = system.step_s(decode_seqs, room) - bare_s;
    let mut sum = 0.0;
    let mut left = 1.0;
    let last = prompts.sums.len() - 1;
    for j in 0..=last {
        let p = if j == last { left } else { poisson_pmf(j, admitted) };
        left -= p;
        if p < 1e-13 {
            continue;
        }
        for (cell, mass) in prompts.sums[j].iter().enumerate().filter(|(_, mass)| **mass > 1e-14) {
            let tokens = cell as f64 * prompts.cell;
            // What exceeds the budget is computed in further steps: its time counts here, their bases there.
            let full = libm::floor(tokens / room);
            sum += p * mass * (full * full_s + system.step_s(decode_seqs, tokens - full * room));
        }
    }
    sum
}

/// Mean number of steps that a prompt needs beyond its first, with Poisson others of this mean before it.
fn further_chunks(prompts: &PromptSums, others: f64, room: f64) -> f64 {
    let last = prompts.sums.len() - 1;
    (0..last)
        .map(|j| {
            let steps = |cell: usize| libm::floor(cell as f64 * prompts.cell / room);
            let law = prompts.sums[j + 1].iter().enumerate();
            poisson_pmf(j, others) * law.map(|(cell, mass)| mass * steps(cell)).sum::<f64>()
        })
        .sum()
}
