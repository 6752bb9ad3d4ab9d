//! `kendall predict --sweep`: theory as curves over simulated points, against load.

use std::process::ExitCode;

use kendall_report::{Colours, Document, OutputDir, WrittenFile, csv_table};
use kendall_study::{Estimate, FIGURES};
use kendall_theory::batching::paged;
use serde_json::{Value, json};

use crate::args::PredictArgs;
use crate::exit::{Failure, print};
use crate::scenario_file::ScenarioFile;

use super::super::report::write_report;
use super::answer::{Answers, answers};
use super::compare::Comparison;
use super::model::Inputs;
use super::text::{error_text, number};
use super::{Desk, at_rate};

/// Points of a curve between the lowest and the highest load.
const CURVE: usize = 24;

/// Figures that are drawn; the first five are in the table.
const DRAWN: [&str; 6] =
    ["mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "p99_e2el_ms", "request_throughput", "num_running"];

/// One load: theory, and the simulation where it was played.
struct Point {
    load: f64,
    rate_per_s: f64,
    answers: Answers,
    comparison: Comparison,
}

pub(super) fn sweep(
    args: &PredictArgs,
    desk: &Desk<'_>,
    file: &ScenarioFile,
    loads: &[f64],
) -> Result<ExitCode, Failure> {
    let resolved = file.resolve()?;
    let inputs = Inputs::of(file, &resolved)
        .map_err(|none| Failure::Invalid(format!("--sweep: no model applies: {}", none.0)))?;
    if inputs.loss.is_some() {
        return Err(Failure::Invalid(
            "--sweep: a loss system has no overload, so that no load is a share of its capacity".into(),
        ));
    }
    let full = paged::saturation(&inputs.at(inputs.rate_per_s))
        .map_err(|error| Failure::Invalid(format!("--sweep: {error}")))?;
    let mut loads = loads.to_vec();
    loads.sort_by(f64::total_cmp);
    let replicas = f64::from(inputs.replicas);
    let mut points = Vec::with_capacity(loads.len());
    for load in &loads {
        let rate_per_s = load * full.capacity_per_s;
        let file = at_rate(file, rate_per_s * replicas);
        let answers = answers(&inputs, rate_per_s, resolved.goodput);
        let simulated = desk.simulate(&file)?;
        let comparison = Comparison::of(&answers, simulated.as_ref(), args.confidence);
        points.push(Point { load: *load, rate_per_s: rate_per_s * replicas, answers, comparison });
    }
    let mut json = to_json(file, &points, full.capacity_per_s * replicas);
    json["curve"] = curve_json(&curve(&inputs, full.capacity_per_s, &loads, resolved.goodput));
    let loads: Vec<String> = loads.iter().map(ToString::to_string).collect();
    let words = desk.words(file).flag(&format!("sweep={}", loads.join(",")), true);
    words.origin(file.text(), &resolved).add_to(&mut json);
    if let Some(folder) = &args.out {
        write_files(&OutputDir::create(folder)?, &points, &json)?;
        if args.report {
            write_report(folder)?;
        }
    }
    let json = format!("{json:#}\n");
    print(&if args.json { json } else { to_text(file, &points, full.capacity_per_s * replicas) })?;
    Ok(ExitCode::SUCCESS)
}

/// CSV, JSON, and a chart of each figure.
fn write_files(out: &OutputDir, points: &[Point], json: &Value) -> Result<(), Failure> {
    let mut files = vec![
        out.write("predict_sweep.csv", &to_csv(points))?,
        out.write("predict_sweep.json", format!("{json:#}\n").as_bytes())?,
    ];
    for figure in Document::of_predict_sweep(json).iter().flat_map(Document::figures) {
        let svg = figure.chart.to_svg(Colours::Fixed);
        let svg = svg.map_err(|error| Failure::Failed(error.to_string()))?;
        files.push(out.write(&format!("{}.svg", figure.id.replace('-', "_")), svg.as_bytes())?);
    }
    Ok(files.into_iter().try_for_each(WrittenFile::publish)?)
}

/// (load, rate, answers) between the lowest and the highest load.
fn curve(
    inputs: &Inputs,
    capacity_per_s: f64,
    loads: &[f64],
    goodput: Option<kendall_serving::GoodputLimits>,
) -> Vec<(f64, Answers)> {
    let (Some(low), Some(high)) = (loads.first(), loads.last()) else { return Vec::new() };
    (0..=CURVE)
        .map(|i| {
            let load = low + (high - low) * i as f64 / CURVE as f64;
            (load, answers(inputs, load * capacity_per_s, goodput))
        })
        .collect()
}

fn of_model(answers: &Answers, model: &str, figure: &str) -> Option<f64> {
    let answer = answers.answers.iter().find(|answer| answer.model == model)?;
    answer.figures.iter().find(|(name, _)| *name == figure).map(|(_, value)| *value)
}

/// Models that answer somewhere, in the order in which they first do.
fn models<'a>(all: impl Iterator<Item = &'a Answers>) -> Vec<&'static str> {
    let mut models = Vec::new();
    for answer in all.flat_map(|answers| &answers.answers) {
        if !models.contains(&answer.model) {
            models.push(answer.model);
        }
    }
    models
}

