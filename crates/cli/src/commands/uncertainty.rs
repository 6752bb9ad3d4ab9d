//! `--parameter-uncertainty`: what the errors of the step times' parameters add to an answer.
//!
//! Every draw of the parameters meets the same requests as the first replication, so that what differs between draws is
//! the parameters and not the customers.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use kendall_serving::scenario::{ParameterUncertainty, Resolved};
use kendall_study::{Estimate, Extent, FIGURES, Figure, Replications, Setting, Workers, replicate};
use serde_json::json;

use crate::exit::Failure;
use crate::progress::{Counts, StudyProgress, interrupt_flag};
use crate::scenario_file::ScenarioFile;
use crate::study::{ScenarioWorkloads, failure, setting};

/// What a run's draws need.
pub(crate) struct RunDraws<'a> {
    pub file: &'a ScenarioFile,
    pub resolved: &'a Resolved,
    pub workloads: &'a ScenarioWorkloads<'a>,
    pub done: &'a Replications,
    pub workers: &'a Workers,
    pub draws: u32,
    pub seed: u64,
    pub confidence: f64,
}

/// One figure with both kinds of error.
struct Row {
    figure: &'static Figure,
    mean: f64,
    /// Half-width of the interval of the mean over replications.
    sampling: f64,
    /// Half-width of the interval that holds the share `confidence` of the draws.
    parameters: f64,
}

impl Row {
    /// Independent errors add as squares.
    fn both(&self) -> f64 {
        libm::hypot(self.sampling, self.parameters)
    }
}

/// What draws of the parameters say about a run.
pub(crate) struct RunUncertainty {
    words: String,
    draws: u32,
    confidence: f64,
    rows: Vec<Row>,
}

/// What is known of the parameters, or why nothing is.
pub(super) fn known(resolved: &Resolved) -> Result<ParameterUncertainty, Failure> {
    ParameterUncertainty::of(&resolved.step_time).ok_or_else(|| {
        Failure::Invalid(
            "--parameter-uncertainty: nothing is known of the errors of these step times: use a profile that `kendall calibrate \
             --out` wrote (server.profile), or name gpu and model without step_time"
                .into(),
        )
    })
}

/// Plays the first replication under draws of the parameters.
pub(crate) fn run_uncertainty(of: &RunDraws<'_>) -> Result<RunUncertainty, Failure> {
    let uncertainty = known(of.resolved)?;
    let base = setting(of.file, of.resolved);
    let progress = StudyProgress::new(Counts::Runs, None, true, interrupt_flag());
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); FIGURES.len()];
    for draw in 0..of.draws {
        let simulation = uncertainty.draw(&base.simulation, of.seed, draw);
        let setting = Setting { simulation, ..base.clone() };
        let run = replicate(&setting, of.workloads, Extent::Fixed(1), of.confidence, of.workers, &progress)
            .map_err(|error| failure(of.file, error))?;
        for (figure, values) in values.iter_mut().enumerate() {
            values.extend(run.runs.iter().filter_map(|run| *run.values.get(figure)?));
        }
    }
    let rows =
        FIGURES.iter().zip(&values).filter(|(figure, _)| figure.main).filter_map(|(figure, values)| {
            let sampling = of.done.estimate(figure, of.confidence)?;
            Some(Row {
                figure,
                mean: sampling.mean,
                sampling: sampling.half_width?,
                parameters: spread(values, of.confidence)?,
            })
        });
    Ok(RunUncertainty {
        words: uncertainty.words(),
        draws: of.draws,
        confidence: of.confidence,
        rows: rows.collect(),
    })
}

/// Half of the central interval of a normal distribution with the draws' standard deviation, which is known as well as
/// their number allows (Student's t). `None` of fewer than two.
fn spread(values: &[f64], confidence: f64) -> Option<f64> {
    let of_mean = Estimate::of(values, confidence)?.half_width?;
    Some(of_mean * libm::sqrt(values.len() as f64))
}

impl RunUncertainty {
    pub(crate) fn to_text(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["figure", "unit", "mean", "+/- sampling", "+/- parameters", "+/- both"]);
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for row in &self.rows {
            let mut cells = vec![row.figure.name.to_owned(), row.figure.unit.to_owned()];
            let numbers = [row.mean, row.sampling, row.parameters, row.both()];
            cells.extend(numbers.map(|number| format!("{number:.3}")));
            table.add_row(cells);
        }
        let mut text = String::new();
        let _ = writeln!(
            text,
            "\nParameters: {}; {} draws, half-widths at {} % confidence",
            self.words,
            self.draws,
            100.0 * self.confidence
        );
        let _ = writeln!(text, "{}", table.trim_fmt());
        text
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let figures: serde_json::Map<_, _> = self
            .rows
            .iter()
            .map(|row| {
                let value = json!({
                    "mean": row.mean,
                    "sampling_half_width": row.sampling,
                    "parameter_half_width": row.parameters,
                    "half_width": row.both(),
                });
                (row.figure.name.to_owned(), value)
            })
            .collect();
        json!({ "source": self.words, "draws": self.draws, "confidence": self.confidence, "figures": figures })
    }
}
