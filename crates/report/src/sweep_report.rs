//! The points of a sweep: CSV, JSON, a table, and a plot of each main figure.

use std::fmt::Write as _;

use comfy_table::CellAlignment;
use serde_json::{Map, Value, json};

use crate::csv_table::csv_table;
use crate::estimates::{self, FigureRow, significant_share};
use crate::number::significant;
use crate::plot::{Plot, PlotPoint, Series};

/// What became of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointStatus {
    /// All its runs ended.
    Completed,
    /// In some run a replica could make no progress.
    Stalled,
    /// All its runs ended, and they are too short or too busy to tell whether the queue grows.
    NearCapacity(String),
    /// More arrives than can be served: there is no steady state, and no latency of one.
    Overloaded(String),
}

impl PointStatus {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::NearCapacity(_) => "near capacity",
            Self::Stalled => "stalled",
            Self::Overloaded(_) => "overloaded",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Overloaded(reason) | Self::NearCapacity(reason) => Some(reason),
            Self::Completed | Self::Stalled => None,
        }
    }
}

/// One point.
#[derive(Debug, Clone)]
pub struct SweepPointRow {
    /// The value of each varied key.
    pub values: Vec<Value>,
    /// What became of it.
    pub status: PointStatus,
    /// Its figures.
    pub figures: Vec<FigureRow>,
}

/// A finished sweep.
pub struct SweepReport<'a> {
    /// Version of kendall.
    pub kendall_version: &'a str,
    /// Name of the scenario.
    pub name: &'a str,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Replications of each point.
    pub replications: u32,
    /// Confidence of the intervals.
    pub confidence: f64,
    /// The varied keys.
    pub keys: Vec<String>,
    /// Its points, in order.
    pub points: Vec<SweepPointRow>,
    /// What a reader must know.
    pub warnings: Vec<String>,
}

/// Figures of the table: more do not fit a line.
const TABLE: [&str; 5] =
    ["request_throughput", "slo_attainment", "mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms"];

impl SweepReport<'_> {
    /// One object, keys in a fixed order; each figure is `{mean, half_width, confidence, replications}`.
    pub fn to_json(&self) -> Value {
        let points = self.points.iter().enumerate().map(|(number, point)| {
            let values: Map<String, Value> =
                self.keys.iter().cloned().zip(point.values.iter().cloned()).collect();
            json!({
                "point": number,
                "values": values,
                "status": point.status.word(),
                "reason": point.status.reason(),
                "figures": estimates::to_json(&point.figures),
            })
        });
        json!({
            "kendall_version": self.kendall_version,
            "scenario": self.name,
            "seed": self.seed,
            "replications": self.replications,
            "confidence": self.confidence,
            "keys": self.keys,
            "warnings": self.warnings,
            "points": points.collect::<Vec<_>>(),
        })
    }

    /// One row a point: the keys, the status, each figure and its half-width.
    pub fn to_csv(&self) -> Vec<u8> {
        let names: Vec<String> = self
            .points
            .first()
            .map(|point| point.figures.iter())
            .into_iter()
            .flatten()
            .flat_map(|figure| [figure.name.to_owned(), format!("{}_half_width", figure.name)])
            .collect();
        let columns = std::iter::once("point")
            .chain(self.keys.iter().map(String::as_str))
            .chain(["status", "replications"])
            .chain(names.iter().map(String::as_str));
        let rows = self.points.iter().enumerate().map(|(number, point)| {
            let mut row = vec![number.to_string()];
            row.extend(point.values.iter().map(plain));
            row.push(point.status.word().into());
            row.push(self.replications.to_string());
            for figure in &point.figures {
                let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
                row.push(number(figure.mean.map(|mean| mean.mean)));
                row.push(number(figure.mean.and_then(|mean| mean.half_width)));
            }
            row
        });
        csv_table(columns, rows)
    }

    /// One line a point.
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{}: {} points, {} replications each, seed {}, intervals of {} %",
            self.name,
            self.points.len(),
            self.replications,
            self.seed,
            significant_share(self.confidence)
        );
        let mut table = crate::table::facts_table();
        let shown = |name: &&str| {
            self.points
                .iter()
                .flat_map(|point| &point.figures)
                .any(|figure| figure.name == *name && figure.mean.is_some())
        };
        let shown: Vec<&str> = TABLE.into_iter().filter(|name| shown(name)).collect();
        table.set_header(
            self.keys.iter().map(|key| last_part(key)).chain(["status"]).chain(shown.iter().copied()),
        );
        for point in &self.points {
            let mut row: Vec<String> = point.values.iter().map(plain).collect();
            row.push(point.status.word().into());
            row.extend(shown.iter().map(|name| cell(point, name)));
            table.add_row(row);
        }
        for column in table.column_iter_mut().skip(self.keys.len() + 1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let _ = writeln!(text, "\n{}\n", table.trim_fmt());
        for warning in &self.warnings {
            let _ = writeln!(text, "! {warning}");
        }
        text
    }

    /// A plot of each main figure against the first key, a series for each combination of the others, with the name of
    /// its file. With `paired` keys there is one series.
    pub fn plots(&self, paired: bool) -> Vec<(String, Plot)> {
        let mains = self.points.first().map(|point| point.figures.iter()).into_iter().flatten();
        mains
            .filter(|figure| figure.main)
            .filter_map(|figure| Some((format!("{}.svg", figure.name), self.plot(figure, paired)?)))
            .collect()
    }

    fn plot(&self, figure: &FigureRow, paired: bool) -> Option<Plot> {
        let key = self.keys.first()?;
        let numeric = self.points.iter().all(|point| point.values[0].is_number());
        let mut names: Vec<String> = Vec::new();
        let mut series: Vec<Series> = Vec::new();
        for point in &self.points {
            let name = plain(&point.values[0]);
            let place = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            let x = if numeric { point.values[0].as_f64()? } else { place as f64 };
            let others = self.keys.iter().zip(&point.values).skip(1);
            let label = others.map(|(key, value)| format!("{} = {}", last_part(key), plain(value)));
            let label = if paired { String::new() } else { label.collect::<Vec<_>>().join(", ") };
            let Some(mean) = point.figures.iter().find(|row| row.name == figure.name)?.mean else { continue };
            let drawn = PlotPoint { x, y: mean.mean, half_width: mean.half_width };
            match series.iter_mut().find(|series| series.label == label) {
                Some(series) => series.points.push(drawn),
                None => series.push(Series { label, points: vec![drawn] }),
            }
        }
        for series in &mut series {
            series.points.sort_by(|a, b| a.x.total_cmp(&b.x));
        }
        let unit = if figure.unit.is_empty() { String::new() } else { format!(" ({})", figure.unit) };
        (!series.is_empty()).then(|| Plot {
            title: format!(
                "{}: {}, {} runs a point, {} % intervals",
                self.name,
                figure.name,
                self.replications,
                significant_share(self.confidence)
            ),
            x_label: key.clone(),
            y_label: format!("{}{unit}", figure.name),
            names: (!numeric).then_some(names),
            series,
        })
    }
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn cell(point: &SweepPointRow, name: &str) -> String {
    let mean = point.figures.iter().find(|figure| figure.name == name).and_then(|figure| figure.mean);
    match mean {
        None => "-".into(),
        Some(mean) => match mean.half_width {
            None => significant(Some(mean.mean)),
            Some(half_width) => {
                format!("{} +- {}", significant(Some(mean.mean)), significant(Some(half_width)))
            }
        },
    }
}
