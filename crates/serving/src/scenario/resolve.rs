//! From what a user wrote to what a simulation needs, with the origin of every figure.

use kendall_des::SimDuration;

use crate::catalog::{self, Gpu, Model};
use crate::engine::{BatchSettings, ConfigError, EngineConfig, EngineVersion, SchedulingPolicy};
use crate::metrics::GoodputLimits;
use crate::router::RouterConfig;
use crate::simulation::SimulationConfig;

use super::doors::resolve_doors;
use super::kv::{KvSource, resolve_kv_blocks, resolve_max_model_len};
use super::ledger::{Ledger, LedgerEntry, Treatment};
use super::step_time::{StepTimeSource, given_profile, resolve_front_end, resolve_step_time};
use super::{GoodputSlo, Scenario, ScenarioError, Server, bounds, zoo};

/// A scenario's server as a simulation needs it.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Engine, step time, replicas, front end.
    pub simulation: SimulationConfig,
    /// Limits of a good request, if any were given.
    pub goodput: Option<GoodputLimits>,
    /// The engine and version that is modelled, such as `vllm-v1 0.32.0`.
    pub engine: String,
    /// Where the step time comes from.
    pub step_time: StepTimeSource,
    /// Where the number of KV blocks comes from.
    pub kv_cache: KvSource,
    /// Every setting: its value, where it comes from, how it is treated.
    pub ledger: Vec<LedgerEntry>,
}

/// Texts of the files that a scenario's `[server]` names: this crate reads none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// Of `model_config`.
    pub config_json: Option<&'a str>,
    /// Of `profile`.
    pub profile: Option<&'a str>,
    /// Of `admission.policy_table`.
    pub admission_table: Option<&'a str>,
}

/// Resolves the server and the objectives of a scenario that names no files.
///
/// # Errors
/// On a setting that cannot be honoured; the message names the key, the value and the remedy.
pub fn resolve(scenario: &Scenario) -> Result<Resolved, ScenarioError> {
    resolve_with_files(scenario, Beside::default())
}

/// The same with the texts of the files that it names.
///
/// # Errors
/// As [`resolve`], and on a text that does not describe a model which can be simulated, or is no profile.
pub fn resolve_with_files(scenario: &Scenario, beside: Beside<'_>) -> Result<Resolved, ScenarioError> {
    let table = scenario.server.admission.as_ref().map_or(&None, |admission| &admission.policy_table);
    for (key, path, text) in [
        ("model_config", &scenario.server.model_config, beside.config_json),
        ("profile", &scenario.server.profile, beside.profile),
        ("admission.policy_table", table, beside.admission_table),
    ] {
        if let (Some(path), None) = (path, text) {
            return Err(at(key, &format!("{path}: its text is not given here")));
        }
    }
    let config_json = beside.config_json;
    let server = &scenario.server;
    let version = match &server.engine_version {
        None => EngineVersion::default(),
        Some(text) => text.parse().map_err(|error| at("engine_version", &error))?,
    };
    bounds::check_sizes(server)?;
    let mut ledger = Ledger::default();
    let hardware = Hardware::of(server, config_json)?;
    let mut chosen = zoo::chosen(server)?;
    if let Some(zoo) = &mut chosen {
        resolve_doors(scenario, beside, zoo, &mut ledger)?;
    }
    let engine_name =
        chosen.as_ref().map_or_else(|| format!("vllm-v1 {version}"), |zoo| zoo.engine.source().to_owned());
    let (engine, kv_cache) = match chosen {
        None => resolve_engine(server, &hardware, version, &mut ledger)?,
        Some(zoo) => zoo::resolve_engine(server, &hardware, zoo, &mut ledger)?,
    };
    let profile = given_profile(server, beside.profile)?;
    let (model, step_time) = resolve_step_time(server, profile, &hardware, &engine, version, &mut ledger)?;
    let front_end = resolve_front_end(server, &step_time, version, &mut ledger)?;
    let replicas = ledger.take("replicas", server.replicas, 1, "default");
    let router = resolve_router(server, &mut ledger)?;
    let simulation = SimulationConfig { engine, step_time: model, replicas, router, front_end };
    simulation.validate().map_err(|ConfigError { field, value, reason }| {
        let table = if field.ends_with("_ps") { "server.step_time" } else { "server" };
        ScenarioError::at(format!("{table}.{field}"), format!("{value}: {reason}"))
    })?;
    bounds::check_memory(&simulation)?;
    let goodput = scenario
        .slo
        .as_ref()
        .and_then(|slo| slo.goodput.as_ref())
        .map(|slo| goodput_limits("slo.goodput", slo))
        .transpose()?;
    Ok(Resolved {
        simulation,
        goodput,
        engine: engine_name,
        step_time,
        kv_cache,
        ledger: ledger.into_entries(),
    })
}

