//! What happens when a step's result is known: tokens are delivered, requests finish, blocks are freed.
//!
//! Rules: vLLM 0.32, `vllm/v1/core/sched/scheduler.py`, `Scheduler.update_from_output`; asynchronous scheduling:
//! `async_scheduler.py`.

use kendall_des::{SimDuration, SimTime};

use crate::observe::Observer;
use crate::record::{RequestRecord, RequestStatus, RowKind};
use crate::step_time::BatchShape;

use super::request::Status;
use super::scheduler::{Row, SchedulerOutput};
use super::{Engine, Slot};

impl Engine {
    /// Processes the result of a step at `now`; `replica` names this engine in records. Appends to `finished` who left, by
    /// number in the workload.
    pub(super) fn update_from_output(
        &mut self,
        batch: &SchedulerOutput,
        replica: u32,
        now: SimTime,
        finished: &mut Vec<u64>,
        observer: &mut impl Observer,
    ) {
        self.next_result += 1;
        if batch.cohort.count > 0 {
            observer.token_gaps(now - self.last_completion, batch.cohort.count);
        }
        for &slot in &batch.cohort.ending {
            self.end_membership(slot, now);
            finished.push(self.requests[slot as usize].index);
            self.leave(slot, RequestStatus::Finished, replica, now, observer);
            if let Some(place) = self.running.iter().position(|&other| other == slot) {
                self.running.remove(place);
            }
        }
        let mut someone_ran_out = false;
        // Most rows of a step share one gap between tokens: they are reported together.
        let (mut gap, mut gap_count) = (SimDuration::ZERO, 0);
        for row in &batch.rows {
            let stale = self.settle(*row);
            let request = &mut self.requests[row.slot as usize];
            if request.status == Status::Finished {
                self.release(row.slot);
                continue;
            }
            if request.life.first_token.is_none() {
                self.account_prefill(*row, stale, now);
            }
            if !row.delivers {
                continue;
            }
            if let Some(this_gap) = self.append_token(*row, stale, now) {
                if this_gap != gap {
                    if gap_count > 0 {
                        observer.token_gaps(gap, gap_count);
                    }
                    (gap, gap_count) = (this_gap, 0);
                }
                gap_count += 1;
            }
            let request = &self.requests[row.slot as usize];
            if request.num_known_tokens >= self.config.max_model_len
                || request.num_output_tokens() >= request.max_tokens
            {
                finished.push(request.index);
                someone_ran_out |= request.status == Status::Running;
                self.leave(row.slot, RequestStatus::Finished, replica, now, observer);
            }
        }
        if gap_count > 0 {
            observer.token_gaps(gap, gap_count);
        }
        if someone_ran_out {
            self.running.retain(|&slot| self.requests[slot as usize].status == Status::Running);
            self.cohort.others.retain(|&slot| self.requests[slot as usize].status == Status::Running);
        }
        self.last_completion = now;
    }

    /// Processes the result of a step that gave `count` members, all of whom go on, a token each, and nobody else.
    pub(super) fn deliver_to_members(&mut self, count: u64, now: SimTime, observer: &mut impl Observer) {
        self.next_result += 1;
        observer.token_gaps(now - self.last_completion, count);
        self.last_completion = now;
    }

    /// The row is no longer in flight. Returns whether it was scheduled before a preemption.
    fn settle(&mut self, row: Row) -> bool {
        let request = &mut self.requests[row.slot as usize];
        request.in_flight_tokens -= row.num_tokens;
        let stale = request.stale_tokens > 0;
        if stale {
            request.stale_tokens -= row.num_tokens;
        }
        stale
    }

    /// Books the time since the last account of a request that has no token yet.
    fn account_prefill(&mut self, row: Row, stale: bool, now: SimTime) {
        let request = &mut self.requests[row.slot as usize];
        let elapsed = request.life.elapsed(now);
        let context = row.num_computed_tokens + row.num_tokens;
        if stale || context <= request.life.recompute_until {
            request.life.ttft.preemption += elapsed;
            return;
        }
        let mut alone = BatchShape::default();
        alone.add_prefill(u64::from(row.num_tokens), u64::from(context));
        alone.new_seqs = u64::from(row.kind != RowKind::Running);
        let own = self.step_time.step_time(&alone).min(elapsed);
        request.life.ttft.prefill += own;
        request.life.ttft.interference += elapsed - own;
    }

