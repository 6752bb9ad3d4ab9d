//! Intervals of one run's latencies while it goes on, at next to no cost.
//!
//! The run's own metrics hold exact sums and a histogram of each latency. At the end of a batch of departures the differences
//! from the end before are a batch ([`RunBatches`]), so nothing is done for a request but to count it. Only the first ones
//! are kept one by one, so that a short run has intervals too and the first batches, which are the shortest, cost nothing.

use kendall_serving::{LatencyMetric, RequestRecord, RequestStatus, RunMetrics};
use kendall_theory::output::{GridCounts, PERCENTILES, RunBatches, RunIntervals, Totals};

/// Departures that are kept one by one, in 2 MB: up to here that costs less than ends of batches.
const ONE_BY_ONE: u64 = 1 << 16;
/// Departures of a batch after these, at first: as many as [`RunBatches::of_values`] makes batches of.
const BATCH: u64 = ONE_BY_ONE / 64;
/// Departures of a batch of token gaps, at first: the gaps are too many to be kept, and an end of a batch costs as much as some
/// hundred of them. 64 batches are 512 requests.
const ITL_BATCH: u64 = 8;
/// Stands for a latency that a request does not have.
const NONE: u64 = u64::MAX;
const NS_A_MS: f64 = 1e6;
/// Largest relative width of a bucket of a batch.
const BATCH_RESOLUTION: f64 = 1.0 / 128.0;

/// Time to first token, time per output token, end to end, queue.
const KEPT: usize = 4;

/// Collects batches of a run.
#[derive(Debug, Clone)]
pub struct RunLatencies {
    departed: u64,
    next: u64,
    first: Vec<[u64; KEPT]>,
    kept: [RunBatches; KEPT],
    schedule: Schedule,
    /// `None` with several replicas: one may be told of its tokens later than another of a departure.
    itl: Option<(RunBatches, Schedule)>,
    /// Whether a batch of token gaps ends with the step that is being told of.
    itl_ends: bool,
}

/// When batches end.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    every: u64,
    next: u64,
}

impl Schedule {
    fn advance(&mut self, paired: bool) {
        self.every *= if paired { 2 } else { 1 };
        self.next += self.every;
    }
}

fn totals(metric: &LatencyMetric) -> Totals {
    let tally = metric.tally();
    // Nanoseconds, as the histograms count them.
    Totals {
        count: tally.count(),
        sum: tally.sum_ps() / 1_000,
        sum_of_squares: tally.sum_squares_ps2() / 1e6,
    }
}

fn counts(metric: &LatencyMetric) -> GridCounts<impl Iterator<Item = u64> + '_> {
    let (zeros, first, in_order) = metric.coarse_counts_ns();
    GridCounts { zeros, first, in_order }
}

fn kept(metrics: &RunMetrics) -> [&LatencyMetric; KEPT] {
    [metrics.ttft(), metrics.tpot(), metrics.e2e(), metrics.queue()]
}

impl RunLatencies {
    /// Of a run on so many replicas.
    pub fn new(replicas: u32) -> Self {
        let every = Schedule { every: ITL_BATCH, next: ITL_BATCH };
        Self {
            departed: 0,
            next: ITL_BATCH,
            first: Vec::new(),
            kept: Default::default(),
            schedule: Schedule { every: BATCH, next: ONE_BY_ONE },
            itl: (replicas == 1).then(|| (RunBatches::default(), every)),
            itl_ends: false,
        }
    }

    /// A request left, and `metrics` have been told.
    #[inline]
    pub fn departed(&mut self, record: &RequestRecord, metrics: &RunMetrics) {
        self.departed += 1;
        if self.departed <= ONE_BY_ONE {
            self.keep(record);
        }
        if self.departed == self.next {
            self.end_of_batch(metrics);
        }
    }

    /// Requests that have left.
    pub fn departed_so_far(&self) -> u64 {
        self.departed
    }

