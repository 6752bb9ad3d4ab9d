//! `tensorrt-llm`: in-flight batching behind a capacity scheduler.
//!
//! Source: TensorRT-LLM 1.0, `cpp/tensorrt_llm/batch_manager/capacityScheduler.cpp` (who may run), `microBatchScheduler.cpp` (what
//! of it the next step computes) and `kvCacheManager.cpp` (`getNeededBlocksOneStep`, `getRemainingBlocksToCompletion`).
//!
//! ```text
//! GUARANTEED_NO_EVICT: a request starts if the blocks of its prompt and all of its max_tokens are free beside those that the
//!                      running ones may still ask for; it is never paused
//! STATIC_BATCH:        the same, and no prompt is computed while somebody generates
//! MAX_UTILIZATION:     while the blocks of the next step are short: pause the request that started last; it loses its KV
//!                      if nobody was paused: a request starts if the blocks of its prompt are free now
//! in each case at most max_batch_size run, and those behind a request that does not fit wait.
//!
//! step = a token of everybody who generates, and of the prompts, in order:
//!   without chunked context: whole ones while all tokens are at most max_num_tokens
//!   with it: what is left of max_num_tokens; a part that does not end the prompt is rounded down to whole blocks
//! ```
//!
//! Schedules worked out by hand, with steps of 1 s (`tensorrt_llm_tests.rs` plays them):
//!
//! 1. `GUARANTEED_NO_EVICT`, `max_num_tokens` 5 without chunks: A(3+2), B(2+1), C(1+1) at 0: A3 B2; A decodes beside C1.
//! 2. KV of 19 tokens, sequences of 10 at most: A(3+3), B(2+1), C(1+1) at 0 run one at a time.
//! 3. `MAX_UTILIZATION`, KV of 8 tokens: A(3+4), B(3+3) at 0: prompts 0-1, decode 1-2; at 2 B is paused; A ends at 4; B computes
//!    5 tokens again 4-5. With three blocks of 4 tokens and A(5+3), B(3+2) nobody is paused: no block is needed.
//! 4. `STATIC_BATCH`, `max_batch_size` 2, the requests of 2: A3 B2; A; A; C1.
//! 5. Chunks, blocks of 4 tokens, `max_num_tokens` 7: A(10+2), B(2+1) at 0: 7 tokens are rounded to A4, and B2 fills what is
//!    left; A6; A.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::zoo::{KvGrowth, Plan, Policy, Slot, Stage, State, UNTIL_EVENT};

use super::orca::Reservation;
use super::paging::longest_fits;
use super::within;

pub use super::tensorrt_llm_ledger::{FIDELITY, SOURCE};

/// Who may run (`CapacitySchedulerPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CapacityPolicy {
    /// Who starts is never paused: all blocks that it may ask for are kept for it.
    #[default]
    GuaranteedNoEvict,
    /// As many as fit now; the last to start are paused when blocks run short.
    MaxUtilization,
    /// As the first, and no prompt is computed while somebody generates.
    StaticBatch,
}

/// Flags of `tensorrt-llm`, under TensorRT-LLM's names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Who may run.
    pub capacity_scheduler_policy: CapacityPolicy,
    /// Most requests that run.
    pub max_batch_size: u32,
    /// Most tokens in a step.
    pub max_num_tokens: u32,
    /// Whether prompts are split over steps.
    pub enable_chunked_context: bool,
    /// `max_tokens` of the clients, which the policies that never pause reserve: `max`, all that the longest sequence allows;
    /// `oracle`, the true length; `oracle_pow2`, the next power of two from it on.
    pub max_tokens: Reservation,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            capacity_scheduler_policy: CapacityPolicy::default(),
            max_batch_size: 2_048,
            max_num_tokens: 8_192,
            enable_chunked_context: true,
            max_tokens: Reservation::default(),
        }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        Scheduler { settings: self.clone() }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        within("tensorrt-llm.max_batch_size", self.max_batch_size, 1, 1 << 20)?;
        let (least, why) = if self.enable_chunked_context {
            (sizes.block_size, "a part of a prompt is at least a block")
        } else {
            (
                sizes.max_model_len,
                "without `enable_chunked_context` a step holds a whole prompt: `max_model_len`",
            )
        };
        let least = least.max(self.max_batch_size);
        if self.max_num_tokens < least {
            let reason = format!(
                "it must be at least {least}: every running request has a token in a step (`max_batch_size`), and {why}"
            );
            return Err(ConfigError {
                field: "tensorrt-llm.max_num_tokens",
                value: self.max_num_tokens.to_string(),
                reason,
            });
        }
        longest_fits(sizes, 0)
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.max_batch_size
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    settings: Settings,
}

