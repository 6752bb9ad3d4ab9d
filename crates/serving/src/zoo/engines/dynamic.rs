//! `dynamic`: the dynamic batcher of NVIDIA Triton in front of a model that runs a batch to completion.
//!
//! Source: Triton Inference Server 2.x, `docs/user_guide/batcher.md` ("Dynamic Batcher") and
//! `core/src/dynamic_batch_scheduler.cc`, `GetDynamicBatch`. One model instance.
//!
//! ```text
//! if a batch runs:                          as static batching
//! size = min(waiting, max_batch_size)
//! if there are preferred sizes <= size:     a batch of the largest of them
//! else if size = max_batch_size, or the oldest waited for max_queue_delay:
//!                                           a batch of size
//! else:                                     sleep until then
//! ```
//!
//! Without `preferred_batch_size` the only preferred size is `max_batch_size`. With a delay of 0, the default, whoever waits
//! when the instance is free is a batch. Unlike `static` the batcher knows no full batch that it must wait for.
//!
//! Schedules worked out by hand (`dynamic_tests.rs` plays them), with steps of 1 s:
//!
//! 1. `max_batch_size` 4, delay 0: A(2+2) at 0, B(3+1) at 0.5, C(1+2) at 0.7. A prefills 0-1, decodes 1-2. B and C prefill 2-3 as
//!    2 x 3 tokens, B ends; 3-4 decodes for C, with B's row.
//! 2. delay 2 s: the same requests wait until 2 (A's delay) and prefill 2-3 as 3 x 3 tokens.
//! 3. preferred sizes `[2]`, delay 2 s: at 0.5 two wait: A and B start at once, 0.5-1.5, decode 1.5-2.5. C has waited for 1.8 s
//!    by then and starts at 2.7.

use kendall_des::SimDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::scenario::Treatment;
use crate::zoo::{Fidelity, KvGrowth, Plan, Policy, Slot, State};

use super::{to_completion, within};

/// Name and source.
pub const SOURCE: &str = "dynamic batching (Triton Inference Server 2, one model instance)";

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
        note: "tokens are streamed (a decoupled model); without that a request would leave with the batch",
    },
    Fidelity {
        what: "model instances",
        treatment: Treatment::Ignored,
        note: "one instance; Triton can run several on a GPU",
    },
];

/// Flags of `dynamic`, under Triton's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Most requests in a batch.
    pub max_batch_size: u32,
    /// Longest time that the oldest request is delayed for a batch of a preferred size (microseconds).
    pub max_queue_delay_microseconds: u64,
    /// Sizes at which a batch is formed at once; `max_batch_size` alone if absent.
    pub preferred_batch_size: Vec<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_batch_size: 8, max_queue_delay_microseconds: 0, preferred_batch_size: Vec::new() }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        Scheduler {
            max_batch_size: self.max_batch_size as usize,
            delay: SimDuration::from_micros(self.max_queue_delay_microseconds),
            preferred: self.preferred_batch_size.iter().map(|&size| size as usize).collect(),
        }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        if self.max_queue_delay_microseconds > 3_600_000_000 {
            let reason = "it must be at most an hour".into();
            let value = self.max_queue_delay_microseconds.to_string();
            return Err(ConfigError { field: "dynamic.max_queue_delay_microseconds", value, reason });
        }
        for &size in &self.preferred_batch_size {
            within("dynamic.preferred_batch_size", size, 1, self.max_batch_size)?;
        }
        to_completion::check("dynamic.max_batch_size", self.max_batch_size, sizes)
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.max_batch_size
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    max_batch_size: usize,
    delay: SimDuration,
    preferred: Vec<usize>,
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
        let size = state.num_waiting().min(self.max_batch_size);
        if let Some(&preferred) = self.preferred.iter().filter(|&&preferred| preferred <= size).max() {
            return to_completion::begin(state, preferred);
        }
        let due = state.request(oldest).received + self.delay;
        if size == self.max_batch_size || due <= state.now() {
            return to_completion::begin(state, size);
        }
        Plan::Sleep { until: Some(due) }
    }

    fn leaves(&mut self, state: &mut State, slot: Slot) {
        to_completion::leaves(state, slot);
    }
}
