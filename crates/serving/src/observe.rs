//! The seam between a run and what is kept of it.

use kendall_des::{Progression, SimDuration, SimTime};

use crate::engine::{Engine, EngineGauges};
use crate::new_blocks::NewBlocks;
use crate::record::{RequestRecord, StepRecord};
use crate::zoo::ZooReplica;

/// A run of steps in which the same sequences decoded and nothing was decided. Each step's result was processed, and the
/// next step was scheduled at once.
#[derive(Debug, Clone, Copy)]
pub struct DecodeRun<'a> {
    /// When the result before the run's first was processed.
    pub start: SimTime,
    /// From there from one result to the next.
    pub gaps: Progression,
    /// Sequences that were given a token by each step.
    pub num_rows: u64,
    /// The state before the first result.
    pub before: EngineGauges,
    /// When the last result was processed.
    pub end: SimTime,
    /// Blocks that the sequences took.
    pub new_blocks: NewBlocks<'a>,
}

impl DecodeRun<'_> {
    /// The first `steps` of the run as a run by themselves; all of them if there are no more.
    #[must_use]
    pub fn first(&self, steps: u64) -> Self {
        let gaps = Progression { count: steps.min(self.gaps.count), ..self.gaps };
        // A part of the run's own length, which is one of 64 bits.
        let length = SimDuration::from_ps(gaps.sum_of_first(gaps.count) as u64);
        let new_blocks = self.new_blocks.in_first(gaps.count);
        Self { gaps, end: self.start + length, new_blocks, ..*self }
    }

    /// Blocks that the run took, each times how long it was held until the run's end (ps).
    pub fn new_block_area(&self) -> u128 {
        let product = |a: u64, b: u64| u128::from(a) * u128::from(b);
        let NewBlocks { count, sum_of_results, sum_of_pairs, .. } = self.new_blocks;
        let until_taken = product(sum_of_results, self.gaps.first.as_ps())
            + product(sum_of_pairs, self.gaps.growth.as_ps());
        product(count, (self.end - self.start).as_ps()) - until_taken
    }

    /// Tokens that the run added, each times how long it was held until the run's end (ps).
    pub fn new_token_area(&self) -> u128 {
        self.gaps.area_under_ramp(0, self.num_rows)
    }
}

/// Receives what happens in a run, in the order in which it happens.
pub trait Observer {
    /// `n` output tokens followed the one before them after `gap` each. `n` may be 0.
    fn token_gaps(&mut self, gap: SimDuration, n: u64);

    /// A request left the system.
    fn departed(&mut self, record: &RequestRecord);

    /// A replica's state changed at `now`.
    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges);

    /// The engine behind the gauges, whenever they are reported: for tests, which call [`Engine::check`] on it.
    fn inspect(&mut self, _replica: u32, _engine: &Engine) {}

    /// The same for an engine of the zoo, with [`ZooReplica::check`].
    fn inspect_zoo(&mut self, _replica: u32, _server: &ZooReplica) {}

    /// A replica ran through steps in which it only decoded. Unless said otherwise this is the same as being told of each.
    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        let mut gauges = run.before;
        let mut now = run.start;
        for step in 0..run.gaps.count {
            let gap = run.gaps.value(step);
            now = now + gap;
            self.token_gaps(gap, run.num_rows);
            let blocks = run.new_blocks.at(step);
            gauges.used_blocks += blocks;
            gauges.held_blocks += u64::from(blocks);
            gauges.held_tokens += run.num_rows;
            self.gauges(replica, now, gauges);
        }
    }

    /// Whether steps are to be recorded; they cost time and memory.
    fn wants_steps(&self) -> bool {
        false
    }

    /// Whether the run should end now, because a user lost patience.
    fn wants_to_stop(&self) -> bool {
        false
    }

    /// The result of a step was processed.
    fn step(&mut self, _step: StepRecord) {}

    /// The run ended before the result of a step that had been scheduled.
    fn step_cut_off(&mut self, _step: StepRecord) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The area up to any step is the sum over the steps before it.
        #[test]
        fn areas_of_a_run_add_up(
            by_step in prop::collection::vec(0_u32..50, 1..40), first in 0_u64..1_000, growth in 0_u64..50,
            rows in 0_u64..50, count in 0_u64..200, part in 0_u64..250,
        ) {
            let gaps = Progression { first: SimDuration::from_ps(first), growth: SimDuration::from_ps(growth), count };
            let before =
                EngineGauges { num_waiting: 0, num_running: 0, used_blocks: 0, held_blocks: 0, held_tokens: 0 };
            let run = DecodeRun {
                start: SimTime::ZERO, gaps, num_rows: rows, before,
                end: SimTime::ZERO + SimDuration::from_ps(gaps.sum_of_first(count) as u64),
                new_blocks: NewBlocks::new(&by_step, count),
            };
            let part = part.min(count);
            let done = run.first(part);
            let (mut blocks, mut tokens, mut areas) = (0, 0, (0, 0));
            for step in 0..part {
                let gap = u128::from(gaps.value(step).as_ps());
                areas = (areas.0 + gap * blocks, areas.1 + gap * tokens);
                blocks += u128::from(run.new_blocks.at(step));
                tokens += u128::from(rows);
            }
            prop_assert_eq!((done.new_block_area(), done.new_token_area()), areas);
            prop_assert_eq!(u128::from(done.new_blocks.count), blocks);
        }
    }
}
