//! `vllm-v0`: vLLM before its V1 engine: prompts first, pages, preemption by recomputing or swapping.
//!
//! Source: vLLM 0.6.x, `vllm/core/scheduler.py` (`_schedule_default`, `_schedule_chunked_prefill`, `_schedule_prefills`,
//! `_schedule_running`, `_schedule_swapped`, `_preempt`) and the block manager of `vllm/core/block_manager.py`
//! (`can_allocate`, `can_append_slots`, `can_swap_in`); the order of the running list with chunked prefill is that of 0.6.3 on.
//!
//! ```text
//! default:
//!   if nobody is swapped out: admit while the whole prompt fits budget, max_num_seqs, and free blocks - watermark
//!   if somebody was admitted:  a step of prompts only; nobody decodes
//!   else: for each running request, in order: while no block is free, preempt the last of the list (or it itself)
//!         if nobody was preempted: swap in, first out first in, while blocks - watermark and max_num_seqs allow
//!         one decode step
//! with enable_chunked_prefill, in one step of at most max_num_batched_tokens:
//!   1. decodes, with preemption as above   2. the prompt that is under way
//!   3. swap in, if nobody was preempted    4. new prompts, cut to what is left of the budget
//! ```
//!
//! Schedules worked out by hand, with steps of 1 s (`vllm_v0_tests.rs` plays them):
//!
//! 1. A(3+3) at 0, B(2+2) at 0.5: A computes its prompt 0-1; B's comes first, so A stands still 1-2; both decode 2-3, A 3-4.
//! 2. KV of 8 tokens. A(3+4), B(3+3) at 0: prompts 0-1, decode 1-2; all 8 are taken. At 2 B is preempted and loses 4; A decodes
//!    2-3 and 3-4 and ends; B computes 3 + 2 tokens again 4-5, which gives its third.
//! 3. The same with `preemption_mode = "swap"` and a second for four tokens over `PCIe`: B is moved out during 2-4, A decodes
//!    there and at 4-5; B comes back during 5-7 and decodes.
//! 4. Three blocks of 4 tokens. A(5+3), B(3+2) at 0 take all three. At 1 neither needs a block, but A must find a free one: B is
//!    preempted. A decodes 1-2, B's 3 + 1 tokens come first 2-3, A ends 3-4.
//! 5. Chunks, budget 4: A(3+3), B(5+2) at 0: A3 B1, A B3, A B (B's last token of prompt), B.

use kendall_des::SimDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::zoo::{KvGrowth, Plan, Policy, Slot, Stage, State, UNTIL_EVENT};

use super::paging::{continue_prompt, free_beside_decoding, longest_fits, make_room, watermark_blocks};
use super::within;

pub use super::vllm_v0_ledger::{FIDELITY, SOURCE};

/// What becomes of the KV of a preempted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PreemptionMode {
    /// It is dropped and computed again: what V0 does with requests of one sequence unless told otherwise.
    #[default]
    Recompute,
    /// It is moved to host memory and back.
    Swap,
}

