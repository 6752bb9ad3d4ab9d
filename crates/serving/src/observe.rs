//! The seam between a run and what is kept of it.

use kendall_des::{SimDuration, SimTime};

use crate::engine::{Engine, EngineGauges};
use crate::record::{RequestRecord, StepRecord};

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
