//! `kendall calibrate`

use std::path::Path;
use std::process::ExitCode;

use kendall_calibrate::fit::{Fit, FitOptions, Term, fit, residual_plot};
use kendall_calibrate::{
    FrontEnd, Measured, ProfileFacts, ServerFacts, StepLog, front_end, profile_toml, read_file, solo_steps,
};
use kendall_serving::LinearCoefficients;
use kendall_serving::catalog::{gpu, model};
use kendall_serving::step_time::roofline::{Efficiencies, linear_estimate};
use serde_json::json;

use super::calibrate_text as text;
use super::output;
use crate::args::CalibrateArgs;
use crate::exit::{Failure, print};

pub(crate) fn calibrate(args: &CalibrateArgs) -> Result<ExitCode, Failure> {
    let mut runs = Vec::new();
    for path in &args.measured {
        runs.extend(read_file(path).map_err(|error| Failure::Invalid(error.to_string()))?);
    }
    if args.inspect {
        print(&if args.json { format!("{:#}\n", json!({ "runs": runs })) } else { text::runs(&runs) })?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(table) = &args.rows {
        return super::calibrate_rows::calibrate(args, table, &runs);
    }
    if let Some(scenario) = &args.server {
        return super::calibrate_replay::calibrate(args, scenario, &runs);
    }
    let logs = logs(&runs)?;
    let server = server(args, &logs)?;
    let options = options(args, &server)?;
    let logs: Vec<&StepLog> = logs.iter().collect();
    let fitted = fit(&logs, &options).map_err(|error| Failure::Invalid(error.to_string()))?;
    let measured: Vec<&Measured> = runs.iter().collect();
    let front_end = front_end(&measured, &fitted.coefficients);
    let (facts, source) = front_end_of(args, front_end.as_ref());
    let facts = ProfileFacts {
        front_end_overhead_ms: facts,
        front_end_std_error_ms: front_end
            .filter(|_| args.front_end_ms.is_none())
            .map(|found| found.std_error_ms),
        front_end_source: source,
        ..described(args, &server, &runs)
    };
    if let Some(path) = &args.out {
        write_profile(path, &facts, &fitted)?;
    }
    if let Some(path) = &args.plot {
        output::write(path, &residual_plot(&logs, &fitted.coefficients))?;
    }
    let report = if args.json {
        format!("{:#}\n", json(&runs, &server, &options, &fitted, front_end.as_ref(), &facts))
    } else {
        text::report(&runs, &fitted, options.physics.is_some(), &facts)
    };
    print(&report)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn options(args: &CalibrateArgs, server: &ServerFacts) -> Result<FitOptions, Failure> {
    Ok(FitOptions {
        given: given(&args.fix)?,
        physics: physics(server),
        from_physics: Vec::new(),
        replicates: args.replicates,
        seed: args.seed,
    })
}

/// The steps of step logs, and those that requests show by being alone on the server.
pub(super) fn logs(runs: &[Measured]) -> Result<Vec<StepLog>, Failure> {
    let logs: Vec<StepLog> = runs
        .iter()
        .map(|run| run.steps.clone().unwrap_or_else(|| solo_steps(run)))
        .filter(|log| !log.steps.is_empty())
        .collect();
    if logs.is_empty() {
        let files: Vec<&str> = runs.iter().map(|run| run.file.as_str()).collect();
        return Err(Failure::Invalid(format!(
            "{}: no steps to fit: neither a step log, nor requests with the times of their tokens that were alone on the \
             server; give a step log (`kendall calibrate --help` has the columns), or measure one request at a time with \
             `vllm bench serve --max-concurrency 1 --save-result --save-detailed`",
            files.join(", ")
        )));
    }
    Ok(logs)
}

/// The user's word first, then the logs', which must agree.
pub(super) fn server(args: &CalibrateArgs, logs: &[StepLog]) -> Result<ServerFacts, Failure> {
    Ok(ServerFacts {
        gpu: agreed("--gpu", args.gpu.as_ref(), logs.iter().map(|log| log.server.gpu.as_ref()))?,
        model: agreed("--model", args.model.as_ref(), logs.iter().map(|log| log.server.model.as_ref()))?,
        engine_version: agreed(
            "--engine-version",
            args.engine_version.as_ref(),
            logs.iter().map(|log| log.server.engine_version.as_ref()),
        )?,
        tensor_parallel_size: agreed(
            "--tensor-parallel-size",
            args.tensor_parallel_size.as_ref(),
            logs.iter().map(|log| log.server.tensor_parallel_size.as_ref()),
        )?,
    })
}

fn agreed<'a, T: Clone + PartialEq + std::fmt::Display + 'a>(
    flag: &str,
    given: Option<&T>,
    stated: impl Iterator<Item = Option<&'a T>>,
) -> Result<Option<T>, Failure> {
    if let Some(given) = given {
        return Ok(Some(given.clone()));
    }
    let mut stated = stated.flatten();
    let Some(first) = stated.next() else { return Ok(None) };
    match stated.find(|other| *other != first) {
        Some(other) => Err(Failure::Invalid(format!(
            "the measured files are of different servers, `{first}` and `{other}`: calibrate each by itself, or say with \
             {flag} what they are"
        ))),
        None => Ok(Some(first.clone())),
    }
}

/// What the roofline says, if the catalogue knows GPU and model.
fn physics(server: &ServerFacts) -> Option<LinearCoefficients> {
    let (gpu, model) = (gpu(server.gpu.as_deref()?).ok()?, model(server.model.as_deref()?).ok()?);
    linear_estimate(gpu, model, server.tensor_parallel_size.unwrap_or(1)).ok()
}

/// `KEY=PS` as often as given.
fn given(fixed: &[String]) -> Result<Vec<(Term, u64)>, Failure> {
    fixed
        .iter()
        .map(|text| {
            let parsed = text.split_once('=').and_then(|(key, value)| {
                Some((Term::from_key(key.trim())?, value.trim().replace('_', "").parse().ok()?))
            });
            parsed.ok_or_else(|| {
                let keys = Term::ALL.map(Term::key).join(", ");
                Failure::Invalid(format!("--fix is `{text}`; expected KEY=PICOSECONDS with a key of {keys}"))
            })
        })
        .collect()
}

/// The front end (ms) and where it comes from.
fn front_end_of(args: &CalibrateArgs, measured: Option<&FrontEnd>) -> (f64, String) {
    match (args.front_end_ms, measured) {
        (Some(given), _) => (given, "given".to_owned()),
        (None, Some(found)) => {
            let words = format!(
                "median of TTFT less prefill of {} requests that found the server empty, standard error {:.2} ms",
                found.requests, found.std_error_ms
            );
            (round_to_us(found.median_ms), words)
        }
        (None, None) => (default_front_end_ms(), "not measured, the default".to_owned()),
    }
}

fn default_front_end_ms() -> f64 {
    Efficiencies::built_in().engine.front_end_ms
}

fn round_to_us(ms: f64) -> f64 {
    (ms * 1e3).round() / 1e3
}

pub(super) fn described(args: &CalibrateArgs, server: &ServerFacts, runs: &[Measured]) -> ProfileFacts {
    let unknown = || "unknown".to_owned();
    let gpu_name =
        server.gpu.as_deref().map_or_else(unknown, |name| gpu(name).map_or(name, |gpu| &gpu.name).to_owned());
    let model_name = server
        .model
        .as_deref()
        .map_or_else(unknown, |name| model(name).map_or(name, |model| &model.name).to_owned());
    let tensor_parallel_size = server.tensor_parallel_size.unwrap_or(1);
    let short = model_name.rsplit('/').next().unwrap_or(&model_name);
    let default_name = format!("{gpu_name}-{short}-tp{tensor_parallel_size}").to_lowercase();
    ProfileFacts {
        name: args.name.clone().unwrap_or(default_name),
        gpu: gpu_name,
        model: model_name,
        engine_version: server.engine_version.clone().unwrap_or_else(unknown),
        tensor_parallel_size,
        front_end_overhead_ms: default_front_end_ms(),
        front_end_std_error_ms: None,
        front_end_source: String::new(),
        fitted_on: text::fitted_on(runs),
        rows_met: None,
    }
}

/// A profile names its server: without one nothing could ever find it.
pub(super) fn write_profile(path: &Path, facts: &ProfileFacts, fitted: &Fit) -> Result<(), Failure> {
    for (flag, value) in [("--gpu", &facts.gpu), ("--model", &facts.model)] {
        if value == "unknown" {
            return Err(Failure::Invalid(format!(
                "--out needs to know the server, and no measured file names it: give {flag} NAME"
            )));
        }
    }
    let toml = profile_toml(facts, fitted).map_err(|error| Failure::Failed(error.to_string()))?;
    output::write(path, &toml)
}

pub(super) fn json(
    runs: &[Measured],
    server: &ServerFacts,
    options: &FitOptions,
    fitted: &Fit,
    front_end: Option<&FrontEnd>,
    facts: &ProfileFacts,
) -> serde_json::Value {
    let measured: Vec<_> = runs
        .iter()
        .map(|run| {
            json!({
                "file": run.file,
                "format": run.format,
                "tool": run.tool,
                "version": run.version,
                "label": run.label,
                "requests": run.requests.len(),
                "steps": run.steps.as_ref().map_or_else(|| solo_steps(run).steps.len(), |log| log.steps.len()),
                "caveats": run.caveats,
            })
        })
        .collect();
    json!({
        "measured": measured,
        "server": server,
        "physics_known": options.physics.is_some(),
        "fit": fitted,
        "front_end": { "overhead_ms": facts.front_end_overhead_ms, "source": facts.front_end_source, "measured": front_end },
        "profile": kendall_calibrate::profile(facts, fitted),
    })
}
