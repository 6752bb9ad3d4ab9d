//! Evaluates a file of reference values: each entry names a model, its parameters and a metric, and says what the answer is.

mod arrivals_refused;
mod batching;
mod decisions;
mod expression;
mod general_service;
mod many_servers;
mod params;
mod samples;
mod single_server;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::queueing::QueueingError;
use params::Params;

/// Values below this are compared with an absolute tolerance.
const SMALL: f64 = 1e-6;

/// A reference value.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// Name within the file.
    pub id: String,
    /// The model, for instance `mmc`.
    pub model: String,
    /// Its parameters, by the names of the formula.
    pub params: Map<String, Value>,
    /// What is asked of the model, for instance `wait_p95`.
    pub metric: String,
    /// The answer.
    pub value: f64,
    /// Relative error allowed; 0 asks for exactly this number.
    pub tolerance: f64,
}

/// Why an entry has no value of ours.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluationError {
    /// No such model here.
    #[error("no model `{0}`")]
    UnknownModel(String),
    /// The model does not answer this.
    #[error("model `{model}` has no metric `{metric}` for these parameters")]
    UnknownMetric {
        /// The model.
        model: String,
        /// The metric asked for.
        metric: String,
    },
    /// A parameter is missing or of the wrong type.
    #[error("parameter `{name}` {problem}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The model has no answer for these parameters.
    #[error(transparent)]
    Queueing(#[from] QueueingError),
}

/// Why a file is not a file of reference values.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not JSON, or not a list.
    #[error("not a JSON list of entries: {0}")]
    Json(#[from] serde_json::Error),
    /// An entry without the fields of one.
    #[error("entry {position} ({id}): {error}")]
    Entry {
        /// Its place in the list, from 1.
        position: usize,
        /// Its id, if it has one.
        id: String,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// How an entry compares.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Within the tolerance.
    Agreed,
    /// Outside of it.
    Disagreed {
        /// Our value.
        ours: f64,
    },
    /// The model or metric exists, and refused the parameters: counted as a disagreement.
    Refused {
        /// The reason.
        error: EvaluationError,
    },
    /// No such model or metric here.
    Unsupported {
        /// Which.
        error: EvaluationError,
    },
}

/// Numbers of entries by verdict; refusals count as disagreements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Within the tolerance.
    pub agreed: usize,
    /// Outside of it, or refused.
    pub disagreed: usize,
    /// Without a model or metric.
    pub unsupported: usize,
}

impl Counts {
    /// All entries.
    pub fn entries(&self) -> usize {
        self.agreed + self.disagreed + self.unsupported
    }

    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Agreed => self.agreed += 1,
            Verdict::Disagreed { .. } | Verdict::Refused { .. } => self.disagreed += 1,
            Verdict::Unsupported { .. } => self.unsupported += 1,
        }
    }
}

/// All entries of a file with their verdicts.
#[derive(Debug)]
pub struct Report {
    /// In the order of the file.
    pub results: Vec<(Entry, Verdict)>,
}

impl Report {
    /// Totals.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.results.iter().for_each(|(_, verdict)| counts.add(verdict));
        counts
    }

    /// Totals by model, by name.
    pub fn by_model(&self) -> BTreeMap<&str, Counts> {
        let mut models: BTreeMap<&str, Counts> = BTreeMap::new();
        for (entry, verdict) in &self.results {
            models.entry(&entry.model).or_default().add(verdict);
        }
        models
    }
}

/// Reads and evaluates the text of a file.
///
/// # Errors
/// When it is not JSON, or an entry lacks a field; the message names the entry.
pub fn check_file(text: &str) -> Result<Report, FileError> {
    let values: Vec<Value> = serde_json::from_str(text)?;
    let mut results = Vec::with_capacity(values.len());
    for (at, value) in values.into_iter().enumerate() {
        let id = value.get("id").and_then(Value::as_str).unwrap_or("without an id").to_owned();
        let entry: Entry = serde_json::from_value(value).map_err(|error| FileError::Entry {
            position: at + 1,
            id,
            error,
        })?;
        let verdict = judge(&entry);
        results.push((entry, verdict));
    }
    Ok(Report { results })
}

/// Evaluates and compares one entry: `|ours - value| <= tolerance max(|value|, 1e-6)`, or 1e-9 when the value is 0, or
/// equality when the tolerance is 0.
pub fn judge(entry: &Entry) -> Verdict {
    match evaluate(entry) {
        Ok(ours) => {
            let allowed = if entry.tolerance > 0.0 && entry.value == 0.0 {
                1e-9
            } else {
                entry.tolerance * entry.value.abs().max(SMALL)
            };
            if (ours - entry.value).abs() <= allowed { Verdict::Agreed } else { Verdict::Disagreed { ours } }
        }
        Err(error @ (EvaluationError::UnknownModel(_) | EvaluationError::UnknownMetric { .. })) => {
            Verdict::Unsupported { error }
        }
        Err(error) => Verdict::Refused { error },
    }
}

/// Our value for an entry.
///
/// # Errors
/// When there is no such model or metric, or the parameters are missing or outside the model's domain.
pub fn evaluate(entry: &Entry) -> Result<f64, EvaluationError> {
    let question =
        Question { model: &entry.model, metric: &entry.metric, params: Params::new(&entry.params) };
    let groups = [
        single_server::evaluate,
        general_service::evaluate,
        many_servers::evaluate,
        arrivals_refused::evaluate,
        decisions::evaluate,
        samples::evaluate,
        batching::evaluate,
    ];
    for group in groups {
        match group(&question) {
            Some(Ok(value)) if !value.is_finite() => {
                return Err(
                    QueueingError::NotApplicable("the value is not finite in double precision").into()
                );
            }
            Some(answer) => return answer,
            None => {}
        }
    }
    Err(EvaluationError::UnknownModel(entry.model.clone()))
}

/// An answer, or None from a group that does not have the model.
type Answer = Option<Result<f64, EvaluationError>>;

/// What an entry asks.
struct Question<'a> {
    model: &'a str,
    metric: &'a str,
    params: Params<'a>,
}

impl Question<'_> {
    fn unknown_metric<T>(&self) -> Result<T, EvaluationError> {
        Err(EvaluationError::UnknownMetric { model: self.model.into(), metric: self.metric.into() })
    }

    /// The level of a metric such as `wait_p95`, after its `wait_p`: 95 is 0.95, 99.9 and 999 are 0.999.
    fn level(&self, prefix: &str) -> Option<f64> {
        let digits = self.metric.strip_prefix(prefix)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return None;
        }
        let number: f64 = digits.parse().ok()?;
        let level = if number > 100.0 { format!("0.{digits}").parse().ok()? } else { number / 100.0 };
        (level > 0.0 && level < 1.0).then_some(level)
    }

    /// The number in a metric such as `mean_wait_2` or `p8`.
    fn numbered(&self, prefix: &str) -> Option<usize> {
        self.metric.strip_prefix(prefix)?.parse().ok()
    }
}
