//! Each figure as the simulation gives it, with its interval, and as each model does, with its error.

use kendall_study::{Estimate, FIGURES, Replications};
use serde_json::{Value, json};

use super::answer::Answers;

/// One figure.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    /// The mean over replications; `None` without a simulation.
    pub simulated: Option<Estimate>,
    /// By model, in the order of the answers.
    pub predicted: Vec<Option<f64>>,
}

/// All figures that a model answers.
#[derive(Debug, Clone)]
pub(super) struct Comparison {
    pub models: Vec<&'static str>,
    pub rows: Vec<Row>,
}

impl Comparison {
    pub(super) fn of(answers: &Answers, simulated: Option<&Replications>, confidence: f64) -> Self {
        let rows = FIGURES.iter().filter_map(|figure| {
            let predicted: Vec<Option<f64>> = answers
                .answers
                .iter()
                .map(|answer| {
                    answer.figures.iter().find(|(name, _)| *name == figure.name).map(|(_, value)| *value)
                })
                .collect();
            predicted.iter().any(Option::is_some).then(|| Row {
                name: figure.name,
                unit: figure.unit,
                simulated: simulated.and_then(|runs| runs.estimate(figure, confidence)),
                predicted,
            })
        });
        Self { rows: rows.collect(), models: answers.answers.iter().map(|answer| answer.model).collect() }
    }

    pub(super) fn to_json(&self) -> Value {
        let figures: serde_json::Map<String, Value> = self
            .rows
            .iter()
            .map(|row| {
                let models: serde_json::Map<String, Value> = self
                    .models
                    .iter()
                    .zip(&row.predicted)
                    .map(|(model, value)| {
                        let error =
                            value.zip(row.simulated).and_then(|(value, found)| relative(value, found));
                        ((*model).to_owned(), json!({ "value": value, "relative_error": error }))
                    })
                    .collect();
                let figure = json!({ "unit": row.unit, "simulated": row.simulated, "models": models });
                (row.name.to_owned(), figure)
            })
            .collect();
        figures.into()
    }
}

/// Error of a model relative to the simulation; `None` where the simulation gives nothing to divide by.
pub(super) fn relative(value: f64, simulated: Estimate) -> Option<f64> {
    (simulated.mean.abs() > 1e-12).then(|| value / simulated.mean - 1.0)
}

/// Whether a value lies within the simulation's interval.
pub(super) fn within(value: f64, simulated: Estimate) -> Option<bool> {
    Some((value - simulated.mean).abs() <= simulated.half_width?)
}
