//! Rows by the values of their columns, and the other rows of the same kind of server.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::table::{Cells, Table, TableError};

/// What must be equal for rows to be of one kind of server: one that a single profile describes.
const OF_SERVER: [&str; 6] = ["gpu", "model", "precision", "tp", "engine", "engine_version"];

/// Most values of a column that a message lists.
const LISTED: usize = 12;

/// A column and the value that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The column.
    pub column: String,
    /// Its value; numbers are compared as numbers.
    pub value: String,
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (column, value) =
            text.split_once('=').ok_or("expected COLUMN=VALUE, such as max_num_seqs=128")?;
        Ok(Self { column: column.trim().to_owned(), value: value.trim().to_owned() })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.column, self.value)
    }
}

impl Condition {
    fn holds(&self, cells: Cells<'_>) -> bool {
        let cell = cells.text(&self.column);
        let numbers = cell.parse::<f64>().ok().zip(self.value.parse::<f64>().ok());
        cell == self.value || numbers.is_some_and(|(cell, value)| cell.total_cmp(&value).is_eq())
    }
}

impl Table {
    /// The rows that meet the conditions: of those on one column any, of several columns each. Without conditions, all.
    ///
    /// # Errors
    /// If a column is not there, or no row is left.
    pub fn rows_where(&self, conditions: &[Condition]) -> Result<Vec<usize>, TableError> {
        if let Some(unknown) = conditions.iter().find(|condition| !self.has(&condition.column)) {
            return Err(TableError::NoSuchColumn {
                path: self.path().to_owned(),
                column: unknown.column.clone(),
                columns: self.columns().join(", "),
            });
        }
        let columns: BTreeSet<&str> = conditions.iter().map(|condition| condition.column.as_str()).collect();
        let meets = |row: &usize| {
            let cells = self.row(*row);
            columns.iter().all(|column| {
                conditions.iter().any(|condition| condition.column == *column && condition.holds(cells))
            })
        };
        let rows: Vec<usize> = (0..self.len()).filter(meets).collect();
        if rows.is_empty() {
            return Err(self.no_row(conditions, &columns));
        }
        Ok(rows)
    }

    fn no_row(&self, conditions: &[Condition], columns: &BTreeSet<&str>) -> TableError {
        let values = |column: &&str| {
            let all: BTreeSet<&str> = (0..self.len()).map(|row| self.row(row).text(column)).collect();
            let more = if all.len() > LISTED { ", ..." } else { "" };
            let shown: Vec<String> = all.iter().take(LISTED).map(|value| format!("`{value}`")).collect();
            format!("{column} has {}{more}", shown.join(", "))
        };
        let conditions: Vec<String> = conditions.iter().map(ToString::to_string).collect();
        let found: Vec<String> = columns.iter().map(values).collect();
        let found = if self.is_empty() { "the table has no rows".to_owned() } else { found.join("; ") };
        let conditions = if conditions.is_empty() { "a server".to_owned() } else { conditions.join(", ") };
        TableError::NoRow { path: self.path().to_owned(), conditions, found }
    }

    /// The first column in which two rows are of different kinds of servers, with both values.
    pub fn differs(&self, first: usize, second: usize) -> Option<(&'static str, &str, &str)> {
        let pair =
            |column: &'static str| (column, self.row(first).text(column), self.row(second).text(column));
        OF_SERVER.into_iter().map(pair).find(|(_, first, second)| first != second)
    }

    /// A cell as it is written; empty if there is none.
    pub fn cell(&self, row: usize, column: &str) -> &str {
        self.row(row).text(column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.csv");
        std::fs::write(&path, text).expect("written");
        Table::of_servers(&path).expect("a table")
    }

    fn conditions(texts: &[&str]) -> Vec<Condition> {
        texts.iter().map(|text| text.parse().expect("a condition")).collect()
    }

    const ROWS: &str = "experiment,gpu,model,max_num_seqs,rate_rps\n\
                        a,A10G,m,64,1\nb,A10G,m,128.0,2\nc,A10G,m,128,4\nd,H100,m,128,4\n";

    #[test]
    fn rows_meet_every_column_and_any_value_of_one() {
        let table = table(ROWS);
        let rows = |texts: &[&str]| table.rows_where(&conditions(texts)).expect("rows");
        assert_eq!(rows(&["max_num_seqs=128"]), [1, 2, 3]);
        assert_eq!(rows(&["max_num_seqs=128", "gpu=A10G"]), [1, 2]);
        assert_eq!(rows(&["experiment=a", "experiment=c"]), [0, 2]);
        assert_eq!(rows(&[]), [0, 1, 2, 3]);
        assert_eq!(table.differs(0, 1), None);
        assert_eq!(table.differs(0, 3), Some(("gpu", "A10G", "H100")));
        assert_eq!(table.cell(3, "rate_rps"), "4");
        assert_eq!(table.of_rows(&[3, 0]).cell(1, "experiment"), "a");
    }

    #[test]
    fn mistakes_name_the_column_and_what_it_has() {
        let table = table(ROWS);
        let error = |texts: &[&str]| table.rows_where(&conditions(texts)).expect_err("no rows").to_string();
        assert!(error(&["max_seqs=128"]).contains("no column `max_seqs`: its columns are experiment, gpu"));
        let none = error(&["max_num_seqs=7", "gpu=A10G"]);
        assert!(none.contains("no row with max_num_seqs=7, gpu=A10G"), "{none}");
        assert!(none.contains("max_num_seqs has `128`, `128.0`, `64`"), "{none}");
        assert!("max_num_seqs".parse::<Condition>().expect_err("no value").contains("COLUMN=VALUE"));
    }
}
