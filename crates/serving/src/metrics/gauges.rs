//! The gauges of one replica over time: areas for time averages, and largest values. All are advanced together, because
//! this happens at every step.

use kendall_des::{SimDuration, SimTime};

use crate::engine::EngineGauges;
use crate::observe::DecodeRun;

/// Which gauge.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gauge {
    NumWaiting,
    NumRunning,
    UsedBlocks,
    HeldBlocks,
    HeldTokens,
}

/// Values that hold between changes, from time 0 on.
#[derive(Debug, Clone, Default)]
pub(super) struct GaugesOverTime {
    since: SimTime,
    values: [u64; 5],
    /// Values times picoseconds, up to `since`.
    areas: [u128; 5],
    max: [u64; 5],
}

fn values(gauges: &EngineGauges) -> [u64; 5] {
    [
        u64::from(gauges.num_waiting),
        u64::from(gauges.num_running),
        u64::from(gauges.used_blocks),
        gauges.held_blocks,
        gauges.held_tokens,
    ]
}

impl GaugesOverTime {
    /// The gauges change at `now`.
    pub(super) fn set(&mut self, now: SimTime, gauges: EngineGauges) {
        let elapsed = u128::from((now - self.since).as_ps());
        for (area, value) in self.areas.iter_mut().zip(self.values) {
            *area += elapsed * u128::from(value);
        }
        self.since = now;
        self.values = values(&gauges);
        for (max, value) in self.max.iter_mut().zip(self.values) {
            *max = (*max).max(value);
        }
    }

    /// A run of steps: the members' tokens grow with each, and blocks are taken now and then.
    pub(super) fn run(&mut self, run: &DecodeRun<'_>) {
        self.set(run.start, run.before);
        let (count, gaps) = (run.gaps.count, &run.gaps);
        let length = gaps.sum_of_first(count);
        let [waiting, running, used, held_blocks, held_tokens] = self.values.map(u128::from);
        let (mut new_blocks, mut blocks_area) = (0, 0);
        for &(step, blocks) in run.new_blocks {
            new_blocks += u64::from(blocks);
            blocks_area += (length - gaps.sum_of_first(step + 1)) * u128::from(blocks);
        }
        let areas = [
            waiting * length,
            running * length,
            used * length + blocks_area,
            held_blocks * length + blocks_area,
            gaps.area_under_ramp(held_tokens as u64, run.num_rows),
        ];
        for (sum, area) in self.areas.iter_mut().zip(areas) {
            *sum += area;
        }
        self.since = run.start + SimDuration::from_ps(length as u64);
        for (value, growth) in
            self.values.iter_mut().zip([0, 0, new_blocks, new_blocks, run.num_rows * count])
        {
            *value += growth;
        }
        for (max, value) in self.max.iter_mut().zip(self.values) {
            *max = (*max).max(value);
        }
    }

    /// The area under a gauge from time 0 to `end`, in value times picoseconds.
    pub(super) fn area(&self, gauge: Gauge, end: SimTime) -> u128 {
        let i = gauge as usize;
        self.areas[i] + u128::from((end - self.since).as_ps()) * u128::from(self.values[i])
    }

    /// The average from time 0 to `end`; `None` if no time has passed.
    pub(super) fn mean(&self, gauge: Gauge, end: SimTime) -> Option<f64> {
        let elapsed = (end - SimTime::ZERO).as_ps();
        (elapsed > 0).then(|| self.area(gauge, end) as f64 / elapsed as f64)
    }

    /// The largest value ever.
    pub(super) fn max(&self, gauge: Gauge) -> u64 {
        self.max[gauge as usize]
    }
}
