//! `deepspeed-fastgen`: Dynamic SplitFuse: every step computes the same number of tokens if there are so many.
//!
//! Source: Holmes et al., "DeepSpeed-FastGen: High-throughput Text Generation for LLMs via MII and DeepSpeed-Inference",
//! arXiv 2401.08671, section 3; DeepSpeed-MII 0.3, `mii/batching/ragged_batching.py` (`schedule_requests`,
//! `_do_schedule_requests`, `reset_request_status`); defaults and pages: DeepSpeed 0.15, `inference/v2/ragged/manager_configs.py`
//! and `inference_transformer_base.py` (`get_kv_requirements`).
//!
//! ```text
//! before each step, tokens = 0:
//!   for request that decodes, those that were skipped before first:
//!     if it needs a block and none is free: skip it; it keeps its KV
//!     else add its next token; tokens += 1
//!   for prompt, the one under way first, then in order of arrival:
//!     stop if tokens = max_ragged_batch_size, or if the free blocks do not hold the rest of the prompt
//!     add min(rest, max_ragged_batch_size - tokens) of it
//!   if nothing was added: a deadlock. Drop all KV; every request becomes a prompt with its output appended; again.
//! ```
//!
//! Schedules worked out by hand, with steps of 1 s (`deepspeed_fastgen_tests.rs` plays them):
//!
//! 1. 4 tokens a step: A(3+2), B(3+2), C(3+1) at 0: A3 B1; A decodes, B2 C1; B decodes, C2. A long prompt is split and short
//!    ones fill a step exactly.
//! 2. KV of 7 tokens: A(3+2), B(3+3) at 0: prompts 0-1. At 1 one block is free: A decodes and ends, B is skipped. B decodes
//!    2-3 and 3-4.
//! 3. The same with A(3+3): at 2 neither has a block: deadlock. A computes 3 + 2 tokens again 2-3 and ends; B's 3 + 1 did not fit
//!    beside them and are computed 3-4; it decodes 4-5.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::scenario::Treatment;
use crate::zoo::{Fidelity, KvGrowth, Plan, Policy, Slot, Stage, State, UNTIL_EVENT};

use super::paging::{free_beside_decoding, longest_fits};
use super::within;

/// Name and source.
pub const SOURCE: &str =
    "deepspeed-fastgen (arXiv 2401.08671; DeepSpeed-MII 0.3, mii/batching/ragged_batching.py)";

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "Dynamic SplitFuse",
        treatment: Treatment::Modelled,
        note: "next tokens first, then prompts in order, the last one cut so that the step is full",
    },
    Fidelity {
        what: "pages",
        treatment: Treatment::Modelled,
        note: "taken chunk by chunk; a prompt starts a chunk only while the free blocks hold all of its rest",
    },
    Fidelity {
        what: "out of blocks",
        treatment: Treatment::Modelled,
        note: "who finds no block is skipped; when nobody can go on, all KV is dropped and recomputed",
    },
    Fidelity {
        what: "sequences",
        treatment: Treatment::Approximated,
        note: "max_ragged_sequence_count bounds all that hold KV, not only those of a step; max_tracked_sequences is not a limit",
    },
    Fidelity {
        what: "rank among skipped requests",
        treatment: Treatment::Approximated,
        note: "in order of admission; MII's buffer keeps them in order of their last token",
    },
    Fidelity {
        what: "overlap of scheduling and compute",
        treatment: Treatment::Ignored,
        note: "the CPU's work is what the step-time model says",
    },
];

/// Flags of `deepspeed-fastgen`, under DeepSpeed's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Tokens of a full step.
    pub max_ragged_batch_size: u32,
    /// Most sequences.
    pub max_ragged_sequence_count: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_ragged_batch_size: 768, max_ragged_sequence_count: 512 }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        Scheduler { budget: self.max_ragged_batch_size, sequences: self.max_ragged_sequence_count as usize }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        within("deepspeed-fastgen.max_ragged_batch_size", self.max_ragged_batch_size, 1, 1 << 27)?;
        let field = "deepspeed-fastgen.max_ragged_sequence_count";
        within(field, self.max_ragged_sequence_count, 1, 1 << 20)?;
        if self.max_ragged_sequence_count > self.max_ragged_batch_size {
            let reason = format!(
                "every sequence must fit a step with a token: at most `max_ragged_batch_size` ({})",
                self.max_ragged_batch_size
            );
            return Err(ConfigError { field, value: self.max_ragged_sequence_count.to_string(), reason });
        }
        longest_fits(sizes, 0)
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.max_ragged_sequence_count
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    budget: u32,
    sequences: usize,
}

