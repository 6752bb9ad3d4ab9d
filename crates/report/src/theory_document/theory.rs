//! What the analytical models say, as `kendall predict --json` prints it: curves for charts, and a table of figures beside
//! those of a simulation.

use serde_json::Value;

use crate::chart::{Layer, Shape};
use crate::document::{Block, DataTable, Section};
use crate::json::{list, number, text, texts};
use crate::number::{percent, significant};

/// Colours of models in charts, behind those of the simulation and its intervals.
const FIRST_COLOUR: usize = 2;
/// Percentiles that stand in for a law that is not known.
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];

/// The answers of every model.
#[derive(Debug, Clone)]
pub(crate) struct Theory<'v> {
    json: &'v Value,
}

/// A figure of a simulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Simulated {
    pub mean: f64,
    /// Both ends of its interval, if it has one.
    pub ends: Option<(f64, f64)>,
}

impl Simulated {
    /// Whether the interval holds a model's value.
    pub(crate) fn holds(self, value: f64) -> bool {
        self.ends.is_some_and(|(low, high)| low <= value && value <= high)
    }

    /// The size of a model's error; 0 where the interval holds its value, so that the simulation cannot tell.
    pub(crate) fn error_beyond(self, value: f64) -> f64 {
        if self.holds(value) || self.mean.abs() < 1e-12 { 0.0 } else { (value / self.mean - 1.0).abs() }
    }

    /// The error of a model; in brackets where the interval holds its value.
    pub(crate) fn error_of(self, value: f64) -> String {
        // Nothing to divide by.
        if self.mean.abs() < 1e-12 {
            return "-".into();
        }
        let text = format!("{:+.1} %", (value / self.mean - 1.0) * 100.0);
        if self.holds(value) { format!("({text})") } else { text }
    }
}

impl<'v> Theory<'v> {
    /// `None` if this is not what `kendall predict --json` prints.
    pub(crate) fn of(json: &'v Value) -> Option<Self> {
        let is_one = json.get("models")?.is_array() && json.get("not_applicable")?.is_array();
        is_one.then_some(Self { json })
    }

    /// Names of the models that answer.
    pub(crate) fn models(&self) -> impl Iterator<Item = &'v str> + use<'v> {
        list(self.json, "models").iter().map(|model| text(model, "model"))
    }

    /// Names of the figures that some model answers, with their units.
    pub(crate) fn figures(&self) -> impl Iterator<Item = (&'v str, &'v str)> + use<'v> {
        let figures = self.json.get("figures").and_then(Value::as_object);
        figures.into_iter().flatten().map(|(name, figure)| (name.as_str(), text(figure, "unit")))
    }

    /// What a model says of a figure.
    pub(crate) fn value(&self, figure: &str, model: &str) -> Option<f64> {
        number(self.json.get("figures")?.get(figure)?.get("models")?.get(model)?, "value")
    }

    /// What the simulation says of it, where the models were asked beside one.
    pub(crate) fn simulated(&self, figure: &str) -> Option<Simulated> {
        let found = self.json.get("figures")?.get(figure)?.get("simulated")?;
        let mean = number(found, "mean")?;
        Some(Simulated { mean, ends: number(found, "half_width").map(|half| (mean - half, mean + half)) })
    }

    /// Every model's law of a latency (`ttft`, `tpot`, `e2el`): a line where it is known, else dots at its percentiles.
    pub(crate) fn layers(&self, latency: &str) -> Vec<Layer> {
        let models = list(self.json, "models").iter().enumerate();
        models
            .filter_map(|(number, model)| {
                let name = text(model, "model");
                let curve = model.get("curves").map(|curves| list(curves, latency)).unwrap_or_default();
                let points: Vec<(f64, f64)> = curve
                    .iter()
                    .filter_map(|point| Some((point.get(0)?.as_f64()?, point.get(1)?.as_f64()?)))
                    .collect();
                let shape = if points.is_empty() {
                    let known = PERCENTILES.into_iter().filter_map(|(p, share)| {
                        Some((self.value(&format!("{p}_{latency}_ms"), name)?, share, None))
                    });
                    Shape::Points(known.collect())
                } else {
                    Shape::Line(points)
                };
                let layer = Layer { label: format!("{name} (theory)"), colour: FIRST_COLOUR + number, shape };
                let is_known = layer.shape.points().next().is_some();
                is_known.then_some(layer)
            })
            .collect()
    }

    /// Where overload begins, in a sentence.
    pub(crate) fn boundary(&self) -> Option<String> {
        let boundary = self.json.get("boundary").filter(|boundary| boundary.is_object())?;
        let rate = |key: &str| significant(number(boundary, key));
        Some(format!(
            "Overload begins at {} req/s, where {} binds; {} arrive, a load of {}.",
            rate("capacity_per_s"),
            text(boundary, "binds"),
            rate("rate_per_s"),
            percent(number(boundary, "load"))
        ))
    }

    /// Each figure as the simulation gives it, and as each model does.
    pub(crate) fn section(&self, simulated: impl Fn(&str) -> Option<Simulated>) -> Section {
        let mut blocks = Vec::new();
        let table = self.table(simulated);
        let answers = !table.rows.is_empty();
        if answers {
            blocks.push(Block::Table(table));
            blocks.push(Block::Table(self.assumptions()));
        }
        for refusal in list(self.json, "not_applicable") {
            blocks.push(Block::Text(format!(
                "{} says nothing here: {}.",
                text(refusal, "model"),
                text(refusal, "reason")
            )));
        }
        for left_out in texts(self.json, "left_out") {
            blocks.push(Block::Text(format!("Left out of the models: {left_out}.")));
        }
        let lead = if answers {
            "Analytical models of the same scenario, without a simulation. Errors are relative to the simulation; in brackets where \
             its interval holds the model's value."
        } else {
            "No analytical model applies to this scenario."
        };
        let boundary = self.boundary().map(|sentence| format!(" {sentence}")).unwrap_or_default();
        Section {
            id: "theory",
            heading: "Theory beside the simulation".into(),
            lead: format!("{lead}{boundary}"),
            blocks,
        }
    }

    fn table(&self, simulated: impl Fn(&str) -> Option<Simulated>) -> DataTable {
        let models: Vec<&str> = self.models().collect();
        let mut columns = vec!["simulated".to_owned(), "interval".to_owned()];
        columns.extend(models.iter().flat_map(|model| [(*model).to_owned(), "error".to_owned()]));
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let mut table = DataTable::new(&["figure", "unit"], &columns);
        for (figure, unit) in self.figures() {
            let found = simulated(figure);
            let ends = found.and_then(|found| found.ends);
            let mut row = vec![
                figure.to_owned(),
                unit.to_owned(),
                significant(found.map(|found| found.mean)),
                ends.map_or("-".into(), |(low, high)| {
                    format!("{} to {}", significant(Some(low)), significant(Some(high)))
                }),
            ];
            for model in &models {
                let value = self.value(figure, model);
                row.push(significant(value));
                row.push(value.zip(found).map_or("-".into(), |(value, found)| found.error_of(value)));
            }
            table.rows.push(row);
        }
        table
    }

    fn assumptions(&self) -> DataTable {
        let mut table = DataTable::new(&["model", "takes for granted"], &[]);
        for model in list(self.json, "models") {
            let each = texts(model, "assumptions");
            table
                .rows
                .extend(each.map(|assumption| vec![text(model, "model").to_owned(), assumption.to_owned()]));
        }
        table.folded = Some("What the models take for granted".into());
        table
    }
}
