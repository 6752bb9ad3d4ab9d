//! guidellm `benchmarks.json`, file versions 1 (0.6 and before) and 2 (0.8): one run a strategy and rate.
//!
//! Traps: `request_latency` is in seconds among milliseconds; `time_per_output_token_ms` is (last - send) / n and so
//! contains the TTFT: vLLM's TPOT is what guidellm calls `inter_token_latency_ms`, one mean a request; there are no
//! times of single tokens; `targeted_start` may be on another clock than `request_start`; errored requests have their
//! own list.

use serde_json::Value;

use super::Format;
use super::statistics::{MS, from_object, has_all};
use crate::error::{ReadError, quoted};
use crate::measured::{CaveatKind, Measured, MeasuredRequest};
use crate::node::{Node, optional_count, optional_duration};
use crate::summary::{MeasuredSummary, Statistic, ratio};

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["benchmarks", "metadata"]) && value["benchmarks"].is_array()
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Vec<Measured>, ReadError> {
    let benchmarks = root.field("benchmarks", "a list of benchmarks")?.list()?;
    if benchmarks.is_empty() {
        return Err(root.wrong("at least one benchmark"));
    }
    benchmarks.iter().map(|benchmark| read_benchmark(file, root, benchmark)).collect()
}

fn read_benchmark(file: &str, root: &Node<'_>, benchmark: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::Guidellm);
    run.version = text_at(root, &["metadata", "guidellm_version"])?;
    run.setting.model = text_at(benchmark, &["config", "backend", "model"])?;
    let strategy = benchmark.at(&["config", "strategy"]);
    if let Some(strategy) = &strategy {
        let kind = text_at(strategy, &["type_"])?.unwrap_or_default();
        run.setting.request_rate_per_s = strategy.get("rate").map(|rate| rate.number()).transpose()?;
        // Open loops state a bound of their worker pool, which is no setting of the load.
        if matches!(kind.as_str(), "concurrent" | "synchronous") {
            run.setting.max_concurrency =
                optional_count(strategy, "streams")?.or(optional_count(strategy, "max_concurrency")?);
        }
        run.label = Some(match run.setting.request_rate_per_s {
            Some(rate) => format!("{kind} at {rate} per second"),
            None => kind,
        });
    }
    run.summary = summary(benchmark)?;
    let requests = benchmark.field("requests", "an object of successful and errored requests")?;
    for (group, failed) in [("successful", false), ("errored", true), ("incomplete", true)] {
        for request in requests.get(group).map(|list| list.list()).transpose()?.unwrap_or_default() {
            run.requests.push(read_request(&request, failed.then_some(group))?);
        }
    }
    run.warn(
        CaveatKind::OtherDefinition,
        "guidellm's time_per_output_token includes the TTFT and is left out; its inter_token_latency is taken as TPOT",
    );
    Ok(run)
}

fn text_at(node: &Node<'_>, names: &[&str]) -> Result<Option<String>, ReadError> {
    node.at(names).map(|text| text.text().map(str::to_owned)).transpose()
}

fn summary(benchmark: &Node<'_>) -> Result<MeasuredSummary, ReadError> {
    let metrics = benchmark.field("metrics", "an object of metrics")?;
    let successful = |name: &str| metrics.at(&[name, "successful"]);
    let statistic = |name: &str, unit_s: f64| -> Result<Option<Statistic>, ReadError> {
        let Some(node) = successful(name) else { return Ok(None) };
        let mut statistic = from_object(&node, unit_s)?;
        if let (Some(statistic), Some(percentiles)) = (&mut statistic, node.get("percentiles")) {
            statistic.quantiles = percentiles_of(&percentiles, unit_s)?;
        }
        Ok(statistic)
    };
    let total = |name: &str| -> Result<Option<u64>, ReadError> {
        successful(name).and_then(|node| node.get("total_sum")).map(|sum| sum.count()).transpose()
    };
    let totals = metrics.get("request_totals");
    let count =
        |name: &str| totals.as_ref().and_then(|totals| totals.get(name)).map(|n| n.count()).transpose();
    let (completed, output_tokens) = (count("successful")?, total("output_token_count")?);
    let duration_s = optional_duration(benchmark, "duration", 1.0)?;
    // Its rates are means of instantaneous rates; requests and tokens over the duration are what others report.
    Ok(MeasuredSummary {
        completed,
        failed: count("errored")?,
        duration_s,
        prompt_tokens: total("prompt_token_count")?,
        output_tokens,
        request_throughput_per_s: ratio(completed, duration_s),
        output_throughput_per_s: ratio(output_tokens, duration_s),
        ttft_s: statistic("time_to_first_token_ms", MS)?,
        tpot_s: statistic("inter_token_latency_ms", MS)?,
        e2e_s: statistic("request_latency", 1.0)?,
        ..MeasuredSummary::default()
    })
}

/// guidellm writes `p001` for 0.1 %, `p999` for 99.9 %, and two digits for whole percentages.
fn percentiles_of(node: &Node<'_>, unit_s: f64) -> Result<Vec<crate::summary::Quantile>, ReadError> {
    let mut quantiles = Vec::new();
    for (name, percent) in [
        ("p001", 0.1),
        ("p01", 1.0),
        ("p05", 5.0),
        ("p10", 10.0),
        ("p25", 25.0),
        ("p50", 50.0),
        ("p75", 75.0),
        ("p90", 90.0),
        ("p95", 95.0),
        ("p99", 99.0),
        ("p999", 99.9),
    ] {
        if let Some(value) = node.get(name) {
            quantiles.push(crate::summary::Quantile { percent, value: value.duration(unit_s)? });
        }
    }
    Ok(quantiles)
}

fn read_request(node: &Node<'_>, failed: Option<&str>) -> Result<MeasuredRequest, ReadError> {
    let timing = |name: &str| node.at(&["info", "timings", name]).map(|time| time.number()).transpose();
    let send = match timing("request_start")? {
        Some(send) => Some(send),
        None => node.get("request_start_time").map(|time| time.number()).transpose()?,
    };
    let mut request = MeasuredRequest {
        send_s: send,
        prompt_tokens: optional_count(node, "prompt_tokens")?,
        output_tokens: optional_count(node, "output_tokens")?,
        ..MeasuredRequest::default()
    };
    if let Some(group) = failed {
        let error = node.at(&["info", "error"]).and_then(|error| error.value().as_str().map(quoted));
        request.error = Some(error.unwrap_or_else(|| group.to_owned()));
        return Ok(request);
    }
    request.e2e_s = optional_duration(node, "request_latency", 1.0)?;
    request.ttft_s = optional_duration(node, "time_to_first_token_ms", MS)?;
    request.last_token_s =
        send.zip(timing("last_token_iteration")?).map(|(send, last)| (last - send).max(0.0));
    Ok(request)
}