pub(super) fn at(key: &str, error: &impl ToString) -> ScenarioError {
    ScenarioError::at(format!("server.{key}"), error.to_string())
}

/// What the catalogue knows of the server's hardware and model.
pub(super) struct Hardware {
    pub(super) gpu: Option<&'static Gpu>,
    pub(super) model: Option<Model>,
    pub(super) tensor_parallel_size: u32,
}

impl Hardware {
    fn of(server: &Server, config_json: Option<&str>) -> Result<Self, ScenarioError> {
        let gpu = server.gpu.as_deref().map(catalog::gpu).transpose().map_err(|error| at("gpu", &error))?;
        let model = match (config_json, server.model.as_deref()) {
            (Some(text), name) => {
                let name = name.or(server.model_config.as_deref()).unwrap_or("config.json");
                Some(Model::from_config_json(text, name).map_err(|error| at("model_config", &error))?)
            }
            (None, Some(name)) => Some(catalog::model(name).map_err(|error| at("model", &error))?.clone()),
            (None, None) => None,
        };
        let tensor_parallel_size = server.tensor_parallel_size.unwrap_or(1);
        if let Some(model) = &model {
            model
                .check_tensor_parallel(tensor_parallel_size)
                .map_err(|error| at("tensor_parallel_size", &error))?;
        }
        Ok(Self { gpu, model, tensor_parallel_size })
    }

    /// The longest sequence that the model allows, in tokens.
    pub(super) fn longest_sequence(&self) -> Option<u32> {
        self.model.as_ref().map(|model| u32::try_from(model.max_position_embeddings).unwrap_or(u32::MAX))
    }

    /// Both GPU and model, which `what` needs.
    pub(super) fn both(&self, what: &str) -> Result<(&'static Gpu, &Model), ScenarioError> {
        match (self.gpu, &self.model) {
            (Some(gpu), Some(model)) => Ok((gpu, model)),
            (gpu, _) => {
                let missing = if gpu.is_none() { "gpu" } else { "model" };
                Err(at(missing, &format!("it is missing: {what}, or name the `{missing}`")))
            }
        }
    }
}

fn resolve_engine(
    server: &Server,
    hardware: &Hardware,
    version: EngineVersion,
    ledger: &mut Ledger,
) -> Result<(EngineConfig, KvSource), ScenarioError> {
    let defaults = version.defaults();
    let of_version = format!("default of vLLM {version}");
    let gpu_name = hardware.gpu.map_or("", |gpu| gpu.name.as_str());
    let memory_bytes = hardware.gpu.map_or(0, |gpu| gpu.memory_bytes);
    let enable_chunked_prefill = ledger.take(
        "enable_chunked_prefill",
        server.enable_chunked_prefill,
        defaults.enable_chunked_prefill,
        &of_version,
    );
    let batch = version.batch_defaults(memory_bytes, gpu_name).fit(BatchSettings {
        max_num_seqs: server.max_num_seqs,
        max_num_batched_tokens: server.max_num_batched_tokens,
        max_model_len: server.max_model_len.or(hardware.longest_sequence()).unwrap_or(u32::MAX),
        enable_chunked_prefill,
    });
    let on_gpu = if gpu_name.is_empty() { of_version.clone() } else { format!("{of_version} on {gpu_name}") };
    let mut take = |setting, given, default| ledger.take(setting, given, default, &on_gpu);
    let max_num_seqs = take("max_num_seqs", server.max_num_seqs, batch.max_num_seqs);
    let max_num_batched_tokens =
        take("max_num_batched_tokens", server.max_num_batched_tokens, batch.max_num_batched_tokens);
    let mut take = |setting, given, default| ledger.take(setting, given, default, &of_version);
    let block_size = take("block_size", server.block_size, defaults.block_size);
    let long_prefill_token_threshold = take(
        "long_prefill_token_threshold",
        server.long_prefill_token_threshold,
        defaults.long_prefill_token_threshold,
    );
    let mut take = |setting, given, default| ledger.take(setting, given, default, &of_version);
    let enable_prefix_caching =
        take("enable_prefix_caching", server.enable_prefix_caching, defaults.enable_prefix_caching);
    let async_scheduling = take("async_scheduling", server.async_scheduling, defaults.async_scheduling);
    let scheduler_reserve_full_isl = take(
        "scheduler_reserve_full_isl",
        server.scheduler_reserve_full_isl,
        defaults.scheduler_reserve_full_isl,
    );
    let long_prefill_token_threshold_adaptive =
        take("long_prefill_token_threshold_adaptive", server.long_prefill_token_threshold_adaptive, false);
    let watermark = ledger.take("watermark", server.watermark, 0.0, &of_version);
    let scheduling_policy =
        ledger.take("scheduling_policy", server.scheduling_policy, SchedulingPolicy::default(), &of_version);
    if let Some(active) = server.max_num_active_seqs {
        ledger.take("max_num_active_seqs", Some(active), 0, "");
    }
    check_version(server, version)?;
    ledger.add_version_notes(&defaults, async_scheduling, scheduling_policy, enable_prefix_caching);
    let mut config = EngineConfig {
        max_num_seqs,
        max_num_batched_tokens,
        block_size,
        enable_prefix_caching,
        enable_chunked_prefill,
        async_scheduling,
        scheduler_reserve_full_isl,
        long_prefill_token_threshold,
        long_prefill_token_threshold_adaptive,
        watermark,
        max_num_active_seqs: server.max_num_active_seqs,
        scheduling_policy,
        lifo_unhashed: defaults.lifo_unhashed,
        lone_request_exempt: defaults.lone_request_exempt,
        self_preemption: defaults.self_preemption,
        ..EngineConfig::default()
    };
    let kv_cache =
        resolve_kv_blocks(server, hardware, version, defaults.gpu_memory_utilization, &mut config, ledger)?;
    resolve_max_model_len(server, hardware, &mut config, ledger)?;
    Ok((config, kv_cache))
}

