//! The report of `kendall validate`: measured servers beside their simulation.

use serde_json::Value;

use crate::chart::{Axis, Chart, GREY, Layer, Shape, Unit};
use crate::document::{Block, DataTable, Document, Figure, Level, Section, Tile, Verdict};
use crate::json::{list, number, text, texts};
use crate::number::{significant, whole};
use crate::origin;

/// Figures that are drawn and summed up: name, title, unit, factor from what JSON has.
const FIGURES: [(&str, &str, &str, f64); 6] = [
    ("ttft_mean", "mean TTFT", "ms", 1e3),
    ("ttft_p99", "p99 TTFT", "ms", 1e3),
    ("tpot_mean", "mean TPOT", "ms", 1e3),
    ("e2e_mean", "mean E2E", "s", 1.0),
    ("e2e_p99", "p99 E2E", "s", 1.0),
    ("throughput_rps", "throughput", "req/s", 1.0),
];
/// Share by which the outer lines of a chart are off.
const BAND: f64 = 0.1;
/// Median errors of at most so many percent are good, ...
const GOOD: f64 = 10.0;
/// ... and above so many they are bad.
const BAD: f64 = 30.0;

struct Validation<'v> {
    json: &'v Value,
    rows: &'v [Value],
}

impl Document {
    /// The report of a validation; `None` if this is not what `kendall validate --json` prints.
    pub fn of_validation(json: &Value) -> Option<Self> {
        let rows = json.get("rows")?.as_array()?;
        json.get("summary")?.as_array()?;
        let validation = Validation { json, rows };
        let counted = rows.iter().filter(|row| is_counted(row)).count();
        let mut sections = vec![validation.charts(), validation.summary(), validation.rows()];
        sections.extend(validation.remarks());
        sections.extend(origin::sections(json));
        let title = json.get("table").and_then(Value::as_str).unwrap_or("measured servers");
        Some(Self {
            title: format!("{title}: measured beside simulated"),
            subtitle: format!(
                "{} rows, {} simulated, {} counted in the summary (rows over all stages repeat them), kendall {}",
                whole(rows.len() as u64),
                whole(rows.iter().filter(|row| row.get("reason").is_none()).count() as u64),
                whole(counted as u64),
                text(json, "kendall_version")
            ),
            verdict: validation.verdict(counted),
            tiles: validation.tiles(),
            sections,
        })
    }
}

fn is_counted(row: &Value) -> bool {
    row.get("counted").and_then(Value::as_bool) == Some(true)
}

/// (measured, predicted, error in percent) of a row.
fn compared(row: &Value, figure: &str) -> Option<(f64, f64, f64)> {
    let found = row.get("metrics")?.get(figure)?;
    Some((number(found, "measured")?, number(found, "predicted")?, number(found, "error_pct")?))
}

