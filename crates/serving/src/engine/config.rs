//! The settings of one engine, under vLLM's names, and the checks that vLLM makes before it starts.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::zoo::ZooConfig;

/// Order of the waiting queue and choice of preemption victims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SchedulingPolicy {
    /// First come, first served; the most recently admitted request is preempted first.
    #[default]
    Fcfs,
    /// Smallest (priority, arrival) first; the largest is preempted first.
    Priority,
}

impl fmt::Display for SchedulingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fcfs => "fcfs",
            Self::Priority => "priority",
        })
    }
}

/// What phase A does after a request had to preempt itself (vLLM 0.33 changed it; priority policy only).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SelfPreemption {
    /// Requests behind it are not scheduled in this step (up to vLLM 0.32).
    #[default]
    Stop,
    /// The scan goes on with the next running request (from vLLM 0.33).
    Continue,
}

/// All that decides what one vLLM V1 engine schedules. Lengths are in tokens, sizes in blocks.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "these are vLLM's own switches")]
pub struct EngineConfig {
    /// Most requests in the running list.
    pub max_num_seqs: u32,
    /// Token budget of a step.
    pub max_num_batched_tokens: u32,
    /// Longest sequence, prompt and output together.
    pub max_model_len: u32,
    /// Tokens that one KV block holds.
    pub block_size: u32,
    /// KV blocks, the null block included: one less is usable.
    pub num_gpu_blocks: u32,
    /// Longest prompt chunk of one step while others are there; 0 is no limit.
    pub long_prefill_token_threshold: u32,
    /// Whether the threshold grows to an equal share of the budget.
    pub long_prefill_token_threshold_adaptive: bool,
    /// Tighter limit for admissions than `max_num_seqs`, if any.
    pub max_num_active_seqs: Option<u32>,
    /// Whether prompts may be split over steps.
    pub enable_chunked_prefill: bool,
    /// Whether full blocks are kept and found again by content.
    pub enable_prefix_caching: bool,
    /// Queue order and victims.
    pub scheduling_policy: SchedulingPolicy,
    /// Share of the blocks that an admission must leave free while others run.
    pub watermark: f64,
    /// Whether an admission needs room for all known tokens and not only for the first chunk.
    pub scheduler_reserve_full_isl: bool,
    /// Whether the next batch is scheduled while one is running.
    pub async_scheduling: bool,
    /// Whether the threshold spares a request that is alone (from vLLM 0.31).
    pub lone_request_exempt: bool,
    /// Whether freed blocks without a hash are reused first (from vLLM 0.24) instead of last.
    pub lifo_unhashed: bool,
    /// What follows a self-preemption.
    pub self_preemption: SelfPreemption,
    /// Whether blocks carry ids although prefix caching is off; needed to compare block tables.
    pub track_block_ids: bool,
    /// Whether every request of every step is scheduled by itself, without cohorts and runs of steps: slower, with the
    /// same results to the bit. The oracle of the tests.
    pub one_by_one: bool,
    /// Another engine instead of vLLM V1. Of the settings above only the sizes (KV blocks, longest sequence) and `one_by_one`
    /// hold for it; `max_num_seqs` and `max_num_batched_tokens` are the most that its batches can reach.
    pub zoo: Option<ZooConfig>,
}

impl Default for EngineConfig {
    /// vLLM 0.32 with the sizes of the golden schedules.
    fn default() -> Self {
        Self {
            max_num_seqs: 128,
            max_num_batched_tokens: 2048,
            max_model_len: 4096,
            block_size: 16,
            num_gpu_blocks: 1024,
            long_prefill_token_threshold: 0,
            long_prefill_token_threshold_adaptive: false,
            max_num_active_seqs: None,
            enable_chunked_prefill: true,
            enable_prefix_caching: true,
            scheduling_policy: SchedulingPolicy::Fcfs,
            watermark: 0.0,
            scheduler_reserve_full_isl: true,
            async_scheduling: false,
            lone_request_exempt: true,
            lifo_unhashed: true,
            self_preemption: SelfPreemption::Stop,
            track_block_ids: false,
            one_by_one: false,
            zoo: None,
        }
    }
}

/// A setting with which vLLM would refuse to start. The message names the setting, its value and the remedy.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("`{field}` is {value}: {reason}")]
pub struct ConfigError {
    /// Name of the setting.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What is wrong and what to do.
    pub reason: String,
}

impl EngineConfig {
    /// Blocks that requests can use: all but the null block.
    pub fn usable_blocks(&self) -> u32 {
        self.num_gpu_blocks.saturating_sub(1)
    }

    /// Checks what vLLM checks at start.
    ///
    /// # Errors
    /// On the first setting that vLLM would refuse.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let error = |field, value: &dyn fmt::Display, reason: String| {
            Err(ConfigError { field, value: value.to_string(), reason })
        };
        for (field, value) in [
            ("max_num_seqs", self.max_num_seqs),
            ("max_num_batched_tokens", self.max_num_batched_tokens),
            ("block_size", self.block_size),
            ("num_gpu_blocks", self.num_gpu_blocks),
        ] {
            if value == 0 {
                return error(field, &value, "it must be at least 1".into());
            }
        }
        if self.max_model_len < 2 {
            return error(
                "max_model_len",
                &self.max_model_len,
                "it must hold a prompt and an output token: at least 2".into(),
            );
        }
        if self.max_num_batched_tokens < self.max_num_seqs {
            let reason = format!(
                "it must be at least `max_num_seqs` ({}), so that every running sequence can decode in one step",
                self.max_num_seqs
            );
            return error("max_num_batched_tokens", &self.max_num_batched_tokens, reason);
        }
        if !self.enable_chunked_prefill && self.max_num_batched_tokens < self.max_model_len {
            let reason = format!(
                "without chunked prefill a whole prompt must fit a step: raise it to `max_model_len` ({}) or set \
                 `enable_chunked_prefill = true`",
                self.max_model_len
            );
            return error("max_num_batched_tokens", &self.max_num_batched_tokens, reason);
        }
        if let Some(active) = self.max_num_active_seqs
            && (active == 0 || active > self.max_num_seqs)
        {
            let reason = format!("it must lie between 1 and `max_num_seqs` ({})", self.max_num_seqs);
            return error("max_num_active_seqs", &active, reason);
        }
        if self.long_prefill_token_threshold > self.max_model_len {
            let reason = format!("it must not exceed `max_model_len` ({})", self.max_model_len);
            return error("long_prefill_token_threshold", &self.long_prefill_token_threshold, reason);
        }
        if !(0.0..1.0).contains(&self.watermark) {
            return error(
                "watermark",
                &self.watermark,
                "it is a share of all blocks: at least 0, below 1".into(),
            );
        }
        let needed = self.max_model_len.div_ceil(self.block_size);
        if self.usable_blocks() < needed {
            let reason = format!(
                "one request of `max_model_len` ({} tokens) needs {} blocks of {} tokens and the null block: raise it \
                 to {}, or lower `max_model_len` to {}",
                self.max_model_len,
                needed,
                self.block_size,
                needed + 1,
                u64::from(self.usable_blocks()) * u64::from(self.block_size),
            );
            return error("num_gpu_blocks", &self.num_gpu_blocks, reason);
        }
        Ok(())
    }
}
