//! The seam: what an engine of the zoo decides.

use kendall_des::SimTime;

use crate::request::RequestSpec;

use super::{KvGrowth, Rejection, Slot, State};

/// What follows a call of [`Policy::plan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// The step that was put together runs. If it only decodes, `holds` says for how many further steps the policy would decide
    /// the same, as long as nobody arrives, ends or is aborted, and (by page) blocks last: [`UNTIL_EVENT`] where nothing else
    /// can change its mind. These steps are taken at once.
    Run {
        /// Further steps.
        holds: u64,
    },
    /// Nothing runs until somebody arrives, or until this time.
    Sleep {
        /// When to ask again.
        until: Option<SimTime>,
    },
}

/// Nothing changes the decision but an arrival, an end or an abort.
pub const UNTIL_EVENT: u64 = u64::MAX;

/// An engine: what happens at the door, before each step, and when a request leaves.
pub trait Policy {
    /// How its requests get their blocks.
    fn kv_growth(&self) -> KvGrowth;

    /// Decides what the next step does. Called between steps, with nothing in flight, and not once a step: see [`Plan::Run`].
    fn plan(&mut self, state: &mut State) -> Plan;

    /// Why a request is turned away at the door, if it is. Reached only by requests that fit `max_model_len`.
    fn refuse(&self, _state: &State, _spec: &RequestSpec) -> Option<Rejection> {
        None
    }

    /// A request passed the door.
    fn arrived(&mut self, _state: &mut State, _slot: Slot) {}

    /// A request leaves, finished or aborted; its blocks are still held.
    fn leaves(&mut self, state: &mut State, slot: Slot) {
        state.free_kv(slot);
    }

    /// Whether the step that computes the end of a prompt also gives the first token.
    fn first_token_from_prefill(&self) -> bool {
        true
    }
}
