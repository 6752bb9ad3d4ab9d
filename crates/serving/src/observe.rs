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
