//! Decoding in lockstep: requests that do nothing but generate, one token a step, are advanced together.
//!
//! Most requests of most steps only decode, and nothing is decided about them. Such a *member* of the cohort is described
//! by the batch that it joined at; its counts follow from how many batches have been scheduled and processed since. So a
//! step costs what is decided in it, not what runs in it. Where a decision concerns members (a preemption, an abort), the
//! cohort is *dissolved*: every member's counts are written down, and the plain rules of `scheduler.rs` take over until
//! the requests run in lockstep again.
//!
//! Architecture invariant: with and without cohorts an engine takes the same decisions and reports the same records
//! (invariant 10).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use kendall_des::SimTime;

use crate::kv::{Allocation, PrefixHit};
use crate::record::RowKind;

use super::block_needs::BlockNeeds;
use super::request::{EngineRequest, Status};
use super::scheduler::{Row, SchedulerOutput};
use super::{Engine, Slot};

/// The members and what they add up to.
#[derive(Debug, Clone)]
pub(super) struct Cohort {
    /// Whether requests in lockstep are members; otherwise every running request is scheduled by itself.
    pub formed: bool,
    /// Members that will have a row in the next batch.
    pub num_rows: u64,
    /// Sum of the contexts that they will have after it.
    pub context: u64,
    pub block_needs: BlockNeeds,
    ends: BinaryHeap<Reverse<End>>,
    /// Running requests that are no members, in list order.
    pub others: Vec<Slot>,
}

/// A member by the number of its last batch, then by order of admission. One number, because comparing numbers needs no
/// branches, which nobody could predict: 52 bits are enough for batches, 44 for admissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End(u128);

impl End {
    fn new(batch: u64, admission: u64, slot: Slot) -> Self {
        debug_assert!(batch < 1 << 52 && admission < 1 << 44);
        Self(u128::from(batch) << 76 | u128::from(admission) << 32 | u128::from(slot))
    }

    fn batch(self) -> u64 {
        (self.0 >> 76) as u64
    }

    fn slot(self) -> Slot {
        self.0 as Slot
    }
}

/// A request's place in the cohort.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Membership {
    /// The first batch in which it decodes as a member.
    joined: u64,
    /// The last one.
    last: u64,
    /// In which batches, modulo the block size, it needs a block: when its computed tokens fill whole ones.
    block_phase: u32,
}

/// The members' part of a batch.
#[derive(Debug, Clone, Default)]
pub(crate) struct CohortRows {
    pub count: u64,
    /// Members whose last token it computes, in list order.
    pub ending: Vec<Slot>,
}

impl Cohort {
    pub(super) fn new(block_size: u32) -> Self {
        Self {
            formed: false,
            num_rows: 0,
            context: 0,
            block_needs: BlockNeeds::new(block_size),
            ends: BinaryHeap::new(),
            others: Vec::new(),
        }
    }

    fn clear(&mut self) {
        self.formed = false;
        self.num_rows = 0;
        self.context = 0;
        self.block_needs.clear();
        self.ends.clear();
        self.others.clear();
    }

    /// The batch in which the next member ends.
    pub(super) fn next_end(&self) -> Option<u64> {
        self.ends.peek().map(|Reverse(end)| end.batch())
    }
}

impl Engine {
    /// Tokens that the request will still be given rows for, all that is in flight delivered.
    fn rows_to_come(&self, request: &EngineRequest) -> u64 {
        let longest = self.config.max_model_len - request.num_prompt_tokens;
        let wanted = u64::from(request.max_tokens.min(longest));
        wanted.saturating_sub(u64::from(request.num_output_tokens() + request.num_output_placeholders))
    }

    /// Whether the request will decode one token in the next batch, right after the token that came before.
    fn is_in_lockstep(&self, request: &EngineRequest) -> bool {
        let to_compute =
            request.num_known_tokens + request.num_output_placeholders - request.num_computed_tokens;
        let fresh = if self.config.async_scheduling {
            request.num_output_placeholders == 1
        } else {
            request.life.first_token.is_some() && request.life.last_token == self.last_completion
        };
        request.status == Status::Running
            && to_compute == 1
            && fresh
            && request.stale_tokens == 0
            && request.num_computed_tokens >= request.num_prompt_tokens
            && self.rows_to_come(request) > 0
    }

