//! `kendall theory admission`: solves the admission process of a loss system and writes the table that
//! `server.admission.policy_table` plays.

use std::fmt::Write as _;
use std::process::ExitCode;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use kendall_theory::batching::System;
use kendall_theory::mdp::{AdmissionTable, BatchAdmission};
use kendall_theory::queueing::QueueingError;
use serde_json::json;

use crate::args::TheoryAdmissionArgs;
use crate::exit::{Failure, print};
use crate::scenario_file::{ScenarioFile, Source};

use super::output;
use super::predict::LossScenario;

/// The gain is known within half of this (good requests/s).
const SPAN_PER_S: f64 = 1e-5;

pub(crate) fn theory_admission(args: &TheoryAdmissionArgs) -> Result<ExitCode, Failure> {
    let file = ScenarioFile::of(Source::open(Some(&args.scenario))?, &args.set)?;
    let LossScenario { system, front_end_s, ttft_limit_s } = LossScenario::of(&file)?;
    let limit_s = args.ttft_limit_ms.map(|ms| ms / 1e3).or(ttft_limit_s).ok_or_else(|| {
        let origin = &file.name;
        Failure::Invalid(format!(
            "{origin}: no limit on the time to first token: give slo.goodput.ttft_ms, or --ttft-limit-ms"
        ))
    })?;
    let wrong = |error: QueueingError| Failure::Invalid(format!("{}: {error}", file.name));
    let in_engine_s = (limit_s - front_end_s).max(0.0);
    let process =
        BatchAdmission::of_system(&system, &args.parts.0, in_engine_s, args.rejection_cost).map_err(wrong)?;
    let best = process.best(SPAN_PER_S).map_err(wrong)?;
    let open = process.one_step(0.0).map_err(wrong)?;
    let one_step = args.one_step.map(|price| process.one_step(price)).transpose().map_err(wrong)?;
    let gain = |rule: &AdmissionTable| process.gain_of(rule, SPAN_PER_S).map_err(wrong);
    let mut rules = vec![("decision process", gain(&best)?), ("accept all that fits", gain(&open)?)];
    if let Some(rule) = &one_step {
        rules.push(("one-step rule", gain(rule)?));
    }
    let exported = one_step.as_ref().unwrap_or(&best);
    if let Some(path) = &args.out {
        output::write(path, &exported.to_csv())?;
    }
    let report = Report { args, name: &file.name, system: &system, limit_s, rules, exported };
    print(&if args.json { report.to_json() } else { report.to_text() })?;
    Ok(ExitCode::SUCCESS)
}

struct Report<'a> {
    args: &'a TheoryAdmissionArgs,
    name: &'a str,
    system: &'a System,
    limit_s: f64,
    /// (rule, good requests less rejection costs, per second, in the model).
    rules: Vec<(&'static str, f64)>,
    exported: &'a AdmissionTable,
}

impl Report<'_> {
    fn to_json(&self) -> String {
        let classes: Vec<_> = self
            .exported
            .classes()
            .iter()
            .map(|class| {
                json!({
                    "most_tokens": class.most_tokens,
                    "mean_tokens": class.size_tokens,
                    "rate_per_s": class.rate_per_s,
                    "mean_prompt_tokens": class.prompt_tokens,
                    "mean_output_tokens": class.output_tokens,
                })
            })
            .collect();
        let gains: serde_json::Map<_, _> =
            self.rules.iter().map(|(rule, gain)| ((*rule).to_owned(), json!(gain))).collect();
        let json = json!({
            "kendall_version": env!("CARGO_PKG_VERSION"),
            "scenario": self.name,
            "ttft_limit_ms": self.limit_s * 1e3,
            "rejection_cost": self.args.rejection_cost,
            "classes": classes,
            "states": self.exported.num_states(),
            "gain_per_s": gains,
        });
        format!("{json:#}\n")
    }

    fn to_text(&self) -> String {
        let mut text = format!(
            "{}: {} req/s, at most {} active, {} tokens of KV; good: first token within {} ms; a rejection costs {} good requests\n\n",
            self.name,
            self.system.arrival_rate_per_s(),
            self.system.max_batch(),
            self.system.kv_tokens(),
            self.limit_s * 1e3,
            self.args.rejection_cost,
        );
        let mut classes = table(["class", "largest size (tokens)", "mean size (tokens)", "arrivals (req/s)"]);
        for (number, class) in self.exported.classes().iter().enumerate() {
            classes.add_row([
                number.to_string(),
                class.most_tokens.to_string(),
                format!("{:.1}", class.size_tokens),
                format!("{:.3}", class.rate_per_s),
            ]);
        }
        let mut rules = table(["rule", "good requests less rejection costs (1/s, in the model)"]);
        for (rule, gain) in &self.rules {
            rules.add_row([(*rule).to_owned(), format!("{gain:.4}")]);
        }
        for part in [&mut classes, &mut rules] {
            right_of_the_first(part);
            let _ = writeln!(text, "{}\n", part.trim_fmt());
        }
        let which = if self.args.one_step.is_some() { "one-step rule" } else { "decision process" };
        let states = self.exported.num_states();
        let _ = match &self.args.out {
            Some(path) => writeln!(
                text,
                "{}: the {which}'s table of {states} states; play it with `[server.admission] policy_table`",
                path.display()
            ),
            None => writeln!(text, "the {which}'s table has {states} states; `--out FILE` writes it"),
        };
        text
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

fn right_of_the_first(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
