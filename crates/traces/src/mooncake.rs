//! The Mooncake traces: one JSON object a line, with ids of the prompt's blocks.
//!
//! Source: <https://github.com/kvcache-ai/Mooncake>, `FAST25-release/traces`. An id stands for a block and everything
//! before it; the last block of a prompt may be partly filled and then has an id of its own.

use kendall_serving::{PromptContent, TokenSegment, TokenStream};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{TraceErrorKind, json_message};
use crate::record::{FieldNames, Row};
use crate::value::{PS_PLACES_PER_MILLI, parse_count, parse_time_ps};

/// Prompt tokens that one id of `hash_ids` stands for.
pub const MOONCAKE_BLOCK_TOKENS: u32 = 512;

pub(crate) const FIELDS: FieldNames =
    FieldNames { clock: "timestamp", prompt: "input_length", output: "output_length" };

const EXPECTED_IDS: &str = "an array of whole numbers from 0 to 18446744073709551615";
const EXPECTED_ID: &str = "a whole number from 0 to 18446744073709551615";

/// The keys that kendall reads, as written; others may come and go, as the format is not ours.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct RawLine<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    input_length: &'a RawValue,
    #[serde(borrow)]
    output_length: &'a RawValue,
    #[serde(borrow)]
    hash_ids: &'a RawValue,
}

/// Parses one line of a `mooncake` trace.
pub(crate) fn parse(line: &str) -> Result<Row<'_>, TraceErrorKind> {
    // Left to itself, serde would take an array of four for the object.
    if line.trim_start().starts_with('[') {
        return Err(TraceErrorKind::Json { message: "an array".to_owned(), column: 1, cut: false });
    }
    let raw: RawLine<'_> = serde_json::from_str(line).map_err(|error| json_error(&error))?;
    let clock_text = raw.timestamp.get();
    let num_prompt_tokens = parse_count(FIELDS.prompt, raw.input_length.get())?;
    Ok(Row {
        clock_ps: i128::from(parse_time_ps(FIELDS.clock, clock_text, PS_PLACES_PER_MILLI)?),
        clock_text,
        num_prompt_tokens,
        num_output_tokens: parse_count(FIELDS.output, raw.output_length.get())?,
        prompt: prompt(&hash_ids(raw.hash_ids.get())?, num_prompt_tokens)?,
        priority: 0,
        abort: None,
    })
}

fn json_error(error: &serde_json::Error) -> TraceErrorKind {
    TraceErrorKind::Json { message: json_message(error), column: error.column(), cut: error.is_eof() }
}

fn hash_ids(text: &str) -> Result<Vec<u64>, TraceErrorKind> {
    serde_json::from_str(text).map_err(|_| bad_hash_ids(text))
}

/// Names the id that is at fault, if it is one of them.
fn bad_hash_ids(text: &str) -> TraceErrorKind {
    let ids: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    for (index, id) in ids.into_iter().enumerate() {
        if serde_json::from_str::<u64>(id.get()).is_err() {
            return TraceErrorKind::value(format!("hash_ids[{index}]"), id.get(), EXPECTED_ID);
        }
    }
    TraceErrorKind::value("hash_ids", text, EXPECTED_IDS)
}

/// Whole blocks, the last one cut to what remains of the prompt.
fn prompt(hash_ids: &[u64], input_length: u32) -> Result<PromptContent, TraceErrorKind> {
    let expected = input_length.div_ceil(MOONCAKE_BLOCK_TOKENS) as usize;
    if hash_ids.len() != expected {
        return Err(TraceErrorKind::HashIds { found: hash_ids.len(), expected, input_length });
    }
    let mut remaining = input_length;
    let segment = |&id: &u64| {
        let len = remaining.min(MOONCAKE_BLOCK_TOKENS);
        remaining -= len;
        TokenSegment { stream: TokenStream::Shared(id), start: 0, len }
    };
    Ok(PromptContent::Segments(hash_ids.iter().map(segment).collect()))
}
