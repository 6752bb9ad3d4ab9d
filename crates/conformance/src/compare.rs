//! Step by step: recorded against simulated.

use std::fmt::Write as _;

use serde::Serialize;

use crate::golden::{GoldenRequest, GoldenStep};

/// How one scenario compared.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Name of the recording, for instance `p10_priority_ties (0.33.0)`.
    pub scenario: String,
    /// vLLM version that made the recording.
    pub vllm_version: String,
    /// Whether every step and every request agree in every field.
    pub identical: bool,
    /// Steps recorded.
    pub steps: u64,
    /// Steps that agree in every field.
    pub steps_identical: u64,
    /// Requests recorded.
    pub requests: u64,
    /// Requests that agree in every field.
    pub requests_identical: u64,
    /// The first place where the two differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_difference: Option<Difference>,
}

/// The first place where recording and simulation differ.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// `step 12` or `request 3`.
    pub place: String,
    /// The fields that differ: name, recorded, simulated.
    pub fields: Vec<(String, String, String)>,
}

impl Difference {
    /// The difference side by side, a line a field.
    pub fn explain(&self) -> String {
        let mut text = format!("    first difference at {}\n", self.place);
        for (field, recorded, simulated) in &self.fields {
            let _ =
                writeln!(text, "      {field}\n        vLLM     {recorded}\n        kendall  {simulated}");
        }
        text
    }
}

/// What each field of a step means to a reader.
fn meaning(field: &str) -> &str {
    match field {
        "t0" => "scheduled at (ns)",
        "t1" => "started at (ns)",
        "t2" => "ended at (ns)",
        "s" => "rows [request, tokens, computed before, kind]",
        "b" => "blocks added [request, [block ids]]",
        "p" => "preempted",
        "f" => "finished",
        "a" => "aborted",
        "w" => "waiting after scheduling",
        "r" => "running after scheduling",
        "fb" => "free blocks after scheduling",
        "fe" => "free blocks after processing",
        "pt" => "prefill tokens",
        "ds" => "decode sequences",
        "ctx" => "context tokens",
        other => other,
    }
}

fn differing_fields<T: Serialize>(
    recorded: Option<&T>,
    simulated: Option<&T>,
) -> Vec<(String, String, String)> {
    let fields = |value: Option<&T>| match value.and_then(|value| serde_json::to_value(value).ok()) {
        Some(serde_json::Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    let (recorded, simulated) = (fields(recorded), fields(simulated));
    let names = if recorded.is_empty() { simulated.keys() } else { recorded.keys() };
    let text =
        |value: Option<&serde_json::Value>| value.map_or_else(|| "nothing".into(), ToString::to_string);
    names
        .filter(|&name| recorded.get(name) != simulated.get(name))
        .map(|name| (meaning(name).to_owned(), text(recorded.get(name)), text(simulated.get(name))))
        .collect()
}

/// Counts agreeing pairs and finds the first that differ.
fn compare_all<T: PartialEq + Serialize>(
    what: &str,
    recorded: &[T],
    simulated: &[T],
) -> (u64, Option<Difference>) {
    let identical = recorded.iter().zip(simulated).filter(|(a, b)| a == b).count() as u64;
    let first = (0..recorded.len().max(simulated.len())).find(|&i| recorded.get(i) != simulated.get(i));
    let difference = first.map(|i| Difference {
        place: format!("{what} {i}"),
        fields: differing_fields(recorded.get(i), simulated.get(i)),
    });
    (identical, difference)
}

/// Compares everything that was recorded.
pub(crate) fn compare(
    scenario: String,
    vllm_version: String,
    steps: (&[GoldenStep], &[GoldenStep]),
    requests: (&[GoldenRequest], &[GoldenRequest]),
) -> Outcome {
    let (steps_identical, step_difference) = compare_all("step", steps.0, steps.1);
    let (requests_identical, request_difference) = compare_all("request", requests.0, requests.1);
    let first_difference = step_difference.or(request_difference);
    Outcome {
        scenario,
        vllm_version,
        identical: first_difference.is_none(),
        steps: steps.0.len() as u64,
        steps_identical,
        requests: requests.0.len() as u64,
        requests_identical,
        first_difference,
    }
}
