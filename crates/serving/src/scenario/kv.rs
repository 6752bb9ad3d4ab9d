//! The KV cache of a scenario's server: how many blocks it has, and the longest sequence that it is for.

use serde::Serialize;

use crate::catalog::{self, CatalogError, KvMemory, KvMemoryConfig, SamplerKind};
use crate::engine::{EngineConfig, EngineVersion};

use super::ledger::{Ledger, Treatment};
use super::resolve::{Hardware, at};
use super::{KvCacheDtype, ScenarioError, Server};

/// Origin of the number of KV blocks.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum KvSource {
    /// The scenario gives it.
    Scenario,
    /// Derived from the GPU's memory.
    Derived {
        /// Where the memory goes.
        memory: KvMemory,
    },
}

pub(super) fn resolve_kv_blocks(
    server: &Server,
    hardware: &Hardware,
    version: EngineVersion,
    default_utilization: f64,
    config: &mut EngineConfig,
    ledger: &mut Ledger,
) -> Result<KvSource, ScenarioError> {
    if let Some(blocks) = server.num_gpu_blocks {
        config.num_gpu_blocks = ledger.take("num_gpu_blocks", Some(blocks), 0, "");
        return Ok(KvSource::Scenario);
    }
    let (gpu, model) = hardware.both("give `num_gpu_blocks`")?;
    let utilization = ledger.take(
        "gpu_memory_utilization",
        server.gpu_memory_utilization,
        default_utilization,
        &format!("default of vLLM {version}"),
    );
    let dtype = server.kv_cache_dtype.unwrap_or_default();
    if let Some(KvCacheDtype::Fp8) = server.kv_cache_dtype {
        ledger.add("kv_cache_dtype", "fp8".into(), "scenario".into(), Treatment::Modelled, "");
    }
    let memory = catalog::kv_memory(&KvMemoryConfig {
        gpu,
        model,
        tensor_parallel_size: hardware.tensor_parallel_size,
        gpu_memory_utilization: utilization,
        max_num_seqs: u64::from(config.max_num_seqs),
        max_num_batched_tokens: u64::from(config.max_num_batched_tokens),
        block_size: u64::from(config.block_size),
        kv_dtype_bytes: u64::from(dtype.bytes()),
        sampler: SamplerKind::of_vllm(&version.to_string()),
    })
    .map_err(|error| at(capacity_key(&error), &error))?;
    config.num_gpu_blocks = u32::try_from(memory.num_gpu_blocks).unwrap_or(u32::MAX);
    let note = "fitted to what vLLM reported on 22 servers, all within 1.2 %";
    let value = config.num_gpu_blocks.to_string();
    ledger.add("num_gpu_blocks", value, "derived from GPU memory".into(), Treatment::Approximated, note);
    Ok(KvSource::Derived { memory })
}

/// The key that a capacity error is about.
fn capacity_key(error: &catalog::CapacityError) -> &'static str {
    use catalog::CapacityError::{Catalog, NoKvBlocks, Utilization, WeightsDoNotFit, ZeroLimit};
    match error {
        Catalog(CatalogError::TensorParallel { .. }) => "tensor_parallel_size",
        Catalog(_) => "model",
        Utilization(_) | WeightsDoNotFit { .. } | NoKvBlocks { .. } => "gpu_memory_utilization",
        ZeroLimit(key) => key,
    }
}

/// The longest sequence: as given, or what the model allows, or what the KV cache can hold if that is less.
pub(super) fn resolve_max_model_len(
    server: &Server,
    hardware: &Hardware,
    config: &mut EngineConfig,
    ledger: &mut Ledger,
) -> Result<(), ScenarioError> {
    if let Some(given) = server.max_model_len {
        config.max_model_len = ledger.take("max_model_len", Some(given), 0, "");
        return Ok(());
    }
    let of_model = hardware.longest_sequence();
    let of_model =
        of_model.ok_or_else(|| at("max_model_len", &"it is missing: give it, or name the `model`"))?;
    let in_cache = config.usable_blocks().saturating_mul(config.block_size);
    config.max_model_len = of_model.min(in_cache);
    let (source, treatment, note) = if in_cache < of_model {
        let note = "vLLM would refuse to start with the model's own limit: this is what fits the KV cache";
        ("what the KV cache holds", Treatment::Approximated, note)
    } else {
        ("limit of the model", Treatment::Modelled, "")
    };
    ledger.add("max_model_len", config.max_model_len.to_string(), source.into(), treatment, note);
    Ok(())
}
