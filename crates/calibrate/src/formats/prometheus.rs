//! vLLM's `/metrics`: text scrapes, one or several behind one another, or aiperf's `server_metrics_export.json`.
//!
//! Traps: counters run since the server started, so one scrape covers its whole life, warm-up included; with several
//! scrapes in one file the last less the first is taken. TTFT runs from the engine's receipt, not the client's send.
//! `vllm:time_per_output_token_seconds` (older) and `vllm:inter_token_latency_seconds` are gaps; the TPOT per request is
//! `vllm:request_time_per_output_token_seconds`. Quantiles are known only to the bucket.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Format;
use crate::error::{ReadError, ReadErrorKind, quoted};
use crate::measured::{CaveatKind, Measured};
use crate::node::Node;
use crate::number::{self, is_amount};
use crate::summary::{MeasuredSummary, Quantile, Statistic};

/// A histogram summed over engines: observations at most each bound.
#[derive(Debug, Clone, Default, PartialEq)]
struct Histogram {
    count: f64,
    sum: f64,
    /// (upper bound, observations at most it), by rising bound; infinity is left out.
    buckets: Vec<(f64, f64)>,
}

/// The samples of one scrape: `name` and labels to value.
type Scrape = BTreeMap<(String, String), f64>;

/// What is looked up, however the file was laid out.
#[derive(Debug, Default)]
struct Totals {
    histograms: BTreeMap<String, Histogram>,
    counters: BTreeMap<String, f64>,
    /// Successes by the reason that they finished.
    finished: BTreeMap<String, f64>,
    model: Option<String>,
}

/// Whether it is aiperf's export of the server's metrics.
pub(crate) fn recognises(value: &Value) -> bool {
    let metrics = value.get("metrics").and_then(Value::as_object);
    metrics.is_some_and(|metrics| metrics.keys().any(|name| name.starts_with("vllm:")))
}

/// Reads text scrapes.
pub(crate) fn read(file: &str, text: &str) -> Result<Vec<Measured>, ReadError> {
    let scrapes = scrapes(file, text)?;
    let (Some(first), Some(last)) = (scrapes.first(), scrapes.last()) else {
        return Err(missing(file));
    };
    let mut totals = Totals::default();
    for ((name, labels), &value) in last {
        let before = if scrapes.len() > 1 { first.get(&(name.clone(), labels.clone())) } else { None };
        let grown = value - before.copied().unwrap_or(0.0);
        if grown < 0.0 && is_cumulative(name) {
            let field = quoted(&format!("{name}{{{labels}}}"));
            let expected = "a counter that never falls; the server restarted between two scrapes".to_owned();
            let remedy = "keep the scrapes of one run of the server";
            let kind = ReadErrorKind::Field { field, found: value.to_string(), expected, remedy };
            return Err(ReadError::whole(file, kind));
        }
        totals.add(name, labels, grown);
    }
    let mut run = run_of(file, &totals)?;
    run.label = Some(match scrapes.len() {
        1 => "one scrape, since the server's start".to_owned(),
        n => format!("{n} scrapes, the last less the first"),
    });
    Ok(vec![run])
}

/// Reads aiperf's `server_metrics_export.json`, whose values are already those of the profiling phase.
pub(crate) fn read_export(file: &str, root: &Node<'_>) -> Result<Measured, ReadError> {
    let metrics = root.field("metrics", "an object of metrics")?;
    let mut totals = Totals::default();
    for name in metrics.value().as_object().into_iter().flat_map(serde_json::Map::keys) {
        let Some(metric) = metrics.get(name).filter(|_| name.starts_with("vllm:")) else { continue };
        for series in metric.get("series").map(|list| list.list()).transpose()?.unwrap_or_default() {
            let label =
                |key: &str| series.at(&["labels", key]).and_then(|text| text.value().as_str()).map(quoted);
            totals.model = totals.model.take().or(label("model_name"));
            let Some(stats) = series.get("stats") else { continue };
            if let (Some(sum), Some(buckets)) = (stats.get("sum"), series.get("buckets")) {
                let histogram = totals.histograms.entry(name.clone()).or_default();
                histogram.count += stats.field("count", "a number")?.amount()?;
                histogram.sum += sum.amount()?;
                for bound in buckets.value().as_object().into_iter().flat_map(serde_json::Map::keys) {
                    if let Some(at_most) = buckets.get(bound) {
                        histogram.add_bucket(bound, at_most.amount()?);
                    }
                }
            } else if let Some(total) = stats.get("total") {
                let total = total.amount()?;
                if let Some(reason) = label("finished_reason") {
                    *totals.finished.entry(reason).or_default() += total;
                }
                *totals.counters.entry(name.clone()).or_default() += total;
            }
        }
    }
    let mut run = run_of(file, &totals)?;
    run.label = Some("aiperf's export, profiling phase".to_owned());
    Ok(run)
}

fn missing(file: &str) -> ReadError {
    let kind = ReadErrorKind::Missing {
        field: "vllm:time_to_first_token_seconds".to_owned(),
        expected: "vLLM's histograms".to_owned(),
        remedy: Format::Prometheus.remedy(),
    };
    ReadError::whole(file, kind)
}

fn is_cumulative(name: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix))
}

