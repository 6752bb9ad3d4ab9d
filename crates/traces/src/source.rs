//! A trace that can be played more than once: where it is, and what it is.

use std::path::{Path, PathBuf};

use kendall_serving::RequestStream;
use kendall_serving::scenario::{OnEmpty, TraceColumns};

use crate::adapt::{Plan, Replay};
use crate::error::TraceError;
use crate::open::is_parquet;
use crate::parquet::ParquetReader;
use crate::{TraceFormat, TraceOptions, TraceReader, TraceRecord, open};

/// A trace in a file. Each replay opens the file anew.
#[derive(Debug, Clone)]
pub struct TraceSource {
    path: PathBuf,
    format: Option<TraceFormat>,
    columns: TraceColumns,
}

impl TraceSource {
    /// The trace at `path`; without `format` it is told from the content. `columns` matters to Parquet only.
    pub fn new(path: &Path, format: Option<TraceFormat>, columns: TraceColumns) -> Self {
        Self { path: path.to_owned(), format, columns }
    }

    /// The requests of a simulation, read from the trace as it goes on.
    ///
    /// The stream ends after its first error, and is in error if it leaves no request at all.
    ///
    /// # Errors
    /// If the file cannot be opened, its format cannot be told, or an option is out of its range.
    pub fn requests(&self, options: &TraceOptions) -> Result<RequestStream, TraceError> {
        let records = self.records(options.on_empty)?;
        let plan = Plan::check(options).map_err(|kind| TraceError::of_file(records.file(), kind))?;
        Ok(Box::new(Replay::new(records, plan, Some(self.clone()), options.on_empty)))
    }

    /// The format: as given, or as the content tells.
    ///
    /// # Errors
    /// If the file cannot be opened or its format cannot be told.
    pub fn format(&self) -> Result<TraceFormat, TraceError> {
        self.records(OnEmpty::Error).map(|records| match records {
            Records::Lines(reader) => reader.format(),
            Records::Parquet(_) => TraceFormat::Parquet,
        })
    }

    /// Names of the columns of a Parquet file for arrival, prompt and output; `None` for other formats.
    ///
    /// # Errors
    /// If the file cannot be opened, or a column cannot be found.
    pub fn parquet_columns(&self) -> Result<Option<[String; 3]>, TraceError> {
        self.records(OnEmpty::Error).map(|records| match records {
            Records::Lines(_) => None,
            Records::Parquet(reader) => Some(reader.column_names().map(str::to_owned)),
        })
    }

    /// Number of requests without prompt or output tokens up to the end of a slice.
    ///
    /// # Errors
    /// If the file cannot be read to its end.
    pub fn count_empty(&self, start_s: Option<f64>, end_s: Option<f64>) -> Result<u64, TraceError> {
        let options = TraceOptions { start_s, end_s, ..TraceOptions::default() };
        let mut records = self.records(OnEmpty::Skip)?;
        Plan::check(&options).map_err(|kind| TraceError::of_file(records.file(), kind))?;
        let end = end_s.and_then(|end| kendall_des::SimDuration::from_secs_f64(end).ok());
        for record in &mut records {
            if end.is_some_and(|end| record.as_ref().is_ok_and(|record| record.arrival >= end)) {
                break;
            }
            record?;
        }
        Ok(records.num_skipped())
    }

    pub(crate) fn records(&self, on_empty: OnEmpty) -> Result<Records, TraceError> {
        let is_parquet = match self.format {
            Some(format) => format == TraceFormat::Parquet,
            None => is_parquet(&self.path)?,
        };
        if is_parquet {
            let reader = ParquetReader::open(&self.path, &self.columns)?;
            return Ok(Records::Parquet(Box::new(reader.on_empty(on_empty))));
        }
        Ok(Records::Lines(Box::new(open(&self.path, self.format)?.on_empty(on_empty))))
    }
}

/// The records of a trace, whatever its format.
pub(crate) enum Records {
    Lines(Box<TraceReader>),
    Parquet(Box<ParquetReader>),
}

impl Records {
    /// Name of the trace in messages.
    pub(crate) fn file(&self) -> &str {
        match self {
            Self::Lines(reader) => reader.file(),
            Self::Parquet(reader) => reader.file(),
        }
    }

    /// Requests left out so far because they have no tokens.
    fn num_skipped(&self) -> u64 {
        match self {
            Self::Lines(reader) => reader.num_skipped(),
            Self::Parquet(reader) => reader.num_skipped(),
        }
    }

    /// Line or row of the record read last.
    pub(crate) fn line(&self) -> u64 {
        match self {
            Self::Lines(reader) => reader.line(),
            Self::Parquet(reader) => reader.row(),
        }
    }
}

impl Iterator for Records {
    type Item = Result<TraceRecord, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Lines(reader) => reader.next(),
            Self::Parquet(reader) => reader.next(),
        }
    }
}
