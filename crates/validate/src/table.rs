//! A CSV table in memory, read by column name: what is absent, empty or no number is `None`, never a guess.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Columns without which a table does not describe measured servers.
const NEEDED: [&str; 3] = ["experiment", "gpu", "model"];

/// Why a table cannot be read.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file is not there, or not CSV.
    #[error("{}: {source}: expected a CSV table with one row for each measured run", path.display())]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: csv::Error,
    },
    /// A column that names the server is missing.
    #[error(
        "{}: it has no column `{column}`: expected the columns experiment, gpu, model and those of docs/validate.md",
        path.display()
    )]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A condition on a column that is not there.
    #[error("{}: it has no column `{column}`: its columns are {columns}", path.display())]
    NoSuchColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Those that are there.
        columns: String,
    },
    /// Conditions that no row meets.
    #[error("{}: no row with {conditions}: {found}", path.display())]
    NoRow {
        /// The file.
        path: PathBuf,
        /// The conditions.
        conditions: String,
        /// Values that the columns have.
        found: String,
    },
}

/// A CSV file in memory.
#[derive(Debug, Clone)]
pub struct Table {
    path: PathBuf,
    columns: Vec<String>,
    rows: Vec<csv::StringRecord>,
}

impl Table {
    /// Reads a table of measured servers.
    ///
    /// # Errors
    /// If the file cannot be read as CSV, or lacks a column that names the server.
    pub fn of_servers(path: &Path) -> Result<Self, TableError> {
        let table = Self::read(path)?;
        match NEEDED.into_iter().find(|column| !table.has(column)) {
            Some(column) => Err(TableError::NoColumn { path: path.to_owned(), column }),
            None => Ok(table),
        }
    }

    /// Reads any CSV file with a header. Short rows are rows with empty cells.
    ///
    /// # Errors
    /// If the file cannot be read as CSV.
    pub(crate) fn read(path: &Path) -> Result<Self, TableError> {
        let error = |source| TableError::Csv { path: path.to_owned(), source };
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(error)?;
        let header = reader.headers().map_err(error)?;
        let columns =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect();
        let rows = reader.records().collect::<Result<_, _>>().map_err(error)?;
        Ok(Self { path: path.to_owned(), columns, rows })
    }

    /// The rows whose experiment and model `belongs` picks, as a table at the same place.
    #[must_use]
    pub fn of_experiments(&self, belongs: impl Fn(&str, &str) -> bool) -> Self {
        let of = |row: &usize| belongs(self.row(*row).text("experiment"), self.row(*row).text("model"));
        let rows = (0..self.len()).filter(of).map(|row| self.rows[row].clone()).collect();
        Self { path: self.path.clone(), columns: self.columns.clone(), rows }
    }

    /// These rows, in their order, as a table at the same place.
    #[must_use]
    pub fn of_rows(&self, rows: &[usize]) -> Self {
        let rows = rows.iter().filter_map(|&row| self.rows.get(row).cloned()).collect();
        Self { path: self.path.clone(), columns: self.columns.clone(), rows }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the columns, in their order.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether there is such a column.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|name| name == column)
    }

    /// The folder of the file: other files are named relative to it.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// A row.
    pub(crate) fn row(&self, index: usize) -> Cells<'_> {
        Cells { table: self, index }
    }
}

/// The cells of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells<'a> {
    table: &'a Table,
    pub(crate) index: usize,
}

impl<'a> Cells<'a> {
    /// A cell; empty if there is none.
    pub(crate) fn text(&self, column: &str) -> &'a str {
        let place = self.table.columns.iter().position(|name| name == column);
        let cell = place.and_then(|place| self.table.rows.get(self.index)?.get(place));
        cell.unwrap_or_default().trim()
    }

    /// A cell as a finite number.
    pub(crate) fn number(&self, column: &str) -> Option<f64> {
        self.text(column).parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// A cell as a finite number that is not negative.
    pub(crate) fn amount(&self, column: &str) -> Option<f64> {
        self.number(column).filter(|number| *number >= 0.0)
    }

    /// A cell as a count of at least one, however it is written (`128`, `128.0`).
    pub(crate) fn count(&self, column: &str) -> Option<u32> {
        self.number(column).filter(|n| (1.0..=f64::from(u32::MAX)).contains(n)).map(|n| n as u32)
    }

    /// The folder of the table.
    pub(crate) fn folder(&self) -> &'a Path {
        self.table.folder()
    }
}
