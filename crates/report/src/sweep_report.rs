//! The points of a sweep: CSV, JSON, a table, and a plot of each main figure.

use std::fmt::Write as _;

use comfy_table::CellAlignment;
use serde_json::{Map, Value, json};

use crate::chart::{Axis, Chart, Layer, MOST_LAYERS, Shape, Unit};
use crate::csv_table::csv_table;
use crate::estimates::{self, FigureRow, significant_share};
use crate::number::significant;
use crate::origin::Origin;

/// What became of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointStatus {
    /// All its runs ended.
    Completed,
    /// In some run a replica could make no progress.
    Stalled,
    /// All its runs ended, and they are too short or too busy to tell whether the queue grows.
    NearCapacity(String),
    /// The workload ends or changes on the way: its figures are those of a transient.
    Transient(String),
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
            Self::Transient(_) => "transient",
            Self::Overloaded(_) => "overloaded",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Self::Overloaded(reason) | Self::NearCapacity(reason) | Self::Transient(reason) => Some(reason),
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
    /// How it differs from its baseline.
    pub difference: Option<Difference>,
    /// What stationary models say of it, `{model: {figure: value}}`; null if they were not asked.
    pub theory: Value,
}

/// Place, mean and half-width of a point in a chart.
type Dot = (f64, f64, Option<f64>);

/// Which figures of a point.
type FiguresOf = fn(&SweepPointRow) -> &[FigureRow];

/// A point against another that met the same customers.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Number of the other.
    pub baseline: usize,
    /// Figures less those of the other, with intervals of the mean difference over replications.
    pub figures: Vec<FigureRow>,
}

impl SweepPointRow {
    /// The differences; none without a baseline.
    fn differences(&self) -> &[FigureRow] {
        self.difference.as_ref().map_or(&[], |difference| &difference.figures)
    }
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
    /// Where it comes from.
    pub origin: Origin,
}

/// Values of a key over so large a ratio are drawn by their ratios.
pub(crate) const WIDE: f64 = 30.0;

/// Figures of the table: more do not fit a line.
const TABLE: [&str; 5] =
    ["request_throughput", "slo_attainment", "mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms"];

