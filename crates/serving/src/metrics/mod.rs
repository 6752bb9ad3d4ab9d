//! Metrics of a run, streamed: memory does not grow with the number of requests.
//!
//! Counts, sums and extremes are exact. Quantiles come from integer histograms whose buckets are at most 0.1 % wide.
//! Definitions follow `vllm bench serve`: quantiles interpolate linearly between order statistics, standard deviations
//! are those of the population, TPOT leaves out the first token and single-token requests.

mod gauges;
mod histogram;
mod latency;
mod summary;

pub use latency::{LatencyMetric, QUANTILE_RELATIVE_ERROR};
pub use summary::{GaugeSummary, LatencySummary, MetricsSummary, TtftPartsSummary};

use std::collections::BTreeMap;

use kendall_des::{SimDuration, SimTime};

use crate::engine::{EngineConfig, EngineGauges};
use crate::observe::{DecodeRun, Observer};
use crate::record::{RequestRecord, RequestStatus, TtftParts};
use crate::simulation::{FrontEnd, FrontEndSummary};
use crate::zoo::Rejection;

use gauges::{Gauge, GaugesOverTime};

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
    /// Whether a finished request keeps every limit that is given; what it has no value of, it keeps.
    pub fn kept_by(&self, record: &RequestRecord) -> bool {
        let keeps = |value: Option<SimDuration>, limit: Option<SimDuration>| match (value, limit) {
            (Some(value), Some(limit)) => value <= limit,
            _ => true,
        };
        keeps(record.ttft(), self.ttft) && keeps(record.tpot(), self.tpot) && keeps(record.e2e(), self.e2e)
    }
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
    /// If it has several parts.
    front_end: Option<FrontEnd>,
    front_end_parts_ps: [u128; 4],
    sojourn_ps: u128,
    replicas: Vec<GaugesOverTime>,
    last_finish: SimTime,
}

/// How many requests and tokens ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    finished: u64,
    aborted: u64,
    rejected: u64,
    rejected_by_reason: [u64; Rejection::ALL.len()],
    unfinished: u64,
    good: u64,
    preempted: u64,
    lost_tokens: u64,
    /// `None` where the engine does not keep it.
    preempted_ps: Option<u128>,
    input_tokens: u64,
    output_tokens: u64,
}