    /// The request becomes a member from the next batch on.
    fn join(&mut self, slot: Slot) {
        let block_size = self.config.block_size;
        let request = &self.requests[slot as usize];
        let last = self.next_batch + self.rows_to_come(request) - 1;
        let cohort = &mut self.cohort;
        let in_last_block = request.num_computed_tokens % block_size;
        let to_fill = if in_last_block > 0 { block_size - in_last_block } else { 0 };
        cohort.num_rows += 1;
        cohort.context += u64::from(request.num_computed_tokens) + 1;
        let block_phase = cohort.block_needs.add(to_fill);
        cohort.ends.push(Reverse(End::new(last, request.admission, slot)));
        let membership = Membership { joined: self.next_batch, last, block_phase };
        self.requests[slot as usize].membership = Some(membership);
    }

    /// Forms the cohort from the running list, if its requests run in lockstep ahead of all others. Rows of theirs that
    /// are in flight stay as they are: they are settled on the counts written down.
    pub(super) fn form_cohort(&mut self) {
        if self.config.one_by_one || self.config.long_prefill_token_threshold > 0 {
            return;
        }
        let in_lockstep = |&slot: &Slot| self.is_in_lockstep(&self.requests[slot as usize]);
        let count = self.running.iter().take_while(|slot| in_lockstep(slot)).count();
        if count == 0 || self.running[count..].iter().any(in_lockstep) {
            return;
        }
        self.cohort.clear();
        self.cohort.formed = true;
        for i in 0..count {
            self.join(self.running[i]);
        }
        self.cohort.others.extend_from_slice(&self.running[count..]);
    }

    /// Writes down what a member has computed and been given, as of the batches scheduled and processed so far.
    fn write_down(&mut self, slot: Slot) {
        let request = &mut self.requests[slot as usize];
        let Some(Membership { joined, last, .. }) = request.membership.take() else { return };
        let since_joined = |next: u64| (next.min(last + 1)).saturating_sub(joined) as u32;
        let scheduled = since_joined(self.next_batch);
        let processed = since_joined(self.next_result);
        request.num_computed_tokens += scheduled;
        request.num_known_tokens += processed;
        request.in_flight_tokens += scheduled - processed;
        if self.config.async_scheduling {
            request.num_output_placeholders += scheduled - processed;
        }
        if processed > 0 {
            request.life.last_token = self.last_completion;
        }
        if scheduled > 0 {
            request.blocks.num_blocks = request.num_computed_tokens.div_ceil(self.config.block_size);
        }
        if self.kv.wants_keys() {
            request.keys.extend_to(request.num_known_tokens, self.config.block_size);
        } else if scheduled > 0 {
            // As `take_member_blocks` would have cached them.
            let in_flight = u32::from(self.config.async_scheduling);
            let cached = request.num_computed_tokens - in_flight;
            self.kv.cache_full_blocks(&mut request.blocks, &request.keys, cached);
        }
    }

