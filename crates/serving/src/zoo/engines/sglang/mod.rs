//! `sglang`: a radix prefix cache, prompts before decoding, an estimate of what outputs will need, and retraction when it fails.
//!
//! Source: `SGLang`, `python/sglang/srt/managers/schedule_policy.py` (commit 00550cd), `schedule_batch.py` and `scheduler.py` of the
//! 0.5 series, `mem_cache/radix_cache.py` (commit 006b0e3).
//!
//! ```text
//! before each batch:
//!   store the prompts of the last batch in the radix tree
//!   unless the batch is full (or a prompt is half computed):
//!     expected = new_token_ratio * sum over running of min(max_new_tokens - outputs, 4096)
//!     for request in waiting, in the order of schedule_policy:
//!       if running + added = max_running_requests:                              full; stop
//!       find its cached prefix
//!       if rest + max_new_tokens + page >= free + evictable - expected - added: full; stop
//!       if rest > what is left of chunked_prefill_size: add that much of it;    stop
//!       add it
//!   if prompts were added: compute them (with mixed chunks: and a token for all who run)
//!   else: full = no, if somebody ended
//!         if the next tokens do not fit: retract the shortest outputs until 20 steps do, and estimate the ratio anew
//!         else: lower the ratio by a step
//!         decode
//! ```
//!
//! Schedules worked out by hand (`sglang_tests.rs` plays them), with steps of 1 s and pages of one token:
//!
//! 1. A(3+3) at 0, B(2+2) at 0.5. Prompts come first: A's prompt 0-1, B's 1-2, both decode 2-3 and B ends, A ends 4. With
//!    `enable_mixed_chunk` A decodes beside B's prompt 1-2 and both end at 3.
//! 2. `chunked_prefill_size` 4: A(6+2), B(4+1) at 0. 0-1 four tokens of A; 1-2 the last two of A and two of B; 2-3 the last
//!    two of B, which ends; 3-4 A decodes and ends.
//! 3. KV of 11 tokens, estimates clipped to 1 token: A(3+6), B(3+6) at 0 are both admitted (3 + 1 + 1 < 11, then < 11 - 5). Steps
//!    1-2 and 2-3 fill 10; at 3 two tokens do not fit, and B, the later of equals, is retracted: two tokens are lost, its prompt
//!    stays in the tree. A goes on alone to 6; then B computes the three tokens that are not cached and ends at 9.
//! 4. `lpm` and chunks of 45: A and B share 40 tokens of 42, C has 5 of its own. B comes last because A computes what it
//!    needs: 0-1 A and three of C; 1-2 two of C and the last two of B.

mod admission;
mod cache;
mod order;
mod radix;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::{ConfigError, EngineConfig};
use crate::scenario::Treatment;
use crate::zoo::{Fidelity, KvGrowth, Plan, Policy, Slot, Stage, State, UNTIL_EVENT};

use super::declared::DeclaredOutput;
use super::within;

use cache::PrefixCache;
pub use order::SchedulePolicy;

/// Name and source.
pub const SOURCE: &str =
    "sglang (0.5 series; schedule_policy.py at commit 00550cd, radix_cache.py at 006b0e3)";

/// What is modelled of it.
pub const FIDELITY: &[Fidelity] = &[
    Fidelity {
        what: "radix cache",
        treatment: Treatment::Modelled,
        note: "a tree of whole pages (`block_size`), locks, least recently used leaves evicted whole",
    },
    Fidelity {
        what: "admission",
        treatment: Treatment::Modelled,
        note: "PrefillAdder's budgets; an empty server admits whatever fits its cache",
    },
    Fidelity {
        what: "retraction",
        treatment: Treatment::Modelled,
        note: "fewest outputs first, to the back of the queue; where SGLang would stop for lack of memory, a chunk waits",
    },
    Fidelity {
        what: "order of the queue",
        treatment: Treatment::Approximated,
        note: "sorted anew from the order of arrival; SGLang sorts in place, and ties keep their last order",
    },
    Fidelity {
        what: "ignore_eos without radix cache",
        treatment: Treatment::Approximated,
        note: "admitted as with the cache; SGLang then looks ahead for each request",
    },
    Fidelity {
        what: "overlap scheduler",
        treatment: Treatment::Ignored,
        note: "results are known when the next batch is planned",
    },
    Fidelity {
        what: "mem_fraction_static",
        treatment: Treatment::Approximated,
        note: "the KV cache has `num_gpu_blocks`, or what `gpu_memory_utilization` leaves beside weights and activations",
    },
    Fidelity {
        what: "hierarchical cache, speculative decoding, disaggregation, priorities",
        treatment: Treatment::Ignored,
        note: "off, as by default",
    },
];

