//! Rows with what was measured and what was simulated, and their summary.

use std::collections::{BTreeMap, BTreeSet};

use kendall_serving::step_time::roofline::Efficiencies;
use rayon::prelude::*;
use serde::Serialize;

use crate::figures::{Figures, METRICS, Metric, SUMMARISED, median};
use crate::peers::Peers;
use crate::replay::{Replay, simulate};
use crate::server::StepTimeChoice;
use crate::session::{Session, Skipped, is_summary, sessions};
use crate::table::{Cells, Table};

/// One figure of one row. Seconds, requests a second, counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// What was measured; absent where the row does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
    /// What the simulation says.
    pub predicted: f64,
    /// Signed error in percent of the measured value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_pct: Option<f64>,
    /// What other simulators predicted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub peers: BTreeMap<String, f64>,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowResult {
    /// Its place in the table, from 0.
    #[serde(skip)]
    pub row: usize,
    /// The experiment.
    pub experiment: String,
    /// The stage.
    pub stage: String,
    /// The GPU, by its name in the catalogue where it is known.
    pub gpu: String,
    /// The model, by its name in the catalogue where it is known.
    pub model: String,
    /// GPUs that share the model.
    pub tensor_parallel_size: u32,
    /// What it was asked.
    pub workload: String,
    /// How: open or closed loop.
    pub load: String,
    /// Whether the summary counts it: not if it was not simulated, nor if it repeats its stages.
    pub counted: bool,
    /// Why it was not simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Origin of the step times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_time: Option<String>,
    /// What was assumed where the row is silent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Figures by name, in seconds, requests a second and counts; empty if it was not simulated.
    pub metrics: BTreeMap<&'static str, Compared>,
}

/// The error of one figure over a group of rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SummaryLine {
    /// `all`, or a column with its value: `gpu=A10G`.
    pub group: String,
    /// The figure.
    pub metric: &'static str,
    /// Rows that have it.
    pub n: usize,
    /// Median of absolute errors in percent.
    pub median_ape: f64,
    /// Mean of absolute errors in percent.
    pub mean_ape: f64,
}

/// A table with its simulations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validation {
    /// Errors by group and figure; the group `all` comes first.
    pub summary: Vec<SummaryLine>,
    /// Rows of the table, in its order.
    pub rows: Vec<RowResult>,
}

/// Simulates every row of a table. Sessions are simulated in parallel; the result does not depend on the threads.
pub fn validate(
    table: &Table,
    peers: &Peers,
    choice: StepTimeChoice<'_>,
    efficiencies: &Efficiencies,
) -> Validation {
    validate_sessions(table, &sessions(table), peers, choice, efficiencies)
}

/// As [`validate`], of these sessions of the table alone.
pub fn validate_sessions(
    table: &Table,
    sessions: &[Result<Session, Skipped>],
    peers: &Peers,
    choice: StepTimeChoice<'_>,
    efficiencies: &Efficiencies,
) -> Validation {
    let replays: Vec<Result<Replay, String>> = sessions
        .par_iter()
        .map(|session| match session {
            Ok(session) => simulate(session, choice, efficiencies, usize::MAX),
            Err(Skipped { reason, .. }) => Err(reason.clone()),
        })
        .collect();
    let mut rows: Vec<Option<RowResult>> = vec![None; table.len()];
    for (session, replay) in sessions.iter().zip(&replays) {
        match (session, replay) {
            (Ok(session), Ok(replay)) => compare(table, session, replay, peers, &mut rows),
            (Ok(session), Err(reason)) => {
                let of_session =
                    session.stages.iter().map(|stage| stage.row).chain(session.summaries.iter().copied());
                skip(table, of_session, reason, &mut rows);
            }
            (Err(skipped), _) => skip(table, skipped.rows.iter().copied(), &skipped.reason, &mut rows),
        }
    }
    let rows: Vec<RowResult> = rows.into_iter().flatten().collect();
    Validation { summary: summary(&rows), rows }
}

