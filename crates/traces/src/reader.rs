//! The stream of a trace's requests, with the checks that every format shares.

use std::fmt;
use std::io::BufRead;
use std::iter::FusedIterator;

use kendall_des::SimDuration;

use crate::TraceFormat;
use crate::azure;
use crate::burstgpt;
use crate::error::{TraceError, TraceErrorKind, shown};
use crate::kendall::{self, KendallRows};
use crate::line::{BadLine, COMMENT, Line, LineReader};
use crate::mooncake;
use crate::published::{Clock, PublishedRows};
use crate::record::{FieldNames, Row, TraceRecord};
use kendall_serving::scenario::OnEmpty;

/// Reads a timed trace as a stream: memory is bounded by the longest line.
///
/// Arrivals never decrease and lengths are at least 1. The iterator ends after its first error.
pub struct TraceReader {
    file: String,
    format: TraceFormat,
    lines: LineReader,
    rows: Rows,
    on_empty: OnEmpty,
    /// Number of requests read so far, left out or not.
    num_rows: u64,
    num_skipped: u64,
    /// Where the trace's clock stands at arrival zero, in picoseconds.
    origin_ps: Option<i128>,
    previous: Previous,
    has_ended: bool,
}

/// The parser of each timed format.
enum Rows {
    Kendall(KendallRows),
    Mooncake,
    Published(PublishedRows),
}

/// The request before, to see that arrivals are sorted.
#[derive(Debug, Default)]
struct Previous {
    line: u64,
    clock_ps: Option<i128>,
    clock_text: String,
}

impl TraceReader {
    /// Reads the header, if the format has one. `name` stands for the file in messages.
    ///
    /// # Errors
    /// If the format records no arrivals, there is not one line, or the header does not fit the format.
    pub fn new(
        reader: impl BufRead + Send + 'static,
        name: &str,
        format: TraceFormat,
    ) -> Result<Self, TraceError> {
        let mut lines = LineReader::new(Box::new(reader));
        let mut published = |fields: FieldNames, clock: Clock| {
            with_header(&mut lines, name, format, |header| PublishedRows::new(header, format, fields, clock))
                .map(Rows::Published)
        };
        let rows = match format {
            TraceFormat::Kendall => Rows::Kendall(with_header(&mut lines, name, format, KendallRows::new)?),
            TraceFormat::Azure => published(azure::FIELDS, azure::clock_ps)?,
            TraceFormat::BurstGpt => published(burstgpt::FIELDS, burstgpt::clock_ps)?,
            TraceFormat::Mooncake => Rows::Mooncake,
            TraceFormat::ShareGpt => {
                return Err(TraceError::of_file(name, TraceErrorKind::LengthsOnly(format)));
            }
            TraceFormat::Parquet => {
                return Err(TraceError::of_file(name, TraceErrorKind::NotLines(format)));
            }
        };
        Ok(Self {
            file: name.to_owned(),
            format,
            lines,
            rows,
            on_empty: OnEmpty::default(),
            num_rows: 0,
            num_skipped: 0,
            origin_ps: (!matches!(format, TraceFormat::Azure | TraceFormat::BurstGpt)).then_some(0),
            previous: Previous::default(),
            has_ended: false,
        })
    }

    /// Sets what to do with requests of no tokens.
    #[must_use]
    pub fn on_empty(mut self, on_empty: OnEmpty) -> Self {
        self.on_empty = on_empty;
        self
    }

    /// The format that is being read.
    pub const fn format(&self) -> TraceFormat {
        self.format
    }

    /// Requests left out so far because they have no tokens, under [`OnEmpty::Skip`].
    pub const fn num_skipped(&self) -> u64 {
        self.num_skipped
    }

    /// Name of the trace in messages.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Line of the request read last; 0 before the first.
    pub(crate) const fn line(&self) -> u64 {
        self.previous.line
    }

