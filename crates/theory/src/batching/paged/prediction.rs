//! What the model says, and when it says nothing.

use thiserror::Error;

use super::blocks::Holding;
use super::first_token::Parts;
use super::lifetimes::Lifetimes;
use super::numbers::Numbers;
use super::overload::{self, Limit, Saturation};
use super::points::Points;
use super::prompts::PromptSums;
use super::seats::Seats;
use super::system::{PagedSystem, PagedSystemError};
use crate::batching::grid::TimeLaw;
use crate::queueing::QueueingError;

/// What the model takes for granted.
pub const ASSUMPTIONS: [&str; 6] = [
    "Poisson arrivals, independent lengths, stationary state",
    "the prefill in a step is in equilibrium at each number of requests: that number changes slowly",
    "requests that share steps are a processor-sharing system, whatever the law of outputs",
    "contexts are at their mean given the number of requests",
    "departures of a full engine are Poisson over the wait of one request, and a geometric queue has the long-run variance",
    "time per token of a request is independent of its time to first token",
];

/// A prediction: means and laws.
#[derive(Debug, Clone)]
pub struct PagedPrediction {
    /// Law of the time to first token.
    pub ttft: TimeLaw,
    /// Law of the time per output token after the first.
    pub tpot: TimeLaw,
    /// Law of the time to the last token.
    pub e2e: TimeLaw,
    /// Mean time per output token (s).
    pub mean_tpot_s: f64,
    /// Requests completed per second.
    pub throughput_per_s: f64,
    /// Mean number of running requests.
    pub mean_running: f64,
    /// Mean number of waiting requests.
    pub mean_waiting: f64,
    /// Mean share of the KV blocks in use.
    pub kv_use: f64,
    /// Probability that a request waits for a place or for blocks.
    pub waits: f64,
    /// Probability that the running requests, if all could run, would need more blocks than there are: preemption begins
    /// where it shows.
    pub blocks_short: f64,
    /// The engine with an endless queue.
    pub saturation: Saturation,
    /// Numbers of requests in the chain: what the answer cost.
    pub states: usize,
}

/// Why the model says nothing.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PagedNotApplicable {
    /// A setting is no setting.
    #[error(transparent)]
    System(#[from] PagedSystemError),
    /// More arrives than is completed.
    #[error(
        "no stationary state: {arrival_rate_per_s} requests/s arrive and a full engine completes {capacity_per_s:.4}/s"
    )]
    Overloaded {
        /// Arrivals (1/s).
        arrival_rate_per_s: f64,
        /// Completions of a full engine (1/s).
        capacity_per_s: f64,
    },
    /// Requests that decode nothing.
    #[error("every output is one token: only prompts are computed, and the model is one of decoding")]
    PromptsOnly,
    /// The token budget binds, not the running list.
    #[error(
        "the token budget of {budget} is full before max_num_seqs is: prompts queue within the running list, which the model does \
         not know; overload begins at {capacity_per_s:.4} requests/s"
    )]
    BudgetBinds {
        /// Tokens of a step.
        budget: usize,
        /// Completions of a full engine (1/s).
        capacity_per_s: f64,
    },
    /// For one request at a time, and there are more.
    #[error("max_num_seqs is {max_num_seqs}, and M/G/1 runs one request at a time")]
    ManySeats {
        /// Most running requests.
        max_num_seqs: usize,
    },
    /// A queue without an answer.
    #[error(transparent)]
    Queue(#[from] QueueingError),
    /// One request needs more blocks than there are.
    #[error("a mean request holds {blocks:.1} blocks of {usable}: too few run at once for a mean to tell")]
    TooFewBlocks {
        /// Blocks of a mean running request.
        blocks: f64,
        /// Usable blocks.
        usable: usize,
    },
}

