//! The verdict: the question of the scenario, its answer in a sentence, and how sure it is.

use serde_json::Value;

use crate::document::{Level, Tile, Verdict};
use crate::folder::RunFolder;
use crate::number::{percent, significant, whole};

use super::Source;

/// From this share of requests on a run counts as good.
const GOOD: f64 = 0.99;

/// A confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub low: f64,
    pub high: f64,
    pub confidence: f64,
}

impl Interval {
    /// `12.3 to 14.5`
    pub(super) fn ends(&self) -> String {
        format!("{} to {}", significant(Some(self.low)), significant(Some(self.high)))
    }
}

/// The interval of a figure, if the summary has one: of its own over replications, or among `intervals` of a single run.
pub(super) fn interval(folder: &RunFolder, name: &str) -> Option<Interval> {
    let own = folder.summary.get(name).filter(|value| value.get("half_width").is_some());
    if let Some(estimate) = own {
        let part = |key: &str| estimate.get(key).and_then(Value::as_f64);
        let (mean, half_width) = part("mean").zip(part("half_width"))?;
        let confidence = part("confidence")?;
        return Some(Interval { low: mean - half_width, high: mean + half_width, confidence });
    }
    let intervals = folder.summary.get("intervals")?;
    let of_figure = intervals.get(name)?;
    let end = |key: &str| of_figure.get(key).and_then(Value::as_f64);
    let confidence = end("confidence").or_else(|| intervals.get("confidence").and_then(Value::as_f64))?;
    let half_width = end("half_width").zip(end("mean").or_else(|| folder.number(name)));
    let (low, high) =
        end("low").zip(end("high")).or(half_width.map(|(half, mean)| (mean - half, mean + half)))?;
    Some(Interval { low, high, confidence })
}

/// Why a figure of a single run has no interval, if the summary says so.
fn no_interval(folder: &RunFolder, name: &str) -> Option<String> {
    let reason = folder.summary.get("intervals")?.get(name)?.get("none")?.as_str()?;
    Some(format!(" (no interval: {reason})"))
}

pub(super) fn subtitle(source: &Source<'_>) -> String {
    let folder = source.folder;
    let server = source.scenario.as_ref().map(|scenario| &scenario.server);
    let what = match server.map(|server| (&server.model, &server.gpu)) {
        Some((Some(model), Some(gpu))) => format!("{model} on {gpu}"),
        Some((Some(model), None)) => format!("{model} with given step times"),
        _ => "a server with given step times".into(),
    };
    let replicas = folder.number("replicas").filter(|&n| n > 1.0).map(|n| format!(", {n} replicas"));
    format!(
        "{what}, {}{}, seed {}, kendall {}",
        folder.text("engine").unwrap_or("unknown engine"),
        replicas.unwrap_or_default(),
        folder.summary.get("seed").and_then(Value::as_u64).unwrap_or(0),
        folder.text("kendall_version").unwrap_or("unknown")
    )
}

pub(super) fn verdict(source: &Source<'_>) -> Verdict {
    let folder = source.folder;
    let (level, headline) = headline(source);
    let warnings = folder.summary.get("warnings").and_then(Value::as_array);
    let warnings = warnings.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    Verdict { level, headline, question: question(&folder.scenario), answer: answer(source), warnings }
}

/// The comment lines with which a scenario opens.
fn question(scenario: &str) -> Option<String> {
    // Changes of the command line may have put keys above it.
    let rest = scenario.lines().skip_while(|line| !line.starts_with(['#', '[']));
    let lines = rest.take_while(|line| line.starts_with('#'));
    let text = lines.map(|line| line.trim_start_matches('#').trim()).collect::<Vec<_>>().join(" ");
    Some(text).filter(|text| !text.is_empty())
}

fn headline(source: &Source<'_>) -> (Level, String) {
    let folder = source.folder;
    if folder.text("status") == Some("stalled") {
        return (Level::Bad, "Stalled: a replica could make no progress".into());
    }
    let stability = folder
        .text("stability.verdict")
        .or_else(|| folder.text("stability"))
        .or_else(|| folder.text("verdict"));
    if stability == Some("overloaded") {
        return (Level::Bad, "Overloaded: the queue grows for as long as the load lasts".into());
    }
    let near = if stability == Some("near capacity") { ", and the server is near its capacity" } else { "" };
    match folder.number("slo_attainment") {
        Some(share) if share >= GOOD => {
            let level = if near.is_empty() { Level::Good } else { Level::Mixed };
            (level, format!("{} of requests kept every limit{near}", percent(Some(share))))
        }
        Some(share) if share >= 0.5 => {
            (Level::Mixed, format!("Only {} of requests kept every limit{near}", percent(Some(share))))
        }
        Some(share) => (Level::Bad, format!("{} of requests kept every limit{near}", percent(Some(share)))),
        None if near.is_empty() => {
            (Level::Neutral, "No limits were set: the figures speak for themselves".into())
        }
        None => (Level::Mixed, "The server is near its capacity".into()),
    }
}

