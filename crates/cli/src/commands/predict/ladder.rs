//! `kendall predict --ladder`: where the error of theory comes from, one assumption at a time.
//!
//! Each rung is played at the same load, a share of the rung's own capacity. Beside the best model stands the first rung's
//! formula (M/M/1 at the rung's capacity): what the assumption that fell is worth.

use std::path::PathBuf;
use std::process::ExitCode;

use kendall_report::{OutputDir, WrittenFile, csv_table};
use kendall_study::{Estimate, FIGURES, Replications};
use kendall_theory::batching::paged;
use serde_json::{Value, json};

use crate::args::PredictArgs;
use crate::exit::{Failure, print};
use crate::scenario_file::{ScenarioFile, Source};

use super::answer::{Answers, answers};
use super::compare::relative;
use super::model::Inputs;
use super::rungs::{Rung, rungs};
use super::text::{error_text, number};
use super::{Desk, at_rate};

/// Load of every rung.
const LOAD: f64 = 0.7;

/// Figures that are compared.
const COMPARED: [&str; 5] =
    ["mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "mean_e2el_ms", "blocking_probability"];

/// A rung that was played.
struct Played {
    rung: Rung,
    rate_per_s: f64,
    answers: Answers,
    simulated: Option<Replications>,
    /// Mean time to first token of M/M/1 at the rung's capacity (ms).
    mm1_ttft_ms: f64,
    confidence: f64,
}

impl Played {
    fn simulated(&self, figure: &str) -> Option<Estimate> {
        let figure = FIGURES.iter().find(|known| known.name == figure)?;
        self.simulated.as_ref()?.estimate(figure, self.confidence)
    }

    /// The first model that answers: (model, value).
    fn best(&self, figure: &str) -> Option<(&'static str, f64)> {
        self.answers.answers.iter().find_map(|answer| {
            let (_, value) = answer.figures.iter().find(|(name, _)| *name == figure)?;
            Some((answer.model, *value))
        })
    }

    fn error(&self, figure: &str) -> Option<f64> {
        relative(self.best(figure)?.1, self.simulated(figure)?)
    }

    fn mm1_error(&self) -> Option<f64> {
        relative(self.mm1_ttft_ms, self.simulated("mean_ttft_ms")?)
    }
}

pub(super) fn ladder(args: &PredictArgs, desk: &Desk<'_>, file: &ScenarioFile) -> Result<ExitCode, Failure> {
    if args.scenario.is_some() || !args.set.is_empty() {
        return Err(Failure::Invalid(format!(
            "--ladder plays scenarios of its own: leave {} out",
            if args.set.is_empty() { file.name.as_str() } else { "--set" }
        )));
    }
    let played = rungs().into_iter().map(|rung| play(args, desk, rung)).collect::<Result<Vec<_>, _>>()?;
    let json = format!("{:#}\n", to_json(&played));
    if let Some(out) = &args.out {
        let out = OutputDir::create(out)?;
        let files = [out.write("ladder.csv", &to_csv(&played))?, out.write("ladder.json", json.as_bytes())?];
        files.into_iter().try_for_each(WrittenFile::publish)?;
    }
    print(&if args.json { json } else { to_text(&played) })?;
    Ok(ExitCode::SUCCESS)
}

fn play(args: &PredictArgs, desk: &Desk<'_>, rung: Rung) -> Result<Played, Failure> {
    let (inputs, file) = inputs_of(&rung)?;
    let refused = |error: paged::PagedNotApplicable| Failure::Failed(format!("{}: {error}", rung.name));
    let capacity_per_s = if inputs.loss.is_some() {
        let (paged_inputs, _) = inputs_of(&rung.paged())?;
        paged::saturation(&paged_inputs.at(1.0)).map_err(refused)?.capacity_per_s
    } else {
        match paged::single(&inputs.at(1e-3)) {
            Ok(single) => 1e-3 / single.utilization,
            Err(paged::PagedNotApplicable::ManySeats { .. }) => {
                paged::saturation(&inputs.at(1.0)).map_err(refused)?.capacity_per_s
            }
            Err(error) => return Err(refused(error)),
        }
    };
    let rate_per_s = LOAD * capacity_per_s;
    let file = at_rate(&file, rate_per_s * f64::from(inputs.replicas));
    Ok(Played {
        answers: answers(&inputs, rate_per_s, None),
        simulated: desk.simulate(&file)?,
        mm1_ttft_ms: 1e3 * (LOAD / (1.0 - LOAD) / capacity_per_s + inputs.first_step_s()),
        rung,
        rate_per_s,
        confidence: args.confidence,
    })
}

fn inputs_of(rung: &Rung) -> Result<(Inputs, ScenarioFile), Failure> {
    let source = Source {
        origin: format!("rung \"{}\"", rung.name),
        text: rung.text(),
        folder: PathBuf::from("."),
        stem: "ladder".into(),
    };
    let file = ScenarioFile::of(source, &[])?;
    let resolved = file.resolve()?;
    let inputs = Inputs::of(&file, &resolved).map_err(|none| Failure::Failed(none.0))?;
    Ok((inputs, file))
}

fn to_text(played: &[Played]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header([
        "assumption that falls",
        "model",
        "figure",
        "simulated",
        "+-",
        "theory",
        "error",
        "M/M/1 error",
    ]);
    for rung in played {
        for figure in COMPARED {
            let found = rung.simulated(figure);
            let best = rung.best(figure);
            if best.is_none() {
                continue;
            }
            let first = figure == COMPARED[0];
            table.add_row([
                if first { rung.rung.name.to_owned() } else { String::new() },
                best.map_or("-", |(model, _)| model).to_owned(),
                figure.to_owned(),
                number(found.map(|found| found.mean)),
                number(found.and_then(|found| found.half_width)),
                number(best.map(|(_, value)| value)),
                error_text(best.map(|(_, value)| value), found),
                if first { error_text(Some(rung.mm1_ttft_ms), found) } else { String::new() },
            ]);
        }
    }
    let runs = played.first().and_then(|rung| rung.simulated.as_ref()).map_or(0, |runs| runs.runs.len());
    format!(
        "load {LOAD} of each rung's own capacity, {runs} runs a rung; errors in brackets lie within the interval\n\n{}\n",
        table.trim_fmt()
    )
}

fn to_json(played: &[Played]) -> Value {
    let mut before: [Option<f64>; COMPARED.len()] = [None; COMPARED.len()];
    let rungs: Vec<Value> = played
        .iter()
        .map(|rung| {
            let mut figures = serde_json::Map::new();
            for (figure, before) in COMPARED.iter().zip(&mut before) {
                let (found, best, error) = (rung.simulated(figure), rung.best(figure), rung.error(figure));
                let added = error.map(|error| error.abs() - before.unwrap_or(0.0).abs());
                *before = error.or(*before);
                let value = json!({
                    "simulated": found,
                    "model": best.map(|(model, _)| model),
                    "theory": best.map(|(_, value)| value),
                    "relative_error": error,
                    "added_absolute_error": added,
                });
                figures.insert((*figure).to_owned(), value);
            }
            json!({
                "rung": rung.rung.name,
                "change": rung.rung.change,
                "rate_per_s": rung.rate_per_s,
                "mm1_relative_error": rung.mm1_error(),
                "figures": figures,
            })
        })
        .collect();
    json!({ "kendall_version": env!("CARGO_PKG_VERSION"), "load": LOAD, "rungs": rungs })
}

/// One row a rung and figure.
fn to_csv(played: &[Played]) -> Vec<u8> {
    let columns = [
        "rung",
        "change",
        "rate_per_s",
        "figure",
        "simulated",
        "half_width",
        "model",
        "theory",
        "relative_error",
    ];
    let text = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let rows = played.iter().flat_map(|rung| {
        COMPARED.iter().filter(|figure| rung.best(figure).is_some()).map(move |figure| {
            let (found, best) = (rung.simulated(figure), rung.best(figure));
            vec![
                rung.rung.name.to_owned(),
                rung.rung.change.to_owned(),
                rung.rate_per_s.to_string(),
                (*figure).to_owned(),
                text(found.map(|found| found.mean)),
                text(found.and_then(|found| found.half_width)),
                best.map_or("", |(model, _)| model).to_owned(),
                text(best.map(|(_, value)| value)),
                text(rung.error(figure)),
            ]
        })
    });
    csv_table(columns, rows)
}
