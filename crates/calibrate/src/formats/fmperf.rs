//! fmperf `results.json`, one row a token; a sweep's `results_all.json` is a list of such files.
//!
//! Traps: `timestamp` is nanoseconds since 1970, `duration_ms` milliseconds since the token before; for the first token
//! it is the TTFT, so that the send is the timestamp less the duration. Rows marked `exclude` came after the end of
//! the experiment: their requests are left out. The client reads lines in blocks, so tokens may come together.

use indexmap::IndexMap;
use serde_json::Value;

use super::Format;
use super::statistics::{MS, NS, has_all};
use crate::error::{ReadError, quoted};
use crate::measured::{CaveatKind, Measured, MeasuredRequest};
use crate::node::{Node, optional_count};

pub(crate) fn recognises(value: &Value) -> bool {
    let file = value.as_array().and_then(|files| files.first()).unwrap_or(value);
    file.get("results")
        .and_then(|rows| rows.get(0))
        .is_some_and(|row| has_all(row, &["duration_ms", "worker_idx"]))
}

pub(crate) fn read(file: &str, root: &Node<'_>) -> Result<Vec<Measured>, ReadError> {
    let files = if root.value().is_array() { root.list()? } else { vec![root.clone()] };
    let mut runs = Vec::new();
    for part in &files {
        runs.extend(read_part(file, part)?);
    }
    Ok(runs)
}

/// A request is (users, worker, number).
type Key = (u64, u64, u64);

/// One run for each number of users, in the order in which they come.
fn read_part(file: &str, part: &Node<'_>) -> Result<Vec<Measured>, ReadError> {
    let rows = part.field("results", "a list of tokens")?.list()?;
    let origin = rows.first().map(timestamp_ns).transpose()?.unwrap_or_default();
    let mut requests: IndexMap<Key, (MeasuredRequest, bool)> = IndexMap::new();
    for row in &rows {
        let index = |name: &str| row.field(name, "a number")?.count();
        let users = optional_count(row, "exp_num_users")?.unwrap_or_default();
        let key = (users, index("worker_idx")?, index("request_idx")?);
        let (request, excluded) = requests.entry(key).or_default();
        *excluded |= row.get("exclude").is_some_and(|flag| flag.value().as_bool() == Some(true));
        add_token(row, request, origin)?;
    }
    let mut runs: IndexMap<u64, (Measured, usize)> = IndexMap::new();
    for ((users, ..), (request, excluded)) in requests {
        let (run, left_out) = runs.entry(users).or_insert_with(|| (Measured::new(file, Format::Fmperf), 0));
        run.setting.max_concurrency = Some(users);
        run.label = Some(format!("{users} users"));
        if excluded { *left_out += 1 } else { run.requests.push(request) }
    }
    Ok(runs.into_values().map(|(run, left_out)| with_caveats(run, left_out)).collect())
}

fn with_caveats(mut run: Measured, left_out: usize) -> Measured {
    if left_out > 0 {
        run.warn(CaveatKind::WarmUp, format!("{left_out} requests marked `exclude` are left out"));
    }
    run
}

fn timestamp_ns(row: &Node<'_>) -> Result<i128, ReadError> {
    let node = row.field("timestamp", "nanoseconds since 1970")?;
    node.value().as_i64().map(i128::from).ok_or_else(|| node.wrong("nanoseconds since 1970"))
}

fn add_token(row: &Node<'_>, request: &mut MeasuredRequest, origin: i128) -> Result<(), ReadError> {
    if row.get("ok").is_some_and(|ok| ok.value().as_bool() == Some(false)) {
        let text = row.get("error").and_then(|error| error.value().as_str().map(quoted));
        request.error = Some(text.unwrap_or_else(|| "error".to_owned()));
        return Ok(());
    }
    let duration_s = row.field("duration_ms", "milliseconds")?.duration(MS)?;
    let tokens = row.field("n_tokens", "a number of tokens")?.count()?;
    request.output_tokens = Some(request.output_tokens.unwrap_or_default().saturating_add(tokens));
    if row.field("response_idx", "a number")?.count()? == 0 {
        request.send_s = Some((timestamp_ns(row)? - origin) as f64 * NS - duration_s);
        request.ttft_s = Some(duration_s);
        request.last_token_s = Some(duration_s);
    } else {
        request.gaps_s.push(duration_s);
        request.last_token_s = request.last_token_s.map(|last| last + duration_s);
    }
    request.e2e_s = request.last_token_s;
    Ok(())
}
