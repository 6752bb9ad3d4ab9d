//! Means over replications: their JSON and their table.

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::number::{significant, whole};

/// A mean over replications with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanOverReplications {
    /// The mean.
    pub mean: f64,
    /// Half of the interval's width; `None` with fewer than two replications.
    pub half_width: Option<f64>,
    /// Probability with which such an interval contains the expectation.
    pub confidence: f64,
    /// Replications behind it.
    pub replications: u32,
}

/// One figure of a study.
#[derive(Debug, Clone, Copy)]
pub struct FigureRow {
    /// Name in `summary.json`.
    pub name: &'static str,
    /// Unit; empty for a share or a count.
    pub unit: &'static str,
    /// Whether tables show it.
    pub main: bool,
    /// Its mean; `None` where no replication has the figure.
    pub mean: Option<MeanOverReplications>,
}

/// Every figure under its name; `null` where there is none.
pub(crate) fn to_json(rows: &[FigureRow]) -> Map<String, Value> {
    // Only maps with keys that are no strings fail to serialise; there are none here.
    rows.iter()
        .map(|row| (row.name.to_owned(), serde_json::to_value(row.mean).unwrap_or(Value::Null)))
        .collect()
}

/// The main figures, a line each; `count` says what the means are over.
pub(crate) fn table(rows: &[FigureRow], count: &str) -> Table {
    let mut table = crate::table::facts_table();
    let confidence = rows.iter().find_map(|row| row.mean).map_or(0.0, |mean| mean.confidence);
    let interval = format!("+- {} %", significant_share(confidence));
    table.set_header(["figure", "unit", "mean", &interval, count]);
    for (row, mean) in rows.iter().filter(|row| row.main).filter_map(|row| Some((row, row.mean?))) {
        let half_width = match mean.half_width {
            Some(half_width) => significant(Some(half_width)),
            None => "one run".into(),
        };
        let runs = whole(u64::from(mean.replications));
        table.add_row([row.name, row.unit, &significant(Some(mean.mean)), &half_width, &runs]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A confidence as people write it: 95, 99.9.
pub(crate) fn significant_share(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
