//! `orca`: iteration-level scheduling with the longest output reserved.
//!
//! Source: Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative Models", OSDI 2022, Algorithm 1
//! (section 4.2, without its pipeline of batches); the three ways to reserve are those of Kwon et al., "Efficient Memory
//! Management for Large Language Model Serving with PagedAttention", SOSP 2023, section 6.1 (Orca was never released).
//!
//! ```text
//! before each iteration:
//!   batch = all that run
//!   for request in waiting, in order of arrival:
//!     if |batch| = max_batch_size:                     stop
//!     if reserved + its reservation > KV slots:        stop
//!     reserve; add it with its whole prompt
//!   run one iteration: new ones compute their prompts, the others one token (selective batching)
//! ```
//!
//! Schedules worked out by hand (`orca_tests.rs` plays them), with steps of 1 s, longest sequence 10:
//!
//! 1. `max_batch_size` 2: A(3+3), B(2+1), C(1+1) at 0. Iteration 0-1: prompts of A and B; B ends. 1-2: A decodes and C computes
//!    its prompt and ends. 2-3: A decodes and ends.
//! 2. KV of 19 tokens: reservations of 10 admit one at a time. A 0-3, B 3-4, C 4-5.
//! 3. The same with `oracle`: reservations of 6, 3, 2: all three start at 0; C and B end at 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::scenario::Treatment;
use crate::zoo::{Fidelity, KvGrowth, Plan, Policy, Slot, State, UNTIL_EVENT};

use super::within;

/// Name and source.
pub const SOURCE: &str = "orca (Yu et al., OSDI 2022; reservations as in SOSP 2023, section 6.1)";

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "selective batching",
        treatment: Treatment::Modelled,
        note: "prompts and single tokens share an iteration",
    },
    Fidelity {
        what: "reservation",
        treatment: Treatment::Modelled,
        note: "token slots for the longest output, or as the PagedAttention paper bounds them",
    },
    Fidelity {
        what: "pipeline parallelism",
        treatment: Treatment::Ignored,
        note: "one batch in flight: n_workers = 1 in Algorithm 1",
    },
];

/// How much is reserved for a request's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reservation {
    /// Up to the longest sequence.
    #[default]
    Max,
    /// The next power of two from the true output length on: at most twice too much.
    OraclePow2,
    /// The true output length.
    Oracle,
}

/// Flags of `orca`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Most requests in an iteration (`max_bs`).
    pub max_batch_size: u32,
    /// How much is reserved for a request's output.
    pub reservation: Reservation,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_batch_size: 32, reservation: Reservation::default() }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        Scheduler { max_batch_size: self.max_batch_size as usize, reservation: self.reservation }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        within("orca.max_batch_size", self.max_batch_size, 1, 1 << 20)?;
        let needed = sizes.max_model_len.div_ceil(sizes.block_size);
        if needed > sizes.usable_blocks() {
            let reason = format!("one request of `max_model_len` needs {needed} blocks and the null block");
            return Err(ConfigError {
                field: "num_gpu_blocks",
                value: sizes.num_gpu_blocks.to_string(),
                reason,
            });
        }
        Ok(())
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.max_batch_size
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    max_batch_size: usize,
    reservation: Reservation,
}

impl Scheduler {
    /// Tokens that are reserved for a request.
    fn reservation(&self, state: &State, slot: Slot) -> u32 {
        let prompt = state.request(slot).num_prompt_tokens;
        let tokens = match self.reservation {
            Reservation::Max => state.max_model_len(),
            Reservation::OraclePow2 => prompt + state.oracle_output_tokens(slot).next_power_of_two(),
            Reservation::Oracle => prompt + state.oracle_output_tokens(slot),
        };
        tokens.min(state.max_model_len())
    }
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        KvGrowth::Reserved
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        while state.running().len() < self.max_batch_size
            && let Some(slot) = state.head()
        {
            let tokens = self.reservation(state, slot);
            if state.kv().blocks_for(tokens) > state.kv().free_blocks() {
                break;
            }
            state.admit(slot, 0);
            state.reserve(slot, tokens);
            state.prefill(slot, state.uncomputed(slot));
        }
        state.decode();
        Plan::Run { holds: UNTIL_EVENT }
    }
}
