//! Runs of steps: while a plan holds, the steps of a replica are taken at once.
//!
//! Step `j` of a run lasts `A + D (context + n j)`, and sums of integers have a closed form ([`crate::step_time`]). A run lasts
//! until a member ends, blocks may become scarce, or the policy wants to be asked again, and is cut short by whatever reaches
//! the replica. It leaves the same state and the same figures as its steps one by one (invariant 10).

use kendall_des::{Progression, SimDuration, SimTime};

use crate::observe::{DecodeRun, Observer};
use crate::step_time::BatchShape;

use super::replica::ZooReplica;

/// Most steps of one run: keeps every sum of it, cubes of this at most, far from the limits of 64 bits.
const LONGEST_RUN: u64 = 1 << 15;

impl ZooReplica {
    /// Durations of the step in flight and of so many after it in all.
    fn durations(&self, shape: &BatchShape, count: u64) -> Progression {
        let step_time = &self.state.step_time;
        Progression {
            first: step_time.step_time(shape),
            growth: SimDuration::from_ps(step_time.decode_ps(shape.decode_seqs).1 * shape.decode_seqs),
            count,
        }
    }

    /// When the run ends that begins now; `None` if there is none.
    pub(super) fn end_of_run(&mut self, each_step: bool) -> Option<SimTime> {
        if each_step || self.holds == 0 || !self.inbox_is_empty() {
            return None;
        }
        let flight = self.flight.as_ref().filter(|flight| flight.is_plain)?;
        let (start, shape) = (flight.start, flight.shape);
        let in_flight = self.state.decoding.launched - 1;
        let until_end = self.state.decoding.next_end(&self.state.requests)? - in_flight;
        let further = until_end
            .min(self.holds)
            .min(self.state.kv.steps_with_blocks(self.state.decoding.launched, self.state.decoding.rows))
            .min(LONGEST_RUN);
        if further == 0 {
            return None;
        }
        self.holds = further;
        let ps = self.durations(&shape, further + 1).sum_of_first(further + 1);
        start.checked_add(SimDuration::from_ps(u64::try_from(ps).ok()?))
    }

    /// Advances over as many steps as ended before `now`; `false` if they cannot be summed up.
    pub(super) fn leap(&mut self, now: SimTime, observer: &mut impl Observer) -> bool {
        let state = &self.state;
        let Some(flight) = self.flight.as_ref() else { return false };
        // The gap before the next token must be that of everybody, and the step itself.
        if !flight.is_plain || !state.decoding.newcomers.is_empty() || state.decoding.last_end != flight.start
        {
            return false;
        }
        let (start, shape) = (flight.start, flight.shape);
        let most = self.holds.min(LONGEST_RUN);
        let mut gaps = self.durations(&shape, 0);
        gaps.count = gaps.count_below((now - start).as_ps(), most);
        let count = gaps.count;
        if count < 2 {
            return false;
        }
        let state = &mut self.state;
        let num_rows = state.decoding.rows;
        let before = state.gauges();
        let end = start + SimDuration::from_ps(gaps.sum_of_first(count) as u64);
        let new_blocks = state.kv.needed_in(state.decoding.launched, count);
        let taken = new_blocks.count as u32;
        observer.decode_run(self.id, &DecodeRun { start, gaps, num_rows, before, end, new_blocks });
        let decoding = &mut state.decoding;
        decoding.launched += count;
        decoding.landed += count;
        decoding.last_end = end;
        decoding.context += num_rows * count;
        state.padding.context += state.padding.rows * count;
        state.kv.take(taken);
        state.kv.add_tokens(num_rows * count);
        state.now = end;
        state.totals.num_steps += count;
        state.totals.num_decode_tokens += shape.decode_seqs * count;
        self.fruitless_steps = 0;
        self.holds -= count;
        let mut shape = shape;
        shape.decode_context_tokens += shape.decode_seqs * count;
        let duration = self.state.step_time.step_time(&shape);
        if let Some(flight) = self.flight.as_mut() {
            (flight.start, flight.end, flight.shape) = (end, end + duration, shape);
        }
        true
    }
}