/// Flags of `vllm-v0`, under vLLM's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Most sequences that run.
    pub max_num_seqs: u32,
    /// Most tokens in a step; if absent 512 with chunked prefill, else `max_model_len` or 2048, whichever is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_num_batched_tokens: Option<u32>,
    /// Whether prompts are split over steps and share them with decodes.
    pub enable_chunked_prefill: bool,
    /// Share of the blocks that an admission leaves free.
    pub watermark: f64,
    /// What becomes of the KV of a preempted request.
    pub preemption_mode: PreemptionMode,
    /// Host memory for swapped KV, for each GPU (GiB).
    pub swap_space: f64,
    /// Bandwidth between GPU and host in one direction (GB/s). Default: `PCIe` 4.0 with 16 lanes by its specification, 16 GT/s a
    /// lane in 128b/130b code; copies of single blocks reach less.
    pub pcie_bandwidth_gb_per_s: f64,
    /// KV of one token on one GPU (bytes); from the model if absent. Only swapping needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_bytes_per_token: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_num_seqs: 256,
            max_num_batched_tokens: None,
            enable_chunked_prefill: false,
            watermark: 0.01,
            preemption_mode: PreemptionMode::default(),
            swap_space: 4.0,
            pcie_bandwidth_gb_per_s: 31.5,
            kv_bytes_per_token: None,
        }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        let swap = match (self.preemption_mode, self.kv_bytes_per_token) {
            (PreemptionMode::Swap, Some(token_bytes)) => Some(Swap {
                space_bytes: (self.swap_space * f64::from(1 << 30)) as u64,
                token_bytes,
                bytes_per_s: (self.pcie_bandwidth_gb_per_s * 1e9) as u64,
            }),
            _ => None,
        };
        Scheduler { settings: self.clone(), swap }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        within("vllm-v0.max_num_seqs", self.max_num_seqs, 1, 1 << 20)?;
        if !(0.0..1.0).contains(&self.watermark) {
            let reason = "it is a share of all blocks: at least 0, below 1".into();
            let value = self.watermark.to_string();
            return Err(ConfigError { field: "vllm-v0.watermark", value, reason });
        }
        let budget = self.budget(sizes.max_model_len);
        let (least, why) = if self.enable_chunked_prefill {
            (self.max_num_seqs, "every running sequence decodes in each step: `max_num_seqs`")
        } else {
            (
                self.max_num_seqs.max(sizes.max_model_len),
                "without `enable_chunked_prefill` a step holds a whole prompt, and a token of every running sequence: \
                 `max_model_len` and `max_num_seqs`",
            )
        };
        if budget < least {
            let reason = format!("it must be at least {least} ({why})");
            return Err(ConfigError {
                field: "vllm-v0.max_num_batched_tokens",
                value: budget.to_string(),
                reason,
            });
        }
        self.check_swap()?;
        longest_fits(sizes, self.spare_blocks(sizes.usable_blocks()))
    }

    fn check_swap(&self) -> Result<(), ConfigError> {
        for (field, value, range, unit) in [
            ("vllm-v0.swap_space", self.swap_space, 0.0..=65_536.0, "GiB"),
            ("vllm-v0.pcie_bandwidth_gb_per_s", self.pcie_bandwidth_gb_per_s, 0.1..=1e5, "GB/s"),
        ] {
            if !range.contains(&value) {
                let reason = format!("it must lie between {} and {} {unit}", range.start(), range.end());
                return Err(ConfigError { field, value: value.to_string(), reason });
            }
        }
        let token_bytes = self.kv_bytes_per_token.unwrap_or(1);
        if !(1..=1 << 40).contains(&token_bytes) {
            let reason = "it must lie between 1 byte and 1 TiB".into();
            let value = token_bytes.to_string();
            return Err(ConfigError { field: "vllm-v0.kv_bytes_per_token", value, reason });
        }
        if self.preemption_mode == PreemptionMode::Swap && self.kv_bytes_per_token.is_none() {
            let reason = "swapping needs it: give it, or name the `model`".into();
            return Err(ConfigError { field: "vllm-v0.kv_bytes_per_token", value: "missing".into(), reason });
        }
        Ok(())
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.max_num_seqs
    }

    /// Blocks that must stay free beside those of the longest sequence.
    pub(crate) fn spare_blocks(&self, usable_blocks: u32) -> u32 {
        watermark_blocks(self.watermark, usable_blocks).max(1)
    }

    /// Most tokens in a step (`SchedulerConfig.__init__`).
    fn budget(&self, max_model_len: u32) -> u32 {
        let default = if self.enable_chunked_prefill { 512 } else { max_model_len.max(2_048) };
        self.max_num_batched_tokens.unwrap_or(default)
    }
}

/// Host memory and the way to it.
#[derive(Debug, Clone)]
struct Swap {
    space_bytes: u64,
    token_bytes: u64,
    bytes_per_s: u64,
}

impl Swap {
    /// Time to move so many blocks.
    fn time(&self, blocks: u32, block_size: u32) -> SimDuration {
        let bytes = u128::from(blocks) * u128::from(block_size) * u128::from(self.token_bytes);
        let ps = bytes * 1_000_000_000_000 / u128::from(self.bytes_per_s);
        // What takes longer than the clock can say ends beyond the horizon.
        SimDuration::from_ps(u64::try_from(ps).unwrap_or(u64::MAX))
    }

    /// Blocks in host memory.
    fn num_blocks(&self, block_size: u32) -> u64 {
        self.space_bytes / self.token_bytes.saturating_mul(u64::from(block_size))
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    settings: Settings,
    swap: Option<Swap>,
}

impl Scheduler {
    fn watermark_blocks(&self, state: &State) -> u32 {
        watermark_blocks(self.settings.watermark, state.kv().num_blocks())
    }

