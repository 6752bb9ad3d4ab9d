//! sglang's `bench_serving --output-file --output-details`: JSON Lines, one run a line.
//!
//! Traps: as `vllm bench serve`; the empty role chunk is skipped; there are no send times; without server `usage` (the
//! `vllm` backend) `output_lens` are what was asked for; E2E is `e2e_latency`.

use serde_json::Value;

use super::statistics::has_all;
use super::{Format, vllm_bench};
use crate::error::ReadError;
use crate::measured::Measured;
use crate::node::{Node, optional_count};

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["mean_e2e_latency_ms", "request_throughput"])
        || has_all(value, &["total_output_tokens_retokenized"])
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::Sglang);
    run.version = match root.at(&["server_info", "version"]) {
        Some(version) => Some(version.text()?.to_owned()),
        None => None,
    };
    run.setting.model = match root.at(&["server_info", "model_path"]) {
        Some(model) => Some(model.text()?.to_owned()),
        None => None,
    };
    run.setting.request_rate_per_s = vllm_bench::request_rate(root)?;
    run.setting.max_concurrency = optional_count(root, "max_concurrency")?;
    run.summary = vllm_bench::summary(root, "e2e_latency_ms")?;
    run.requests = vllm_bench::requests(root)?;
    Ok(run)
}
