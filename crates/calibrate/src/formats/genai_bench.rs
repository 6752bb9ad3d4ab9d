//! genai-bench, one file a scenario and concurrency.
//!
//! Traps: `_time_unit` ("s" or "ms") governs the latencies, never `run_duration`, which is in seconds; no send times
//! and no gaps; failed rows hold nulls and an `error_code`.

use serde_json::Value;

use super::Format;
use super::statistics::{MS, from_object, has_all};
use crate::error::{ReadError, quoted};
use crate::measured::{Measured, MeasuredRequest};
use crate::node::{Node, optional_count, optional_duration};
use crate::summary::{MeasuredSummary, Statistic};

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["aggregated_metrics", "individual_request_metrics"])
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::GenaiBench);
    let unit_s = match root.get("_time_unit") {
        None => 1.0,
        Some(unit) => match unit.text()? {
            "s" => 1.0,
            "ms" => MS,
            _ => return Err(unit.wrong("\"s\" or \"ms\"")),
        },
    };
    let totals = root.field("aggregated_metrics", "an object")?;
    run.label = totals.get("scenario").map(|scenario| scenario.text().map(str::to_owned)).transpose()?;
    run.setting.max_concurrency = optional_count(&totals, "num_concurrency")?;
    let statistic = |name: &str| -> Result<Option<Statistic>, ReadError> {
        totals.at(&["stats", name]).map_or(Ok(None), |node| from_object(&node, unit_s))
    };
    let sum = |name: &str| totals.at(&["stats", name, "sum"]).map(|n| n.count()).transpose();
    run.summary = MeasuredSummary {
        completed: optional_count(&totals, "num_completed_requests")?,
        failed: optional_count(&totals, "num_error_requests")?,
        duration_s: optional_duration(&totals, "run_duration", 1.0)?,
        prompt_tokens: sum("num_input_tokens")?,
        output_tokens: sum("num_output_tokens")?,
        request_throughput_per_s: optional_duration(&totals, "requests_per_second", 1.0)?,
        output_throughput_per_s: optional_duration(&totals, "mean_output_throughput_tokens_per_s", 1.0)?,
        ttft_s: statistic("ttft")?,
        tpot_s: statistic("tpot")?,
        e2e_s: statistic("e2e_latency")?,
        ..MeasuredSummary::default()
    };
    for row in root.field("individual_request_metrics", "a list")?.list()? {
        run.requests.push(read_row(&row, unit_s)?);
    }
    Ok(run)
}

fn read_row(row: &Node<'_>, unit_s: f64) -> Result<MeasuredRequest, ReadError> {
    if let Some(code) = row.get("error_code") {
        let error = format!("error {}", quoted(&code.value().to_string()));
        return Ok(MeasuredRequest { error: Some(error), ..MeasuredRequest::default() });
    }
    let e2e_s = row.field("e2e_latency", "a length of time")?.duration(unit_s)?;
    Ok(MeasuredRequest {
        ttft_s: optional_duration(row, "ttft", unit_s)?,
        e2e_s: Some(e2e_s),
        last_token_s: Some(e2e_s),
        prompt_tokens: optional_count(row, "num_input_tokens")?,
        output_tokens: optional_count(row, "num_output_tokens")?,
        ..MeasuredRequest::default()
    })
}
