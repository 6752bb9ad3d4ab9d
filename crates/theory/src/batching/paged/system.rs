//! The engine that the paged models describe: what vLLM's scheduler is given.

use thiserror::Error;

use crate::batching::lengths::LengthLaw;

/// The shape of a step, as far as its duration depends on it. Means enter as well as counts, so amounts are real.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepShape {
    /// Sequences that compute one token.
    pub decode_seqs: f64,
    /// Sum of their contexts (tokens).
    pub decode_context_tokens: f64,
    /// Prompt tokens.
    pub prefill_tokens: f64,
    /// Prompts, or chunks of prompts.
    pub prefill_seqs: f64,
    /// Sum over chunks of the context behind them (tokens).
    pub prefill_context_tokens: f64,
    /// Sum over chunks of chunk times context (tokens squared).
    pub prefill_attention: f64,
    /// Sum over chunks of their squared length (tokens squared).
    pub prefill_squares: f64,
}

/// How long a step takes: what the models know of the hardware.
pub trait StepTime: Sync {
    /// Duration of a step of this shape (s): finite, at least 0, and above 0 when a token is computed.
    fn step_s(&self, shape: &StepShape) -> f64;
}

impl<F: Fn(&StepShape) -> f64 + Sync> StepTime for F {
    fn step_s(&self, shape: &StepShape) -> f64 {
        self(shape)
    }
}

/// Limits of one engine, in vLLM's words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineLimits {
    /// Most running requests.
    pub max_num_seqs: usize,
    /// Most tokens of a step.
    pub max_num_batched_tokens: usize,
    /// KV blocks that requests can use.
    pub usable_blocks: usize,
    /// Tokens of a block.
    pub block_size: usize,
    /// Whether the blocks of a preempted request may be found again by their content.
    pub prefix_caching: bool,
    /// Whether the step after next is decided while the next one waits (asynchronous scheduling).
    pub async_scheduling: bool,
}

/// One paged engine with Poisson arrivals and independent lengths.
pub struct PagedSystem<'a> {
    /// Arrivals per second.
    pub arrival_rate_per_s: f64,
    /// Law of prompt lengths.
    pub prompt: &'a LengthLaw,
    /// Law of output lengths.
    pub output: &'a LengthLaw,
    /// The engine's limits.
    pub limits: EngineLimits,
    /// Time before a request reaches the engine (s).
    pub front_end_s: f64,
    /// Duration of steps.
    pub step_time: &'a dyn StepTime,
}

/// A paged system that cannot be one.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("paged engine: {field} = {value}; give {range}")]
pub struct PagedSystemError {
    /// Which setting.
    pub field: &'static str,
    /// Its value.
    pub value: f64,
    /// What it may be.
    pub range: &'static str,
}

impl PagedSystem<'_> {
    /// # Errors
    /// A rate that is no finite number > 0, a time that is no finite number >= 0, or a limit of zero.
    pub fn check(&self) -> Result<(), PagedSystemError> {
        let (rate, front_end_s) = (self.arrival_rate_per_s, self.front_end_s);
        if !(rate.is_finite() && rate > 0.0) {
            let field = "arrival_rate_per_s";
            return Err(PagedSystemError { field, value: rate, range: "a finite number > 0" });
        }
        if !(front_end_s.is_finite() && front_end_s >= 0.0) {
            let field = "front_end_s";
            return Err(PagedSystemError { field, value: front_end_s, range: "a finite number >= 0" });
        }
        let limits = &self.limits;
        for (field, value) in [
            ("max_num_seqs", limits.max_num_seqs),
            ("max_num_batched_tokens", limits.max_num_batched_tokens),
            ("usable_blocks", limits.usable_blocks),
            ("block_size", limits.block_size),
        ] {
            if value == 0 {
                return Err(PagedSystemError { field, value: 0.0, range: "at least 1" });
            }
        }
        Ok(())
    }

    /// Steps between the decision for a request and its first step: with asynchronous scheduling one step is decided ahead.
    pub(super) fn lead_steps(&self) -> usize {
        usize::from(self.limits.async_scheduling)
    }

    /// Mean steps that a request occupies a place in the running list: its own, and those decided ahead.
    pub(super) fn place_steps(&self) -> f64 {
        self.output.mean() + self.lead_steps() as f64
    }

    /// Mean decode steps of a request: the first token comes with its prompt.
    pub(super) fn decode_steps(&self) -> f64 {
        self.output.mean() - 1.0
    }

    /// Mean context of a decoding sequence after a step (tokens), over all decode steps of all requests.
    pub(super) fn decode_context(&self) -> f64 {
        let gaps = self.decode_steps();
        if gaps <= 0.0 {
            return self.prompt.mean();
        }
        self.prompt.mean() + (self.output.mean_square() - self.output.mean()) / 2.0 / gaps
    }

    /// Mean squared prompt over mean prompt (tokens): prefill attention of a token.
    pub(super) fn prompt_seen_by_token(&self) -> f64 {
        self.prompt.mean_square() / self.prompt.mean()
    }

    /// Duration of a step with so many decoding sequences and prompt tokens (s).
    pub(super) fn step_s(&self, decode_seqs: f64, prefill_tokens: f64) -> f64 {
        let attention = prefill_tokens * self.prompt_seen_by_token();
        self.step_time.step_s(&StepShape {
            decode_seqs,
            decode_context_tokens: decode_seqs * self.decode_context(),
            prefill_tokens,
            prefill_seqs: prefill_tokens / self.prompt.mean(),
            prefill_context_tokens: prefill_tokens,
            prefill_attention: attention,
            prefill_squares: attention,
        })
    }

    /// Duration of a step with one chunk of a prompt that ends at a context (s).
    pub(super) fn prompt_step_s(&self, tokens: f64, context: f64) -> f64 {
        self.step_time.step_s(&StepShape {
            prefill_tokens: tokens,
            prefill_seqs: 1.0,
            prefill_context_tokens: context,
            prefill_attention: tokens * context,
            prefill_squares: tokens * tokens,
            ..StepShape::default()
        })
    }

    /// Duration of a step with so many decoding sequences of this context each (s).
    pub(super) fn decode_step_s(&self, seqs: f64, context: f64) -> f64 {
        let decode_context_tokens = seqs * context;
        self.step_time.step_s(&StepShape { decode_seqs: seqs, decode_context_tokens, ..StepShape::default() })
    }
}
