//! aiperf `profile_export.jsonl`: one request a line.
//!
//! Traps: warm-up requests are in the same file; `inter_token_latency` is one mean a request and is vLLM's TPOT;
//! `inter_chunk_latency` are the gaps, zero where chunks came in one read; `output_sequence_length` is counted by the
//! client, `usage_completion_tokens` by the server; failed rows have no latencies.

use serde_json::Value;

use super::Format;
use super::statistics::{MS, NS, has_all};
use crate::error::{ReadError, quoted};
use crate::measured::{CaveatKind, Measured, MeasuredRequest};
use crate::node::Node;

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["metadata", "metrics"]) && value["metadata"].get("request_start_ns").is_some()
}

pub(crate) fn read(file: &str, rows: &[Node<'_>]) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::Aiperf);
    let (mut warm_up, mut client_counts) = (0, 0);
    // Nanoseconds since 1970 have more digits than a double: count from the first line's.
    let origin_ns = rows.first().map(|row| send_ns(row)).transpose()?.unwrap_or_default();
    for row in rows {
        let metadata = row.field("metadata", "an object")?;
        let phase = metadata.get("benchmark_phase").map(|phase| phase.text()).transpose()?;
        if phase == Some("warmup") {
            warm_up += 1;
            continue;
        }
        let mut request = MeasuredRequest {
            send_s: Some((send_ns(row)? - origin_ns) as f64 * NS),
            error: error_of(row, &metadata),
            ..MeasuredRequest::default()
        };
        if request.succeeded() {
            client_counts += usize::from(read_metrics(row, &mut request)?);
        }
        run.requests.push(request);
    }
    if warm_up > 0 {
        run.warn(CaveatKind::WarmUp, format!("{warm_up} requests of the warm-up are left out"));
    }
    if client_counts > 0 {
        let text = format!("output tokens of {client_counts} requests are counted by the client");
        run.warn(CaveatKind::ClientTokenCounts, text);
    }
    Ok(run)
}

fn send_ns(row: &Node<'_>) -> Result<i128, ReadError> {
    let node = row.field("metadata", "an object")?.field("request_start_ns", "nanoseconds since 1970")?;
    node.value().as_u64().map(i128::from).ok_or_else(|| node.wrong("nanoseconds since 1970"))
}

fn error_of(row: &Node<'_>, metadata: &Node<'_>) -> Option<String> {
    if let Some(error) = row.get("error") {
        let kind = error.get("type").and_then(|kind| kind.value().as_str().map(quoted));
        return Some(kind.unwrap_or_else(|| "error".to_owned()));
    }
    let cancelled = metadata.get("was_cancelled").is_some_and(|flag| flag.value().as_bool() == Some(true));
    cancelled.then(|| "cancelled".to_owned())
}

/// Fills latencies and lengths. Whether the output length is the client's.
fn read_metrics(row: &Node<'_>, request: &mut MeasuredRequest) -> Result<bool, ReadError> {
    let metrics = row.field("metrics", "an object of metrics")?;
    let value = |name: &str| metrics.at(&[name, "value"]);
    let latency = metrics.field("request_latency", "{\"value\", \"unit\": \"ms\"}")?;
    request.e2e_s = Some(latency.field("value", "milliseconds")?.duration(unit_of(&latency)?)?);
    request.last_token_s = request.e2e_s;
    if let Some(ttft) = metrics.get("time_to_first_token") {
        request.ttft_s = Some(ttft.field("value", "milliseconds")?.duration(unit_of(&ttft)?)?);
    }
    if let Some(gaps) = metrics.get("inter_chunk_latency") {
        request.gaps_s = gaps.field("value", "a list of milliseconds")?.durations(unit_of(&gaps)?)?;
    }
    let count = |names: [&str; 2]| -> Result<Option<u64>, ReadError> {
        names.iter().find_map(|name| value(name)).map(|n| n.count()).transpose()
    };
    request.prompt_tokens = count(["usage_prompt_tokens", "input_sequence_length"])?;
    request.output_tokens = count(["usage_completion_tokens", "output_sequence_length"])?;
    Ok(value("usage_completion_tokens").is_none())
}

/// The unit beside a value, in seconds.
pub(crate) fn unit_of(metric: &Node<'_>) -> Result<f64, ReadError> {
    let unit = metric.field("unit", "a unit of time")?;
    match unit.text()? {
        "ns" => Ok(NS),
        "us" => Ok(1e-6),
        "ms" => Ok(MS),
        "s" | "sec" => Ok(1.0),
        _ => Err(unit.wrong("ns, us, ms or sec")),
    }
}
