//! From the keys of `[server]` to an engine of the zoo: its flags, its sizes, its ledger.

use crate::engine::{EngineConfig, EngineVersion};
use crate::zoo::engines::{
    Engine, deepspeed_fastgen, dynamic, orca, reserve, sarathi, static_batching, tensorrt_llm, vllm_v0,
};
use crate::zoo::{Fidelity, Order, ZooConfig};

use super::kv::{KvSource, resolve_kv_blocks};
use super::ledger::{Ledger, Treatment};
use super::resolve::{Hardware, at};
use super::{EngineName, ScenarioError, Server, zoo_flags};

/// Longest sequence where neither the scenario nor a model says one: no limit that anybody would notice.
const NO_LIMIT: u32 = 1 << 27;

/// Tokens in a step that GPU memory is set aside for, as in vLLM's default on most GPUs.
const PROFILED_TOKENS: u32 = 8_192;

impl EngineName {
    /// As it stands in the scenario.
    fn name(self) -> &'static str {
        match self {
            Self::VllmV1 => "vllm-v1",
            Self::Reserve => "reserve",
            Self::Static => "static",
            Self::Dynamic => "dynamic",
            Self::Orca => "orca",
            Self::VllmV0 => "vllm-v0",
            Self::Sarathi => "sarathi",
            Self::DeepspeedFastgen => "deepspeed-fastgen",
            Self::TensorrtLlm => "tensorrt-llm",
            Self::Sglang => "sglang",
            Self::Tgi => "tgi",
            Self::LlamaCpp => "llama-cpp",
        }
    }
}

/// The engine that the scenario names, with its flags; `None` for vLLM V1.
///
/// # Errors
/// On flags of another engine.
pub(super) fn chosen(server: &Server) -> Result<Option<ZooConfig>, ScenarioError> {
    let name = server.engine.unwrap_or_default();
    for (table, given) in [
        (EngineName::Reserve, server.reserve.is_some()),
        (EngineName::Static, server.static_.is_some()),
        (EngineName::Dynamic, server.dynamic.is_some()),
        (EngineName::Orca, server.orca.is_some()),
        (EngineName::VllmV0, server.vllm_v0.is_some()),
        (EngineName::Sarathi, server.sarathi.is_some()),
        (EngineName::DeepspeedFastgen, server.deepspeed_fastgen.is_some()),
        (EngineName::TensorrtLlm, server.tensorrt_llm.is_some()),
        (EngineName::Sglang, server.sglang.is_some()),
        (EngineName::Tgi, server.tgi.is_some()),
        (EngineName::LlamaCpp, server.llama_cpp.is_some()),
    ] {
        if given && table != name {
            let (table, name) = (table.name(), name.name());
            let message =
                format!("the engine is `{name}`: leave this table out, or set `engine = \"{table}\"`");
            return Err(at(table, &message));
        }
    }
    let engine = match name {
        EngineName::VllmV1 => {
            for (key, given) in [
                ("queue_order", server.queue_order.is_some()),
                ("queue_limit", server.queue_limit.is_some()),
                ("queue", server.queue.is_some()),
                ("admission", server.admission.is_some()),
            ] {
                if given {
                    let message = "vLLM V1 has it not: use `scheduling_policy`, or another `engine`";
                    return Err(at(key, &message));
                }
            }
            return Ok(None);
        }
        EngineName::Reserve => Engine::Reserve(server.reserve.clone().unwrap_or_default()),
        EngineName::Static => Engine::Static(server.static_.clone().unwrap_or_default()),
        EngineName::Dynamic => Engine::Dynamic(server.dynamic.clone().unwrap_or_default()),
        EngineName::Orca => Engine::Orca(server.orca.clone().unwrap_or_default()),
        EngineName::VllmV0 => Engine::VllmV0(server.vllm_v0.clone().unwrap_or_default()),
        EngineName::Sarathi => Engine::Sarathi(server.sarathi.clone().unwrap_or_default()),
        EngineName::DeepspeedFastgen => {
            Engine::DeepspeedFastgen(server.deepspeed_fastgen.clone().unwrap_or_default())
        }
        EngineName::TensorrtLlm => Engine::TensorrtLlm(server.tensorrt_llm.clone().unwrap_or_default()),
        EngineName::Sglang => Engine::Sglang(server.sglang.clone().unwrap_or_default()),
        EngineName::Tgi => Engine::Tgi(server.tgi.clone().unwrap_or_default()),
        EngineName::LlamaCpp => Engine::LlamaCpp(server.llama_cpp.clone().unwrap_or_default()),
    };
    only_its_own_keys(server, name)?;
    Ok(Some(ZooConfig::new(engine)))
}