/// Splits the text where a sample comes a second time.
fn scrapes(file: &str, text: &str) -> Result<Vec<Scrape>, ReadError> {
    let mut scrapes: Vec<Scrape> = Vec::new();
    let mut current = Scrape::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.starts_with("vllm:") {
            continue;
        }
        let (key, value) = sample(line).ok_or_else(|| {
            let kind = ReadErrorKind::Field {
                field: "sample".to_owned(),
                found: quoted(line),
                expected: "`name{labels} value`".to_owned(),
                remedy: Format::Prometheus.remedy(),
            };
            ReadError::at_line(file, index as u64 + 1, kind)
        })?;
        if current.contains_key(&key) {
            scrapes.push(std::mem::take(&mut current));
        }
        current.insert(key, value);
    }
    if !current.is_empty() {
        scrapes.push(current);
    }
    Ok(scrapes)
}

/// `name{labels} value [timestamp]`. Samples that are not numbers (`NaN`) count as zero observations elsewhere and are
/// refused here.
fn sample(line: &str) -> Option<((String, String), f64)> {
    let (name, labels, rest) = if let Some((name, rest)) = line.split_once('{') {
        let end = rest.rfind('}')?;
        (name, &rest[..end], &rest[end + 1..])
    } else {
        let (name, rest) = line.split_once(' ')?;
        (name, "", rest)
    };
    let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
    (value.abs() <= 1e18).then(|| ((name.to_owned(), labels.to_owned()), value))
}

/// The value of one label.
fn label<'a>(labels: &'a str, key: &str) -> Option<&'a str> {
    let start = labels.find(&format!("{key}=\""))? + key.len() + 2;
    labels[start..].split('"').next()
}

impl Totals {
    fn add(&mut self, name: &str, labels: &str, value: f64) {
        self.model = self.model.take().or_else(|| label(labels, "model_name").map(quoted));
        if let Some(base) = name.strip_suffix("_bucket") {
            if let Some(bound) = label(labels, "le") {
                self.histograms.entry(base.to_owned()).or_default().add_bucket(bound, value);
            }
        } else if let Some(base) = name.strip_suffix("_sum") {
            self.histograms.entry(base.to_owned()).or_default().sum += value;
        } else if let Some(base) = name.strip_suffix("_count") {
            self.histograms.entry(base.to_owned()).or_default().count += value;
        } else if let Some(base) = name.strip_suffix("_total") {
            if let Some(reason) = label(labels, "finished_reason") {
                *self.finished.entry(quoted(reason)).or_default() += value;
            }
            *self.counters.entry(base.to_owned()).or_default() += value;
        }
    }

    fn counter(&self, name: &str) -> Option<u64> {
        self.counters.get(name).and_then(|&value| number::count(libm::round(value)))
    }

    fn statistic(&self, names: &[&str]) -> Option<Statistic> {
        names.iter().find_map(|name| self.histograms.get(*name)?.statistic())
    }
}

impl Histogram {
    fn add_bucket(&mut self, bound: &str, at_most: f64) {
        let Some(bound) = bound.parse().ok().filter(|bound: &f64| is_amount(*bound)) else { return };
        match self.buckets.iter_mut().find(|(known, _)| known.total_cmp(&bound).is_eq()) {
            Some((_, known)) => *known += at_most,
            None => self.buckets.push((bound, at_most)),
        }
    }

    fn statistic(&self) -> Option<Statistic> {
        if self.count < 1.0 {
            return None;
        }
        let mut buckets = self.buckets.clone();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let quantiles = [50.0, 90.0, 95.0, 99.0].into_iter().filter_map(|percent| {
            let value = self.quantile(&buckets, percent / 100.0)?;
            Some(Quantile { percent, value })
        });
        Some(Statistic {
            mean: Some(self.sum / self.count),
            quantiles: quantiles.collect(),
            ..Statistic::default()
        })
    }

    /// Linear within the bucket, as Prometheus' `histogram_quantile`. `None` beyond the last finite bound.
    fn quantile(&self, buckets: &[(f64, f64)], share: f64) -> Option<f64> {
        let rank = share * self.count;
        let above = buckets.iter().position(|&(_, at_most)| at_most >= rank)?;
        let (low, below) = if above == 0 { (0.0, 0.0) } else { buckets[above - 1] };
        let (high, at_most) = buckets[above];
        let inside = if at_most > below { (rank - below) / (at_most - below) } else { 1.0 };
        Some(low + (high - low) * inside)
    }
}

fn run_of(file: &str, totals: &Totals) -> Result<Measured, ReadError> {
    let mut run = Measured::new(file, Format::Prometheus);
    run.setting.model.clone_from(&totals.model);
    let reasons = |wanted: fn(&str) -> bool| {
        let counted =
            totals.finished.iter().filter(|(reason, _)| wanted(reason)).map(|(_, n)| n).sum::<f64>();
        number::count(libm::round(counted)).filter(|_| !totals.finished.is_empty())
    };
    run.summary = MeasuredSummary {
        completed: reasons(|reason| matches!(reason, "stop" | "length")),
        failed: reasons(|reason| !matches!(reason, "stop" | "length")),
        prompt_tokens: totals.counter("vllm:prompt_tokens"),
        output_tokens: totals.counter("vllm:generation_tokens"),
        preemptions: totals.counter("vllm:num_preemptions"),
        ttft_s: totals.statistic(&["vllm:time_to_first_token_seconds"]),
        tpot_s: totals.statistic(&["vllm:request_time_per_output_token_seconds"]),
        itl_s: totals.statistic(&["vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"]),
        e2e_s: totals.statistic(&["vllm:e2e_request_latency_seconds"]),
        ..MeasuredSummary::default()
    };
    if run.summary.ttft_s.is_none() && run.summary.e2e_s.is_none() {
        return Err(missing(file));
    }
    run.warn(CaveatKind::ServerClock, "latencies run from the engine's receipt: no front end, no network");
    run.warn(CaveatKind::Histogram, "quantiles are interpolated within the buckets of a histogram");
    Ok(run)
}
