//! The columns of a row as the configuration of an engine.

use kendall_serving::catalog::{
    self, Gpu, KvMemoryConfig, Model, Profile, SamplerKind, WeightPrecision, kv_memory,
};
use kendall_serving::scenario::{Scenario, StepTime, resolve};
use kendall_serving::step_time::roofline::{Deployment, Efficiencies, Limits};
use kendall_serving::{
    EngineVersion, FrontEnd, LinearCoefficients, RooflineSteps, SimulationConfig, StepTimeModel,
};

use crate::names::{ModelName, known_model};
use crate::table::Cells;

/// Which step times a server is simulated with: the first of these profiles that is of its GPU, model, split and kind of
/// engine, else the roofline.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTimeChoice<'a>(&'a [Profile]);

impl<'a> StepTimeChoice<'a> {
    /// The calibrated profiles of the catalogue.
    pub fn catalogue() -> StepTimeChoice<'static> {
        StepTimeChoice(catalog::profiles())
    }

    /// The roofline, as if nothing had been calibrated.
    pub fn roofline() -> StepTimeChoice<'static> {
        StepTimeChoice(&[])
    }

    /// These profiles.
    pub fn of(profiles: &'a [Profile]) -> Self {
        Self(profiles)
    }
}

/// A measured server.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "these are vLLM's own switches")]
pub struct MeasuredServer {
    /// Each of its GPUs.
    pub gpu: &'static Gpu,
    /// The model, with the precision that was served.
    pub model: Model,
    /// GPUs that share the model.
    pub tensor_parallel_size: u32,
    /// Whether the next step was scheduled while one was running.
    pub async_scheduling: bool,
    /// Whether logits were sorted for every sampled token.
    pub sorts_logits: bool,
    /// Whether latencies were taken in the engine, without client and front end.
    pub is_server_side: bool,
    /// Minor version of vLLM; `None` where the row does not say.
    pub minor: Option<u32>,
    replicas: u32,
    max_num_seqs: Option<u32>,
    max_num_batched_tokens: Option<u32>,
    max_model_len: Option<u32>,
    num_gpu_blocks: Option<u32>,
    block_size: Option<u32>,
    gpu_memory_utilization: Option<f64>,
    prefix_caching: bool,
    chunked_prefill: bool,
}

/// Asynchronous scheduling is vLLM's default from 0.14 on.
const FIRST_ASYNCHRONOUS_MINOR: u32 = 14;

/// `scheduler_reserve_full_isl` came between 0.18.1 and 0.19.0.
const FIRST_RESERVING_MINOR: u32 = 19;

/// Stands for a version that a row does not name: the share of memory is that of the versions up to 0.19.
const DEFAULT_MEMORY_UTILIZATION: f64 = 0.9;

/// A number of KV blocks that an engine accepts, for limits that do not depend on it.
const ANY_BLOCKS: u32 = 1 << 20;

impl MeasuredServer {
    /// The server of a row, or why it cannot be simulated, in words.
    pub(crate) fn of(cells: Cells<'_>) -> Result<Self, String> {
        let confidence = cells.text("workload_confidence");
        if confidence.starts_with("SUSPECT") {
            return Err(format!("its collectors mark its workload as suspect: {confidence}"));
        }
        let engine = cells.text("engine");
        if !(engine.is_empty() || engine.to_lowercase().starts_with("vllm")) {
            return Err(format!("engine \"{engine}\" is not modelled: vLLM is"));
        }
        let gpu = catalog::gpu(cells.text("gpu")).map_err(|error| error.to_string())?;
        let name = ModelName { name: cells.text("model"), precision: cells.text("precision") };
        let model = known_model(name)?;
        let tensor_parallel_size = cells.count("tp").unwrap_or(1);
        model.check_tensor_parallel(tensor_parallel_size).map_err(|error| error.to_string())?;
        let (data, experts) = (cells.count("dp").unwrap_or(1), cells.count("ep").unwrap_or(1));
        if data > 1 && experts > 1 {
            return Err("experts over data-parallel engines are not modelled".into());
        }
        let minor = minor_version(cells.text("engine_version"));
        let is_closed = cells.text("load_mode").starts_with("closed");
        let truncates = model.truncates_sampling && !is_closed;
        Ok(Self {
            gpu,
            tensor_parallel_size,
            async_scheduling: minor.is_none_or(|minor| minor >= FIRST_ASYNCHRONOUS_MINOR),
            sorts_logits: truncates && sampler(minor) == SamplerKind::SortedLogits,
            is_server_side: cells.text("latency_scope").starts_with("server side"),
            replicas: data,
            minor,
            max_num_seqs: cells.count("max_num_seqs"),
            max_num_batched_tokens: cells.count("max_num_batched_tokens"),
            max_model_len: cells.count("max_model_len"),
            num_gpu_blocks: cells.count("kv_blocks"),
            block_size: cells.count("kv_block_size"),
            gpu_memory_utilization: cells.amount("gpu_mem_util"),
            // Random prompts share nothing: counting blocks is enough.
            prefix_caching: cells.text("prefix_caching") != "off" && !is_closed,
            chunked_prefill: cells.text("chunked_prefill") != "off",
            model,
        })
    }

