//! `vllm bench serve --save-result [--save-detailed]`: JSON with one run, or one a line with `--append-result`.
//!
//! Traps, from vLLM's `benchmarks/serve.py` and genuine files: lists are in seconds and aggregates in milliseconds;
//! `itls` are gaps between chunks, not tokens; with `openai-chat` the empty role chunk counts as the first, so that
//! `itls` has as many entries as tokens and begins with some microseconds; `start_times` are monotonic with an
//! arbitrary origin and absent from older versions; failed requests stay in the lists with zeros.

use serde_json::Value;

use super::Format;
use super::statistics::{MS, from_flat_keys, has_all};
use crate::error::ReadError;
use crate::measured::{COALESCED_GAP_S, CaveatKind, Measured, MeasuredRequest};
use crate::node::{Node, optional_count, optional_duration};
use crate::summary::MeasuredSummary;

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["request_throughput", "num_prompts", "completed"])
        || has_all(value, &["ttfts", "input_lens", "output_lens"])
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::VllmBench);
    run.setting.model = root.get("model_id").map(|model| model.text().map(str::to_owned)).transpose()?;
    run.setting.request_rate_per_s = request_rate(root)?;
    run.setting.max_concurrency = optional_count(root, "max_concurrency")?;
    run.summary = summary(root, "e2el_ms")?;
    run.requests = requests(root)?;
    let dropped = drop_role_gaps(&mut run.requests);
    if dropped > 0 {
        let text = format!("{dropped} requests have the chat's empty role chunk as a gap: it is left out");
        run.warn(CaveatKind::RoleChunk, text);
    }
    run.version = Some(layout(root).to_owned());
    Ok(run)
}

/// The file does not name vLLM's version; its layout tells something about it.
fn layout(root: &Node<'_>) -> &'static str {
    if root.get("itls").is_none() {
        "aggregates (without --save-detailed)"
    } else if root.get("start_times").is_none() {
        "detailed, legacy (without start times)"
    } else if root.get("steady_state").is_some() || root.value().get("steady_state").is_some() {
        "detailed (vllm-bench in Rust)"
    } else {
        "detailed"
    }
}

/// `request_rate` is a number or the text `inf`.
pub(crate) fn request_rate(root: &Node<'_>) -> Result<Option<f64>, ReadError> {
    match root.get("request_rate") {
        None => Ok(None),
        Some(rate) if rate.value().as_str().is_some_and(|text| text.trim().eq_ignore_ascii_case("inf")) => {
            Ok(None)
        }
        Some(rate) => rate.number().map(Some),
    }
}

/// The aggregates that vLLM and sglang share; `e2e` is the metric that they name differently.
pub(crate) fn summary(root: &Node<'_>, e2e: &str) -> Result<MeasuredSummary, ReadError> {
    Ok(MeasuredSummary {
        completed: optional_count(root, "completed")?,
        failed: optional_count(root, "failed")?,
        duration_s: optional_duration(root, "duration", 1.0)?,
        prompt_tokens: optional_count(root, "total_input_tokens")?,
        output_tokens: optional_count(root, "total_output_tokens")?,
        request_throughput_per_s: optional_duration(root, "request_throughput", 1.0)?,
        output_throughput_per_s: optional_duration(root, "output_throughput", 1.0)?,
        ttft_s: from_flat_keys(root, "ttft_ms", MS)?,
        tpot_s: from_flat_keys(root, "tpot_ms", MS)?,
        itl_s: from_flat_keys(root, "itl_ms", MS)?,
        e2e_s: from_flat_keys(root, e2e, MS)?,
        ..MeasuredSummary::default()
    })
}

/// The lists of `--save-detailed`, row by row; none without it.
pub(crate) fn requests(root: &Node<'_>) -> Result<Vec<MeasuredRequest>, ReadError> {
    let Some(ttfts) = root.get("ttfts") else { return Ok(Vec::new()) };
    let n = ttfts.list()?.len();
    let ttfts = ttfts.durations(1.0)?;
    let outputs = list_of(root, "output_lens", n)?;
    let prompts = list_of(root, "input_lens", n)?;
    let itls = list_of(root, "itls", n)?;
    let errors = if root.get("errors").is_some() { Some(list_of(root, "errors", n)?) } else { None };
    let instants = |name| -> Result<Option<Vec<f64>>, ReadError> {
        let Some(node) = root.get(name) else { return Ok(None) };
        let values = node.instants()?;
        if values.len() == n {
            Ok(Some(values))
        } else {
            Err(node.wrong(&format!("a list of {n}, as ttfts has")))
        }
    };
    let (sends, latencies) = (instants("start_times")?, instants("latencies")?);
    let mut requests = Vec::with_capacity(n);
    for i in 0..n {
        let output_tokens = outputs[i].count()?;
        let gaps_s = itls[i].durations(1.0)?;
        let mut request = MeasuredRequest {
            send_s: sends.as_ref().map(|sends| sends[i]),
            prompt_tokens: Some(prompts[i].count()?),
            error: error_of(errors.as_ref().map(|errors| &errors[i]), output_tokens)?,
            ..MeasuredRequest::default()
        };
        if request.succeeded() {
            let e2e_s =
                latencies.as_ref().map_or_else(|| ttfts[i] + gaps_s.iter().sum::<f64>(), |all| all[i]);
            request.ttft_s = Some(ttfts[i]);
            request.e2e_s = Some(e2e_s.max(0.0));
            request.last_token_s = request.e2e_s;
            request.output_tokens = Some(output_tokens);
            request.gaps_s = gaps_s;
        }
        requests.push(request);
    }
    Ok(requests)
}

fn list_of<'a>(root: &Node<'a>, name: &str, n: usize) -> Result<Vec<Node<'a>>, ReadError> {
    let expected = format!("a list of {n}, as ttfts has");
    let node = root.field(name, &expected)?;
    let list = node.list()?;
    if list.len() == n { Ok(list) } else { Err(node.wrong(&expected)) }
}

/// A text that is not empty, or no output at all.
fn error_of(error: Option<&Node<'_>>, output_tokens: u64) -> Result<Option<String>, ReadError> {
    let text = match error {
        Some(error) if !error.value().is_null() => error.text()?,
        _ => "",
    };
    Ok(match (text, output_tokens) {
        ("", 0) => Some("no output".to_owned()),
        ("", _) => None,
        (text, _) => Some(crate::error::quoted(text)),
    })
}

/// Leaves out the first gap where there are as many gaps as tokens and the first is too short for a step.
pub(crate) fn drop_role_gaps(requests: &mut [MeasuredRequest]) -> usize {
    let mut dropped = 0;
    for request in requests {
        let as_many = request.output_tokens == Some(request.gaps_s.len() as u64);
        if as_many && request.gaps_s.first().is_some_and(|&gap| gap < COALESCED_GAP_S) {
            request.gaps_s.remove(0);
            dropped += 1;
        }
    }
    dropped
}
