//! Parameters from whole servers: the rows of a table are simulated until their latencies are met.
//!
//! A row has few figures, each over hundreds of requests. How nearly a figure can be met differs: a mean TPOT is a mean
//! over all tokens, a p99 of TTFT hangs on a handful of requests.

use std::path::Path;

use kendall_calibrate::{Guess, Match, Simulate, Target, Untold, match_latencies};
use kendall_serving::RequestSpec;
use kendall_serving::catalog::{Profile, ProfileRange};
use kendall_serving::step_time::roofline::Efficiencies;
use kendall_validate::{
    Condition, Metric, Peers, RowResult, SUMMARISED, Session, Skipped, StepTimeChoice, Table, median,
    sessions, simulate, validate_sessions,
};
use serde::Serialize;

use super::calibrate_requests::range_of;

/// The figures that are met, with the relative error of each that counts as much as the others': the bounds that the
/// project sets itself for calibrated servers.
const MATCHED: [(Metric, f64); 4] =
    [(Metric::TtftMean, 0.10), (Metric::TtftP99, 0.20), (Metric::TpotMean, 0.04), (Metric::E2eMean, 0.04)];

/// Latencies that differ by more than this factor (as a logarithm) are no matter of parameters.
const HOPELESS_RMS: f64 = 2.0;

/// A parameter further than this factor from its first guess is of no server.
const FARTHEST: f64 = 100.0;

/// The rows of one kind of server: those to fit, and those to hold out.
pub(super) struct Rows {
    /// All rows of that kind.
    pub table: Table,
    /// Places of the rows to fit, in the table.
    pub fitted: Vec<usize>,
    /// What the servers of those rows were sent.
    pub of_fit: Vec<Session>,
    held_out: Vec<usize>,
    others: Vec<Result<Session, Skipped>>,
}

impl Rows {
    /// The rows that meet `conditions`, and the others of the same kind of server that meet `kept_back`.
    pub(super) fn select(
        path: &Path,
        conditions: &[Condition],
        kept_back: &[Condition],
    ) -> Result<Self, String> {
        let all = Table::of_servers(path).map_err(|error| error.to_string())?;
        let wanted = all.rows_where(conditions).map_err(|error| error.to_string())?;
        for &row in &wanted {
            if let Some((column, first, other)) = all.differs(wanted[0], row) {
                return Err(format!(
                    "{}: rows of different servers, `{first}` and `{other}` in column {column}: a profile is of one; choose \
                     with --where {column}=VALUE",
                    path.display()
                ));
            }
        }
        let held = all.rows_where(kept_back).map_err(|error| error.to_string())?;
        let same: Vec<usize> = (0..all.len()).filter(|&row| all.differs(wanted[0], row).is_none()).collect();
        let place_of = |row: &usize| same.iter().position(|same| same == row);
        let wanted: Vec<usize> = wanted.iter().filter_map(place_of).collect();
        let held_out = held.iter().filter_map(place_of).filter(|row| !wanted.contains(row)).collect();
        Self::of_kind(all.of_rows(&same), wanted, held_out)
    }

    fn of_kind(table: Table, mut wanted: Vec<usize>, held_out: Vec<usize>) -> Result<Self, String> {
        let (mut of_fit, mut others) = (Vec::new(), Vec::new());
        for session in sessions(&table) {
            match session {
                Err(Skipped { rows, reason }) => {
                    if let Some(row) = rows.iter().find(|row| wanted.contains(row)) {
                        return Err(not_simulated(&table, *row, &reason));
                    }
                    others.push(Err(Skipped { rows, reason }));
                }
                Ok(session) => {
                    let has_stage = session.stages.iter().any(|stage| wanted.contains(&stage.row));
                    let has_summary = session.summaries.iter().any(|row| wanted.contains(row));
                    if has_stage {
                        // A row over all stages repeats them.
                        wanted.retain(|row| !session.summaries.contains(row));
                    }
                    if has_stage || has_summary {
                        of_fit.push(session);
                    } else {
                        others.push(Ok(session));
                    }
                }
            }
        }
        Ok(Self { table, fitted: wanted, of_fit, held_out, others })
    }
}