    /// What is simulated, and the origin of its step times in words.
    ///
    /// # Errors
    /// If the engine would refuse the settings, or a fact about the model is missing; in words.
    pub fn config(
        &self,
        choice: StepTimeChoice<'_>,
        efficiencies: &Efficiencies,
    ) -> Result<(SimulationConfig, String), String> {
        let mut config = self.engine()?;
        let (steps, front_end, source) = if let Some(profile) = self.profile(choice) {
            let steps = self.profile_steps(profile, &config)?;
            (steps, profile.front_end(), format!("profile {}", profile.name))
        } else {
            let steps = self.roofline(&config, efficiencies)?;
            (steps.into(), efficiencies.front_end_of(self.minor), "roofline (ESTIMATE)".to_owned())
        };
        config.step_time = steps;
        config.front_end = if self.is_server_side { FrontEnd::default() } else { front_end.durations() };
        config.validate().map_err(|error| error.to_string())?;
        Ok((config, source))
    }

    /// The engine with step times to be replaced.
    fn engine(&self) -> Result<SimulationConfig, String> {
        let mut scenario =
            Scenario::from_toml("[workload]\n[server]\n").map_err(|error| error.to_string())?;
        let server = &mut scenario.server;
        let minor = self.minor.unwrap_or(EngineVersion::default().minor);
        let oldest = EngineVersion::OLDEST.minor;
        server.engine_version = Some(format!("0.{}", minor.clamp(oldest, EngineVersion::NEWEST.minor)));
        server.gpu = Some(self.gpu.name.clone());
        server.model = Some(self.model.name.clone());
        server.tensor_parallel_size = Some(self.tensor_parallel_size);
        server.replicas = Some(self.replicas);
        server.max_num_seqs = self.max_num_seqs;
        server.max_num_batched_tokens = self.max_num_batched_tokens;
        server.max_model_len = self.max_model_len;
        server.block_size = self.block_size;
        server.async_scheduling = Some(self.async_scheduling);
        server.enable_prefix_caching = Some(self.prefix_caching);
        server.enable_chunked_prefill = Some(self.chunked_prefill);
        server.scheduler_reserve_full_isl = Some(minor >= FIRST_RESERVING_MINOR);
        server.step_time =
            Some(StepTime::Linear(LinearCoefficients { base_ps: 1, ..LinearCoefficients::default() }));
        server.num_gpu_blocks = self.num_gpu_blocks;
        if server.num_gpu_blocks.is_none() {
            // Limits first, with any number of blocks: they decide what is left for the KV cache.
            server.num_gpu_blocks = Some(ANY_BLOCKS);
            let limits = resolve(&scenario).map_err(|error| error.to_string())?.simulation.engine;
            scenario.server.num_gpu_blocks = Some(self.derived_blocks(&limits)?);
        }
        Ok(resolve(&scenario).map_err(|error| error.to_string())?.simulation)
    }

