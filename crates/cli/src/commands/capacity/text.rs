//! The answer of `kendall capacity` as a page of plain text.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use kendall_study::capacity::{Binding, Decision, Ending, Find, Pressure, Trial};

use super::Report;

/// Below this share of time with a request waiting, waiting is not what makes an objective fail.
const HARDLY_WAITING: f64 = 0.05;

impl Report<'_> {
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{}: {}, {}, seed {}",
            self.file.name,
            self.what(),
            self.resolved.engine,
            self.seed
        );
        let slos: Vec<String> = self.question.slos.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "objectives: {}", slos.join(", "));
        let _ = writeln!(text, "\n{}", self.headline());
        if let Some(binding) = self.binding() {
            let _ = writeln!(text, "{binding}");
        }
        if let Some(bound) = self.answer.bound {
            let of = if self.answer.find == Find::Replicas { " of one replica" } else { "" };
            let _ = writeln!(text, "Device time alone bounds the rate{of} at {} req/s.", number(bound));
        }
        if !self.answer.trials.is_empty() {
            let _ = writeln!(text, "\n{}", self.trials().trim_fmt());
        }
        if !self.answer.sensitivity.is_empty() {
            let _ = writeln!(text, "\nWhat moves the answer (each changed by itself, same customers):");
            let _ = writeln!(text, "{}", self.sensitivity().trim_fmt());
        }
        if self.resolved.step_time.is_estimate() {
            let _ = writeln!(
                text,
                "\n! ESTIMATE: the step times come from datasheets; no server with this GPU and model was measured"
            );
        }
        text
    }

    fn headline(&self) -> String {
        let confidence = percent(self.question.confidence);
        match (self.answer.ending, self.answer.good, self.answer.bad) {
            (Ending::Impossible, ..) => {
                let zero = &self.answer.zero_load;
                let missed: Vec<String> = self
                    .question
                    .slos
                    .iter()
                    .zip(&zero.slos)
                    .filter(|(_, estimate)| estimate.margin < 0.0)
                    .map(|(slo, estimate)| format!("{slo} (attained {})", slo.attained(estimate.margin)))
                    .collect();
                format!(
                    "Impossible: with one request at a time this server misses {} already.",
                    missed.join(", ")
                )
            }
            (Ending::Found, Some(good), Some(bad)) if self.answer.find == Find::Rate => format!(
                "Capacity between {} and {} req/s, with {confidence} confidence in both ends.",
                number(good),
                number(bad)
            ),
            (Ending::Found, Some(good), Some(bad)) => self.whole_numbers(good, bad, &confidence),
            (Ending::Unlimited, Some(good), _) if self.answer.find == Find::Replicas => {
                format!("{} replicas suffice, with {confidence} confidence.", number(good))
            }
            (Ending::Unlimited, Some(good), _) => {
                format!("At least {}: nothing that was tried misses an objective.", number(good))
            }
            (_, _, Some(bad)) => format!(
                "Undecided below {}: no point could be shown to be feasible. Raise --requests, or relax the objectives.",
                number(bad)
            ),
            (_, _, None) => "Undecided: no point could be decided. Raise --requests.".into(),
        }
    }

    /// The answer among whole numbers: one, or a range.
    fn whole_numbers(&self, good: f64, bad: f64, confidence: &str) -> String {
        let (what, unit) = match self.answer.find {
            Find::Replicas => ("Fewest", "replicas"),
            Find::Rate | Find::Concurrency => ("Capacity", "clients at a time"),
        };
        // Good and bad are tried points; what lies strictly between is open.
        let (low, high) = if good < bad { (good, bad - 1.0) } else { (bad + 1.0, good) };
        if (high - low).abs() < 0.5 {
            format!("{what}: {low} {unit}, with {confidence} confidence.")
        } else {
            format!("{what}: {low} to {high} {unit}, with {confidence} confidence in both ends.")
        }
    }

    /// What breaks first, in a sentence.
    pub(super) fn binding(&self) -> Option<String> {
        let trial = match self.answer.ending {
            Ending::Impossible | Ending::Unlimited => return None,
            Ending::Found | Ending::Undecided => self.answer.first_infeasible(),
        };
        let Some(trial) = trial else {
            return (self.answer.find == Find::Rate && self.answer.bad.is_some())
                .then(|| "What binds: device time; every objective is kept up to where the queue grows without end.".into());
        };
        let missed = match trial.binding {
            Binding::Slo(slo) => self.question.slos[slo].to_string(),
            Binding::Growth => "a queue that does not grow without end".into(),
        };
        Some(format!("What binds at {}: {missed}; {}.", number(trial.x), resource(&trial.pressure)))
    }

    fn trials(&self) -> Table {
        let mut table = plain_table();
        let unit = match self.answer.find {
            Find::Rate => "req/s",
            Find::Concurrency => "clients",
            Find::Replicas => "replicas",
        };
        let mut header = vec![unit.to_owned(), "verdict".into(), "runs".into()];
        header.extend(self.question.slos.iter().map(ToString::to_string));
        header.extend(["busy", "waiting", "KV used"].map(str::to_owned));
        table.set_header(header);
        let mut trials: Vec<&Trial> = self.answer.trials.iter().collect();
        trials.sort_by(|a, b| a.x.total_cmp(&b.x));
        for trial in trials {
            let verdict = match trial.decision {
                Decision::Feasible => "feasible",
                Decision::Infeasible => "infeasible",
                Decision::Undecided => "undecided",
            };
            let mut row = vec![number(trial.x), verdict.to_owned(), trial.replications.to_string()];
            let estimates = self.question.slos.iter().zip(&trial.slos);
            row.extend(
                estimates.map(|(slo, estimate)| slo.attained_within(estimate.margin, estimate.half_width)),
            );
            let pressure = &trial.pressure;
            row.extend([pressure.busy, pressure.waiting, pressure.kv_usage].map(percent));
            table.add_row(row);
        }
        align(table, 2)
    }

    fn sensitivity(&self) -> Table {
        let mut table = plain_table();
        table.set_header([
            "assumption",
            "change",
            "capacity",
            &format!("+- {}", percent(self.question.confidence)),
            "runs",
        ]);
        for line in &self.answer.sensitivity {
            let (effect, half_width, runs) = match &line.effect {
                None => ("-".into(), "cannot start".into(), String::new()),
                Some(effect) => (
                    format!("{:+.1} %", effect.mean * 100.0),
                    effect.half_width.map_or("-".into(), |half_width| format!("{:.1} %", half_width * 100.0)),
                    effect.replications.to_string(),
                ),
            };
            table.add_row([line.assumption, &line.change, &effect, &half_width, &runs]);
        }
        align(table, 2)
    }
}

