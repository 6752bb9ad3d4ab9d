//! `AIBrix` `output.jsonl`: one request a line, in the order in which they ended.
//!
//! Traps: `tpot` is (end - first) / n, not over n - 1: it is computed anew; `ttft` may be the empty role chunk's.

use serde_json::Value;

use super::Format;
use super::statistics::has_all;
use crate::error::{ReadError, quoted};
use crate::measured::{CaveatKind, Measured, MeasuredRequest};
use crate::node::{Node, optional_count, optional_duration};

pub(crate) fn recognises(value: &Value) -> bool {
    has_all(value, &["request_id", "status", "start_time", "latency"])
}

pub(crate) fn read(file: &str, rows: &[Node<'_>]) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::Aibrix);
    for row in rows {
        run.requests.push(read_row(row)?);
    }
    run.warn(CaveatKind::OtherDefinition, "AIBrix divides TPOT by n, not n - 1: it is computed anew");
    Ok(run)
}

fn read_row(row: &Node<'_>) -> Result<MeasuredRequest, ReadError> {
    let mut request = MeasuredRequest {
        send_s: Some(row.field("start_time", "seconds")?.number()?),
        prompt_tokens: optional_count(row, "prompt_tokens")?,
        ..MeasuredRequest::default()
    };
    if row.field("status", "success or error")?.text()? != "success" {
        let kind = row.get("error_type").and_then(|kind| kind.value().as_str().map(quoted));
        request.error = Some(kind.unwrap_or_else(|| "error".to_owned()));
        return Ok(request);
    }
    request.ttft_s = optional_duration(row, "ttft", 1.0)?;
    request.e2e_s = Some(row.field("latency", "seconds")?.duration(1.0)?);
    request.last_token_s = request.e2e_s;
    request.output_tokens = optional_count(row, "output_tokens")?;
    Ok(request)
}