    fn derived_blocks(&self, engine: &kendall_serving::EngineConfig) -> Result<u32, String> {
        let memory = kv_memory(&KvMemoryConfig {
            gpu: self.gpu,
            model: &self.model,
            tensor_parallel_size: self.tensor_parallel_size,
            gpu_memory_utilization: self.gpu_memory_utilization.unwrap_or(DEFAULT_MEMORY_UTILIZATION),
            max_num_seqs: u64::from(engine.max_num_seqs),
            max_num_batched_tokens: u64::from(engine.max_num_batched_tokens),
            block_size: u64::from(engine.block_size),
            kv_dtype_bytes: 2,
            sampler: sampler(self.minor),
        });
        let blocks = memory.map_err(|error| error.to_string())?.num_gpu_blocks;
        u32::try_from(blocks).map_err(|error| format!("{blocks} KV blocks: {error}"))
    }

    /// The calibrated profile of this very server.
    fn profile<'a>(&self, choice: StepTimeChoice<'a>) -> Option<&'a Profile> {
        choice.0.iter().find(|profile| self.is_of(profile))
    }

    /// Whether a profile is of this very server: another precision, or an engine that schedules otherwise, has other step
    /// times.
    pub fn is_of(&self, profile: &Profile) -> bool {
        let as_published = catalog::model(&self.model.name)
            .is_ok_and(|model| model.weight_precision == self.model.weight_precision);
        let minor = minor_version(&profile.engine_version);
        let is_async = minor.is_none_or(|minor| minor >= FIRST_ASYNCHRONOUS_MINOR);
        profile.gpu == self.gpu.name
            && profile.model == self.model.name
            && profile.tensor_parallel_size == self.tensor_parallel_size
            && is_async == self.async_scheduling
            && as_published
    }

    fn profile_steps(&self, profile: &Profile, config: &SimulationConfig) -> Result<StepTimeModel, String> {
        profile.steps(&self.deployment(), limits(config)).map_err(|error| error.to_string())
    }

    fn roofline(
        &self,
        config: &SimulationConfig,
        efficiencies: &Efficiencies,
    ) -> Result<RooflineSteps, String> {
        RooflineSteps::new(&self.deployment(), limits(config), efficiencies)
            .map_err(|error| error.to_string())
    }

    fn deployment(&self) -> Deployment<'_> {
        Deployment {
            gpu: self.gpu,
            model: &self.model,
            tensor_parallel_size: self.tensor_parallel_size,
            kv_dtype_bytes: 2,
            async_scheduling: self.async_scheduling,
            sorts_logits: self.sorts_logits,
        }
    }

    /// Whether its weights are stored in 16 bits.
    pub fn is_16_bit(&self) -> bool {
        matches!(self.model.weight_precision, WeightPrecision::Bf16 | WeightPrecision::Fp16)
    }
}

fn limits(config: &SimulationConfig) -> Limits {
    Limits {
        max_num_seqs: config.engine.max_num_seqs,
        max_num_batched_tokens: config.engine.max_num_batched_tokens,
        max_model_len: config.engine.max_model_len,
    }
}

/// The minor version of an engine, `15` of `0.15.1`, `v0.15`, `vllm 0.15.1` and `0.15.1 or 0.16.0 (not recorded)`: the first one
/// counts.
pub fn minor_version(text: &str) -> Option<u32> {
    text.trim_start_matches("vllm")
        .trim()
        .trim_start_matches('v')
        .split('.')
        .nth(1)?
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn sampler(minor: Option<u32>) -> SamplerKind {
    minor.map_or(SamplerKind::Unsorted, |minor| SamplerKind::of_vllm(&format!("0.{minor}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_collectors_write_them() {
        assert_eq!(minor_version("0.15.1"), Some(15));
        assert_eq!(minor_version("v0.22"), Some(22));
        assert_eq!(minor_version("vllm 0.23.0"), Some(23));
        assert_eq!(minor_version("0.10.2 or 0.11.0 (images of 2025-10; not recorded)"), Some(10));
        assert_eq!(minor_version("0.11.0 (sibling runs)"), Some(11));
        assert_eq!(minor_version(""), None);
        assert_eq!(minor_version("main"), None);
    }
}
