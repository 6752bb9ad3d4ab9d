//! CSV with a header: which table it is, and cells that name their line and column when they are wrong.

use csv::StringRecord;

use super::{Format, guidellm_csv, nvidia_csv, own_csv, step_log};
use crate::error::{ReadError, ReadErrorKind, quoted};
use crate::measured::Measured;
use crate::number::{self, AMOUNT};

/// Reads whatever table the header announces.
pub(crate) fn read(file: &str, text: &str) -> Result<Vec<Measured>, ReadError> {
    let first_line = text.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
    if guidellm_csv::recognises(first_line) {
        return guidellm_csv::read(file, text);
    }
    if nvidia_csv::recognises(first_line) {
        return Ok(vec![nvidia_csv::read(file, text)?]);
    }
    let header: Vec<&str> = first_line.split(',').map(|name| name.trim().trim_matches('"')).collect();
    if step_log::recognises(&header) {
        return Ok(vec![step_log::read(&Table::parse(file, Format::StepLog, text)?)?]);
    }
    if own_csv::recognises(&header) {
        return Ok(vec![own_csv::read(&Table::parse(file, Format::OwnCsv, text)?)?]);
    }
    let saw = format!("a table with the columns {}", quoted(first_line));
    Err(ReadError::whole(file, ReadErrorKind::Unrecognised { saw }))
}

/// A table held in memory, with the line of each row.
pub(crate) struct Table<'a> {
    /// The file as the user named it.
    pub(crate) file: &'a str,
    format: Format,
    header: Vec<String>,
    rows: Vec<StringRecord>,
}

impl<'a> Table<'a> {
    /// Parses a table of which every row is as long as its header.
    pub(crate) fn parse(file: &'a str, format: Format, text: &str) -> Result<Self, ReadError> {
        let mut reader =
            csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(text.as_bytes());
        let fault = |error: &csv::Error| Self::fault(file, text, error);
        let header: Vec<String> =
            reader.headers().map_err(|error| fault(&error))?.iter().map(str::to_owned).collect();
        let rows = reader.records().collect::<Result<Vec<_>, _>>().map_err(|error| fault(&error))?;
        Ok(Self { file, format, header, rows })
    }

    /// A short last row without a line end is a cut file; any other short row is a damaged one.
    fn fault(file: &str, text: &str, error: &csv::Error) -> ReadError {
        let line = error.position().map(csv::Position::line);
        let last = text.lines().count() as u64;
        let kind = if line == Some(last) && !text.ends_with('\n') {
            ReadErrorKind::Truncated { what: "CSV" }
        } else {
            ReadErrorKind::Syntax { what: "CSV", message: quoted(&error.to_string()) }
        };
        ReadError { file: file.to_owned(), line, kind: Box::new(kind) }
    }

    /// The first of these columns that the table has.
    pub(crate) fn column(&self, names: &[&str]) -> Option<Column> {
        names.iter().find_map(|name| self.header.iter().position(|column| column == name)).map(Column)
    }

    /// One of these columns, which the table must have.
    pub(crate) fn required(&self, names: &[&str], expected: &str) -> Result<Column, ReadError> {
        self.column(names).ok_or_else(|| {
            ReadError::whole(
                self.file,
                ReadErrorKind::Missing {
                    field: format!("column {}", names.join(" or ")),
                    expected: expected.to_owned(),
                    remedy: self.format.remedy(),
                },
            )
        })
    }

    /// The rows in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(move |record| Row { table: self, record })
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The error of a table without rows.
    pub(crate) fn no_rows(&self) -> ReadError {
        ReadError::whole(self.file, ReadErrorKind::Truncated { what: "CSV (no row follows the header)" })
    }
}

/// Index of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column(usize);

/// One row of a table.
pub(crate) struct Row<'a> {
    table: &'a Table<'a>,
    record: &'a StringRecord,
}

impl<'a> Row<'a> {
    /// The cell, empty where the row has none.
    pub(crate) fn text(&self, column: Column) -> &'a str {
        self.record.get(column.0).unwrap_or_default()
    }

    /// A number that is not negative, or `None` for an empty cell.
    pub(crate) fn amount(&self, column: Column) -> Result<Option<f64>, ReadError> {
        let cell = self.text(column);
        if cell.is_empty() {
            return Ok(None);
        }
        number::amount(cell).map(Some).ok_or_else(|| self.wrong(column, AMOUNT))
    }

    /// A number that must be there.
    pub(crate) fn required(&self, column: Column) -> Result<f64, ReadError> {
        self.amount(column)?.ok_or_else(|| self.wrong(column, AMOUNT))
    }

    /// A whole number that must be there; `128.0` is whole.
    pub(crate) fn count(&self, column: Column) -> Result<u64, ReadError> {
        number::count(self.required(column)?).ok_or_else(|| self.wrong(column, number::COUNT))
    }

    /// The error that a cell is not what was expected.
    pub(crate) fn wrong(&self, column: Column, expected: &str) -> ReadError {
        ReadError {
            file: self.table.file.to_owned(),
            line: self.record.position().map(csv::Position::line),
            kind: Box::new(ReadErrorKind::Field {
                field: self.table.header[column.0].clone(),
                found: quoted(self.text(column)),
                expected: expected.to_owned(),
                remedy: self.table.format.remedy(),
            }),
        }
    }
}
