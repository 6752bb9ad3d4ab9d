//! Hugging Face inference-benchmarker: aggregates in milliseconds, one run a rate.
//!
//! Traps: the run with id `warmup` is left out; `inter_token_latency_ms` is one mean a request, so it is taken as TPOT.

use serde_json::Value;

use super::Format;
use super::statistics::{MS, from_object, has_all};
use crate::error::ReadError;
use crate::measured::{CaveatKind, Measured};
use crate::node::{Node, optional_count, optional_duration};
use crate::summary::{MeasuredSummary, Statistic};

pub(crate) fn recognises(value: &Value) -> bool {
    value
        .get("results")
        .and_then(|runs| runs.get(0))
        .is_some_and(|run| has_all(run, &["executor_type", "id"]))
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Vec<Measured>, ReadError> {
    let mut runs = Vec::new();
    for result in root.field("results", "a list of runs")?.list()? {
        let id = result.field("id", "a name")?.text()?;
        if id != "warmup" {
            runs.push(read_run(file, root, &result, id)?);
        }
    }
    match runs.first_mut() {
        Some(first) => first.warn(CaveatKind::WarmUp, "the run `warmup` is left out"),
        None => return Err(root.field("results", "a list")?.wrong("a run besides `warmup`")),
    }
    Ok(runs)
}

fn read_run(file: &str, root: &Node<'_>, result: &Node<'_>, id: &str) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::InferenceBenchmarker);
    run.label = Some(id.to_owned());
    run.setting.model =
        root.at(&["config", "model_name"]).map(|name| name.text().map(str::to_owned)).transpose()?;
    run.setting.request_rate_per_s = result.at(&["config", "rate"]).map(|rate| rate.number()).transpose()?;
    if result.get("executor_type").is_some_and(|kind| kind.value().as_str() == Some("ConstantVUs")) {
        run.setting.max_concurrency = result.at(&["config", "max_vus"]).map(|n| n.count()).transpose()?;
    }
    let statistic = |name: &str| -> Result<Option<Statistic>, ReadError> {
        result.get(name).map_or(Ok(None), |node| from_object(&node, MS))
    };
    run.summary = MeasuredSummary {
        completed: Some(result.field("successful_requests", "a number of requests")?.count()?),
        failed: optional_count(result, "failed_requests")?,
        duration_s: optional_duration(result, "duration_ms", MS)?,
        prompt_tokens: optional_count(result, "total_tokens_sent")?,
        output_tokens: optional_count(result, "total_tokens")?,
        request_throughput_per_s: optional_duration(result, "request_rate", 1.0)?,
        output_throughput_per_s: optional_duration(result, "token_throughput_secs", 1.0)?,
        ttft_s: statistic("time_to_first_token_ms")?,
        tpot_s: statistic("inter_token_latency_ms")?,
        e2e_s: statistic("e2e_latency_ms")?,
        ..MeasuredSummary::default()
    };
    Ok(run)
}
