//! The step that is being put together.

use kendall_des::SimDuration;

use crate::record::RowKind;
use crate::step_time::BatchShape;

use super::Slot;

/// Part of a prompt that the next step computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub slot: Slot,
    pub stamp: u64,
    /// Tokens, and those that were computed before.
    pub tokens: u32,
    pub before: u32,
    /// Whether it ends what there is to compute.
    pub is_last: bool,
    pub kind: RowKind,
}

/// Rows of a batch that compute for nobody: requests that ended before their batch did, and prompts filled up to the longest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Padding {
    /// Rows without a request.
    pub rows: u64,
    /// Context tokens that are read in vain in a decode step, the next one.
    pub context: u64,
    /// Blocks that these rows hold.
    pub blocks: u32,
}

/// The step that is being put together.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub chunks: Vec<Chunk>,
    pub decode: bool,
    /// Prompt tokens that are computed for nothing, and what attending to them costs.
    pub padding: BatchShape,
    pub extra: SimDuration,
    pub preempted: Vec<u64>,
}
