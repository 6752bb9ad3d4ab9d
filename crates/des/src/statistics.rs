//! The two kinds of statistics: over customers ([`Tally`]) and over time ([`TimeWeighted`]). Both are exact integers
//! inside, so that merging and bulk credit never change a result. Law & Kelton, section 1.4.

use crate::{SimDuration, SimTime};

/// A sum that needs more than 128 bits: squares of picoseconds over a long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct WideSum {
    low: u128,
    high: u64,
}

impl WideSum {
    fn add(&mut self, term: u128) {
        let (low, carry) = self.low.overflowing_add(term);
        (self.low, self.high) = (low, self.high + u64::from(carry));
    }

    /// Adds `term * factor`.
    fn add_product(&mut self, term: u128, factor: u64) {
        let factor = u128::from(factor);
        let upper = (term >> 64) * factor;
        self.add((term & u128::from(u64::MAX)) * factor);
        self.add(upper << 64);
        self.high += (upper >> 64) as u64;
    }

    fn as_f64(self) -> f64 {
        self.high as f64 * 2.0 * (1_u128 << 127) as f64 + self.low as f64
    }
}

/// Equal steps: `first`, `first + growth`, and so on, `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progression {
    /// The first value.
    pub first: SimDuration,
    /// By how much each value exceeds the one before.
    pub growth: SimDuration,
    /// How many there are.
    pub count: u64,
}

impl Progression {
    /// The value with this number, from 0.
    #[inline]
    pub fn value(&self, i: u64) -> SimDuration {
        self.first + self.growth * i
    }

    /// Sum of the first `n` values (ps).
    #[inline]
    pub fn sum_of_first(&self, n: u64) -> u128 {
        let (first, growth) = (self.first.as_ps(), self.growth.as_ps());
        // Nearly always 64 bits are enough.
        let narrow = || {
            let pairs = n.checked_mul(n.saturating_sub(1))? / 2;
            first.checked_mul(n)?.checked_add(growth.checked_mul(pairs)?)
        };
        narrow().map_or_else(
            || u128::from(first) * u128::from(n) + u128::from(growth) * sum_of_indices(n),
            u128::from,
        )
    }

    /// How many of the values, from the first on and `limit` at most, sum to less than `total` (ps).
    #[inline]
    pub fn count_below(&self, total: u64, limit: u64) -> u64 {
        if self.sum_of_first(limit) < u128::from(total) {
            return limit;
        }
        // Where the parabola reaches the total, nearly; whole numbers settle the rest.
        let (first, growth) = (self.first.as_ps() as f64, self.growth.as_ps() as f64);
        let linear = first - growth / 2.0;
        let root = linear + (linear * linear + 2.0 * growth * total as f64).sqrt();
        let guess = if root > 0.0 { 2.0 * total as f64 / root } else { f64::MAX };
        let mut n = (guess as u64).min(limit);
        while n > 0 && self.sum_of_first(n) >= u128::from(total) {
            n -= 1;
        }
        while n < limit && self.sum_of_first(n + 1) < u128::from(total) {
            n += 1;
        }
        n
    }

    /// The area under a value that is `value` during the first duration, `value + growth` during the second, and so on.
    pub fn area_under_ramp(&self, value: u64, growth: u64) -> u128 {
        // The i-th duration counts i times.
        let (first, step) = (u128::from(self.first.as_ps()), u128::from(self.growth.as_ps()));
        let ramp = first * sum_of_indices(self.count) + step * sum_of_squares(self.count);
        self.sum_of_first(self.count) * u128::from(value) + ramp * u128::from(growth)
    }
}

