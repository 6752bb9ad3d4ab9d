//! The seam between a run and what is kept of it.

use kendall_des::{Progression, SimDuration, SimTime};

use crate::engine::{Engine, EngineGauges};
use crate::record::{RequestRecord, StepRecord};

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

/// Blocks taken in a run of steps. A sequence needs one whenever its tokens fill whole blocks, so the needs of one block
/// size of steps repeat.
#[derive(Debug, Clone, Copy)]
pub struct NewBlocks<'a> {
    /// Sequences that need a block, by phase.
    by_phase: &'a [u32],
    /// Phase of the first step.
    first_phase: usize,
    /// How many are taken.
    pub count: u64,
    /// Sum over them of the number, from 1, of the result at which each was taken.
    pub sum_of_results: u64,
    /// Sum over them of n (n - 1) / 2 for that number n.
    pub sum_of_pairs: u64,
}

impl<'a> NewBlocks<'a> {
    /// What is taken in so many steps, few enough for the sums to fit.
    pub(crate) fn new(by_phase: &'a [u32], first_phase: usize, steps: u64) -> Self {
        let mut new = Self { by_phase, first_phase, count: 0, sum_of_results: 0, sum_of_pairs: 0 };
        let (before, from_first) = by_phase.split_at(first_phase);
        let mut first = 1;
        for part in [from_first, before] {
            for &blocks in part {
                let mut n = first;
                while blocks > 0 && n <= steps {
                    let blocks = u64::from(blocks);
                    new.count += blocks;
                    new.sum_of_results += blocks * n;
                    new.sum_of_pairs += blocks * (n * (n - 1) / 2);
                    n += by_phase.len() as u64;
                }
                first += 1;
            }
        }
        new
    }

    /// Blocks taken at the result with this number, from 0.
    pub fn at(&self, step: u64) -> u32 {
        let phase = (self.first_phase as u64 + step) % self.by_phase.len() as u64;
        self.by_phase[phase as usize]
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
}
