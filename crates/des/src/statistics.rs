//! The two kinds of statistics: over customers ([`Tally`]) and over time ([`TimeWeighted`]). Both are exact integers
//! inside, so that merging and bulk credit never change a result. Law & Kelton, section 1.4.

use crate::{SimDuration, SimTime};

/// One duration a customer: count, exact sum, extremes, and the exact sum of squares for a variance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    count: u64,
    sum_ps: u128,
    sum_squares_ns2: u128,
    min: Option<SimDuration>,
    max: Option<SimDuration>,
}

impl Tally {
    /// No observation yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one observation.
    pub fn record(&mut self, value: SimDuration) {
        self.record_n(value, 1);
    }

    /// Adds `n` equal observations.
    pub fn record_n(&mut self, value: SimDuration, n: u64) {
        if n == 0 {
            return;
        }
        self.count += n;
        self.sum_ps += u128::from(value.as_ps()) * u128::from(n);
        // Squares are kept in ns^2: ps^2 of a long run would overflow even 128 bits.
        let ns = u128::from(value.as_ps() / 1_000);
        self.sum_squares_ns2 += ns * ns * u128::from(n);
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
    }

    /// Number of observations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the observations in picoseconds.
    pub fn sum_ps(&self) -> u128 {
        self.sum_ps
    }

    /// Mean in seconds; `None` without observations.
    pub fn mean_secs(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ps as f64 / 1e12 / self.count as f64)
    }

    /// Population standard deviation in seconds; `None` without observations.
    pub fn std_dev_secs(&self) -> Option<f64> {
        let mean = self.mean_secs()?;
        let mean_square = self.sum_squares_ns2 as f64 / 1e18 / self.count as f64;
        // Rounding of nearly equal observations can fall a hair below zero.
        let variance = mean_square - mean * mean;
        Some(if variance > 0.0 { variance.sqrt() } else { 0.0 })
    }

    /// Smallest observation.
    pub fn min(&self) -> Option<SimDuration> {
        self.min
    }

    /// Largest observation.
    pub fn max(&self) -> Option<SimDuration> {
        self.max
    }
}

/// A whole number that holds between changes, such as a queue length: its integral, time average and maximum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeWeighted {
    start: SimTime,
    last_change: SimTime,
    value: u64,
    integral: u128,
    max: u64,
}

impl TimeWeighted {
    /// Starts at `value` at time `start`.
    pub fn new(start: SimTime, value: u64) -> Self {
        Self { start, last_change: start, value, integral: 0, max: value }
    }

    /// The value becomes `value` at `now`.
    ///
    /// # Panics
    /// If `now` lies before the last change.
    pub fn set(&mut self, now: SimTime, value: u64) {
        self.advance(now);
        self.value = value;
        self.max = self.max.max(value);
    }

    /// Adds the area since the last change, up to `now`.
    fn advance(&mut self, now: SimTime) {
        self.integral += u128::from((now - self.last_change).as_ps()) * u128::from(self.value);
        self.last_change = now;
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// The largest value that was ever set.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The area under the value from the start to `now`, in value times picoseconds.
    ///
    /// # Panics
    /// If `now` lies before the last change.
    pub fn integral(&self, now: SimTime) -> u128 {
        self.integral + u128::from((now - self.last_change).as_ps()) * u128::from(self.value)
    }

    /// The time average from the start to `now`; `None` if no time has passed.
    pub fn mean(&self, now: SimTime) -> Option<f64> {
        let elapsed = now.since(self.start).as_ps();
        (elapsed > 0).then(|| self.integral(now) as f64 / elapsed as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "these are exact in binary")]
    fn a_tally_knows_its_moments() {
        let mut tally = Tally::new();
        assert_eq!(tally.mean_secs(), None);
        for secs in [1, 2, 3, 4] {
            tally.record(SimDuration::from_secs(secs));
        }
        tally.record_n(SimDuration::from_secs(5), 2);
        assert_eq!((tally.count(), tally.mean_secs()), (6, Some(20.0 / 6.0)));
        assert!((tally.std_dev_secs().unwrap() - 1.490_711_985).abs() < 1e-9);
        assert_eq!(
            (tally.min(), tally.max()),
            (Some(SimDuration::from_secs(1)), Some(SimDuration::from_secs(5)))
        );
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "these are exact in binary")]
    fn a_time_average_weighs_by_time() {
        let mut length = TimeWeighted::new(SimTime::ZERO, 0);
        length.set(SimTime::from_ps(10), 4);
        length.set(SimTime::from_ps(20), 1);
        assert_eq!(length.mean(SimTime::from_ps(40)), Some((4.0 * 10.0 + 20.0) / 40.0));
        assert_eq!(length.max(), 4);
    }
}
