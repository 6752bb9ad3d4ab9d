//! `ServeGen`: one client's arrival rates by window and its lengths.
//!
//! A client is two files, `chunk-N-trace.csv` and `chunk-N-dataset.json` (<https://github.com/alibaba/ServeGen>, NSDI 2026). A row of the
//! trace is `start (s), rate (1/s), cv, Gamma or Weibull, shape, scale`; the dataset has distributions of input and output tokens for
//! windows that begin at its keys.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use toml_edit::{Array, Value};

use crate::args::ImportArgs;
use crate::vllm::inline;

use super::document::Document;
use super::draft::Draft;

/// Length of the last window where no other follows (s): that of all others in the published files.
const WINDOW_S: f64 = 600.0;

/// A window of the trace.
#[derive(Debug, Clone, Copy)]
struct Window {
    start_s: f64,
    rate_per_s: f64,
    cv: f64,
}

/// Whether the document is a `ServeGen` dataset.
pub(super) fn is_dataset(document: &Document) -> bool {
    document.peek("0.input_tokens").is_some() && document.peek("0.output_tokens").is_some()
}

/// Whether the file is a `ServeGen` trace: its first line says so.
pub(super) fn is_trace(path: &Path) -> bool {
    let text = super::head(path).unwrap_or_default();
    text.lines().next().is_some_and(|line| window(line).is_some())
}

fn window(line: &str) -> Option<Window> {
    let fields: Vec<_> = line.split(',').map(str::trim).collect();
    let [start, rate, cv, pattern, _, _] = fields.as_slice() else { return None };
    if !matches!(*pattern, "" | "Gamma" | "Weibull" | "Exponential") {
        return None;
    }
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    Some(Window { start_s: number(start)?, rate_per_s: number(rate)?, cv: number(cv)? })
}

/// Reads the client.
///
/// # Errors
/// If one of its files is absent or malformed, or no request is left in the slice.
pub(super) fn read(args: &ImportArgs, draft: &mut Draft) -> Result<(), String> {
    let (trace, dataset) = files(&args.file)?;
    let windows = windows(&trace, args)?;
    let lengths = Lengths::read(&dataset, &windows)?;
    write_arrivals(&windows, draft);
    for (key, table) in [("prompt_tokens", &lengths.prompts), ("output_tokens", &lengths.outputs)] {
        let from = format!("{} of {}", key.replace("prompt", "input"), name(&dataset));
        draft.workload(key, table_of(table), &from);
        let shown = format!("{} lengths", table.len());
        let note = "an empirical distribution over all windows; the file has one for each";
        draft.approximated(&from, shown, note);
    }
    draft.approximated(
        "joint lengths",
        "",
        "prompt and output are drawn independently, as ServeGen itself does",
    );
    if lengths.has_reasons {
        draft.no_effect("reason_ratio", "", "reasoning tokens are output tokens");
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The two files of the client, given one of them.
fn files(file: &Path) -> Result<(PathBuf, PathBuf), String> {
    let name = name(file);
    let (trace, dataset) = if let Some(stem) = name.strip_suffix("-trace.csv") {
        (name.clone(), format!("{stem}-dataset.json"))
    } else if let Some(stem) = name.strip_suffix("-dataset.json") {
        (format!("{stem}-trace.csv"), name.clone())
    } else {
        return Err(
            "a client of ServeGen is named `...-trace.csv` and `...-dataset.json`: give one of these".into(),
        );
    };
    let beside = |name: String| file.with_file_name(name);
    for path in [beside(trace.clone()), beside(dataset.clone())] {
        if !path.is_file() {
            return Err(format!("the other file of this client is absent: {}", path.display()));
        }
    }
    Ok((beside(trace), beside(dataset)))
}

fn windows(path: &Path, args: &ImportArgs) -> Result<Vec<Window>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut windows: Vec<Window> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let here = format!("{}:{}", name(path), number + 1);
        let window = window(line).ok_or_else(|| {
            format!(
                "{here}: expected `start, rate, cv, Gamma or Weibull, shape, scale`, not `{}`",
                line.trim()
            )
        })?;
        if windows.last().is_some_and(|before| before.start_s >= window.start_s) {
            return Err(format!("{here}: windows must begin one after another"));
        }
        windows.push(window);
    }
    let (start, end) = (args.start_s.unwrap_or(0.0), args.end_s.unwrap_or(f64::INFINITY));
    if start >= end {
        return Err(format!("--end-s {end} is not after --start-s {start}"));
    }
    windows.retain(|window| window.start_s >= start && window.start_s < end);
    if windows.iter().all(|window| window.rate_per_s <= 0.0) {
        return Err("no window of the slice has arrivals: widen --start-s and --end-s".into());
    }
    Ok(windows)
}

fn durations(windows: &[Window]) -> impl Iterator<Item = (Window, f64)> {
    let last = match windows {
        [.., before, last] => last.start_s - before.start_s,
        _ => WINDOW_S,
    };
    windows.iter().enumerate().map(move |(at, &window)| {
        (window, windows.get(at + 1).map_or(last, |next| next.start_s - window.start_s))
    })
}

