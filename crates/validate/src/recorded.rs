//! The per-request file of an experiment: recorded arrivals and lengths.

use crate::table::{Cells, Table};

/// The file that the column `request_trace` names, relative to the table.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    table: Table,
    arrival_column: &'static str,
}

/// One recorded request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Recorded {
    /// Number of the stage; `None` where the file has none.
    pub stage: Option<usize>,
    /// When it arrived: seconds, or mean gaps in a file for several rates.
    pub arrival: f64,
    /// Prompt length in tokens.
    pub prompt: u32,
    /// Output length in tokens.
    pub output: u32,
    /// Equal prompts have equal numbers.
    pub prompt_id: Option<u64>,
}

/// Columns of arrivals in units of the mean gap.
const UNIT_RATE: &str = "arrival_unit_rate_s";

impl Recording {
    /// The recording of a row, if it names one that can be read, with a note if it names one that cannot.
    pub(crate) fn of(cells: Cells<'_>) -> (Option<Self>, Vec<String>) {
        let name = cells.text("request_trace");
        if name.is_empty() {
            return (None, Vec::new());
        }
        match Table::read(&cells.folder().join(name)) {
            Ok(table) => Self::with_columns(table, name, is_capped(cells)),
            Err(error) => (None, vec![format!("{error}; arrivals are drawn instead")]),
        }
    }

    fn with_columns(table: Table, name: &str, capped: bool) -> (Option<Self>, Vec<String>) {
        // A client that holds back sends by its schedule as far as it may: the limit is simulated, not the sends.
        let first = if capped { "sched_arrival_s" } else { UNIT_RATE };
        let found = [first, UNIT_RATE, "send_s", "arrival_s"].into_iter().find(|column| table.has(column));
        let has_lengths = table.has("prompt_tokens") && table.has("output_tokens");
        if let Some(arrival_column) = found.filter(|_| has_lengths && !table.is_empty()) {
            return (Some(Self { table, arrival_column }), Vec::new());
        }
        let needed = "arrival_s (or send_s), prompt_tokens and output_tokens";
        (None, vec![format!("{name} has no {needed}; arrivals are drawn instead")])
    }

    /// Whether its requests are of numbered stages.
    pub(crate) fn has_stages(&self) -> bool {
        self.table.has("stage")
    }

    /// Whether arrivals are in units of the mean gap.
    pub(crate) fn is_unit_rate(&self) -> bool {
        self.arrival_column == UNIT_RATE
    }

    /// Its requests, in the file's order; rows without a time or a length are left out.
    pub(crate) fn requests(&self) -> impl Iterator<Item = Recorded> + '_ {
        (0..self.table.len()).filter_map(|row| {
            let cells = self.table.row(row);
            Some(Recorded {
                stage: cells.text("stage").parse().ok(),
                arrival: cells.amount(self.arrival_column)?,
                prompt: cells.count("prompt_tokens")?,
                output: cells.count("output_tokens").unwrap_or(1),
                prompt_id: cells.text("prompt_id").parse().ok(),
            })
        })
    }
}

/// Whether the client holds back what goes beyond its limit of requests in flight, instead of sending by its schedule.
pub(crate) fn is_capped(cells: Cells<'_>) -> bool {
    cells.text("load_mode").contains("capped at")
}
