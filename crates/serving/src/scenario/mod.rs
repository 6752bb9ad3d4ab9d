//! The scenario file: what a user writes, as types.
//!
//! [`Scenario`] is the file key by key; [`Scenario::from_toml`] reads it and points at mistakes; [`resolve`] turns it
//! into what a simulation needs, with the origin of every figure. Keys of `[server]` are vLLM's own flags, so that a
//! deployment copies over.

mod bounds;
mod doors;
#[cfg(test)]
mod doors_tests;
mod kv;
mod ledger;
mod locate;
mod plan;
mod requests;
mod resolve;
mod step_time;
mod uncertainty;
mod workload;
mod zoo;
mod zoo_flags;

pub use doors::AdmissionSettings;
pub use kv::KvSource;
pub use ledger::{LedgerEntry, Treatment};
pub use locate::ScenarioError;
pub use plan::{ClassInfo, WorkloadPlan, plan};
pub use resolve::{Beside, Resolved, resolve, resolve_with_files};
pub use step_time::{ESTIMATE_ERROR, StepTimeSource};
pub use uncertainty::ParameterUncertainty;

pub use workload::{
    Class, Clients, LengthOrder, OnEmpty, RecordedLengths, Retries, Sessions, SharedPrefix, Trace,
    TraceColumns, TraceFormat, Workload,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::SchedulingPolicy;
use crate::router::RouterPolicy;
use crate::step_time::{CurveCoefficients, LinearCoefficients};
use crate::zoo::engines::{
    deepspeed_fastgen, dynamic, llama_cpp, orca, reserve, sarathi, sglang, static_batching, tensorrt_llm,
    tgi, vllm_v0,
};
use crate::zoo::{Order, QueueSettings};

/// A scenario file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Shown in results; the file's name if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Seed of all random numbers; 0 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What arrives.
    pub workload: Workload,
    /// What serves it.
    pub server: Server,
    /// What counts as good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
}

/// What serves: hardware, model, engine. All replicas are alike.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// GPU by its name in `kendall catalog gpus`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// Model by its name in `kendall catalog models`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Instead of a model of the catalogue: its Hugging Face `config.json`, relative to the scenario file. `model` is then
    /// only a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_config: Option<String>,
    /// Engine; `vllm-v1` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineName>,
    /// Version of the engine whose defaults and rules apply, such as `0.32`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// Number of identical engines behind a router; 1 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// How requests are spread over replicas; one after another if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub router: Option<RouterSettings>,
    /// GPUs that share one model; 1 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor_parallel_size: Option<u32>,
    /// Most sequences in a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_num_seqs: Option<u32>,
    /// Most tokens in a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_num_batched_tokens: Option<u32>,
    /// Longest sequence in tokens; what the model allows if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u32>,
    /// Tokens in a KV block; 16 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_size: Option<u32>,
    /// KV blocks; derived from the GPU's memory if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_gpu_blocks: Option<u32>,
    /// Type of the KV cache's elements; `auto`, 16 bits, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_cache_dtype: Option<KvCacheDtype>,
    /// Share of the GPU's memory that the engine may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory_utilization: Option<f64>,
    /// Longest prompt chunk of a step in tokens; 0 for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_prefill_token_threshold: Option<u32>,
    /// Whether that threshold grows to an equal share of the token budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_prefill_token_threshold_adaptive: Option<bool>,
    /// Tighter limit on admissions than `max_num_seqs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_num_active_seqs: Option<u32>,
    /// Whether prompts may be split over steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_chunked_prefill: Option<bool>,
    /// Whether KV blocks are found again by content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_prefix_caching: Option<bool>,
    /// Order of the waiting queue and choice of victims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_policy: Option<SchedulingPolicy>,
    /// Share of KV blocks that admissions leave free while others run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<f64>,
    /// Whether an admission needs room for the whole prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_reserve_full_isl: Option<bool>,
    /// Whether the next step is scheduled while one is running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub async_scheduling: Option<bool>,
    /// Time from the client's send until the engine has the request (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub front_end_overhead_ms: Option<f64>,
    /// Tokenising, for each token of a prompt (us).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenising_us_per_token: Option<f64>,
    /// From the end of a step until the client has its token: detokenising and streaming (us).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streaming_us_per_token: Option<f64>,
    /// Longer for the first request of a run: what a server does once, such as compiling kernels (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold_start_ms: Option<f64>,
    /// Step times and front end from a file that `kendall calibrate --out` wrote, relative to the scenario file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Step-time model; if absent the catalogue's profile for GPU and model, or the roofline where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_time: Option<StepTime>,
    /// Order of the waiting queue of an engine other than vLLM V1; `fcfs` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_order: Option<Order>,
    /// An engine other than vLLM V1 turns requests away while so many wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_limit: Option<u32>,
    /// What the order of the queue can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueSettings>,
    /// Who may join the queue of an engine other than vLLM V1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admission: Option<AdmissionSettings>,
    /// Flags of the engine `reserve`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve: Option<reserve::Settings>,
    /// Flags of the engine `static`.
    #[serde(rename = "static", skip_serializing_if = "Option::is_none")]
    pub static_: Option<static_batching::Settings>,
    /// Flags of the engine `dynamic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic: Option<dynamic::Settings>,
    /// Flags of the engine `orca`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orca: Option<orca::Settings>,
    /// Flags of the engine `vllm-v0`.
    #[serde(rename = "vllm-v0", skip_serializing_if = "Option::is_none")]
    pub vllm_v0: Option<vllm_v0::Settings>,
    /// Flags of the engine `sarathi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sarathi: Option<sarathi::Settings>,
    /// Flags of the engine `deepspeed-fastgen`.
    #[serde(rename = "deepspeed-fastgen", skip_serializing_if = "Option::is_none")]
    pub deepspeed_fastgen: Option<deepspeed_fastgen::Settings>,
    /// Flags of the engine `tensorrt-llm`.
    #[serde(rename = "tensorrt-llm", skip_serializing_if = "Option::is_none")]
    pub tensorrt_llm: Option<tensorrt_llm::Settings>,
    /// Flags of the engine `sglang`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sglang: Option<sglang::Settings>,
    /// Flags of the engine `tgi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tgi: Option<tgi::Settings>,
    /// Flags of the engine `llama-cpp`.
    #[serde(rename = "llama-cpp", skip_serializing_if = "Option::is_none")]
    pub llama_cpp: Option<llama_cpp::Settings>,
}

