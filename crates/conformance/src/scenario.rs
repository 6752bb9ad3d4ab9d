//! The input of a golden schedule: engine settings, step costs, requests. Times in nanoseconds.

use std::collections::BTreeMap;
use std::path::Path;

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{
    EngineConfig, LinearCoefficients, PromptContent, RequestSpec, SchedulingPolicy, SelfPreemption,
    TokenSegment, TokenStream,
};
use serde::Deserialize;

use crate::ConformanceError;

/// `NAME.scenario.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default, rename = "note")]
    _note: Option<String>,
    #[serde(default)]
    engine: EngineKeys,
    #[serde(default)]
    cost: Cost,
    requests: Vec<Request>,
    /// The recorder's guard against live-locks.
    #[serde(default = "default_max_steps")]
    pub max_steps: usize,
}

fn default_max_steps() -> usize {
    200_000
}

/// Engine settings under the recorder's names; missing ones take the recorder's defaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "these are vLLM's own switches")]
struct EngineKeys {
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    enable_chunked_prefill: bool,
    long_prefill_token_threshold: u32,
    long_prefill_token_threshold_adaptive: bool,
    max_num_active_seqs: Option<u32>,
    enable_prefix_caching: bool,
    block_size: u32,
    num_gpu_blocks: u32,
    max_model_len: u32,
    policy: SchedulingPolicy,
    watermark: f64,
    scheduler_reserve_full_isl: bool,
    async_scheduling: bool,
}

impl Default for EngineKeys {
    fn default() -> Self {
        let engine = EngineConfig::default();
        Self {
            max_num_seqs: engine.max_num_seqs,
            max_num_batched_tokens: engine.max_num_batched_tokens,
            enable_chunked_prefill: engine.enable_chunked_prefill,
            long_prefill_token_threshold: engine.long_prefill_token_threshold,
            long_prefill_token_threshold_adaptive: engine.long_prefill_token_threshold_adaptive,
            max_num_active_seqs: engine.max_num_active_seqs,
            enable_prefix_caching: engine.enable_prefix_caching,
            block_size: engine.block_size,
            num_gpu_blocks: engine.num_gpu_blocks,
            max_model_len: engine.max_model_len,
            policy: engine.scheduling_policy,
            watermark: engine.watermark,
            scheduler_reserve_full_isl: engine.scheduler_reserve_full_isl,
            async_scheduling: engine.async_scheduling,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_field_names, reason = "the recorder's names")]
struct Cost {
    base_ns: u64,
    per_prefill_token_ns: u64,
    per_decode_seq_ns: u64,
    per_ctx_token_ns: u64,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            base_ns: 5_000_000,
            per_prefill_token_ns: 50_000,
            per_decode_seq_ns: 100_000,
            per_ctx_token_ns: 0,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    id: String,
    arrival_ns: u64,
    output_len: u32,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    abort_ns: Option<u64>,
    #[serde(default)]
    prompt_len: Option<u32>,
    #[serde(default)]
    prefix_group: Option<serde_json::Value>,
    #[serde(default)]
    prefix_len: Option<u32>,
    #[serde(default)]
    segments: Option<Vec<(String, u32, u32)>>,
}

impl Scenario {
    /// The engine, with the switches of the vLLM version that made the recording.
    pub(crate) fn engine(&self, vllm_version: &str) -> EngineConfig {
        let keys = &self.engine;
        EngineConfig {
            max_num_seqs: keys.max_num_seqs,
            max_num_batched_tokens: keys.max_num_batched_tokens,
            enable_chunked_prefill: keys.enable_chunked_prefill,
            long_prefill_token_threshold: keys.long_prefill_token_threshold,
            long_prefill_token_threshold_adaptive: keys.long_prefill_token_threshold_adaptive,
            max_num_active_seqs: keys.max_num_active_seqs,
            enable_prefix_caching: keys.enable_prefix_caching,
            block_size: keys.block_size,
            num_gpu_blocks: keys.num_gpu_blocks,
            max_model_len: keys.max_model_len,
            scheduling_policy: keys.policy,
            watermark: keys.watermark,
            scheduler_reserve_full_isl: keys.scheduler_reserve_full_isl,
            async_scheduling: keys.async_scheduling,
            self_preemption: if vllm_version.starts_with("0.33") {
                SelfPreemption::Continue
            } else {
                SelfPreemption::Stop
            },
            track_block_ids: true,
            ..EngineConfig::default()
        }
    }

    pub(crate) fn step_time(&self) -> LinearCoefficients {
        let ps = |ns: u64| ns.saturating_mul(1_000);
        LinearCoefficients {
            base_ps: ps(self.cost.base_ns),
            per_prefill_token_ps: ps(self.cost.per_prefill_token_ns),
            per_prefill_context_token_ps: ps(self.cost.per_ctx_token_ns),
            per_decode_seq_ps: ps(self.cost.per_decode_seq_ns),
            per_decode_context_token_ps: ps(self.cost.per_ctx_token_ns),
            ..LinearCoefficients::default()
        }
    }

