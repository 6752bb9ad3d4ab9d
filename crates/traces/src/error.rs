//! What can be wrong with a trace. Each message names the file, the line, the field, the value and the remedy.

use std::fmt;
use std::io;

use kendall_des::SimDuration;
use thiserror::Error;

use crate::TraceFormat;
use crate::line::MAX_LINE_BYTES;

/// Longest piece of the user's text that a message repeats, in characters.
const MAX_SHOWN_CHARS: usize = 60;

/// Longest message of a library that is passed on, in characters: it may repeat the user's text.
const MAX_MESSAGE_CHARS: usize = 200;

/// What is wrong with a trace, and where. Prints as `file:line: what; remedy`.
#[derive(Debug)]
pub struct TraceError {
    file: String,
    line: Option<u64>,
    looks_truncated: bool,
    kind: Box<TraceErrorKind>,
}

/// What is wrong with a trace.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TraceErrorKind {
    /// The file could not be opened.
    #[error("cannot open: {0}")]
    Open(io::Error),
    /// Reading failed half-way.
    #[error("cannot read: {0}")]
    Read(io::Error),
    /// The content is of no format that kendall knows.
    #[error(
        "`{first_line}` begins no known trace; name its format: kendall, azure, burstgpt, mooncake, parquet, or sharegpt for lengths"
    )]
    UnknownFormat {
        /// The first line that is not blank, clipped.
        first_line: String,
    },
    /// A timed trace was asked of a format that records no arrivals.
    #[error(
        "a {0} file holds lengths but no arrival times; use it for token lengths beside an arrival process"
    )]
    LengthsOnly(TraceFormat),
    /// Lines were asked of a format that has none.
    #[error("a {0} file has no lines; open it by its path")]
    NotLines(TraceFormat),
    /// A Parquet file that cannot be read, or whose columns do not fit.
    #[error("{0}")]
    Parquet(String),
    /// A slice that cannot be repeated, because it takes no time.
    #[error("all requests of the slice arrive at once, so it has no length to repeat it by; give end_s")]
    NoPeriod,
    /// Lengths were asked of a document that does not hold them.
    #[error("{0}")]
    NotLengths(String),
    /// Nothing but a header, comments and blank lines.
    #[error("no requests; the trace is empty or holds only a header")]
    NoRequests,
    /// Nothing is left after `start_s`, `end_s` and `on_empty`.
    #[error("no requests are left by start_s, end_s and on_empty; widen the slice")]
    EmptySlice,
    /// A line holds bytes that are not UTF-8.
    #[error("byte {column} of the line is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// Position of the first such byte in its line, from 1.
        column: usize,
    },
    /// A line is longer than 16 MiB.
    #[error("the line is longer than {} MiB; a trace holds one request a line", MAX_LINE_BYTES >> 20)]
    LineTooLong,
    /// A document that has to be held whole is too large.
    #[error("the document is larger than {0} MiB; split it, or write the trace as kendall CSV")]
    DocumentTooLarge(u64),
    /// The header lacks a required column.
    #[error("the header lacks the column `{column}`; the {format} format needs {needed}")]
    MissingColumn {
        /// The column.
        column: &'static str,
        /// The format whose header it is.
        format: TraceFormat,
        /// All required columns.
        needed: String,
    },
    /// The header names a column that the format does not have.
    #[error("unknown column `{column}`; the nearest known column is `{nearest}`")]
    UnknownColumn {
        /// The column, clipped.
        column: String,
        /// The known column whose name is most like it.
        nearest: &'static str,
    },
    /// The header names a column twice.
    #[error("the header names the column `{0}` twice; remove one")]
    RepeatedColumn(&'static str),
    /// A row has more or fewer fields than the header.
    #[error(
        "{found} fields where the header has {expected}; give every column a field, empty where optional"
    )]
    FieldCount {
        /// Fields in the row.
        found: usize,
        /// Columns in the header.
        expected: usize,
    },
    /// A quoted field is not closed on its line.
    #[error("a quoted field is not closed; write each quote inside quotes twice, and no line breaks")]
    OpenQuote,
    /// A line is not the JSON object that it should be.
    #[error(
        "column {column}: {message}; each line is one object {{\"timestamp\": ms, \"input_length\": ..}}"
    )]
    Json {
        /// What the JSON parser says.
        message: String,
        /// Position in the line, in bytes from 1.
        column: usize,
        /// The line ended before the object did.
        cut: bool,
    },
    /// A value that its field cannot take.
    #[error("{field} is {value}; expected {expected}")]
    Value {
        /// Column or JSON key, with an index where it is an array.
        field: String,
        /// The value as written, clipped and in back quotes, or `empty`.
        value: String,
        /// What the field takes.
        expected: &'static str,
    },
    /// A request without a prompt or without output, which no engine can serve.
    #[error(
        "{field} is 0; a request needs at least one token, and `on_empty = \"skip\"` leaves such rows out"
    )]
    EmptyRequest {
        /// The length that is zero.
        field: &'static str,
    },
    /// Arrivals go back in time.
    #[error("{field} `{later}` comes before `{earlier}` of line {earlier_line}; sort the file by {field}")]
    Unsorted {
        /// The column or key of arrival times.
        field: &'static str,
        /// This line's time, as written.
        later: String,
        /// The time of the request before it, as written.
        earlier: String,
        /// Line of the request before it.
        earlier_line: u64,
    },
    /// A time beyond 64-bit picoseconds.
    #[error("{field} `{value}` is beyond the simulated horizon of 213 days; cut the trace or scale its time")]
    BeyondHorizon {
        /// The column or key.
        field: &'static str,
        /// The time as written, or as scaled.
        value: String,
    },
    /// `time_scale` moves a request beyond 64-bit picoseconds.
    #[error(
        "the request {since_start} into the slice is beyond the simulated horizon of 213 days once scaled by \
         {time_scale}; lower time_scale or end_s"
    )]
    ScaledBeyondHorizon {
        /// Its arrival since `start_s`.
        since_start: SimDuration,
        /// The factor.
        time_scale: f64,
    },
    /// The client gives up before it sends.
    #[error("abort_s `{abort}` is before arrival_s `{arrival}`; abort_s is absolute, not a patience")]
    AbortBeforeArrival {
        /// `abort_s` as written.
        abort: String,
        /// `arrival_s` as written.
        arrival: String,
    },
    /// The shared prefix is longer than the prompt.
    #[error("prefix_tokens is {prefix} but prompt_tokens is {prompt}; prompt_tokens includes the prefix")]
    PrefixTooLong {
        /// `prefix_tokens`.
        prefix: u32,
        /// `prompt_tokens`.
        prompt: u32,
    },
    /// One of `prefix_group` and `prefix_tokens` without the other.
    #[error("{given} is given but {missing} is empty; fill in both or neither")]
    HalfPrefix {
        /// The field that has a value.
        given: &'static str,
        /// The field that has none.
        missing: &'static str,
    },
    /// `hash_ids` of a Mooncake request do not cover its prompt.
    #[error(
        "{found} hash_ids where input_length {input_length} takes {expected}; one id covers {} tokens",
        crate::MOONCAKE_BLOCK_TOKENS
    )]
    HashIds {
        /// Ids in the line.
        found: usize,
        /// Ids that cover the prompt.
        expected: usize,
        /// Prompt length in tokens.
        input_length: u32,
    },
}

