//! `llama.cpp`: the server with slots: a fixed number of sequences, tokens before prompts, prompts kept by slot.
//!
//! Source: llama.cpp, `tools/server/server-context.cpp` (read at 001d906, October 2026: `get_available_slot`, `update_slots`,
//! `pre_decode`, `decode`, `try_clear_idle_slots`) and the defaults of `common/arg.cpp`.
//!
//! ```text
//! before each batch:
//!   while a slot is free and somebody waits, in order of arrival:
//!     take the free slot whose content shares most with the prompt, if that is over slot-prompt-similarity of the prompt,
//!       else the one released longest ago
//!     keep what they share; the rest of the content is overwritten
//!   batch = one token for each slot that generates
//!   if cont-batching, or the batch is empty:
//!     for slot in slots, as long as the batch is under batch-size: add as much of its prompt as fits
//!   with kv-unified, while the batch finds no room: clear the first idle slot; if there is none, fail all requests
//!   compute it in micro-batches of ubatch-size, one after the other
//! ```
//!
//! Schedules worked out by hand (`llama_cpp_tests.rs` plays them), with steps of 1 s:
//!
//! 1. Two slots, `batch_size` 4: A(3+3), B(3+1), C(2+1) at 0. Unused slots are taken from the last: A in slot 1, B in slot 0. 0-1
//!    B's prompt and one token of A's, in the order of slots; B ends. C takes slot 0: 1-2 C's prompt and the rest of A's. A
//!    decodes to 4.
//! 2. Without `cont_batching`: A(2+3) at 0, B(2+1) at 0.5. 0-1 A's prompt; B has a slot from 1 on, but A decodes alone until it
//!    ends at 3; 3-4 B.
//! 3. `ubatch_size` 2: A(5+1) is three micro-batches of 1 s: 0-3. A second prompt of the same six shared tokens and two more
//!    computes these two.
//! 4. `kv_unified` with 8 tokens: A(3+5), B(3+5) at 0. 0-1 both prompts, 1-2 both decode: 8 tokens. At 2 neither finds room, and
//!    both fail.

mod slots;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::scenario::Treatment;
use crate::step_time::BatchShape;
use crate::zoo::{Fidelity, KvGrowth, Plan, Policy, Rejection, Slot, Stage, State, UNTIL_EVENT};

use super::within;

use slots::Slots;

/// Name and source.
pub const SOURCE: &str = "llama.cpp (tools/server/server-context.cpp, read at 001d906)";

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "slots",
        treatment: Treatment::Modelled,
        note: "similarity, then least recently used; context per slot, or one for all (`kv_unified`)",
    },
    Fidelity {
        what: "batches",
        treatment: Treatment::Modelled,
        note: "generated tokens first, then prompts in the order of slots up to `batch_size`",
    },
    Fidelity {
        what: "micro-batches",
        treatment: Treatment::Approximated,
        note: "cut from the batch one after the other, each with the time of a step; the split into equal sequences is not made",
    },
    Fidelity {
        what: "context exceeded",
        treatment: Treatment::Approximated,
        note: "all requests fail before the batch that finds no room; the server computes what fits of it first",
    },
    Fidelity {
        what: "context size",
        treatment: Treatment::Approximated,
        note: "not rounded up to a multiple of 256; outputs end with the slot's context (`--no-context-shift`, the default)",
    },
    Fidelity {
        what: "cache_ram, cache_reuse, context checkpoints, speculative decoding",
        treatment: Treatment::Ignored,
        note: "contents that are overwritten are lost; as with `--cache-ram 0`",
    },
];

/// Flags of `llama.cpp`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Slots (`--parallel`).
    pub parallel: u32,
    /// Tokens of the KV cache in all (`--ctx-size`). Absent: of `num_gpu_blocks`.
    pub ctx_size: Option<u32>,
    /// Whether all slots share the context. If not, each has its part of it.
    pub kv_unified: bool,
    /// Most tokens in a batch (`--batch-size`).
    pub batch_size: u32,
    /// Most tokens that are computed at once (`--ubatch-size`).
    pub ubatch_size: u32,
    /// Whether prompts join those who generate.
    pub cont_batching: bool,
    /// Whether the content of a slot is used again.
    pub cache_prompt: bool,
    /// Share of a prompt that a slot's content must have in common with it to be chosen for that; 0 chooses by age.
    pub slot_prompt_similarity: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parallel: 4,
            ctx_size: None,
            kv_unified: true,
            batch_size: 2_048,
            ubatch_size: 512,
            cont_batching: true,
            cache_prompt: true,
            slot_prompt_similarity: 0.1,
        }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        Scheduler {
            settings: self.clone(),
            slots: Slots::new(self.parallel, self.cache_prompt, self.slot_prompt_similarity),
        }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        within("llama-cpp.parallel", self.parallel, 1, 1 << 16)?;
        within("llama-cpp.ubatch_size", self.ubatch_size, self.parallel, u32::MAX)?;
        within("llama-cpp.batch_size", self.batch_size, self.ubatch_size, u32::MAX)?;
        if !(0.0..=1.0).contains(&self.slot_prompt_similarity) {
            return Err(ConfigError {
                field: "llama-cpp.slot_prompt_similarity",
                value: self.slot_prompt_similarity.to_string(),
                reason: "it must lie between 0 and 1".into(),
            });
        }
        let context = u64::from(self.slot_context(sizes.usable_blocks())) * u64::from(sizes.block_size);
        if context < u64::from(sizes.max_model_len) {
            let reason =
                format!("a slot has a context of {context} tokens: lower it, or enlarge the KV cache");
            return Err(ConfigError {
                field: "max_model_len",
                value: sizes.max_model_len.to_string(),
                reason,
            });
        }
        Ok(())
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.parallel
    }

    /// Blocks of one slot, of so many in all.
    pub(crate) fn slot_context(&self, blocks: u32) -> u32 {
        if self.kv_unified { blocks } else { blocks / self.parallel.max(1) }
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    settings: Settings,
    slots: Slots,
}

