//! The state of a run over time, in a bounded number of bins: what `timeline.csv` holds.
//!
//! Bins begin narrow. When the run outgrows them, neighbours are merged and all are twice as wide, so that memory does not
//! grow with the run and no length has to be known before. Within a run of steps, blocks and tokens grow step by step, in
//! closed form: the bins are the same to the bit as if every step had been told (invariant 10).

mod bins;

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{DecodeRun, EngineConfig, EngineGauges, EngineTotals};
use serde::Serialize;

use bins::{Bins, GAUGES, Reached};

use crate::output_dir::{OutputDir, OutputError, WrittenFile};

/// Areas that a bin sums up.
const RUNNING: usize = 0;
const WAITING: usize = 1;
const USED: usize = 2;
const HELD_BLOCKS: usize = 3;
const HELD_TOKENS: usize = 4;

/// Watches gauges and preemptions.
#[derive(Debug, Clone)]
pub struct Timeline {
    usable_blocks: f64,
    block_size: f64,
    replicas: Vec<Replica>,
    bins: Bins,
}

#[derive(Debug, Clone, Default)]
struct Replica {
    since: SimTime,
    values: [u64; GAUGES],
    num_preemptions: u64,
}

/// One bin: means over its time and over replicas, largest values on any replica, counts over all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TimelineRow {
    /// Start of the bin (s).
    pub start_s: f64,
    /// Its end (s).
    pub end_s: f64,
    /// Requests in the running list of a replica.
    pub running: f64,
    /// Most of them.
    pub max_running: f64,
    /// Requests in the waiting queue of a replica.
    pub waiting: f64,
    /// Most of them.
    pub max_waiting: f64,
    /// Share of the usable KV blocks in use.
    pub kv_cache_usage: f64,
    /// Most of it.
    pub max_kv_cache_usage: f64,
    /// Share of the slots in held blocks that hold no token; 0 while no block is held.
    pub internal_fragmentation: f64,
    /// Preemptions, on all replicas.
    pub preemptions: u64,
}

fn values(gauges: &EngineGauges) -> [u64; GAUGES] {
    [
        u64::from(gauges.num_running),
        u64::from(gauges.num_waiting),
        u64::from(gauges.used_blocks),
        gauges.held_blocks,
        gauges.held_tokens,
    ]
}

/// Values times a time (ps).
fn areas(values: &[u64; GAUGES], time: SimDuration) -> [u128; GAUGES] {
    values.map(|value| u128::from(value) * u128::from(time.as_ps()))
}

/// The gauges after so many of the run's steps; `values` are those before it.
fn after(mut values: [u64; GAUGES], run: &DecodeRun<'_>) -> [u64; GAUGES] {
    values[USED] += run.new_blocks.count;
    values[HELD_BLOCKS] += run.new_blocks.count;
    values[HELD_TOKENS] += run.num_rows * run.gaps.count;
    values
}

/// The gauges right before a moment of a run of steps; `values` are those before it.
fn within(values: &[u64; GAUGES], run: &DecodeRun<'_>, at: SimTime) -> Reached {
    let done = run.first(run.gaps.count_below((at - run.start).as_ps(), run.gaps.count));
    let mut reached = areas(values, done.end - done.start);
    reached[USED] += done.new_block_area();
    reached[HELD_BLOCKS] += done.new_block_area();
    reached[HELD_TOKENS] += done.new_token_area();
    let values = after(*values, &done);
    for (area, more) in reached.iter_mut().zip(areas(&values, at - done.end)) {
        *area += more;
    }
    Reached { areas: reached, values }
}

impl Timeline {
    /// Nothing seen, of so many replicas of this engine.
    pub fn new(engine: &EngineConfig, replicas: u32) -> Self {
        Self {
            usable_blocks: f64::from(engine.usable_blocks()),
            block_size: f64::from(engine.block_size),
            replicas: vec![Replica::default(); replicas as usize],
            bins: Bins::default(),
        }
    }

    /// A replica's state changed at `now`.
    pub fn gauges(&mut self, replica: u32, now: SimTime, gauges: EngineGauges) {
        let state = &mut self.replicas[replica as usize];
        let (since, held) = (state.since, state.values);
        self.bins.add(since, now, |at| Reached { areas: areas(&held, at - since), values: held });
        state.values = values(&gauges);
        state.since = now;
        self.bins.top(now, &state.values);
    }

