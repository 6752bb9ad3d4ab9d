//! What a run tells about objectives: how far they are kept in its steady part, whether its queue grows, and what
//! requests wait for.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{DecodeRun, EngineConfig, EngineGauges, Observer, RequestRecord, RequestStatus};

use super::slo::{Slo, SloTally};

/// Which requests of a run count, by number. The first ones meet an empty server, the last ones an emptying one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// First one that counts.
    pub first: u64,
    /// First one that counts no more.
    pub end: u64,
}

impl Window {
    /// Of a run of `requests`: without the first quarter and the last tenth.
    pub(crate) fn of(requests: u64) -> Self {
        Self { first: requests / 4, end: requests - requests / 10 }
    }

    /// 0 for the first half of what counts, 1 for the second.
    fn half(self, index: u64) -> Option<usize> {
        let middle = u64::midpoint(self.first, self.end);
        (self.first..self.end).contains(&index).then(|| usize::from(index >= middle))
    }
}

/// Share of the KV cache in use from which a waiting request is taken to wait for blocks: the rest is fragments that one
/// more prompt does not fit into.
const KV_FULL: f64 = 0.9;

/// What requests wait for, as shares of the time in which any waited, and how busy the server was.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Pressure {
    /// Share of time with a request running.
    pub busy: f64,
    /// Share of time with a request waiting.
    pub waiting: f64,
    /// Of that: with `max_num_seqs` running.
    pub seats: f64,
    /// Of that: with a full KV cache.
    pub kv_blocks: f64,
    /// Of that: neither, so that a step's token budget or the end of a step was waited for.
    pub token_budget: f64,
    /// Mean share of KV blocks in use.
    pub kv_usage: f64,
    /// Mean number of running requests of a replica.
    pub running: f64,
    /// Share of requests that were preempted.
    pub preempted: f64,
}

impl Pressure {
    /// Means over several runs.
    pub(crate) fn mean(of: &[Self]) -> Self {
        let n = of.len().max(1) as f64;
        let mean = |field: fn(&Self) -> f64| of.iter().map(field).sum::<f64>() / n;
        // Shares of waiting time are weighted by that time.
        let waiting = mean(|run| run.waiting);
        let of_waiting = |field: fn(&Self) -> f64| {
            let sum: f64 = of.iter().map(|run| field(run) * run.waiting).sum();
            if waiting > 0.0 { sum / n / waiting } else { 0.0 }
        };
        Self {
            busy: mean(|run| run.busy),
            waiting,
            seats: of_waiting(|run| run.seats),
            kv_blocks: of_waiting(|run| run.kv_blocks),
            token_budget: of_waiting(|run| run.token_budget),
            kv_usage: mean(|run| run.kv_usage),
            running: mean(|run| run.running),
            preempted: mean(|run| run.preempted),
        }
    }
}

/// The verdict's evidence from one run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Evidence {
    /// Margin of each objective and the requests behind it.
    pub margins: Vec<Option<(f64, u64)>>,
    /// Mean time to first token in the two halves of the window (s); requests that never got one count until they left.
    pub wait_s: [f64; 2],
    /// Where time went.
    pub pressure: Pressure,
    /// Requests of the run, those included that follow from others.
    pub departed: u64,
}

/// Watches a run.
pub(crate) struct Witness {
    slos: Vec<Slo>,
    window: Window,
    tallies: Vec<SloTally>,
    waits: [(u64, f64); 2],
    replicas: Vec<Timeline>,
    max_num_seqs: u32,
    usable_blocks: f64,
    departed: u64,
    preempted: u64,
}

/// Time of one replica in each state (ps).
#[derive(Debug, Clone, Copy)]
struct Timeline {
    since: SimTime,
    gauges: EngineGauges,
    busy: u128,
    waiting: u128,
    seats: u128,
    kv_blocks: u128,
    used_blocks: u128,
    running: u128,
}

