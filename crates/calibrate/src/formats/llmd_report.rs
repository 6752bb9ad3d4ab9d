//! llm-d-benchmark report (YAML or JSON), versions 0.1, 0.2 and 0.2.1: aggregates of one stage.
//!
//! Traps: every statistic names its `units`, and they differ with the tool behind the report ("s", "ms", "s/token",
//! "ms/token"): they are read, never assumed. What is called `time_per_output_token` has the definition of the tool
//! behind: guidellm's contains the TTFT and its `inter_token_latency` is taken instead; aiperf and genai-perf have no
//! TPOT, and their `inter_token_latency` is one mean a request.

use serde_json::Value;

use super::Format;
use super::statistics::{MS, NS, from_object, has_all};
use crate::error::ReadError;
use crate::measured::{CaveatKind, Measured};
use crate::node::{Node, optional_count, optional_duration};
use crate::number::is_amount;
use crate::summary::{Statistic, ratio};

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["version"])
        && (value.get("results").and_then(|results| results.get("request_performance")).is_some()
            || value.get("metrics").and_then(|metrics| metrics.get("latency")).is_some())
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Vec<Measured>, ReadError> {
    let mut run = Measured::new(file, Format::LlmdReport);
    run.version = root
        .get("version")
        .map(|version| version.value().as_str().map_or_else(|| version.value().to_string(), str::to_owned));
    let metrics = match root.at(&["results", "request_performance", "aggregate"]) {
        Some(aggregate) => aggregate,
        None => root.field("metrics", "an object of metrics, or results.request_performance.aggregate")?,
    };
    let tool = root
        .at(&["scenario", "load", "standardized", "tool"])
        .or_else(|| root.at(&["scenario", "load", "name"]));
    let tool = tool.map(|tool| tool.text()).transpose()?.unwrap_or("unknown");
    run.label = Some(format!("from {tool}"));
    let rate = root
        .at(&["scenario", "load", "standardized", "rate_qps"])
        .or_else(|| root.at(&["scenario", "load", "args", "request_rate"]));
    run.setting.request_rate_per_s = rate.and_then(|rate| rate.number().ok());
    run.setting.model = model(root)?;
    read_latencies(&mut run, &metrics, tool)?;
    read_counts(&mut run, root, &metrics)?;
    if tool.contains("guidellm") {
        // Its rates are means of instantaneous rates, several times the real ones.
        run.summary.request_throughput_per_s = ratio(run.summary.completed, run.summary.duration_s);
        run.summary.output_throughput_per_s = ratio(run.summary.output_tokens, run.summary.duration_s);
    }
    Ok(vec![run])
}

fn read_latencies(run: &mut Measured, metrics: &Node<'_>, tool: &str) -> Result<(), ReadError> {
    let latency = metrics.field("latency", "an object of latencies with units")?;
    let statistic = |name: &str| -> Result<Option<Statistic>, ReadError> {
        let Some(node) = latency.get(name) else { return Ok(None) };
        from_object(&node, unit_of(&node)?)
    };
    let summary = &mut run.summary;
    summary.ttft_s = statistic("time_to_first_token")?;
    summary.e2e_s = statistic("request_latency")?;
    let means_of_requests =
        tool.contains("guidellm") || tool.contains("aiperf") || tool.contains("genai-perf");
    if means_of_requests {
        summary.tpot_s = statistic("inter_token_latency")?;
        run.warn(
            CaveatKind::OtherDefinition,
            format!("inter_token_latency of {tool} is one mean a request: it is taken as TPOT"),
        );
    } else {
        summary.tpot_s = statistic("time_per_output_token")?;
        summary.itl_s = statistic("inter_token_latency")?;
    }
    Ok(())
}

/// The unit of a statistic in seconds (per token or not).
fn unit_of(node: &Node<'_>) -> Result<f64, ReadError> {
    let units = node.field("units", "s, ms, us or ns, per token or not")?;
    match units.text()?.trim_end_matches("/token") {
        "s" => Ok(1.0),
        "ms" => Ok(MS),
        "us" => Ok(1e-6),
        "ns" => Ok(NS),
        _ => Err(units.wrong("s, ms, us or ns, per token or not")),
    }
}

fn read_counts(run: &mut Measured, root: &Node<'_>, metrics: &Node<'_>) -> Result<(), ReadError> {
    let requests = metrics.field("requests", "an object")?;
    let total = requests.field("total", "a number of requests")?.count()?;
    let failed = optional_count(&requests, "failures")?;
    let completed = total.saturating_sub(failed.unwrap_or_default());
    let tokens = |name: &str| -> Result<Option<u64>, ReadError> {
        let mean = requests.at(&[name, "mean"]).map(|mean| mean.duration(1.0)).transpose()?;
        Ok(mean.map(|mean| libm::round(mean * completed as f64) as u64))
    };
    // A plain number in 0.1, a statistic with a mean later.
    let rate = |names: [&str; 2]| -> Result<Option<f64>, ReadError> {
        let node = names.iter().find_map(|name| metrics.at(&["throughput", name]));
        node.map(|node| node.get("mean").unwrap_or(node).duration(1.0)).transpose()
    };
    let summary = &mut run.summary;
    summary.completed = Some(completed);
    summary.failed = failed;
    summary.prompt_tokens = tokens("input_length")?;
    summary.output_tokens = tokens("output_length")?;
    summary.request_throughput_per_s = rate(["request_rate", "requests_per_sec"])?;
    summary.output_throughput_per_s = rate(["output_token_rate", "output_tokens_per_sec"])?;
    summary.duration_s = match metrics.get("time") {
        Some(time) => optional_duration(&time, "duration", 1.0)?,
        None => match root.at(&["run", "time", "duration"]) {
            Some(duration) => Some(iso_8601_s(&duration)?),
            None => None,
        },
    };
    Ok(())
}

/// `PT5.49S`, `PT1M5S`, `PT1H2M3S`.
fn iso_8601_s(node: &Node<'_>) -> Result<f64, ReadError> {
    const EXPECTED: &str = "an ISO 8601 duration such as PT11.062S";
    let mut rest = node.text()?.strip_prefix("PT").ok_or_else(|| node.wrong(EXPECTED))?;
    let mut seconds = 0.0;
    while let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        let amount: f64 = rest[..end].parse().map_err(|_| node.wrong(EXPECTED))?;
        let unit_s = match &rest[end..=end] {
            "H" => 3600.0,
            "M" => 60.0,
            "S" => 1.0,
            _ => return Err(node.wrong(EXPECTED)),
        };
        seconds += amount * unit_s;
        rest = &rest[end + 1..];
    }
    if rest.is_empty() && is_amount(seconds) { Ok(seconds) } else { Err(node.wrong(EXPECTED)) }
}

fn model(root: &Node<'_>) -> Result<Option<String>, ReadError> {
    if let Some(name) = root.at(&["scenario", "model", "name"]) {
        return name.text().map(|name| Some(name.to_owned()));
    }
    let Some(stack) = root.at(&["scenario", "stack"]) else { return Ok(None) };
    let name = stack.list()?.iter().find_map(|part| part.at(&["standardized", "model", "name"]));
    name.map(|name| name.text().map(str::to_owned)).transpose()
}
