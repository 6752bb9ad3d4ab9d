//! Runs of steps: while the same sequences only decode, a replica sleeps through the ends of its batches and advances
//! over them at once when something happens.
//!
//! Step `j` of a run lasts `A + D (context + n j)`, and sums of integers have a closed form. A run lasts until a member
//! ends or blocks may become scarce, and is cut short by whatever reaches the replica.
//!
//! Architecture invariant: a run leaves the same state and the same figures as its steps one by one (invariant 10).

use kendall_des::{Progression, SimDuration, SimTime};

use crate::observe::{DecodeRun, Observer};

use super::in_flight::Flight;
use super::scheduler::{Row, SchedulerOutput};
use super::{Engine, Replica};

/// Most steps of one run: keeps every sum of it, cubes of this at most, far from the limits of 64 bits.
const LONGEST_RUN: u64 = 1 << 15;

impl Engine {
    /// Batches that will be scheduled before the one in which the next member ends.
    #[inline]
    fn batches_until_end(&self) -> u64 {
        self.cohort.next_end().map_or(0, |end| end.saturating_sub(self.next_batch))
    }

    /// Of the next `wanted` batches those for which there are certainly blocks: in so many each member needs at most one
    /// block for each `block_size` of them, and one more.
    #[inline]
    fn batches_with_blocks(&self, wanted: u64) -> u64 {
        let (free, num_rows) = (u64::from(self.kv.num_free()), self.cohort.num_rows.max(1));
        let block_size = u64::from(self.config.block_size);
        // Nearly always there are enough, and a division is spared.
        if num_rows * (wanted + 2 * block_size) <= free * block_size {
            return wanted;
        }
        wanted.min((free / num_rows).saturating_sub(1) * block_size)
    }

    /// Whether the result of this batch may be somebody's last. Members have more tokens to come, but for those who end in it.
    fn may_let_go(&self, batch: &SchedulerOutput) -> bool {
        let is_no_member = |row: &Row| self.requests[row.slot as usize].membership.is_none();
        !batch.cohort.ending.is_empty() || batch.rows.iter().any(|row| row.delivers && is_no_member(row))
    }

    /// Whether nothing but decoding can happen until a member ends.
    fn only_decodes(&self) -> bool {
        let limit = self.config.max_num_active_seqs.unwrap_or(self.config.max_num_seqs) as usize;
        let nobody_can_enter =
            self.waiting.is_empty() || self.running.len() >= limit || !self.kv.wants_keys();
        self.cohort.formed && self.cohort.others.is_empty() && nobody_can_enter
    }

    /// Durations of `count` batches, as long as no member ends, the first of them `behind` before the next one to be scheduled.
    fn decode_times(&self, count: u64, behind: u64) -> Progression {
        let num_rows = self.cohort.num_rows;
        let (without_context, per_token) = self.step_time.decode_ps(num_rows);
        let context = self.cohort.context - num_rows * behind;
        // Nobody comes or leaves, and new blocks are of one sequence: what is shared stays as it is.
        let saved = self.step_time.shared_token_ps() * self.kv.shared_tokens().min(context);
        let first = without_context + per_token * context - saved;
        let growth = per_token * num_rows;
        Progression { first: SimDuration::from_ps(first), growth: SimDuration::from_ps(growth), count }
    }
}

impl Replica {
    /// When the run ends that begins now; `None` if there is none, or each step is wanted.
    pub(super) fn end_of_run(&self, wants_steps: bool) -> Option<SimTime> {
        let engine = &self.engine;
        if wants_steps || !self.inbox.is_empty() || !engine.cohort.formed {
            return None;
        }
        // Whoever leaves must be seen to leave: an older batch may not be anybody's last.
        let newest = self.in_flight.newest()?;
        if self.in_flight.older().is_some_and(|older| engine.may_let_go(&older.batch)) {
            return None;
        }
        if !newest.batch.is_plain() || !engine.only_decodes() {
            return Some(newest.end).filter(|_| self.in_flight.len() > 1);
        }
        // The run ends with the batch in which a member ends, if blocks certainly last for that one and, scheduled while it
        // runs, the one after it; else with the last quiet one.
        let until_end = engine.batches_until_end();
        let wanted = until_end.min(LONGEST_RUN) + 2;
        let with_blocks = engine.batches_with_blocks(wanted);
        let lasts = until_end < LONGEST_RUN && with_blocks == wanted;
        let count = if lasts { until_end + 1 } else { with_blocks.min(until_end).min(LONGEST_RUN) };
        if count == 0 {
            return None;
        }
        let ps = engine.decode_times(count, 0).sum_of_first(count);
        newest.end.checked_add(SimDuration::from_ps(u64::try_from(ps).ok()?))
    }

