//! `kendall calibrate --rows`: fits by simulating measured servers, with a step log or without, and says how well.

use std::path::Path;
use std::process::ExitCode;

use kendall_calibrate::fit::{Fit, FitOptions, Term, fit};
use kendall_calibrate::{
    Guess, Measured, ProfileFacts, ServerFacts, StepLog, matched_profile, plain_profile_toml,
    unfitted_profile,
};
use kendall_serving::catalog::{Profile, ProfileRange, gpu, model};
use kendall_serving::step_time::roofline::{Corrections, Efficiencies, FrontEndTimes};
use kendall_serving::{BatchShape, SimulationConfig};
use kendall_validate::StepTimeChoice;
use serde_json::json;

use super::calibrate::{described, json as of_steps_json, logs, options, server, write_profile};
use super::calibrate_replay::rounded;
use super::calibrate_requests::{FRONT_END_SPREAD, SPREAD, roofline_guesses};
use super::calibrate_rows_fit::{Rows, RowsFit, Start, fit_rows};
use super::calibrate_rows_text as rows_text;
use super::calibrate_text as text;
use super::output;
use super::validate::write_plot;
use crate::args::CalibrateArgs;
use crate::exit::{Failure, print};

/// Second-order terms: where steps do not tell them, they come from physics.
const SECOND_ORDER: [Term; 4] =
    [Term::PrefillContextToken, Term::PrefillAttention, Term::DecodeContextToken, Term::NewSeq];

const FRONT_END: &str = "front_end_overhead_ms";

pub(super) fn calibrate(args: &CalibrateArgs, table: &Path, runs: &[Measured]) -> Result<ExitCode, Failure> {
    let rows = Rows::select(table, &args.conditions, &args.hold_out).map_err(Failure::Invalid)?;
    let server = server_of(&rows)?;
    let facts = ProfileFacts {
        fitted_on: rows_text::fitted_on(&rows, runs, &args.conditions),
        ..described(args, &server, runs)
    };
    let (found, report, json) = if runs.is_empty() {
        by_factors(args, &rows, &server, &facts)?
    } else {
        with_steps(args, &rows, &server, facts, runs)?
    };
    if let Some(path) = &args.plot {
        let all: Vec<_> = found.fitted.iter().chain(&found.hold_out).cloned().collect();
        write_plot(path, &all)?;
    }
    print(&if args.json { format!("{json:#}\n") } else { report })?;
    Ok(ExitCode::SUCCESS)
}

/// A fit, and what is said of it as text and as JSON.
type Said = (RowsFit, String, serde_json::Value);

fn server_of(rows: &Rows) -> Result<ServerFacts, Failure> {
    let session = rows.of_fit.first().ok_or_else(|| Failure::Invalid("--rows: no row to simulate".into()))?;
    let version = match rows.fitted.first().map(|&row| rows.table.cell(row, "engine_version")) {
        None | Some("") => "vllm (version not recorded)".to_owned(),
        Some(version) => format!("vllm {}", version.trim_start_matches("vllm").trim()),
    };
    Ok(ServerFacts {
        gpu: Some(session.server.gpu.name.clone()),
        model: Some(session.server.model.name.clone()),
        engine_version: Some(version),
        tensor_parallel_size: Some(session.server.tensor_parallel_size),
    })
}

fn default_front_end(args: &CalibrateArgs, rows: &Rows) -> FrontEndTimes {
    let minor = rows.of_fit.first().and_then(|session| session.server.minor);
    let mut front_end = Efficiencies::built_in().front_end_of(minor);
    front_end.receipt_ms = args.front_end_ms.unwrap_or(front_end.receipt_ms);
    front_end
}

/// Microseconds and nanoseconds: less is not known.
fn round_front_end(profile: &mut Profile) {
    let rounded = rounded(&profile.front_end());
    profile.front_end_overhead_ms = rounded.receipt_ms;
    profile.tokenising_us_per_token = rounded.tokenising_us_per_token;
}

