//! The reports of `kendall predict`: theory over simulated points, at one load or against load.

mod sweep;
mod theory;

use serde_json::Value;

use crate::chart::{Axis, Chart, Layer, Shape, Unit};
use crate::document::{Block, Document, Figure, Level, Section, Tile, Verdict};
use crate::json::{number, text, texts};
use crate::number::{percent, significant, whole};
use crate::origin;

pub(crate) use theory::{Simulated, Theory};

/// A model whose errors are smaller is good enough to plan with, ...
const CLOSE: f64 = 0.05;
/// ... and one whose errors are larger is not.
const FAR: f64 = 0.25;
/// Figures that a verdict is about.
const JUDGED: [(&str, &str); 3] =
    [("mean_ttft_ms", "mean TTFT"), ("p99_ttft_ms", "p99 TTFT"), ("mean_tpot_ms", "mean TPOT")];

impl Document {
    /// The report of a prediction; `None` if this is not what `kendall predict --json` prints.
    pub fn of_predict(json: &Value) -> Option<Self> {
        let theory = Theory::of(json)?;
        let runs = json.get("replications").and_then(Value::as_u64);
        let simulation = match (runs, json.get("requests_a_run").and_then(Value::as_u64)) {
            (Some(runs), Some(requests)) => format!("{} runs of {} requests", whole(runs), whole(requests)),
            _ => "no simulation".into(),
        };
        let mut sections = vec![latencies(&theory), Some(theory.section(|figure| theory.simulated(figure)))];
        sections.extend(origin::sections(json).map(Some));
        Some(Self {
            title: format!("{}: theory beside simulation", text(json, "scenario")),
            subtitle: format!(
                "{}, {simulation}, seed {}, kendall {}",
                text(json, "engine"),
                json.get("seed").and_then(Value::as_u64).unwrap_or(0),
                text(json, "kendall_version")
            ),
            verdict: verdict(json, &theory, &simulation),
            tiles: tiles(json, &theory),
            sections: sections.into_iter().flatten().collect(),
        })
    }
}

/// How good errors of this size are.
fn level(largest: f64) -> Level {
    match largest {
        error if error <= CLOSE => Level::Good,
        error if error <= FAR => Level::Mixed,
        _ => Level::Bad,
    }
}

fn verdict(json: &Value, theory: &Theory<'_>, simulation: &str) -> Verdict {
    let best = theory.models().next();
    let judged: Vec<_> = JUDGED
        .into_iter()
        .filter_map(|(figure, name)| {
            let value = theory.value(figure, best?)?;
            Some((name, value, theory.simulated(figure)))
        })
        .collect();
    let errors = judged.iter().filter_map(|&(_, value, found)| Some(found?.error_beyond(value)));
    let largest = errors.reduce(f64::max);
    let (level, headline) = match (best, largest) {
        (None, _) => (Level::Neutral, "No analytical model applies".to_owned()),
        (Some(model), None) => (Level::Neutral, format!("What {model} says, without a simulation beside it")),
        (Some(model), Some(largest)) if largest <= 0.0 => {
            (Level::Good, format!("{model} lies within every interval of the simulation"))
        }
        (Some(model), Some(largest)) => {
            (level(largest), format!("{model} is within {} of the simulation", percent(Some(largest))))
        }
    };
    let said = judged.iter().map(|&(name, value, found)| {
        let theory = format!("{name} {} ms", significant(Some(value)));
        let Some(found) = found else { return theory };
        let interval = found.ends.map(|(low, high)| {
            format!(", interval {} to {}", significant(Some(low)), significant(Some(high)))
        });
        let place = if found.holds(value) { "within" } else { "beyond" };
        format!(
            "{theory} against {}{}: {}, {place} the interval",
            significant(Some(found.mean)),
            interval.unwrap_or_default(),
            found.error_of(value).trim_matches(['(', ')'])
        )
    });
    let said: Vec<String> = said.collect();
    let confidence = json.get("confidence").and_then(Value::as_f64).filter(|_| largest.is_some());
    let confidence =
        confidence.map(|share| format!(" Intervals of {}, from {simulation}.", percent(Some(share))));
    let answer = match best {
        Some(model) if !said.is_empty() => format!("{model}: {}.", said.join("; ")),
        Some(model) => format!("{model} answers; the figures are below."),
        None => "The reasons are below.".into(),
    };
    let boundary = theory.boundary().map(|sentence| format!("{sentence} ")).unwrap_or_default();
    let estimate = json.get("estimate").and_then(Value::as_bool) == Some(true);
    let warning = "ESTIMATE: the step times come from datasheets; nobody measured this GPU with this model";
    Verdict {
        level,
        headline,
        question: None,
        answer: format!("{boundary}{answer}{}", confidence.unwrap_or_default()),
        warnings: estimate
            .then_some(warning)
            .into_iter()
            .chain(texts(json, "warnings"))
            .map(str::to_owned)
            .collect(),
    }
}

