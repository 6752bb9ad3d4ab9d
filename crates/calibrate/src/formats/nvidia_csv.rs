//! `profile_export_aiperf.csv` and `profile_export_genai_perf.csv`: `Metric,avg,min,max,...`, and after an empty line
//! `Metric,Value`.
//!
//! Traps: the unit is in the metric's name; genai-perf rounds to two decimals; "Inter Token Latency" is one mean a
//! request and is vLLM's TPOT.

use super::statistics::percent_of;
use super::{Format, ends_with_a_line};
use crate::error::{ReadError, ReadErrorKind, quoted};
use crate::measured::Measured;
use crate::number::{AMOUNT, amount};
use crate::summary::{MeasuredSummary, Quantile, Statistic, ratio};

pub(crate) fn recognises(first_line: &str) -> bool {
    first_line.starts_with("Metric,avg,")
}

pub(crate) fn read(file: &str, text: &str) -> Result<Measured, ReadError> {
    ends_with_a_line(file, "CSV", text.as_bytes())?;
    let mut run = Measured::new(file, Format::NvidiaSummary);
    let mut summary = MeasuredSummary::default();
    let mut header: Vec<String> = Vec::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    for row in reader.records() {
        let row = row.map_err(|error| {
            ReadError::whole(file, ReadErrorKind::Syntax { what: "CSV", message: quoted(&error.to_string()) })
        })?;
        if row.get(0) == Some("Metric") {
            header = row.iter().map(str::to_owned).collect();
            continue;
        }
        let line = Line { file, header: &header, row: &row };
        read_line(&line, &mut summary)?;
    }
    if summary.ttft_s.is_none() && summary.e2e_s.is_none() {
        let field = "row Request Latency (ms)".to_owned();
        let remedy = Format::NvidiaSummary.remedy();
        let expected = "aggregates of latencies".to_owned();
        return Err(ReadError::whole(file, ReadErrorKind::Missing { field, expected, remedy }));
    }
    summary.duration_s = summary.duration_s.or(ratio(summary.completed, summary.request_throughput_per_s));
    run.summary = summary;
    Ok(run)
}

struct Line<'a> {
    file: &'a str,
    header: &'a [String],
    row: &'a csv::StringRecord,
}

fn read_line(line: &Line<'_>, summary: &mut MeasuredSummary) -> Result<(), ReadError> {
    let name = line.row.get(0).unwrap_or_default();
    match name {
        "Time To First Token (ms)" | "Time to First Token (ms)" => summary.ttft_s = Some(line.statistic()?),
        "Inter Token Latency (ms)" => summary.tpot_s = Some(line.statistic()?),
        "Inter Chunk Latency (ms)" => summary.itl_s = Some(line.statistic()?),
        "Request Latency (ms)" => summary.e2e_s = Some(line.statistic()?),
        "Request Count (count)" | "Request Count (requests)" | "Request Count" => {
            summary.completed = line.value()?.map(|n| n as u64);
        }
        "Request Throughput (per sec)" | "Request Throughput (requests/sec)" => {
            summary.request_throughput_per_s = line.value()?;
        }
        "Benchmark Duration (sec)" => summary.duration_s = line.value()?,
        "Total Usage Prompt Tokens (tokens)" => summary.prompt_tokens = line.value()?.map(|n| n as u64),
        "Total Usage Completion Tokens (tokens)" => summary.output_tokens = line.value()?.map(|n| n as u64),
        "Output Token Throughput (tokens/sec)" => summary.output_throughput_per_s = line.value()?,
        _ => {}
    }
    Ok(())
}

impl Line<'_> {
    fn number(&self, column: usize) -> Result<Option<f64>, ReadError> {
        let Some(cell) = self.row.get(column).filter(|cell| !cell.is_empty()) else { return Ok(None) };
        amount(cell).map(Some).ok_or_else(|| ReadError {
            file: self.file.to_owned(),
            line: self.row.position().map(csv::Position::line),
            kind: Box::new(ReadErrorKind::Field {
                field: format!("{}, {}", quoted(self.row.get(0).unwrap_or_default()), self.header[column]),
                found: quoted(cell),
                expected: AMOUNT.to_owned(),
                remedy: Format::NvidiaSummary.remedy(),
            }),
        })
    }

    /// The first cell behind the name: `avg`, or `Value` in the second part.
    fn value(&self) -> Result<Option<f64>, ReadError> {
        if self.header.len() < 2 { Ok(None) } else { self.number(1) }
    }

    /// Milliseconds under `avg`, `min`, `max`, `std`, `p..`, in seconds.
    fn statistic(&self) -> Result<Statistic, ReadError> {
        let mut statistic = Statistic::default();
        for (column, name) in self.header.iter().enumerate().skip(1) {
            let value = self.number(column)?.map(|ms| ms * 1e-3);
            match name.as_str() {
                "avg" => statistic.mean = value,
                "std" => statistic.std = value,
                "min" => statistic.min = value,
                "max" => statistic.max = value,
                other => {
                    let quantile = percent_of(other).zip(value);
                    statistic.quantiles.extend(quantile.map(|(percent, value)| Quantile { percent, value }));
                }
            }
        }
        statistic.quantiles.sort_by(|a, b| a.percent.total_cmp(&b.percent));
        Ok(statistic)
    }
}