impl SweepReport<'_> {
    /// One object, keys in a fixed order; each figure is `{mean, half_width, confidence, replications}`.
    pub fn to_json(&self) -> Value {
        let points = self.points.iter().enumerate().map(|(number, point)| {
            let values: Map<String, Value> =
                self.keys.iter().cloned().zip(point.values.iter().cloned()).collect();
            let mut fields = json!({
                "point": number,
                "values": values,
                "status": point.status.word(),
                "reason": point.status.reason(),
                "figures": estimates::to_json(&point.figures),
            });
            if !point.theory.is_null() {
                fields["theory"] = point.theory.clone();
            }
            if let Some(difference) = &point.difference {
                fields["baseline"] = json!(difference.baseline);
                fields["differences"] = Value::Object(estimates::to_json(&difference.figures));
            }
            fields
        });
        let mut json = json!({
            "kendall_version": self.kendall_version,
            "scenario": self.name,
            "seed": self.seed,
            "replications": self.replications,
            "confidence": self.confidence,
            "keys": self.keys,
            "warnings": self.warnings,
            "points": points.collect::<Vec<_>>(),
        });
        self.origin.add_to(&mut json);
        json
    }

    /// One row a point: the keys, the status, each figure and its half-width; with a baseline also its number, the
    /// differences and theirs.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut names: Vec<String> = Vec::new();
        if let Some(point) = self.points.first() {
            for figure in &point.figures {
                names.extend([figure.name.to_owned(), format!("{}_half_width", figure.name)]);
            }
            names.extend(point.difference.iter().map(|_| "baseline".into()));
            for figure in point.differences() {
                let name = figure.name;
                names.extend([format!("{name}_difference"), format!("{name}_difference_half_width")]);
            }
        }
        let columns = std::iter::once("point")
            .chain(self.keys.iter().map(String::as_str))
            .chain(["status", "replications"])
            .chain(names.iter().map(String::as_str));
        let rows = self.points.iter().enumerate().map(|(number, point)| {
            let mut row = vec![number.to_string()];
            row.extend(point.values.iter().map(plain));
            row.push(point.status.word().into());
            row.push(self.replications.to_string());
            let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
            let cells = |figure: &FigureRow| {
                [
                    number(figure.mean.map(|mean| mean.mean)),
                    number(figure.mean.and_then(|mean| mean.half_width)),
                ]
            };
            row.extend(point.figures.iter().flat_map(cells));
            row.extend(point.difference.iter().map(|difference| difference.baseline.to_string()));
            row.extend(point.differences().iter().flat_map(cells));
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
        let _ = writeln!(text, "\n{}\n", self.table(|_, point| Some(&point.figures)).trim_fmt());
        if let Some(first) = self.points.first().filter(|point| point.difference.is_some()) {
            let _ =
                writeln!(text, "Differences from {}, replication by replication:", self.baseline_text(first));
            let _ = writeln!(text, "\n{}\n", self.table(compared).trim_fmt());
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "! {warning}");
        }
        text
    }

    /// The main figures, a line a point.
    fn table(&self, of: fn(usize, &SweepPointRow) -> Option<&[FigureRow]>) -> comfy_table::Table {
        let mut table = crate::table::facts_table();
        let shown = |name: &&str| {
            let figures = self.points.iter().enumerate().filter_map(|(number, point)| of(number, point));
            figures.flatten().any(|figure| figure.name == *name && figure.mean.is_some())
        };
        let shown: Vec<&str> = TABLE.into_iter().filter(|name| shown(name)).collect();
        table.set_header(
            self.keys.iter().map(|key| last_part(key)).chain(["status"]).chain(shown.iter().copied()),
        );
        for (number, point) in self.points.iter().enumerate() {
            let Some(figures) = of(number, point) else { continue };
            let mut row: Vec<String> = point.values.iter().map(plain).collect();
            row.push(point.status.word().into());
            row.extend(shown.iter().map(|name| cell(figures, name)));
            table.add_row(row);
        }
        for column in table.column_iter_mut().skip(self.keys.len() + 1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// The values that the baselines of all points share.
    fn baseline_text(&self, first: &SweepPointRow) -> String {
        let baselines: Vec<&SweepPointRow> = self
            .points
            .iter()
            .filter_map(|point| self.points.get(point.difference.as_ref()?.baseline))
            .collect();
        let Some(one) = first.difference.as_ref().and_then(|difference| self.points.get(difference.baseline))
        else {
            return String::new();
        };
        let shared = self
            .keys
            .iter()
            .enumerate()
            .filter(|&(i, _)| baselines.iter().all(|baseline| baseline.values[i] == one.values[i]));
        let shared: Vec<_> =
            shared.map(|(i, key)| format!("{} = {}", last_part(key), plain(&one.values[i]))).collect();
        shared.join(", ")
    }

    /// A chart of each main figure, and of each main difference, against the first key, a layer for each combination of the
    /// others, with the name of its file. With `paired` keys there is one layer.
    pub fn charts(&self, paired: bool) -> Vec<(String, Chart)> {
        let mut charts = Vec::new();
        let kinds: [(FiguresOf, &str); 2] =
            [(|point| &point.figures, ""), (SweepPointRow::differences, "-difference")];
        for (of, suffix) in kinds {
            let mains = self.points.first().into_iter().flat_map(of).filter(|figure| figure.main);
            charts.extend(mains.filter_map(|figure| {
                let mut chart = self.chart(figure, of, paired)?;
                if !suffix.is_empty() {
                    let baseline = self.points.first().map(|point| self.baseline_text(point));
                    chart.y.label = format!("difference of {}", chart.y.label);
                    chart.title = format!("{}, less that of {}", chart.title, baseline.unwrap_or_default());
                }
                Some((format!("{}{suffix}.svg", figure.name), chart))
            }));
        }
        charts
    }

    fn chart(&self, figure: &FigureRow, of: FiguresOf, paired: bool) -> Option<Chart> {
        let key = self.keys.first()?;
        let numeric = self.points.iter().all(|point| point.values[0].is_number());
        let mut names: Vec<String> = Vec::new();
        let mut series: Vec<(String, Vec<Dot>)> = Vec::new();
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
            let Some(mean) = of(point).iter().find(|row| row.name == figure.name)?.mean else { continue };
            let drawn = (x, mean.mean, mean.half_width);
            match series.iter_mut().find(|(known, _)| *known == label) {
                Some((_, points)) => points.push(drawn),
                None => series.push((label, vec![drawn])),
            }
        }
        let left_out = match series.len().saturating_sub(MOST_LAYERS) {
            0 => String::new(),
            n => format!(" ({n} further series left out)"),
        };
        let title = format!(
            "{}: {}, {} runs a point, {} % intervals{left_out}",
            self.name,
            figure.name,
            self.replications,
            significant_share(self.confidence)
        );
        let places = series.iter().flat_map(|(_, points)| points).map(|&(x, ..)| x);
        let (least, most) =
            places.fold((f64::INFINITY, 0.0_f64), |(least, most), x| (least.min(x), most.max(x)));
        let x = if numeric && least > 0.0 && most > WIDE * least {
            Axis::log(key, Unit::Number)
        } else if numeric {
            Axis { from: None, ..Axis::linear(key, Unit::Number) }
        } else {
            Axis::names(key, names)
        };
        let layers = series.into_iter().take(MOST_LAYERS).enumerate().map(|(colour, (label, mut points))| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Layer { label, colour, shape: Shape::Dots(points) }
        });
        let layers: Vec<Layer> = layers.collect();
        let ends = layers.iter().flat_map(|layer| layer.shape.points()).map(|(_, y)| y);
        let (low, high) =
            ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
        // From 0 where that costs less than half of the height.
        let from = Some(0.0).filter(|_| low >= 0.0 && low < high / 2.0);
        let y = Axis { from, ..Axis::linear(figure.name, Unit::Named(figure.unit.to_owned())) };
        (!layers.is_empty()).then(|| Chart { title, x, y, layers, marks: Vec::new() })
    }
}

/// The differences of a point from another.
fn compared(number: usize, point: &SweepPointRow) -> Option<&[FigureRow]> {
    let difference = point.difference.as_ref().filter(|difference| difference.baseline != number)?;
    Some(&difference.figures)
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn cell(figures: &[FigureRow], name: &str) -> String {
    let mean = figures.iter().find(|figure| figure.name == name).and_then(|figure| figure.mean);
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
