//! inference-perf `per_request_lifecycle_metrics.json`: a list of requests, layouts 0.2 to 0.7.
//!
//! Traps: all times are monotonic seconds. Until 0.4 the time of each server-sent message counts as a token, `[DONE]`
//! and usage included; 0.2 has two entries a message (the data line and the blank line behind it), so that the tool's
//! own TPOT and ITL are half of the truth: every second entry is taken, and the first `output_tokens` of them. 0.5 and
//! 0.6 re-tokenise each chunk with a special token in front, again about two entries a token; which of them are real
//! cannot be told, so they are used for the first and last token alone. 0.7 gives a chunk's tokens one time: gaps are
//! taken between chunks.

use serde_json::Value;

use super::Format;
use super::statistics::has_all;
use crate::error::{ReadError, quoted};
use crate::measured::{CaveatKind, Measured, MeasuredRequest};
use crate::node::{Node, optional_count};

pub(crate) fn recognises(value: &Value) -> bool {
    value
        .as_array()
        .and_then(|rows| rows.first())
        .is_some_and(|row| has_all(row, &["start_time", "end_time", "info"]))
}

/// How often a row's token times had to be mended.
#[derive(Default)]
struct Mended {
    doubled: usize,
    extra: usize,
    client_counts: usize,
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::InferencePerf);
    let mut mended = Mended::default();
    let rows = root.list()?;
    let current = rows.iter().any(|row| row.at(&["info", "request_metrics"]).is_some());
    run.version = Some(if current { "0.5 or later" } else { "0.2 to 0.4" }.to_owned());
    for row in &rows {
        run.requests.push(read_row(row, &mut mended)?);
    }
    if let Some(model) = rows.first().and_then(model_of) {
        run.setting.model = Some(model);
    }
    let total = rows.len();
    if mended.doubled > 0 {
        let text = format!(
            "{} of {total} requests have two times a token (inference-perf 0.2): the tool's own TPOT and ITL are half \
             of the truth; every second time is left out",
            mended.doubled
        );
        run.warn(CaveatKind::DoubledTokens, text);
    }
    if mended.extra > 0 {
        let text =
            format!("{} of {total} requests have times beyond their tokens: they are left out", mended.extra);
        run.warn(CaveatKind::DoubledTokens, text);
    }
    if mended.client_counts > 0 {
        let text = format!("output tokens of {} requests are counted by the client", mended.client_counts);
        run.warn(CaveatKind::ClientTokenCounts, text);
    }
    Ok(run)
}

/// The request is JSON in a string.
fn model_of(row: &Node<'_>) -> Option<String> {
    let request: Value = serde_json::from_str(row.get("request")?.value().as_str()?).ok()?;
    Some(quoted(request.get("model")?.as_str()?))
}

fn read_row(row: &Node<'_>, mended: &mut Mended) -> Result<MeasuredRequest, ReadError> {
    let start = row.field("start_time", "a time in seconds")?.number()?;
    let end = row.field("end_time", "a time in seconds")?.number()?;
    if end < start {
        return Err(row.field("end_time", "a time")?.wrong("a time not before start_time"));
    }
    let info = row.field("info", "an object")?;
    let mut request = MeasuredRequest { send_s: Some(start), ..MeasuredRequest::default() };
    let response = info.get("response_metrics");
    let usage = response.as_ref().and_then(|response| response.get("server_usage"));
    request.prompt_tokens = match &usage {
        Some(usage) => optional_count(usage, "prompt_tokens")?,
        None => None,
    };
    request.prompt_tokens = request.prompt_tokens.or(optional_count(&info, "input_tokens")?);
    if let Some(error) = row.get("error") {
        let kind = error.get("error_type").and_then(|kind| kind.value().as_str().map(quoted));
        request.error = Some(kind.unwrap_or_else(|| "error".to_owned()));
        return Ok(request);
    }
    let holder = response.as_ref().unwrap_or(&info);
    let from_server = match &usage {
        Some(usage) => optional_count(usage, "completion_tokens")?,
        None => None,
    };
    mended.client_counts += usize::from(from_server.is_none());
    let tokens = from_server.or(optional_count(holder, "output_tokens")?);
    let times = holder.field("output_token_times", "a list of times")?.instants()?;
    let times = token_times(times, tokens, response.is_some(), mended);
    request.output_tokens = tokens;
    request.e2e_s = Some(end - start);
    let chunks = response.as_ref().and_then(|response| response.get("chunk_times"));
    let chunks = chunks.map(|chunks| chunks.instants()).transpose()?;
    if let (Some(first), Some(last)) = (times.first(), times.last()) {
        request.ttft_s = Some((first - start).max(0.0));
        request.last_token_s = Some((last - start).max(0.0));
        let whole = times.len() as u64 == tokens.unwrap_or_default();
        let instants = chunks.or(whole.then_some(times)).unwrap_or_default();
        request.gaps_s = instants.windows(2).map(|pair| (pair[1] - pair[0]).max(0.0)).collect();
    }
    Ok(request)
}

/// The times of the tokens among the times that the file gives.
fn token_times(mut times: Vec<f64>, tokens: Option<u64>, current: bool, mended: &mut Mended) -> Vec<f64> {
    let Some(tokens) = tokens.and_then(|tokens| usize::try_from(tokens).ok()) else { return times };
    if current || times.len() <= tokens {
        return times;
    }
    // Two entries a message, [DONE] included: 2 (n + 1), and more with a usage message.
    if times.len() >= 2 * tokens + 2 {
        mended.doubled += 1;
        times = times.into_iter().step_by(2).collect();
    } else {
        mended.extra += 1;
    }
    times.truncate(tokens);
    times
}
