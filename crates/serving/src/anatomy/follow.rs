//! One request, followed from step to step. Each stretch of its time is booked when its end is known.
//!
//! Up to the first token this books what the engine books itself (`engine/output.rs`, `engine/scheduler.rs`), in more
//! parts; a property holds the two together.

use kendall_des::{SimDuration, SimTime};

use crate::engine::EngineConfig;
use crate::record::{RequestRecord, RowKind, StepRecord, StepRow};
use crate::simulation::{FrontEnd, SimulationConfig};
use crate::step_time::StepTimeModel;

use super::parts::{LatencyPart, LatencyParts, StepShares};
use super::{Anatomy, LifeEvent, Turn};

/// What decides how time is booked.
pub(super) struct Rules<'a> {
    engine: &'a EngineConfig,
    step_time: &'a StepTimeModel,
}

impl<'a> Rules<'a> {
    pub(super) fn of(config: &'a SimulationConfig) -> Self {
        Self { engine: &config.engine, step_time: &config.step_time }
    }

    /// Why a request that waits after this scheduling step was not admitted in it. vLLM 0.32, `Scheduler.schedule`: nobody
    /// is admitted after a preemption, beyond `max_num_seqs`, or without budget; otherwise the head of the queue found too
    /// few blocks. Without chunked prefill its prompt may also be longer than the rest of the budget.
    fn wait_for(&self, step: &StepRecord, record: &RequestRecord) -> LatencyPart {
        if self.engine.zoo.is_some() {
            return LatencyPart::RuleWait;
        }
        let seats = self.engine.max_num_active_seqs.unwrap_or(self.engine.max_num_seqs);
        let tokens: u32 = step.rows.iter().map(|row| row.num_tokens).sum();
        let budget = self.engine.max_num_batched_tokens.saturating_sub(tokens);
        let needed = if self.engine.enable_chunked_prefill { 1 } else { record.num_prompt_tokens };
        if !step.preempted.is_empty() {
            LatencyPart::KvWait
        } else if step.num_running >= seats {
            LatencyPart::SeatWait
        } else if budget < needed {
            LatencyPart::BudgetWait
        } else {
            LatencyPart::KvWait
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not admitted yet.
    Waiting,
    Running,
    Preempted,
}

/// A request on its way.
pub(super) struct Followed {
    anatomy: Anatomy,
    state: State,
    /// Up to here its time is booked.
    accounted: SimTime,
    /// What it waits for, as of the last scheduling step.
    waits_for: LatencyPart,
    /// Computed tokens, those in flight included.
    num_computed_tokens: u32,
    /// Computed tokens that a preemption took.
    recompute_until: u32,
    has_first_token: bool,
}

impl Followed {
    pub(super) fn new(record: RequestRecord, front_end: &FrontEnd) -> Self {
        let mut to_first_token = LatencyParts::default();
        to_first_token.add(LatencyPart::FrontEnd, record.received - record.arrival);
        let taken_in = record.queued.unwrap_or(record.finish);
        to_first_token.add(LatencyPart::StepBoundary, taken_in - record.received);
        Self {
            state: State::Waiting,
            accounted: taken_in,
            waits_for: LatencyPart::KvWait,
            num_computed_tokens: 0,
            recompute_until: 0,
            has_first_token: false,
            anatomy: Anatomy {
                to_first_token,
                front_end: front_end.split(record.received - record.arrival, record.num_prompt_tokens),
                after: LatencyParts::default(),
                events: Vec::new(),
                num_steps: 0,
                num_steps_with_chunks: 0,
                sum_of_batch_sizes: 0,
                record,
            },
        }
    }

    pub(super) fn is_on(&self, replica: u32) -> bool {
        self.anatomy.record.replica == replica
    }

    /// Whether it is in the engine at that time.
    fn is_here(&self, at: SimTime) -> bool {
        let record = &self.anatomy.record;
        record.queued.is_some_and(|queued| queued <= at) && at <= record.finish
    }

    fn book(&mut self, part: LatencyPart, duration: SimDuration) {
        let parts =
            if self.has_first_token { &mut self.anatomy.after } else { &mut self.anatomy.to_first_token };
        parts.add(part, duration);
    }

    fn elapsed(&mut self, now: SimTime) -> SimDuration {
        let elapsed = now - self.accounted;
        self.accounted = now;
        elapsed
    }

    fn note(&mut self, step: &StepRecord, what: Turn) {
        self.anatomy.events.push(LifeEvent {
            at: step.scheduled,
            what,
            num_running: step.num_running,
            num_waiting: step.num_waiting,
            free_blocks: step.free_blocks,
        });
    }

    fn row<'s>(&self, step: &'s StepRecord) -> Option<&'s StepRow> {
        step.rows.iter().find(|row| row.request == self.anatomy.record.index)
    }