impl PagedPrediction {
    /// Share of requests within limits (s) on the time to first token, per token, to the last; each as if independent of the
    /// first two, and the last by itself.
    pub fn attainment(&self, ttft_s: Option<f64>, tpot_s: Option<f64>, e2e_s: Option<f64>) -> f64 {
        let share = |law: &TimeLaw, limit: Option<f64>| limit.map_or(1.0, |limit| law.cdf(limit));
        (share(&self.ttft, ttft_s) * share(&self.tpot, tpot_s)).min(share(&self.e2e, e2e_s))
    }
}

/// The boundary of overload: requests per second that an engine with an endless queue completes.
///
/// # Errors
/// A setting that is none, or KV blocks for hardly a request.
pub fn saturation(system: &PagedSystem<'_>) -> Result<Saturation, PagedNotApplicable> {
    check(system)?;
    Ok(overload::saturation(system, &prompt_sums(system)))
}

/// The stationary state.
///
/// # Errors
/// A setting that is none, KV blocks for hardly a request, a token budget that binds, or overload.
pub fn predict(system: &PagedSystem<'_>) -> Result<PagedPrediction, PagedNotApplicable> {
    check(system)?;
    let prompts = prompt_sums(system);
    let full = overload::saturation(system, &prompts);
    if system.arrival_rate_per_s >= full.capacity_per_s {
        return Err(PagedNotApplicable::Overloaded {
            arrival_rate_per_s: system.arrival_rate_per_s,
            capacity_per_s: full.capacity_per_s,
        });
    }
    if full.limit == Limit::Tokens {
        let budget = system.limits.max_num_batched_tokens;
        return Err(PagedNotApplicable::BudgetBinds { budget, capacity_per_s: full.capacity_per_s });
    }
    let seats = Seats::new(system, &full);
    let points = Points::new(system, &prompts, seats.most());
    let numbers = Numbers::new(system, &points, &full, &seats);
    let parts =
        Parts { system, prompts: &prompts, points: &points, numbers: &numbers, full: &full, seats: &seats };
    let ttft = parts.ttft();
    let lifetimes = Lifetimes::new(system, &points, &numbers, &seats);
    let mean = |of: &dyn Fn(usize) -> f64| -> f64 {
        numbers.chance.iter().enumerate().map(|(n, p)| p * of(n)).sum()
    };
    let running = mean(&|n| seats.served(n));
    let holding = Holding::of(system);
    let usable = system.limits.usable_blocks as f64;
    Ok(PagedPrediction {
        tpot: lifetimes.tpot(),
        e2e: lifetimes.e2e(&ttft),
        ttft,
        mean_tpot_s: lifetimes.mean_tpot_s,
        throughput_per_s: system.arrival_rate_per_s,
        mean_running: running,
        mean_waiting: mean(&|n| n as f64 - seats.served(n)),
        kv_use: (running * holding.mean / usable).min(1.0),
        waits: mean(&|n| seats.full(n)),
        blocks_short: mean(&|n| holding.short(n, usable)),
        saturation: full,
        states: numbers.chance.len(),
    })
}

pub(super) fn check(system: &PagedSystem<'_>) -> Result<(), PagedNotApplicable> {
    system.check()?;
    if system.decode_steps() <= 0.0 {
        return Err(PagedNotApplicable::PromptsOnly);
    }
    let blocks = Holding::of(system).mean;
    if 3.0 * blocks > system.limits.usable_blocks as f64 {
        return Err(PagedNotApplicable::TooFewBlocks { blocks, usable: system.limits.usable_blocks });
    }
    Ok(())
}

/// Sums of as many prompts as a step may carry.
pub(super) fn prompt_sums(system: &PagedSystem<'_>) -> PromptSums {
    let budget = system.limits.max_num_batched_tokens as f64;
    let mean = system.prompt.mean();
    let a_step = system.limits.max_num_seqs as f64 / system.place_steps();
    let longest_s = system.step_s(system.limits.max_num_seqs as f64, budget.min(4.0 * mean));
    let expected = (system.arrival_rate_per_s * longest_s).max(a_step).min(2.0 * budget / mean + 1.0);
    PromptSums::new(system.prompt, budget, expected)
}
