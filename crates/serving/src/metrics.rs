//! Metrics of a run, streamed: memory does not grow with the number of requests.
//!
//! Counts, sums and extremes are exact. Quantiles come from integer histograms whose buckets are at most 0.1 % wide.
//! Definitions follow `vllm bench serve`: quantiles interpolate linearly between order statistics, standard deviations
//! are those of the population, TPOT leaves out the first token and single-token requests.

use hdrhistogram::Histogram;
use kendall_des::{Progression, SimDuration, SimTime, Tally, TimeWeighted};
use serde::{Deserialize, Serialize};

use crate::engine::{EngineConfig, EngineGauges};
use crate::observe::{DecodeRun, Observer};
use crate::record::{RequestRecord, RequestStatus, TtftParts};

/// Largest relative error of a quantile.
pub const QUANTILE_RELATIVE_ERROR: f64 = 0.001;

/// Exact moments and a histogram of one latency.
#[derive(Debug, Clone)]
pub struct LatencyMetric {
    tally: Tally,
    /// In nanoseconds.
    histogram: Histogram<u64>,
}

impl Default for LatencyMetric {
    fn default() -> Self {
        let histogram = Histogram::new(3).expect("three significant figures are allowed");
        Self { tally: Tally::new(), histogram }
    }
}

impl LatencyMetric {
    /// Adds `n` equal observations.
    pub fn record_n(&mut self, value: SimDuration, n: u64) {
        self.tally.record_n(value, n);
        let grown = self.histogram.record_n(value.as_ps() / 1_000, n);
        grown.expect("a histogram without bounds grows up to any value");
    }

    /// Adds every value of a progression `n` times.
    fn record_progression(&mut self, values: &Progression, n: u64) {
        self.tally.record_progression(values, n);
        let mut i = 0;
        while i < values.count {
            let ns = values.value(i).as_ps() / 1_000;
            // All values up to the end of this bucket go into it together.
            let bucket_end_ps = (self.histogram.highest_equivalent(ns) + 1).saturating_mul(1_000);
            let in_bucket = match values.growth.as_ps() {
                0 => values.count - i,
                growth => (bucket_end_ps - values.value(i).as_ps()).div_ceil(growth).min(values.count - i),
            };
            let grown = self.histogram.record_n(ns, in_bucket * n);
            grown.expect("a histogram without bounds grows up to any value");
            i += in_bucket;
        }
    }

    /// Exact count, sum and extremes.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The `q`-quantile in milliseconds (0 <= q <= 1), interpolated linearly between order statistics; `None` without
    /// observations.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let (min, max) = (self.tally.min()?.as_millis_f64(), self.tally.max()?.as_millis_f64());
        let rank = q * (self.tally.count() - 1) as f64;
        let below = libm::floor(rank);
        let low = self.order_statistic_ms(below as u64);
        let value = if rank > below {
            low + (self.order_statistic_ms(below as u64 + 1) - low) * (rank - below)
        } else {
            low
        };
        Some(value.clamp(min, max))
    }

    /// The middle of the bucket of the observation with this rank, from 0.
    fn order_statistic_ms(&self, rank: u64) -> f64 {
        let mut seen = 0;
        for bucket in self.histogram.iter_recorded() {
            seen += bucket.count_since_last_iteration();
            if seen > rank {
                let highest = bucket.value_iterated_to();
                let lowest = self.histogram.lowest_equivalent(highest);
                return (lowest + (highest - lowest) / 2) as f64 / 1e6;
            }
        }
        self.histogram.max() as f64 / 1e6
    }

    fn summary(&self) -> LatencySummary {
        let ms = |secs: Option<f64>| secs.map(|secs| secs * 1e3);
        LatencySummary {
            count: self.tally.count(),
            mean: ms(self.tally.mean_secs()),
            std: ms(self.tally.std_dev_secs()),
            min: self.tally.min().map(SimDuration::as_millis_f64),
            p50: self.quantile_ms(0.5),
            p90: self.quantile_ms(0.9),
            p95: self.quantile_ms(0.95),
            p99: self.quantile_ms(0.99),
            max: self.tally.max().map(SimDuration::as_millis_f64),
        }
    }
}

/// One latency in milliseconds; empty fields where nothing was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct LatencySummary {
    pub count: u64,
    pub mean: Option<f64>,
    pub std: Option<f64>,
    pub min: Option<f64>,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
}

