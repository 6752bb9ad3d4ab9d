//! `reserve`: the textbook loss system.
//!
//! Source: the simulator of the EE384S study (Jav331/EE384S-Project); `kendall_theory::batching` has its analytical models. A
//! request reserves the KV of its prompt *and of its true output* when it arrives and keeps it until its last token; one
//! that does not fit is lost. At most `max_batch_size` are in service, first come first served. Each iteration:
//!
//! ```text
//! fill the batch from the queue
//! if somebody in it has no prefill:  one step for all their prompts; nobody decodes
//! else:                              one decode step for all
//! ```
//!
//! A first token comes at the end of a request's first decode step, not with its prefill.
//!
//! Schedules worked out by hand, with steps of 1 s (`reserve_tests.rs` plays them):
//!
//! 1. KV of 10 tokens, B = 1. A(3+2) at 0 and B(3+2) at 0: A prefills 0-1, decodes 1-2 and 2-3; B prefills 3-4, decodes 4-5,
//!    5-6. First tokens at 2 and 5.
//! 2. The same with C(1+1) at 2.5 and D(1+1) at 3: at 2.5 all 10 tokens are reserved, so C is lost; A's end at 3 comes before
//!    D's arrival, and D is served from 6 on.
//! 3. B = 2, A(3+3) at 0, B(2+2) at 0.5 (KV 20): A prefills 0-1; B arrived meanwhile, so it prefills 1-2 while A waits; both
//!    decode 2-3, 3-4 (B ends), A decodes 4-5.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::request::RequestSpec;
use crate::scenario::Treatment;
use crate::zoo::{Fidelity, KvGrowth, Plan, Policy, Rejection, Slot, State, UNTIL_EVENT};

use super::within;

/// Name and source.
pub const SOURCE: &str = "reserve (loss system of the EE384S study)";

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "arrivals",
        treatment: Treatment::Modelled,
        note: "a request that does not fit when it arrives is lost, not queued",
    },
    Fidelity {
        what: "reservation",
        treatment: Treatment::Modelled,
        note: "prompt plus true output: no server knows it, the textbook does",
    },
    Fidelity {
        what: "preemption",
        treatment: Treatment::Modelled,
        note: "there is none: everything that was admitted fits",
    },
];

/// Flags of `reserve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// B: most requests in service.
    pub max_batch_size: u32,
    /// K: tokens of the KV cache; `num_gpu_blocks` and `block_size` of `[server]` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_tokens: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_batch_size: 8, kv_tokens: None }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        Scheduler { max_batch_size: self.max_batch_size as usize }
    }

    pub(super) fn check(&self, _sizes: &EngineConfig) -> Result<(), ConfigError> {
        within("reserve.max_batch_size", self.max_batch_size, 1, 1 << 20)
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.max_batch_size
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    max_batch_size: usize,
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        KvGrowth::Reserved
    }

    fn first_token_from_prefill(&self) -> bool {
        false
    }

    fn refuse(&self, state: &State, spec: &RequestSpec) -> Option<Rejection> {
        let tokens = spec.num_prompt_tokens + state.oracle_output_of(spec);
        let blocks = state.kv().blocks_for(tokens);
        if blocks > state.kv().num_blocks() {
            Some(Rejection::NeverFits)
        } else {
            (blocks > state.kv().free_blocks()).then_some(Rejection::KvFull)
        }
    }

    fn arrived(&mut self, state: &mut State, slot: Slot) {
        let tokens = state.request(slot).num_prompt_tokens + state.oracle_output_tokens(slot);
        state.reserve(slot, tokens);
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        while state.running().len() < self.max_batch_size
            && let Some(slot) = state.head()
        {
            state.admit(slot, 0);
            state.prefill(slot, state.uncomputed(slot));
        }
        if !state.has_prefill() {
            state.decode();
        }
        Plan::Run { holds: UNTIL_EVENT }
    }
}
