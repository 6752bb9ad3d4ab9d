//! Admission and preemption by page, as vLLM's V0 engine and those that grew out of it have them.

use std::collections::VecDeque;

use crate::engine::{ConfigError, EngineConfig};
use crate::zoo::{Slot, Stage, State};

/// Blocks that an admission leaves free: `int(watermark * num_gpu_blocks)` of the block manager.
pub(super) fn watermark_blocks(watermark: f64, num_blocks: u32) -> u32 {
    (watermark * f64::from(num_blocks)) as u32
}

/// Blocks that are free once everybody who decodes has been given theirs for the next step.
pub(super) fn free_beside_decoding(state: &State) -> u32 {
    state.kv().free_blocks().saturating_sub(state.blocks_to_decode())
}

/// Preempts until everybody who decodes finds a free block when it is looked at, in order of the running list, whether it
/// needs one or not; victims are taken from the end of the list. Returns whether there were any.
///
/// vLLM counts the last block of a sequence as touched by an append although it is half empty
/// (`BlockTable.get_num_blocks_touched_by_append_slots`), and Sarathi's server asks for `num_free_gpu_blocks > 0`.
pub(super) fn make_room(state: &mut State, mut preempt: impl FnMut(&mut State, Slot)) -> bool {
    if u64::from(state.kv().free_blocks()) >= state.num_decoding() {
        return false;
    }
    let mut queue: VecDeque<Slot> = state.running().iter().copied().collect();
    let (mut taken, mut any) = (0, false);
    while let Some(slot) = queue.pop_front() {
        if state.request(slot).stage() != Stage::Decoding {
            continue;
        }
        while state.kv().free_blocks() == taken {
            let victim = queue.pop_back().unwrap_or(slot);
            preempt(state, victim);
            any = true;
            if victim == slot {
                return true;
            }
        }
        taken += u32::from(state.computed(slot).is_multiple_of(state.kv().block_size()));
    }
    any
}

/// Goes on with the prompt that is under way, if there is one, as far as the budget of tokens reaches; returns what is left of
/// it. A prompt is cut only where the budget ends, so that there is one at most: the last of the running list.
pub(super) fn continue_prompt(state: &mut State, budget: u32) -> u32 {
    let under_way =
        state.running().last().copied().filter(|&slot| state.request(slot).stage() == Stage::Prefilling);
    let Some(slot) = under_way else { return budget };
    let chunk = state.uncomputed(slot).min(budget);
    if chunk > 0 {
        state.prefill(slot, chunk);
    }
    budget - chunk
}

/// A request of the longest sequence, alone on the server, must never be short of a block, or it would preempt itself for ever:
/// it needs its own blocks and `spare` others.
pub(super) fn longest_fits(sizes: &EngineConfig, spare: u32) -> Result<(), ConfigError> {
    let needed = sizes.max_model_len.div_ceil(sizes.block_size);
    let usable = sizes.usable_blocks();
    if needed.saturating_add(spare) <= usable {
        return Ok(());
    }
    let fitting = u64::from(usable.saturating_sub(spare)) * u64::from(sizes.block_size);
    let reason = format!(
        "a request of that length needs {needed} blocks and {spare} that stay free, and the KV cache has {usable}: lower it to \
         {fitting}, or raise `num_gpu_blocks`"
    );
    Err(ConfigError { field: "max_model_len", value: sizes.max_model_len.to_string(), reason })
}
