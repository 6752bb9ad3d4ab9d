//! `tgi`: Hugging Face's Text Generation Inference: prompts apart from decoding, whole outputs reserved, two ways to interrupt.
//!
//! Source: Text Generation Inference 2.2.0, `router/src/infer/v3/queue.rs` (`State::next_batch`), `router/src/infer/v3/scheduler.rs`
//! (`batching_task`), `router/src/infer/v3/block_allocator.rs` (`SimpleAllocator`), defaults of `launcher/src/main.rs`.
//!
//! ```text
//! next_batch(at least, at most, budget):
//!   unless `at least` wait: none
//!   for request in waiting, in order of arrival:
//!     if prompts > max_batch_prefill_tokens, or prompts + max_new_tokens > budget, or its blocks are not free: stop
//!     reserve blocks for prompt + max_new_tokens - 1; add it; stop at `at most`
//!   if fewer than `at least` were added: none
//!
//! whenever nothing runs: compute the prompts of next_batch(0, max_batch_size, max_batch_total_tokens); waiting_tokens = 1
//! while somebody runs:
//!   at least = 0 if waiting_tokens >= max_waiting_tokens, else floor(running * waiting_served_ratio)
//!   compute the prompts of next_batch(at least, max_batch_size - running, max_batch_total_tokens - blocks held in tokens),
//!     if there is one: those who run wait meanwhile; waiting_tokens = 1
//!   decode; waiting_tokens += 1
//! ```
//!
//! Schedules worked out by hand (`tgi_tests.rs` plays them), with steps of 1 s and blocks of one token:
//!
//! 1. A(3+4) at 0, B(2+2) at 0.5. 0-1 A's prompt. At 1 one runs and floor(1 * 0.3) = 0 must wait: B's prompt 1-2 while A waits.
//!    2-3 both decode and B ends; A ends at 5.
//! 2. `waiting_served_ratio` 1, `max_waiting_tokens` 3: A(1+5) and B(1+5) at 0, C(1+1) at 0.5. Two must wait and one does: A and B
//!    decode 1-2 and 2-3. Then `waiting_tokens` = 3, and C interrupts 3-4. A and B end at 6.
//! 3. KV of 7 tokens (with the reserved block, `max_batch_total_tokens` 8), `max_batch_prefill_tokens` 4: A(3+2), B(3+2) at 0.
//!    Two prompts are 6 > 4 tokens: A alone 0-1. It holds 4 tokens; B's 5 > 8 - 4: A decodes 1-2 and ends, B runs 2-4.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::request::RequestSpec;
use crate::scenario::Treatment;
use crate::zoo::{Fidelity, KvGrowth, Plan, Policy, Rejection, Slot, State, UNTIL_EVENT};

use super::declared::DeclaredOutput;
use super::within;

/// Name and source.
pub const SOURCE: &str = "tgi (Text Generation Inference 2.2.0, router/src/infer/v3)";

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "queue and batching task",
        treatment: Treatment::Modelled,
        note: "budgets, min_size, max_size, waiting_tokens; a batch's budget is what its blocks leave, as its max_tokens says",
    },
    Fidelity {
        what: "block allocator",
        treatment: Treatment::Modelled,
        note: "blocks for prompt + max_new_tokens - 1 at once; block 0 is reserved",
    },
    Fidelity {
        what: "batch given up for min_size",
        treatment: Treatment::Approximated,
        note: "its blocks are free again at once; TGI 2.2 holds them until the next try",
    },
    Fidelity {
        what: "clients that leave the queue",
        treatment: Treatment::Approximated,
        note: "they are gone at once; TGI counts them for min_size until they come up",
    },
    Fidelity {
        what: "max_input_tokens, max_total_tokens",
        treatment: Treatment::Approximated,
        note: "the latter is `max_model_len`: outputs end there, where TGI refuses what asks for more",
    },
    Fidelity {
        what: "prefix caching and chunked prompts of TGI 3",
        treatment: Treatment::Ignored,
        note: "this is the router of 2.2",
    },
    Fidelity {
        what: "speculation, sliding window, padding backends",
        treatment: Treatment::Ignored,
        note: "off, as for most models on flash attention",
    },
];

