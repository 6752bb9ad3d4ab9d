//! Bins of equal width that cover all time so far.

use kendall_des::SimTime;

/// Most bins.
const MOST: usize = 512;
/// Width of the first bins.
const FIRST_WIDTH_S: f64 = 1e-3;

/// What one bin has summed up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bin {
    /// Values times seconds.
    pub areas: [f64; 5],
    /// Largest values.
    pub tops: [f64; 5],
    pub count: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Bins {
    width_s: f64,
    bins: Vec<Bin>,
}

impl Default for Bins {
    fn default() -> Self {
        Self { width_s: FIRST_WIDTH_S, bins: Vec::new() }
    }
}

impl Bins {
    /// The bin at a time; there are enough of them then.
    fn index(&mut self, at_s: f64) -> usize {
        while at_s >= self.width_s * MOST as f64 {
            self.merge();
        }
        let index = (at_s / self.width_s) as usize;
        if index >= self.bins.len() {
            self.bins.resize(index + 1, Bin::default());
        }
        index
    }

    fn merge(&mut self) {
        self.width_s *= 2.0;
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
                        *top = top.max(other);
                    }
                }
                merged
            })
            .collect();
    }

    /// Values went evenly from `before` to `after` in this time.
    pub(super) fn add(&mut self, from: SimTime, to: SimTime, before: &[f64; 5], after: &[f64; 5]) {
        let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
        if to <= from {
            return;
        }
        let last = self.index(to);
        let mut left = from;
        for i in self.index(from)..=last {
            let right = if i == last { to } else { (i + 1) as f64 * self.width_s };
            // The value in the middle of the stretch is its mean.
            let progress = (f64::midpoint(left, right) - from) / (to - from);
            for (gauge, area) in self.bins[i].areas.iter_mut().enumerate() {
                *area +=
                    (before[gauge] + (after[gauge] - before[gauge]) * progress) * (right - left).max(0.0);
            }
            left = right;
        }
    }

    /// These values were reached.
    pub(super) fn top(&mut self, at: SimTime, values: &[f64; 5]) {
        let bin = self.index(at.as_secs_f64());
        for (top, value) in self.bins[bin].tops.iter_mut().zip(values) {
            *top = top.max(*value);
        }
    }

    /// Something happened so often.
    pub(super) fn count(&mut self, at: SimTime, times: u64) {
        if times > 0 {
            let bin = self.index(at.as_secs_f64());
            self.bins[bin].count += times;
        }
    }

    /// Start, end and content of each bin that has time in it.
    pub(super) fn each(&self, end: SimTime) -> impl Iterator<Item = (f64, f64, &Bin)> {
        let end = end.as_secs_f64();
        let place = move |(i, bin)| {
            let start = i as f64 * self.width_s;
            (start, (start + self.width_s).min(end), bin)
        };
        self.bins.iter().enumerate().map(place).filter(|(start, end, _)| end > start)
    }
}