/// Flags of `sglang`. The last five are environment variables (`SGLANG_` and the name in capitals). The size of a page is
/// `block_size` of `[server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// In which order waiting requests are looked at.
    pub schedule_policy: SchedulePolicy,
    /// Times the first estimate of the share of `max_new_tokens` that outputs will use: larger retracts less.
    pub schedule_conservativeness: f64,
    /// Most requests that run.
    pub max_running_requests: u32,
    /// Most prompt tokens in a batch, unless one prompt alone is longer.
    pub max_prefill_tokens: u32,
    /// Most prompt tokens in a batch; longer prompts are computed in chunks. -1: no chunks.
    pub chunked_prefill_size: i64,
    /// Whether a batch of chunks also gives a token to everybody who decodes.
    pub enable_mixed_chunk: bool,
    /// Whether prefixes are not cached.
    pub disable_radix_cache: bool,
    /// What clients declare as `max_new_tokens`.
    pub max_new_tokens: DeclaredOutput,
    /// First estimate of the share of `max_new_tokens` that outputs will use.
    pub init_new_token_ratio: f64,
    /// Lowest estimate, as a share of the first.
    pub min_new_token_ratio_factor: f64,
    /// Decode steps from the first estimate to the lowest.
    pub new_token_ratio_decay_steps: u32,
    /// Decode steps that must fit after a retraction.
    pub retract_decode_steps: u32,
    /// Most tokens that an output is expected to need.
    pub clip_max_new_tokens_estimation: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schedule_policy: SchedulePolicy::default(),
            schedule_conservativeness: 1.0,
            max_running_requests: 2_048,
            max_prefill_tokens: 16_384,
            chunked_prefill_size: 8_192,
            enable_mixed_chunk: false,
            disable_radix_cache: false,
            max_new_tokens: DeclaredOutput::default(),
            init_new_token_ratio: 0.7,
            min_new_token_ratio_factor: 0.14,
            new_token_ratio_decay_steps: 600,
            retract_decode_steps: 20,
            clip_max_new_tokens_estimation: 4_096,
        }
    }
}

impl Settings {
    pub(super) fn policy(&self) -> Scheduler {
        Scheduler {
            settings: self.clone(),
            cache: PrefixCache::new(self.disable_radix_cache),
            ratio: NewTokenRatio::new(self),
            is_full: false,
            chunked: None,
            fresh: Vec::new(),
            mixed_steps: 0,
            extended: false,
            shrunk: false,
        }
    }

    pub(super) fn check(&self, sizes: &EngineConfig) -> Result<(), ConfigError> {
        within("sglang.max_running_requests", self.max_running_requests, 1, 1 << 20)?;
        within("sglang.max_prefill_tokens", self.max_prefill_tokens, 1, u32::MAX)?;
        within("sglang.new_token_ratio_decay_steps", self.new_token_ratio_decay_steps, 1, u32::MAX)?;
        for (field, value, most) in [
            ("sglang.schedule_conservativeness", self.schedule_conservativeness, 1e6),
            ("sglang.init_new_token_ratio", self.init_new_token_ratio, 1.0),
            ("sglang.min_new_token_ratio_factor", self.min_new_token_ratio_factor, 1.0),
        ] {
            if !(0.0..=most).contains(&value) {
                let reason = format!("it must lie between 0 and {most}");
                return Err(ConfigError { field, value: value.to_string(), reason });
            }
        }
        let page = i64::from(sizes.block_size);
        let size = self.chunked_prefill_size;
        if size != -1 && !(page..=i64::from(u32::MAX)).contains(&size) {
            let reason = format!("it must be -1 (no chunks) or at least a page of {page} tokens");
            return Err(ConfigError {
                field: "sglang.chunked_prefill_size",
                value: size.to_string(),
                reason,
            });
        }
        super::longest_must_fit(sizes)
    }

    pub(super) fn max_batch(&self) -> u32 {
        self.max_running_requests
    }

    /// Most prompt tokens of a batch, if prompts are computed in chunks.
    fn chunk(&self) -> Option<u32> {
        u32::try_from(self.chunked_prefill_size).ok()
    }

    /// Whether prompts and decoding share batches.
    fn mixes(&self) -> bool {
        self.enable_mixed_chunk && self.chunk().is_some()
    }
}

/// The share of `max_new_tokens` that outputs are expected to use: falls with each decode step, is set anew by a retraction and by
/// idleness (`NewTokenRatioTracker`).
#[derive(Debug, Clone, Copy)]
struct NewTokenRatio {
    first: f64,
    least: f64,
    decay: f64,
    /// What it was at decode step `from`.
    base: f64,
    from: u64,
}

impl NewTokenRatio {
    fn new(settings: &Settings) -> Self {
        let first = (settings.init_new_token_ratio * settings.schedule_conservativeness).min(1.0);
        let least = first * settings.min_new_token_ratio_factor;
        let decay = (first - least) / f64::from(settings.new_token_ratio_decay_steps);
        Self { first, least, decay, base: first, from: 0 }
    }

    /// After so many decode steps. A product and not repeated subtraction: steps are taken many at a time.
    fn at(&self, steps: u64) -> f64 {
        (self.base - self.decay * steps.saturating_sub(self.from) as f64).max(self.least)
    }

    fn set(&mut self, ratio: f64, from: u64) {
        (self.base, self.from) = (ratio, from);
    }
}

