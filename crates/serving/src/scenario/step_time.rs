//! Which step-time model a scenario gets, and where its figures come from.

use kendall_des::SimDuration;
use serde::Serialize;

use super::ledger::{Ledger, Treatment};
use super::resolve::{Hardware, at};
use super::{ScenarioError, Server, StepTime};
use crate::catalog::{self, Gpu, Model, Profile, SamplerKind};
use crate::engine::{EngineConfig, EngineVersion};
use crate::simulation::FrontEnd;
use crate::step_time::roofline::{Deployment, Efficiencies, FrontEndTimes, Limits};
use crate::step_time::{CurveError, CurveSteps, RooflineSteps, StepTimeModel};

/// What is known of the error of an estimate: `analysis/validation/roofline`.
pub const ESTIMATE_ERROR: &str = "33 measured stages of servers of 9 models on an H100, each predicted without its model: \
     median error of mean E2E 1.7 %, TTFT 2.7 %, TPOT 1.8 %; worst TPOT 22 %";

/// Origin of the step times.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum StepTimeSource {
    /// The scenario gives them.
    Scenario,
    /// A profile fitted to measurements.
    Calibrated {
        /// The profile with its residuals and range.
        profile: Box<Profile>,
    },
    /// The roofline: derived from datasheets and the efficiencies of kernels. An estimate.
    Estimate {
        /// Name of the GPU.
        gpu: String,
        /// Name of the model.
        model: String,
        /// GPUs that share the model.
        tensor_parallel_size: u32,
        /// The GPU whose kernels were measured.
        kernels_measured_on: String,
        /// What is known of its error.
        error: &'static str,
    },
}

impl StepTimeSource {
    /// Whether results are estimates, not backed by a measurement of this GPU and model.
    pub fn is_estimate(&self) -> bool {
        matches!(self, Self::Estimate { .. })
    }
}

/// The profile of the file that the scenario names.
pub(super) fn given_profile(server: &Server, text: Option<&str>) -> Result<Option<Profile>, ScenarioError> {
    let (Some(path), Some(text)) = (&server.profile, text) else { return Ok(None) };
    if server.step_time.is_some() {
        return Err(at("profile", &"`step_time` is given too: leave one of them out"));
    }
    Profile::from_toml(text, path).map(Some).map_err(|error| at("profile", &error))
}

/// Whether a profile was measured on what the scenario names; what it does not name cannot differ.
fn is_of(profile: &Profile, hardware: &Hardware) -> bool {
    hardware.gpu.is_none_or(|gpu| gpu.name == profile.gpu)
        && hardware.model.as_ref().is_none_or(|model| model.name == profile.model)
        && hardware.tensor_parallel_size == profile.tensor_parallel_size
}

/// The scenario's own model, or the profile of a file, or the calibrated profile, or the roofline.
pub(super) fn resolve_step_time(
    server: &Server,
    given: Option<Profile>,
    hardware: &Hardware,
    engine: &EngineConfig,
    version: EngineVersion,
    ledger: &mut Ledger,
) -> Result<(StepTimeModel, StepTimeSource), ScenarioError> {
    if let Some(StepTime::Linear(coefficients)) = &server.step_time {
        ledger.add("step_time", "linear".into(), "scenario".into(), Treatment::Modelled, "");
        return Ok(((*coefficients).into(), StepTimeSource::Scenario));
    }
    if let Some(StepTime::Curve(coefficients)) = &server.step_time {
        let curve = CurveSteps::new(*coefficients, engine.max_num_seqs, engine.max_num_batched_tokens)
            .map_err(|CurveError { field, value, reason }| {
                at(&format!("step_time.{field}"), &format!("{value}: {reason}"))
            })?;
        let note = "prompts by the token, decode steps by the request: contexts play no part";
        ledger.add("step_time", "curve".into(), "scenario".into(), Treatment::Modelled, note);
        return Ok((curve.into(), StepTimeSource::Scenario));
    }
    if let Some(profile) = given {
        let note = if is_of(&profile, hardware) {
            ""
        } else {
            "measured on another GPU, model or split than this scenario names"
        };
        ledger.add("step_time", profile.name.clone(), "profile file".into(), Treatment::Approximated, note);
        let steps = profile_steps(&profile, server, hardware, engine)?;
        return Ok((steps, StepTimeSource::Calibrated { profile: Box::new(profile) }));
    }
    let (gpu, model) = hardware.both("give linear `step_time` coefficients, or a `profile`")?;
    let sixteen_bits = server.kv_cache_dtype.unwrap_or_default().bytes() == 2;
    let profile = catalog::profile(gpu, model, hardware.tensor_parallel_size)
        .filter(|_| server.step_time.is_none() && server.model_config.is_none() && sixteen_bits);
    if let Some(profile) = profile {
        let same = profile.engine_version.ends_with(&version.to_string());
        let note = if same { "" } else { "measured with another version of the engine" };
        let name = profile.name.clone();
        ledger.add("step_time", name, "calibrated profile".into(), Treatment::Approximated, note);
        let source = StepTimeSource::Calibrated { profile: Box::new(profile.clone()) };
        return Ok((profile_steps(profile, server, hardware, engine)?, source));
    }
    roofline(server, hardware, engine, version, gpu, model, ledger)
}

