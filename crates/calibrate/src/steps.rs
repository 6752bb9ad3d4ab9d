//! Engine steps as measured: how long each took, and what was in its batch.

use serde::Serialize;

/// The steps of one log.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StepLog {
    /// Steps in the log's order.
    pub steps: Vec<MeasuredStep>,
    /// What the log says of the server.
    pub server: ServerFacts,
}

/// What a log or the user says of the measured server.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ServerFacts {
    /// GPU.
    pub gpu: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Engine and version, such as `vllm 0.22.0`.
    pub engine_version: Option<String>,
    /// GPUs that share the model.
    pub tensor_parallel_size: Option<u32>,
}

/// One engine step. Amounts may be fractions where a log gives averages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct MeasuredStep {
    /// Number of the run within the log: steps of two runs are never neighbours.
    pub run: u32,
    /// How long it took (s).
    pub duration_s: f64,
    /// Tokens of prompts.
    pub prefill_tokens: f64,
    /// Sum over prefill chunks of the context after the chunk.
    pub prefill_context_tokens: f64,
    /// Sum over prefill chunks of chunk times context after the chunk.
    pub prefill_attention: f64,
    /// Decoding sequences.
    pub decode_seqs: f64,
    /// Sum of their contexts.
    pub decode_context_tokens: f64,
    /// Sequences admitted in this step.
    pub new_seqs: f64,
}

impl MeasuredStep {
    /// Whether nothing but decoding happened.
    pub fn is_decode_only(&self) -> bool {
        self.prefill_tokens <= 0.0 && self.decode_seqs > 0.0
    }
}