/// Limits that a good request keeps, all that are given.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GoodputLimits {
    /// Longest time to the first token.
    pub ttft: Option<SimDuration>,
    /// Longest mean time per output token; a single-token request keeps any.
    pub tpot: Option<SimDuration>,
    /// Longest time to the last token.
    pub e2e: Option<SimDuration>,
}

impl GoodputLimits {
    fn kept_by(&self, record: &RequestRecord) -> bool {
        let keeps = |value: Option<SimDuration>, limit: Option<SimDuration>| match (value, limit) {
            (Some(value), Some(limit)) => value <= limit,
            _ => true,
        };
        keeps(record.ttft(), self.ttft) && keeps(record.tpot(), self.tpot) && keeps(record.e2e(), self.e2e)
    }
}

/// Time-weighted state of one replica.
#[derive(Debug, Clone)]
struct ReplicaState {
    num_waiting: TimeWeighted,
    num_running: TimeWeighted,
    used_blocks: TimeWeighted,
    held_blocks: TimeWeighted,
    held_tokens: TimeWeighted,
}

/// Collects the metrics of a run as it goes on.
#[derive(Debug, Clone)]
pub struct RunMetrics {
    limits: Option<GoodputLimits>,
    block_size: u32,
    usable_blocks: u32,
    counts: Counts,
    ttft: LatencyMetric,
    tpot: LatencyMetric,
    itl: LatencyMetric,
    e2e: LatencyMetric,
    queue: LatencyMetric,
    ttft_parts_ps: [u128; 5],
    sojourn_ps: u128,
    replicas: Vec<ReplicaState>,
    last_finish: SimTime,
}

/// How many requests and tokens ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    finished: u64,
    aborted: u64,
    rejected: u64,
    unfinished: u64,
    good: u64,
    preempted: u64,
    lost_tokens: u64,
    input_tokens: u64,
    output_tokens: u64,
}

impl RunMetrics {
    /// Empty metrics of `replicas` replicas of this engine.
    pub fn new(engine: &EngineConfig, replicas: u32, limits: Option<GoodputLimits>) -> Self {
        let zero = || TimeWeighted::new(SimTime::ZERO, 0);
        let state = || ReplicaState {
            num_waiting: zero(),
            num_running: zero(),
            used_blocks: zero(),
            held_blocks: zero(),
            held_tokens: zero(),
        };
        Self {
            limits,
            block_size: engine.block_size,
            usable_blocks: engine.usable_blocks(),
            counts: Counts::default(),
            ttft: LatencyMetric::default(),
            tpot: LatencyMetric::default(),
            itl: LatencyMetric::default(),
            e2e: LatencyMetric::default(),
            queue: LatencyMetric::default(),
            ttft_parts_ps: [0; 5],
            sojourn_ps: 0,
            replicas: (0..replicas).map(|_| state()).collect(),
            last_finish: SimTime::ZERO,
        }
    }

    /// Sum of the times that departed requests spent in the system, from the engine's input queue on (ps). By Little's
    /// law it equals the area under the number in the system (invariant 9).
    pub fn sojourn_ps(&self) -> u128 {
        self.sojourn_ps
    }

    /// Time to first token.
    pub fn ttft(&self) -> &LatencyMetric {
        &self.ttft
    }

    /// Mean time per output token after the first, by request.
    pub fn tpot(&self) -> &LatencyMetric {
        &self.tpot
    }

    /// Time between consecutive tokens, all tokens of all requests.
    pub fn itl(&self) -> &LatencyMetric {
        &self.itl
    }

    /// End-to-end latency.
    pub fn e2e(&self) -> &LatencyMetric {
        &self.e2e
    }

