//! `profile_export_aiperf.json` and `profile_export_genai_perf.json`: one object a metric, with its unit.
//!
//! Traps: `inter_token_latency` is one mean a request and is vLLM's TPOT; `inter_chunk_latency` (aiperf) is ITL. The
//! unit stands beside each metric and is read. `input_sequence_length` is counted by the client without the chat template,
//! `total_usage_prompt_tokens` by the server. aiperf's throughput is over the whole phase, its `benchmark_duration` is
//! shorter: from the first send to the last answer.

use serde_json::Value;

use super::Format;
use super::aiperf::unit_of;
use super::statistics::{from_object, has_all};
use crate::error::ReadError;
use crate::measured::{CaveatKind, Measured};
use crate::node::Node;
use crate::summary::{MeasuredSummary, Statistic, ratio};

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["request_throughput", "request_latency", "input_config"])
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::NvidiaSummary);
    if let Some(version) = root.get("aiperf_version") {
        "aiperf".clone_into(&mut run.tool);
        run.version = Some(version.text()?.to_owned());
    } else {
        "genai-perf".clone_into(&mut run.tool);
    }
    let time = |name: &str| -> Result<Option<Statistic>, ReadError> {
        let Some(metric) = root.get(name) else { return Ok(None) };
        from_object(&metric, unit_of(&metric)?)
    };
    let plain = |name: &str| root.at(&[name, "avg"]).map(|value| value.duration(1.0)).transpose();
    let count = |name: &str| root.at(&[name, "avg"]).map(|value| value.count()).transpose();
    run.setting.model = model(root)?;
    let completed = count("request_count")?;
    let request_throughput_per_s = plain("request_throughput")?;
    let over_all = |name: &str| -> Result<Option<u64>, ReadError> {
        let sum = root.at(&[name, "sum"]).map(|value| value.count()).transpose()?;
        let mean = plain(name)?.zip(completed).map(|(mean, n)| libm::round(mean * n as f64) as u64);
        Ok(sum.or(mean))
    };
    let of_server = |server: &str, client: &str| -> Result<Option<u64>, ReadError> {
        Ok(count(server)?.or(over_all(client)?))
    };
    let whole_phase_s = ratio(completed, request_throughput_per_s);
    run.summary = MeasuredSummary {
        completed,
        failed: count("error_request_count")?,
        duration_s: time("benchmark_duration")?.and_then(|duration| duration.mean).or(whole_phase_s),
        prompt_tokens: of_server("total_usage_prompt_tokens", "input_sequence_length")?,
        output_tokens: of_server("total_usage_completion_tokens", "output_sequence_length")?,
        request_throughput_per_s,
        output_throughput_per_s: plain("output_token_throughput")?,
        ttft_s: time("time_to_first_token")?,
        tpot_s: time("inter_token_latency")?,
        itl_s: time("inter_chunk_latency")?,
        e2e_s: time("request_latency")?,
        ..MeasuredSummary::default()
    };
    if let (Some(duration_s), Some(whole_phase_s)) = (run.summary.duration_s, whole_phase_s)
        && (whole_phase_s / duration_s - 1.0).abs() > OTHER_DURATION
    {
        run.warn(
            CaveatKind::OtherDefinition,
            format!(
                "{} counts its throughput over {whole_phase_s:.3} s, the whole phase, and not over the {duration_s:.3} s between \
                 the first send and the last answer",
                run.tool
            ),
        );
    }
    Ok(run)
}

/// Relative difference of two lengths of one run from which a caveat is given.
const OTHER_DURATION: f64 = 0.005;

/// aiperf and genai-perf keep it in different places.
fn model(root: &Node<'_>) -> Result<Option<String>, ReadError> {
    let items = root.at(&["input_config", "models", "items"]);
    let names = root.at(&["input_config", "model_names"]);
    let first = match (items, names) {
        (Some(items), _) => items.list()?.first().and_then(|item| item.get("name")),
        (None, Some(names)) => names.list()?.first().cloned(),
        (None, None) => None,
    };
    first.map(|name| name.text().map(str::to_owned)).transpose()
}