impl Timeline {
    const EMPTY: Self = Self {
        since: SimTime::ZERO,
        gauges: EngineGauges {
            num_waiting: 0,
            num_running: 0,
            used_blocks: 0,
            held_blocks: 0,
            held_tokens: 0,
        },
        busy: 0,
        waiting: 0,
        seats: 0,
        kv_blocks: 0,
        used_blocks: 0,
        running: 0,
    };
}

impl Witness {
    pub(crate) fn new(slos: &[Slo], window: Window, engine: &EngineConfig, replicas: u32) -> Self {
        Self {
            slos: slos.to_vec(),
            window,
            tallies: vec![SloTally::default(); slos.len()],
            waits: [(0, 0.0); 2],
            replicas: vec![Timeline::EMPTY; replicas as usize],
            max_num_seqs: engine.max_num_seqs,
            usable_blocks: f64::from(engine.usable_blocks()),
            departed: 0,
            preempted: 0,
        }
    }

    pub(crate) fn evidence(&self, end: SimTime) -> Evidence {
        let margins = self.slos.iter().zip(&self.tallies).map(|(slo, tally)| tally.margin(slo)).collect();
        let wait = |(n, sum): (u64, f64)| if n > 0 { sum / n as f64 } else { 0.0 };
        let total = (end - SimTime::ZERO).as_ps() as f64 * self.replicas.len() as f64;
        let sum = |field: fn(&Timeline) -> u128| self.replicas.iter().map(field).sum::<u128>() as f64;
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let waiting = sum(|replica| replica.waiting);
        let (seats, kv_blocks) = (sum(|replica| replica.seats), sum(|replica| replica.kv_blocks));
        let pressure = Pressure {
            busy: share(sum(|replica| replica.busy), total),
            waiting: share(waiting, total),
            seats: share(seats, waiting),
            kv_blocks: share(kv_blocks, waiting),
            token_budget: share(waiting - seats - kv_blocks, waiting),
            kv_usage: share(sum(|replica| replica.used_blocks), total * self.usable_blocks),
            running: share(sum(|replica| replica.running), total),
            preempted: share(self.preempted as f64, self.departed as f64),
        };
        Evidence { margins, wait_s: self.waits.map(wait), pressure, departed: self.departed }
    }
}

impl Observer for Witness {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}

    fn departed(&mut self, record: &RequestRecord) {
        self.departed += 1;
        self.preempted += u64::from(record.num_preemptions > 0);
        let Some(half) = self.window.half(record.index) else { return };
        for (slo, tally) in self.slos.iter().zip(&mut self.tallies) {
            tally.add(slo, record);
        }
        if record.status != RequestStatus::Rejected {
            let wait = record.ttft().unwrap_or(record.finish - record.arrival);
            let (n, sum) = &mut self.waits[half];
            *n += 1;
            *sum += wait.as_secs_f64();
        }
    }

    fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        let line = &mut self.replicas[replica as usize];
        let span = u128::from((now - line.since).as_ps());
        let before = line.gauges;
        line.busy += if before.num_running > 0 { span } else { 0 };
        if before.num_waiting > 0 {
            line.waiting += span;
            if before.num_running >= self.max_num_seqs {
                line.seats += span;
            } else if f64::from(before.used_blocks) >= KV_FULL * self.usable_blocks {
                line.kv_blocks += span;
            }
        }
        line.used_blocks += span * u128::from(before.used_blocks);
        line.running += span * u128::from(before.num_running);
        (line.since, line.gauges) = (now, gauges);
    }

    /// What changes within such a run is only the blocks in use.
    fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.gauges(replica, run.start, run.before);
        let blocks = run.new_blocks.count;
        let after = EngineGauges {
            used_blocks: run.before.used_blocks + blocks as u32,
            held_blocks: run.before.held_blocks + blocks,
            held_tokens: run.before.held_tokens + run.num_rows * run.gaps.count,
            ..run.before
        };
        self.gauges(replica, run.end, after);
        self.replicas[replica as usize].used_blocks += run.new_block_area();
    }
}
