//! The parts of a latency, and the shares of a step that lead to them.

use kendall_des::SimDuration;
use serde::Serialize;

use crate::record::{RowKind, StepRecord, StepRow};
use crate::step_time::{BatchShape, StepTimeModel};

/// What a request was doing, or waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyPart {
    /// Between the client and the engine's input queue.
    FrontEnd,
    /// In the input queue: the engine looks into it between steps.
    StepBoundary,
    /// In the waiting queue while `max_num_seqs` requests ran.
    SeatWait,
    /// In the waiting queue while the token budget of each step went to others.
    BudgetWait,
    /// In the waiting queue while the KV blocks that the head of the queue needs were not free.
    KvWait,
    /// In the waiting queue by the rule of an engine other than vLLM: a batch that runs to its end, or is not full yet.
    RuleWait,
    /// Its own prompt, as long as it would have taken in steps without others.
    Prefill,
    /// Its own output tokens after the first, as long as they would have taken in steps without others.
    Decode,
    /// What prompt chunks of others added to its steps.
    ChunkInterference,
    /// What decoding sequences of others added to its steps, and steps that had no token for it.
    Sharing,
    /// In the waiting queue again after a preemption, and results that a preemption made void.
    Preempted,
    /// Steps that computed again what a preemption took.
    Recompute,
}

impl LatencyPart {
    /// All parts, in the order in which a request meets them.
    pub const ALL: [Self; 12] = [
        Self::FrontEnd,
        Self::StepBoundary,
        Self::SeatWait,
        Self::BudgetWait,
        Self::KvWait,
        Self::RuleWait,
        Self::Prefill,
        Self::Decode,
        Self::ChunkInterference,
        Self::Sharing,
        Self::Preempted,
        Self::Recompute,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrontEnd => "front end",
            Self::StepBoundary => "step boundary",
            Self::SeatWait => "waiting for a seat",
            Self::BudgetWait => "waiting for token budget",
            Self::KvWait => "waiting for KV blocks",
            Self::RuleWait => "waiting for the batch",
            Self::Prefill => "own prefill",
            Self::Decode => "own decode",
            Self::ChunkInterference => "others' prompt chunks",
            Self::Sharing => "others' decoding",
            Self::Preempted => "preempted",
            Self::Recompute => "recompute",
        }
    }
}

/// How a span of time divides over the parts; they sum exactly to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencyParts([SimDuration; LatencyPart::ALL.len()]);

impl LatencyParts {
    /// One part.
    pub fn get(&self, part: LatencyPart) -> SimDuration {
        self.0[part as usize]
    }

    /// The whole.
    pub fn total(&self) -> SimDuration {
        self.0.into_iter().sum()
    }

    /// The sum over several parts.
    pub fn sum_of(&self, parts: &[LatencyPart]) -> SimDuration {
        parts.iter().map(|&part| self.get(part)).sum()
    }

    /// Both spans together.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for (part, more) in self.0.iter_mut().zip(other.0) {
            *part += more;
        }
        self
    }

    pub(super) fn add(&mut self, part: LatencyPart, duration: SimDuration) {
        self.0[part as usize] += duration;
    }
}

/// What of the time up to a step's result is a request's own, and what others added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepShares {
    pub own: SimDuration,
    pub chunks: SimDuration,
    pub sharing: SimDuration,
}

impl StepShares {
    /// Divides `elapsed`: first the step that the row would have been alone, then what the step is longer for the prompt
    /// chunks of others, then the rest.
    pub(super) fn of(
        step_time: &StepTimeModel,
        step: &StepRecord,
        row: &StepRow,
        decodes: bool,
        elapsed: SimDuration,
    ) -> Self {
        let alone = alone(row, decodes);
        let own = step_time.step_time(&alone).min(elapsed);
        let without_chunks = step_time.step_time(&without_chunks(&step.shape, &alone));
        let full = step_time.step_time(&step.shape);
        let added = full.as_ps().saturating_sub(without_chunks.as_ps());
        let chunks = SimDuration::from_ps(added).min(elapsed - own);
        Self { own, chunks, sharing: elapsed - own - chunks }
    }
}

/// The batch that has this row only.
fn alone(row: &StepRow, decodes: bool) -> BatchShape {
    let mut shape = BatchShape::default();
    let context = u64::from(row.num_computed_tokens + row.num_tokens);
    if decodes {
        shape.add_decode(context);
    } else {
        shape.add_prefill(u64::from(row.num_tokens), context);
    }
    shape.new_seqs = u64::from(row.kind != RowKind::Running);
    shape
}

/// The step without the prompt chunks of others; a chunk of the request itself stays.
fn without_chunks(step: &BatchShape, own: &BatchShape) -> BatchShape {
    BatchShape {
        decode_seqs: step.decode_seqs,
        decode_context_tokens: step.decode_context_tokens,
        shared_tokens: step.shared_tokens,
        new_seqs: own.new_seqs,
        prefill_tokens: own.prefill_tokens,
        prefill_context_tokens: own.prefill_context_tokens,
        prefill_attention: own.prefill_attention,
        prefill_seqs: own.prefill_seqs,
        prefill_squares: own.prefill_squares,
        idle_seqs: step.idle_seqs,
    }
}
