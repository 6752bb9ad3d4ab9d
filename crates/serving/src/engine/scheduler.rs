//! One scheduling step: who gets how many tokens, who is admitted, who is preempted.
//!
//! Rules: vLLM 0.32, `vllm/v1/core/sched/scheduler.py`, `Scheduler.schedule`. There is no prefill or decode phase:
//! every request is given tokens so that its computed tokens catch up with its known ones.

use kendall_des::SimTime;

use crate::kv::{Allocation, PrefixHit};
use crate::record::RowKind;
use crate::step_time::BatchShape;

use super::cohort::CohortRows;
use super::request::{EngineRequest, Status};
use super::{Engine, SchedulingPolicy, SelfPreemption, Slot};

/// What `schedule()` decided.
#[derive(Debug, Clone, Default)]
pub(crate) struct SchedulerOutput {
    /// The members' share; their rows come before the others.
    pub cohort: CohortRows,
    pub rows: Vec<Row>,
    pub preempted: Vec<Slot>,
    pub shape: BatchShape,
}

impl SchedulerOutput {
    /// Nothing is decided yet; room for the rows is kept, so that steps do not allocate.
    fn clear(&mut self) {
        self.cohort.count = 0;
        self.cohort.ending.clear();
        self.rows.clear();
        self.preempted.clear();
        self.shape = BatchShape::default();
    }

    /// Whether it gives nobody but members a token, and all of them go on.
    pub(crate) fn is_plain(&self) -> bool {
        self.rows.is_empty() && self.cohort.count > 0 && self.cohort.ending.is_empty()
    }

    /// Whether somebody is given a token to compute.
    pub(crate) fn has_rows(&self) -> bool {
        self.cohort.count > 0 || !self.rows.is_empty()
    }
}

/// One request's share of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub slot: Slot,
    pub num_tokens: u32,
    pub num_computed_tokens: u32,
    pub kind: RowKind,
    /// Blocks it held before.
    pub blocks_before: u32,
    /// Whether its result is an output token.
    pub delivers: bool,
}

/// A step's decisions while they are being made.
struct Draft<'o> {
    output: &'o mut SchedulerOutput,
    budget: u32,
    /// Longest prompt chunk, 0 for none.
    threshold: u32,
}

