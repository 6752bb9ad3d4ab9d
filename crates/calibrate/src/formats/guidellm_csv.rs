//! guidellm `benchmarks.csv`: three rows of header (group, metric with unit, statistic), then one row a benchmark.
//!
//! Traps: columns are found by all three header rows, because the third alone repeats; as in the JSON, only
//! `Request Latency` is in seconds and `Time per Output Token` contains the TTFT.

use csv::StringRecord;

use super::{Format, ends_with_a_line};
use crate::error::{ReadError, ReadErrorKind, quoted};
use crate::measured::{CaveatKind, Measured};
use crate::number::{AMOUNT, amount};
use crate::summary::{MeasuredSummary, Statistic, ratio};

const HEADER_ROWS: usize = 3;

/// Whether the first line is the first of the three header rows.
pub(crate) fn recognises(first_line: &str) -> bool {
    first_line.starts_with("Run Info,")
        || first_line.starts_with("\"Run Info\",")
        || first_line.contains(",Request Counts,")
}

pub(crate) fn read(file: &str, text: &str) -> Result<Vec<Measured>, ReadError> {
    ends_with_a_line(file, "CSV", text.as_bytes())?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for row in reader.records() {
        rows.push(row.map_err(|error| {
            ReadError::whole(file, ReadErrorKind::Syntax { what: "CSV", message: quoted(&error.to_string()) })
        })?);
    }
    if rows.len() <= HEADER_ROWS {
        return Err(ReadError::whole(
            file,
            ReadErrorKind::Truncated { what: "CSV (no benchmark follows the header)" },
        ));
    }
    let (header, rows) = rows.split_at(HEADER_ROWS);
    rows.iter().map(|row| read_row(&Benchmark { file, header, cells: row })).collect()
}

struct Benchmark<'a> {
    file: &'a str,
    header: &'a [StringRecord],
    cells: &'a StringRecord,
}

impl Benchmark<'_> {
    /// The cell under this group, metric and statistic, if it is there and not empty.
    fn cell(&self, path: [&str; 3]) -> Option<&str> {
        let column = (0..self.header[0].len()).find(|&i| {
            (0..HEADER_ROWS).all(|row| self.header[row].get(i).unwrap_or_default() == path[row])
        })?;
        self.cells.get(column).filter(|cell| !cell.is_empty())
    }

    fn number(&self, path: [&str; 3]) -> Result<Option<f64>, ReadError> {
        let Some(cell) = self.cell(path) else { return Ok(None) };
        amount(cell).map(Some).ok_or_else(|| self.wrong(path, cell, AMOUNT))
    }

    fn count(&self, path: [&str; 3]) -> Result<Option<u64>, ReadError> {
        let Some(cell) = self.cell(path) else { return Ok(None) };
        cell.parse().map(Some).map_err(|_| self.wrong(path, cell, "a whole number"))
    }

    fn statistic(&self, group: &str, unit: &str, unit_s: f64) -> Result<Option<Statistic>, ReadError> {
        let number = |name| Ok::<_, ReadError>(self.number([group, unit, name])?.map(|value| value * unit_s));
        let (mean, median) = (number("Mean")?, number("Median")?);
        let quantiles = median.map(|value| crate::summary::Quantile { percent: 50.0, value });
        let statistic = Statistic {
            mean,
            std: number("Std Dev")?,
            quantiles: quantiles.into_iter().collect(),
            ..Statistic::default()
        };
        Ok((statistic != Statistic::default()).then_some(statistic))
    }

    fn wrong(&self, path: [&str; 3], cell: &str, expected: &str) -> ReadError {
        let line = self.cells.position().map(csv::Position::line);
        let kind = ReadErrorKind::Field {
            field: path.join(" / ").trim_end_matches(" / ").to_owned(),
            found: quoted(cell),
            expected: expected.to_owned(),
            remedy: Format::GuidellmCsv.remedy(),
        };
        ReadError { file: self.file.to_owned(), line, kind: Box::new(kind) }
    }
}

fn read_row(row: &Benchmark<'_>) -> Result<Measured, ReadError> {
    let mut run = Measured::new(row.file, Format::GuidellmCsv);
    run.label = row.cell(["Benchmark", "Strategy", ""]).map(quoted);
    let completed = row.count(["Request Counts", "Successful", ""])?;
    let duration_s = row.number(["Timings", "Duration", "Sec"])?;
    if completed.is_none() {
        let path = ["Request Counts", "Successful", ""];
        return Err(row.wrong(path, "", "the number of requests answered"));
    }
    run.summary = MeasuredSummary {
        completed,
        failed: row.count(["Request Counts", "Errored", ""])?,
        duration_s,
        request_throughput_per_s: ratio(completed, duration_s),
        ttft_s: row.statistic("Time to First Token", "Successful ms", 1e-3)?,
        tpot_s: row.statistic("Inter Token Latency", "Successful ms", 1e-3)?,
        e2e_s: row.statistic("Request Latency", "Successful Sec", 1.0)?,
        ..MeasuredSummary::default()
    };
    if run.summary.ttft_s.is_none() && run.summary.e2e_s.is_none() {
        return Err(row.wrong(["Request Latency", "Successful Sec", "Mean"], "", "a mean of seconds"));
    }
    run.warn(
        CaveatKind::OtherDefinition,
        "guidellm's Time per Output Token includes the TTFT and is left out; its Inter Token Latency is taken as TPOT",
    );
    Ok(run)
}
