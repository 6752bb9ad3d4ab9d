//! The report of `kendall predict --sweep`: theory as curves over simulated points, against load.

use serde_json::Value;

use crate::chart::{Axis, Chart, Direction, Layer, Mark, Shape, Unit};
use crate::document::{Block, DataTable, Document, Figure, Level, Section, Tile, Verdict};
use crate::json::{list, number, text};
use crate::number::{percent, significant, whole};
use crate::origin;

use super::level;
use super::theory::Simulated;

/// Charts: figure, title, unit.
const CHARTS: [(&str, &str, &str); 6] = [
    ("mean_ttft_ms", "mean time to first token", "ms"),
    ("p99_ttft_ms", "p99 time to first token", "ms"),
    ("mean_tpot_ms", "mean time per output token", "ms"),
    ("p99_e2el_ms", "p99 end-to-end latency", "ms"),
    ("request_throughput", "throughput", "req/s"),
    ("num_running", "running requests", ""),
];

struct Sweep<'v> {
    json: &'v Value,
    points: &'v [Value],
    models: Vec<&'v str>,
}

impl Document {
    /// The report of a prediction against load; `None` if this is not what `kendall predict --sweep --json` prints.
    pub fn of_predict_sweep(json: &Value) -> Option<Self> {
        let points = json.get("points")?.as_array()?;
        number(json, "capacity_per_s")?;
        number(points.first()?, "load")?;
        let mut models = Vec::new();
        let of_points = points.iter().filter_map(|point| point.get("figures")?.as_object());
        for figure in of_points.flat_map(|figures| figures.values()) {
            for model in
                figure.get("models").and_then(Value::as_object).into_iter().flat_map(|models| models.keys())
            {
                if !models.contains(&model.as_str()) {
                    models.push(model);
                }
            }
        }
        let sweep = Sweep { json, points, models };
        let mut sections = vec![sweep.charts(), sweep.table()];
        sections.extend(origin::sections(json));
        Some(Self {
            title: format!("{}: theory against load", text(json, "scenario")),
            subtitle: format!(
                "{} loads, kendall {}",
                whole(points.len() as u64),
                text(json, "kendall_version")
            ),
            verdict: sweep.verdict(),
            tiles: vec![Tile {
                label: "overload begins at".into(),
                value: format!("{} req/s", significant(number(json, "capacity_per_s"))),
                detail: "the arrival rate above which the queue grows without end".into(),
            }],
            sections,
        })
    }
}

fn simulated(point: &Value, figure: &str) -> Option<Simulated> {
    let found = point.get("figures")?.get(figure)?.get("simulated")?;
    let mean = number(found, "mean")?;
    Some(Simulated { mean, ends: number(found, "half_width").map(|half| (mean - half, mean + half)) })
}

fn theory(point: &Value, figure: &str, model: &str) -> Option<f64> {
    number(point.get("figures")?.get(figure)?.get("models")?.get(model)?, "value")
}