impl Validation<'_> {
    fn lines(&self) -> &[Value] {
        list(self.json, "summary")
    }

    /// Median error, mean error (%) and rows of a figure in a group.
    fn error(&self, group: &str, figure: &str) -> Option<(f64, f64, u64)> {
        let line = self
            .lines()
            .iter()
            .find(|line| text(line, "group") == group && text(line, "metric") == figure)?;
        Some((number(line, "median_ape")?, number(line, "mean_ape")?, line.get("n")?.as_u64()?))
    }

    fn verdict(&self, counted: usize) -> Verdict {
        let known: Vec<(&str, f64, u64)> = FIGURES
            .into_iter()
            .filter_map(|(figure, title, ..)| {
                let (median, _, n) = self.error("all", figure)?;
                Some((title, median, n))
            })
            .collect();
        let worst = known.iter().map(|&(_, median, _)| median).fold(0.0, f64::max);
        let level = match () {
            () if known.is_empty() => Level::Neutral,
            () if worst <= GOOD => Level::Good,
            () if worst <= BAD => Level::Mixed,
            () => Level::Bad,
        };
        let said: Vec<String> =
            known.iter().map(|(title, median, n)| format!("{title} {median:.1} % ({n} rows)")).collect();
        let headline = match known.iter().find(|(title, ..)| *title == "mean E2E").or(known.first()) {
            Some((title, median, n)) => format!("Median error of {title}: {median:.1} % over {n} rows"),
            None => "No row could be compared".into(),
        };
        let few = (counted > 0 && counted < 20).then(|| {
            format!("Only {counted} rows are compared: a median of so few may change with the next one.")
        });
        Verdict {
            level,
            headline,
            question: Some(
                "How far may these predictions be trusted, and on which rows are they wrong?".into(),
            ),
            answer: if said.is_empty() {
                "The reasons are below.".into()
            } else {
                format!("Median absolute errors: {}.", said.join("; "))
            },
            warnings: few.into_iter().collect(),
        }
    }

    fn tiles(&self) -> Vec<Tile> {
        let tile = |&(figure, title, ..): &(&str, &str, &str, f64)| {
            let (median, mean, n) = self.error("all", figure)?;
            Some(Tile {
                label: format!("median error, {title}"),
                value: format!("{median:.1} %"),
                detail: format!("mean {mean:.1} %, {n} rows"),
            })
        };
        FIGURES.iter().filter_map(tile).collect()
    }

    fn charts(&self) -> Section {
        let figures = FIGURES.into_iter().filter_map(|(figure, title, unit, scale)| {
            let pairs: Vec<(f64, f64)> = self
                .rows
                .iter()
                .filter(|row| is_counted(row))
                .filter_map(|row| compared(row, figure))
                .map(|(measured, predicted, _)| (measured * scale, predicted * scale))
                .filter(|&(measured, predicted)| measured > 0.0 && predicted > 0.0)
                .collect();
            (!pairs.is_empty()).then(|| Figure {
                id: figure.replace('_', "-"),
                chart: scatter(title, unit, &[(title, pairs.clone())]),
                caption: format!(
                    "{} rows. On the middle line both are equal; on the outer ones the prediction is {} % off.",
                    whole(pairs.len() as u64),
                    BAND * 100.0
                ),
            })
        });
        Section {
            id: "figures",
            heading: "Predicted against measured".into(),
            lead: "One dot a row, on logarithmic axes. A dot above the line is a prediction that is too slow, or too much.".into(),
            blocks: vec![Block::Figures(figures.collect())],
        }
    }

    fn summary(&self) -> Section {
        let mut groups: Vec<&str> = Vec::new();
        for line in self.lines() {
            if !groups.contains(&text(line, "group")) {
                groups.push(text(line, "group"));
            }
        }
        let mut table = DataTable::new(&["group"], &FIGURES.map(|(_, title, ..)| title));
        for group in groups {
            let cells = FIGURES.map(|(figure, ..)| match self.error(group, figure) {
                Some((median, mean, n)) => format!("{median:.1}, {mean:.1} ({n})"),
                None => "-".into(),
            });
            table.rows.push(std::iter::once(group.to_owned()).chain(cells).collect());
        }
        Section {
            id: "summary",
            heading: "Errors by group".into(),
            lead: "Absolute errors in percent of the measured value: median, mean (rows).".into(),
            blocks: vec![Block::Table(table)],
        }
    }

    fn rows(&self) -> Section {
        let mut table = DataTable::new(
            &["experiment", "stage", "GPU", "model", "step time"],
            &FIGURES.map(|(_, title, ..)| title),
        );
        for row in self.rows.iter().filter(|row| row.get("reason").is_none()) {
            let mut cells = ["experiment", "stage", "gpu", "model", "step_time"]
                .map(|key| text(row, key).to_owned())
                .to_vec();
            cells.extend(FIGURES.map(|(figure, _, unit, scale)| match compared(row, figure) {
                Some((measured, predicted, error)) => format!(
                    "{} ({}) {unit}, {error:+.1} %",
                    significant(Some(predicted * scale)),
                    significant(Some(measured * scale))
                ),
                None => "-".into(),
            }));
            table.rows.push(cells);
        }
        table.folded = Some(format!("{} rows: predicted (measured), error", whole(table.rows.len() as u64)));
        Section {
            id: "rows",
            heading: "Every row".into(),
            lead: String::new(),
            blocks: vec![Block::Table(table)],
        }
    }

    /// What was assumed, and what was not simulated.
    fn remarks(&self) -> impl Iterator<Item = Section> {
        let assumed = self.rows.iter().flat_map(|row| texts(row, "notes").map(move |note| (note, row)));
        let skipped = self.rows.iter().filter_map(|row| Some((row.get("reason")?.as_str()?, row)));
        let section = |id, heading: &str, table: DataTable| Section {
            id,
            heading: heading.to_owned(),
            lead: String::new(),
            blocks: vec![Block::Table(table)],
        };
        let assumed = by_text(assumed).map(|table| section("assumed", "What was assumed", table));
        let skipped = by_text(skipped).map(|table| section("skipped", "What was not simulated", table));
        assumed.into_iter().chain(skipped)
    }
}

