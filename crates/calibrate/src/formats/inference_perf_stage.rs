//! inference-perf `stage_N_lifecycle_metrics.json` and `summary_lifecycle_metrics.json`: aggregates in seconds.
//!
//! Traps: 0.2 writes TPOT and ITL of half their size (see `inference_perf`). It is told by its fields, `prompt_len`
//! instead of `prompt_tokens`, and those two metrics are left out. Percentiles are `p99`, the 50th is `median`.

use serde_json::Value;

use super::Format;
use super::statistics::{from_object, has_all};
use crate::error::ReadError;
use crate::measured::{CaveatKind, Measured};
use crate::node::{Node, optional_duration};
use crate::summary::{MeasuredSummary, Statistic, ratio};

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["load_summary", "successes"])
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::InferencePerfStage);
    let successes = root.field("successes", "an object")?;
    let latency = successes.field("latency", "an object of latencies")?;
    let statistic = |name: &str| -> Result<Option<Statistic>, ReadError> {
        latency.get(name).map_or(Ok(None), |node| from_object(&node, 1.0))
    };
    let doubled = successes.get("prompt_tokens").is_none();
    run.version = Some(if doubled { "0.2 to 0.4" } else { "0.5 or later" }.to_owned());
    let load = root.field("load_summary", "an object")?;
    run.setting.request_rate_per_s = optional_duration(&load, "requested_rate", 1.0)?;
    let completed = successes.field("count", "the number of requests answered")?.count()?;
    let throughput = |name: &str| successes.at(&["throughput", name]).map(|x| x.duration(1.0)).transpose();
    let request_throughput_per_s = throughput("requests_per_sec")?;
    let total = |name: &str| successes.at(&[name, "total"]).map(|n| n.count()).transpose();
    run.summary = MeasuredSummary {
        completed: Some(completed),
        failed: root.at(&["failures", "count"]).map(|n| n.count()).transpose()?,
        duration_s: ratio(Some(completed), request_throughput_per_s),
        prompt_tokens: total("prompt_tokens")?,
        output_tokens: total("output_tokens")?,
        request_throughput_per_s,
        output_throughput_per_s: throughput("output_tokens_per_sec")?,
        ttft_s: statistic("time_to_first_token")?,
        tpot_s: if doubled { None } else { statistic("time_per_output_token")? },
        itl_s: if doubled { None } else { statistic("inter_token_latency")? },
        e2e_s: statistic("request_latency")?,
        ..MeasuredSummary::default()
    };
    if doubled {
        run.warn(
            CaveatKind::DoubledTokens,
            "this version counts messages instead of tokens: its TPOT and ITL are left out; read the per-request file",
        );
    }
    if let Some(failed @ 1..) = run.summary.failed {
        run.warn(CaveatKind::Failures, format!("{failed} requests failed and are not in the latencies"));
    }
    Ok(run)
}