/// The policy.
#[derive(Debug, Clone)]
pub struct Scheduler {
    settings: Settings,
    cache: PrefixCache,
    ratio: NewTokenRatio,
    /// Nothing is admitted until somebody ends (`batch_is_full`).
    is_full: bool,
    /// The request whose prompt is computed in part.
    chunked: Option<Slot>,
    /// Whose prompts the last batch computed, with their numbers.
    fresh: Vec<(Slot, u64)>,
    /// Decode steps that shared a batch with prompts: they do not lower the ratio.
    mixed_steps: u64,
    /// Whether the last batch computed prompts.
    extended: bool,
    /// Whether a request has left the decoding batch since it was last looked at.
    shrunk: bool,
}

impl Scheduler {
    fn decode_only_steps(&self, state: &State) -> u64 {
        state.decode_steps() - self.mixed_steps
    }

    /// What the last batch computed is cached.
    fn look_back(&mut self, state: &mut State) {
        self.cache.trim(state);
        let mut fresh = std::mem::take(&mut self.fresh);
        for (slot, index) in fresh.drain(..) {
            let is_there = matches!(state.request(slot).stage(), Stage::Prefilling | Stage::Decoding);
            if is_there && state.request(slot).index == index {
                self.cache.store(state, slot);
            }
        }
        self.fresh = fresh;
        // A request that is half computed is not among those of the last batch that run.
        if self.extended && self.chunked.is_some() {
            self.is_full = false;
        }
    }

    /// Throws requests out until the next steps of the others fit (`retract_decode`).
    fn retract(&mut self, state: &mut State) {
        let mut batch: Vec<_> =
            state.running().iter().copied().filter(|&slot| state.is_decoding(slot)).collect();
        let key = |slot: Slot| (state.outputs(slot), -i64::from(state.request(slot).num_prompt_tokens));
        batch.sort_by_key(|&slot| std::cmp::Reverse(key(slot)));
        let page = u64::from(state.kv().block_size());
        let mut is_first = true;
        loop {
            let free = u64::from(state.kv().free_blocks()) * page;
            let wanted = batch.len() as u64 * u64::from(self.settings.retract_decode_steps);
            let too_few = batch.len() > 1 && (is_first || free < wanted);
            if !too_few && state.blocks_to_decode() <= state.kv().free_blocks() {
                break;
            }
            let Some(slot) = batch.pop() else { break };
            is_first = false;
            let kept = self.cache.release(state, slot, false);
            state.retract(slot, kept);
        }
        let outputs: u64 = batch.iter().map(|&slot| u64::from(state.outputs(slot))).sum();
        let declared: u64 =
            batch.iter().map(|&slot| u64::from(self.settings.max_new_tokens.tokens(state, slot))).sum();
        let ahead = u64::from(self.settings.retract_decode_steps) * batch.len() as u64;
        let ratio = (outputs + ahead) as f64 / (declared + 1) as f64;
        let this_step = self.decode_only_steps(state);
        self.ratio.set(ratio.min(1.0), this_step + 1);
    }
}

impl Policy for Scheduler {
    fn kv_growth(&self) -> KvGrowth {
        KvGrowth::Paged
    }

    fn plan(&mut self, state: &mut State) -> Plan {
        self.look_back(state);
        loop {
            let may_add = !self.is_full && state.num_waiting() > 0;
            if (may_add || self.chunked.is_some()) && self.prefill(state) {
                self.extended = true;
                if self.settings.mixes() && state.num_decoding() > 0 {
                    state.decode();
                    self.mixed_steps += 1;
                }
                return Plan::Run { holds: 0 };
            }
            self.extended = false;
            if state.num_decoding() == 0 {
                let steps = self.decode_only_steps(state);
                self.ratio.set(self.ratio.first, steps);
                if !std::mem::replace(&mut self.is_full, false) {
                    return Plan::Sleep { until: None };
                }
                continue;
            }
            if std::mem::replace(&mut self.shrunk, false) {
                self.is_full = false;
            }
            if state.blocks_to_decode() > state.kv().free_blocks() {
                self.retract(state);
                self.is_full = false;
            }
            if state.num_decoding() > 0 {
                state.decode();
                let is_idle = self.is_full || state.num_waiting() == 0;
                return Plan::Run { holds: if is_idle && self.chunked.is_none() { UNTIL_EVENT } else { 0 } };
            }
        }
    }

    fn arrived(&mut self, state: &mut State, slot: Slot) {
        if state.running().is_empty() && state.num_waiting() == 0 {
            let steps = self.decode_only_steps(state);
            self.ratio.set(self.ratio.first, steps);
        }
        self.cache.arrived(state, slot);
    }

    fn leaves(&mut self, state: &mut State, slot: Slot) {
        if !matches!(state.request(slot).stage(), Stage::Prefilling | Stage::Decoding) {
            return;
        }
        self.cache.trim(state);
        self.cache.release(state, slot, true);
        if self.chunked == Some(slot) {
            self.chunked = None;
        }
        if self.extended {
            self.is_full = false;
        } else {
            self.shrunk = true;
        }
    }
}
