//! CSV of requests: kendall's own `requests.csv`, or any table with such columns, times in seconds.
//!
//! | column | | meaning |
//! |---|---|---|
//! | `send_s` or `arrival_s` | optional | when the client sent it |
//! | `prompt_tokens`, `output_tokens` | required | lengths |
//! | `ttft_s`, `e2e_s` (or `e2el_s`) | one of them | latencies from the send; empty where the request failed |
//! | `prompt_id` | optional | a number: requests with the same one have the same prompt |
//! | `tpot_s` | optional | mean time per output token after the first |
//! | `queued_s`, `first_s`, `last_s` | instead of latencies | instants on the server's clock |
//! | `error` or `status` | optional | empty, `0`, `ok`, `finished` or `success` for a request that was answered |

use super::Format;
use super::table::{Column, Row, Table};
use crate::error::ReadError;
use crate::measured::{CaveatKind, Measured, MeasuredRequest};

pub(crate) fn recognises(header: &[&str]) -> bool {
    let has = |name: &str| header.contains(&name);
    has("prompt_tokens")
        && has("output_tokens")
        && (has("ttft_s") || has("e2e_s") || has("e2el_s") || has("first_s"))
}

struct Columns {
    send: Option<Column>,
    prompt: Column,
    output: Column,
    ttft: Option<Column>,
    e2e: Option<Column>,
    tpot: Option<Column>,
    queued: Option<Column>,
    first: Option<Column>,
    last: Option<Column>,
    prompt_id: Option<Column>,
    error: Option<Column>,
}

pub(crate) fn read(table: &Table<'_>) -> Result<Measured, ReadError> {
    let columns = Columns {
        send: table.column(&["send_s", "arrival_s"]),
        prompt: table.required(&["prompt_tokens"], "the prompt's length in tokens")?,
        output: table.required(&["output_tokens"], "the output's length in tokens")?,
        ttft: table.column(&["ttft_s"]),
        e2e: table.column(&["e2e_s", "e2el_s"]),
        tpot: table.column(&["tpot_s"]),
        queued: table.column(&["queued_s"]),
        first: table.column(&["first_s"]),
        last: table.column(&["last_s"]),
        prompt_id: table.column(&["prompt_id"]),
        error: table.column(&["error", "status"]),
    };
    if table.len() == 0 {
        return Err(table.no_rows());
    }
    let mut run = Measured::new(table.file, Format::OwnCsv);
    for row in table.rows() {
        run.requests.push(read_row(&row, &columns)?);
    }
    if columns.ttft.is_none() && columns.first.is_some() {
        run.warn(
            CaveatKind::ServerClock,
            "latencies are from the server's instants: they contain no front end and no network",
        );
    }
    Ok(run)
}

fn read_row(row: &Row<'_>, columns: &Columns) -> Result<MeasuredRequest, ReadError> {
    let amount = |column: Option<Column>| column.map_or(Ok(None), |column| row.amount(column));
    let mut request = MeasuredRequest {
        send_s: amount(columns.send)?,
        prompt_tokens: Some(row.count(columns.prompt)?),
        // What is no number names no prompt that could be told from others.
        prompt_id: columns.prompt_id.and_then(|column| row.text(column).parse().ok()),
        error: columns.error.and_then(|column| error_of(row.text(column))),
        ..MeasuredRequest::default()
    };
    if !request.succeeded() {
        return Ok(request);
    }
    let output = row.count(columns.output)?;
    request.output_tokens = Some(output);
    request.ttft_s = amount(columns.ttft)?;
    request.e2e_s = amount(columns.e2e)?;
    if columns.ttft.is_none() {
        let start = amount(columns.queued)?.or(request.send_s).unwrap_or_default();
        let since = |instant: Option<f64>| instant.map(|at| (at - start).max(0.0));
        request.ttft_s = since(amount(columns.first)?);
        request.e2e_s = request.e2e_s.or(since(amount(columns.last)?));
    }
    request.last_token_s = request.e2e_s;
    if let (Some(ttft), Some(tpot)) = (request.ttft_s, amount(columns.tpot)?) {
        request.last_token_s = Some(ttft + tpot * output.saturating_sub(1) as f64);
    }
    Ok(request)
}

fn error_of(cell: &str) -> Option<String> {
    let fine = matches!(
        cell.to_ascii_lowercase().as_str(),
        "" | "0" | "ok" | "finished" | "success" | "false" | "none"
    );
    (!fine).then(|| crate::error::quoted(cell))
}
