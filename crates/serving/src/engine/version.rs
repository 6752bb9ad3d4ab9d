//! What each vLLM version does unless told otherwise, and which scheduling rules it follows.
//!
//! Every fact was read in the published wheels, 0.19.0 to 0.33.0 (and 0.18.1 for the lower edge), by comparing the
//! files on both sides of a change. The patch releases 0.19.1, 0.20.2, 0.22.1, 0.25.1 and 0.27.1 change none of them, so the
//! minor version decides. Paths in the comments are relative to `vllm/`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::config::SelfPreemption;

/// A vLLM release between [`EngineVersion::OLDEST`] and [`EngineVersion::NEWEST`]; the patch number is only recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineVersion {
    /// Always 0 so far.
    pub major: u32,
    /// Decides the behaviour.
    pub minor: u32,
    /// Without influence.
    pub patch: u32,
}

/// A text that names no version that is modelled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{value}` is not a vLLM version that is modelled: versions {}.{} to {}.{} are; write it as `{}` or choose the \
     nearest of them",
    EngineVersion::OLDEST.major, EngineVersion::OLDEST.minor, EngineVersion::NEWEST.major,
    EngineVersion::NEWEST.minor, EngineVersion::default()
)]
pub struct VersionError {
    /// The text as given.
    pub value: String,
}

/// Defaults and rules of one version, for a decoder-only text model on CUDA without speculative decoding.
///
/// `None` says that the version has no such setting, so that a scenario which sets it asks for the impossible.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "these are vLLM's own switches")]
pub struct VersionDefaults {
    /// 0.9 in 0.19, 0.92 from 0.20. `config/cache.py`, `CacheConfig.gpu_memory_utilization`.
    pub gpu_memory_utilization: f64,
    /// Tokens per KV block: 16 throughout. `config/cache.py`, `CacheConfig.DEFAULT_BLOCK_SIZE`. An attention backend
    /// that cannot use 16 raises it (some MLA kernels; `FLASH_ATTN` 4 with heads of 256 from
    /// 0.29): `platforms/interface.py`, `update_block_size_for_backend`.
    pub block_size: u32,
    /// On throughout. `engine/arg_utils.py`, `_set_default_chunked_prefill_and_prefix_caching_args`. Off up to
    /// 0.27 for models that mix attention with state-space layers, which kendall does not model.
    pub enable_prefix_caching: bool,
    /// On throughout; same function.
    pub enable_chunked_prefill: bool,
    /// On throughout, with one process per GPU on one node. `config/vllm.py`, `VllmConfig.__post_init__`;
    /// `supports_async_scheduling` in `v1/executor/uniproc_executor.py` and `multiproc_executor.py`.
    pub async_scheduling: bool,
    /// 0, no limit, throughout. `config/scheduler.py`.
    pub long_prefill_token_threshold: u32,
    /// Present and on throughout: it came between 0.18.1 and 0.19.0. `config/scheduler.py`; the check itself is
    /// `can_fit_full_sequence` (to 0.20), then `full_sequence_must_fit`, of `v1/core/kv_cache_manager.py`, with equal
    /// outcome.
    pub scheduler_reserve_full_isl: bool,
    /// 0 from 0.24. `config/scheduler.py`, `v1/core/kv_cache_manager.py`.
    pub watermark: Option<f64>,
    /// Off, from 0.31. `config/scheduler.py`, `v1/core/sched/scheduler.py`.
    pub long_prefill_token_threshold_adaptive: Option<bool>,
    /// Whether `max_num_active_seqs` exists (from 0.31; default: no such limit). `config/scheduler.py`.
    pub max_num_active_seqs: bool,
    /// Whether `max_num_partial_prefills` exists (to 0.26). `config/scheduler.py`; the V1 engine refused any value
    /// but 1: `engine/arg_utils.py`, `_check_feature_supported`.
    pub max_num_partial_prefills: bool,
    /// Whether freed blocks without a hash are reused first (from 0.24). `v1/core/block_pool.py`, `free_blocks`. In
    /// 0.27 not with prefix caching off, where the order of blocks decides nothing.
    pub lifo_unhashed: bool,
    /// Whether the threshold spares a request that is alone (from 0.31). `v1/core/sched/scheduler.py`, `schedule`.
    pub lone_request_exempt: bool,
    /// What follows a self-preemption: the scan goes on from 0.33, priority policy only. Same function.
    pub self_preemption: SelfPreemption,
    /// Whether a preempted request waits for its tokens in flight (from 0.27; async scheduling only). Same function
    /// and `_preempt_request`. The engine model always does.
    pub stale_tokens_tracked: bool,
    /// Whether a victim ahead of the scan that was not scheduled in this step moves the scan back (from 0.28; priority
    /// policy only). Before, the next request was passed over for this step. The engine model always moves back.
    pub victim_position_tracked: bool,
    /// Whether prefix-cache hits are counted once, at admission (from 0.27). Before, every failed attempt to admit
    /// counted as well: `get_computed_blocks` of `v1/core/kv_cache_manager.py`. Statistics only.
    pub prefix_hits_counted_once: bool,
}

/// Limits of a batch that an API server takes when the user names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchDefaults {
    /// Most requests in the running list.
    pub max_num_seqs: u32,
    /// Token budget of a step.
    pub max_num_batched_tokens: u32,
}

/// What bears on the batch limits besides the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// As given by the user, if so.
    pub max_num_seqs: Option<u32>,
    /// As given by the user, if so.
    pub max_num_batched_tokens: Option<u32>,
    /// Longest sequence, in tokens.
    pub max_model_len: u32,
    /// Whether prompts may be split over steps.
    pub enable_chunked_prefill: bool,
}

