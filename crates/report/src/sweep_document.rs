//! The report of a sweep, from its `sweep.json`: every figure against what was varied, with the interval of each point.

use serde_json::Value;

use crate::chart::{Axis, Chart, Layer, MOST_LAYERS, Shape, Unit};
use crate::document::{Block, DataTable, Document, Figure, Level, Section, Tile, Verdict};
use crate::number::{percent, significant, whole};
use crate::origin;
use crate::sweep_report::WIDE;

/// Charts: figure, title, unit.
const CHARTS: [(&str, &str, &str); 12] = [
    ("p99_ttft_ms", "p99 time to first token", "ms"),
    ("p99_tpot_ms", "p99 time per output token", "ms"),
    ("p99_e2el_ms", "p99 end-to-end latency", "ms"),
    ("slo_attainment", "requests that kept every limit", "share"),
    ("request_goodput", "goodput", "req/s"),
    ("output_throughput", "output tokens", "tok/s"),
    ("num_running", "running requests", ""),
    ("num_waiting", "waiting requests", ""),
    ("kv_cache_usage", "KV cache in use", "share"),
    ("num_preemptions", "preemptions", ""),
    ("usd_per_million_output_tokens", "cost of a million output tokens", "USD"),
    ("joules_per_output_token", "energy of an output token, at most", "J"),
];

struct Sweep<'v> {
    json: &'v Value,
    keys: Vec<&'v str>,
    points: &'v [Value],
}

impl Document {
    /// The report of a sweep; `None` if this is no `sweep.json`.
    pub fn of_sweep(json: &Value) -> Option<Self> {
        let points = json.get("points")?.as_array()?;
        let first = points.first()?.get("values")?.as_object()?;
        let sweep = Sweep { json, keys: first.keys().map(String::as_str).collect(), points };
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or("unknown");
        let replications = json.get("replications").and_then(Value::as_u64).unwrap_or(1);
        Some(Self {
            title: format!("{}: {}", text("scenario"), sweep.keys.join(", ")),
            subtitle: format!(
                "{} points, {} replications each, seed {}, kendall {}",
                whole(points.len() as u64),
                whole(replications),
                json.get("seed").and_then(Value::as_u64).unwrap_or(0),
                text("kendall_version")
            ),
            verdict: sweep.verdict(),
            tiles: sweep.tiles(),
            sections: [sweep.charts(), sweep.table()].into_iter().chain(origin::sections(json)).collect(),
        })
    }
}

fn mean(point: &Value, figure: &str) -> Option<f64> {
    point.get("figures")?.get(figure)?.get("mean")?.as_f64()
}

fn half_width(point: &Value, figure: &str) -> Option<f64> {
    point.get("figures")?.get(figure)?.get("half_width")?.as_f64()
}

