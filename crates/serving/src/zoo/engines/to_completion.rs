//! A rectangular batch that runs to completion: what static and dynamic batching have in common.
//!
//! All prompts are filled up to the longest and computed in one step; then every step gives a token to each request that has
//! not ended. The rows of those that have go on computing, and keep their KV, until the longest ends: nobody joins or leaves
//! in between. Each row holds room for the longest sequence from the beginning (FasterTransformer allocates
//! batch x longest sequence).

use crate::engine::{ConfigError, EngineConfig};
use crate::zoo::{Plan, Slot, Stage, State, UNTIL_EVENT};

use super::within;

/// Goes on with the batch; `None` if there is none, and another may be formed.
pub(super) fn go_on(state: &mut State) -> Option<Plan> {
    if state.running().is_empty() {
        state.end_batch();
        return None;
    }
    state.decode();
    Some(Plan::Run { holds: UNTIL_EVENT })
}

/// Forms a batch of the first `count` that wait.
pub(super) fn begin(state: &mut State, count: usize) -> Plan {
    let longest = state.waiting().take(count).map(|slot| state.request(slot).num_prompt_tokens).max();
    for _ in 0..count {
        let (Some(slot), Some(longest)) = (state.head(), longest) else { break };
        state.admit(slot, 0);
        state.reserve(slot, state.max_model_len());
        state.prefill_padded(slot, longest);
    }
    Plan::Run { holds: UNTIL_EVENT }
}

/// A request leaves: its row stays, if it has one.
pub(super) fn leaves(state: &mut State, slot: Slot) {
    if state.request(slot).stage() == Stage::Waiting {
        state.free_kv(slot);
    } else {
        state.keep_row(slot);
    }
}

/// The KV cache must hold a full batch of longest sequences.
pub(super) fn check(field: &'static str, batch: u32, sizes: &EngineConfig) -> Result<(), ConfigError> {
    within(field, batch, 1, 1 << 20)?;
    let per_row = u64::from(sizes.max_model_len.div_ceil(sizes.block_size));
    let fitting = u64::from(sizes.usable_blocks()) / per_row;
    if u64::from(batch) > fitting {
        let reason = format!(
            "each row reserves `max_model_len` ({} tokens), and the KV cache holds {fitting} such rows: lower it to {fitting}, \
             or lower `max_model_len`",
            sizes.max_model_len
        );
        return Err(ConfigError { field, value: batch.to_string(), reason });
    }
    Ok(())
}
