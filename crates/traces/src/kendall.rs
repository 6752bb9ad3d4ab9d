//! kendall's own trace: CSV with columns by name in any order. The format is specified in the crate's documentation.

use csv::StringRecord;
use kendall_des::SimDuration;
use kendall_serving::{PromptContent, TokenSegment, TokenStream};

use crate::TraceFormat;
use crate::error::{TraceErrorKind, shown};
use crate::record::{FieldNames, Row};
use crate::row::{Columns, RowSplitter, Unknown};
use crate::value::{PS_PLACES_PER_SEC, parse_count, parse_time_ps};

pub(crate) const FIELDS: FieldNames =
    FieldNames { clock: "arrival_s", prompt: "prompt_tokens", output: "output_tokens" };

const COLUMNS: [&str; 8] = [
    FIELDS.clock,
    FIELDS.prompt,
    FIELDS.output,
    "priority",
    "abort_s",
    "prefix_group",
    "prefix_tokens",
    "prompt_id",
];
const NUM_REQUIRED: usize = 3;

// Places in `COLUMNS`.
const ARRIVAL: usize = 0;
const PROMPT: usize = 1;
const OUTPUT: usize = 2;
const PRIORITY: usize = 3;
const ABORT: usize = 4;
const PREFIX_GROUP: usize = 5;
const PREFIX_TOKENS: usize = 6;
const PROMPT_ID: usize = 7;

const EXPECTED_PRIORITY: &str = "a whole number from -2147483648 to 2147483647, or nothing for 0";

/// Parses rows of a `kendall` trace.
#[derive(Debug)]
pub(crate) struct KendallRows {
    columns: Columns<8>,
    splitter: RowSplitter,
}

impl KendallRows {
    pub(crate) fn new(header: &str) -> Result<Self, TraceErrorKind> {
        let mut splitter = RowSplitter::new();
        let fields = splitter.split(header)?;
        let columns = Columns::find(COLUMNS, NUM_REQUIRED, TraceFormat::Kendall, fields, Unknown::Refuse)?;
        Ok(Self { columns, splitter })
    }

    /// `request` is the number of the row among the rows of the trace, from 0.
    pub(crate) fn parse(&mut self, line: &str) -> Result<Row<'_>, TraceErrorKind> {
        let record = self.splitter.split(line)?;
        self.columns.check(record)?;
        let get = |column| self.columns.get(record, column);
        let arrival_ps = parse_time_ps(FIELDS.clock, get(ARRIVAL), PS_PLACES_PER_SEC)?;
        let num_prompt_tokens = parse_count(FIELDS.prompt, get(PROMPT))?;
        Ok(Row {
            clock_ps: i128::from(arrival_ps),
            clock_text: get(ARRIVAL),
            num_prompt_tokens,
            num_output_tokens: parse_count(FIELDS.output, get(OUTPUT))?,
            prompt: prompt(&self.columns, record, num_prompt_tokens)?,
            priority: parse_priority(get(PRIORITY))?,
            abort: parse_abort(get(ABORT), arrival_ps, get(ARRIVAL))?,
        })
    }
}

fn parse_priority(text: &str) -> Result<i32, TraceErrorKind> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| TraceErrorKind::value(COLUMNS[PRIORITY], text, EXPECTED_PRIORITY))
}

fn parse_abort(text: &str, arrival_ps: u64, arrival: &str) -> Result<Option<SimDuration>, TraceErrorKind> {
    if text.is_empty() {
        return Ok(None);
    }
    let abort_ps = parse_time_ps(COLUMNS[ABORT], text, PS_PLACES_PER_SEC)?;
    if abort_ps < arrival_ps {
        return Err(TraceErrorKind::AbortBeforeArrival { abort: shown(text), arrival: shown(arrival) });
    }
    Ok(Some(SimDuration::from_ps(abort_ps)))
}

/// The group's prefix first, then the identified prompt's tokens or the request's own.
fn prompt(
    columns: &Columns<8>,
    record: &StringRecord,
    num_prompt_tokens: u32,
) -> Result<PromptContent, TraceErrorKind> {
    let (group, id) = (columns.get(record, PREFIX_GROUP), columns.get(record, PROMPT_ID));
    let prefix_len = prefix_len(columns, record, num_prompt_tokens)?;
    let rest_len = num_prompt_tokens - prefix_len;
    let rest = if id.is_empty() { TokenStream::Own } else { shared(PROMPT_ID, id) };
    if prefix_len == 0 && id.is_empty() {
        return Ok(PromptContent::Unique);
    }
    let mut segments = Vec::with_capacity(2);
    if prefix_len > 0 {
        segments.push(TokenSegment { stream: shared(PREFIX_GROUP, group), start: 0, len: prefix_len });
    }
    if rest_len > 0 {
        segments.push(TokenSegment { stream: rest, start: 0, len: rest_len });
    }
    Ok(PromptContent::Segments(segments.into()))
}

fn prefix_len(
    columns: &Columns<8>,
    record: &StringRecord,
    num_prompt_tokens: u32,
) -> Result<u32, TraceErrorKind> {
    let (group, tokens) = (columns.get(record, PREFIX_GROUP), columns.get(record, PREFIX_TOKENS));
    let half = |given, missing| TraceErrorKind::HalfPrefix {
        given: columns.name(given),
        missing: columns.name(missing),
    };
    if tokens.is_empty() {
        return if group.is_empty() { Ok(0) } else { Err(half(PREFIX_GROUP, PREFIX_TOKENS)) };
    }
    let prefix = parse_count(COLUMNS[PREFIX_TOKENS], tokens)?;
    if group.is_empty() && prefix > 0 {
        return Err(half(PREFIX_TOKENS, PREFIX_GROUP));
    }
    if prefix > num_prompt_tokens {
        return Err(TraceErrorKind::PrefixTooLong { prefix, prompt: num_prompt_tokens });
    }
    Ok(prefix)
}

/// A name as a stream: its 64-bit hash, so that no table of names grows with the trace. A million names collide with
/// a probability of 3e-8. The column takes part, so that a group and a prompt of one name are two streams.
fn shared(column: usize, name: &str) -> TokenStream {
    let bytes = [column as u8].into_iter().chain(name.bytes());
    TokenStream::Shared(fnv1a_64(bytes))
}

/// FNV-1a, 64 bits: Fowler, Noll, Vo; constants of draft-eastlake-fnv, section 5.
fn fnv1a_64(bytes: impl Iterator<Item = u8>) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of draft-eastlake-fnv.
    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a_64("".bytes()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a_64("a".bytes()), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a_64("foobar".bytes()), 0x8594_4171_f739_67e8);
    }
}
