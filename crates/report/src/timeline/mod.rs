//! The state of a run over time, in a bounded number of bins: what `timeline.csv` holds.
//!
//! Bins begin narrow. When the run outgrows them, neighbours are merged and all are twice as wide, so that memory does not
//! grow with the run and no length has to be known before.

mod bins;

use kendall_des::SimTime;
use kendall_serving::{DecodeRun, EngineConfig, EngineGauges, EngineTotals};
use serde::Serialize;

use bins::Bins;

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
    values: [f64; 5],
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

fn values(gauges: &EngineGauges) -> [f64; 5] {
    [
        f64::from(gauges.num_running),
        f64::from(gauges.num_waiting),
        f64::from(gauges.used_blocks),
        gauges.held_blocks as f64,
        gauges.held_tokens as f64,
    ]
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
        self.bins.add(state.since, now, &state.values, &state.values);
        state.values = values(&gauges);
        state.since = now;
        self.bins.top(now, &state.values);
    }

    /// A replica ran through steps in which it only decoded. Blocks and tokens are taken to grow evenly.
    pub fn decode_run(&mut self, replica: u32, run: &DecodeRun<'_>) {
        self.gauges(replica, run.start, run.before);
        let state = &mut self.replicas[replica as usize];
        let mut after = state.values;
        after[USED] += run.new_blocks.count as f64;
        after[HELD_BLOCKS] += run.new_blocks.count as f64;
        after[HELD_TOKENS] += (run.num_rows * run.gaps.count) as f64;
        self.bins.add(run.start, run.end, &state.values, &after);
        state.values = after;
        state.since = run.end;
        self.bins.top(run.end, &after);
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
            bins.add(state.since, end.max(state.since), &state.values, &state.values);
        }
        let replicas = self.replicas.len() as f64;
        bins.each(end)
            .map(|(start_s, end_s, bin)| {
                let mean = |gauge: usize| bin.areas[gauge] / (end_s - start_s) / replicas;
                let slots = bin.areas[HELD_BLOCKS] * self.block_size;
                TimelineRow {
                    start_s,
                    end_s,
                    running: mean(RUNNING),
                    max_running: bin.tops[RUNNING],
                    waiting: mean(WAITING),
                    max_waiting: bin.tops[WAITING],
                    kv_cache_usage: mean(USED) / self.usable_blocks,
                    max_kv_cache_usage: bin.tops[USED] / self.usable_blocks,
                    internal_fragmentation: if slots > 0.0 {
                        1.0 - bin.areas[HELD_TOKENS] / slots
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
    use kendall_des::SimDuration;

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
        assert!((rows[3].internal_fragmentation - 0.25).abs() < 1e-9, "12 of 16 slots are filled");
        assert!((rows.last().unwrap().end_s - 1_000.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_run_has_no_bins() {
        assert!(Timeline::new(&EngineConfig::default(), 1).rows(SimTime::ZERO).is_empty());
    }
}