impl RunMetrics {
    /// Empty metrics of `replicas` replicas of this engine.
    pub fn new(engine: &EngineConfig, replicas: u32, limits: Option<GoodputLimits>) -> Self {
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
            front_end: None,
            front_end_parts_ps: [0; 4],
            sojourn_ps: 0,
            replicas: vec![GaugesOverTime::default(); replicas as usize],
            last_finish: SimTime::ZERO,
        }
    }

    /// The same for requests that pass this front end, whose parts are then told apart.
    #[must_use]
    pub fn behind(self, front_end: FrontEnd) -> Self {
        Self { front_end: front_end.has_parts().then_some(front_end), ..self }
    }

    /// Mean parts of the front end, if it has several.
    fn front_end_parts(&self) -> Option<FrontEndSummary> {
        let count = self.ttft.tally().count();
        let [receipt, tokenising, streaming, held_up] =
            self.front_end_parts_ps.map(|ps| ps as f64 / 1e9 / count as f64);
        let known = count > 0 && self.front_end.is_some();
        known.then_some(FrontEndSummary { receipt, tokenising, streaming, held_up })
    }

    /// Sum of the times that departed requests spent in the system, from the engine's input queue on (ps). By Little's
    /// law it equals the area under the number in the system (invariant 9).
    pub fn sojourn_ps(&self) -> u128 {
        self.sojourn_ps
    }

    /// Share of time with a request running, over the replicas of the run that ended at `end`; 0 of an empty run.
    pub fn busy_share(&self, end: SimTime) -> f64 {
        let total = (end - SimTime::ZERO).as_ps() as f64 * self.replicas.len() as f64;
        let busy: u128 = self.replicas.iter().map(|state| u128::from(state.busy_ps(end))).sum();
        if total > 0.0 { busy as f64 / total } else { 0.0 }
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

    /// From reaching the engine's input queue to the first admission.
    pub fn queue(&self) -> &LatencyMetric {
        &self.queue
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
            (blocks + state.area(Gauge::HeldBlocks, end), tokens + state.area(Gauge::HeldTokens, end))
        });
        let slots = held_blocks * u128::from(self.block_size);
        MetricsSummary {
            num_requests,
            completed: counts.finished,
            rejected: counts.rejected,
            rejections: by_reason(&counts.rejected_by_reason),
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
            mean_front_end_parts_ms: self.front_end_parts(),
            num_preempted_requests: counts.preempted,
            num_lost_tokens: counts.lost_tokens,
            preempted_time_s: counts.preempted_ps.map(|ps| ps as f64 / 1e12),
            num_waiting: self.gauge(end, 1.0, Gauge::NumWaiting),
            num_running: self.gauge(end, 1.0, Gauge::NumRunning),
            kv_cache_usage: self.gauge(end, f64::from(self.usable_blocks), Gauge::UsedBlocks),
            internal_fragmentation: (slots > 0).then(|| 1.0 - held_tokens as f64 / slots as f64),
        }
    }

    /// Mean over replicas and time, and largest value, of a gauge in units of `scale`.
    fn gauge(&self, end: SimTime, scale: f64, gauge: Gauge) -> GaugeSummary {
        let means: Option<Vec<f64>> = self.replicas.iter().map(|state| state.mean(gauge, end)).collect();
        let max = self.replicas.iter().map(|state| state.max(gauge)).max().unwrap_or(0);
        GaugeSummary {
            mean: means.map(|means| means.iter().sum::<f64>() / means.len() as f64 / scale),
            max: max as f64 / scale,
        }
    }
}

/// The reasons that occurred.
fn by_reason(counts: &[u64; Rejection::ALL.len()]) -> BTreeMap<Rejection, u64> {
    Rejection::ALL.into_iter().zip(*counts).filter(|&(_, count)| count > 0).collect()
}

impl Observer for RunMetrics {
    #[inline]
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
            RequestStatus::Rejected => {
                counts.rejected += 1;
                if let Some(reason) = record.rejection {
                    counts.rejected_by_reason[reason as usize] += 1;
                }
            }
            RequestStatus::Unfinished => counts.unfinished += 1,
        }
        counts.preempted += u64::from(record.num_preemptions > 0);
        counts.lost_tokens += record.num_lost_tokens;
        if let Some(time) = record.preempted_for {
            *counts.preempted_ps.get_or_insert(0) += u128::from(time.as_ps());
        }
        if let Some(ttft) = record.ttft() {
            self.ttft.record_n(ttft, 1);
            let TtftParts { front_end, queue, prefill, interference, preemption } = record.ttft_parts;
            for (sum, part) in
                self.ttft_parts_ps.iter_mut().zip([front_end, queue, prefill, interference, preemption])
            {
                *sum += u128::from(part.as_ps());
            }
            if let Some(parts) = self.front_end {
                let of = parts.split(front_end, record.num_prompt_tokens);
                let parts = [of.receipt, of.tokenising, of.streaming, of.held_up];
                for (sum, part) in self.front_end_parts_ps.iter_mut().zip(parts) {
                    *sum += u128::from(part.as_ps());
                }
            }
        }
        if let Some(scheduled) = record.first_scheduled {
            self.queue.record_n(scheduled - record.received, 1);
        }
        // Who was turned away at the door was never here; who was given up later was.
        if record.status != RequestStatus::Rejected || record.queued.is_some() {
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

    #[inline]
    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.itl.record_progression(&run.gaps, run.num_rows);
        self.replicas[replica as usize].run(run);
    }

    #[inline]
    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        self.replicas[replica as usize].set(now, gauges);
    }
}
