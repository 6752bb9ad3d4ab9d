//! The output length that a client declares (`max_new_tokens`), which some engines plan with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::zoo::{Slot, State};

/// What clients declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredOutput {
    /// What they are given: they send `ignore_eos` with it, as benchmarks do. The server knows output lengths.
    #[default]
    OracleExact,
    /// Nothing: the server counts on the longest sequence.
    Longest,
}

impl DeclaredOutput {
    /// Output tokens that the engine counts on.
    pub(super) fn tokens(self, state: &State, slot: Slot) -> u32 {
        match self {
            Self::OracleExact => state.oracle_output_tokens(slot),
            Self::Longest => state.max_model_len() - state.request(slot).num_prompt_tokens,
        }
    }

    /// As it stands in files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OracleExact => "oracle_exact",
            Self::Longest => "longest",
        }
    }
}
