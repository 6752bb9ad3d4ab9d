//! One latency: exact count, moments and extremes beside a histogram for quantiles.

use kendall_des::{Progression, SimDuration, Tally};

use super::LatencySummary;
use super::histogram::Histogram;

/// Largest relative error of a quantile.
pub const QUANTILE_RELATIVE_ERROR: f64 = 0.001;

/// Exact moments and a histogram of one latency.
#[derive(Debug, Clone, Default)]
pub struct LatencyMetric {
    tally: Tally,
    /// In nanoseconds.
    histogram: Histogram,
}

impl LatencyMetric {
    /// Adds `n` equal observations.
    #[inline]
    pub fn record_n(&mut self, value: SimDuration, n: u64) {
        self.tally.record_n(value, n);
        self.histogram.record_n(value.as_ps() / 1_000, n);
    }

    /// Adds every value of a progression `n` times.
    pub(super) fn record_progression(&mut self, values: &Progression, n: u64) {
        self.tally.record_progression(values, n);
        let last_ps = values.value(values.count.saturating_sub(1)).as_ps();
        let mut i = 0;
        while i < values.count {
            let ns = values.value(i).as_ps() / 1_000;
            // All values up to the end of this bucket go into it together.
            let bucket_end_ps = (Histogram::highest_equivalent(ns) + 1).saturating_mul(1_000);
            let in_bucket = if last_ps < bucket_end_ps {
                values.count - i
            } else {
                // It grows, or the last would be in this bucket.
                (bucket_end_ps - values.value(i).as_ps()).div_ceil(values.growth.as_ps())
            };
            self.histogram.record_n(ns, in_bucket * n);
            i += in_bucket;
        }
    }

    /// Exact count, sum and extremes.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Counts so far in nanoseconds, coarsely: of all below 1,024 ns; the lower end of the first bucket above, at a power of
    /// two or a multiple of 1/128 of it; and the counts of it and of those that follow, 128 to a power of two.
    pub fn coarse_counts_ns(&self) -> (u64, u64, impl Iterator<Item = u64> + '_) {
        let lowest = self.tally.min().map_or(0, |min| min.as_ps() / 1_000);
        self.histogram.coarse(lowest)
    }

    /// The `q`-quantile in milliseconds (0 <= q <= 1), interpolated linearly between order statistics; `None` without
    /// observations.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        self.quantiles_ms([q]).map(|[quantile]| quantile)
    }

    /// Several quantiles, as [`Self::quantile_ms`], in one pass over the histogram.
    pub fn quantiles_ms<const N: usize>(&self, qs: [f64; N]) -> Option<[f64; N]> {
        let (min, max) = (self.tally.min()?.as_millis_f64(), self.tally.max()?.as_millis_f64());
        let ranks = qs.map(|q| q * (self.tally.count() - 1) as f64);
        let needed = ranks.iter().flat_map(|&rank| [libm::floor(rank) as u64, libm::ceil(rank) as u64]);
        let values = self.order_statistics_ms(needed.collect());
        Some(std::array::from_fn(|i| {
            let (low, high) = (values[2 * i], values[2 * i + 1]);
            (low + (high - low) * (ranks[i] - libm::floor(ranks[i]))).clamp(min, max)
        }))
    }

    /// The middles of the buckets of the observations with these ranks, from 0, in one pass.
    fn order_statistics_ms(&self, ranks: Vec<u64>) -> Vec<f64> {
        let mut values = vec![0.0; ranks.len()];
        let mut rising: Vec<_> = ranks.into_iter().zip(&mut values).collect();
        rising.sort_by_key(|&(rank, _)| rank);
        let mut rising = rising.into_iter().peekable();
        let mut seen = 0;
        for (lowest, highest, count) in self.histogram.buckets() {
            seen += count;
            while let Some((_, value)) = rising.next_if(|&(rank, _)| rank < seen) {
                *value = (lowest + (highest - lowest) / 2) as f64 / 1e6;
            }
            if rising.peek().is_none() {
                break;
            }
        }
        values
    }

    pub(super) fn summary(&self) -> LatencySummary {
        let ms = |secs: Option<f64>| secs.map(|secs| secs * 1e3);
        let quantiles = self.quantiles_ms([0.5, 0.9, 0.95, 0.99]);
        let [p50, p90, p95, p99] = quantiles.map_or([None; 4], |quantiles| quantiles.map(Some));
        LatencySummary {
            count: self.tally.count(),
            mean: ms(self.tally.mean_secs()),
            std: ms(self.tally.std_dev_secs()),
            min: self.tally.min().map(SimDuration::as_millis_f64),
            p50,
            p90,
            p95,
            p99,
            max: self.tally.max().map(SimDuration::as_millis_f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of 1, 2, ..., 1000 ms as numpy's `percentile` gives them, within the stated error.
    #[test]
    fn quantiles_interpolate_between_order_statistics() {
        let mut metric = LatencyMetric::default();
        for ms in 1..=1_000 {
            metric.record_n(SimDuration::from_millis(ms), 1);
        }
        for (q, exact) in [(0.0, 1.0), (0.5, 500.5), (0.9, 900.1), (0.99, 990.01), (1.0, 1_000.0)] {
            let value = metric.quantile_ms(q).unwrap();
            assert!(
                (value / exact - 1.0).abs() <= QUANTILE_RELATIVE_ERROR,
                "q {q}: {value} instead of {exact}"
            );
        }
        assert_eq!(LatencyMetric::default().quantile_ms(0.5), None);
    }
}