    /// The figures of the run that ended at `end`.
    pub fn summary(&self, end: SimTime) -> MetricsSummary {
        let counts = self.counts;
        let secs = self.last_finish.as_secs_f64();
        let rate = |n: u64| (secs > 0.0).then(|| n as f64 / secs);
        let num_requests = counts.finished + counts.aborted + counts.rejected + counts.unfinished;
        let with_first_token = self.ttft.tally().count();
        let part = |i: usize| {
            (with_first_token > 0).then(|| self.ttft_parts_ps[i] as f64 / 1e9 / with_first_token as f64)
        };
        let (held_blocks, held_tokens) = self.replicas.iter().fold((0, 0), |(blocks, tokens), state| {
            (blocks + state.held_blocks.integral(end), tokens + state.held_tokens.integral(end))
        });
        let slots = held_blocks * u128::from(self.block_size);
        MetricsSummary {
            num_requests,
            completed: counts.finished,
            rejected: counts.rejected,
            aborted: counts.aborted,
            unfinished: counts.unfinished,
            blocking_probability: (num_requests > 0).then(|| counts.rejected as f64 / num_requests as f64),
            duration_s: secs,
            total_input_tokens: counts.input_tokens,
            total_output_tokens: counts.output_tokens,
            request_throughput: rate(counts.finished),
            output_throughput: rate(counts.output_tokens),
            total_token_throughput: rate(counts.input_tokens + counts.output_tokens),
            request_goodput: self.limits.and_then(|_| rate(counts.good)),
            slo_attainment: self
                .limits
                .filter(|_| num_requests > 0)
                .map(|_| counts.good as f64 / num_requests as f64),
            ttft_ms: self.ttft.summary(),
            tpot_ms: self.tpot.summary(),
            itl_ms: self.itl.summary(),
            e2el_ms: self.e2e.summary(),
            queue_ms: self.queue.summary(),
            mean_ttft_parts_ms: TtftPartsSummary {
                front_end: part(0),
                queue: part(1),
                prefill: part(2),
                interference: part(3),
                preemption: part(4),
            },
            num_preempted_requests: counts.preempted,
            num_lost_tokens: counts.lost_tokens,
            num_waiting: self.gauge(end, 1.0, |state| &state.num_waiting),
            num_running: self.gauge(end, 1.0, |state| &state.num_running),
            kv_cache_usage: self.gauge(end, f64::from(self.usable_blocks), |state| &state.used_blocks),
            internal_fragmentation: (slots > 0).then(|| 1.0 - held_tokens as f64 / slots as f64),
        }
    }

    /// Mean over replicas and time, and largest value, of a gauge in units of `scale`.
    fn gauge(&self, end: SimTime, scale: f64, of: impl Fn(&ReplicaState) -> &TimeWeighted) -> GaugeSummary {
        let means: Option<Vec<f64>> = self.replicas.iter().map(|state| of(state).mean(end)).collect();
        let max = self.replicas.iter().map(|state| of(state).max()).max().unwrap_or(0);
        GaugeSummary {
            mean: means.map(|means| means.iter().sum::<f64>() / means.len() as f64 / scale),
            max: max as f64 / scale,
        }
    }
}

impl Observer for RunMetrics {
    fn token_gaps(&mut self, gap: SimDuration, n: u64) {
        if n > 0 {
            self.itl.record_n(gap, n);
        }
    }

    fn departed(&mut self, record: &RequestRecord) {
        let counts = &mut self.counts;
        match record.status {
            RequestStatus::Finished => counts.finished += 1,
            RequestStatus::Aborted => counts.aborted += 1,
            RequestStatus::Rejected => counts.rejected += 1,
            RequestStatus::Unfinished => counts.unfinished += 1,
        }
        counts.preempted += u64::from(record.num_preemptions > 0);
        counts.lost_tokens += record.num_lost_tokens;
        if let Some(ttft) = record.ttft() {
            self.ttft.record_n(ttft, 1);
            let TtftParts { front_end, queue, prefill, interference, preemption } = record.ttft_parts;
            for (sum, part) in
                self.ttft_parts_ps.iter_mut().zip([front_end, queue, prefill, interference, preemption])
            {
                *sum += u128::from(part.as_ps());
            }
        }
        if let Some(scheduled) = record.first_scheduled {
            self.queue.record_n(scheduled - record.received, 1);
        }
        if record.status != RequestStatus::Rejected {
            self.sojourn_ps += u128::from((record.finish - record.received).as_ps());
        }
        if record.status != RequestStatus::Finished {
            return;
        }
        counts.input_tokens += u64::from(record.num_prompt_tokens);
        counts.output_tokens += u64::from(record.num_output_tokens);
        counts.good += u64::from(self.limits.is_some_and(|limits| limits.kept_by(record)));
        self.last_finish = self.last_finish.max(record.finish);
        if let Some(tpot) = record.tpot() {
            self.tpot.record_n(tpot, 1);
        }
        if let Some(e2e) = record.e2e() {
            self.e2e.record_n(e2e, 1);
        }
    }

    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.itl.record_progression(&run.gaps, run.num_rows);
        let state = &mut self.replicas[replica as usize];
        let first = run.start + run.gaps.first;
        let later = Progression {
            first: run.gaps.first + run.gaps.growth,
            growth: run.gaps.growth,
            count: run.gaps.count - 1,
        };
        state.held_tokens.ramp(first, &later, run.num_rows);
        for &(step, blocks) in run.new_blocks {
            let now = run.start + SimDuration::from_ps(run.gaps.sum_of_first(step + 1) as u64);
            state.used_blocks.set(now, state.used_blocks.value() + u64::from(blocks));
            state.held_blocks.set(now, state.held_blocks.value() + u64::from(blocks));
        }
    }

    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        let state = &mut self.replicas[replica as usize];
        state.num_waiting.set(now, u64::from(gauges.num_waiting));
        state.num_running.set(now, u64::from(gauges.num_running));
        state.used_blocks.set(now, u64::from(gauges.used_blocks));
        state.held_blocks.set(now, gauges.held_blocks);
        state.held_tokens.set(now, gauges.held_tokens);
    }
}