/// Part of a prompt in the batch.
#[derive(Debug, Clone, Copy)]
struct Piece {
    slot: Slot,
    tokens: u32,
    before: u32,
}

impl Scheduler {
    /// Waiting requests get the free slots.
    fn launch(&mut self, state: &mut State) {
        while self.slots.have_room()
            && let Some(slot) = state.head()
        {
            let cached = self.slots.launch(state, slot);
            if self.settings.kv_unified {
                let blocks = state.kv().blocks_for(cached);
                state.kv_mut().take(blocks);
                state.admit(slot, cached);
            } else {
                state.admit(slot, cached);
                let context = self.settings.slot_context(state.kv().num_blocks());
                state.reserve(slot, context.saturating_mul(state.kv().block_size()));
            }
        }
    }

    /// The prompts of the batch, after so many generated tokens.
    fn prompts(&self, state: &State, generated: u32) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if generated > 0 && !self.settings.cont_batching {
            return pieces;
        }
        let mut room = self.settings.batch_size - generated;
        for slot in self.slots.requests() {
            if room == 0 {
                break;
            }
            if state.request(slot).stage() == Stage::Prefilling {
                let tokens = state.uncomputed(slot).min(room);
                room -= tokens;
                pieces.push(Piece { slot, tokens, before: state.computed(slot) });
            }
        }
        pieces
    }

    /// Blocks that a batch takes beyond those that its requests hold.
    fn needed(state: &State, pieces: &[Piece]) -> u64 {
        let kv = state.kv();
        let of_prompts = pieces
            .iter()
            .map(|piece| u64::from(kv.blocks_for(piece.before + piece.tokens) - kv.blocks_for(piece.before)));
        of_prompts.sum::<u64>() + u64::from(state.blocks_to_decode())
    }

    /// How much longer a batch takes because it is computed in parts.
    fn split(&self, state: &mut State, pieces: &[Piece]) {
        let size = self.settings.ubatch_size;
        let generated = state.num_decoding() as u32;
        if pieces.iter().map(|piece| piece.tokens).sum::<u32>() + generated <= size {
            return;
        }
        let batch = state.running().len() as u64;
        let of = |shape: &BatchShape| {
            let mut shape = *shape;
            shape.idle_seqs = batch - shape.prefill_seqs - shape.decode_seqs;
            state.step_time(&shape)
        };
        // Generated tokens come first: there are at most as many as slots, which a micro-batch holds.
        let (mut whole, mut part) = (state.decode_shape(), state.decode_shape());
        let mut room = size - generated;
        let mut total = kendall_des::SimDuration::ZERO;
        for piece in pieces {
            whole.add_prefill(u64::from(piece.tokens), u64::from(piece.before + piece.tokens));
            let (mut left, mut context) = (piece.tokens, piece.before);
            while left > 0 {
                if room == 0 {
                    total += of(&part);
                    (part, room) = (BatchShape::default(), size);
                }
                let tokens = left.min(room);
                (left, room, context) = (left - tokens, room - tokens, context + tokens);
                part.add_prefill(u64::from(tokens), u64::from(context));
            }
        }
        total += of(&part);
        let at_once = of(&whole);
        state.delay(if total > at_once { total - at_once } else { kendall_des::SimDuration::ZERO });
    }
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        if self.settings.kv_unified { KvGrowth::Paged } else { KvGrowth::Reserved }
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        if self.settings.kv_unified {
            self.slots.clear_idle(state);
        }
        self.launch(state);
        let generated = state.num_decoding() as u32;
        let pieces = self.prompts(state, generated);
        if generated == 0 && pieces.is_empty() {
            return Plan::Sleep { until: None };
        }
        if self.settings.kv_unified && Self::needed(state, &pieces) > u64::from(state.kv().free_blocks()) {
            let all: Vec<_> = self.slots.requests().collect();
            for slot in all {
                state.fail(slot, Rejection::ContextExceeded);
            }
            return Plan::Sleep { until: None };
        }
        self.split(state, &pieces);
        for piece in &pieces {
            state.prefill(piece.slot, piece.tokens);
        }
        state.decode();
        Plan::Run { holds: UNTIL_EVENT }
    }

    fn leaves(&mut self, state: &mut State, slot: Slot) {
        if self.settings.kv_unified {
            self.slots.clear_idle(state);
        }
        self.slots.release(state, slot);
        state.free_kv(slot);
    }
}