/// The step times of a profile; one that corrects a roofline takes GPU and model from itself where the scenario is silent.
fn profile_steps(
    profile: &Profile,
    server: &Server,
    hardware: &Hardware,
    engine: &EngineConfig,
) -> Result<StepTimeModel, ScenarioError> {
    let gpu =
        hardware.gpu.map_or_else(|| catalog::gpu(&profile.gpu), Ok).map_err(|error| at("profile", &error));
    let of_profile = || catalog::model(&profile.model).map_err(|error| at("profile", &error));
    if let Some(coefficients) = profile.coefficients {
        return Ok(coefficients.into());
    }
    let model = match &hardware.model {
        Some(model) => model,
        None => of_profile()?,
    };
    let of = Deployment {
        gpu: gpu?,
        model,
        tensor_parallel_size: hardware.tensor_parallel_size,
        kv_dtype_bytes: server.kv_cache_dtype.unwrap_or_default().bytes(),
        async_scheduling: engine.async_scheduling,
        sorts_logits: false,
    };
    profile.steps(&of, limits(engine)).map_err(|error| at("profile", &error))
}

fn limits(engine: &EngineConfig) -> Limits {
    Limits {
        max_num_seqs: engine.max_num_seqs,
        max_num_batched_tokens: engine.max_num_batched_tokens,
        max_model_len: engine.max_model_len,
    }
}

fn roofline(
    server: &Server,
    hardware: &Hardware,
    engine: &EngineConfig,
    version: EngineVersion,
    gpu: &Gpu,
    model: &Model,
    ledger: &mut Ledger,
) -> Result<(StepTimeModel, StepTimeSource), ScenarioError> {
    let of = Deployment {
        gpu,
        model,
        tensor_parallel_size: hardware.tensor_parallel_size,
        kv_dtype_bytes: server.kv_cache_dtype.unwrap_or_default().bytes(),
        async_scheduling: engine.async_scheduling,
        sorts_logits: model.truncates_sampling
            && SamplerKind::of_vllm(&version.to_string()) == SamplerKind::SortedLogits,
    };
    let efficiencies = Efficiencies::built_in();
    let key = if server.model_config.is_some() { "model_config" } else { "model" };
    let steps = RooflineSteps::new(&of, limits(engine), efficiencies).map_err(|error| at(key, &error))?;
    let note = "ESTIMATE from datasheets and measured kernels: this GPU and model were not measured";
    ledger.add("step_time", "roofline".into(), "datasheet estimate".into(), Treatment::Approximated, note);
    let source = StepTimeSource::Estimate {
        gpu: gpu.name.clone(),
        model: model.name.clone(),
        tensor_parallel_size: hardware.tensor_parallel_size,
        kernels_measured_on: efficiencies.kernels_of(gpu).measured_on.clone(),
        error: ESTIMATE_ERROR,
    };
    Ok((steps.into(), source))
}

/// What lies between clients and the engine: the scenario's figures, else those of the profile or of the engine's version.
pub(super) fn resolve_front_end(
    server: &Server,
    step_time: &StepTimeSource,
    version: EngineVersion,
    ledger: &mut Ledger,
) -> Result<FrontEnd, ScenarioError> {
    const MS: f64 = 1e3;
    const US: f64 = 1.0;
    let of_version = Efficiencies::built_in().front_end_of(Some(version.minor));
    let (default, source) = match step_time {
        StepTimeSource::Scenario => (FrontEndTimes::default(), "default with a given step time".to_owned()),
        StepTimeSource::Calibrated { profile } => (profile.front_end(), format!("profile {}", profile.name)),
        StepTimeSource::Estimate { .. } => {
            let source = format!("fitted to servers of vLLM {}", of_version.measured_on);
            (of_version, source)
        }
    };
    let mut part = |key: &'static str, given: Option<f64>, default: f64, us: f64, note: &'static str| {
        let value = given.unwrap_or(default);
        // What is told for each token is told in microseconds.
        let per_token = us < MS;
        let most = SimDuration::from_secs(if per_token { 1 } else { 3_600 });
        let time = SimDuration::from_secs_f64(value * us / 1e6)
            .ok()
            .filter(|&time| time <= most)
            .ok_or_else(|| {
                let range = if per_token { "0 us and a second (1,000,000 us)" } else { "0 ms and an hour" };
                at(key, &format!("{value}: it must lie between {range}"))
            })?;
        let source = if given.is_some() { "scenario".to_owned() } else { source.clone() };
        // A part that is not there says nothing.
        if given.is_some() || value > 0.0 || key == "front_end_overhead_ms" {
            ledger.add(key, value.to_string(), source, Treatment::Approximated, note);
        }
        Ok(time)
    };
    let constant = "one constant before the engine; it does not grow with load";
    Ok(FrontEnd {
        receipt: part(
            "front_end_overhead_ms",
            server.front_end_overhead_ms,
            default.receipt_ms,
            MS,
            constant,
        )?,
        tokenising_per_token: part(
            "tokenising_us_per_token",
            server.tokenising_us_per_token,
            default.tokenising_us_per_token,
            US,
            "no prompt overtakes another",
        )?,
        streaming: part(
            "streaming_us_per_token",
            server.streaming_us_per_token,
            default.streaming_us_per_token,
            US,
            "the same for every token; it does not grow with load",
        )?,
        cold_start: part("cold_start_ms", server.cold_start_ms, 0.0, MS, "the first request of the run")?,
    })
}