/// `TTFT <= 500 ms, TPOT <= 50 ms`
fn limits(source: &Source<'_>) -> String {
    let limits = &source.limits;
    [("TTFT", limits.ttft_ms), ("TPOT", limits.tpot_ms), ("E2E", limits.e2el_ms)]
        .into_iter()
        .filter_map(|(name, limit)| Some(format!("{name} <= {limit} ms", limit = limit?)))
        .collect::<Vec<_>>()
        .join(" and ")
}

fn answer(source: &Source<'_>) -> String {
    let folder = source.folder;
    let n = whole(folder.number("num_requests").or(folder.number("completed")).unwrap_or(0.0) as u64);
    let replications = folder.number("replications").map(|n| format!(" in the mean of {n} replications"));
    let replications = replications.unwrap_or_default();
    let rate = significant(folder.number("request_throughput"));
    let mut sentences = Vec::new();
    match (folder.number("slo_attainment"), limits(source)) {
        (Some(share), limits) if !limits.is_empty() => {
            let interval = interval(folder, "slo_attainment").map(|i| {
                format!(
                    " ({} % confidence: {} to {})",
                    i.confidence * 100.0,
                    percent(Some(i.low)),
                    percent(Some(i.high))
                )
            });
            sentences.push(format!(
                "At {rate} requests/s, {} of {n} requests{} kept {limits}{replications}.",
                percent(Some(share)),
                interval.unwrap_or_default()
            ));
        }
        _ => sentences
            .push(format!("The server answered {rate} requests/s, {n} requests in all{replications}.")),
    }
    if let Some(p99) = folder.number("p99_ttft_ms") {
        let median = significant(folder.number("p50_ttft_ms"));
        let confidence = match interval(folder, "p99_ttft_ms") {
            Some(i) => format!(" ({} % confidence: {})", i.confidence * 100.0, i.ends()),
            None => no_interval(folder, "p99_ttft_ms")
                .unwrap_or_else(|| format!(" (one run of {n} requests: no interval)")),
        };
        sentences.push(format!(
            "Half of the requests saw their first token within {median} ms, 99 % within {} ms{confidence}.",
            significant(Some(p99))
        ));
    }
    let preemptions = folder.number("num_preemptions").unwrap_or(0.0) as u64;
    if preemptions > 0 {
        let requests = whole(folder.number("num_preempted_requests").unwrap_or(0.0) as u64);
        sentences.push(format!(
            "{} preemptions hit {requests} requests: the KV cache was too small for the batch.",
            whole(preemptions)
        ));
    }
    sentences.join(" ")
}

pub(super) fn tiles(source: &Source<'_>) -> Vec<Tile> {
    let folder = source.folder;
    let mut tiles = Vec::new();
    let mut tile = |label: &str, value: Option<String>, detail: String| {
        if let Some(value) = value {
            tiles.push(Tile { label: label.to_owned(), value, detail });
        }
    };
    let with = |key: &str, unit: &str| folder.number(key).map(|x| format!("{} {unit}", significant(Some(x))));
    let count = |key: &str| whole(folder.number(key).unwrap_or(0.0) as u64);
    let basis = |key: &str| match interval(folder, key) {
        Some(i) => i.ends(),
        None if folder.number("num_ttft").is_none() => String::new(),
        None => format!("of {} requests", count("num_ttft")),
    };
    tile(
        "goodput",
        with("request_goodput", "req/s"),
        percent(folder.number("slo_attainment")) + " kept the limits",
    );
    tile(
        "throughput",
        with("request_throughput", "req/s"),
        with("output_throughput", "output tok/s").unwrap_or_default(),
    );
    tile("p99 TTFT", with("p99_ttft_ms", "ms"), basis("p99_ttft_ms"));
    tile("p99 TPOT", with("p99_tpot_ms", "ms"), basis("p99_tpot_ms"));
    tile("p99 E2E", with("p99_e2el_ms", "ms"), basis("p99_e2el_ms"));
    tile(
        "KV cache used",
        folder.number("kv_cache_usage.mean").map(|x| percent(Some(x))),
        format!("at most {}", percent(folder.number("kv_cache_usage.max"))),
    );
    tile(
        "preemptions",
        folder.number("num_preemptions").map(|n| whole(n as u64)),
        format!("{} requests hit", count("num_preempted_requests")),
    );
    tile("cost", with("cost.usd_per_million_output_tokens", "USD"), "for a million output tokens".into());
    tiles
}
