//! A request inside an engine of the zoo, and the record that it leaves.

use kendall_des::{SimDuration, SimTime};

use crate::engine::Arrival;
use crate::record::{RequestRecord, RequestStatus, RowKind, TtftParts};
use crate::request::{PromptContent, SessionTurn};

use super::Rejection;

/// Where a request is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// At the door: the engine has not looked at it.
    Inbox,
    /// In the waiting queue, never admitted or thrown out again.
    Waiting,
    /// Running, its prompt not yet computed.
    Prefilling,
    /// Running: one token in each decode step.
    Decoding,
    /// Out of the batch with its KV in host memory.
    SwappedOut,
    /// It has left.
    Gone,
}

/// One request. Its counts are those at the last time that something happened to it alone: while it decodes, ask
/// [`super::State::computed`] and [`super::State::outputs`].
#[derive(Debug, Clone)]
pub struct Request {
    /// Number in the workload.
    pub index: u64,
    /// Prompt length in tokens.
    pub num_prompt_tokens: u32,
    /// What the prompt consists of.
    pub prompt: PromptContent,
    /// Smaller is more urgent.
    pub priority: i32,
    /// When it reached the engine's input queue.
    pub received: SimTime,
    /// When the client sent it.
    pub arrival: SimTime,
    /// Who sent it.
    pub session: Option<SessionTurn>,
    /// Where it is.
    pub(super) stage: Stage,
    /// Tokens that it will have been given when it ends. Nobody knows but the oracle.
    pub(super) output_tokens: u32,
    /// Tokens whose KV is computed.
    pub(super) computed: u32,
    /// Tokens delivered.
    pub(super) outputs: u32,
    /// Blocks held, where decoding takes none.
    pub(super) blocks: u32,
    /// Number of its latest admission.
    pub(super) stamp: u64,
    /// Number of the first decode step in which it takes part since.
    pub(super) joined: u64,
    /// How it will come into its next step.
    pub(super) kind: RowKind,
    pub(super) life: Life,
}

/// Time stamps and counts for the record.
#[derive(Debug, Clone)]
pub(super) struct Life {
    pub queued: Option<SimTime>,
    pub first_scheduled: Option<SimTime>,
    pub first_token: Option<SimTime>,
    pub last_token: SimTime,
    pub num_preemptions: u32,
    pub num_cached_tokens: u32,
    pub num_lost_tokens: u64,
    pub ttft: TtftParts,
    /// Up to here the time to the first token is accounted for.
    pub accounted: SimTime,
    /// Computed tokens that a preemption took: computing up to here again is its cost.
    pub recompute_until: u32,
    /// When it was thrown out, until it is given a token again.
    pub thrown_out: Option<SimTime>,
    pub preempted: SimDuration,
    /// Why the server gave it up, if it did.
    pub failure: Option<Rejection>,
}

impl Request {
    pub(super) fn new(arrival: Arrival, longest: u32) -> Self {
        let Arrival { index, received, spec } = arrival;
        Self {
            index,
            num_prompt_tokens: spec.num_prompt_tokens,
            prompt: spec.prompt,
            priority: spec.priority,
            received,
            arrival: spec.arrival,
            session: spec.session,
            stage: Stage::Inbox,
            output_tokens: spec.max_tokens.min(longest - spec.num_prompt_tokens),
            computed: 0,
            outputs: 0,
            blocks: 0,
            stamp: 0,
            joined: 0,
            kind: RowKind::Admitted,
            life: Life {
                queued: None,
                first_scheduled: None,
                first_token: None,
                last_token: received,
                num_preemptions: 0,
                num_cached_tokens: 0,
                num_lost_tokens: 0,
                ttft: TtftParts { front_end: received - spec.arrival, ..TtftParts::default() },
                accounted: received,
                recompute_until: 0,
                thrown_out: None,
                preempted: SimDuration::ZERO,
                failure: None,
            },
        }
    }

    /// Where it is in its life.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The class of requests that it belongs to, in the order of the scenario, from 0.
    pub fn class(&self) -> u16 {
        self.session.map_or(0, |sender| sender.class)
    }

    /// Whether it was admitted before.
    pub fn was_admitted(&self) -> bool {
        self.life.first_scheduled.is_some()
    }

    /// Whether the server has given it up.
    pub fn has_failed(&self) -> bool {
        self.life.failure.is_some()
    }

    pub(super) fn record(
        &self,
        status: RequestStatus,
        replica: u32,
        now: SimTime,
        outputs: u32,
    ) -> RequestRecord {
        let life = &self.life;
        RequestRecord {
            index: self.index,
            replica,
            status,
            rejection: life.failure,
            arrival: self.arrival,
            received: self.received,
            queued: life.queued,
            first_scheduled: life.first_scheduled,
            first_token: life.first_token,
            last_token: life.first_token.map(|_| life.last_token),
            finish: now,
            num_prompt_tokens: self.num_prompt_tokens,
            num_output_tokens: outputs,
            num_cached_tokens: life.num_cached_tokens,
            num_preemptions: life.num_preemptions,
            num_lost_tokens: life.num_lost_tokens,
            preempted_for: Some(
                life.thrown_out.map_or(life.preempted, |since| life.preempted + (now - since)),
            ),
            session: self.session,
            priority: self.priority,
            ttft_parts: if life.first_token.is_some() { life.ttft } else { TtftParts::default() },
        }
    }
}

impl Life {
    /// Time since the last account, which is now closed at `now`.
    pub(super) fn elapsed(&mut self, now: SimTime) -> SimDuration {
        let elapsed = now - self.accounted;
        self.accounted = now;
        elapsed
    }

    /// A request that was thrown out is back after `elapsed`: a part of the time to its first token, if that is still to come.
    pub(super) fn wait_of_preempted(&mut self, elapsed: SimDuration) {
        if self.first_token.is_none() {
            self.ttft.preemption += elapsed;
        }
    }

    /// A token is delivered at `now`. Returns the time since the one before, if there was one.
    pub(super) fn deliver(&mut self, now: SimTime) -> Option<SimDuration> {
        if let Some(since) = self.thrown_out.take() {
            self.preempted += now - since;
        }
        let gap = self.first_token.map(|_| now - self.last_token);
        self.first_token.get_or_insert(now);
        self.last_token = now;
        gap
    }
}