impl Engine {
    /// Decides the next step at `now`. `in_flight` are the batches whose results are to come, oldest first.
    pub(crate) fn schedule<'b>(
        &mut self,
        now: SimTime,
        output: &mut SchedulerOutput,
        in_flight: impl Iterator<Item = &'b mut SchedulerOutput>,
    ) {
        output.clear();
        if !self.cohort.formed {
            self.form_cohort();
        }
        if !self.schedule_with_cohort(now, output) {
            self.dissolve_cohort(in_flight);
            self.schedule_one_by_one(now, output);
        }
        output.shape.shared_tokens = self.kv.shared_tokens();
        self.count_batch();
    }

    /// Decides the next step request by request.
    fn schedule_one_by_one(&mut self, now: SimTime, output: &mut SchedulerOutput) {
        let budget = self.config.max_num_batched_tokens;
        let mut draft = Draft { output, budget, threshold: self.chunk_threshold() };
        self.schedule_running(now, &mut draft);
        if draft.output.preempted.is_empty() {
            self.schedule_waiting(now, &mut draft);
        }
        self.advance_scheduled(output);
    }

    /// Decides the next step with the members as one; `false`, with nothing changed, if that takes a preemption.
    fn schedule_with_cohort(&mut self, now: SimTime, output: &mut SchedulerOutput) -> bool {
        if !self.cohort.formed {
            return false;
        }
        if !self.cohort.others.is_empty() {
            self.let_others_join();
        }
        let nobody_else = self.cohort.others.is_empty() && self.waiting.is_empty();
        let budget = self.config.max_num_batched_tokens - self.cohort.num_rows as u32;
        if self.cohort.block_needs.next() + self.blocks_for_others(budget) > self.kv.num_free() {
            return false;
        }
        let (members, context) = (self.cohort.num_rows, self.cohort.context);
        self.schedule_members(&mut output.cohort);
        if !nobody_else {
            self.schedule_others(now, Draft { output, budget, threshold: 0 });
        }
        output.shape.decode_seqs += members;
        output.shape.decode_context_tokens += context;
        true
    }

    /// Blocks that the running requests that are no members need in the next step.
    fn blocks_for_others(&self, mut budget: u32) -> u32 {
        let mut needed = 0;
        for &slot in &self.cohort.others {
            let request = &self.requests[slot as usize];
            let num_tokens = self.tokens_to_compute(request, 0, budget);
            let slots = request.num_computed_tokens + num_tokens;
            needed += slots.div_ceil(self.config.block_size).saturating_sub(request.blocks.num_blocks);
            budget -= num_tokens;
        }
        needed
    }

    /// Decides for everybody but the members.
    fn schedule_others(&mut self, now: SimTime, mut draft: Draft<'_>) {
        for i in 0..self.cohort.others.len() {
            let slot = self.cohort.others[i];
            let request = &self.requests[slot as usize];
            let num_tokens = self.tokens_to_compute(request, 0, draft.budget);
            if num_tokens > 0 {
                let row = Row::running(slot, request, num_tokens);
                let taken = self.allocate_running(slot, num_tokens);
                assert!(taken, "the blocks of the others were counted before");
                draft.give(row);
            }
        }
        let num_running = self.running.len();
        self.schedule_waiting(now, &mut draft);
        self.cohort.others.extend_from_slice(&self.running[num_running..]);
        self.advance_scheduled(draft.output);
    }

    /// Tokens that a running request is given from what is left of the budget.
    fn tokens_to_compute(&self, request: &EngineRequest, threshold: u32, budget: u32) -> u32 {
        if request.last_token_in_flight() {
            return 0;
        }
        let computed = request.num_computed_tokens;
        let num_tokens = request.num_known_tokens + request.num_output_placeholders - computed;
        let num_tokens = if threshold > 0 { num_tokens.min(threshold) } else { num_tokens };
        num_tokens.min(budget).min((self.config.max_model_len - 1).saturating_sub(computed))
    }

    fn chunk_threshold(&self) -> u32 {
        let threshold = self.config.long_prefill_token_threshold;
        let num_requests = (self.running.len() + self.waiting.len()) as u32;
        if threshold == 0 || self.config.lone_request_exempt && num_requests <= 1 {
            return 0;
        }
        if self.config.long_prefill_token_threshold_adaptive && num_requests > 0 {
            return threshold.max(self.config.max_num_batched_tokens / num_requests);
        }
        threshold
    }

    /// Phase A: running requests in list order, that is, in order of admission.
    fn schedule_running(&mut self, now: SimTime, draft: &mut Draft<'_>) {
        let mut i = 0;
        while i < self.running.len() && draft.budget > 0 {
            let slot = self.running[i];
            let request = &self.requests[slot as usize];
            let num_tokens = self.tokens_to_compute(request, draft.threshold, draft.budget);
            if num_tokens == 0 {
                i += 1;
                continue;
            }
            let row = Row::running(slot, request, num_tokens);
            let mut preempted_itself = false;
            while !preempted_itself && !self.allocate_running(slot, num_tokens) {
                let victim = self.take_victim(&mut i, draft);
                self.preempt(victim, now);
                draft.output.preempted.push(victim);
                preempted_itself = victim == slot;
            }
            if preempted_itself {
                match self.config.self_preemption {
                    SelfPreemption::Stop => break,
                    SelfPreemption::Continue => continue,
                }
            }
            draft.give(row);
            i += 1;
        }
    }

    fn allocate_running(&mut self, slot: Slot, num_new_tokens: u32) -> bool {
        let request = &mut self.requests[slot as usize];
        let want = Allocation {
            num_computed_tokens: request.num_computed_tokens,
            num_new_tokens,
            num_known_tokens: request.num_known_tokens,
            reserve_full: false,
            keep_watermark: false,
        };
        self.kv.allocate(&mut request.blocks, &request.keys, &PrefixHit::default(), want)
    }

    /// Takes the victim of a preemption out of the running list; `i` is the position being scheduled.
    fn take_victim(&mut self, i: &mut usize, draft: &mut Draft<'_>) -> Slot {
        let position = match self.config.scheduling_policy {
            SchedulingPolicy::Fcfs => self.running.len() - 1,
            SchedulingPolicy::Priority => {
                let urgency = |position: usize| {
                    let request = &self.requests[self.running[position] as usize];
                    (request.priority, request.received)
                };
                // Among equals the first in the list, which has run for longest.
                (1..self.running.len())
                    .fold(0, |worst, p| if urgency(p) > urgency(worst) { p } else { worst })
            }
        };
        let victim = self.running.remove(position);
        if position < *i {
            *i -= 1;
        }
        let rows = &mut draft.output.rows;
        if let Some(row) = rows.iter().position(|row| row.slot == victim) {
            draft.budget += rows.remove(row).num_tokens;
        }
        victim
    }

    /// Takes everything from a request and puts it back at the front of the waiting queue.
    fn preempt(&mut self, slot: Slot, now: SimTime) {
        self.name_blocks();
        let request = &mut self.requests[slot as usize];
        self.preempted_here += u32::from(request.life.num_preemptions == 0);
        self.kv.free(&mut request.blocks);
        self.held_tokens -= u64::from(request.num_computed_tokens);
        let life = &mut request.life;
        life.num_preemptions += 1;
        life.num_lost_tokens += u64::from(request.num_computed_tokens);
        if life.first_token.is_none() {
            let since_last_step = life.elapsed(now);
            life.ttft.interference += since_last_step;
            life.recompute_until = life.recompute_until.max(request.num_computed_tokens);
        }
        request.num_computed_tokens = 0;
        request.num_output_placeholders = 0;
        request.stale_tokens = request.in_flight_tokens;
        request.status = Status::Preempted;
        self.waiting.push_front(slot, request);
        self.totals.num_preemptions += 1;
    }

    /// Phase B: admissions from the head of the waiting queue until one does not fit.
    fn schedule_waiting(&mut self, now: SimTime, draft: &mut Draft<'_>) {
        let limit = self.config.max_num_active_seqs.unwrap_or(self.config.max_num_seqs) as usize;
        let mut set_aside = Vec::new();
        while draft.budget > 0 && self.running.len() < limit {
            let Some(slot) = self.waiting.head() else { break };
            if self.requests[slot as usize].stale_tokens > 0 {
                self.waiting.pop();
                set_aside.push(slot);
                continue;
            }
            if !self.admit(slot, now, draft) {
                break;
            }
        }
        for slot in set_aside.into_iter().rev() {
            self.waiting.push_front(slot, &self.requests[slot as usize]);
        }
    }

    /// Admits the head of the waiting queue with as many tokens as the budget has left, if its blocks can be had.
    fn admit(&mut self, slot: Slot, now: SimTime, draft: &mut Draft<'_>) -> bool {
        let others_running = !self.running.is_empty();
        let request = &mut self.requests[slot as usize];
        let known = request.num_known_tokens;
        // Not before: a request that waits long need not carry its keys.
        if self.kv.wants_keys() {
            request.keys.extend_to(known, self.config.block_size);
        }
        let hit = self.kv.prefix_hit(&request.keys, known);
        let hit_tokens = hit.num_tokens(self.config.block_size);
        let mut num_tokens = known - hit_tokens;
        if draft.threshold > 0 {
            num_tokens = num_tokens.min(draft.threshold);
        }
        if !self.config.enable_chunked_prefill && num_tokens > draft.budget {
            return false;
        }
        num_tokens = num_tokens.min(draft.budget);
        let want = Allocation {
            num_computed_tokens: 0,
            num_new_tokens: num_tokens,
            num_known_tokens: known,
            reserve_full: self.config.scheduler_reserve_full_isl,
            keep_watermark: others_running,
        };
        if !self.kv.allocate(&mut request.blocks, &request.keys, &hit, want) {
            return false;
        }
        request.num_computed_tokens = hit_tokens;
        self.held_tokens += u64::from(hit_tokens);
        let kind = if request.status == Status::Preempted { RowKind::Resumed } else { RowKind::Admitted };
        request.status = Status::Running;
        request.admission = self.next_admission;
        self.next_admission += 1;
        let life = &mut request.life;
        if kind == RowKind::Admitted {
            life.first_scheduled = Some(now);
            life.num_cached_tokens = hit_tokens;
            life.ttft.queue = life.elapsed(now);
            self.totals.prefix_cache_queries += u64::from(known);
            self.totals.prefix_cache_hits += u64::from(hit_tokens);
        } else if life.first_token.is_none() {
            let waited = life.elapsed(now);
            life.ttft.preemption += waited;
        }
        self.waiting.pop();
        self.running.push(slot);
        draft.give(Row {
            slot,
            num_tokens,
            num_computed_tokens: hit_tokens,
            kind,
            blocks_before: 0,
            delivers: false,
        });
        true
    }

    /// Counts the scheduled tokens as computed and sums up the batch.
    fn advance_scheduled(&mut self, output: &mut SchedulerOutput) {
        let shape = &mut output.shape;
        for row in &mut output.rows {
            let request = &mut self.requests[row.slot as usize];
            let context = row.num_computed_tokens + row.num_tokens;
            let to_know = request.num_known_tokens + request.num_output_placeholders;
            let decodes = row.num_tokens == 1
                && row.num_computed_tokens >= request.num_prompt_tokens
                && context == to_know;
            if decodes {
                shape.add_decode(u64::from(context));
            } else {
                shape.add_prefill(u64::from(row.num_tokens), u64::from(context));
            }
            shape.new_seqs += u64::from(row.kind != RowKind::Running);
            request.num_computed_tokens = context;
            request.in_flight_tokens += row.num_tokens;
            self.held_tokens += u64::from(row.num_tokens);
            row.delivers = context >= to_know;
            if self.config.async_scheduling && row.delivers {
                request.num_output_placeholders += 1;
            }
        }
    }
}

impl Row {
    fn running(slot: Slot, request: &EngineRequest, num_tokens: u32) -> Self {
        Self {
            slot,
            num_tokens,
            num_computed_tokens: request.num_computed_tokens,
            kind: RowKind::Running,
            blocks_before: request.blocks.num_blocks,
            delivers: false,
        }
    }
}

impl Draft<'_> {
    fn give(&mut self, row: Row) {
        self.budget -= row.num_tokens;
        self.output.rows.push(row);
    }
}