    /// Something has reached the replica: it wakes at the end of its oldest batch. Returns when that is, if it would have
    /// slept through it.
    pub fn interrupt(&mut self) -> Option<SimTime> {
        let in_run = std::mem::replace(&mut self.in_run, false);
        self.in_flight.oldest().filter(|_| in_run).map(|oldest| oldest.end)
    }

    /// Advances a sleeping replica over all batches that ended before `now`.
    #[inline]
    pub fn catch_up(&mut self, now: SimTime, observer: &mut impl Observer) {
        if self.in_run {
            self.sleep_through(now, observer);
        }
    }

    #[inline(never)]
    fn sleep_through(&mut self, now: SimTime, observer: &mut impl Observer) {
        while let Some(end) = self.in_flight.oldest().map(|oldest| oldest.end).filter(|&end| end < now) {
            if self.leap(now, observer) {
                continue;
            }
            self.complete(end, observer);
            if !self.launch_all(end, observer) {
                self.beyond_horizon = true;
                return;
            }
        }
    }

    /// Advances over as many batches that end before `now` as can be summed up, where blocks are only counted; `false` if
    /// that are not several.
    fn leap(&mut self, now: SimTime, observer: &mut impl Observer) -> bool {
        let engine = &self.engine;
        let num_rows = engine.cohort.num_rows;
        let alike = |flight: &Flight| flight.batch.is_plain() && flight.batch.cohort.count == num_rows;
        let (Some(oldest), Some(newest)) = (self.in_flight.oldest(), self.in_flight.newest()) else {
            return false;
        };
        // There are no others.
        if !alike(newest) || !alike(oldest) || !engine.kv.counts_only() {
            return false;
        }
        // From the last result to the next one and on: the batch in flight longest has the smallest context.
        let depth = self.in_flight.len() as u64;
        let mut gaps = engine.decode_times(0, depth);
        let start = engine.last_completion;
        if start.checked_add(gaps.first) != Some(oldest.end) {
            return false;
        }
        // The batch in which a member ends is still like the others.
        let most = engine.batches_with_blocks((engine.batches_until_end() + 1).min(LONGEST_RUN));
        gaps.count = gaps.count_below((now - start).as_ps(), most);
        let count = gaps.count;
        if count < 2 {
            return false;
        }
        let before = engine.gauges();
        let end = start + SimDuration::from_ps(gaps.sum_of_first(count) as u64);
        let (new_blocks, unfinished) = engine.cohort.block_needs.run(count);
        let num_new_blocks = new_blocks.count as u32;
        observer.decode_run(self.id, &DecodeRun { start, gaps, num_rows, before, end, new_blocks });
        self.engine.skip_batches(count, end);
        self.engine.kv.take_counted(num_new_blocks);
        self.engine.cohort.block_needs.skip(unfinished);
        // The batches in flight are now those that stand `count` later: theirs are the durations after the last gap.
        let mut context = self.engine.cohort.context - num_rows * depth;
        let mut ends = end;
        for (flight, later) in self.in_flight.iter_mut().zip(count..) {
            ends = ends + gaps.value(later);
            flight.end = ends;
            flight.batch.shape.decode_context_tokens = context;
            context += num_rows;
        }
        if let Some(newest) = self.in_flight.newest_mut() {
            let batch = self.engine.next_batch - 1;
            self.engine.retire_ending(batch, &mut newest.batch.cohort.ending);
        }
        self.fruitless_steps = 0;
        true
    }
}

impl Engine {
    /// So many batches of the members were scheduled and as many results processed, the last one at `end`.
    fn skip_batches(&mut self, count: u64, end: SimTime) {
        let num_rows = self.cohort.num_rows;
        self.held_tokens += num_rows * count;
        self.cohort.context += num_rows * count;
        self.next_batch += count;
        self.next_result += count;
        self.last_completion = end;
        self.totals.num_steps += count;
        self.totals.num_decode_tokens += num_rows * count;
    }
}
