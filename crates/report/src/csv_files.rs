//! `requests.csv` and `steps.csv`: a row as soon as it is known. Times are exact, in seconds with twelve decimals.

use std::fmt::Write as _;
use std::io;

use csv::Writer;
use kendall_des::{SimDuration, SimTime};
use kendall_serving::{RequestRecord, RequestStatus, RowKind, StepRecord};

use crate::output_dir::{OutputError, OutputFile, WrittenFile};

/// One row a request, in the order in which requests left.
pub struct RequestsCsv {
    rows: Rows,
}

/// One row a step, in the order in which steps ended.
pub struct StepsCsv {
    rows: Rows,
}

const REQUEST_COLUMNS: [&str; 23] = [
    "request",
    "replica",
    "status",
    "priority",
    "arrival_s",
    "queued_s",
    "first_scheduled_s",
    "first_token_s",
    "last_token_s",
    "finish_s",
    "prompt_tokens",
    "output_tokens",
    "cached_tokens",
    "preemptions",
    "lost_tokens",
    "ttft_s",
    "tpot_s",
    "e2el_s",
    "ttft_front_end_s",
    "ttft_queue_s",
    "ttft_prefill_s",
    "ttft_interference_s",
    "ttft_preemption_s",
];

const STEP_COLUMNS: [&str; 17] = [
    "replica",
    "step",
    "scheduled_s",
    "start_s",
    "end_s",
    "prefill_tokens",
    "decode_seqs",
    "context_tokens",
    "waiting",
    "running",
    "free_blocks",
    "free_blocks_end",
    "scheduled",
    "admitted",
    "preempted",
    "finished",
    "aborted",
];

impl RequestsCsv {
    /// Begins the file with its header.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn new(file: OutputFile) -> Result<Self, OutputError> {
        Ok(Self { rows: Rows::new(file, &REQUEST_COLUMNS)? })
    }

    /// Adds a row. A failure to write is kept and returned by [`RequestsCsv::finish`].
    pub fn write(&mut self, record: &RequestRecord) {
        let rows = &mut self.rows;
        rows.field(record.index);
        rows.field(record.replica);
        rows.text(match record.status {
            RequestStatus::Finished => "finished",
            RequestStatus::Aborted => "aborted",
            RequestStatus::Rejected => "rejected",
            RequestStatus::Unfinished => "unfinished",
        });
        rows.field(record.priority);
        rows.time(Some(record.arrival));
        rows.time(record.queued);
        rows.time(record.first_scheduled);
        rows.time(record.first_token);
        rows.time(record.last_token);
        rows.time(Some(record.finish));
        rows.field(record.num_prompt_tokens);
        rows.field(record.num_output_tokens);
        rows.field(record.num_cached_tokens);
        rows.field(record.num_preemptions);
        rows.field(record.num_lost_tokens);
        rows.duration(record.ttft());
        rows.duration(record.tpot());
        rows.duration(record.e2e());
        let parts = record.first_token.map(|_| record.ttft_parts);
        rows.duration(parts.map(|parts| parts.front_end));
        rows.duration(parts.map(|parts| parts.queue));
        rows.duration(parts.map(|parts| parts.prefill));
        rows.duration(parts.map(|parts| parts.interference));
        rows.duration(parts.map(|parts| parts.preemption));
        rows.end();
    }

    /// Whether a row could not be written: there is no point in going on.
    pub fn has_failed(&self) -> bool {
        self.rows.failure.is_some()
    }

    /// Completes the file, still under its temporary name.
    ///
    /// # Errors
    /// If a row could not be written.
    pub fn finish(self) -> Result<WrittenFile, OutputError> {
        self.rows.finish()
    }
}

