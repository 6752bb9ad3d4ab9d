//! What a run leaves behind: one record a request and, if wanted, one a step.

use kendall_des::{SimDuration, SimTime};
use serde::Serialize;

use crate::kv::BlockId;
use crate::request::SessionTurn;
use crate::step_time::BatchShape;
use crate::zoo::Rejection;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestStatus {
    /// All its tokens were delivered.
    Finished,
    /// The client gave up.
    Aborted,
    /// The server refused it at the door.
    Rejected,
    /// It was still in the system when the run ended.
    Unfinished,
}

/// Where the time to the first token went. The parts sum exactly to the whole (invariant 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TtftParts {
    /// Between the client and the engine.
    pub front_end: SimDuration,
    /// In the waiting queue, until the first admission.
    pub queue: SimDuration,
    /// Its own prefill, as long as it would have taken in batches without others.
    pub prefill: SimDuration,
    /// Time that other sequences added: longer steps, steps without a share of the token budget.
    pub interference: SimDuration,
    /// Waiting after preemptions, and computing again what they took.
    pub preemption: SimDuration,
}

impl TtftParts {
    /// The whole.
    pub fn total(&self) -> SimDuration {
        [self.front_end, self.queue, self.prefill, self.interference, self.preemption].into_iter().sum()
    }
}

/// The life of one request. Time stamps are those of the simulated run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// Number of the request in the workload, from 0.
    pub index: u64,
    /// Number of the replica that served it, from 0.
    pub replica: u32,
    /// How it ended.
    pub status: RequestStatus,
    /// Why it was turned away, if it was.
    pub rejection: Option<Rejection>,
    /// When the client sent it.
    pub arrival: SimTime,
    /// When it reached the engine's input queue.
    pub received: SimTime,
    /// When the engine took it from its input queue: at a step boundary.
    pub queued: Option<SimTime>,
    /// Start of the scheduling step that first admitted it.
    pub first_scheduled: Option<SimTime>,
    /// When its first output token was delivered.
    pub first_token: Option<SimTime>,
    /// When its last output token was delivered.
    pub last_token: Option<SimTime>,
    /// When it left.
    pub finish: SimTime,
    /// Prompt length in tokens.
    pub num_prompt_tokens: u32,
    /// Output tokens delivered.
    pub num_output_tokens: u32,
    /// Prompt tokens found in the prefix cache at the first admission.
    pub num_cached_tokens: u32,
    /// How often it lost its blocks.
    pub num_preemptions: u32,
    /// Computed tokens lost in preemptions.
    pub num_lost_tokens: u64,
    /// Time between losing its blocks and its next token, summed over preemptions; `None` of vLLM V1, where it is not kept.
    pub preempted_for: Option<SimDuration>,
    /// Who sent it, as the workload says: conversation, class, attempt.
    pub session: Option<SessionTurn>,
    /// Scheduling class as given by the workload; smaller is more urgent.
    pub priority: i32,
    /// Where the time to the first token went; all zero without a first token.
    pub ttft_parts: TtftParts,
}

impl RequestRecord {
    /// The class of requests that it belongs to, in the order of the scenario, from 0.
    pub fn class(&self) -> u16 {
        self.session.map_or(0, |sender| sender.class)
    }

    /// Time to the first token, from the client's send.
    pub fn ttft(&self) -> Option<SimDuration> {
        self.first_token.map(|first| first - self.arrival)
    }

    /// Time from the client's send to the last token, of a finished request.
    pub fn e2e(&self) -> Option<SimDuration> {
        (self.status == RequestStatus::Finished).then(|| self.finish - self.arrival)
    }

    /// Mean time per output token after the first (vLLM's TPOT), rounded down to a picosecond; `None` below two tokens.
    pub fn tpot(&self) -> Option<SimDuration> {
        let gaps = u64::from(self.num_output_tokens.checked_sub(1).filter(|&gaps| gaps > 0)?);
        let span = self.last_token? - self.first_token?;
        Some(SimDuration::from_ps(span.as_ps() / gaps))
    }
}

/// How a request came into a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// It was running.
    Running,
    /// It was admitted for the first time.
    Admitted,
    /// It came back after a preemption.
    Resumed,
}

/// What one request did in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// Number of the request in the workload.
    pub request: u64,
    /// Tokens computed.
    pub num_tokens: u32,
    /// Tokens that were computed before; for an admission the prefix hit.
    pub num_computed_tokens: u32,
    /// How it came into the step.
    pub kind: RowKind,
    /// Whether the step's output brought it a token.
    pub delivers: bool,
    /// Blocks added; for an admission the whole table. Empty where blocks are only counted.
    pub blocks: Vec<BlockId>,
}

/// One step of one replica: a `schedule()` that gave somebody a token or preempted somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// Number of the replica.
    pub replica: u32,
    /// Number of the step on this replica.
    pub step: u64,
    /// When it was scheduled.
    pub scheduled: SimTime,
    /// When the device began it.
    pub start: SimTime,
    /// When its output was processed.
    pub end: SimTime,
    /// Who ran, in order of scheduling.
    pub rows: Vec<StepRow>,
    /// Who was preempted, in order.
    pub preempted: Vec<u64>,
    /// Who finished when its output was processed.
    pub finished: Vec<u64>,
    /// Who was aborted just before that.
    pub aborted: Vec<u64>,
    /// Waiting queue right after scheduling.
    pub num_waiting: u32,
    /// Running list right after scheduling.
    pub num_running: u32,
    /// Free blocks right after scheduling.
    pub free_blocks: u32,
    /// Free blocks after its output was processed.
    pub free_blocks_end: u32,
    /// What the step-time model saw.
    pub shape: BatchShape,
}
