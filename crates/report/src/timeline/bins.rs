//! Bins of equal width that cover all time so far. Everything in them is a whole number, so that it does not matter in how
//! many pieces a stretch of time is told.

use kendall_des::SimTime;

/// Most bins.
const MOST: u64 = 512;
/// Width of the first bins: 1 ms (ps).
const FIRST_WIDTH_PS: u64 = 1_000_000_000;
/// Gauges that a bin follows.
pub(super) const GAUGES: usize = 5;

/// What one bin has summed up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bin {
    /// Values times picoseconds.
    pub areas: [u128; GAUGES],
    /// Largest values.
    pub tops: [u64; GAUGES],
    pub count: u64,
}

/// Gauges within a stretch of time, at one moment of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    /// Values times picoseconds, from the beginning of the stretch.
    pub areas: [u128; GAUGES],
    /// Values right before the moment; none of them falls within the stretch.
    pub values: [u64; GAUGES],
}

#[derive(Debug, Clone)]
pub(super) struct Bins {
    width_ps: u64,
    bins: Vec<Bin>,
}

impl Default for Bins {
    fn default() -> Self {
        Self { width_ps: FIRST_WIDTH_PS, bins: Vec::new() }
    }
}

impl Bins {
    /// The bin at a time; there are enough of them then.
    fn index(&mut self, at: SimTime) -> usize {
        let at_ps = at.as_ps();
        while at_ps / self.width_ps >= MOST {
            self.merge();
        }
        // Below MOST.
        let index = (at_ps / self.width_ps) as usize;
        if index >= self.bins.len() {
            self.bins.resize(index + 1, Bin::default());
        }
        index
    }

    fn merge(&mut self) {
        self.width_ps *= 2;
        self.bins = self
            .bins
            .chunks(2)
            .map(|pair| {
                let mut merged = pair[0];
                for other in &pair[1..] {
                    merged.count += other.count;
                    for (area, more) in merged.areas.iter_mut().zip(other.areas) {
                        *area += more;
                    }
                    for (top, other) in merged.tops.iter_mut().zip(other.tops) {
                        *top = (*top).max(other);
                    }
                }
                merged
            })
            .collect();
    }

    /// Adds a stretch of time; `reached` is asked at the end of each bin in it, and at its own.
    pub(super) fn add(&mut self, from: SimTime, to: SimTime, reached: impl Fn(SimTime) -> Reached) {
        if to <= from {
            return;
        }
        // Before anything is added: finding it may merge bins.
        let last = self.index(to);
        let mut before = [0; GAUGES];
        for i in self.index(from)..=last {
            let end = SimTime::from_ps((i as u64 + 1).saturating_mul(self.width_ps)).min(to);
            let Reached { areas, values } = reached(end);
            let bin = &mut self.bins[i];
            for gauge in 0..GAUGES {
                bin.areas[gauge] += areas[gauge] - before[gauge];
                bin.tops[gauge] = bin.tops[gauge].max(values[gauge]);
            }
            if end == to {
                return;
            }
            before = areas;
        }
    }

    /// These values were reached.
    pub(super) fn top(&mut self, at: SimTime, values: &[u64; GAUGES]) {
        let bin = self.index(at);
        for (top, value) in self.bins[bin].tops.iter_mut().zip(values) {
            *top = (*top).max(*value);
        }
    }

    /// Something happened so often.
    pub(super) fn count(&mut self, at: SimTime, times: u64) {
        if times > 0 {
            let bin = self.index(at);
            self.bins[bin].count += times;
        }
    }

    /// Start, end (ps) and content of each bin that has time in it.
    pub(super) fn each(&self, end: SimTime) -> impl Iterator<Item = (u64, u64, &Bin)> {
        let end = end.as_ps();
        let place = move |(i, bin)| {
            let start = i as u64 * self.width_ps;
            (start, start.saturating_add(self.width_ps).min(end), bin)
        };
        self.bins.iter().enumerate().map(place).filter(|(start, end, _)| end > start)
    }
}
