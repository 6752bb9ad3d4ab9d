//! `BurstGPT`: CSV of requests to `ChatGPT` and `GPT-4` at a university, in seconds.
//!
//! Source: <https://github.com/HPMLL/BurstGPT> (Wang et al., KDD 2025). `BurstGPT_1.csv` and `_2.csv` have the columns `Timestamp`,
//! `Model`, `Request tokens`, `Response tokens`, `Total tokens`, `Log Type`; `_3.csv` has `Session ID` and `Elapsed time` besides.
//! A failed request has 0 response tokens. Clocks are differences to the first row, taken by the reader.

use kendall_serving::PromptContent;

use crate::TraceFormat;
use crate::error::TraceErrorKind;
use crate::record::{FieldNames, Row};
use crate::row::{Columns, RowSplitter, Unknown};
use crate::value::{PS_PLACES_PER_SEC, parse_count, parse_time_ps};

pub(crate) const FIELDS: FieldNames =
    FieldNames { clock: "Timestamp", prompt: "Request tokens", output: "Response tokens" };

/// Parses rows of a `burstgpt` trace.
#[derive(Debug)]
pub(crate) struct BurstGptRows {
    columns: Columns<3>,
    splitter: RowSplitter,
}

impl BurstGptRows {
    pub(crate) fn new(header: &str) -> Result<Self, TraceErrorKind> {
        let mut splitter = RowSplitter::new();
        let names = [FIELDS.clock, FIELDS.prompt, FIELDS.output];
        let fields = splitter.split(header)?;
        let columns = Columns::find(names, names.len(), TraceFormat::BurstGpt, fields, Unknown::PassOver)?;
        Ok(Self { columns, splitter })
    }

    pub(crate) fn parse(&mut self, line: &str) -> Result<Row<'_>, TraceErrorKind> {
        let record = self.splitter.split(line)?;
        self.columns.check(record)?;
        let clock_text = self.columns.get(record, 0);
        Ok(Row {
            clock_ps: i128::from(parse_time_ps(FIELDS.clock, clock_text, PS_PLACES_PER_SEC)?),
            clock_text,
            num_prompt_tokens: parse_count(FIELDS.prompt, self.columns.get(record, 1))?,
            num_output_tokens: parse_count(FIELDS.output, self.columns.get(record, 2))?,
            prompt: PromptContent::Unique,
            priority: 0,
            abort: None,
        })
    }
}
