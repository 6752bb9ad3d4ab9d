//! `InferenceX` aggregate (`agg_*.json`): seconds under flat keys, throughput per GPU.
//!
//! Traps: `*_intvty` are tokens per second and user; the file has no number of requests; throughput is multiplied by
//! the GPUs of one instance, tensor times pipeline parallel.

use serde_json::Value;

use super::Format;
use super::statistics::{from_flat_keys, has_all};
use crate::error::ReadError;
use crate::measured::Measured;
use crate::node::{Node, optional_count, optional_duration};
use crate::summary::MeasuredSummary;

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["tput_per_gpu", "output_tput_per_gpu", "conc"])
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::Inferencex);
    let text = |name: &str| root.get(name).map(|text| text.text().map(str::to_owned)).transpose();
    run.version = text("image")?;
    run.label = text("hw")?;
    run.setting.model = text("model")?;
    run.setting.max_concurrency = optional_count(root, "conc")?;
    let gpus =
        optional_count(root, "tp")?.unwrap_or(1) as f64 * optional_count(root, "pp")?.unwrap_or(1) as f64;
    let throughput = optional_duration(root, "output_tput_per_gpu", 1.0)?;
    run.summary = MeasuredSummary {
        output_throughput_per_s: throughput.map(|per_gpu| per_gpu * gpus),
        ttft_s: from_flat_keys(root, "ttft", 1.0)?,
        tpot_s: from_flat_keys(root, "tpot", 1.0)?,
        itl_s: from_flat_keys(root, "itl", 1.0)?,
        e2e_s: from_flat_keys(root, "e2el", 1.0)?,
        ..MeasuredSummary::default()
    };
    Ok(run)
}