impl Scheduler {
    /// Lets everybody decode who has a block or needs none. Returns how many are skipped.
    fn schedule_decodes(state: &mut State) -> usize {
        let mut left = state.kv().free_blocks();
        let all_decode = state.running().len() as u64 == state.num_decoding();
        let held = |state: &State, slot: &Slot| state.is_held(*slot);
        let nobody_held = all_decode || !state.running().iter().any(|slot| held(state, slot));
        if nobody_held && state.blocks_to_decode() <= left {
            return 0;
        }
        // Those skipped before come first.
        let decodes = |state: &State, slot: &Slot| state.request(*slot).stage() == Stage::Decoding;
        let of_both = state.running().iter().copied();
        let first = of_both.clone().filter(|slot| held(state, slot)).map(|slot| (slot, true));
        let then = of_both.filter(|slot| decodes(state, slot)).map(|slot| (slot, false));
        let in_turn: Vec<(Slot, bool)> = first.chain(then).collect();
        let mut skipped = 0;
        for (slot, was_held) in in_turn {
            let need = u32::from(state.computed(slot).is_multiple_of(state.kv().block_size()));
            let goes = need <= left;
            if goes {
                left -= need;
            } else {
                skipped += 1;
            }
            match (goes, was_held) {
                (true, true) => state.resume(slot),
                (false, false) => state.hold(slot),
                _ => {}
            }
        }
        skipped
    }

    /// Fills the step with prompts.
    fn schedule_prompts(&self, state: &mut State) {
        let decodes = u32::try_from(state.num_decoding()).unwrap_or(u32::MAX);
        let mut budget = self.budget.saturating_sub(decodes);
        // A prompt is cut where the step is full, so that one at most is under way.
        let is_prompt =
            |slot: &Slot| state.request(*slot).stage() == Stage::Prefilling && !state.is_held(*slot);
        let some = state.running().len() as u64 > state.num_decoding();
        let under_way = if some { state.running().iter().copied().rfind(is_prompt) } else { None };
        if let Some(slot) = under_way
            && !Self::schedule_prompt(state, slot, &mut budget)
        {
            return;
        }
        while budget > 0
            && state.running().len() < self.sequences
            && let Some(slot) = state.head()
        {
            if state.kv().blocks_for(state.uncomputed(slot)) > free_beside_decoding(state) {
                return;
            }
            state.admit(slot, 0);
            Self::schedule_prompt(state, slot, &mut budget);
        }
    }

    /// Adds what fits of a prompt's rest; `false` if there are no blocks for all of the rest, which stops those behind it.
    fn schedule_prompt(state: &mut State, slot: Slot, budget: &mut u32) -> bool {
        let rest = state.uncomputed(slot);
        let more = state.kv().blocks_for(state.computed(slot) + rest) - state.blocks(slot);
        if more > free_beside_decoding(state) {
            return false;
        }
        let chunk = rest.min(*budget);
        if chunk > 0 {
            state.prefill(slot, chunk);
            *budget -= chunk;
        }
        true
    }

    /// Nobody can go on: all KV is dropped.
    fn reset(state: &mut State) {
        while let Some(&last) = state.running().last() {
            state.preempt(last);
        }
    }
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        KvGrowth::Paged
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        let mut skipped = Self::schedule_decodes(state);
        self.schedule_prompts(state);
        if state.num_decoding() == 0 && !state.has_prefill() {
            Self::reset(state);
            skipped = 0;
            self.schedule_prompts(state);
        }
        state.decode();
        Plan::Run { holds: if skipped > 0 { 0 } else { UNTIL_EVENT } }
    }
}