fn not_simulated(table: &Table, row: usize, reason: &str) -> String {
    let (experiment, stage) = (table.cell(row, "experiment"), table.cell(row, "stage"));
    format!(
        "{}: experiment `{experiment}`, stage `{stage}` cannot be simulated: {reason}; mend the row, or choose others with \
         --where COLUMN=VALUE",
        table.path().display()
    )
}

/// Where a fit begins: a profile, and the parameters of it that are to be found.
pub(super) struct Start {
    pub template: Profile,
    pub guesses: Vec<Guess>,
}

impl Start {
    fn with(&self, values: &[f64]) -> Result<Profile, String> {
        let mut profile = self.template.clone();
        for (guess, &value) in self.guesses.iter().zip(values) {
            if !(guess.value / FARTHEST..=guess.value * FARTHEST).contains(&value) {
                return Err(format!(
                    "{} would have to be {value:.3e}, and no server is so far from {:.3e}: check the units of the table, \
                     whose latencies are seconds",
                    guess.name, guess.value
                ));
            }
            if !profile.set(&guess.name, value) {
                return Err(format!("{} is no parameter of the profile", guess.name));
            }
        }
        Ok(profile)
    }
}

/// A fit to rows.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RowsFit {
    /// The parameters with their errors.
    pub matched: Match,
    /// What the rows do not tell of them.
    pub untold: Untold,
    /// Errors by figure.
    pub errors: Vec<FigureErrors>,
    /// The rows that were fitted.
    pub fitted: Vec<RowResult>,
    /// Rows of the same kind of server that were not.
    pub hold_out: Vec<RowResult>,
    /// Where the fitted rows lie.
    pub range: ProfileRange,
    /// The profile with the parameters that were found.
    #[serde(skip)]
    pub profile: Profile,
}

/// How well a figure is met.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct FigureErrors {
    /// Its name.
    pub figure: &'static str,
    /// Over the rows fitted; absent if none has it.
    pub fitted: Option<Spread>,
    /// Over the rows held out.
    pub hold_out: Option<Spread>,
}

/// Absolute relative errors over rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    /// Rows.
    pub rows: usize,
    /// Median (%).
    pub median_percent: f64,
    /// Largest (%).
    pub worst_percent: f64,
}

/// Finds the parameters under which the simulated rows are nearest to the measured ones. Every number of the result is
/// of the profile after `finish`, which rounds it to what will be written.
pub(super) fn fit_rows(rows: &Rows, start: &Start, finish: impl Fn(&mut Profile)) -> Result<RowsFit, String> {
    for session in &rows.of_fit {
        let first = session.stages.first().map(|stage| stage.row).or(session.summaries.first().copied());
        if let Some(row) = first.filter(|_| !session.server.is_of(&start.template)) {
            let reason = "a profile is of the weights as published and of one kind of scheduling, and this server has others";
            return Err(not_simulated(&rows.table, row, reason));
        }
    }
    let figures = |row: &usize| {
        let of_row = rows.table.figures(*row);
        MATCHED.map(|(metric, tolerance)| Target { seconds: of_row.get(metric), tolerance })
    };
    let targets: Vec<Target> = rows.fitted.iter().flat_map(figures).collect();
    let mut simulator = Simulator { rows, start, sessions: rows.of_fit.iter().cloned().map(Ok).collect() };
    let matched = match_latencies(&targets, &start.guesses, &mut simulator).map_err(|error| {
        let columns = MATCHED.map(|(metric, _)| metric.name()).join(", ");
        format!("{}: {error} (the figures are {columns})", rows.table.path().display())
    })?;
    if matched.rms > HOPELESS_RMS {
        return Err(format!(
            "{}: simulated and measured latencies differ by a factor of {:.1e}, whatever the parameters: check the units of the \
             table, whose latencies are seconds, and the loads of its rows",
            rows.table.path().display(),
            libm::exp(matched.rms)
        ));
    }
    let values: Vec<f64> = matched.parameters.iter().map(|parameter| parameter.value).collect();
    let mut profile = start.with(&values)?;
    finish(&mut profile);
    let (fitted, hold_out) = compared(rows, &profile);
    let errors = SUMMARISED.map(|metric| FigureErrors {
        figure: metric.name(),
        fitted: spread(&fitted, metric),
        hold_out: spread(&hold_out, metric),
    });
    Ok(RowsFit {
        untold: matched.untold(&start.guesses),
        matched,
        errors: errors.into_iter().filter(|of| of.fitted.is_some() || of.hold_out.is_some()).collect(),
        fitted,
        hold_out,
        range: range(rows, &profile)?,
        profile,
    })
}