/// Keys that the version does not know.
fn check_version(server: &Server, version: EngineVersion) -> Result<(), ScenarioError> {
    let defaults = version.defaults();
    for (key, given, known) in [
        (
            "watermark",
            server.watermark.is_some_and(|watermark| watermark > 0.0),
            defaults.watermark.is_some(),
        ),
        (
            "long_prefill_token_threshold_adaptive",
            server.long_prefill_token_threshold_adaptive == Some(true),
            defaults.long_prefill_token_threshold_adaptive.is_some(),
        ),
        ("max_num_active_seqs", server.max_num_active_seqs.is_some(), defaults.max_num_active_seqs),
    ] {
        if given && !known {
            let message =
                format!("vLLM {version} does not have it: leave it out, or choose a later `engine_version`");
            return Err(at(key, &message));
        }
    }
    Ok(())
}

fn resolve_router(server: &Server, ledger: &mut Ledger) -> Result<RouterConfig, ScenarioError> {
    let Some(settings) = &server.router else { return Ok(RouterConfig::default()) };
    let ms = settings.refresh_interval_ms.unwrap_or(0.0);
    let refresh_interval = SimDuration::from_secs_f64(ms / 1e3)
        .ok()
        .filter(|&interval| interval <= SimDuration::from_secs(3_600))
        .ok_or_else(|| {
            at("router.refresh_interval_ms", &format!("{ms}: it must lie between 0 ms and an hour"))
        })?;
    let router = RouterConfig { policy: settings.policy, refresh_interval };
    if refresh_interval > SimDuration::ZERO && !router.asks_replicas() {
        let message = "this policy does not ask replicas about their state: leave it out";
        return Err(at("router.refresh_interval_ms", &message));
    }
    let value = format!("{:?}, reports every {ms} ms", settings.policy);
    let note = "requests reach the replica that was chosen at once";
    ledger.add("router", value, "scenario".into(), Treatment::Modelled, note);
    Ok(router)
}

/// The limits at `field` of the scenario.
pub(super) fn goodput_limits(field: &str, slo: &GoodputSlo) -> Result<GoodputLimits, ScenarioError> {
    let limit = |key: &str, ms: Option<f64>| {
        let positive =
            |ms: f64| SimDuration::from_secs_f64(ms / 1e3).ok().filter(|&limit| limit > SimDuration::ZERO);
        ms.map(|ms| {
            positive(ms).ok_or_else(|| {
                ScenarioError::at(
                    format!("{field}.{key}"),
                    format!("{ms}: a limit is a number of milliseconds above 0"),
                )
            })
        })
        .transpose()
    };
    let limits = GoodputLimits {
        ttft: limit("ttft_ms", slo.ttft_ms)?,
        tpot: limit("tpot_ms", slo.tpot_ms)?,
        e2e: limit("e2el_ms", slo.e2el_ms)?,
    };
    if limits == GoodputLimits::default() {
        let message = "no limit is given: add `ttft_ms`, `tpot_ms` or `e2el_ms`";
        return Err(ScenarioError::at(field, message));
    }
    Ok(limits)
}
