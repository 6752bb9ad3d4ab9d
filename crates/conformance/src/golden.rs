//! The recorded schedule, `NAME.golden.json.gz`, and the same form made from a run of kendall.

use kendall_serving::{RequestRecord, RequestStatus, RowKind, StepRecord};
use serde::{Deserialize, Serialize};

use crate::scenario::as_ns;

/// The parts of a recording that are compared. Other fields of the file are the recorder's own statistics.
#[derive(Debug, Deserialize)]
pub(crate) struct Golden {
    pub vllm_version: String,
    pub requests: Vec<GoldenRequest>,
    pub steps: Vec<GoldenStep>,
}

/// One step, with the recorder's one-letter names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GoldenStep {
    /// When `schedule()` ran, and start and end of execution (ns).
    pub t0: u64,
    pub t1: u64,
    pub t2: u64,
    /// Rows: request, tokens, computed before, kind.
    pub s: Vec<(usize, u32, u32, u8)>,
    /// Blocks added, by request.
    pub b: Vec<(usize, Vec<u32>)>,
    /// Preempted, finished, aborted.
    pub p: Vec<usize>,
    pub f: Vec<usize>,
    pub a: Vec<usize>,
    /// Waiting, running and free blocks after scheduling; free blocks after processing.
    pub w: u32,
    pub r: u32,
    pub fb: u32,
    pub fe: u32,
    /// Prefill tokens, decode sequences, context tokens.
    pub pt: u64,
    pub ds: u64,
    pub ctx: u64,
}

/// One request as the recording saw it end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GoldenRequest {
    pub status: String,
    pub queued_ns: Option<u64>,
    pub first_sched_ns: Option<u64>,
    pub first_token_ns: Option<u64>,
    pub last_token_ns: Option<u64>,
    pub finish_ns: Option<u64>,
    pub n_out: u32,
    /// Prefix hit of each admission; only the first is compared here, the others stand in the steps.
    pub hits: Vec<u32>,
    pub preempted_at: Vec<u64>,
}

impl GoldenStep {
    /// `place` gives a request's place in the scenario file by its number in the run.
    pub(crate) fn of(step: &StepRecord, place: &[usize]) -> Self {
        let kind = |kind| match kind {
            RowKind::Running => 0,
            RowKind::Admitted => 1,
            RowKind::Resumed => 2,
        };
        let places = |numbers: &[u64]| numbers.iter().map(|&number| place[number as usize]).collect();
        let row = |row: &kendall_serving::StepRow| {
            (place[row.request as usize], row.num_tokens, row.num_computed_tokens, kind(row.kind))
        };
        let with_blocks = step.rows.iter().filter(|row| !row.blocks.is_empty());
        Self {
            t0: as_ns(step.scheduled),
            t1: as_ns(step.start),
            t2: as_ns(step.end),
            s: step.rows.iter().map(row).collect(),
            b: with_blocks.map(|row| (place[row.request as usize], row.blocks.clone())).collect(),
            p: places(&step.preempted),
            f: places(&step.finished),
            a: places(&step.aborted),
            w: step.num_waiting,
            r: step.num_running,
            fb: step.free_blocks,
            fe: step.free_blocks_end,
            pt: step.shape.prefill_tokens,
            ds: step.shape.decode_seqs,
            ctx: step.shape.prefill_context_tokens + step.shape.decode_context_tokens,
        }
    }
}

impl GoldenRequest {
    pub(crate) fn of(record: &RequestRecord, preempted_at: Vec<u64>, hits: Vec<u32>) -> Self {
        let served = record.status != RequestStatus::Rejected;
        let ended = served && record.status != RequestStatus::Unfinished;
        Self {
            status: match record.status {
                RequestStatus::Finished => "length",
                RequestStatus::Aborted => "aborted",
                RequestStatus::Rejected => "rejected",
                RequestStatus::Unfinished => "unfinished",
            }
            .into(),
            queued_ns: record.queued.map(as_ns),
            first_sched_ns: record.first_scheduled.map(as_ns),
            first_token_ns: record.first_token.map(as_ns),
            last_token_ns: record.last_token.map(as_ns),
            finish_ns: ended.then(|| as_ns(record.finish)),
            n_out: record.num_output_tokens,
            hits,
            preempted_at,
        }
    }
}
