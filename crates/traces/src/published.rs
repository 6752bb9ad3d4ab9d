//! Published CSV traces of one column each for time, prompt and output: all that tells them apart is how columns are called
//! and how a time is written.

use kendall_serving::PromptContent;

use crate::TraceFormat;
use crate::error::TraceErrorKind;
use crate::record::{FieldNames, Row};
use crate::row::{Columns, RowSplitter, Unknown};
use crate::value::parse_count;

/// A time as written, in picoseconds on the trace's own clock.
pub(crate) type Clock = fn(&str) -> Result<i128, TraceErrorKind>;

/// Parses rows of such a trace.
#[derive(Debug)]
pub(crate) struct PublishedRows {
    names: FieldNames,
    clock: Clock,
    columns: Columns<3>,
    splitter: RowSplitter,
}

impl PublishedRows {
    pub(crate) fn new(
        header: &str,
        format: TraceFormat,
        names: FieldNames,
        clock: Clock,
    ) -> Result<Self, TraceErrorKind> {
        let mut splitter = RowSplitter::new();
        let wanted = [names.clock, names.prompt, names.output];
        let fields = splitter.split(header)?;
        let columns = Columns::find(wanted, wanted.len(), format, fields, Unknown::PassOver)?;
        Ok(Self { names, clock, columns, splitter })
    }

    pub(crate) const fn names(&self) -> FieldNames {
        self.names
    }

    pub(crate) fn parse(&mut self, line: &str) -> Result<Row<'_>, TraceErrorKind> {
        let record = self.splitter.split(line)?;
        self.columns.check(record)?;
        let clock_text = self.columns.get(record, 0);
        Ok(Row {
            clock_ps: (self.clock)(clock_text)?,
            clock_text,
            num_prompt_tokens: parse_count(self.names.prompt, self.columns.get(record, 1))?,
            num_output_tokens: parse_count(self.names.output, self.columns.get(record, 2))?,
            prompt: PromptContent::Unique,
            priority: 0,
            abort: None,
        })
    }
}
