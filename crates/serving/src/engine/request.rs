//! A request inside the engine.

use kendall_des::{SimDuration, SimTime};

use crate::kv::{RequestBlocks, TokenKeys};
use crate::record::TtftParts;
use crate::request::SessionTurn;

use super::cohort::Membership;

/// Where a request is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// In the waiting queue, never admitted.
    Waiting,
    /// In the running list.
    Running,
    /// In the waiting queue again, its blocks lost.
    Preempted,
    /// Done or aborted; lives on while a batch in flight has a row of it.
    Finished,
}

/// State of one request; token counts follow the names of vLLM's `Request`.
#[derive(Debug, Clone)]
pub(crate) struct EngineRequest {
    /// Number of the request in the workload.
    pub index: u64,
    pub status: Status,
    pub priority: i32,
    pub session: Option<SessionTurn>,
    /// When the front end received it; breaks ties of priority.
    pub received: SimTime,
    /// Rank of the request's id; the last tie-break.
    pub id_rank: u64,
    pub num_prompt_tokens: u32,
    pub max_tokens: u32,
    /// Tokens whose value the scheduler knows: prompt and processed output.
    pub num_known_tokens: u32,
    /// Leading tokens whose KV is computed or scheduled to be.
    pub num_computed_tokens: u32,
    /// Asynchronous scheduling: sampled tokens still in flight.
    pub num_output_placeholders: u32,
    /// Scheduled tokens whose result has not been processed.
    pub in_flight_tokens: u32,
    /// The share of them that was scheduled before a preemption.
    pub stale_tokens: u32,
    /// Number of its latest admission: the order of the running list.
    pub admission: u64,
    /// Its place in the cohort. A member's counts here are those at joining.
    pub membership: Option<Membership>,
    pub blocks: RequestBlocks,
    pub keys: TokenKeys,
    pub life: Life,
}

/// Time stamps and counts for the record.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    /// When the client sent it.
    pub arrival: SimTime,
    pub queued: SimTime,
    pub first_scheduled: Option<SimTime>,
    pub first_token: Option<SimTime>,
    pub last_token: SimTime,
    pub num_preemptions: u32,
    /// Prefix hit of the first admission.
    pub num_cached_tokens: u32,
    /// Tokens whose computed KV was lost in preemptions.
    pub num_lost_tokens: u64,
    pub ttft: TtftParts,
    /// Up to here the time to the first token is accounted for.
    pub accounted: SimTime,
    /// Computed tokens that a preemption took: computing up to here again is its cost.
    pub recompute_until: u32,
}

impl EngineRequest {
    pub(crate) fn num_output_tokens(&self) -> u32 {
        self.num_known_tokens - self.num_prompt_tokens
    }

    /// Whether the token that ends the request is already being computed (asynchronous scheduling).
    pub(crate) fn last_token_in_flight(&self) -> bool {
        self.num_output_placeholders > 0
            && u64::from(self.num_computed_tokens) + 2 - u64::from(self.num_output_placeholders)
                >= u64::from(self.num_prompt_tokens) + u64::from(self.max_tokens)
    }
}

impl Life {
    /// Time since the last account, which is now closed at `now`.
    pub(crate) fn elapsed(&mut self, now: SimTime) -> SimDuration {
        let elapsed = now - self.accounted;
        self.accounted = now;
        elapsed
    }
}