    fn advance(&mut self) -> Result<Option<TraceRecord>, TraceError> {
        loop {
            let line = next_line(&mut self.lines, &self.file, self.format)?;
            let Some(line) = line else {
                return if self.num_rows > 0 {
                    Ok(None)
                } else {
                    Err(TraceError::of_file(&self.file, TraceErrorKind::NoRequests))
                };
            };
            let fields = self.rows.fields();
            let row = self.rows.parse(line.text);
            let row = row.map_err(|kind| fault(&self.file, line.number, line.has_end, kind))?;
            let at_line = |kind| TraceError::at_line(&self.file, line.number, kind);
            self.num_rows += 1;
            let arrival =
                self.previous.arrival(&row, fields, line.number, &mut self.origin_ps).map_err(at_line)?;
            match (empty_field(&row, fields), self.on_empty) {
                (None, _) => return Ok(Some(record(row, arrival))),
                (Some(field), OnEmpty::Error) => return Err(at_line(TraceErrorKind::EmptyRequest { field })),
                (Some(_), OnEmpty::Skip) => self.num_skipped += 1,
            }
        }
    }
}

impl Iterator for TraceReader {
    type Item = Result<TraceRecord, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.advance();
        self.has_ended = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl FusedIterator for TraceReader {}

impl fmt::Debug for TraceReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceReader")
            .field("file", &self.file)
            .field("format", &self.format)
            .field("num_rows", &self.num_rows)
            .finish_non_exhaustive()
    }
}

impl Rows {
    const fn fields(&self) -> FieldNames {
        match self {
            Self::Kendall(_) => kendall::FIELDS,
            Self::Mooncake => mooncake::FIELDS,
            Self::Published(rows) => rows.names(),
        }
    }

    fn parse<'a>(&'a mut self, line: &'a str) -> Result<Row<'a>, TraceErrorKind> {
        match self {
            Self::Kendall(rows) => rows.parse(line),
            Self::Mooncake => mooncake::parse(line),
            Self::Published(rows) => rows.parse(line),
        }
    }
}

impl Previous {
    /// The row's arrival since the origin, which the first row of a dated trace sets; remembers the row.
    fn arrival(
        &mut self,
        row: &Row<'_>,
        fields: FieldNames,
        line: u64,
        origin_ps: &mut Option<i128>,
    ) -> Result<SimDuration, TraceErrorKind> {
        if self.clock_ps.is_some_and(|previous| row.clock_ps < previous) {
            return Err(TraceErrorKind::Unsorted {
                field: fields.clock,
                later: shown(row.clock_text),
                earlier: shown(&self.clock_text),
                earlier_line: self.line,
            });
        }
        let since_origin = row.clock_ps - *origin_ps.get_or_insert(row.clock_ps);
        let arrival_ps = u64::try_from(since_origin).map_err(|_| TraceErrorKind::BeyondHorizon {
            field: fields.clock,
            value: shown(row.clock_text),
        })?;
        self.line = line;
        self.clock_ps = Some(row.clock_ps);
        self.clock_text.clear();
        self.clock_text.push_str(row.clock_text);
        Ok(SimDuration::from_ps(arrival_ps))
    }
}

fn empty_field(row: &Row<'_>, fields: FieldNames) -> Option<&'static str> {
    if row.num_prompt_tokens == 0 {
        Some(fields.prompt)
    } else if row.num_output_tokens == 0 {
        Some(fields.output)
    } else {
        None
    }
}

fn record(row: Row<'_>, arrival: SimDuration) -> TraceRecord {
    TraceRecord {
        arrival,
        num_prompt_tokens: row.num_prompt_tokens,
        num_output_tokens: row.num_output_tokens,
        prompt: row.prompt,
        priority: row.priority,
        abort: row.abort,
    }
}

/// Parses the first line with `parse`.
fn with_header<T>(
    lines: &mut LineReader,
    file: &str,
    format: TraceFormat,
    parse: impl FnOnce(&str) -> Result<T, TraceErrorKind>,
) -> Result<T, TraceError> {
    match next_line(lines, file, format)? {
        Some(line) => parse(line.text).map_err(|kind| fault(file, line.number, line.has_end, kind)),
        None => Err(TraceError::of_file(file, TraceErrorKind::NoRequests)),
    }
}

/// The next line that is no comment; only kendall's own format has comments.
fn next_line<'a>(
    lines: &'a mut LineReader,
    file: &str,
    format: TraceFormat,
) -> Result<Option<Line<'a>>, TraceError> {
    let comment = (format == TraceFormat::Kendall).then_some(COMMENT);
    lines.next_line(comment).map_err(|BadLine { number, has_end, kind }| fault(file, number, has_end, kind))
}

fn fault(file: &str, line: u64, has_end: bool, kind: TraceErrorKind) -> TraceError {
    if has_end { TraceError::at_line(file, line, kind) } else { TraceError::at_last_line(file, line, kind) }
}
