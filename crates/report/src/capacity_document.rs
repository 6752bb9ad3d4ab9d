//! The report of a capacity search, from what `kendall capacity --json` prints.

use serde_json::Value;

use crate::chart::{Axis, Chart, Direction, Layer, Mark, Shape, Unit};
use crate::document::{Block, DataTable, Document, Figure, Level, Section, Tile, Verdict};
use crate::json::{number, text};
use crate::number::{percent, significant, whole};
use crate::origin;

struct Search<'v> {
    json: &'v Value,
    /// By rising rate, concurrency or number of replicas.
    trials: Vec<&'v Value>,
    objectives: Vec<&'v str>,
    unit: &'static str,
}

impl Document {
    /// The report of a capacity search; `None` if this is not what `kendall capacity --json` prints.
    pub fn of_capacity(json: &Value) -> Option<Self> {
        let mut trials: Vec<&Value> = json.get("trials")?.as_array()?.iter().collect();
        trials.sort_by(|a, b| f64::total_cmp(&number(a, "x").unwrap_or(0.0), &number(b, "x").unwrap_or(0.0)));
        let objectives = json.get("slos")?.as_array()?.iter().filter_map(Value::as_str).collect();
        let unit = match text(json, "find") {
            "rate" => "req/s",
            "concurrency" => "clients",
            _ => "replicas",
        };
        let search = Search { json, trials, objectives, unit };
        Some(Self {
            title: format!("{}: capacity", text(json, "scenario")),
            subtitle: format!(
                "{}, seed {}, runs of {} requests, kendall {}",
                text(json, "engine"),
                json.get("seed").and_then(Value::as_u64).unwrap_or(0),
                whole(json.get("requests_a_run").and_then(Value::as_u64).unwrap_or(0)),
                text(json, "kendall_version")
            ),
            verdict: search.verdict(),
            tiles: search.tiles(),
            sections: [search.charts(), search.table()].into_iter().chain(origin::sections(json)).collect(),
        })
    }
}