    fn has_seat(&self, state: &State) -> bool {
        state.running().len() < self.settings.max_num_seqs as usize
    }

    /// `_schedule_prefills`: admits from the head of the queue with a budget of so many tokens, `for_decoding` blocks being
    /// spoken for. Returns whether somebody was admitted.
    fn schedule_prefills(&self, state: &mut State, mut budget: u32, for_decoding: u32) -> bool {
        let keep_free = self.watermark_blocks(state) + for_decoding;
        let mut any = false;
        while let Some(slot) = state.head() {
            let tokens = state.uncomputed(slot);
            let chunk = if self.settings.enable_chunked_prefill { tokens.min(budget) } else { tokens };
            let blocks = state.kv().blocks_for(tokens);
            let fits = blocks.saturating_add(keep_free) <= state.kv().free_blocks();
            if !fits || chunk == 0 || chunk > budget || !self.has_seat(state) {
                break;
            }
            state.admit(slot, 0);
            state.reserve(slot, tokens);
            state.prefill(slot, chunk);
            budget -= chunk;
            any = true;
        }
        any
    }

    /// `_schedule_running` as far as it preempts. Returns whether it did.
    fn make_room(&self, state: &mut State) -> bool {
        make_room(state, |state, victim| {
            let Some(swap) = &self.swap else { return state.preempt(victim) };
            let block_size = state.kv().block_size();
            let blocks = state.blocks(victim);
            let swapped: u64 =
                state.swapped().iter().map(|&slot| u64::from(Self::blocks_in_host(state, slot))).sum();
            if swapped + u64::from(blocks) > swap.num_blocks(block_size) {
                return state.preempt(victim);
            }
            state.delay(swap.time(blocks, block_size));
            state.swap_out(victim);
        })
    }

    /// Blocks that a swapped request has in host memory: those of a prompt under way are all there.
    fn blocks_in_host(state: &State, slot: Slot) -> u32 {
        let rest = state.uncomputed(slot);
        state.kv().blocks_for(state.computed(slot) + if rest == 1 { 0 } else { rest })
    }

    /// `_schedule_swapped`: returns what is left of the budget.
    fn schedule_swapped(&self, state: &mut State, mut budget: u32) -> u32 {
        let Some(swap) = &self.swap else { return budget };
        let watermark = self.watermark_blocks(state);
        while let Some(&slot) = state.swapped().first() {
            let rest = state.uncomputed(slot);
            let (known, chunk) = (state.computed(slot) + rest, rest.min(budget));
            let blocks = state.kv().blocks_for(known).saturating_add(watermark);
            if blocks > free_beside_decoding(state) || chunk == 0 || !self.has_seat(state) {
                break;
            }
            budget -= chunk;
            state.delay(swap.time(Self::blocks_in_host(state, slot), state.kv().block_size()));
            state.swap_in(slot);
            if state.request(slot).stage() == Stage::Prefilling {
                state.reserve(slot, known);
                state.prefill(slot, chunk);
            }
        }
        budget
    }

    fn plan_default(&self, state: &mut State) -> Plan {
        let budget = self.settings.budget(state.max_model_len());
        if state.swapped().is_empty() && self.schedule_prefills(state, budget, 0) {
            return Plan::Run { holds: 0 };
        }
        let preempted = self.make_room(state);
        if !preempted {
            self.schedule_swapped(state, u32::MAX);
        }
        state.decode();
        // Who was preempted may be let in again before the next step.
        Plan::Run { holds: if preempted { 0 } else { UNTIL_EVENT } }
    }

    fn plan_chunked(&self, state: &mut State) -> Plan {
        let preempted = self.make_room(state);
        let decodes = u32::try_from(state.num_decoding()).unwrap_or(u32::MAX);
        let mut budget =
            continue_prompt(state, self.settings.budget(state.max_model_len()).saturating_sub(decodes));
        if !preempted {
            budget = self.schedule_swapped(state, budget);
        }
        self.schedule_prefills(state, budget, state.blocks_to_decode());
        state.decode();
        Plan::Run { holds: if preempted { 0 } else { UNTIL_EVENT } }
    }
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        KvGrowth::Paged
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        if self.settings.enable_chunked_prefill { self.plan_chunked(state) } else { self.plan_default(state) }
    }
}