fn simulated(point: &Point, figure: &str) -> Option<Estimate> {
    point.comparison.rows.iter().find(|row| row.name == figure)?.simulated
}

/// The figures of every model along a curve, for a report to draw.
fn curve_json(curve: &[(f64, Answers)]) -> Value {
    let place = |(load, answers): &(f64, Answers)| {
        let models: serde_json::Map<String, Value> = answers
            .answers
            .iter()
            .map(|answer| {
                let drawn = answer.figures.iter().filter(|(name, _)| DRAWN.contains(name));
                let figures: serde_json::Map<String, Value> =
                    drawn.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                (answer.model.to_owned(), figures.into())
            })
            .collect();
        json!({ "load": load, "models": models })
    };
    curve.iter().map(place).collect()
}

fn to_json(file: &ScenarioFile, points: &[Point], capacity_per_s: f64) -> Value {
    let points: Vec<Value> = points
        .iter()
        .map(|point| {
            json!({ "load": point.load, "rate_per_s": point.rate_per_s, "figures": point.comparison.to_json() })
        })
        .collect();
    json!({
        "kendall_version": env!("CARGO_PKG_VERSION"),
        "scenario": file.name,
        "capacity_per_s": capacity_per_s,
        "points": points,
    })
}

/// One row a load; of each figure the simulation, its half-width and each model.
fn to_csv(points: &[Point]) -> Vec<u8> {
    let models = models(points.iter().map(|point| &point.answers));
    let names: Vec<&str> = FIGURES
        .iter()
        .map(|figure| figure.name)
        .filter(|name| points.iter().any(|point| point.comparison.rows.iter().any(|row| row.name == *name)))
        .collect();
    let mut columns = vec!["load".to_owned(), "rate_per_s".to_owned()];
    for name in &names {
        columns.extend([format!("{name}_simulated"), format!("{name}_half_width")]);
        columns.extend(models.iter().map(|model| format!("{name}_{model}")));
    }
    let text = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let rows = points.iter().map(|point| {
        let mut row = vec![point.load.to_string(), point.rate_per_s.to_string()];
        for name in &names {
            let found = simulated(point, name);
            row.push(text(found.map(|found| found.mean)));
            row.push(text(found.and_then(|found| found.half_width)));
            row.extend(models.iter().map(|model| text(of_model(&point.answers, model, name))));
        }
        row
    });
    csv_table(columns.iter().map(String::as_str), rows)
}

/// A table of a few figures with errors.
fn to_text(file: &ScenarioFile, points: &[Point], capacity_per_s: f64) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    table.set_header(["load", "req/s", "figure", "simulated", "+-", "model", "value", "error"]);
    for point in points {
        for figure in &DRAWN[..5] {
            let found = simulated(point, figure);
            for model in models(std::iter::once(&point.answers)) {
                let Some(value) = of_model(&point.answers, model, figure) else { continue };
                table.add_row([
                    format!("{:.2}", point.load),
                    format!("{:.3}", point.rate_per_s),
                    (*figure).to_owned(),
                    number(found.map(|found| found.mean)),
                    number(found.and_then(|found| found.half_width)),
                    model.to_owned(),
                    number(Some(value)),
                    error_text(Some(value), found),
                ]);
            }
        }
    }
    format!("{}: overload begins at {capacity_per_s:.3} req/s\n\n{}\n", file.name, table.trim_fmt())
}