/// A quantity over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaugeSummary {
    /// Mean over time (and replicas).
    pub mean: Option<f64>,
    /// Largest value on any replica.
    pub max: f64,
}

/// Mean parts of the time to the first token, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as in `TtftParts`")]
pub struct TtftPartsSummary {
    pub front_end: Option<f64>,
    pub queue: Option<f64>,
    pub prefill: Option<f64>,
    pub interference: Option<f64>,
    pub preemption: Option<f64>,
}

/// The figures of a run. Rates are per second of simulated time from 0 to the last completion; latencies in
/// milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsSummary {
    /// Requests that arrived.
    pub num_requests: u64,
    /// Requests whose tokens were all delivered.
    pub completed: u64,
    /// Requests refused at the door.
    pub rejected: u64,
    /// Requests that the client gave up.
    pub aborted: u64,
    /// Requests still in the system when the run ended.
    pub unfinished: u64,
    /// Share of requests refused.
    pub blocking_probability: Option<f64>,
    /// From 0 to the last completion (s).
    pub duration_s: f64,
    /// Prompt tokens of completed requests.
    pub total_input_tokens: u64,
    /// Output tokens of completed requests.
    pub total_output_tokens: u64,
    /// Completed requests per second.
    pub request_throughput: Option<f64>,
    /// Output tokens per second.
    pub output_throughput: Option<f64>,
    /// Prompt and output tokens per second.
    pub total_token_throughput: Option<f64>,
    /// Requests per second that kept every limit.
    pub request_goodput: Option<f64>,
    /// Share of all requests that kept every limit.
    pub slo_attainment: Option<f64>,
    /// Time to first token.
    pub ttft_ms: LatencySummary,
    /// Mean time per output token after the first, by request.
    pub tpot_ms: LatencySummary,
    /// Time between consecutive tokens, all tokens of all requests.
    pub itl_ms: LatencySummary,
    /// End-to-end latency.
    pub e2el_ms: LatencySummary,
    /// From reaching the engine's input queue to the first admission. (vLLM's own queue time starts a little later, when
    /// the engine looks into that queue.)
    pub queue_ms: LatencySummary,
    /// Where the mean time to first token went.
    pub mean_ttft_parts_ms: TtftPartsSummary,
    /// Requests that were preempted at least once.
    pub num_preempted_requests: u64,
    /// Computed tokens that preemptions threw away.
    pub num_lost_tokens: u64,
    /// Requests in the waiting queue of a replica.
    pub num_waiting: GaugeSummary,
    /// Requests in the running list of a replica.
    pub num_running: GaugeSummary,
    /// Share of the usable KV blocks in use.
    pub kv_cache_usage: GaugeSummary,
    /// Share of the slots in held KV blocks that hold no token, averaged over time.
    pub internal_fragmentation: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of 1, 2, ..., 1000 ms as numpy's `percentile` gives them, within the stated error.
    #[test]
    fn quantiles_interpolate_between_order_statistics() {
        let mut metric = LatencyMetric::default();
        for ms in 1..=1_000 {
            metric.record_n(SimDuration::from_millis(ms), 1);
        }
        for (q, exact) in [(0.0, 1.0), (0.5, 500.5), (0.9, 900.1), (0.99, 990.01), (1.0, 1_000.0)] {
            let value = metric.quantile_ms(q).unwrap();
            assert!(
                (value / exact - 1.0).abs() <= QUANTILE_RELATIVE_ERROR,
                "q {q}: {value} instead of {exact}"
            );
        }
        assert_eq!(LatencyMetric::default().quantile_ms(0.5), None);
    }
}
