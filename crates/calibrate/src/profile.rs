//! A fit as a profile of the catalogue: TOML that `kendall_serving::catalog` reads, with what is known of each
//! coefficient beside it.

use kendall_serving::catalog::{Covariance, Origin, Profile, ProfileRange};
use kendall_serving::step_time::roofline::{Corrections, FrontEndTimes};
use serde::Serialize;

use crate::fit::{Fit, ParameterSource, ResidualRow};
use crate::matching::Match;

const FRONT_END: &str = "front_end_overhead_ms";

/// What a profile needs beyond the fit.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileFacts {
    /// Name in the catalogue.
    pub name: String,
    /// GPU, as the catalogue names it.
    pub gpu: String,
    /// Model, as the catalogue names it.
    pub model: String,
    /// Engine and version.
    pub engine_version: String,
    /// GPUs that share the model.
    pub tensor_parallel_size: u32,
    /// Time from the client's send until the engine has the request (ms).
    pub front_end_overhead_ms: f64,
    /// Its standard error (ms), where it was measured.
    pub front_end_std_error_ms: Option<f64>,
    /// Where that time comes from, in words.
    pub front_end_source: String,
    /// The measurements, in words.
    pub fitted_on: String,
    /// How well whole servers are met, in words, where the fit was matched to them too.
    pub rows_met: Option<String>,
}

/// The profile of a fit.
pub fn profile(facts: &ProfileFacts, fit: &Fit) -> Profile {
    let front_end = FrontEndTimes { receipt_ms: facts.front_end_overhead_ms, ..FrontEndTimes::default() };
    Profile {
        coefficients: Some(fit.coefficients),
        origin: Origin::Calibrated {
            fitted_on: facts.fitted_on.clone(),
            residuals: residuals(facts, fit),
            coefficient_sources: coefficient_sources(facts, fit),
            range: fit.range,
        },
        covariance: Some(covariance(facts, fit)),
        ..unfitted_profile(facts, &front_end)
    }
}

/// The covariance of what steps and whole servers gave, and of the front end where it was measured.
fn covariance(facts: &ProfileFacts, fit: &Fit) -> Covariance {
    let fitted: Vec<usize> = (0..fit.parameters.len())
        .filter(|&i| fit.parameters[i].std_error_ps.is_some_and(|e| e > 0.0))
        .collect();
    let mut parameters: Vec<String> = fitted.iter().map(|&i| fit.parameters[i].key.to_owned()).collect();
    let row = |&i: &usize| fitted.iter().map(|&j| fit.covariance_ps2[i][j]).collect();
    let mut matrix: Vec<Vec<f64>> = fitted.iter().map(row).collect();
    if let Some(std_error_ms) = facts.front_end_std_error_ms {
        // Measured on requests that were alone, by itself; or on whole servers, together with what else they gave.
        // What was not found together is independent.
        let with = |key: &String| fit.matched.as_ref()?.covariance_of(key, FRONT_END);
        let mut last: Vec<f64> = parameters.iter().map(|key| with(key).unwrap_or_default()).collect();
        for (row, &covariance) in matrix.iter_mut().zip(&last) {
            row.push(covariance);
        }
        last.push(std_error_ms * std_error_ms);
        matrix.push(last);
        parameters.push(FRONT_END.to_owned());
    }
    Covariance { parameters, matrix }
}

fn residuals(facts: &ProfileFacts, fit: &Fit) -> String {
    let row = |row: &ResidualRow| {
        format!("median absolute error {:.2} %, p95 {:.2} %", row.median_percent, row.p95_percent)
    };
    let of_steps = format!(
        "{} steps: {}; held out ({}): {}",
        fit.steps,
        row(&fit.residuals.all),
        fit.hold_out_by,
        row(&fit.hold_out.all)
    );
    match &facts.rows_met {
        Some(of_rows) => format!("{of_rows}. By the fit to the steps alone, {of_steps}"),
        None => of_steps,
    }
}

