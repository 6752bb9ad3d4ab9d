//! Which rows one server ran one after another: the stages of an experiment, and the rates of a replayed file.

use std::collections::BTreeMap;

use crate::recorded::Recording;
use crate::requests::{Load, load};
use crate::server::MeasuredServer;
use crate::table::{Cells, Table};

/// One stage of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Row of the table, from 0.
    pub row: usize,
    /// Number of the stage in the session's file, or among its rows.
    pub number: usize,
}

/// A server with everything that it was sent.
#[derive(Debug, Clone)]
pub struct Session {
    /// The server.
    pub server: MeasuredServer,
    /// What it was sent.
    pub load: Load,
    /// Its stages.
    pub stages: Vec<Stage>,
    /// Rows over all stages.
    pub summaries: Vec<usize>,
    /// What was assumed where the row is silent.
    pub notes: Vec<String>,
}

/// Rows of one server that cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The rows, from 0.
    pub rows: Vec<usize>,
    /// Why.
    pub reason: String,
}

/// The sessions of a table, in the order of their first rows.
pub fn sessions(table: &Table) -> Vec<Result<Session, Skipped>> {
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for row in 0..table.len() {
        let next = groups.len();
        let group = *place.entry(key(table.row(row), row)).or_insert(next);
        if group == next {
            groups.push(Vec::new());
        }
        groups[group].push(row);
    }
    let of_group = |rows: Vec<usize>| session(table, &rows).map_err(|reason| Skipped { rows, reason });
    groups.into_iter().map(of_group).collect()
}

/// What rows of one session have in common. A file whose arrivals are in units of the mean gap was replayed at several rates on one
/// server; every other experiment had a server of its own.
fn key(cells: Cells<'_>, row: usize) -> String {
    let experiment = cells.text("experiment");
    if experiment.is_empty() {
        return format!("row {row}");
    }
    if !is_replayed_at_rates(cells) {
        return format!("experiment {experiment}");
    }
    ["request_trace", "gpu", "model", "tp", "engine_version", "max_num_seqs", "kv_blocks", "gpu_mem_util"]
        .map(|column| cells.text(column))
        .join("|")
}

fn is_replayed_at_rates(cells: Cells<'_>) -> bool {
    cells.text("prefix_note").contains("replayed at each rate on one server")
}

fn session(table: &Table, rows: &[usize]) -> Result<Session, String> {
    let (summaries, mut stages): (Vec<usize>, Vec<usize>) =
        rows.iter().partition(|&&row| is_summary(table.row(row)));
    let first = table.row(*stages.first().or(summaries.first()).ok_or("no row")?);
    let server = MeasuredServer::of(first)?;
    if is_replayed_at_rates(first) {
        // Collectors went from the lowest rate to the highest.
        let rate = |row: &usize| table.row(*row).amount("rate_rps").unwrap_or(f64::INFINITY);
        stages.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
    } else {
        stages.sort_by_key(|&row| stage_number(table.row(row)).unwrap_or(row));
    }
    let (recording, mut notes) = Recording::of(first);
    let has_stages = recording.as_ref().is_some_and(Recording::has_stages);
    let number = |(place, &row): (usize, &usize)| Stage {
        row,
        number: stage_number(table.row(row)).filter(|_| has_stages).unwrap_or(place),
    };
    let stages: Vec<Stage> = stages.iter().enumerate().map(number).collect();
    // A lone summary is simulated as if it were a stage.
    let sent: Vec<(usize, Cells<'_>)> = if stages.is_empty() {
        summaries.iter().map(|&row| (0, table.row(row))).collect()
    } else {
        stages.iter().map(|stage| (stage.number, table.row(stage.row))).collect()
    };
    let load = load(&sent, recording.as_ref(), &mut notes)?;
    Ok(Session { server, load, stages, summaries, notes })
}

/// Whether a row sums up the stages of its experiment.
pub(crate) fn is_summary(cells: Cells<'_>) -> bool {
    cells.text("row_kind") == "summary" || cells.text("stage") == "all"
}

fn stage_number(cells: Cells<'_>) -> Option<usize> {
    cells.text("stage").parse().ok()
}
