//! genai-perf (`perf_analyzer`) `profile_export.json`: every chunk's time and raw text, one run an experiment.
//!
//! Traps: the chunk times include the chat's empty role chunk and `[DONE]`; only chunks with text count. Several
//! server-sent messages may share one entry. Output tokens are counted in chunks here, because the file has no usage:
//! with chunks of several tokens the count is low. Times are nanoseconds since 1970 and exceed a double's digits, so
//! differences are taken as integers.

use serde_json::Value;

use super::Format;
use super::statistics::{NS, has_all};
use crate::error::ReadError;
use crate::measured::{CaveatKind, Measured, MeasuredRequest};
use crate::node::Node;

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["experiments"]) && value["experiments"].is_array()
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Vec<Measured>, ReadError> {
    let experiments = root.field("experiments", "a list")?.list()?;
    if experiments.is_empty() {
        return Err(root.wrong("at least one experiment"));
    }
    experiments.iter().map(|experiment| read_experiment(file, root, experiment)).collect()
}

fn read_experiment(file: &str, root: &Node<'_>, experiment: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::GenaiPerf);
    run.version = root.get("version").map(|version| version.text().map(str::to_owned)).transpose()?;
    if let (Some(mode), Some(value)) =
        (experiment.at(&["experiment", "mode"]), experiment.at(&["experiment", "value"]))
    {
        let (mode, value) = (mode.text()?, value.number()?);
        run.label = Some(format!("{mode} {value}"));
        if mode == "request_rate" {
            run.setting.request_rate_per_s = Some(value);
        } else {
            run.setting.max_concurrency = (value >= 1.0).then_some(value as u64);
        }
    }
    let rows = experiment.field("requests", "a list of requests")?.list()?;
    let origin = rows.first().map(|row| ns_of(&row.field("timestamp", "nanoseconds")?)).transpose()?;
    for row in &rows {
        run.requests.push(read_row(row, origin.unwrap_or_default())?);
    }
    run.warn(
        CaveatKind::ClientTokenCounts,
        "the file has no token counts: output tokens are chunks with text, prompt tokens are not known",
    );
    Ok(run)
}

fn ns_of(node: &Node<'_>) -> Result<i128, ReadError> {
    node.value().as_u64().map(i128::from).ok_or_else(|| node.wrong("nanoseconds since 1970"))
}

fn read_row(row: &Node<'_>, origin: i128) -> Result<MeasuredRequest, ReadError> {
    let send = ns_of(&row.field("timestamp", "nanoseconds")?)?;
    let stamps = row.field("response_timestamps", "a list of nanoseconds")?;
    let outputs = row.field("response_outputs", "a list of responses")?.list()?;
    let times = stamps.list()?;
    if times.len() != outputs.len() {
        return Err(stamps.wrong(&format!("a list of {}, as response_outputs has", outputs.len())));
    }
    let mut request =
        MeasuredRequest { send_s: Some((send - origin) as f64 * NS), ..MeasuredRequest::default() };
    let mut tokens = Vec::new();
    let mut end = None;
    for (time, output) in times.iter().zip(&outputs) {
        let at = (ns_of(time)? - send) as f64 * NS;
        if at < 0.0 {
            return Err(time.wrong("a time not before the request's timestamp"));
        }
        end = Some(at);
        let text = output.get("response").map(|text| text.text()).transpose()?.unwrap_or_default();
        if has_content(text) {
            tokens.push(at);
        }
    }
    let (Some(&first), Some(&last)) = (tokens.first(), tokens.last()) else {
        request.error = Some("no output".to_owned());
        return Ok(request);
    };
    request.ttft_s = Some(first);
    request.last_token_s = Some(last);
    request.e2e_s = end;
    request.output_tokens = Some(tokens.len() as u64);
    request.gaps_s = tokens.windows(2).map(|pair| (pair[1] - pair[0]).max(0.0)).collect();
    Ok(request)
}

/// Whether any server-sent message of the entry carries text.
fn has_content(entry: &str) -> bool {
    entry.lines().filter_map(|line| line.strip_prefix("data: ")).any(|data| {
        serde_json::from_str::<Value>(data).is_ok_and(|message| {
            message["choices"].as_array().into_iter().flatten().any(|choice| {
                [&choice["delta"]["content"], &choice["delta"]["reasoning_content"], &choice["text"]]
                    .iter()
                    .any(|text| text.as_str().is_some_and(|text| !text.is_empty()))
            })
        })
    })
}
