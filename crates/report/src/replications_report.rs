//! What several replications of one scenario say.

use std::fmt::Write as _;

use kendall_serving::scenario::Resolved;
use serde_json::{Map, Value, json};

use crate::estimates::{self, FigureRow, significant_share};
use crate::number::whole;

/// The replications of one scenario.
pub struct ReplicationsReport<'a> {
    /// Version of kendall.
    pub kendall_version: &'a str,
    /// Name of the scenario.
    pub name: &'a str,
    /// What was served.
    pub what: String,
    /// Seed of the random numbers.
    pub seed: u64,
    /// The server.
    pub resolved: &'a Resolved,
    /// How many runs there were.
    pub replications: u32,
    /// Of antithetic pairs, some figures with the half-width of their interval over that of as many independent runs; `None` of
    /// independent replications.
    pub antithetic: Option<Vec<(&'static str, f64)>>,
    /// Confidence of the intervals.
    pub confidence: f64,
    /// The wanted relative half-width and whether it was reached.
    pub precision: Option<(f64, bool)>,
    /// Number of runs in which a replica could make no progress.
    pub stalled: usize,
    /// `stable`, `near capacity`, `overloaded`, `transient` or `bounded`.
    pub verdict: &'static str,
    /// What the verdict rests on.
    pub reason: String,
    /// The figures.
    pub figures: Vec<FigureRow>,
    /// What a reader must know before using them.
    pub warnings: Vec<String>,
}

impl ReplicationsReport<'_> {
    fn status(&self) -> &'static str {
        if self.stalled > 0 { "stalled" } else { "completed" }
    }

    /// One object, keys in a fixed order; each figure is `{mean, half_width, confidence, replications}`.
    pub fn to_json(&self) -> Value {
        let mut fields = Map::new();
        for (key, value) in [
            ("kendall_version", json!(self.kendall_version)),
            ("scenario", json!(self.name)),
            ("seed", json!(self.seed)),
            ("status", json!(self.status())),
            ("engine", json!(self.resolved.engine)),
            ("replicas", json!(self.resolved.simulation.replicas)),
            ("estimate", json!(self.resolved.step_time.is_estimate())),
            ("verdict", json!(self.verdict)),
            ("verdict_reason", json!(self.reason)),
            ("replications", json!(self.replications)),
            ("confidence", json!(self.confidence)),
            ("wanted_relative_half_width", json!(self.precision.map(|(relative, _)| relative))),
            ("precision_reached", json!(self.precision.map(|(_, reached)| reached))),
            ("warnings", json!(self.warnings)),
        ] {
            fields.insert(key.into(), value);
        }
        if let Some(ratios) = &self.antithetic {
            let ratios = ratios.iter().map(|&(figure, ratio)| (figure.to_owned(), json!(ratio)));
            fields.insert("antithetic_width_ratios".into(), Value::Object(ratios.collect()));
        }
        fields.extend(estimates::to_json(&self.figures));
        Value::Object(fields)
    }

    fn extent(&self) -> String {
        match self.antithetic {
            None => format!("{} independent replications", whole(u64::from(self.replications))),
            Some(_) => {
                format!("{} antithetic pairs of replications", whole(u64::from(self.replications / 2)))
            }
        }
    }

    /// The main figures in a screenful of plain text.
    pub fn to_table(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{}: {}, {}, seed {}, {}",
            self.name,
            self.what,
            self.resolved.engine,
            self.seed,
            self.extent()
        );
        let _ = writeln!(text, "queue: {}: {}", self.verdict, self.reason);
        if let Some((relative, reached)) = self.precision {
            let outcome = if reached { "reached" } else { "NOT reached" };
            let _ = writeln!(
                text,
                "precision of {} % of every mean and p99 latency: {outcome}",
                significant_share(relative)
            );
        }
        let count = if self.antithetic.is_some() { "pairs" } else { "runs" };
        let _ = writeln!(text, "\n{}\n", estimates::table(&self.figures, count).trim_fmt());
        if let Some(ratios) = self.antithetic.as_ref().filter(|ratios| !ratios.is_empty()) {
            let ratios: Vec<_> =
                ratios.iter().map(|(figure, ratio)| format!("{figure} {ratio:.2}")).collect();
            let _ =
                writeln!(text, "half-widths over those of as many independent runs: {}", ratios.join(", "));
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "! {warning}");
        }
        text
    }
}