/// Rows by a text that they share, with how many they are and the first of them.
fn by_text<'v>(pairs: impl Iterator<Item = (&'v str, &'v Value)>) -> Option<DataTable> {
    let mut shared: Vec<(&str, u64, &Value)> = Vec::new();
    for (said, row) in pairs {
        match shared.iter_mut().find(|(known, ..)| *known == said) {
            Some((_, count, _)) => *count += 1,
            None => shared.push((said, 1, row)),
        }
    }
    let mut table = DataTable::new(&["what", "first"], &["rows"]);
    for (said, count, first) in shared {
        let first = format!("{} {}", text(first, "experiment"), text(first, "stage"));
        table.rows.push(vec![said.to_owned(), first, whole(count)]);
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Predicted against measured values, both above 0, with the line on which they are equal and lines 10 % off.
pub fn scatter(title: &str, unit: &str, series: &[(&str, Vec<(f64, f64)>)]) -> Chart {
    let values = || series.iter().flat_map(|(_, pairs)| pairs).flat_map(|&(x, y)| [x, y]);
    let (low, high) = values().fold((f64::INFINITY, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
    let ends = (low < f64::INFINITY).then_some([low / 1.2, high * 1.2]);
    let line = |factor: f64| ends.map(|ends| ends.map(|x| (x, x * factor)).to_vec()).unwrap_or_default();
    let rule = |label: &str, factor| Layer {
        label: label.to_owned(),
        colour: GREY,
        shape: Shape::Line(line(factor)),
    };
    let mut layers = vec![rule("equal", 1.0), rule("", 1.0 + BAND), rule("", 1.0 - BAND)];
    layers.extend(series.iter().enumerate().map(|(colour, (label, pairs))| Layer {
        label: if series.len() > 1 { (*label).to_owned() } else { String::new() },
        colour,
        shape: Shape::Points(pairs.iter().map(|&(x, y)| (x, y, None)).collect()),
    }));
    let axis = |label: &str| {
        let mut axis = Axis::log(label, Unit::Named(unit.to_owned()));
        (axis.from, axis.to) = (ends.map(|ends| ends[0]), ends.map(|ends| ends[1]));
        axis
    };
    Chart { title: title.to_owned(), x: axis("measured"), y: axis("predicted"), layers, marks: Vec::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn validation() -> Value {
        let row = |experiment: &str, predicted: f64| {
            json!({"experiment": experiment, "stage": "0", "gpu": "A10G", "model": "m", "counted": true, "step_time": "roofline",
                "notes": ["a default"],
                "metrics": {"ttft_mean": {"measured": 0.05, "predicted": predicted, "error_pct": 100.0 * (predicted / 0.05 - 1.0)}}})
        };
        json!({
            "summary": [{"group": "all", "metric": "ttft_mean", "n": 2, "median_ape": 11.0, "mean_ape": 11.0}],
            "rows": [row("<a>", 0.06), row("b", 0.049), {"experiment": "c", "stage": "0", "counted": false, "metrics": {},
                "reason": "unknown model"}],
        })
    }

    #[test]
    fn a_validation_says_where_it_is_wrong() {
        let document = Document::of_validation(&validation()).unwrap();
        assert_eq!(document.verdict.level, Level::Mixed);
        assert_eq!(document.verdict.headline, "Median error of mean TTFT: 11.0 % over 2 rows");
        let page = document.to_html().unwrap();
        for part in ["60.00 (50.00) ms, +20.0 %", "unknown model", "a default", "Only 2 rows", "&lt;a&gt;"] {
            assert!(page.contains(part), "`{part}`");
        }
        assert_eq!(document.figures().count(), 1, "what no row has is not drawn");
        assert!(Document::of_validation(&json!({"rows": []})).is_none());
    }

    #[test]
    fn every_pair_is_a_dot_within_the_axes() {
        let chart = scatter("errors", "s", &[("mean TTFT", vec![(0.01, 0.011), (2.0, 1.8)])]);
        let svg = chart.to_svg(crate::Colours::Fixed).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("measured (s)") && svg.contains("equal"), "{svg}");
        assert!(scatter("none", "s", &[]).to_svg(crate::Colours::Fixed).unwrap().contains("no data"));
    }
}