/// Rows alone: factors on the roofline, and the front end.
fn by_factors(
    args: &CalibrateArgs,
    rows: &Rows,
    server: &ServerFacts,
    facts: &ProfileFacts,
) -> Result<Said, Failure> {
    if !args.fix.is_empty() {
        let message = "--fix keeps a coefficient of step times that are linear in the batch: with --rows give a step log \
                       too, or leave it out";
        return Err(Failure::Invalid(message.into()));
    }
    let front_end = default_front_end(args, rows);
    let start = Start {
        template: Profile {
            corrections: Some(Corrections::default()),
            ..unfitted_profile(facts, &front_end)
        },
        guesses: roofline_guesses(&front_end),
    };
    let found = fit_rows(rows, &start, round_front_end).map_err(Failure::Invalid)?;
    let profile = matched_profile(
        "rows of measured servers",
        facts,
        found.profile.corrections.unwrap_or_default(),
        &found.profile.front_end(),
        &found.matched,
        rows_text::residuals(&found),
        found.range,
    );
    if let Some(path) = &args.out {
        let toml = plain_profile_toml(&profile).map_err(|error| Failure::Failed(error.to_string()))?;
        output::write(path, &toml)?;
    }
    let report = format!(
        "Measured\n  {}\n\nParameters of {}, by simulating the rows\n{}{}\n{}",
        facts.fitted_on,
        facts.name,
        text::factors(&found.matched, "the rows"),
        rows_text::errors(&found),
        text::range(&found.range),
    );
    let json = json!({ "server": server, "rows": found, "profile": profile });
    Ok((found, report, json))
}

/// Steps and rows: step times linear in the batch.
fn with_steps(
    args: &CalibrateArgs,
    rows: &Rows,
    server: &ServerFacts,
    facts: ProfileFacts,
    runs: &[Measured],
) -> Result<Said, Failure> {
    let logs = logs(runs)?;
    check_same_server(args, server, &logs, rows)?;
    let (of_steps, options) = fit_steps(args, server, &logs)?;
    let start = start_with_steps(args, rows, &of_steps, &facts)?;
    let found = fit_rows(rows, &start, round_front_end).map_err(Failure::Invalid)?;
    let given = args.front_end_ms.is_some();
    let std_error_ms = libm::sqrt(found.matched.covariance_of(FRONT_END, FRONT_END).unwrap_or_default());
    let facts = ProfileFacts {
        front_end_overhead_ms: found.profile.front_end_overhead_ms,
        front_end_std_error_ms: Some(std_error_ms).filter(|_| !given),
        front_end_source: if given {
            "given".to_owned()
        } else {
            format!("fitted to the rows, standard error {std_error_ms:.2} ms")
        },
        rows_met: Some(rows_text::residuals(&found)),
        ..facts
    };
    let range = both(&of_steps.range, &found.range);
    let joined = Fit { range, ..of_steps.with_matched(found.matched.clone()) };
    if let Some(path) = &args.out {
        write_profile(path, &facts, &joined)?;
    }
    let mut report = text::report(runs, &joined, options.physics.is_some(), &facts);
    report.push_str(&rows_text::section(rows, &found));
    let mut json = of_steps_json(runs, server, &options, &joined, None, &facts);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("rows".into(), json!(found));
    }
    Ok((found, report, json))
}

/// The fit to steps, with what they do not tell from physics.
fn fit_steps(
    args: &CalibrateArgs,
    server: &ServerFacts,
    logs: &[StepLog],
) -> Result<(Fit, FitOptions), Failure> {
    let options = options(args, server)?;
    let logs: Vec<&StepLog> = logs.iter().collect();
    let invalid = |error: kendall_calibrate::fit::FitError| Failure::Invalid(error.to_string());
    let alone = fit(&logs, &options).map_err(invalid)?;
    let from_physics = SECOND_ORDER.into_iter().filter(|&term| !alone.tells(term)).collect();
    let options = FitOptions { from_physics, ..options };
    Ok((fit(&logs, &options).map_err(invalid)?, options))
}

