//! `sarathi`: stall-free batching: decodes always, prompts in what is left of the token budget.
//!
//! Source: Agrawal et al., "Taming Throughput-Latency Tradeoff in LLM Inference with Sarathi-Serve", OSDI 2024, Algorithm 3;
//! where it is silent (pages, preemption), its authors' server: microsoft/sarathi-serve,
//! `sarathi/core/scheduler/sarathi_scheduler.py` and `block_space_manager/`.
//!
//! ```text
//! before each iteration, tokens = 0:
//!   for request in running, in order, if its prompt is computed:
//!     while no block is free: preempt the last request that was not looked at yet (or it itself), to recompute
//!     add its next token; tokens += 1
//!   for request in running, if its prompt is not computed:
//!     add min(rest of the prompt, chunk_size - tokens) of it
//!   for request in waiting:
//!     stop if max_num_seqs run, if free blocks - watermark do not hold its whole prompt, or if the budget is used up
//!     take the blocks of its whole prompt; add min(prompt, chunk_size - tokens) of it
//! ```
//!
//! Schedules worked out by hand, with steps of 1 s (`sarathi_tests.rs` plays them):
//!
//! 1. `chunk_size` 4; A(6+2) at 0, B(2+3) and C(3+1) at 0.5: A4; A2 B2; A and B decode and C computes 2; B decodes, C computes 1.
//!    Nobody who decodes ever waits for a prompt.
//! 2. `chunk_size` 2; A(1+3), B(1+3), C(2+1) at 0: A and B use up the budget from 0 to 3; C comes at 3.
//! 3. KV of 8 tokens. A(3+4), B(3+3) at 0: prompts 0-1, decode 1-2; at 2 B is preempted; A ends at 4, and B computes 5 tokens
//!    again 4-5, which gives its third.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::scenario::Treatment;
use crate::zoo::{Fidelity, KvGrowth, Plan, Policy, State, UNTIL_EVENT};

use super::paging::{continue_prompt, longest_fits, make_room, watermark_blocks};
use super::within;

/// Name and source.
pub const SOURCE: &str = "sarathi (Agrawal et al., OSDI 2024, Algorithm 3; microsoft/sarathi-serve)";

/// Share of the blocks that an admission leaves free (`BaseBlockSpaceManager.__init__`).
const WATERMARK: f64 = 0.01;

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "stall-free batching",
        treatment: Treatment::Modelled,
        note: "decodes first, then the prompt under way, then new ones, within the token budget",
    },
    Fidelity {
        what: "pages and preemption",
        treatment: Treatment::Modelled,
        note: "blocks of the whole prompt at admission, watermark of 1 %, victims from the end of the list, recomputation",
    },
    Fidelity {
        what: "token budget",
        treatment: Treatment::Approximated,
        note: "fixed: the budget that the paper profiles for a target, and the server's dynamic chunk schedule, are not derived",
    },
    Fidelity {
        what: "pipeline parallelism",
        treatment: Treatment::Ignored,
        note: "one batch in flight; uniform batches cannot show how they fill a pipeline",
    },
];

/// Blocks that must stay free beside those of the longest sequence.
pub(crate) fn spare_blocks(usable_blocks: u32) -> u32 {
    watermark_blocks(WATERMARK, usable_blocks).max(1)
}

/// Flags of `sarathi`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Token budget of an iteration. The paper uses 512 for strict limits on the time between tokens and 2048 for relaxed ones.
    pub chunk_size: u32,
    /// Most sequences that run.
    pub max_num_seqs: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { chunk_size: 512, max_num_seqs: 128 }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        Scheduler { chunk_size: self.chunk_size, max_num_seqs: self.max_num_seqs as usize }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        within("sarathi.chunk_size", self.chunk_size, 1, 1 << 27)?;
        within("sarathi.max_num_seqs", self.max_num_seqs, 1, 1 << 20)?;
        longest_fits(sizes, spare_blocks(sizes.usable_blocks()))
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.max_num_seqs
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    chunk_size: u32,
    max_num_seqs: usize,
}

impl Scheduler {
    /// New requests, as far as the budget lasts.
    fn admit(&self, state: &mut State, mut budget: u32) {
        let keep_free = watermark_blocks(WATERMARK, state.kv().num_blocks()) + state.blocks_to_decode();
        while budget > 0
            && state.running().len() < self.max_num_seqs
            && let Some(slot) = state.head()
        {
            let tokens = state.uncomputed(slot);
            if state.kv().blocks_for(tokens).saturating_add(keep_free) > state.kv().free_blocks() {
                break;
            }
            let chunk = tokens.min(budget);
            state.admit(slot, 0);
            state.reserve(slot, tokens);
            state.prefill(slot, chunk);
            budget -= chunk;
        }
    }
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        KvGrowth::Paged
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        let preempted = make_room(state, State::preempt);
        let decodes = u32::try_from(state.num_decoding()).unwrap_or(u32::MAX);
        let budget = continue_prompt(state, self.chunk_size.saturating_sub(decodes));
        self.admit(state, budget);
        state.decode();
        // Who was preempted may be let in again before the next step.
        Plan::Run { holds: if preempted { 0 } else { UNTIL_EVENT } }
    }
}