/// vLLM's flags mean nothing to another engine.
fn only_its_own_keys(server: &Server, name: EngineName) -> Result<(), ScenarioError> {
    for (key, given) in [
        ("engine_version", server.engine_version.is_some()),
        ("max_num_seqs", server.max_num_seqs.is_some()),
        ("max_num_batched_tokens", server.max_num_batched_tokens.is_some()),
        ("long_prefill_token_threshold", server.long_prefill_token_threshold.is_some()),
        ("long_prefill_token_threshold_adaptive", server.long_prefill_token_threshold_adaptive.is_some()),
        ("max_num_active_seqs", server.max_num_active_seqs.is_some()),
        ("enable_chunked_prefill", server.enable_chunked_prefill.is_some()),
        ("enable_prefix_caching", server.enable_prefix_caching.is_some()),
        ("scheduling_policy", server.scheduling_policy.is_some()),
        ("watermark", server.watermark.is_some()),
        ("scheduler_reserve_full_isl", server.scheduler_reserve_full_isl.is_some()),
        ("async_scheduling", server.async_scheduling.is_some()),
    ] {
        if given {
            let name = name.name();
            let message = format!(
                "it is vLLM V1's, and engine `{name}` has it not: leave it out; its own flags stand in [server.{name}]"
            );
            return Err(at(key, &message));
        }
    }
    Ok(())
}

/// The sizes of the engine, and the ledger of what is modelled.
pub(super) fn resolve_engine(
    server: &Server,
    hardware: &Hardware,
    mut zoo: ZooConfig,
    ledger: &mut Ledger,
) -> Result<(EngineConfig, KvSource), ScenarioError> {
    zoo.engine.take_kv_bytes(server, hardware)?;
    let engine = zoo.engine.clone();
    for (flag, value, is_default) in engine.flags() {
        let source = if is_default { "default of the engine" } else { "scenario" };
        ledger.add(flag, value, source.into(), Treatment::Modelled, "");
    }
    ledger.take("queue_order", server.queue_order, Order::default(), "default");
    if let Some(limit) = server.queue_limit {
        ledger.take("queue_limit", Some(limit), 0, "");
    }
    let kv_tokens = engine.kv_tokens();
    let mut config = EngineConfig {
        max_num_seqs: engine.max_batch(),
        max_num_batched_tokens: PROFILED_TOKENS,
        block_size: ledger.take(
            "block_size",
            server.block_size,
            engine.default_block_size(),
            "default of the engine",
        ),
        enable_prefix_caching: false,
        async_scheduling: false,
        zoo: Some(zoo),
        ..EngineConfig::default()
    };
    let kv_cache = if let Some(tokens) = kv_tokens {
        if server.num_gpu_blocks.is_some() || server.block_size.is_some() {
            let key = if server.num_gpu_blocks.is_some() { "num_gpu_blocks" } else { "block_size" };
            return Err(at(key, &"`kv_tokens` gives the size of the KV cache: leave one of the two out"));
        }
        config.num_gpu_blocks = tokens.saturating_add(1);
        KvSource::Scenario
    } else {
        let version = EngineVersion::default();
        let utilization = version.defaults().gpu_memory_utilization;
        resolve_kv_blocks(server, hardware, version, utilization, &mut config, ledger)?
    };
    resolve_longest(server, hardware, &engine, &mut config, ledger)?;
    let capacity = config.usable_blocks().saturating_mul(config.block_size);
    let rows = config.max_num_seqs.saturating_mul(config.max_model_len);
    config.max_num_batched_tokens = rows.min(capacity).max(1);
    for &Fidelity { what, treatment, note } in engine.fidelity() {
        ledger.add(what, String::new(), engine.source().into(), treatment, note);
    }
    Ok((config, kv_cache))
}