    /// A replica ran through steps in which it only decoded.
    pub fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.gauges(replica, run.start, run.before);
        let state = &mut self.replicas[replica as usize];
        let before = state.values;
        self.bins.add(run.start, run.end, |at| within(&before, run, at));
        state.values = after(before, run);
        state.since = run.end;
        self.bins.top(run.end, &state.values);
    }

    /// What the replica has counted by the gauges that were reported last.
    pub fn totals(&mut self, replica: u32, totals: &EngineTotals) {
        let state = &mut self.replicas[replica as usize];
        let total = totals.num_preemptions;
        self.bins.count(state.since, total.saturating_sub(state.num_preemptions));
        state.num_preemptions = total;
    }

    /// The bins up to the end of the run.
    pub fn rows(&self, end: SimTime) -> Vec<TimelineRow> {
        let mut bins = self.bins.clone();
        for state in &self.replicas {
            let (since, held) = (state.since, state.values);
            bins.add(since, end, |at| Reached { areas: areas(&held, at - since), values: held });
        }
        let replicas = self.replicas.len() as f64;
        let seconds = |ps: u64| ps as f64 / 1e12;
        bins.each(end)
            .map(|(start, end, bin)| {
                let mean = |gauge: usize| bin.areas[gauge] as f64 / (end - start) as f64 / replicas;
                let top = |gauge: usize| bin.tops[gauge] as f64;
                let slots = bin.areas[HELD_BLOCKS] as f64 * self.block_size;
                TimelineRow {
                    start_s: seconds(start),
                    end_s: seconds(end),
                    running: mean(RUNNING),
                    max_running: top(RUNNING),
                    waiting: mean(WAITING),
                    max_waiting: top(WAITING),
                    kv_cache_usage: mean(USED) / self.usable_blocks,
                    max_kv_cache_usage: top(USED) / self.usable_blocks,
                    internal_fragmentation: if slots > 0.0 {
                        1.0 - bin.areas[HELD_TOKENS] as f64 / slots
                    } else {
                        0.0
                    },
                    preemptions: bin.count,
                }
            })
            .collect()
    }

    /// Writes `timeline.csv`, still under its temporary name.
    ///
    /// # Errors
    /// If the folder cannot be written or is full.
    pub fn write(&self, end: SimTime, out: &OutputDir) -> Result<WrittenFile, OutputError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        // Writing to memory cannot fail, and rows are plain structs.
        for row in self.rows(end) {
            let _ = writer.serialize(row);
        }
        out.write("timeline.csv", &writer.into_inner().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SimTime {
        SimTime::ZERO + SimDuration::from_millis(ms)
    }

    fn gauges(num_running: u32, used_blocks: u32) -> EngineGauges {
        EngineGauges {
            num_waiting: 0,
            num_running,
            used_blocks,
            held_blocks: u64::from(used_blocks),
            held_tokens: u64::from(used_blocks) * 12,
        }
    }

    /// Means over all bins are the time averages, however often bins were merged on the way.
    #[test]
    fn areas_survive_merging() {
        let engine = EngineConfig::default();
        let mut timeline = Timeline::new(&engine, 2);
        timeline.gauges(0, at(0), gauges(4, 100));
        timeline.gauges(0, at(700_000), gauges(0, 0));
        timeline.gauges(1, at(100_000), gauges(2, 50));
        timeline.gauges(1, at(1_000_000), gauges(0, 0));
        let rows = timeline.rows(at(1_000_000));
        assert!((200..=600).contains(&rows.len()), "{} bins", rows.len());
        let mean: f64 = rows.iter().map(|row| row.running * (row.end_s - row.start_s)).sum::<f64>() / 1_000.0;
        assert!((mean - (4.0 * 700.0 + 2.0 * 900.0) / 1_000.0 / 2.0).abs() < 1e-9, "{mean}");
        assert!(rows.iter().all(|row| row.max_running <= 4.0));
        assert!(
            (rows[3].max_running - 4.0).abs() < 1e-9,
            "what holds throughout a bin is its largest value too"
        );
        assert!((rows[3].internal_fragmentation - 0.25).abs() < 1e-9, "12 of 16 slots are filled");
        assert!((rows.last().unwrap().end_s - 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_run_has_no_bins() {
        assert!(Timeline::new(&EngineConfig::default(), 1).rows(SimTime::ZERO).is_empty());
    }
}
