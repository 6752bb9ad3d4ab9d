//! The report of a prediction: text, JSON, CSV.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use kendall_report::csv_table;
use kendall_serving::scenario::Resolved;
use kendall_study::{Estimate, Replications};
use kendall_theory::batching::paged::{self, Limit, Saturation};
use serde_json::{Value, json};

use super::answer::Answers;
use super::compare::{Comparison, relative, within};
use super::curves::curves;
use super::model::Inputs;

/// A prediction beside its simulation.
pub(super) struct Report<'a> {
    pub name: &'a str,
    pub what: String,
    pub seed: u64,
    pub resolved: &'a Resolved,
    pub inputs: Option<&'a Inputs>,
    pub answers: &'a Answers,
    pub comparison: Comparison,
    pub simulated: Option<&'a Replications>,
}

impl Report<'_> {
    fn saturation(&self) -> Option<Saturation> {
        let inputs = self.inputs.filter(|inputs| inputs.loss.is_none())?;
        paged::saturation(&inputs.at(inputs.rate_per_s)).ok()
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let engine = &self.resolved.engine;
        let _ = writeln!(text, "{}: {}, {engine}, seed {}", self.name, self.what, self.seed);
        if let Some((inputs, full)) = self.inputs.zip(self.saturation()) {
            let _ = writeln!(text, "{}", boundary(inputs, &full));
        }
        let runs = self.simulated.map_or(0, |runs| runs.runs.len());
        if let Some(runs) = self.simulated {
            let requests = runs.fewest_requests();
            let _ = writeln!(text, "simulation: {} runs of {requests} requests\n", runs.runs.len());
        } else {
            text.push('\n');
        }
        if !self.comparison.rows.is_empty() {
            let _ = writeln!(text, "{}", table(&self.comparison, runs > 0).trim_fmt());
        }
        if let [best, _, ..] = self.answers.answers.as_slice() {
            let _ = writeln!(text, "\nmost accurate here: {}", best.model);
        }
        for answer in &self.answers.answers {
            let _ = writeln!(text, "\n{} takes for granted:", answer.model);
            for assumption in &answer.assumptions {
                let _ = writeln!(text, "  - {assumption}");
            }
        }
        if !self.answers.refusals.is_empty() {
            let _ = writeln!(text, "\nnot applicable:");
        }
        for refusal in &self.answers.refusals {
            let _ = writeln!(text, "  - {}: {}", refusal.model, refusal.reason);
        }
        for note in self.inputs.into_iter().flat_map(|inputs| &inputs.left_out) {
            let _ = writeln!(text, "! {note}");
        }
        text
    }

    pub(super) fn to_json(&self, confidence: f64) -> Value {
        let answers: Vec<Value> = self
            .answers
            .answers
            .iter()
            .map(|answer| {
                let mut model = json!({ "model": answer.model, "assumptions": answer.assumptions });
                if let Some(curves) = curves(self.inputs, answer.model) {
                    model["curves"] = curves;
                }
                model
            })
            .collect();
        let refusals: Vec<Value> = self
            .answers
            .refusals
            .iter()
            .map(|refusal| json!({ "model": refusal.model, "reason": refusal.reason }))
            .collect();
        json!({
            "kendall_version": env!("CARGO_PKG_VERSION"),
            "scenario": self.name,
            "seed": self.seed,
            "engine": self.resolved.engine,
            "estimate": self.resolved.step_time.is_estimate(),
            "boundary": self.inputs.zip(self.saturation()).map(|(inputs, full)| boundary_json(inputs, &full)),
            "confidence": confidence,
            "replications": self.simulated.map(|runs| runs.runs.len()),
            "requests_a_run": self.simulated.map(Replications::fewest_requests),
            "models": answers,
            "best_model": self.answers.answers.first().map(|answer| answer.model),
            "not_applicable": refusals,
            "left_out": self.inputs.map(|inputs| &inputs.left_out),
            "figures": self.comparison.to_json(),
        })
    }

    /// One row a figure.
    pub(super) fn to_csv(&self) -> Vec<u8> {
        let models = self.comparison.models.iter().copied();
        let columns = ["figure", "unit", "simulated", "half_width"].into_iter().chain(models);
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let rows = self.comparison.rows.iter().map(|row| {
            let simulated = [
                number(row.simulated.map(|found| found.mean)),
                number(row.simulated.and_then(|found| found.half_width)),
            ];
            let start = [row.name.to_owned(), row.unit.to_owned()];
            start
                .into_iter()
                .chain(simulated)
                .chain(row.predicted.iter().map(|value| number(*value)))
                .collect()
        });
        csv_table(columns, rows)
    }
}

fn limit_name(limit: Limit) -> &'static str {
    match limit {
        Limit::Seqs => "max_num_seqs",
        Limit::Tokens => "max_num_batched_tokens",
        Limit::Blocks => "num_gpu_blocks",
    }
}

/// Where overload begins, in a line.
fn boundary(inputs: &Inputs, full: &Saturation) -> String {
    let replicas = f64::from(inputs.replicas);
    format!(
        "overload begins at {:.3} req/s ({} binds, {:.1} running, steps of {:.2} ms); {:.3} req/s arrive, load {:.3}",
        full.capacity_per_s * replicas,
        limit_name(full.limit),
        full.running,
        full.step_s * 1e3,
        inputs.rate_per_s * replicas,
        inputs.rate_per_s / full.capacity_per_s,
    )
}

fn boundary_json(inputs: &Inputs, full: &Saturation) -> Value {
    let replicas = f64::from(inputs.replicas);
    json!({
        "capacity_per_s": full.capacity_per_s * replicas,
        "rate_per_s": inputs.rate_per_s * replicas,
        "load": inputs.rate_per_s / full.capacity_per_s,
        "binds": limit_name(full.limit),
        "running": full.running,
        "step_ms": full.step_s * 1e3,
        "preemptions_per_request": full.preemptions_per_request,
        "kv_cache_usage": full.kv_use,
    })
}

fn table(comparison: &Comparison, simulated: bool) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec!["figure".to_owned(), "unit".to_owned()];
    if simulated {
        header.extend(["simulated".to_owned(), "+-".to_owned()]);
    }
    for model in &comparison.models {
        header.push((*model).to_owned());
        if simulated {
            header.push("error".to_owned());
        }
    }
    table.set_header(header);
    for row in &comparison.rows {
        let mut cells = vec![row.name.to_owned(), row.unit.to_owned()];
        if simulated {
            cells.push(number(row.simulated.map(|found| found.mean)));
            cells.push(number(row.simulated.and_then(|found| found.half_width)));
        }
        for value in &row.predicted {
            cells.push(number(*value));
            if simulated {
                cells.push(error_text(*value, row.simulated));
            }
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The error in per cent, in brackets where it does not exceed the interval.
pub(super) fn error_text(value: Option<f64>, simulated: Option<Estimate>) -> String {
    let Some((value, simulated)) = value.zip(simulated) else { return "-".into() };
    let Some(error) = relative(value, simulated) else { return "-".into() };
    let text = format!("{:+.2} %", error * 100.0);
    if within(value, simulated) == Some(true) { format!("({text})") } else { text }
}

/// Four digits that carry meaning; a dash for nothing.
pub(super) fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".into() };
    match value.abs() {
        size if size >= 1_000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        size if !(1e-12..0.1).contains(&size) => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    }
}