/// The longest sequence: as given, or what the model allows within the KV cache.
fn resolve_longest(
    server: &Server,
    hardware: &Hardware,
    engine: &Engine,
    config: &mut EngineConfig,
    ledger: &mut Ledger,
) -> Result<(), ScenarioError> {
    let usable = config.usable_blocks();
    let of_one = engine.blocks_of_one(usable.saturating_sub(engine.spare_blocks(usable)));
    let in_cache = of_one.saturating_mul(config.block_size);
    let (default, why) = match (hardware.longest_sequence(), engine.needs_longest_sequence()) {
        (Some(of_model), true) => (of_model.min(in_cache), "limit of the model, or what the KV cache holds"),
        (Some(of_model), false) => (of_model, "limit of the model"),
        (None, false) => (NO_LIMIT, "no limit"),
        (None, true) if server.max_model_len.is_none() => {
            return Err(at("max_model_len", &"it is missing: give it, or name the `model`"));
        }
        (None, true) => (0, ""),
    };
    config.max_model_len = ledger.take("max_model_len", server.max_model_len, default, why);
    Ok(())
}

/// What the engines say of themselves beyond their policies.
impl Engine {
    /// Their flags with their values, and whether these are the defaults.
    fn flags(&self) -> Vec<(&'static str, String, bool)> {
        match self {
            Self::Reserve(s) => {
                let d = reserve::Settings::default();
                let kv = s.kv_tokens.map_or("of the KV blocks".into(), |tokens| tokens.to_string());
                vec![
                    flag("reserve.max_batch_size", &s.max_batch_size, &d.max_batch_size),
                    ("reserve.kv_tokens", kv, s.kv_tokens.is_none()),
                ]
            }
            Self::Static(s) => {
                let d = static_batching::Settings::default();
                vec![
                    flag("static.batch_size", &s.batch_size, &d.batch_size),
                    flag("static.timeout_ms", &s.timeout_ms, &d.timeout_ms),
                ]
            }
            Self::Dynamic(s) => {
                let d = dynamic::Settings::default();
                let sizes = |s: &dynamic::Settings| format!("{:?}", s.preferred_batch_size);
                vec![
                    flag("dynamic.max_batch_size", &s.max_batch_size, &d.max_batch_size),
                    flag(
                        "dynamic.max_queue_delay_microseconds",
                        &s.max_queue_delay_microseconds,
                        &d.max_queue_delay_microseconds,
                    ),
                    flag("dynamic.preferred_batch_size", &sizes(s), &sizes(&d)),
                ]
            }
            Self::Orca(s) => {
                let d = orca::Settings::default();
                let name = |s: &orca::Settings| format!("{:?}", s.reservation);
                vec![
                    flag("orca.max_batch_size", &s.max_batch_size, &d.max_batch_size),
                    flag("orca.reservation", &name(s), &name(&d)),
                ]
            }
            Self::VllmV0(s) => vllm_v0_flags(s),
            Self::Sarathi(s) => {
                let d = sarathi::Settings::default();
                vec![
                    flag("sarathi.chunk_size", &s.chunk_size, &d.chunk_size),
                    flag("sarathi.max_num_seqs", &s.max_num_seqs, &d.max_num_seqs),
                ]
            }
            Self::DeepspeedFastgen(s) => {
                let d = deepspeed_fastgen::Settings::default();
                vec![
                    flag(
                        "deepspeed-fastgen.max_ragged_batch_size",
                        &s.max_ragged_batch_size,
                        &d.max_ragged_batch_size,
                    ),
                    flag(
                        "deepspeed-fastgen.max_ragged_sequence_count",
                        &s.max_ragged_sequence_count,
                        &d.max_ragged_sequence_count,
                    ),
                ]
            }
            Self::TensorrtLlm(s) => tensorrt_llm_flags(s),
            Self::Sglang(settings) => zoo_flags::sglang(settings),
            Self::Tgi(settings) => zoo_flags::tgi(settings),
            Self::LlamaCpp(settings) => zoo_flags::llama_cpp(settings),
        }
    }

    /// Tokens of the KV cache, where the engine's own flags say so.
    fn kv_tokens(&self) -> Option<u32> {
        match self {
            Self::Reserve(settings) => settings.kv_tokens,
            Self::LlamaCpp(settings) => settings.ctx_size,
            _ => None,
        }
    }

    /// Tokens in a KV block if the scenario does not say: engines before paging count tokens, as do SGLang (`--page-size 1`) and
    /// llama.cpp; TGI's paged attention has 16. `DeepSpeed` has 64 for heads of up to 128 elements, TensorRT-LLM 1.0 has 32
    /// (`KvCacheConfig.tokens_per_block`).
    fn default_block_size(&self) -> u32 {
        match self {
            Self::VllmV0(_) | Self::Sarathi(_) | Self::Tgi(_) => 16,
            Self::TensorrtLlm(_) => 32,
            Self::DeepspeedFastgen(_) => 64,
            _ => 1,
        }
    }