/// What requests wait for, in words.
fn resource(pressure: &Pressure) -> String {
    if pressure.waiting < HARDLY_WAITING {
        return format!(
            "hardly anybody waits, steps with {:.0} sequences are too slow (device time)",
            pressure.running
        );
    }
    let shares = [
        (pressure.seats, "max_num_seqs (all seats taken)"),
        (pressure.kv_blocks, "KV blocks"),
        (pressure.token_budget, "the end of a step and its token budget (max_num_batched_tokens)"),
    ];
    let named = shares.iter().filter(|(share, _)| *share >= 0.1);
    let mut named: Vec<_> = named.collect();
    named.sort_by(|a, b| b.0.total_cmp(&a.0));
    let words: Vec<String> =
        named.iter().map(|(share, name)| format!("{:.0} % for {name}", share * 100.0)).collect();
    format!("requests wait {} of the time, of it {}", percent(pressure.waiting), words.join(", "))
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table
}

fn align(mut table: Table, from: usize) -> Table {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Four significant digits.
pub(super) fn number(x: f64) -> String {
    if (x - libm::round(x)).abs() < 1e-9 {
        return format!("{x:.0}");
    }
    let decimals = match x.abs() {
        size if size >= 1_000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 1.0 => 3,
        _ => 4,
    };
    format!("{x:.decimals$}")
}

fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}