    /// The engine decided a step.
    pub(super) fn scheduling(&mut self, step: &StepRecord, rules: &Rules<'_>) {
        let now = step.scheduled;
        if !self.is_here(now) {
            return;
        }
        if self.state == State::Running && step.preempted.contains(&self.anatomy.record.index) {
            let since_last_result = self.elapsed(now);
            self.book(LatencyPart::Sharing, since_last_result);
            self.note(step, Turn::Preempted { lost_tokens: self.num_computed_tokens });
            self.recompute_until = self.recompute_until.max(self.num_computed_tokens);
            self.num_computed_tokens = 0;
            self.state = State::Preempted;
            return;
        }
        let row = self.row(step);
        if self.state != State::Running {
            let waited = self.elapsed(now);
            self.book(
                if self.state == State::Preempted { LatencyPart::Preempted } else { self.waits_for },
                waited,
            );
            match row.map(|row| row.kind) {
                None => self.waits_for = rules.wait_for(step, &self.anatomy.record),
                Some(RowKind::Resumed) => self.note(step, Turn::Resumed),
                Some(_) => {
                    let cached_tokens = self.anatomy.record.num_cached_tokens;
                    self.note(step, Turn::Admitted { cached_tokens });
                }
            }
        }
        if let Some(row) = row {
            self.state = State::Running;
            self.num_computed_tokens = row.num_computed_tokens + row.num_tokens;
        }
    }

    /// The result of a step was processed.
    pub(super) fn result(&mut self, step: &StepRecord, rules: &Rules<'_>) {
        let Some(row) = self.row(step).filter(|_| self.is_here(step.end)) else { return };
        let elapsed = self.elapsed(step.end);
        let context = row.num_computed_tokens + row.num_tokens;
        // A decode computes the token that was delivered last; anything else after the first token is computed again.
        let decodes = self.has_first_token && row.num_tokens == 1 && context > self.recompute_until;
        let others_chunks = step.shape.prefill_seqs > u64::from(!decodes);
        self.anatomy.num_steps += 1;
        self.anatomy.num_steps_with_chunks += u64::from(others_chunks);
        self.anatomy.sum_of_batch_sizes += step.rows.len() as u64;
        if self.state == State::Preempted {
            self.book(LatencyPart::Preempted, elapsed);
        } else if context <= self.recompute_until || self.has_first_token && !decodes {
            self.book(LatencyPart::Recompute, elapsed);
        } else {
            let shares = StepShares::of(rules.step_time, step, row, decodes, elapsed);
            self.book(if decodes { LatencyPart::Decode } else { LatencyPart::Prefill }, shares.own);
            self.book(LatencyPart::ChunkInterference, shares.chunks);
            self.book(LatencyPart::Sharing, shares.sharing);
        }
        self.has_first_token |= self.anatomy.record.first_token == Some(step.end) && row.delivers;
    }

    /// Books what is left up to the departure: of an abort, or of a run that ended early.
    pub(super) fn finish(mut self) -> Anatomy {
        let rest = self.elapsed(self.anatomy.record.finish);
        let part = match self.state {
            State::Waiting => self.waits_for,
            State::Running => LatencyPart::Sharing,
            State::Preempted => LatencyPart::Preempted,
        };
        self.book(part, rest);
        self.anatomy
    }
}
