//! The figures of one run as a row of numbers with names, so that runs can be averaged, compared and kept.

use kendall_serving::{Cost, MetricsSummary, RunEnd};
use kendall_theory::output::Drift;
use serde::{Deserialize, Serialize};

/// What is kept of a finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFigures {
    /// Requests that arrived.
    pub num_requests: u64,
    /// Whether a replica could make no progress.
    pub stalled: bool,
    /// What the number in the system did; `None` of a run too short to say.
    pub drift: Option<Drift>,
    /// One value for each of [`FIGURES`]; `None` where the run has none.
    pub values: Vec<Option<f64>>,
}

/// A figure that every run has.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name in `summary.json`.
    pub name: &'static str,
    /// Its unit; empty for a share or a count.
    pub unit: &'static str,
    /// Whether it belongs to the few that a table shows and that are plotted.
    pub main: bool,
    of: fn(&Facts<'_>) -> Option<f64>,
}

/// What figures are taken from.
pub(crate) struct Facts<'a> {
    pub metrics: &'a MetricsSummary,
    pub end: &'a RunEnd,
    /// Share of time with a request running.
    pub busy: f64,
    pub cost: Option<&'a Cost>,
    pub drift: Option<Drift>,
}

const fn main(name: &'static str, unit: &'static str, of: fn(&Facts<'_>) -> Option<f64>) -> Figure {
    Figure { name, unit, main: true, of }
}

const fn other(name: &'static str, unit: &'static str, of: fn(&Facts<'_>) -> Option<f64>) -> Figure {
    Figure { name, unit, main: false, of }
}

/// All figures, in the order in which they are kept and shown. Appended, never reordered: journals keep rows by place.
pub const FIGURES: [Figure; 42] = [
    main("request_throughput", "req/s", |run| run.metrics.request_throughput),
    main("output_throughput", "tok/s", |run| run.metrics.output_throughput),
    main("request_goodput", "req/s", |run| run.metrics.request_goodput),
    main("slo_attainment", "", |run| run.metrics.slo_attainment),
    main("mean_ttft_ms", "ms", |run| run.metrics.ttft_ms.mean),
    other("p50_ttft_ms", "ms", |run| run.metrics.ttft_ms.p50),
    other("p90_ttft_ms", "ms", |run| run.metrics.ttft_ms.p90),
    other("p95_ttft_ms", "ms", |run| run.metrics.ttft_ms.p95),
    main("p99_ttft_ms", "ms", |run| run.metrics.ttft_ms.p99),
    main("mean_tpot_ms", "ms", |run| run.metrics.tpot_ms.mean),
    other("p50_tpot_ms", "ms", |run| run.metrics.tpot_ms.p50),
    other("p90_tpot_ms", "ms", |run| run.metrics.tpot_ms.p90),
    other("p95_tpot_ms", "ms", |run| run.metrics.tpot_ms.p95),
    main("p99_tpot_ms", "ms", |run| run.metrics.tpot_ms.p99),
    other("mean_itl_ms", "ms", |run| run.metrics.itl_ms.mean),
    other("p50_itl_ms", "ms", |run| run.metrics.itl_ms.p50),
    other("p90_itl_ms", "ms", |run| run.metrics.itl_ms.p90),
    other("p95_itl_ms", "ms", |run| run.metrics.itl_ms.p95),
    other("p99_itl_ms", "ms", |run| run.metrics.itl_ms.p99),
    main("mean_e2el_ms", "ms", |run| run.metrics.e2el_ms.mean),
    other("p50_e2el_ms", "ms", |run| run.metrics.e2el_ms.p50),
    other("p90_e2el_ms", "ms", |run| run.metrics.e2el_ms.p90),
    other("p95_e2el_ms", "ms", |run| run.metrics.e2el_ms.p95),
    main("p99_e2el_ms", "ms", |run| run.metrics.e2el_ms.p99),
    other("mean_queue_ms", "ms", |run| run.metrics.queue_ms.mean),
    other("p50_queue_ms", "ms", |run| run.metrics.queue_ms.p50),
    other("p90_queue_ms", "ms", |run| run.metrics.queue_ms.p90),
    other("p95_queue_ms", "ms", |run| run.metrics.queue_ms.p95),
    other("p99_queue_ms", "ms", |run| run.metrics.queue_ms.p99),
    main("kv_cache_usage", "", |run| run.metrics.kv_cache_usage.mean),
    other("max_kv_cache_usage", "", |run| Some(run.metrics.kv_cache_usage.max)),
    main("num_running", "", |run| run.metrics.num_running.mean),
    main("num_waiting", "", |run| run.metrics.num_waiting.mean),
    other("num_preemptions", "", |run| Some(total(run.end, |totals| totals.num_preemptions) as f64)),
    other("blocking_probability", "", |run| run.metrics.blocking_probability),
    other("prefix_cache_hit_rate", "", |run| hit_rate(run.end)),
    other("internal_fragmentation", "", |run| run.metrics.internal_fragmentation),
    other("completed", "", |run| Some(run.metrics.completed as f64)),
    other("duration", "s", |run| Some(run.metrics.duration_s)),
    other("busy", "", |run| Some(run.busy)),
    other("usd_per_million_output_tokens", "USD", |run| run.cost?.usd_per_million_output_tokens),
    other("joules_per_output_token", "J", |run| run.cost.map(|cost| cost.joules_per_output_token)),
];

impl RunFigures {
    /// The figures of a run.
    pub(crate) fn of(facts: &Facts<'_>) -> Self {
        Self {
            num_requests: facts.metrics.num_requests,
            stalled: facts.end.stalled.is_some(),
            drift: facts.drift,
            values: FIGURES.iter().map(|figure| (figure.of)(facts)).collect(),
        }
    }

    /// The value of one figure by its name.
    pub fn value(&self, name: &str) -> Option<f64> {
        let place = FIGURES.iter().position(|figure| figure.name == name)?;
        self.values.get(place).copied().flatten()
    }
}

fn total(end: &RunEnd, of: fn(&kendall_serving::EngineTotals) -> u64) -> u64 {
    end.totals.iter().map(of).sum()
}

fn hit_rate(end: &RunEnd) -> Option<f64> {
    let queries = total(end, |totals| totals.prefix_cache_queries);
    (queries > 0).then(|| total(end, |totals| totals.prefix_cache_hits) as f64 / queries as f64)
}
