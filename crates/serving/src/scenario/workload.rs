//! `[workload]` of the scenario file, key by key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Slo;
use crate::workload::{Arrivals, Fluctuation, Lengths};

/// What arrives: a synthetic workload (`arrivals` with lengths) or a recorded one (`trace`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Workload {
    /// Number of requests of a synthetic workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Instead of `requests`: arrivals go on for so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// When requests arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// A periodic factor on the rate of `arrivals`, whatever process they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fluctuation: Option<Fluctuation>,
    /// Prompt lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<Lengths>,
    /// Output lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<Lengths>,
    /// Spearman's rank correlation of prompt and output lengths, -1 to 1; independent if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_correlation: Option<f64>,
    /// Whether requests only read their prompt, as for embedding and reranking: instead of `output_tokens`. A request of one output
    /// token stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill_only: Option<bool>,
    /// Instead of the two distributions: recorded pairs of prompt and output lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lengths: Option<RecordedLengths>,
    /// Whether arrivals are stretched so that the last one comes at `requests / rate`, as `vllm bench serve` does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescale_arrivals: Option<bool>,
    /// Most requests that clients have outstanding; the next one waits at the client, and its latency counts from its
    /// send (`--max-concurrency`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u64>,
    /// A beginning that prompts share: a system prompt, or one for each group of users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_prefix: Option<SharedPrefix>,
    /// Number of different prompts; request `i` sends prompt `i` modulo this number. All differ if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_prompts: Option<u64>,
    /// Every arrival opens a conversation of several turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Sessions>,
    /// Whether clients give up on slow answers, and try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
    /// Classes of requests. What a class does not say holds as said for the whole workload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class: Vec<Class>,
    /// Instead of all the above: a recorded trace of arrivals and lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
}

/// A beginning that prompts share. It comes on top of `prompt_tokens`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedPrefix {
    /// Its length in tokens.
    pub tokens: u32,
    /// Number of different beginnings; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<u32>,
    /// How unequal groups are: group `k` (1, 2, ...) has weight `k^-zipf`. Equal (0) if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zipf: Option<f64>,
}

/// Conversations: each turn sends all that was said before, and `prompt_tokens` new ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Turns of a conversation. `requests` counts conversations.
    pub turns: Lengths,
    /// Mean time between an answer and the next turn (s).
    pub think_time_s: f64,
    /// Coefficient of variation of these times; 1 (exponential) if absent, 0 for always the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think_time_cv: Option<f64>,
}

/// Clients that do not wait for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// Mean time after which a client gives up on a request that is not answered in full (s), counted from its send.
    pub timeout_s: f64,
    /// Coefficient of variation of these times; 0 (a fixed time-out) if absent, 1 for exponential patience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_cv: Option<f64>,
    /// What a client does after it gave up; nothing if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
}

/// Retries after a time-out, with exponential back-off and jitter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// Most retries of a request.
    pub max: u16,
    /// Wait before the first retry (s).
    pub backoff_s: f64,
    /// Factor from one wait to the next; 2 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Longest wait (s); no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_backoff_s: Option<f64>,
    /// The part of a wait that is random, 0 to 1: 0 for none, 1 for a wait between nothing and the whole. 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
}

/// A class of requests: `[[workload.class]]`.
///
/// Either every class has `arrivals` of its own, or none has and each request of the workload's `arrivals` belongs to a class by
/// `weight`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Class {
    /// Shown in results.
    pub name: String,
    /// Share of requests relative to the other classes; 1 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// When requests of this class arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// A periodic factor on the rate of the class's own arrivals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fluctuation: Option<Fluctuation>,
    /// Smaller is more urgent; only the `priority` scheduling policy looks at it. 0 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Prompt lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<Lengths>,
    /// Output lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<Lengths>,
    /// Spearman's rank correlation of prompt and output lengths, -1 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank_correlation: Option<f64>,
    /// Whether requests only read their prompt: instead of `output_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill_only: Option<bool>,
    /// Instead of the two distributions: recorded pairs of prompt and output lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lengths: Option<RecordedLengths>,
    /// A beginning that prompts of the class share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_prefix: Option<SharedPrefix>,
    /// Number of different prompts of the class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_prompts: Option<u64>,
    /// Every arrival opens a conversation of several turns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<Sessions>,
    /// Whether clients give up on slow answers, and try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
    /// What counts as good for this class; as in `[slo]` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
}

/// Recorded prompt and output lengths without arrivals. Give `path` or `pairs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedLengths {
    /// The file, relative to the scenario file: JSON with the arrays `prompt_len` and `gen_len`, or an array of objects
    /// with `prompt_tokens` and `output_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Pairs of prompt and output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Vec<(u32, u32)>>,
    /// How requests take pairs from it.
    #[serde(default)]
    pub order: LengthOrder,
}

/// How requests take recorded lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LengthOrder {
    /// Each request draws a pair at random, with replacement.
    #[default]
    Random,
    /// In the order of the file, from the start again when it ends.
    File,
}

/// A recorded trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// The file, relative to the scenario file.
    pub path: String,
    /// Its format; recognised by its first line if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TraceFormat>,
    /// Factor on arrival times: 0.5 plays the trace twice as fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_scale: Option<f64>,
    /// Only the first so many requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u64>,
    /// Only requests from this time of the trace on (s); they arrive so much earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_s: Option<f64>,
    /// Only requests before this time of the trace (s).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_s: Option<f64>,
    /// How often the slice is played; 1 if absent. The next round begins one mean gap after the last arrival, or at `end_s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u64>,
    /// Instead of `repeat`: the slice is played again and again for so long (s, after `time_scale`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_for_s: Option<f64>,
    /// Names of the columns of a Parquet file; found by their usual names if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<TraceColumns>,
    /// What to do with requests without prompt or output tokens: `error` (the default) or `skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_empty: Option<OnEmpty>,
}

/// Which columns of a Parquet file hold what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TraceColumns {
    /// Arrival: a number of seconds, or a timestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrival: Option<String>,
    /// Prompt tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Output tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// What to do with an empty request of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnEmpty {
    /// Stop with an error that names its line.
    #[default]
    Error,
    /// Leave it out.
    Skip,
}

/// Formats of recorded traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceFormat {
    /// kendall's CSV: `arrival_s,prompt_tokens,output_tokens` and optional columns.
    Kendall,
    /// Azure LLM inference trace (CSV).
    Azure,
    /// Mooncake (JSON Lines); its `hash_ids` are shared prefixes.
    Mooncake,
    /// `BurstGPT` (CSV).
    BurstGpt,
    /// Parquet, columns by name.
    Parquet,
}