fn write_arrivals(windows: &[Window], draft: &mut Draft) {
    let (mut stages, mut requests, mut weighted_cv) = (Array::new(), 0.0, 0.0);
    for (window, duration_s) in durations(windows) {
        stages.push(inline([("rate_per_s", window.rate_per_s.into()), ("duration_s", duration_s.into())]));
        requests += window.rate_per_s * duration_s;
        weighted_cv += window.rate_per_s * duration_s * window.cv;
    }
    let cv = weighted_cv / requests;
    let stages = Value::Array(stages);
    let arrivals = inline([("process", "stages".into()), ("stages", stages), ("cv", cv.into())]);
    draft.workload("arrivals", arrivals, "rates and cv of the trace");
    draft.understood(
        "rate",
        format!("{} windows, {requests:.0} requests", windows.len()),
        "workload.arrivals.stages",
    );
    draft.approximated("cv", format!("{cv:.3}"), "one for all windows, their mean weighted by requests");
    draft.approximated(
        "Gamma, Weibull",
        "",
        "gaps are gamma with that cv; the file changes the family by window",
    );
}

/// Distributions of lengths over all windows.
#[derive(Debug)]
struct Lengths {
    prompts: Vec<(u64, f64)>,
    outputs: Vec<(u64, f64)>,
    has_reasons: bool,
}

impl Lengths {
    /// Sums the dataset's windows up, weighted by the requests that the trace has in each.
    fn read(path: &Path, windows: &[Window]) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let here = |message: &str| format!("{}: {message}", name(path));
        let root: serde_json::Map<String, Json> = serde_json::from_str(&text)
            .map_err(|error| here(&format!("it is not the expected JSON: {error}")))?;
        let mut starts: Vec<(f64, &Json)> = Vec::new();
        for (key, value) in &root {
            let start = key.parse().map_err(|_| here(&format!("the key `{key}` is no time in seconds")))?;
            starts.push((start, value));
        }
        starts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut prompts, mut outputs) = (Sum::default(), Sum::default());
        let mut has_reasons = false;
        for (at, (start, value)) in starts.iter().enumerate() {
            let end = starts.get(at + 1).map_or(f64::INFINITY, |next| next.0);
            let inside =
                durations(windows).filter(|(window, _)| window.start_s >= *start && window.start_s < end);
            let requests: f64 = inside.map(|(window, duration)| window.rate_per_s * duration).sum();
            if requests > 0.0 {
                for (key, sum) in [("input_tokens", &mut prompts), ("output_tokens", &mut outputs)] {
                    let table = value.get(key).and_then(Json::as_str);
                    let table = table.ok_or_else(|| here(&format!("`{start}` has no `{key}`")))?;
                    sum.add(table, requests)
                        .map_err(|error| here(&format!("`{key}` of `{start}`: {error}")))?;
                }
                has_reasons |= value.get("reason_ratio").is_some();
            }
        }
        if prompts.0.is_empty() || outputs.0.is_empty() {
            return Err(here("it has no lengths for the windows of the slice"));
        }
        let list = |sum: Sum| sum.0.into_iter().collect();
        Ok(Self { prompts: list(prompts), outputs: list(outputs), has_reasons })
    }
}

/// Weights by length.
#[derive(Debug, Default)]
struct Sum(std::collections::BTreeMap<u64, f64>);

impl Sum {
    /// Adds a table in the form that Python prints: `{18: 0.017, 19: 0.108}`.
    fn add(&mut self, table: &str, weight: f64) -> Result<(), String> {
        let inside = table.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let inside = inside.ok_or("expected `{tokens: probability, ...}`")?;
        for pair in inside.split(',').filter(|pair| !pair.trim().is_empty()) {
            let parts = pair.split_once(':').and_then(|(tokens, probability)| {
                let tokens =
                    tokens.trim().parse::<f64>().ok().filter(|tokens| (0.0..1e9).contains(tokens))?;
                let probability = probability.trim().parse::<f64>().ok()?;
                (probability.is_finite() && probability >= 0.0).then_some((tokens as u64, probability))
            });
            let (tokens, probability) =
                parts.ok_or_else(|| format!("`{}` is no length and probability", pair.trim()))?;
            if probability > 0.0 {
                *self.0.entry(tokens.max(1)).or_default() += probability * weight;
            }
        }
        Ok(())
    }
}

/// An empirical distribution; weights as shares with six digits.
fn table_of(table: &[(u64, f64)]) -> Value {
    let total: f64 = table.iter().map(|(_, weight)| weight).sum();
    let mut array = Array::new();
    for &(tokens, weight) in table {
        let share = libm::round(weight / total * 1e9) / 1e9;
        let pair: [Value; 2] = [super::draft::whole(tokens), share.into()];
        array.push(pair.into_iter().collect::<Array>());
    }
    inline([("dist", "empirical".into()), ("table", Value::Array(array))])
}