    /// Delivers one output token. Returns the time since the one before, if there was one.
    fn append_token(&mut self, row: Row, stale: bool, now: SimTime) -> Option<SimDuration> {
        let config = &self.config;
        let request = &mut self.requests[row.slot as usize];
        request.num_known_tokens += 1;
        if self.kv.wants_keys() {
            request.keys.extend_to(request.num_known_tokens, config.block_size);
        }
        if config.async_scheduling && !stale {
            request.num_output_placeholders -= 1;
            if request.status == Status::Running {
                let with_values = request.num_computed_tokens - request.num_output_placeholders;
                self.kv.cache_full_blocks(&mut request.blocks, &request.keys, with_values);
            }
        }
        let life = &mut request.life;
        let gap = life.first_token.map(|_| now - life.last_token);
        life.first_token.get_or_insert(now);
        life.last_token = now;
        gap
    }

    /// The client gave up on a request that is waiting or running.
    pub(super) fn abort(&mut self, slot: Slot, replica: u32, now: SimTime, observer: &mut impl Observer) {
        let was_running = self.requests[slot as usize].status == Status::Running;
        self.leave(slot, RequestStatus::Aborted, replica, now, observer);
        if was_running {
            self.running.retain(|&other| other != slot);
        }
    }

    /// Frees what the request holds and reports it. A running one stays in the list for the caller to remove.
    fn leave(
        &mut self,
        slot: Slot,
        status: RequestStatus,
        replica: u32,
        now: SimTime,
        observer: &mut impl Observer,
    ) {
        if self.requests[slot as usize].status != Status::Running {
            self.waiting.remove(slot);
        }
        let request = &mut self.requests[slot as usize];
        self.kv.free(&mut request.blocks);
        if request.life.num_preemptions > 0 {
            self.preempted_here -= 1;
            self.forget_names();
        }
        let request = &mut self.requests[slot as usize];
        self.held_tokens -= u64::from(request.num_computed_tokens);
        request.num_computed_tokens = 0;
        request.status = Status::Finished;
        self.totals.num_departed += 1;
        observer.departed(&self.record(slot, status, replica, now));
        self.release(slot);
    }

    /// Gives the slot of a finished request free once no batch in flight refers to it.
    fn release(&mut self, slot: Slot) {
        if self.requests[slot as usize].in_flight_tokens == 0 {
            self.free_slots.push(slot);
        }
    }

    fn record(&self, slot: Slot, status: RequestStatus, replica: u32, now: SimTime) -> RequestRecord {
        let request = &self.requests[slot as usize];
        let life = &request.life;
        RequestRecord {
            index: request.index,
            replica,
            status,
            rejection: None,
            arrival: life.arrival,
            received: request.received,
            queued: Some(life.queued),
            first_scheduled: life.first_scheduled,
            first_token: life.first_token,
            last_token: life.first_token.map(|_| life.last_token),
            finish: now,
            num_prompt_tokens: request.num_prompt_tokens,
            num_output_tokens: request.num_output_tokens(),
            num_cached_tokens: life.num_cached_tokens,
            num_preemptions: life.num_preemptions,
            num_lost_tokens: life.num_lost_tokens,
            preempted_for: None,
            session: request.session,
            priority: request.priority,
            ttft_parts: if life.first_token.is_some() {
                life.ttft
            } else {
                crate::record::TtftParts::default()
            },
        }
    }

    /// Reports all requests still in the system as unfinished, in order of their number.
    pub(super) fn report_unfinished(&mut self, replica: u32, now: SimTime, observer: &mut impl Observer) {
        self.dissolve_cohort(std::iter::empty());
        let mut slots: Vec<_> = self.slots_in_system().collect();
        slots.sort_unstable_by_key(|&slot| self.requests[slot as usize].index);
        for slot in slots {
            observer.departed(&self.record(slot, RequestStatus::Unfinished, replica, now));
        }
    }
}
