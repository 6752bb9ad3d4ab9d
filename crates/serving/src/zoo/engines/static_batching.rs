//! `static`: wait for a full batch or a time-out, run until the longest request ends.
//!
//! Source: request-level scheduling as Orca describes the systems before it (Yu et al., OSDI 2022, section 3: "existing systems
//! ... process a batch of requests in its entirety"); padded rectangular batches as in FasterTransformer.
//!
//! ```text
//! if a batch runs:                                 one decode step for all its rows, ended ones too
//! else if batch_size wait, or the oldest waited for timeout:
//!                                                  a batch of the first batch_size; prompts padded to the longest
//! else:                                            sleep until the oldest has waited for timeout
//! ```
//!
//! Tokens are streamed: a request leaves with its own last token, its row does not.
//!
//! Schedules worked out by hand (`static_tests.rs` plays them), with steps of 1 s:
//!
//! 1. `batch_size` 2, timeout 10 s; A(3+1) at 0, B(5+3) at 2: the batch is full at 2 and prefills 2-3 with 2 x 5 tokens, A ends;
//!    decode steps 3-4 and 4-5 compute two rows, with contexts of 6 each, then 7: B ends at 5.
//! 2. The same with C(2+1) at 2.5: it waits for a second request until 12.5 and prefills 12.5-13.5, alone.
//! 3. timeout 1 s, A(2+3) at 0, B(2+1) at 1.5: A starts at 1 (the time-out), prefills 1-2, decodes 2-3, 3-4; B waited for over
//!    1 s at 4 and prefills 4-5.

use kendall_des::SimDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::scenario::Treatment;
use crate::zoo::{Fidelity, KvGrowth, Plan, Policy, Slot, State};

use super::to_completion;

/// Name and source.
pub const SOURCE: &str = "static batching (request-level scheduling, Orca, OSDI 2022, section 3)";

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "padding",
        treatment: Treatment::Modelled,
        note: "prompts fill up to the longest of the batch, ended rows compute until it ends",
    },
    Fidelity {
        what: "KV cache",
        treatment: Treatment::Modelled,
        note: "each row holds `max_model_len` tokens from the beginning",
    },
    Fidelity {
        what: "responses",
        treatment: Treatment::Approximated,
        note: "tokens are streamed and a request leaves with its own last token; without streaming it would leave with the batch",
    },
];

/// Flags of `static`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Requests in a full batch.
    pub batch_size: u32,
    /// Longest time that the oldest request waits for the batch to fill (ms).
    pub timeout_ms: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { batch_size: 8, timeout_ms: 1_000.0 }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        // Checked before.
        let timeout = SimDuration::from_secs_f64(self.timeout_ms / 1e3).unwrap_or(SimDuration::ZERO);
        Scheduler { batch_size: self.batch_size as usize, timeout }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        if !(0.0..=3.6e6).contains(&self.timeout_ms) {
            let reason = "it must lie between 0 ms and an hour".into();
            let value = self.timeout_ms.to_string();
            return Err(ConfigError { field: "static.timeout_ms", value, reason });
        }
        to_completion::check("static.batch_size", self.batch_size, sizes)
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.batch_size
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    batch_size: usize,
    timeout: SimDuration,
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        KvGrowth::Reserved
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        if let Some(plan) = to_completion::go_on(state) {
            return plan;
        }
        let Some(oldest) = state.oldest_waiting() else { return Plan::Sleep { until: None } };
        let due = state.request(oldest).received + self.timeout;
        if state.num_waiting() >= self.batch_size || due <= state.now() {
            return to_completion::begin(state, self.batch_size);
        }
        Plan::Sleep { until: Some(due) }
    }

    fn leaves(&mut self, state: &mut State, slot: Slot) {
        to_completion::leaves(state, slot);
    }
}