/// The rows to fit as one simulator.
struct Simulator<'a> {
    rows: &'a Rows,
    start: &'a Start,
    sessions: Vec<Result<Session, Skipped>>,
}

impl Simulate for Simulator<'_> {
    fn simulate(&mut self, values: &[f64]) -> Result<Vec<Option<f64>>, String> {
        let profile = self.start.with(values)?;
        let simulated = of_profile(&self.rows.table, &self.sessions, &profile);
        let mut latencies = Vec::new();
        for &row in &self.rows.fitted {
            let found = simulated.iter().find(|result| result.row == row);
            let found = found.ok_or_else(|| not_simulated(&self.rows.table, row, "it has no result"))?;
            if let Some(reason) = &found.reason {
                return Err(not_simulated(&self.rows.table, row, reason));
            }
            latencies.extend(MATCHED.map(|(metric, _)| Some(found.metrics.get(metric.name())?.predicted)));
        }
        Ok(latencies)
    }
}

fn of_profile(table: &Table, sessions: &[Result<Session, Skipped>], profile: &Profile) -> Vec<RowResult> {
    let choice = StepTimeChoice::of(std::slice::from_ref(profile));
    validate_sessions(table, sessions, &Peers::default(), choice, Efficiencies::built_in()).rows
}

/// Rows fitted and rows held out.
fn compared(rows: &Rows, profile: &Profile) -> (Vec<RowResult>, Vec<RowResult>) {
    let sessions: Vec<_> = rows.of_fit.iter().cloned().map(Ok).chain(rows.others.iter().cloned()).collect();
    let all = of_profile(&rows.table, &sessions, profile);
    let pick = |places: &[usize]| all.iter().filter(|row| places.contains(&row.row)).cloned().collect();
    let hold_out: Vec<RowResult> = pick(&rows.held_out);
    // A row over all stages repeats them.
    (pick(&rows.fitted), hold_out.into_iter().filter(|row| row.counted || row.reason.is_some()).collect())
}

fn spread(rows: &[RowResult], metric: Metric) -> Option<Spread> {
    let error = |row: &RowResult| row.metrics.get(metric.name())?.error_pct.map(f64::abs);
    let errors: Vec<f64> = rows.iter().filter_map(error).collect();
    let worst_percent = errors.iter().copied().fold(0.0, f64::max);
    Some(Spread { rows: errors.len(), worst_percent, median_percent: median(errors)? })
}

/// Where the fitted rows lie.
fn range(rows: &Rows, profile: &Profile) -> Result<ProfileRange, String> {
    let choice = StepTimeChoice::of(std::slice::from_ref(profile));
    let (mut most_running, mut budget) = (1, None);
    let mut specs: Vec<&RequestSpec> = Vec::new();
    for session in &rows.of_fit {
        let replay = simulate(session, choice, Efficiencies::built_in(), usize::MAX)?;
        most_running = most_running.max(u64::from(replay.most_running));
        let (config, _) = session.server.config(choice, Efficiencies::built_in())?;
        budget = budget.max(Some(u64::from(config.engine.max_num_batched_tokens)));
        specs.extend(session.load.requests.iter().map(|(_, spec)| spec));
    }
    Ok(range_of(specs.into_iter(), most_running, budget))
}