impl Search<'_> {
    fn confidence(&self) -> String {
        percent(number(self.json, "confidence"))
    }

    fn verdict(&self) -> Verdict {
        let (low, high) = (number(self.json, "feasible"), number(self.json, "infeasible"));
        let (unit, confidence) = (self.unit, self.confidence());
        let objectives = self.objectives.join(" and ");
        let (level, answer) = match (low, high, unit) {
            (Some(holds), _, "replicas") => (
                Level::Good,
                format!("{objectives} holds with {holds} replicas, with {confidence} confidence."),
            ),
            (Some(low), Some(high), _) => (
                Level::Good,
                format!(
                    "{objectives} holds at {} {unit} and fails at {} {unit}, with {confidence} confidence in both ends.",
                    significant(Some(low)),
                    significant(Some(high))
                ),
            ),
            (Some(low), None, _) => (
                Level::Mixed,
                format!(
                    "{objectives} holds at {} {unit}; where it fails was not found.",
                    significant(Some(low))
                ),
            ),
            (None, _, _) => (
                Level::Bad,
                format!("{objectives} was not seen to hold at any load ({}).", text(self.json, "ending")),
            ),
        };
        let estimate = self.json.get("estimate").and_then(Value::as_bool) == Some(true);
        let warning =
            "ESTIMATE: the step times come from datasheets; nobody measured this GPU with this model";
        Verdict {
            level,
            headline: match (low, high) {
                (Some(low), _) if unit == "replicas" => format!("{low} replicas"),
                (Some(low), Some(high)) => {
                    format!("{} to {} {unit}", significant(Some(low)), significant(Some(high)))
                }
                (Some(low), None) => format!("At least {} {unit}", significant(Some(low))),
                _ => "No load that keeps the objectives".into(),
            },
            question: None,
            answer: format!(
                "{answer} {}",
                self.json.get("binding").and_then(Value::as_str).unwrap_or_default()
            ),
            warnings: estimate.then(|| warning.to_owned()).into_iter().collect(),
        }
    }

    fn tiles(&self) -> Vec<Tile> {
        let runs: u64 = self.trials.iter().filter_map(|trial| trial.get("replications")?.as_u64()).sum();
        let bound = number(self.json, "load_bound_per_s").map(|bound| Tile {
            label: "bound by device time".into(),
            value: format!("{} req/s", significant(Some(bound))),
            detail: "above it every queue grows".into(),
        });
        let searched = Tile {
            label: "searched".into(),
            value: format!("{} points", self.trials.len()),
            detail: format!("{} runs", whole(runs)),
        };
        bound.into_iter().chain([searched]).collect()
    }

    fn x_axis(&self) -> Axis {
        let mut axis = Axis::linear("load", Unit::Named(self.unit.to_owned()));
        axis.from = None;
        axis
    }

    fn marks(&self) -> Vec<Mark> {
        let mark = |key: &str, label: &str, is_limit| {
            number(self.json, key).map(|at| Mark {
                at,
                label: label.into(),
                direction: Direction::Vertical,
                is_limit,
            })
        };
        [mark("feasible", "holds", false), mark("infeasible", "fails", true)].into_iter().flatten().collect()
    }

    fn charts(&self) -> Section {
        let margin = |objective: usize| {
            let points = self.trials.iter().filter_map(|trial| {
                let slo = trial.get("slos")?.get(objective)?;
                // Far below 0 the margin says no more, and would flatten the rest.
                Some((
                    number(trial, "x")?,
                    number(slo, "margin")?.max(-0.5),
                    number(slo, "half_width").map(|half| half.min(0.5)),
                ))
            });
            points.collect::<Vec<_>>()
        };
        let layers = self.objectives.iter().enumerate().map(|(i, objective)| Layer {
            label: (*objective).to_owned(),
            colour: i,
            shape: Shape::Dots(margin(i)),
        });
        let mut marks = self.marks();
        marks.push(Mark {
            at: 0.0,
            label: "just kept".into(),
            direction: Direction::Horizontal,
            is_limit: true,
        });
        let mut y = Axis::linear("margin: how far it is kept", Unit::Share);
        y.from = None;
        let margins = Figure {
            id: "margins".into(),
            chart: Chart {
                title: "How far the objectives are kept".into(),
                x: self.x_axis(),
                y,
                layers: layers.collect(),
                marks,
            },
            caption:
                "Margin of each objective with its interval; a point decides when the interval leaves 0."
                    .into(),
        };
        let share = |key: &str| {
            let points = self
                .trials
                .iter()
                .filter_map(|trial| Some((number(trial, "x")?, number(trial.get("pressure")?, key)?)));
            points.collect::<Vec<_>>()
        };
        let line =
            |label: &str, colour, key| Layer { label: label.into(), colour, shape: Shape::Line(share(key)) };
        let pressure = Figure {
            id: "pressure".into(),
            chart: Chart {
                title: "What the load does to the server".into(),
                x: self.x_axis(),
                y: Axis::share("share"),
                layers: vec![
                    line("KV in use", 2, "kv_usage"),
                    line("time with a queue", 1, "waiting"),
                    line("busy", 0, "busy"),
                ],
                marks: self.marks(),
            },
            caption: "Shares of time, and of KV blocks in use.".into(),
        };
        Section {
            id: "figures",
            heading: "The search".into(),
            lead: "Each point is a load that was simulated until its interval decided, or the search gave it up.".into(),
            blocks: vec![Block::Figures(vec![margins, pressure])],
        }
    }

    fn table(&self) -> Section {
        let mut numbers = vec!["runs".to_owned()];
        numbers.extend(self.objectives.iter().map(|objective| format!("margin of {objective}")));
        numbers.extend(["busy", "time with a queue", "KV in use"].map(str::to_owned));
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let mut table = DataTable::new(&[self.unit, "decision"], &numbers);
        for trial in &self.trials {
            let pressure =
                |key: &str| percent(trial.get("pressure").and_then(|pressure| number(pressure, key)));
            let mut row = vec![
                significant(number(trial, "x")),
                text(trial, "decision").to_owned(),
                whole(trial.get("replications").and_then(Value::as_u64).unwrap_or(0)),
            ];
            for slo in trial.get("slos").and_then(Value::as_array).into_iter().flatten() {
                let half = number(slo, "half_width").map(|half| format!(" +- {}", percent(Some(half))));
                row.push(percent(number(slo, "margin")) + &half.unwrap_or_default());
            }
            row.extend(["busy", "waiting", "kv_usage"].map(pressure));
            table.rows.push(row);
        }
        Section::of_points(table)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_two_ends_and_a_confidence() {
        let trial = |x: f64, margin: f64| {
            json!({"x": x, "decision": "feasible", "replications": 8, "slos": [{"margin": margin, "half_width": 0.01}],
                "pressure": {"busy": 1.0, "waiting": 0.1, "kv_usage": 0.2}})
        };
        let json = json!({"scenario": "chat", "slos": ["p99(ttft)<=500ms"], "find": "rate", "feasible": 4.0, "infeasible": 5.0,
            "confidence": 0.95, "trials": [trial(5.0, -0.2), trial(4.0, 0.1)], "binding": "Seats bind."});
        let document = Document::of_capacity(&json).unwrap();
        assert_eq!(
            document.verdict.answer,
            "p99(ttft)<=500ms holds at 4.000 req/s and fails at 5.000 req/s, with 95.0 % confidence in both ends. Seats bind."
        );
        assert!(document.to_html().unwrap().contains("How far the objectives are kept"));
        assert!(Document::of_capacity(&json!({"trials": []})).is_none());
    }
}