fn coefficient_sources(facts: &ProfileFacts, fit: &Fit) -> String {
    let of = |wanted: &[ParameterSource]| {
        let keys = fit.parameters.iter().filter(|parameter| wanted.contains(&parameter.source));
        keys.map(|parameter| parameter.key).collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    for (title, sources) in [
        ("data", &[ParameterSource::Data, ParameterSource::AtZero][..]),
        ("measured servers, by simulating them", &[ParameterSource::Matched]),
        ("physics (datasheet estimate, not identified by the steps)", &[ParameterSource::Physics]),
        ("given", &[ParameterSource::Given]),
        ("not measured and zero", &[ParameterSource::Nothing]),
    ] {
        let keys = of(sources);
        if !keys.is_empty() {
            parts.push(format!("{title}: {keys}"));
        }
    }
    parts.push(format!("front end: {}", facts.front_end_source));
    parts.join("; ")
}

/// The profile as a file of its own, each fitted coefficient with its standard error behind it.
///
/// # Errors
/// If the profile cannot be written as TOML: a count beyond TOML's integers.
pub fn profile_toml(facts: &ProfileFacts, fit: &Fit) -> Result<String, toml::ser::Error> {
    #[derive(Serialize)]
    struct File {
        profile: Vec<Profile>,
    }
    let text = toml::to_string(&File { profile: vec![profile(facts, fit)] })?;
    let of_rows = fit
        .matched
        .as_ref()
        .map_or("", |_| "; of what measured servers gave, from the curvature at the minimum");
    let mut out = format!("# Made by `kendall calibrate`. Standard errors by block bootstrap{of_rows}.\n\n");
    for line in text.lines() {
        out.push_str(line);
        let key = line.split(" = ").next().unwrap_or_default();
        if let Some(parameter) = fit.parameters.iter().find(|parameter| parameter.key == key) {
            out.push_str("  # ");
            out.push_str(&remark(parameter.source, parameter.std_error_ps));
        }
        out.push('\n');
    }
    Ok(out)
}

/// A profile before its fit: nothing said of where it comes from.
pub fn unfitted_profile(facts: &ProfileFacts, front_end: &FrontEndTimes) -> Profile {
    Profile {
        name: facts.name.clone(),
        gpu: facts.gpu.clone(),
        model: facts.model.clone(),
        engine_version: facts.engine_version.clone(),
        tensor_parallel_size: facts.tensor_parallel_size,
        front_end_overhead_ms: front_end.receipt_ms,
        tokenising_us_per_token: front_end.tokenising_us_per_token,
        streaming_us_per_token: front_end.streaming_us_per_token,
        coefficients: None,
        corrections: None,
        origin: Origin::Calibrated {
            fitted_on: String::new(),
            residuals: String::new(),
            coefficient_sources: String::new(),
            range: ProfileRange {
                min_decode_seqs: 1,
                max_decode_seqs: 1,
                min_context_tokens: 1,
                max_context_tokens: 1,
                max_prefill_tokens: 1,
            },
        },
        covariance: None,
    }
}

/// The profile of parameters that were found by matching `what` (requests, rows): that and `residuals` in words.
pub fn matched_profile(
    what: &str,
    facts: &ProfileFacts,
    corrections: Corrections,
    front_end: &FrontEndTimes,
    matched: &Match,
    residuals: String,
    range: ProfileRange,
) -> Profile {
    let fitted: Vec<String> = matched.parameters.iter().map(|parameter| parameter.name.clone()).collect();
    let known = matched.covariance.iter().flatten().all(|value| value.is_finite());
    Profile {
        corrections: Some(corrections),
        origin: Origin::Calibrated {
            fitted_on: facts.fitted_on.clone(),
            residuals,
            coefficient_sources: format!(
                "{what}, by replaying them: {}, each a factor on the roofline that begins at 1 (the front end: at its default) \
                 and stays near it where the {what} do not tell it; default: streaming_us_per_token, which no \
                 client can tell from a longer way to the engine",
                fitted.join(", ")
            ),
            range,
        },
        covariance: known.then(|| Covariance { parameters: fitted, matrix: matched.covariance.clone() }),
        ..unfitted_profile(facts, front_end)
    }
}

/// A profile as a file of its own.
///
/// # Errors
/// If the profile cannot be written as TOML: a count beyond TOML's integers.
pub fn plain_profile_toml(profile: &Profile) -> Result<String, toml::ser::Error> {
    #[derive(Serialize)]
    struct File<'a> {
        profile: [&'a Profile; 1],
    }
    let text = toml::to_string(&File { profile: [profile] })?;
    Ok(format!("# Made by `kendall calibrate`.\n\n{text}"))
}

/// What is known of a coefficient, in a few words.
pub fn remark(source: ParameterSource, std_error_ps: Option<f64>) -> String {
    match (source, std_error_ps) {
        (ParameterSource::Data, Some(error)) => format!("fitted, standard error {error:.0}"),
        (ParameterSource::Data, None) => "fitted".to_owned(),
        (ParameterSource::AtZero, _) => "fitted: no positive value lowers the error".to_owned(),
        (ParameterSource::Matched, Some(error)) => format!("fitted to the rows, standard error {error:.0}"),
        (ParameterSource::Matched, None) => "fitted to the rows".to_owned(),
        (ParameterSource::Physics, _) => "datasheet estimate: the steps do not identify it".to_owned(),
        (ParameterSource::Given, _) => "given".to_owned(),
        (ParameterSource::Nothing, _) => "no step has any".to_owned(),
    }
}