impl Scheduler {
    fn pauses(&self) -> bool {
        self.settings.capacity_scheduler_policy == CapacityPolicy::MaxUtilization
    }

    /// Tokens whose blocks must be free for a request to start.
    fn oracle_tokens_to_start(&self, state: &State, slot: Slot) -> u32 {
        if self.pauses() {
            return state.uncomputed(slot);
        }
        let prompt = state.request(slot).num_prompt_tokens;
        let output = match self.settings.max_tokens {
            Reservation::Max => state.max_model_len(),
            Reservation::OraclePow2 => state.oracle_output_tokens(slot).next_power_of_two(),
            Reservation::Oracle => state.oracle_output_tokens(slot),
        };
        prompt.saturating_add(output).min(state.max_model_len())
    }

    /// `MaxUtilizationScheduler`: pauses until the next step has its blocks. Returns whether it did.
    fn pause(state: &mut State) -> bool {
        let mut any = false;
        while state.blocks_to_decode() > state.kv().free_blocks()
            && let Some(&last) = state.running().last()
        {
            state.preempt(last);
            any = true;
        }
        any
    }

    /// Tokens of a prompt that the step has room for (`setCtxRequestsChunkSize`, first come first served).
    fn chunk(&self, state: &State, rest: u32, room: u32) -> u32 {
        if rest <= room {
            rest
        } else if self.settings.enable_chunked_context {
            room / state.kv().block_size() * state.kv().block_size()
        } else {
            0
        }
    }

    /// The prompt that is under way: what a step leaves of one is cut to blocks, so that there is one at most, near the end of
    /// the list.
    fn under_way(state: &State) -> Option<Slot> {
        let is_prompt = |slot: &Slot| state.request(*slot).stage() == Stage::Prefilling;
        let some = state.running().len() as u64 > state.num_decoding();
        if some { state.running().iter().copied().rfind(is_prompt) } else { None }
    }

    /// Who starts, within the room that a step has left.
    fn start(&self, state: &mut State, mut room: u32) {
        let mut seats = (self.settings.max_batch_size as usize).saturating_sub(state.running().len());
        let mut free = state.kv().free_blocks() - state.blocks_to_decode();
        let mut starting = Vec::new();
        // Whom the capacity scheduler lets through may still get no tokens; those behind it may, if they are short enough.
        for slot in state.waiting() {
            let tokens = self.oracle_tokens_to_start(state, slot);
            let blocks = state.kv().blocks_for(tokens);
            if seats == 0 || room == 0 || blocks > free {
                break;
            }
            seats -= 1;
            free -= blocks;
            let chunk = self.chunk(state, state.uncomputed(slot), room);
            if chunk > 0 {
                room -= chunk;
                starting.push((slot, tokens, chunk));
            } else if !self.settings.enable_chunked_context {
                break;
            }
        }
        for (slot, tokens, chunk) in starting {
            state.admit(slot, 0);
            state.reserve(slot, tokens);
            state.prefill(slot, chunk);
        }
    }
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        if self.pauses() { KvGrowth::Paged } else { KvGrowth::Reserved }
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        let paused = self.pauses() && Self::pause(state);
        let decodes = u32::try_from(state.num_decoding()).unwrap_or(u32::MAX);
        let mut room = self.settings.max_num_tokens.saturating_sub(decodes);
        let joins = self.settings.capacity_scheduler_policy != CapacityPolicy::StaticBatch || decodes == 0;
        if joins && let Some(slot) = Self::under_way(state) {
            let chunk = self.chunk(state, state.uncomputed(slot), room);
            if chunk > 0 {
                state.prefill(slot, chunk);
                room -= chunk;
            }
        }
        if joins && !paused {
            self.start(state, room);
        }
        state.decode();
        // Who was paused may start again before the next step.
        Plan::Run { holds: if paused { 0 } else { UNTIL_EVENT } }
    }
}