/// How requests are spread over replicas.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouterSettings {
    /// How a replica is chosen.
    pub policy: RouterPolicy,
    /// How often replicas report their state to the router (ms); 0 or absent: it always knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_interval_ms: Option<f64>,
}

/// Engines that kendall models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum EngineName {
    /// vLLM's V1 engine.
    #[default]
    #[serde(rename = "vllm-v1", alias = "vllm")]
    VllmV1,
    /// The textbook loss system.
    #[serde(rename = "reserve")]
    Reserve,
    /// A full batch or a time-out, run until its longest request ends.
    #[serde(rename = "static")]
    Static,
    /// Triton's dynamic batcher.
    #[serde(rename = "dynamic")]
    Dynamic,
    /// Orca: iteration-level scheduling, the longest output reserved.
    #[serde(rename = "orca")]
    Orca,
    /// vLLM before its V1 engine.
    #[serde(rename = "vllm-v0")]
    VllmV0,
    /// Sarathi-Serve: stall-free batching.
    #[serde(rename = "sarathi")]
    Sarathi,
    /// DeepSpeed-FastGen: Dynamic `SplitFuse`.
    #[serde(rename = "deepspeed-fastgen")]
    DeepspeedFastgen,
    /// TensorRT-LLM: in-flight batching behind a capacity scheduler.
    #[serde(rename = "tensorrt-llm")]
    TensorrtLlm,
    /// SGLang: radix prefix cache, prompts before decoding, retraction.
    #[serde(rename = "sglang")]
    Sglang,
    /// Text Generation Inference: prompts apart from decoding, whole outputs reserved.
    #[serde(rename = "tgi")]
    Tgi,
    /// llama.cpp's server: slots that keep their prompts.
    #[serde(rename = "llama-cpp", alias = "llama.cpp")]
    LlamaCpp,
}

/// Types of the KV cache's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KvCacheDtype {
    /// As the model's activations: 16 bits.
    #[default]
    Auto,
    /// 8 bits.
    Fp8,
}

impl KvCacheDtype {
    /// Bytes of an element.
    pub fn bytes(self) -> u32 {
        match self {
            Self::Auto => 2,
            Self::Fp8 => 1,
        }
    }
}

/// How long steps take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "model", rename_all = "lowercase")]
pub enum StepTime {
    /// Linear in the shape of the batch.
    Linear(LinearCoefficients),
    /// Operator by operator, from the datasheets of GPU and model: an estimate.
    Roofline(RooflineOptions),
    /// The latency curve of the EE384S study, by the number of requests in the batch.
    Curve(CurveCoefficients),
}

/// Options of the roofline: none so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RooflineOptions {}

/// Service-level objectives.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Slo {
    /// A request is good if it keeps every limit given here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goodput: Option<GoodputSlo>,
}

/// Limits of a good request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_field_names, reason = "the unit stands last in a key")]
pub struct GoodputSlo {
    /// Longest time to first token (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<f64>,
    /// Longest mean time per output token (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpot_ms: Option<f64>,
    /// Longest end-to-end latency (ms).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e2el_ms: Option<f64>,
}
