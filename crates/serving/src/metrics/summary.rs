//! The figures of a run, as they are reported.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::simulation::FrontEndSummary;
use crate::zoo::Rejection;

/// One latency in milliseconds; empty fields where nothing was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct LatencySummary {
    pub count: u64,
    pub mean: Option<f64>,
    pub std: Option<f64>,
    pub min: Option<f64>,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

/// A quantity over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaugeSummary {
    /// Mean over time (and replicas).
    pub mean: Option<f64>,
    /// Largest value on any replica.
    pub max: f64,
}

/// Mean parts of the time to the first token, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in `TtftParts`")]
pub struct TtftPartsSummary {
    pub front_end: Option<f64>,
    pub queue: Option<f64>,
    pub prefill: Option<f64>,
    pub interference: Option<f64>,
    pub preemption: Option<f64>,
}

/// The figures of a run. Rates are per second of simulated time from 0 to the last completion; latencies in
/// milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsSummary {
    /// Requests that arrived.
    pub num_requests: u64,
    /// Requests whose tokens were all delivered.
    pub completed: u64,
    /// Requests refused at the door.
    pub rejected: u64,
    /// The same by reason; those that occurred.
    #[serde(default)]
    pub rejections: BTreeMap<Rejection, u64>,
    /// Requests that the client gave up.
    pub aborted: u64,
    /// Requests still in the system when the run ended.
    pub unfinished: u64,
    /// Share of requests refused.
    pub blocking_probability: Option<f64>,
    /// From 0 to the last completion (s).
    pub duration_s: f64,
    /// Prompt tokens of completed requests.
    pub total_input_tokens: u64,
    /// Output tokens of completed requests.
    pub total_output_tokens: u64,
    /// Completed requests per second.
    pub request_throughput: Option<f64>,
    /// Output tokens per second.
    pub output_throughput: Option<f64>,
    /// Prompt and output tokens per second.
    pub total_token_throughput: Option<f64>,
    /// Requests per second that kept every limit.
    pub request_goodput: Option<f64>,
    /// Share of all requests that kept every limit.
    pub slo_attainment: Option<f64>,
    /// Time to first token.
    pub ttft_ms: LatencySummary,
    /// Mean time per output token after the first, by request.
    pub tpot_ms: LatencySummary,
    /// Time between consecutive tokens, all tokens of all requests.
    pub itl_ms: LatencySummary,
    /// End-to-end latency.
    pub e2el_ms: LatencySummary,
    /// From reaching the engine's input queue to the first admission. (vLLM's own queue time starts a little later, when
    /// the engine looks into that queue.)
    pub queue_ms: LatencySummary,
    /// Where the mean time to first token went.
    pub mean_ttft_parts_ms: TtftPartsSummary,
    /// Where the mean front end went; absent where it is one constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_front_end_parts_ms: Option<FrontEndSummary>,
    /// Requests that were preempted at least once.
    pub num_preempted_requests: u64,
    /// Computed tokens that preemptions threw away.
    pub num_lost_tokens: u64,
    /// Time that preempted requests waited and computed again until their next token, summed (s); `None` of vLLM V1, where it is
    /// not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preempted_time_s: Option<f64>,
    /// Requests in the waiting queue of a replica.
    pub num_waiting: GaugeSummary,
    /// Requests in the running list of a replica.
    pub num_running: GaugeSummary,
    /// Share of the usable KV blocks in use.
    pub kv_cache_usage: GaugeSummary,
    /// Share of the slots in held KV blocks that hold no token, averaged over time.
    pub internal_fragmentation: Option<f64>,
}