/// Flags of `tgi`. `max_total_tokens` is `max_model_len` of `[server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Most prompt tokens in a batch. Absent: the longest prompt and 50.
    pub max_batch_prefill_tokens: Option<u32>,
    /// Most tokens, prompts and outputs together, that those who run may come to need. Absent: what the KV cache holds.
    pub max_batch_total_tokens: Option<u32>,
    /// So many must wait for each that runs before they interrupt.
    pub waiting_served_ratio: f64,
    /// After so many tokens without new requests any number of them interrupts.
    pub max_waiting_tokens: u32,
    /// Most requests that the server has at all; more are refused.
    pub max_concurrent_requests: u32,
    /// Most requests that run.
    pub max_batch_size: Option<u32>,
    /// Longest prompt; longer ones are refused. Absent: what `max_model_len` and `max_batch_prefill_tokens` allow.
    pub max_input_tokens: Option<u32>,
    /// What clients declare as `max_new_tokens`.
    pub max_new_tokens: DeclaredOutput,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_batch_prefill_tokens: None,
            max_batch_total_tokens: None,
            waiting_served_ratio: 0.3,
            max_waiting_tokens: 20,
            max_concurrent_requests: 128,
            max_batch_size: None,
            max_input_tokens: None,
            max_new_tokens: DeclaredOutput::default(),
        }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        Scheduler { settings: self.clone(), in_system: 0, prefilled_at: 0, must_decode: false }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        within("tgi.max_waiting_tokens", self.max_waiting_tokens, 1, u32::MAX)?;
        within("tgi.max_concurrent_requests", self.max_concurrent_requests, 1, 1 << 20)?;
        if let Some(size) = self.max_batch_size {
            within("tgi.max_batch_size", size, 1, 1 << 20)?;
        }
        if !(0.0..=1e6).contains(&self.waiting_served_ratio) {
            return Err(ConfigError {
                field: "tgi.waiting_served_ratio",
                value: self.waiting_served_ratio.to_string(),
                reason: "it must lie between 0 and 1,000,000".into(),
            });
        }
        if let Some(tokens) = self.max_batch_prefill_tokens {
            within("tgi.max_batch_prefill_tokens", tokens, self.max_input_tokens.unwrap_or(1), u32::MAX)?;
        }
        if let Some(tokens) = self.max_batch_total_tokens {
            let in_cache = sizes.num_gpu_blocks.saturating_mul(sizes.block_size);
            let longest = sizes.max_model_len.saturating_add(sizes.block_size);
            within("tgi.max_batch_total_tokens", tokens, longest.min(in_cache), in_cache)?;
        }
        super::longest_must_fit(sizes)
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.max_batch_size.unwrap_or(u32::MAX).min(self.max_concurrent_requests)
    }

    /// Longest prompt.
    fn max_input(&self, longest: u32) -> u32 {
        let budget = self.max_batch_prefill_tokens.unwrap_or(u32::MAX);
        self.max_input_tokens.unwrap_or(budget).min(longest - 1)
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    settings: Settings,
    /// Requests that passed the door and have not left.
    in_system: u32,
    /// Decode steps when prompts were computed last.
    prefilled_at: u64,
    /// After prompts that interrupted comes a decode step, whoever waits.
    must_decode: bool,
}

/// Who waits in the order of the queue and fits.
struct Candidate {
    slot: Slot,
    /// Tokens to reserve.
    tokens: u32,
}

impl Scheduler {
    /// Tokens that all who run may come to need.
    fn max_total(&self, state: &State) -> u64 {
        let kv = state.kv();
        let in_cache = (u64::from(kv.num_blocks()) + 1) * u64::from(kv.block_size());
        self.settings.max_batch_total_tokens.map_or(in_cache, u64::from)
    }

    /// The next batch of prompts; empty if there is none.
    fn next_batch(&self, state: &State, at_least: usize) -> Vec<Candidate> {
        let mut batch = Vec::new();
        let running = state.running().len();
        let at_most = (self.settings.max_batch() as usize).saturating_sub(running);
        if state.num_waiting() < at_least || at_most == 0 {
            return batch;
        }
        let kv = state.kv();
        let block = u64::from(kv.block_size());
        let prefill_budget = match self.settings.max_batch_prefill_tokens {
            Some(tokens) => u64::from(tokens),
            None => u64::from(self.settings.max_input(state.max_model_len())) + 50,
        };
        let prefill_budget = prefill_budget.next_multiple_of(block);
        let held = kv.held_blocks();
        let token_budget = self.max_total(state).saturating_sub(held * block);
        let mut free =
            (self.max_total(state) / block - 1).min(u64::from(kv.num_blocks())).saturating_sub(held);
        let (mut prompts, mut outputs) = (0, 0);
        for slot in state.waiting() {
            let prompt = state.request(slot).num_prompt_tokens;
            let max_new = self.settings.max_new_tokens.tokens(state, slot);
            prompts += u64::from(prompt);
            outputs += u64::from(max_new);
            let tokens = prompt + max_new - 1;
            let blocks = u64::from(kv.blocks_for(tokens));
            if prompts > prefill_budget || prompts + outputs > token_budget || blocks > free {
                break;
            }
            free -= blocks;
            batch.push(Candidate { slot, tokens });
            if batch.len() == at_most {
                break;
            }
        }
        if batch.len() < at_least {
            batch.clear();
        }
        batch
    }
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        KvGrowth::Reserved
    }

    fn refuse(&self, state: &State, spec: &RequestSpec) -> Option<Rejection> {
        if self.in_system >= self.settings.max_concurrent_requests {
            return Some(Rejection::QueueFull);
        }
        let longest = self.settings.max_input(state.max_model_len());
        (spec.num_prompt_tokens > longest).then_some(Rejection::TooLong)
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        let running = state.num_decoding();
        let waiting_tokens = 1 + state.decode_steps() - self.prefilled_at;
        let patience = u64::from(self.settings.max_waiting_tokens);
        let at_least = if running == 0 || waiting_tokens >= patience {
            0
        } else {
            (running as f64 * self.settings.waiting_served_ratio) as usize
        };
        let must_decode = std::mem::replace(&mut self.must_decode, false) && running > 0;
        let batch = if must_decode { Vec::new() } else { self.next_batch(state, at_least) };
        if batch.is_empty() {
            if running == 0 {
                return Plan::Sleep { until: None };
            }
            state.decode();
            let holds = match (state.num_waiting(), must_decode) {
                (0, _) => UNTIL_EVENT,
                (_, true) => 0,
                _ if waiting_tokens >= patience => UNTIL_EVENT,
                _ => patience - waiting_tokens - 1,
            };
            return Plan::Run { holds };
        }
        for Candidate { slot, tokens } in batch {
            state.admit(slot, 0);
            state.reserve(slot, tokens);
            state.prefill(slot, state.uncomputed(slot));
        }
        self.must_decode = running > 0;
        self.prefilled_at = state.decode_steps();
        Plan::Run { holds: 0 }
    }

    fn arrived(&mut self, _state: &mut State, _slot: Slot) {
        self.in_system += 1;
    }

    fn leaves(&mut self, state: &mut State, slot: Slot) {
        self.in_system -= 1;
        state.free_kv(slot);
    }
}
