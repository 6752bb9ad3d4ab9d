//! What a client sends: a request as the workload describes it, before any engine has seen it.

use kendall_des::SimTime;
use thiserror::Error;

use crate::record::RequestRecord;

/// One request of a workload.
///
/// `max_tokens` is the true output length: kendall models clients that send `ignore_eos` or whose output length is
/// known from a recording. No scheduling policy may read it, except policies named `oracle_*` (invariant 7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSpec {
    /// When the client sends it.
    pub arrival: SimTime,
    /// Prompt length in tokens, at least 1.
    pub num_prompt_tokens: u32,
    /// Output length in tokens, at least 1.
    pub max_tokens: u32,
    /// What the prompt consists of, as far as a prefix cache can tell.
    pub prompt: PromptContent,
    /// Smaller is more urgent; only the `priority` scheduling policy looks at it.
    pub priority: i32,
    /// When the client gives up, if it does.
    pub abort: Option<SimTime>,
    /// Rank of the request's id among all ids compared as strings, where that is not the order of arrival. Under the
    /// `priority` policy it settles equal priorities and arrival times.
    pub id_rank: Option<u64>,
    /// Who sent it, where that matters to what follows: a conversation, a class, a client that tries again.
    pub session: Option<SessionTurn>,
}

/// Who sent a request: a turn of a conversation, or a client with this one request.
///
/// It lives in bytes that `Option<(u64, u32)>` would leave empty, so that classes and retries cost nothing on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionTurn {
    /// Class of requests, in the order of the scenario, from 0.
    pub class: u16,
    /// Number of the conversation, or of the client's request, within the class, from 0.
    pub session: u64,
    /// Number of the turn, from 0.
    pub turn: u32,
    /// How often the client had tried before.
    pub attempt: u16,
}

impl SessionTurn {
    /// The first attempt of a turn of the only class.
    pub fn new(session: u64, turn: u32) -> Self {
        Self { class: 0, session, turn, attempt: 0 }
    }
}

impl RequestSpec {
    /// A request of unique content and priority 0 that is never aborted.
    pub fn new(arrival: SimTime, num_prompt_tokens: u32, max_tokens: u32) -> Self {
        Self {
            arrival,
            num_prompt_tokens,
            max_tokens,
            prompt: PromptContent::Unique,
            priority: 0,
            abort: None,
            id_rank: None,
            session: None,
        }
    }
}

impl RequestSpec {
    /// The class of requests that it belongs to, in the order of the scenario, from 0.
    pub fn class(&self) -> u16 {
        self.session.map_or(0, |sender| sender.class)
    }
}

/// The identity of a prompt's tokens. Two tokens are equal if and only if their (stream, index) pairs are equal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PromptContent {
    /// Shares nothing with any other request.
    #[default]
    Unique,
    /// Made of runs of tokens, in order. Their lengths sum to the prompt length.
    Segments(Box<[TokenSegment]>),
}

/// `len` consecutive tokens of `stream`, from index `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenSegment {
    /// Where the tokens come from.
    pub stream: TokenStream,
    /// Index of the first token within the stream.
    pub start: u32,
    /// Number of tokens.
    pub len: u32,
}

/// A named, endless sequence of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenStream {
    /// Text that several requests may share: a system prompt, a document, a trace's content hash.
    Shared(u64),
    /// The part of a prompt that only this request has. It becomes `Prompt` with the request's number when it arrives.
    Own,
    /// The part of a prompt that only the request with this number had; a later turn of a conversation quotes it.
    Prompt(u64),
    /// What the request with this number generated; a later turn of a conversation quotes it.
    Output(u64),
}

/// Why a workload could not deliver its next request: a malformed trace line, a distribution that left its domain.
/// The message names the place and the remedy.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct WorkloadError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// Requests in order of arrival, read as the simulation goes on.
pub type RequestStream = Box<dyn Iterator<Item = Result<RequestSpec, WorkloadError>> + Send>;

/// Where requests come from. Most workloads are streams; some react to what happens to their requests.
pub trait Workload {
    /// The next request, not earlier than the one before. `None` if there is none, or none yet: a workload that waits for
    /// a departure is asked again after the next arrival. A stream must go on saying `None` after its end.
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>>;

    /// A request left. Returns the request that its client sends because of that, if any, to arrive not earlier than now.
    fn departed(&mut self, _record: &RequestRecord) -> Option<RequestSpec> {
        None
    }

    /// Whether two of its requests may have tokens in common. Where certainly none have, a prefix cache finds nothing but what a
    /// preempted request computed itself, and engines need not keep every block.
    fn shares_tokens(&self) -> bool {
        true
    }
}

impl<I: Iterator<Item = Result<RequestSpec, WorkloadError>>> Workload for I {
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>> {
        self.next()
    }
}
