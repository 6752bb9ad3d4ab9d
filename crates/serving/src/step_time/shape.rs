//! What a step-time model sees of a batch.

use serde::Serialize;

/// The shape of a batch: sums of integers, so that the shapes of a run of decode steps form an
/// arithmetic progression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct BatchShape {
    /// Tokens of prompts (and of recomputation after a preemption).
    pub prefill_tokens: u64,
    /// Sum over prefill chunks of the context length after the chunk.
    pub prefill_context_tokens: u64,
    /// Sum over prefill chunks of chunk length times context length: the work of prefill attention.
    pub prefill_attention: u64,
    /// Prefill chunks.
    pub prefill_seqs: u64,
    /// Sum over prefill chunks of the square of their length: half of it is what a causal mask leaves out.
    pub prefill_squares: u64,
    /// Sequences that compute the one token they generated last.
    pub decode_seqs: u64,
    /// Sum of their context lengths after the step.
    pub decode_context_tokens: u64,
    /// Tokens in blocks that another sequence of the engine holds too, once for each holder but the first: their keys and values
    /// may be found in a cache of the GPU. Only the [`super::RooflineSteps`] see them.
    pub shared_tokens: u64,
    /// Sequences that were admitted in this step.
    pub new_seqs: u64,
    /// Sequences of the batch that compute nothing in this step. Only the [`super::CurveSteps`] see them.
    pub idle_seqs: u64,
}

impl BatchShape {
    /// Adds the row of a decoding sequence whose context is `context` tokens after the step.
    pub fn add_decode(&mut self, context: u64) {
        self.decode_seqs += 1;
        self.decode_context_tokens += context;
    }

    /// Adds a prefill chunk of `tokens` that ends at a context of `context` tokens.
    pub fn add_prefill(&mut self, tokens: u64, context: u64) {
        self.prefill_tokens += tokens;
        self.prefill_context_tokens += context;
        self.prefill_attention += tokens * context;
        self.prefill_seqs += 1;
        self.prefill_squares += tokens * tokens;
    }
}
