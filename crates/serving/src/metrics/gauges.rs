//! The gauges of one replica over time: areas for time averages, and largest values. All are advanced together, because
//! this happens at every step.

use kendall_des::SimTime;

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
    /// How long something ran, up to `since` (ps).
    busy: u64,
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

fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

impl GaugesOverTime {
    /// The gauges change at `now`.
    #[inline]
    pub(super) fn set(&mut self, now: SimTime, gauges: EngineGauges) {
        let elapsed = (now - self.since).as_ps();
        self.busy += elapsed * u64::from(self.values[Gauge::NumRunning as usize] > 0);
        let elapsed = u128::from(elapsed);
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
        if self.since != run.start {
            self.set(run.start, run.before);
        }
        debug_assert_eq!(self.values, values(&run.before), "gauges are reported whenever they change");
        let elapsed = (run.end - run.start).as_ps();
        let (new, gaps, of_new_blocks) = (&run.new_blocks, &run.gaps, run.new_block_area());
        let [waiting, running, used, held_blocks, held_tokens] = self.values;
        self.busy += elapsed;
        let areas = [
            product(waiting, elapsed),
            product(running, elapsed),
            product(used, elapsed) + of_new_blocks,
            product(held_blocks, elapsed) + of_new_blocks,
            gaps.area_under_ramp(held_tokens, run.num_rows),
        ];
        for (sum, area) in self.areas.iter_mut().zip(areas) {
            *sum += area;
        }
        self.since = run.end;
        let new_tokens = run.num_rows * gaps.count;
        self.values = [waiting, running, used + new.count, held_blocks + new.count, held_tokens + new_tokens];
        for (max, value) in self.max.iter_mut().zip(self.values) {
            *max = (*max).max(value);
        }
    }

    /// The area under a gauge from time 0 to `end`, in value times picoseconds.
    pub(super) fn area(&self, gauge: Gauge, end: SimTime) -> u128 {
        let i = gauge as usize;
        self.areas[i] + u128::from((end - self.since).as_ps()) * u128::from(self.values[i])
    }

    /// Time with a request running, from time 0 to `end` (ps).
    pub(super) fn busy_ps(&self, end: SimTime) -> u64 {
        let runs = self.values[Gauge::NumRunning as usize] > 0;
        self.busy + (end - self.since).as_ps() * u64::from(runs)
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
