//! `kendall calibrate --server`: fits by replaying requests, and says how well.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use kendall_calibrate::{Measured, ServerFacts, matched_profile, plain_profile_toml};
use kendall_serving::RooflineSteps;
use kendall_serving::catalog::{gpu, model};
use kendall_serving::step_time::roofline::{Deployment, Efficiencies, FrontEndTimes, Limits};
use kendall_validate::minor_version;
use serde_json::json;

use super::calibrate::described;
use super::calibrate_requests::{RequestFit, fit_requests};
use super::calibrate_text as text;
use super::output;
use crate::args::CalibrateArgs;
use crate::exit::{Failure, print};
use crate::scenario_file::{ScenarioFile, Source};

pub(super) fn calibrate(
    args: &CalibrateArgs,
    scenario: &Path,
    runs: &[Measured],
) -> Result<ExitCode, Failure> {
    let file = ScenarioFile::of(Source::open(Some(scenario))?, &[])?;
    let resolved = file.resolve()?;
    let of = &file.scenario.server;
    let (Some(gpu_name), Some(model_name)) = (&of.gpu, &of.model) else {
        let message = "--server: the scenario names no gpu and model, from whose datasheets a fit begins: add them to [server]";
        return Err(Failure::Invalid(message.into()));
    };
    let invalid = |error: &dyn ToString| Failure::Invalid(format!("--server: {}", error.to_string()));
    let split = of.tensor_parallel_size.unwrap_or(1);
    let known = (gpu(gpu_name).map_err(|e| invalid(&e))?, model(model_name).map_err(|e| invalid(&e))?);
    let engine = &resolved.simulation.engine;
    let deployment = Deployment {
        gpu: known.0,
        model: known.1,
        tensor_parallel_size: split,
        kv_dtype_bytes: 2,
        async_scheduling: engine.async_scheduling,
        sorts_logits: false,
    };
    let limits = Limits {
        max_num_seqs: engine.max_num_seqs,
        max_num_batched_tokens: engine.max_num_batched_tokens,
        max_model_len: engine.max_model_len,
    };
    let steps =
        RooflineSteps::new(&deployment, limits, Efficiencies::built_in()).map_err(|error| invalid(&error))?;
    let with_requests: Vec<&Measured> = runs.iter().filter(|run| !run.requests.is_empty()).collect();
    if with_requests.is_empty() {
        return Err(Failure::Invalid(
            "no requests to replay: the measured files have aggregates or steps alone".into(),
        ));
    }
    let measured_version = args.engine_version.as_deref().and_then(minor_version);
    let mut front_end = Efficiencies::built_in().front_end_of(measured_version);
    front_end.receipt_ms = args.front_end_ms.unwrap_or(front_end.receipt_ms);
    let fitted =
        fit_requests(&with_requests, &resolved.simulation, &steps, &front_end).map_err(Failure::Invalid)?;
    let server = ServerFacts {
        gpu: Some(gpu_name.clone()),
        model: Some(model_name.clone()),
        engine_version: args
            .engine_version
            .clone()
            .or(of.engine_version.as_ref().map(|v| format!("vllm {v}"))),
        tensor_parallel_size: Some(split),
    };
    let facts = kendall_calibrate::ProfileFacts {
        front_end_overhead_ms: fitted.front_end.receipt_ms,
        front_end_source: "fitted to the requests".into(),
        ..described(args, &server, runs)
    };
    let profile = matched_profile(
        "requests",
        &facts,
        fitted.corrections,
        &rounded(&fitted.front_end),
        &fitted.matched,
        residuals(&fitted),
        fitted.range,
    );
    if let Some(path) = &args.out {
        let toml = plain_profile_toml(&profile).map_err(|error| Failure::Failed(error.to_string()))?;
        output::write(path, &toml)?;
    }
    print(&if args.json {
        format!("{:#}\n", json!({ "server": server, "fit": fitted, "profile": profile }))
    } else {
        report(runs, &fitted, &facts.name)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Microseconds and nanoseconds: less is not known.
pub(super) fn rounded(of: &FrontEndTimes) -> FrontEndTimes {
    let thousandths = |value: f64| (value * 1e3).round() / 1e3;
    FrontEndTimes {
        receipt_ms: thousandths(of.receipt_ms),
        tokenising_us_per_token: thousandths(of.tokenising_us_per_token),
        ..of.clone()
    }
}

/// How well the fit meets the requests, in words.
fn residuals(fit: &RequestFit) -> String {
    let held = &fit.hold_out;
    format!(
        "{} requests fitted in groups of 50, root mean square of relative errors {:.1} %; held out, the {} requests after \
         them: mean TTFT {:+.1} %, TPOT {:+.1} %, E2E {:+.1} %",
        fit.fitted,
        100.0 * fit.matched.rms,
        held.requests,
        held.ttft_percent,
        held.tpot_percent,
        held.e2e_percent
    )
}

fn report(runs: &[Measured], fit: &RequestFit, name: &str) -> String {
    let mut out =
        format!("Measured\n  {}\n\nParameters of {name}, by replaying the requests\n", text::fitted_on(runs));
    out.push_str(&text::factors(&fit.matched, "the requests"));
    let _ = writeln!(out, "\nErrors\n  {}", residuals(fit));
    out.push('\n');
    out.push_str(&text::range(&fit.range));
    out
}
