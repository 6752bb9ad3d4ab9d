//! CSV files with numbers in named columns.

use std::path::Path;

use anyhow::{Context, Result};

/// A CSV file in memory.
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<csv::StringRecord>,
}

/// Reads a CSV file.
pub(crate) fn read(path: &Path) -> Result<Table> {
    let context = || format!("{}", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(context)?;
    let columns = reader.headers().with_context(context)?.iter().map(str::to_owned).collect();
    let rows = reader.records().collect::<Result<_, _>>().with_context(context)?;
    Ok(Table { columns, rows })
}

impl Table {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// A cell; empty if there is no such column.
    pub(crate) fn text(&self, row: usize, column: &str) -> &str {
        let place = self.columns.iter().position(|name| name == column);
        place.and_then(|place| self.rows[row].get(place)).unwrap_or_default()
    }

    /// A cell as a number; NaN if it holds none.
    pub(crate) fn number(&self, row: usize, column: &str) -> f64 {
        self.text(row, column).parse().unwrap_or(f64::NAN)
    }
}