    /// Blocks that one request can have, of so many in all.
    fn blocks_of_one(&self, blocks: u32) -> u32 {
        match self {
            Self::LlamaCpp(settings) => settings.slot_context(blocks),
            _ => blocks,
        }
    }

    /// Blocks that the longest sequence must leave.
    fn spare_blocks(&self, usable_blocks: u32) -> u32 {
        match self {
            Self::VllmV0(settings) => settings.spare_blocks(usable_blocks),
            Self::Sarathi(_) => sarathi::spare_blocks(usable_blocks),
            _ => 0,
        }
    }

    /// Swapping moves bytes: those of the model, where it is named and the flags do not say.
    fn take_kv_bytes(&mut self, server: &Server, hardware: &Hardware) -> Result<(), ScenarioError> {
        if let (Self::VllmV0(settings), Some(model)) = (self, &hardware.model)
            && settings.kv_bytes_per_token.is_none()
            && settings.preemption_mode == vllm_v0::PreemptionMode::Swap
        {
            let dtype = server.kv_cache_dtype.unwrap_or_default();
            let bytes = model
                .kv_bytes_per_token_per_gpu(u64::from(dtype.bytes()), hardware.tensor_parallel_size)
                .map_err(|error| at("model", &error))?;
            settings.kv_bytes_per_token = Some(bytes);
        }
        Ok(())
    }

    /// Whether the longest sequence plays a part beyond a check at the door.
    fn needs_longest_sequence(&self) -> bool {
        !matches!(self, Self::Reserve(_))
    }
}

fn vllm_v0_flags(s: &vllm_v0::Settings) -> Vec<(&'static str, String, bool)> {
    let d = vllm_v0::Settings::default();
    let mode = |s: &vllm_v0::Settings| format!("{:?}", s.preemption_mode).to_lowercase();
    let or = |value: Option<String>, default: &str| value.unwrap_or_else(|| default.to_owned());
    let mut flags = vec![
        flag("vllm-v0.max_num_seqs", &s.max_num_seqs, &d.max_num_seqs),
        (
            "vllm-v0.max_num_batched_tokens",
            or(s.max_num_batched_tokens.map(|n| n.to_string()), "512 in chunks, else max_model_len or 2048"),
            s.max_num_batched_tokens.is_none(),
        ),
        flag("vllm-v0.enable_chunked_prefill", &s.enable_chunked_prefill, &d.enable_chunked_prefill),
        flag("vllm-v0.watermark", &s.watermark, &d.watermark),
        flag("vllm-v0.preemption_mode", &mode(s), &mode(&d)),
    ];
    if s.preemption_mode == vllm_v0::PreemptionMode::Swap {
        flags.push(flag("vllm-v0.swap_space", &s.swap_space, &d.swap_space));
        let bandwidth = (&s.pcie_bandwidth_gb_per_s, &d.pcie_bandwidth_gb_per_s);
        flags.push(flag("vllm-v0.pcie_bandwidth_gb_per_s", bandwidth.0, bandwidth.1));
        let bytes = or(s.kv_bytes_per_token.map(|n| n.to_string()), "missing");
        flags.push(("vllm-v0.kv_bytes_per_token", bytes, false));
    }
    flags
}

fn tensorrt_llm_flags(s: &tensorrt_llm::Settings) -> Vec<(&'static str, String, bool)> {
    let d = tensorrt_llm::Settings::default();
    let policy = |s: &tensorrt_llm::Settings| format!("{:?}", s.capacity_scheduler_policy);
    let limit = |s: &tensorrt_llm::Settings| format!("{:?}", s.max_tokens);
    vec![
        flag("tensorrt-llm.capacity_scheduler_policy", &policy(s), &policy(&d)),
        flag("tensorrt-llm.max_batch_size", &s.max_batch_size, &d.max_batch_size),
        flag("tensorrt-llm.max_num_tokens", &s.max_num_tokens, &d.max_num_tokens),
        flag("tensorrt-llm.enable_chunked_context", &s.enable_chunked_context, &d.enable_chunked_context),
        flag("tensorrt-llm.max_tokens", &limit(s), &limit(&d)),
    ]
}

/// A flag with its value, and whether that is the default.
pub(super) fn flag<T: PartialEq + ToString>(
    name: &'static str,
    value: &T,
    default: &T,
) -> (&'static str, String, bool) {
    (name, value.to_string(), value == default)
}