    fn keep(&mut self, record: &RequestRecord) {
        let finished = record.status == RequestStatus::Finished;
        let values = [
            record.ttft(),
            record.tpot().filter(|_| finished),
            record.e2e(),
            record.first_scheduled.map(|scheduled| scheduled - record.received),
        ];
        self.first.push(values.map(|value| value.map_or(NONE, |value| value.as_ps() / 1_000)));
    }

    /// The values of one latency among the first ones.
    fn column(&self, i: usize) -> RunBatches {
        let values: Vec<u64> = self.first.iter().map(|row| row[i]).filter(|&value| value != NONE).collect();
        RunBatches::of_values(&values)
    }

    #[cold]
    fn end_of_batch(&mut self, metrics: &RunMetrics) {
        if self.departed == self.schedule.next {
            let mut paired = false;
            for (i, metric) in kept(metrics).into_iter().enumerate() {
                if self.departed == ONE_BY_ONE {
                    self.kept[i] = self.column(i);
                    self.kept[i].begin(totals(metric), counts(metric));
                } else {
                    paired |= self.kept[i].close(totals(metric), counts(metric));
                }
            }
            self.first = Vec::new();
            self.schedule.advance(paired);
        }
        self.next = self.schedule.next;
        if let Some((_, schedule)) = &mut self.itl {
            if self.departed == schedule.next {
                self.itl_ends = true;
                schedule.next += schedule.every;
            }
            self.next = self.next.min(schedule.next);
        }
    }

    /// A step is over, and `metrics` have been told of all of it. The tokens of one step are told of in another order when it
    /// is computed by itself, so batches of them end here and not with a departure.
    #[inline]
    pub fn step_over(&mut self, metrics: &RunMetrics) {
        if self.itl_ends {
            self.end_of_itl_batch(metrics);
        }
    }

    #[cold]
    fn end_of_itl_batch(&mut self, metrics: &RunMetrics) {
        self.itl_ends = false;
        if let Some((batches, schedule)) = &mut self.itl
            && batches.close(totals(metrics.itl()), counts(metrics.itl()))
        {
            // The end that was set a moment ago is that of a batch of the old length.
            schedule.next += schedule.every;
            schedule.every *= 2;
            self.next = self.schedule.next.min(schedule.next);
        }
    }

    /// The intervals in milliseconds, in the order of reports: time to first token, time per output token, gaps between
    /// tokens (`None` with several replicas), end to end, queue. `metrics` are those of the whole run.
    pub fn intervals(&self, metrics: &RunMetrics, confidence: f64) -> [Option<RunIntervals>; 5] {
        let of = |batches: &RunBatches, metric| Some(within(metric, batches.intervals(confidence, NS_A_MS)));
        let metric = kept(metrics);
        let [ttft, tpot, e2el, queue] = std::array::from_fn(|i| {
            if self.departed < ONE_BY_ONE {
                of(&self.column(i), metric[i])
            } else {
                of(&self.kept[i], metric[i])
            }
        });
        let itl = self.itl.as_ref().and_then(|(batches, _)| of(batches, metrics.itl()));
        [ttft, tpot, itl, e2el, queue]
    }
}

/// The metric's own quantiles are finer than those of batches: the ends move by what they say of the estimate, by a bucket
/// of a batch at most, and stay within what was observed.
fn within(metric: &LatencyMetric, mut intervals: RunIntervals) -> RunIntervals {
    let Some((min, max)) = metric.tally().min().zip(metric.tally().max()) else { return intervals };
    let (min, max) = (min.as_millis_f64(), max.as_millis_f64());
    let finer = metric.quantiles_ms(PERCENTILES).unwrap_or_default();
    for (interval, finer) in intervals.percentiles.iter_mut().zip(finer) {
        let Ok(interval) = interval else { continue };
        let ratio = if interval.estimate > 0.0 { finer / interval.estimate } else { 1.0 };
        let ratio = ratio.clamp(1.0 - BATCH_RESOLUTION, 1.0 + BATCH_RESOLUTION);
        for end in [&mut interval.estimate, &mut interval.low, &mut interval.high] {
            *end = (*end * ratio).clamp(min, max);
        }
    }
    intervals
}