impl StepsCsv {
    /// Begins the file with its header.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn new(file: OutputFile) -> Result<Self, OutputError> {
        Ok(Self { rows: Rows::new(file, &STEP_COLUMNS)? })
    }

    /// Adds a row. Lists of requests are separated by blanks; `scheduled` has `request:tokens`. A failure to write is
    /// kept and returned by [`StepsCsv::finish`].
    pub fn write(&mut self, step: &StepRecord) {
        let rows = &mut self.rows;
        rows.field(step.replica);
        rows.field(step.step);
        rows.time(Some(step.scheduled));
        rows.time(Some(step.start));
        rows.time(Some(step.end));
        rows.field(step.shape.prefill_tokens);
        rows.field(step.shape.decode_seqs);
        rows.field(step.shape.prefill_context_tokens + step.shape.decode_context_tokens);
        rows.field(step.num_waiting);
        rows.field(step.num_running);
        rows.field(step.free_blocks);
        rows.field(step.free_blocks_end);
        rows.list(step.rows.iter().map(|row| (row.request, Some(row.num_tokens))));
        rows.list(step.rows.iter().filter(|row| row.kind != RowKind::Running).map(|row| (row.request, None)));
        for requests in [&step.preempted, &step.finished, &step.aborted] {
            rows.list(requests.iter().map(|&request| (request, None)));
        }
        rows.end();
    }

    /// Whether a row could not be written: there is no point in going on.
    pub fn has_failed(&self) -> bool {
        self.rows.failure.is_some()
    }

    /// Completes the file, still under its temporary name.
    ///
    /// # Errors
    /// If a row could not be written.
    pub fn finish(self) -> Result<WrittenFile, OutputError> {
        self.rows.finish()
    }
}

/// CSV rows built field by field in one reused buffer; the first failure is kept for the end.
struct Rows {
    path: std::path::PathBuf,
    writer: Writer<OutputFile>,
    buffer: String,
    failure: Option<io::Error>,
}

impl Rows {
    fn new(file: OutputFile, columns: &[&str]) -> Result<Self, OutputError> {
        let path = file.path().to_owned();
        let mut rows = Self { path, writer: Writer::from_writer(file), buffer: String::new(), failure: None };
        for column in columns {
            rows.text(column);
        }
        rows.end();
        match rows.failure.take() {
            Some(source) => Err(OutputFile::error(&rows.path, source)),
            None => Ok(rows),
        }
    }

    fn text(&mut self, text: &str) {
        self.buffer.clear();
        self.buffer.push_str(text);
        self.flush_field();
    }

    fn field(&mut self, value: impl std::fmt::Display) {
        self.buffer.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.buffer, "{value}");
        self.flush_field();
    }

    fn time(&mut self, time: Option<SimTime>) {
        self.duration(time.map(|time| time - SimTime::ZERO));
    }

    fn duration(&mut self, duration: Option<SimDuration>) {
        const PS_PER_S: u64 = 1_000_000_000_000;
        self.buffer.clear();
        if let Some(ps) = duration.map(SimDuration::as_ps) {
            let _ = write!(self.buffer, "{}.{:012}", ps / PS_PER_S, ps % PS_PER_S);
        }
        self.flush_field();
    }

    fn list(&mut self, items: impl Iterator<Item = (u64, Option<u32>)>) {
        self.buffer.clear();
        for (i, (request, tokens)) in items.enumerate() {
            let separator = if i > 0 { " " } else { "" };
            let _ = match tokens {
                Some(tokens) => write!(self.buffer, "{separator}{request}:{tokens}"),
                None => write!(self.buffer, "{separator}{request}"),
            };
        }
        self.flush_field();
    }

    fn flush_field(&mut self) {
        let result = self.writer.write_field(&self.buffer);
        self.keep_failure(result);
    }

    fn end(&mut self) {
        let result = self.writer.write_record(None::<&[u8]>);
        self.keep_failure(result);
    }

    fn keep_failure(&mut self, result: csv::Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert_with(|| match error.into_kind() {
                csv::ErrorKind::Io(error) => error,
                other => io::Error::other(format!("{other:?}")),
            });
        }
    }

    fn finish(self) -> Result<WrittenFile, OutputError> {
        let Self { path, writer, failure, .. } = self;
        let error = |source| OutputFile::error(&path, source);
        if let Some(source) = failure {
            return Err(error(source));
        }
        writer.into_inner().map_err(|failed| error(failed.into_error()))?.finish()
    }
}