fn product(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// 0 + 1 + ... + (n - 1)
#[inline]
fn sum_of_indices(n: u64) -> u128 {
    if n < 1 << 32 {
        return u128::from(n * n.saturating_sub(1) / 2);
    }
    u128::from(n) * u128::from(n.saturating_sub(1)) / 2
}

/// The sum of the squares of 0, 1, ..., n - 1.
fn sum_of_squares(n: u64) -> u128 {
    if n < 1 << 20 {
        // 64-bit division is much faster.
        return u128::from(n * n.saturating_sub(1) * (2 * n).saturating_sub(1) / 6);
    }
    let n = u128::from(n);
    n * (n - 1) * (2 * n - 1) / 6
}

/// One duration a customer: count, exact sum, extremes, and the exact sum of squares for a variance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    count: u64,
    sum_ps: u128,
    sum_squares_ps2: WideSum,
    /// The largest duration of all without observations.
    min: SimDuration,
    /// Zero without observations.
    max: SimDuration,
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

impl Tally {
    /// No observation yet.
    pub const fn new() -> Self {
        Self {
            count: 0,
            sum_ps: 0,
            sum_squares_ps2: WideSum { low: 0, high: 0 },
            min: SimDuration::from_ps(u64::MAX),
            max: SimDuration::ZERO,
        }
    }

    /// Adds one observation.
    pub fn record(&mut self, value: SimDuration) {
        self.record_n(value, 1);
    }

    /// Adds `n` equal observations.
    #[inline]
    pub fn record_n(&mut self, value: SimDuration, n: u64) {
        if n == 0 {
            return;
        }
        self.count += n;
        let sum = u128::from(value.as_ps()) * u128::from(n);
        self.sum_ps += sum;
        match u64::try_from(sum) {
            Ok(sum) => self.sum_squares_ps2.add(u128::from(sum) * u128::from(value.as_ps())),
            Err(_) => self.sum_squares_ps2.add_product(u128::from(value.as_ps()).pow(2), n),
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds every value of a progression `n` times: the same as one by one, to the bit.
    pub fn record_progression(&mut self, values: &Progression, n: u64) {
        let Some(last) = values.count.checked_sub(1).filter(|_| n > 0) else { return };
        let last = values.value(last);
        self.count += values.count * n;
        self.sum_ps += values.sum_of_first(values.count) * u128::from(n);
        let (first, growth) = (values.first.as_ps(), values.growth.as_ps());
        // (first + i growth)^2, summed over i. Below 2^47 ps, two minutes, a sum of so many fits in 128 bits.
        if last.as_ps() < 1 << 47 && values.count < 1 << 16 && n < 1 << 16 && growth < 1 << 31 {
            let (indices, squares) =
                (sum_of_indices(values.count) as u64, sum_of_squares(values.count) as u64);
            let sum = product(first, first) * u128::from(values.count)
                + product(2 * first, growth) * u128::from(indices)
                + product(growth * growth, squares);
            self.sum_squares_ps2.add(sum * u128::from(n));
        } else {
            let (k, first, growth) = (u128::from(values.count), u128::from(first), u128::from(growth));
            self.sum_squares_ps2.add_product(k * first * first, n);
            self.sum_squares_ps2.add_product(2 * first * growth * sum_of_indices(values.count), n);
            self.sum_squares_ps2.add_product(growth * growth * sum_of_squares(values.count), n);
        }
        self.min = self.min.min(values.first);
        self.max = self.max.max(last);
    }

    /// Number of observations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the observations in picoseconds.
    pub fn sum_ps(&self) -> u128 {
        self.sum_ps
    }

    /// Sum of the squares of the observations in square picoseconds, rounded.
    pub fn sum_squares_ps2(&self) -> f64 {
        self.sum_squares_ps2.as_f64()
    }

    /// Mean in seconds; `None` without observations.
    pub fn mean_secs(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_ps as f64 / 1e12 / self.count as f64)
    }

    /// Population standard deviation in seconds; `None` without observations.
    pub fn std_dev_secs(&self) -> Option<f64> {
        let mean = self.mean_secs()?;
        let mean_square = self.sum_squares_ps2.as_f64() / 1e24 / self.count as f64;
        // Rounding of nearly equal observations can fall a hair below zero.
        let variance = mean_square - mean * mean;
        Some(if variance > 0.0 { variance.sqrt() } else { 0.0 })
    }

    /// Smallest observation.
    pub fn min(&self) -> Option<SimDuration> {
        (self.count > 0).then_some(self.min)
    }

    /// Largest observation.
    pub fn max(&self) -> Option<SimDuration> {
        (self.count > 0).then_some(self.max)
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
    #[inline]
    pub fn set(&mut self, now: SimTime, value: u64) {
        if value == self.value {
            return;
        }
        self.advance(now);
        self.value = value;
        self.max = self.max.max(value);
    }

    /// Adds the area since the last change, up to `now`.
    #[inline]
    fn advance(&mut self, now: SimTime) {
        self.integral += u128::from((now - self.last_change).as_ps()) * u128::from(self.value);
        self.last_change = now;
    }

    /// The value now.
    #[inline]
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn progressions_add_up(first in 0_u64..1 << 52, growth in 0_u64..1 << 30, count in 0_u64..300, n in 0_u64..50) {
            let values = Progression { first: SimDuration::from_ps(first), growth: SimDuration::from_ps(growth), count };
            let (mut at_once, mut one_by_one) = (Tally::new(), Tally::new());
            at_once.record_progression(&values, n);
            for i in 0..count {
                one_by_one.record_n(values.value(i), n);
            }
            prop_assert_eq!(at_once, one_by_one);
        }

        #[test]
        fn ramps_add_up(first in 0_u64..1 << 40, growth in 0_u64..1 << 20, count in 0_u64..300, value in 0_u64..1 << 20, by in 0_u64..50) {
            let gaps = Progression { first: SimDuration::from_ps(first), growth: SimDuration::from_ps(growth), count };
            let mut one_by_one = TimeWeighted::new(SimTime::ZERO, value);
            let mut now = SimTime::ZERO;
            for i in 0..count {
                now = now + gaps.value(i);
                one_by_one.set(now, one_by_one.value() + by);
            }
            prop_assert_eq!(gaps.area_under_ramp(value, by), one_by_one.integral(now));
        }

        #[test]
        fn the_longest_sum_below_a_total_is_found(
            first in 0_u64..1 << 40, growth in 0_u64..1 << 30, limit in 0_u64..3_000, target in 0_u64..3_100, slack in -1_i64..2,
        ) {
            let values = Progression { first: SimDuration::from_ps(first), growth: SimDuration::from_ps(growth), count: 0 };
            let total = (values.sum_of_first(target) as u64).saturating_add_signed(slack);
            let n = values.count_below(total, limit);
            prop_assert!(n <= limit);
            prop_assert!(n == 0 || values.sum_of_first(n) < u128::from(total));
            prop_assert!(n == limit || values.sum_of_first(n + 1) >= u128::from(total));
        }
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
