//! What other simulators predicted for the same rows.

use std::collections::BTreeMap;
use std::path::Path;

use thiserror::Error;

use crate::figures::{METRICS, Metric};
use crate::table::{Table, TableError};

/// Why predictions cannot be read.
#[derive(Debug, Error)]
pub enum PeerError {
    /// Not a CSV file.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A column is missing.
    #[error("{file}: it has no column `{column}`: expected simulator, experiment, stage, metric, predicted")]
    NoColumn {
        /// The file.
        file: String,
        /// The column.
        column: &'static str,
    },
}

/// Predictions by experiment, stage and metric, then by simulator.
#[derive(Debug, Clone, Default)]
pub struct Peers(BTreeMap<(String, String, Metric), BTreeMap<String, f64>>);

impl Peers {
    /// Reads a table like `peer_predictions.csv`; rows of other metrics are left out.
    ///
    /// # Errors
    /// If the file is no CSV or lacks a column.
    pub fn read(path: &Path) -> Result<Self, PeerError> {
        let table = Table::read(path)?;
        for column in ["simulator", "experiment", "stage", "metric", "predicted"] {
            if !table.has(column) {
                return Err(PeerError::NoColumn { file: path.display().to_string(), column });
            }
        }
        let mut found = Self::default();
        for row in 0..table.len() {
            let cells = table.row(row);
            let metric = METRICS.into_iter().find(|metric| metric.name() == cells.text("metric"));
            if let Some((metric, predicted)) = metric.zip(cells.amount("predicted")) {
                let key = (cells.text("experiment").to_owned(), cells.text("stage").to_owned(), metric);
                found.0.entry(key).or_default().insert(cells.text("simulator").to_owned(), predicted);
            }
        }
        Ok(found)
    }

    /// What each simulator predicted for one figure of one row.
    pub fn of(&self, experiment: &str, stage: &str, metric: Metric) -> BTreeMap<String, f64> {
        self.0.get(&(experiment.to_owned(), stage.to_owned(), metric)).cloned().unwrap_or_default()
    }
}