fn status(point: &Value) -> &str {
    point.get("status").and_then(Value::as_str).unwrap_or("unknown")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Sweep<'_> {
    fn value(&self, point: &Value, key: usize) -> String {
        point.get("values").and_then(|values| values.get(self.keys[key])).map(plain).unwrap_or_default()
    }

    fn values(&self, point: &Value) -> String {
        let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
        let each =
            self.keys.iter().enumerate().map(|(i, key)| format!("{} {}", last(key), self.value(point, i)));
        each.collect::<Vec<_>>().join(", ")
    }

    fn verdict(&self) -> Verdict {
        let mut statuses: Vec<(&str, usize)> = Vec::new();
        for point in self.points {
            match statuses.iter_mut().find(|(known, _)| *known == status(point)) {
                Some((_, count)) => *count += 1,
                None => statuses.push((status(point), 1)),
            }
        }
        let statuses: Vec<String> =
            statuses.iter().map(|(status, count)| format!("{count} {status}")).collect();
        let kept: Vec<String> = self
            .points
            .iter()
            .filter(|point| mean(point, "slo_attainment").is_some_and(|share| share >= 0.99))
            .map(|point| self.values(point))
            .collect();
        let has_limits = self.points.iter().any(|point| mean(point, "slo_attainment").is_some());
        let answer = match (has_limits, kept.as_slice()) {
            (false, _) => "The scenario sets no limits: the figures speak for themselves.".to_owned(),
            (true, []) => "At no point did 99 % of requests keep every limit.".to_owned(),
            (true, kept) if kept.len() <= 4 => {
                format!("99 % of requests kept every limit at {}.", kept.join("; at "))
            }
            (true, kept) => format!(
                "99 % of requests kept every limit at {} of {} points, from {} to {}.",
                kept.len(),
                self.points.len(),
                kept[0],
                kept[kept.len() - 1]
            ),
        };
        let warnings = self.json.get("warnings").and_then(Value::as_array);
        Verdict {
            level: match (has_limits, kept.len()) {
                (false, _) => Level::Neutral,
                (true, 0) => Level::Bad,
                (true, n) if n == self.points.len() => Level::Good,
                (true, _) => Level::Mixed,
            },
            headline: format!("{} points: {}", self.points.len(), statuses.join(", ")),
            question: None,
            answer,
            warnings: warnings.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    /// The best point of a few figures.
    fn tiles(&self) -> Vec<Tile> {
        [
            ("request_goodput", "best goodput", "req/s", true),
            ("output_throughput", "most output tokens", "tok/s", true),
            ("usd_per_million_output_tokens", "lowest cost", "USD for a million output tokens", false),
        ]
        .into_iter()
        .filter_map(|(figure, label, unit, largest)| {
            let known = self.points.iter().filter_map(|point| Some((mean(point, figure)?, point)));
            let best = known.reduce(|a, b| if (b.0 > a.0) == largest { b } else { a })?;
            let interval = half_width(best.1, figure).map(|half| format!(" +- {}", significant(Some(half))));
            Some(Tile {
                label: label.to_owned(),
                value: format!("{}{} {unit}", significant(Some(best.0)), interval.unwrap_or_default()),
                detail: format!("at {}", self.values(best.1)),
            })
        })
        .collect()
    }

    /// Places of the points on the axis of the first key, and the axis.
    fn axis(&self) -> (Vec<f64>, Axis) {
        let label = self.keys[0].rsplit('.').next().unwrap_or(self.keys[0]);
        let numbers: Option<Vec<f64>> =
            self.points.iter().map(|point| point.get("values")?.get(self.keys[0])?.as_f64()).collect();
        if let Some(numbers) = numbers {
            let positive = numbers.iter().all(|&x| x > 0.0);
            let most = numbers.iter().copied().fold(0.0, f64::max);
            let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
            let wide = positive && most > WIDE * least;
            let mut axis =
                if wide { Axis::log(label, Unit::Number) } else { Axis::linear(label, Unit::Number) };
            axis.from = None;
            return (numbers, axis);
        }
        let mut names: Vec<String> = Vec::new();
        let places = self
            .points
            .iter()
            .map(|point| {
                let name = self.value(point, 0);
                let known = names.iter().position(|known| *known == name);
                known.unwrap_or_else(|| {
                    names.push(name);
                    names.len() - 1
                }) as f64
            })
            .collect();
        (places, Axis::names(label, names))
    }

    /// What the models say of a figure, over a single series: more lines could not be told apart.
    fn theory(&self, figure: &str, places: &[f64], series: usize) -> Vec<Layer> {
        let of_point =
            |point: &Value| point.get("theory").and_then(Value::as_object).cloned().unwrap_or_default();
        let mut models: Vec<String> = Vec::new();
        for model in self.points.iter().flat_map(|point| of_point(point).into_iter().map(|(model, _)| model))
        {
            if series == 1 && !models.contains(&model) {
                models.push(model);
            }
        }
        let layer = |(number, model): (usize, String)| {
            let points = self.points.iter().zip(places);
            let line = points.filter_map(|(point, &x)| {
                Some((x, point.get("theory")?.get(&model)?.get(figure)?.as_f64()?))
            });
            Layer {
                label: format!("{model} (theory)"),
                colour: number + 1,
                shape: Shape::Line(line.collect()),
            }
        };
        let layers = models.into_iter().enumerate().map(layer);
        layers.filter(|layer| layer.shape.points().nth(1).is_some()).collect()
    }

    fn charts(&self) -> Section {
        let (places, axis) = self.axis();
        let mut series: Vec<String> = Vec::new();
        let of_series: Vec<usize> = self
            .points
            .iter()
            .map(|point| {
                let last = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
                let other = |key: usize| format!("{} {}", last(self.keys[key]), self.value(point, key));
                let name = (1..self.keys.len()).map(other).collect::<Vec<_>>().join(", ");
                series.iter().position(|known| *known == name).unwrap_or_else(|| {
                    series.push(name);
                    series.len() - 1
                })
            })
            .collect();
        let shown = series.len().min(MOST_LAYERS);
        let figures = CHARTS
            .into_iter()
            .filter_map(|(figure, title, unit)| {
                let layers: Vec<Layer> = (0..shown)
                    .map(|number| Layer {
                        label: series[number].clone(),
                        colour: number,
                        shape: Shape::Dots(
                            self.points
                                .iter()
                                .zip(&places)
                                .zip(&of_series)
                                .filter(|&(_, &of)| of == number)
                                .filter_map(|((point, &x), _)| {
                                    Some((x, mean(point, figure)?, half_width(point, figure)))
                                })
                                .collect(),
                        ),
                    })
                    .collect();
                let layers: Vec<Layer> =
                    self.theory(figure, &places, series.len()).into_iter().chain(layers).collect();
                let varies = layers.iter().any(|layer| match &layer.shape {
                    Shape::Dots(points) | Shape::Points(points) => points.iter().any(|&(_, y, _)| y != 0.0),
                    Shape::Line(_) | Shape::Area(_) | Shape::Intervals(_) => true,
                });
                let y = match unit {
                    "share" => Axis { to: None, ..Axis::share(title) },
                    "ms" => Axis::linear(title, Unit::Milliseconds),
                    "" => Axis::linear(title, Unit::Number),
                    unit => Axis::linear(title, Unit::Named(unit.to_owned())),
                };
                let chart = Chart { title: title.to_owned(), x: axis.clone(), y, layers, marks: Vec::new() };
                (varies && !chart.is_empty()).then(|| Figure {
                    id: figure.replace('_', "-"),
                    chart,
                    caption: String::new(),
                })
            })
            .collect();
        let left_out = if series.len() > shown {
            format!(" The first {shown} of {} series.", series.len())
        } else {
            String::new()
        };
        Section {
            id: "figures",
            heading: "Against what was varied".into(),
            lead: format!(
                "Means over replications with their intervals. A figure that an overloaded point does not have is left out. Lines of \
                 theory are those of `kendall predict`, where a model applies.{left_out}"
            ),
            blocks: vec![Block::Figures(figures)],
        }
    }

    fn table(&self) -> Section {
        const COLUMNS: [(&str, &str); 6] = [
            ("request_throughput", "throughput (req/s)"),
            ("slo_attainment", "kept limits"),
            ("mean_ttft_ms", "mean TTFT (ms)"),
            ("p99_ttft_ms", "p99 TTFT (ms)"),
            ("mean_tpot_ms", "mean TPOT (ms)"),
            ("p99_tpot_ms", "p99 TPOT (ms)"),
        ];
        // Short names, unless two keys end alike.
        let short: Vec<&str> = self.keys.iter().map(|key| key.rsplit('.').next().unwrap_or(key)).collect();
        let is_clear = short.iter().enumerate().all(|(i, name)| !short[..i].contains(name));
        let mut text = if is_clear { short } else { self.keys.clone() };
        text.push("status");
        let mut table = DataTable::new(&text, &COLUMNS.map(|(_, title)| title));
        for point in self.points {
            let mut row: Vec<String> = (0..self.keys.len()).map(|key| self.value(point, key)).collect();
            row.push(status(point).to_owned());
            row.extend(COLUMNS.map(|(figure, _)| {
                let format = |value: f64| {
                    if figure == "slo_attainment" { percent(Some(value)) } else { significant(Some(value)) }
                };
                match (mean(point, figure), half_width(point, figure)) {
                    (Some(mean), Some(half)) => format!("{} +- {}", format(mean), format(half)),
                    (Some(mean), None) => format(mean),
                    (None, _) => "-".into(),
                }
            }));
            table.rows.push(row);
        }
        Section::of_points(table)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sweep() -> Value {
        let point = |gpu: &str, status: &str, share: f64| {
            json!({"values": {"server.gpu": gpu}, "status": status, "figures": {
                "slo_attainment": {"mean": share, "half_width": 0.01}, "p99_ttft_ms": {"mean": 90.0, "half_width": null},
            }})
        };
        json!({"scenario": "x", "seed": 1, "replications": 3, "kendall_version": "0", "warnings": ["careful"],
            "points": [point("L4", "overloaded", 0.3), point("<H100>", "completed", 1.0)]})
    }

    #[test]
    fn the_verdict_names_the_points_that_hold() {
        let document = Document::of_sweep(&sweep()).unwrap();
        assert_eq!(document.verdict.level, Level::Mixed);
        assert_eq!(document.verdict.answer, "99 % of requests kept every limit at gpu <H100>.");
        assert_eq!(document.figures().count(), 2, "what no point has is not drawn");
        let page = document.to_html().unwrap();
        assert!(page.contains("&lt;H100&gt;") && !page.contains("<H100>"));
        assert!(Document::of_sweep(&json!({"points": []})).is_none());
    }

    #[test]
    fn theory_is_a_line_over_one_series() {
        let point = |rate: u32| {
            json!({"values": {"rate_per_s": rate}, "status": "completed", "figures": {"p99_ttft_ms": {"mean": 90.0, "half_width": 1.0}},
                "theory": {"paged": {"p99_ttft_ms": 91.0}}})
        };
        let json = json!({"scenario": "x", "points": [point(1), point(2)]});
        let document = Document::of_sweep(&json).unwrap();
        let chart = &document.figures().next().unwrap().chart;
        let labels: Vec<&str> = chart.layers.iter().map(|layer| layer.label.as_str()).collect();
        assert_eq!(labels, ["paged (theory)", ""]);
    }
}