    /// Writes down all members and gives their rows in the batches in flight their own lines again. `in_flight` are the
    /// batches whose results are to come, oldest first.
    pub(super) fn dissolve_cohort<'b>(&mut self, in_flight: impl Iterator<Item = &'b mut SchedulerOutput>) {
        if !self.cohort.formed {
            return;
        }
        for (batch, output) in (self.next_result..).zip(in_flight) {
            let mut rows = Vec::with_capacity(output.cohort.count as usize + output.rows.len());
            for &slot in &self.running {
                if let Some(row) = self.member_row(slot, batch) {
                    rows.push(row);
                }
            }
            debug_assert_eq!(rows.len() as u64, output.cohort.count);
            rows.append(&mut output.rows);
            output.rows = rows;
            output.cohort = CohortRows::default();
        }
        for i in 0..self.running.len() {
            self.write_down(self.running[i]);
        }
        self.cohort.clear();
    }

    /// The row of a member in a batch, if it has one there.
    pub(super) fn member_row(&self, slot: Slot, batch: u64) -> Option<Row> {
        let request = &self.requests[slot as usize];
        let Membership { joined, last, .. } = request.membership?;
        let before = request.num_computed_tokens + (batch.checked_sub(joined)? as u32);
        (batch <= last).then_some(Row {
            slot,
            num_tokens: 1,
            num_computed_tokens: before,
            kind: RowKind::Running,
            blocks_before: before.div_ceil(self.config.block_size),
            delivers: true,
        })
    }

    /// One more batch has been scheduled.
    pub(super) fn count_batch(&mut self) {
        self.next_batch += 1;
        self.cohort.block_needs.skip_one();
    }

    /// Gives every member its row in the next batch. The caller has made sure of the blocks.
    pub(super) fn schedule_members(&mut self, rows: &mut CohortRows) {
        let batch = self.next_batch;
        if self.kv.counts_only() {
            self.kv.take_counted(self.cohort.block_needs.next());
        } else {
            self.take_member_blocks(batch);
        }
        rows.count = self.cohort.num_rows;
        self.held_tokens += rows.count;
        self.cohort.context += rows.count;
        self.retire_ending(batch, &mut rows.ending);
    }

    /// Members whose last batch this is, the one scheduled last, have no more rows.
    #[inline]
    pub(super) fn retire_ending(&mut self, batch: u64, ending: &mut Vec<Slot>) {
        if self.cohort.next_end() == Some(batch) {
            self.retire_all(batch, ending);
        }
    }

    #[inline(never)]
    fn retire_all(&mut self, batch: u64, ending: &mut Vec<Slot>) {
        while self.cohort.next_end() == Some(batch) {
            let Some(slot) = self.cohort.ends.pop().map(|Reverse(end)| end.slot()) else { break };
            let request = &self.requests[slot as usize];
            let Some(membership) = request.membership else { continue };
            let next_context = u64::from(request.num_computed_tokens) + (batch + 1 - membership.joined) + 1;
            self.cohort.num_rows -= 1;
            self.cohort.context -= next_context;
            self.cohort.block_needs.remove(membership.block_phase);
            ending.push(slot);
        }
    }

    /// Takes blocks and caches full ones where the pool is kept block by block, in the order of the running list.
    fn take_member_blocks(&mut self, batch: u64) {
        let block_size = self.config.block_size;
        for i in 0..self.running.len() {
            let slot = self.running[i];
            let Some(row) = self.member_row(slot, batch) else { continue };
            let computed = row.num_computed_tokens;
            let fills = (computed + 1).is_multiple_of(block_size);
            if !computed.is_multiple_of(block_size) && (self.config.async_scheduling || !fills) {
                continue;
            }
            // Asynchronous: the value of the token that is being computed is not known yet.
            let known = if self.config.async_scheduling { computed } else { computed + 1 };
            let request = &mut self.requests[slot as usize];
            if self.kv.wants_keys() {
                request.keys.extend_to(known, block_size);
            }
            let want = Allocation {
                num_computed_tokens: computed,
                num_new_tokens: 1,
                num_known_tokens: known,
                reserve_full: false,
                keep_watermark: false,
            };
            let taken = self.kv.allocate(&mut request.blocks, &request.keys, &PrefixHit::default(), want);
            assert!(taken, "the blocks of the members were counted before");
        }
    }

    /// A member's last token was computed: its counts are written down, and it is no member any more.
    pub(super) fn end_membership(&mut self, slot: Slot, now: SimTime) {
        self.write_down(slot);
        let request = &mut self.requests[slot as usize];
        request.life.last_token = now;
        if self.config.async_scheduling {
            // Before, the block that its last computed token fills was cached with the batch after.
            let with_values = request.num_computed_tokens - request.num_output_placeholders;
            self.kv.cache_full_blocks(&mut request.blocks, &request.keys, with_values);
        }
    }

    /// Moves those who now decode in lockstep from the others to the members.
    pub(super) fn let_others_join(&mut self) {
        let mut others = std::mem::take(&mut self.cohort.others);
        others.retain(|&slot| {
            let joins = self.is_in_lockstep(&self.requests[slot as usize]);
            if joins {
                self.join(slot);
            }
            !joins
        });
        self.cohort.others = others;
    }
}