impl Sweep<'_> {
    /// The largest error of any model at a point, where the simulation can tell: (size, model, load).
    fn worst(&self, figure: &str) -> Option<(f64, &str, f64)> {
        let errors = self.points.iter().flat_map(|point| {
            self.models.iter().filter_map(move |model| {
                let error = simulated(point, figure)?.error_beyond(theory(point, figure, model)?);
                Some((error, *model, number(point, "load")?))
            })
        });
        errors.max_by(|a, b| a.0.total_cmp(&b.0))
    }

    fn verdict(&self) -> Verdict {
        let judged: Vec<(f64, String)> = CHARTS[..3]
            .iter()
            .filter_map(|(figure, title, _)| {
                let (error, model, load) = self.worst(figure)?;
                let (size, load) = (percent(Some(error)), percent(Some(load)));
                let said = if error > 0.0 {
                    format!("{size} in {title} ({model} at a load of {load})")
                } else {
                    format!("none in {title}")
                };
                Some((error, said))
            })
            .collect();
        let most = judged.iter().map(|(error, _)| *error).fold(0.0, f64::max);
        let said: Vec<&str> = judged.iter().map(|(_, text)| text.as_str()).collect();
        Verdict {
            level: if judged.is_empty() { Level::Neutral } else { level(most) },
            headline: format!(
                "Overload begins at {} req/s",
                significant(number(self.json, "capacity_per_s"))
            ),
            question: None,
            answer: if said.is_empty() {
                "Theory only: nothing was simulated beside it.".into()
            } else {
                format!(
                    "The largest errors of theory that lie beyond an interval of the simulation: {}.",
                    said.join("; ")
                )
            },
            warnings: Vec::new(),
        }
    }

    /// A model's figure against load: its curve where there is one, else its values at the points.
    fn line(&self, figure: &str, model: &str) -> Vec<(f64, f64)> {
        let curve = list(self.json, "curve").iter();
        let line: Vec<_> = curve
            .filter_map(|place| {
                Some((number(place, "load")?, number(place.get("models")?.get(model)?, figure)?))
            })
            .collect();
        if !line.is_empty() {
            return line;
        }
        let points = self.points.iter();
        points.filter_map(|point| Some((number(point, "load")?, theory(point, figure, model)?))).collect()
    }

    fn charts(&self) -> Section {
        let figures = CHARTS.into_iter().filter_map(|(figure, title, unit)| {
            let lines = self.models.iter().enumerate().map(|(i, model)| Layer {
                label: format!("{model} (theory)"),
                colour: i + 1,
                shape: Shape::Line(self.line(figure, model)),
            });
            let dots = self.points.iter().filter_map(|point| {
                let found = simulated(point, figure)?;
                Some((number(point, "load")?, found.mean, found.ends.map(|(low, high)| (high - low) / 2.0)))
            });
            let dots = Layer { label: "simulated".into(), colour: 0, shape: Shape::Points(dots.collect()) };
            let layers = lines.chain([dots]).filter(|layer| layer.shape.points().next().is_some()).collect();
            let y = match unit {
                "ms" => Axis::linear(title, Unit::Milliseconds),
                unit => Axis::linear(title, Unit::Named(unit.to_owned())),
            };
            let mut x = Axis::linear("load: arrivals over capacity", Unit::Share);
            x.from = None;
            let limit =
                Mark { at: 1.0, label: "overload".into(), direction: Direction::Vertical, is_limit: true };
            let reaches =
                self.points.iter().any(|point| number(point, "load").is_some_and(|load| load > 0.9));
            let chart = Chart {
                title: title.to_owned(),
                x,
                y,
                layers,
                marks: reaches.then_some(limit).into_iter().collect(),
            };
            (!chart.is_empty()).then(|| Figure {
                id: figure.replace('_', "-"),
                chart,
                caption: String::new(),
            })
        });
        Section {
            id: "figures",
            heading: "Theory over simulation".into(),
            lead: "Lines are theory; dots are means of the simulation with their intervals. A model is drawn where it answers: the \
                   stationary one below overload, the fluid one from there on."
                .into(),
            blocks: vec![Block::Figures(figures.collect())],
        }
    }

    fn table(&self) -> Section {
        let numbers = ["rate (req/s)", "simulated", "interval", "theory", "error"];
        let mut table = DataTable::new(&["load", "figure", "model"], &numbers);
        for point in self.points {
            for (figure, title, unit) in CHARTS {
                for model in &self.models {
                    let Some(value) = theory(point, figure, model) else { continue };
                    let found = simulated(point, figure);
                    table.rows.push(vec![
                        percent(number(point, "load")),
                        if unit.is_empty() { title.to_owned() } else { format!("{title} ({unit})") },
                        (*model).to_owned(),
                        significant(number(point, "rate_per_s")),
                        significant(found.map(|found| found.mean)),
                        found.and_then(|found| found.ends).map_or("-".into(), |(low, high)| {
                            format!("{} to {}", significant(Some(low)), significant(Some(high)))
                        }),
                        significant(Some(value)),
                        found.map_or("-".into(), |found| found.error_of(value)),
                    ]);
                }
            }
        }
        table.folded = Some("Every figure at every load".into());
        Section::of_points(table)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn theory_is_a_line_over_dots() {
        let point = |load: f64, value: f64| {
            json!({"load": load, "rate_per_s": 20.0 * load, "figures": {"mean_ttft_ms": {"unit": "ms",
                "simulated": {"mean": 50.0, "half_width": 2.0}, "models": {"paged": {"value": value}}}}})
        };
        let mut json = json!({"scenario": "x", "kendall_version": "0", "capacity_per_s": 20.0,
            "points": [point(0.3, 50.0), point(0.6, 55.0)]});
        let document = Document::of_predict_sweep(&json).unwrap();
        assert!(
            document
                .verdict
                .answer
                .contains("10.0 % in mean time to first token (paged at a load of 60.0 %)")
        );
        let line = |document: &Document| match &document.figures().next().unwrap().chart.layers[0].shape {
            Shape::Line(points) => points.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(line(&document), 2, "values at the points");
        json["curve"] = (0..5)
            .map(|i| json!({"load": 0.3 + 0.1 * f64::from(i), "models": {"paged": {"mean_ttft_ms": 50.0}}}))
            .collect();
        assert_eq!(line(&Document::of_predict_sweep(&json).unwrap()), 5, "the finer curve");
        assert!(Document::of_predict_sweep(&json!({"points": [{"values": {}}]})).is_none());
    }
}