impl EngineVersion {
    /// The oldest version that is modelled.
    pub const OLDEST: Self = Self { major: 0, minor: 19, patch: 0 };
    /// The newest version that is modelled; any patch number of it is.
    pub const NEWEST: Self = Self { major: 0, minor: 33, patch: 0 };

    /// What this version does unless told otherwise.
    pub fn defaults(self) -> VersionDefaults {
        let since = |minor| self.minor >= minor;
        VersionDefaults {
            gpu_memory_utilization: if since(20) { 0.92 } else { 0.9 },
            block_size: 16,
            enable_prefix_caching: true,
            enable_chunked_prefill: true,
            async_scheduling: true,
            long_prefill_token_threshold: 0,
            scheduler_reserve_full_isl: true,
            watermark: since(24).then_some(0.0),
            long_prefill_token_threshold_adaptive: since(31).then_some(false),
            max_num_active_seqs: since(31),
            max_num_partial_prefills: !since(27),
            lifo_unhashed: since(24),
            lone_request_exempt: since(31),
            self_preemption: if since(33) { SelfPreemption::Continue } else { SelfPreemption::Stop },
            stale_tokens_tracked: since(27),
            victim_position_tracked: since(28),
            prefix_hits_counted_once: since(27),
        }
    }

    /// Batch limits of an API server on a GPU with `memory_bytes`, before [`BatchDefaults::fit`].
    ///
    /// `engine/arg_utils.py`, `EngineArgs.get_batch_defaults`: up to 0.27 there were two classes of GPU, from 0.28 there
    /// are three, and 0.33 counts the GB10 among the small ones in spite of its memory. An A100 of 80 GB is small in all
    /// of them. The offline `LLM` class and CPUs have other defaults.
    pub fn batch_defaults(self, memory_bytes: u64, gpu_name: &str) -> BatchDefaults {
        const GIB: u64 = 1 << 30;
        let name = gpu_name.to_ascii_lowercase();
        let gb10 = name.contains("gb10") && !name.contains("gb100");
        let spared = name.contains("a100") || (self.minor >= 33 && gb10);
        if self.minor >= 28 && memory_bytes >= 160 * GIB {
            BatchDefaults { max_num_seqs: 1024, max_num_batched_tokens: 16_384 }
        } else if memory_bytes >= 70 * GIB && !spared {
            BatchDefaults { max_num_seqs: 1024, max_num_batched_tokens: 8192 }
        } else {
            BatchDefaults { max_num_seqs: 256, max_num_batched_tokens: 2048 }
        }
    }
}

impl BatchDefaults {
    /// The limits that the engine starts with: a limit given by the user stands, a default bends to the rest.
    ///
    /// `engine/arg_utils.py`, `_set_default_max_num_seqs_and_batched_tokens_args`, equal in 0.19 to 0.33 for text
    /// models: a default token budget is raised to `max_model_len` without chunked prefill, then cut to what
    /// `max_num_seqs` sequences can hold; a default `max_num_seqs` is cut to the budget. `--performance-mode throughput`
    /// (which doubles both defaults) and data-parallel mixtures of experts (256 tokens) are left out.
    #[must_use]
    pub fn fit(self, settings: BatchSettings) -> Self {
        let max_num_seqs = settings.max_num_seqs.unwrap_or(self.max_num_seqs);
        let max_num_batched_tokens = settings.max_num_batched_tokens.unwrap_or_else(|| {
            let floor = if settings.enable_chunked_prefill { 0 } else { settings.max_model_len };
            let held = max_num_seqs.saturating_mul(settings.max_model_len);
            self.max_num_batched_tokens.max(floor).min(held)
        });
        let max_num_seqs = settings.max_num_seqs.unwrap_or_else(|| max_num_seqs.min(max_num_batched_tokens));
        Self { max_num_seqs, max_num_batched_tokens }
    }
}

impl Default for EngineVersion {
    /// vLLM 0.32.0, the version of the golden schedules.
    fn default() -> Self {
        Self { major: 0, minor: 32, patch: 0 }
    }
}

impl fmt::Display for EngineVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for EngineVersion {
    type Err = VersionError;

    /// Reads `0.22`, `0.22.1`, `v0.22.1`, `vllm-0.22` and `vllm==0.22.1+cu129`.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        parse(text.trim()).ok_or_else(|| VersionError { value: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<EngineVersion> {
    let text = text.strip_prefix("vllm").map_or(text, |rest| rest.trim_start_matches(['-', '=', ' ']));
    let text = text.strip_prefix('v').unwrap_or(text);
    let release = text.split_once('+').map_or(text, |(release, _build)| release);
    let numbers: Vec<u32> = release.split('.').map(number).collect::<Option<_>>()?;
    let (major, minor, patch) = match numbers[..] {
        [major, minor] => (major, minor, 0),
        [major, minor, patch] => (major, minor, patch),
        _ => return None,
    };
    let known = EngineVersion::OLDEST.minor..=EngineVersion::NEWEST.minor;
    (major == 0 && known.contains(&minor)).then_some(EngineVersion { major, minor, patch })
}

/// Digits only: `u32::from_str` would take a sign.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl TryFrom<String> for EngineVersion {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, VersionError> {
        text.parse()
    }
}

impl From<EngineVersion> for String {
    fn from(version: EngineVersion) -> Self {
        version.to_string()
    }
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
