//! llmperf `*_individual_responses.json` and `*_summary.json`.
//!
//! Traps: `inter_token_latency_s` is E2E divided by the chunks, TTFT and role chunk included: left out. Token counts
//! are those of the Llama tokenizer, with one for its begin-of-sequence token. No send times, no gaps.

use serde_json::Value;

use super::Format;
use super::statistics::has_all;
use crate::error::{ReadError, quoted};
use crate::measured::{CaveatKind, Measured, MeasuredRequest};
use crate::node::{Node, optional_count, optional_duration};
use crate::summary::{MeasuredSummary, Quantile, Statistic, ratio};

pub(crate) fn recognises(value: &Value) -> bool {
    let row = value.as_array().and_then(|rows| rows.first());
    row.is_some_and(|row| has_all(row, &["ttft_s", "end_to_end_latency_s"]))
        || has_all(value, &["results_ttft_s_mean", "results_end_to_end_latency_s_mean"])
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::Llmperf);
    if root.value().is_array() {
        for row in root.list()? {
            run.requests.push(read_row(&row)?);
        }
    } else {
        run.version = root.get("version").map(|version| version.text().map(str::to_owned)).transpose()?;
        run.setting.model = root.get("model").map(|model| model.text().map(str::to_owned)).transpose()?;
        run.setting.max_concurrency = optional_count(root, "num_concurrent_requests")?;
        run.summary = summary(root)?;
    }
    run.warn(
        CaveatKind::OtherDefinition,
        "llmperf's inter_token_latency is E2E over chunks, TTFT included: it is left out",
    );
    run.warn(CaveatKind::ClientTokenCounts, "tokens are counted by llmperf with the Llama tokenizer");
    Ok(run)
}

fn read_row(row: &Node<'_>) -> Result<MeasuredRequest, ReadError> {
    let mut request = MeasuredRequest {
        prompt_tokens: optional_count(row, "number_input_tokens")?,
        ..MeasuredRequest::default()
    };
    if let Some(code) = row.get("error_code") {
        request.error = Some(format!("error {}", quoted(&code.value().to_string())));
        return Ok(request);
    }
    request.ttft_s = optional_duration(row, "ttft_s", 1.0)?;
    request.e2e_s = Some(row.field("end_to_end_latency_s", "seconds")?.duration(1.0)?);
    request.last_token_s = request.e2e_s;
    request.output_tokens = optional_count(row, "number_output_tokens")?;
    Ok(request)
}

fn summary(root: &Node<'_>) -> Result<MeasuredSummary, ReadError> {
    let completed = optional_count(root, "results_num_completed_requests")?;
    let per_minute = optional_duration(root, "results_num_completed_requests_per_min", 1.0)?;
    let rate = per_minute.map(|x| x / 60.0);
    let over_all = |name: &str| -> Result<Option<u64>, ReadError> {
        let mean = optional_duration(root, name, 1.0)?;
        Ok(mean.zip(completed).map(|(mean, n)| libm::round(mean * n as f64) as u64))
    };
    Ok(MeasuredSummary {
        completed,
        failed: optional_count(root, "results_number_errors")?,
        duration_s: ratio(completed, rate),
        prompt_tokens: over_all("results_number_input_tokens_mean")?,
        output_tokens: over_all("results_number_output_tokens_mean")?,
        request_throughput_per_s: rate,
        output_throughput_per_s: optional_duration(root, "results_mean_output_throughput_token_per_s", 1.0)?,
        ttft_s: statistic(root, "results_ttft_s")?,
        e2e_s: statistic(root, "results_end_to_end_latency_s")?,
        ..MeasuredSummary::default()
    })
}

fn statistic(root: &Node<'_>, prefix: &str) -> Result<Option<Statistic>, ReadError> {
    let number = |name: &str| optional_duration(root, &format!("{prefix}_{name}"), 1.0);
    let mut quantiles = Vec::new();
    for percent in [25.0, 50.0, 75.0, 90.0, 95.0, 99.0] {
        if let Some(value) = number(&format!("quantiles_p{percent:.0}"))? {
            quantiles.push(Quantile { percent, value });
        }
    }
    let statistic = Statistic {
        mean: number("mean")?,
        std: number("stddev")?,
        min: number("min")?,
        max: number("max")?,
        quantiles,
    };
    Ok((statistic != Statistic::default()).then_some(statistic))
}