impl TraceError {
    /// About the file as a whole.
    pub(crate) fn of_file(file: &str, kind: TraceErrorKind) -> Self {
        Self { file: file.to_owned(), line: None, looks_truncated: false, kind: Box::new(kind) }
    }

    /// About one line.
    pub(crate) fn at_line(file: &str, line: u64, kind: TraceErrorKind) -> Self {
        Self { line: Some(line), ..Self::of_file(file, kind) }
    }

    /// Says so where `kind` is what a line that was cut in the middle looks like.
    pub(crate) fn at_last_line(file: &str, line: u64, kind: TraceErrorKind) -> Self {
        let looks_truncated = kind.fits_a_cut_line();
        Self { looks_truncated, ..Self::at_line(file, line, kind) }
    }

    /// Name of the trace, as given to the reader.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line of the fault, from 1; `None` where the fault is of the file as a whole.
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// Whether the file seems to have been cut: its last line has no line end and is malformed, or a document does
    /// not close.
    pub fn looks_truncated(&self) -> bool {
        self.looks_truncated
    }

    /// What is wrong.
    pub fn kind(&self) -> &TraceErrorKind {
        &self.kind
    }
}

impl TraceErrorKind {
    /// `value` is not what `field` takes.
    pub(crate) fn value(field: impl Into<String>, value: &str, expected: &'static str) -> Self {
        let value = if value.is_empty() { "empty".to_owned() } else { format!("`{}`", shown(value)) };
        Self::Value { field: field.into(), value, expected }
    }

    fn fits_a_cut_line(&self) -> bool {
        match self {
            Self::Json { cut, .. } => *cut,
            Self::FieldCount { found, expected } => found < expected,
            Self::NotUtf8 { .. }
            | Self::MissingColumn { .. }
            | Self::UnknownColumn { .. }
            | Self::OpenQuote
            | Self::Value { .. }
            | Self::NotLengths(_) => true,
            _ => false,
        }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.kind)?;
        if self.looks_truncated {
            f.write_str(" (the file ends too early and looks truncated; fetch it again)")?;
        }
        Ok(())
    }
}

impl std::error::Error for TraceError {}

/// The user's text, fit to stand in a message: clipped, control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    clipped(text, MAX_SHOWN_CHARS)
}

/// What the JSON parser says, without the position within the text that it was given.
pub(crate) fn json_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    clipped(message.strip_suffix(&position).unwrap_or(&message), MAX_MESSAGE_CHARS)
}

fn clipped(text: &str, max_chars: usize) -> String {
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == max_chars {
            out.push_str("...");
            break;
        }
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