fn tiles(json: &Value, theory: &Theory<'_>) -> Vec<Tile> {
    let mut tiles = Vec::new();
    if let Some(boundary) = json.get("boundary").filter(|boundary| boundary.is_object()) {
        tiles.push(Tile {
            label: "overload begins at".into(),
            value: format!("{} req/s", significant(number(boundary, "capacity_per_s"))),
            detail: format!("{} binds", text(boundary, "binds")),
        });
        tiles.push(Tile {
            label: "load".into(),
            value: percent(number(boundary, "load")),
            detail: format!("{} req/s arrive", significant(number(boundary, "rate_per_s"))),
        });
    }
    for (figure, name) in JUDGED {
        let Some(model) = theory.models().find(|model| theory.value(figure, model).is_some()) else {
            continue;
        };
        let value = theory.value(figure, model);
        let detail = match theory.simulated(figure) {
            Some(found) => format!(
                "{model}; simulated {} ms{}",
                significant(Some(found.mean)),
                value.map(|value| format!(", {}", found.error_of(value))).unwrap_or_default()
            ),
            None => model.to_owned(),
        };
        tiles.push(Tile { label: name.to_owned(), value: format!("{} ms", significant(value)), detail });
    }
    tiles
}

/// The law of each latency: models as lines, percentiles of the simulation with their intervals.
fn latencies(theory: &Theory<'_>) -> Option<Section> {
    let named =
        [("ttft", "Time to first token"), ("tpot", "Time per output token"), ("e2el", "End-to-end latency")];
    let figures: Vec<Figure> = named
        .into_iter()
        .filter_map(|(latency, title)| {
            let mut layers = theory.layers(latency);
            let shares = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];
            let found: Vec<(f64, Simulated)> = shares
                .into_iter()
                .filter_map(|(p, share)| Some((share, theory.simulated(&format!("{p}_{latency}_ms"))?)))
                .collect();
            if !found.is_empty() {
                let dots = found.iter().map(|&(share, found)| (found.mean, share, None)).collect();
                let bars = found
                    .iter()
                    .filter_map(|&(share, found)| found.ends.map(|(low, high)| (share, low, high)));
                layers.push(Layer { label: "simulated".into(), colour: 0, shape: Shape::Points(dots) });
                layers.push(Layer {
                    label: String::new(),
                    colour: 0,
                    shape: Shape::Intervals(bars.collect()),
                });
            }
            let chart = Chart {
                title: title.to_owned(),
                x: Axis { from: None, ..Axis::linear(title, Unit::Milliseconds) },
                y: Axis::share("requests at least so fast"),
                layers,
                marks: Vec::new(),
            };
            (!chart.is_empty()).then(|| Figure {
                id: format!("{latency}-law"),
                chart,
                caption: "p50, p90, p95 and p99 of the simulation, with their intervals.".into(),
            })
        })
        .collect();
    (!figures.is_empty()).then(|| Section {
        id: "latency",
        heading: "Theory over simulation".into(),
        lead: "Each line is the law of a latency by a model: the share of requests at least so fast. Dots are the simulation.".into(),
        blocks: vec![Block::Figures(figures)],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn prediction() -> Value {
        let figure = |simulated: f64, value: f64| {
            json!({"unit": "ms", "simulated": {"mean": simulated, "half_width": 1.0},
                "models": {"paged": {"value": value, "relative_error": value / simulated - 1.0}}})
        };
        json!({
            "kendall_version": "0", "scenario": "<x>", "seed": 0, "engine": "vllm-v1 0.22.0", "estimate": false,
            "boundary": {"capacity_per_s": 20.0, "rate_per_s": 4.0, "load": 0.2, "binds": "max_num_seqs"},
            "replications": 5, "requests_a_run": 1000, "confidence": 0.95,
            "models": [{"model": "paged", "assumptions": ["Poisson"], "curves": {"ttft": [[40.0, 0.5], [90.0, 0.99]]}}],
            "not_applicable": [{"model": "m/g/1", "reason": "64 seats"}], "left_out": ["the watermark"],
            "figures": {"mean_ttft_ms": figure(50.0, 50.5), "p99_ttft_ms": figure(90.0, 100.0), "p50_tpot_ms": figure(9.0, 9.1)},
        })
    }

    #[test]
    fn a_prediction_says_how_far_theory_is_off() {
        let document = Document::of_predict(&prediction()).unwrap();
        assert_eq!(document.verdict.level, Level::Mixed, "p99 is off by 11 %");
        assert_eq!(document.verdict.headline, "paged is within 11.1 % of the simulation");
        let answer = &document.verdict.answer;
        for part in [
            "Overload begins at 20.00 req/s",
            "mean TTFT 50.50 ms against 50.00",
            "+1.0 %, within",
            "+11.1 %, beyond",
        ] {
            assert!(answer.contains(part), "`{part}` in {answer}");
        }
        let ids: Vec<&str> = document.figures().map(|figure| figure.id.as_str()).collect();
        assert_eq!(ids, ["ttft-law", "tpot-law"], "a law, and percentiles where the law is not known");
        let page = document.to_html().unwrap();
        assert!(page.contains("m/g/1 says nothing here: 64 seats.") && !page.contains("<x>"));
    }

    #[test]
    fn without_a_simulation_theory_stands_alone() {
        let mut json = prediction();
        for figure in json["figures"].as_object_mut().unwrap().values_mut() {
            figure["simulated"] = Value::Null;
        }
        let document = Document::of_predict(&json).unwrap();
        assert_eq!(document.verdict.level, Level::Neutral);
        json["models"] = json!([]);
        json["figures"] = json!({});
        let document = Document::of_predict(&json).unwrap();
        assert_eq!(document.verdict.headline, "No analytical model applies");
        assert!(Document::of_predict(&json!({"models": 1})).is_none());
    }
}
