//! Tables of lengths: a length on each line, or a length and a weight.

use std::io::BufRead;

use crate::error::{TraceError, TraceErrorKind};
use crate::line::{BadLine, COMMENT, LineReader};
use crate::value::parse_count;

/// Most entries: a workload holds them all in memory.
const MAX_ENTRIES: usize = 1 << 20;

const EXPECTED_WEIGHT: &str = "a number, at least 0";

/// Reads pairs of length in tokens and weight. A line is `LENGTH` or `LENGTH,WEIGHT`; a first line that does not begin with a digit
/// is a header, and lines that begin with `#` are comments.
pub(crate) fn read_table(
    reader: impl BufRead + Send + 'static,
    name: &str,
) -> Result<Vec<(u32, f64)>, TraceError> {
    let mut lines = LineReader::new(Box::new(reader));
    let mut table = Vec::new();
    let mut is_first = true;
    loop {
        let line = lines.next_line(Some(COMMENT));
        let line = line.map_err(|BadLine { number, kind, .. }| TraceError::at_line(name, number, kind))?;
        let Some(line) = line else { break };
        let is_header = is_first && !line.text.trim_start().starts_with(|c: char| c.is_ascii_digit());
        is_first = false;
        if is_header {
            continue;
        }
        table.push(entry(line.text).map_err(|kind| TraceError::at_line(name, line.number, kind))?);
        if table.len() > MAX_ENTRIES {
            let message =
                format!("more than {MAX_ENTRIES} lengths; sum them up as pairs of length and weight");
            return Err(TraceError::at_line(name, line.number, TraceErrorKind::NotLengths(message)));
        }
    }
    if table.is_empty() {
        return Err(TraceError::of_file(name, TraceErrorKind::NoRequests));
    }
    Ok(table)
}

fn entry(line: &str) -> Result<(u32, f64), TraceErrorKind> {
    let (tokens, weight) = match line.split_once(',') {
        None => (line, None),
        Some((tokens, weight)) => (tokens, Some(weight.trim())),
    };
    let tokens = parse_count("the length", tokens.trim())?;
    let weight = weight.map_or(Ok(1.0), |text| {
        let weight = text.parse::<f64>().ok().filter(|weight| weight.is_finite() && *weight >= 0.0);
        weight.ok_or_else(|| TraceErrorKind::value("the weight", text, EXPECTED_WEIGHT))
    })?;
    Ok((tokens, weight))
}