fn skip(
    table: &Table,
    of_session: impl Iterator<Item = usize>,
    reason: &str,
    rows: &mut [Option<RowResult>],
) {
    for row in of_session {
        rows[row] = Some(RowResult { reason: Some(reason.to_owned()), ..named(table.row(row)) });
    }
}

/// A row without results.
fn named(cells: Cells<'_>) -> RowResult {
    RowResult {
        row: cells.index,
        experiment: cells.text("experiment").to_owned(),
        stage: cells.text("stage").to_owned(),
        gpu: cells.text("gpu").to_owned(),
        model: cells.text("model").to_owned(),
        tensor_parallel_size: cells.count("tp").unwrap_or(1),
        workload: cells.text("workload_kind").to_owned(),
        load: cells.text("load_mode").to_owned(),
        counted: false,
        reason: None,
        step_time: None,
        notes: Vec::new(),
        metrics: BTreeMap::new(),
    }
}

fn compare(table: &Table, session: &Session, replay: &Replay, peers: &Peers, rows: &mut [Option<RowResult>]) {
    let result = |row: usize, figures: &Figures, counted: bool| {
        let cells = table.row(row);
        let named = named(cells);
        let measured = Figures::measured(cells);
        let compared = |metric: Metric| {
            let predicted = figures.get(metric)?;
            let measured = measured.get(metric);
            let error_pct =
                measured.filter(|&measured| measured > 0.0).map(|m| 100.0 * (predicted / m - 1.0));
            let peers = peers.of(&named.experiment, &named.stage, metric);
            Some((metric.name(), Compared { measured, predicted, error_pct, peers }))
        };
        RowResult {
            gpu: session.server.gpu.name.clone(),
            model: session.server.model.name.clone(),
            counted,
            step_time: Some(replay.step_time.clone()),
            notes: session.notes.clone(),
            metrics: METRICS.into_iter().filter_map(compared).collect(),
            ..named
        }
    };
    for stage in &session.stages {
        let figures = Figures::simulated(replay.records.iter().filter(|record| record.stage == stage.number));
        rows[stage.row] = Some(result(stage.row, &figures, true));
    }
    let figures = Figures::simulated(replay.records.iter());
    for &row in &session.summaries {
        // A summary repeats the stages of the table: it counts only if they are not there.
        rows[row] = Some(result(row, &figures, session.stages.is_empty() && is_summary(table.row(row))));
    }
}

/// Absolute error in percent.
pub fn ape_percent(predicted: f64, measured: f64) -> f64 {
    100.0 * (predicted / measured - 1.0).abs()
}

/// Reads what rows are grouped by.
type Column = fn(&RowResult) -> &str;

fn summary(rows: &[RowResult]) -> Vec<SummaryLine> {
    let counted: Vec<&RowResult> = rows.iter().filter(|row| row.counted).collect();
    let mut lines = lines("all", &counted);
    let groups: [(&str, Column); 4] = [
        ("gpu", |row| &row.gpu),
        ("model", |row| &row.model),
        ("workload", |row| &row.workload),
        ("load", |row| row.load.split([' ', ':']).next().unwrap_or_default()),
    ];
    for (column, value) in groups {
        let values: BTreeSet<&str> = counted.iter().map(|row| value(row)).collect();
        for name in values {
            let of_group: Vec<&RowResult> =
                counted.iter().filter(|row| value(row) == name).copied().collect();
            lines.extend(self::lines(&format!("{column}={name}"), &of_group));
        }
    }
    lines
}

fn lines(group: &str, rows: &[&RowResult]) -> Vec<SummaryLine> {
    let line = |metric: Metric| {
        let error = |row: &&RowResult| row.metrics.get(metric.name())?.error_pct.map(f64::abs);
        let errors: Vec<f64> = rows.iter().filter_map(error).collect();
        let (n, mean_ape) = (errors.len(), errors.iter().sum::<f64>() / errors.len() as f64);
        let median_ape = median(errors)?;
        Some(SummaryLine { group: group.to_owned(), metric: metric.name(), n, median_ape, mean_ape })
    };
    SUMMARISED.into_iter().filter_map(line).collect()
}