/// From rows come the base (a server has more to do in a step than a benchmark), the front end, and the cost of a prompt
/// token and of a token of context where no step tells it.
fn start_with_steps(
    args: &CalibrateArgs,
    rows: &Rows,
    of_steps: &Fit,
    facts: &ProfileFacts,
) -> Result<Start, Failure> {
    let guess = |name: &str, value: f64, spread| Guess { name: name.to_owned(), value, spread: Some(spread) };
    let is_given = |term: Term| args.fix.iter().any(|text| text.trim_start().starts_with(term.key()));
    let mut guesses = Vec::new();
    for term in [Term::Base, Term::PrefillToken, Term::DecodeContextToken] {
        if is_given(term) || term != Term::Base && of_steps.tells(term) {
            continue;
        }
        let value = match term {
            Term::PrefillToken => per_prompt_token_ps(rows)?,
            _ => term.of(&of_steps.coefficients) as f64,
        };
        guesses.push(guess(term.key(), value.max(1.0), SPREAD));
    }
    // One time for all of it: what each prompt token costs there and in the step is one and the same to a linear model.
    let receipt_ms = default_front_end(args, rows).receipt_ms;
    let front_end = FrontEndTimes { receipt_ms, ..FrontEndTimes::default() };
    if args.front_end_ms.is_none() {
        guesses.push(guess(FRONT_END, receipt_ms.max(0.01), FRONT_END_SPREAD));
    }
    let coefficients = Some(of_steps.coefficients);
    Ok(Start { template: Profile { coefficients, ..unfitted_profile(facts, &front_end) }, guesses })
}

/// What the roofline says of a prompt token, up to the longest prompt of the rows (ps).
fn per_prompt_token_ps(rows: &Rows) -> Result<f64, Failure> {
    let mut cost: f64 = 0.0;
    for session in &rows.of_fit {
        let config = session.server.config(StepTimeChoice::roofline(), Efficiencies::built_in());
        let (config, _): (SimulationConfig, String) = config.map_err(Failure::Invalid)?;
        let longest = session.load.requests.iter().map(|(_, spec)| spec.num_prompt_tokens).max().unwrap_or(1);
        let tokens = u64::from(longest.min(config.engine.max_num_batched_tokens).max(2));
        let step_ps = |tokens: u64| {
            let mut shape = BatchShape::default();
            shape.add_prefill(tokens, tokens);
            1e12 * config.step_time.step_time(&shape).as_secs_f64()
        };
        cost = cost.max((step_ps(tokens) - step_ps(1)) / (tokens - 1) as f64);
    }
    Ok(cost)
}

/// A log of another server would be joined with rows that it says nothing of.
fn check_same_server(
    args: &CalibrateArgs,
    of_rows: &ServerFacts,
    logs: &[StepLog],
    rows: &Rows,
) -> Result<(), Failure> {
    let of_logs = server(args, logs)?;
    let known_gpu = |name: &String| gpu(name).map_or(name.clone(), |gpu| gpu.name.clone());
    let known_model = |name: &String| model(name).map_or(name.clone(), |model| model.name.clone());
    let pairs = [
        ("gpu", of_logs.gpu.as_ref().map(known_gpu), of_rows.gpu.clone()),
        ("model", of_logs.model.as_ref().map(known_model), of_rows.model.clone()),
        (
            "tp",
            of_logs.tensor_parallel_size.map(|n| n.to_string()),
            of_rows.tensor_parallel_size.map(|n| n.to_string()),
        ),
    ];
    for (column, of_log, of_row) in pairs {
        if let (Some(of_log), Some(of_row)) = (of_log, of_row)
            && of_log != of_row
        {
            return Err(Failure::Invalid(format!(
                "{}: column {column} of the rows is `{of_row}`, and the step log is of `{of_log}`: choose the rows of that \
                 server with --where, or leave out the log",
                rows.table.path().display()
            )));
        }
    }
    Ok(())
}

fn both(steps: &ProfileRange, rows: &ProfileRange) -> ProfileRange {
    ProfileRange {
        min_decode_seqs: steps.min_decode_seqs.min(rows.min_decode_seqs),
        max_decode_seqs: steps.max_decode_seqs.max(rows.max_decode_seqs),
        min_context_tokens: steps.min_context_tokens.min(rows.min_context_tokens),
        max_context_tokens: steps.max_context_tokens.max(rows.max_context_tokens),
        max_prefill_tokens: steps.max_prefill_tokens.max(rows.max_prefill_tokens),
    }
}