    /// The requests in the order in which they reach the engine, each with its place in the file.
    pub(crate) fn requests(&self, path: &Path) -> Result<Vec<(usize, RequestSpec)>, ConformanceError> {
        let streams = Streams::new(&self.requests);
        let ranks = ranks_of_ids(&self.requests);
        let error = |reason| ConformanceError::Scenario { path: path.to_owned(), reason };
        let mut specs = Vec::with_capacity(self.requests.len());
        for (place, request) in self.requests.iter().enumerate() {
            let spec = streams.spec(place, request, ranks[place]);
            specs.push((place, spec.map_err(|reason| error(format!("request `{}`: {reason}", request.id)))?));
        }
        specs.sort_by_key(|(place, spec)| (spec.arrival, *place));
        Ok(specs)
    }
}

fn ranks_of_ids(requests: &[Request]) -> Vec<u64> {
    let mut order: Vec<_> = (0..requests.len()).collect();
    order.sort_by_key(|&place| &requests[place].id);
    let mut ranks = vec![0; requests.len()];
    for (rank, place) in order.into_iter().enumerate() {
        ranks[place] = rank as u64;
    }
    ranks
}

/// The recorder's token streams by name.
struct Streams<'a> {
    /// Place in the file of each request id.
    places: BTreeMap<&'a str, u64>,
    /// Position of each request in the order of arrival: that is its number in the run.
    numbers: Vec<u64>,
    /// Every other name.
    shared: BTreeMap<String, u64>,
}

impl<'a> Streams<'a> {
    fn new(requests: &'a [Request]) -> Self {
        let mut order: Vec<_> = (0..requests.len()).collect();
        order.sort_by_key(|&place| (requests[place].arrival_ns, place));
        let mut numbers = vec![0; requests.len()];
        for (number, place) in order.into_iter().enumerate() {
            numbers[place] = number as u64;
        }
        let places =
            requests.iter().enumerate().map(|(place, request)| (request.id.as_str(), place as u64)).collect();
        let mut streams = Self { places, numbers, shared: BTreeMap::new() };
        for name in requests.iter().flat_map(stream_names) {
            let next = streams.shared.len() as u64;
            streams.shared.entry(name).or_insert(next);
        }
        streams
    }

    fn stream(&self, name: &str) -> TokenStream {
        let number = |id: &str| self.places.get(id).map(|&place| self.numbers[place as usize]);
        if let Some(number) = name.strip_prefix("out:").and_then(number) {
            return TokenStream::Output(number);
        }
        if let Some(number) = name.strip_prefix("req:").and_then(number) {
            return TokenStream::Prompt(number);
        }
        TokenStream::Shared(self.shared[name])
    }

    fn spec(&self, place: usize, request: &Request, id_rank: u64) -> Result<RequestSpec, String> {
        let time = |ns: u64| {
            ns.checked_mul(1_000)
                .map(SimTime::from_ps)
                .ok_or_else(|| format!("{ns} ns is beyond the horizon of 213 days"))
        };
        let own = TokenStream::Prompt(self.numbers[place]);
        let segments: Vec<TokenSegment> = match (&request.segments, request.prompt_len) {
            (Some(_), Some(_)) => return Err("it has both `segments` and `prompt_len`: give one".into()),
            (None, None) => return Err("it has neither `segments` nor `prompt_len`: give one".into()),
            (Some(segments), None) => segments
                .iter()
                .map(|(name, start, len)| TokenSegment {
                    stream: self.stream(name),
                    start: *start,
                    len: *len,
                })
                .collect(),
            (None, Some(prompt_len)) => {
                let prefix = if request.prefix_group.is_some() { request.prefix_len.unwrap_or(0) } else { 0 };
                let rest = prompt_len
                    .checked_sub(prefix)
                    .ok_or_else(|| format!("`prefix_len` {prefix} exceeds `prompt_len` {prompt_len}"))?;
                let mut segments = Vec::new();
                if let Some(group) = &request.prefix_group {
                    segments.push(TokenSegment {
                        stream: self.stream(&group_name(group)),
                        start: 0,
                        len: prefix,
                    });
                }
                segments.push(TokenSegment { stream: own, start: prefix, len: rest });
                segments
            }
        };
        if request.output_len == 0 {
            return Err("`output_len` is 0: it must be at least 1".into());
        }
        let total: Option<u32> = segments.iter().try_fold(0_u32, |sum, segment| {
            segment.start.checked_add(segment.len)?;
            sum.checked_add(segment.len)
        });
        let num_prompt_tokens = total.ok_or("its prompt is longer than 4294967295 tokens")?;
        Ok(RequestSpec {
            prompt: PromptContent::Segments(segments.into()),
            priority: request.priority,
            abort: request.abort_ns.map(time).transpose()?,
            id_rank: Some(id_rank),
            ..RequestSpec::new(time(request.arrival_ns)?, num_prompt_tokens, request.output_len)
        })
    }
}

fn group_name(group: &serde_json::Value) -> String {
    format!("grp:{}", group.as_str().map_or_else(|| group.to_string(), str::to_owned))
}

fn stream_names(request: &Request) -> Vec<String> {
    let named = request.segments.iter().flatten().map(|(name, _, _)| name.clone());
    named.chain(request.prefix_group.as_ref().map(group_name)).collect()
}

/// Nanoseconds as simulated time.
pub(crate) fn as_ns(time: SimTime) -> u64 {
    time.since(SimTime::ZERO).as_ps() / SimDuration::from_nanos(1).as_ps()
}
