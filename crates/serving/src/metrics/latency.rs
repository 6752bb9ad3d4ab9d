//! One latency: exact count, moments and extremes beside a histogram for quantiles.

use hdrhistogram::Histogram;
use kendall_des::{Progression, SimDuration, Tally};

use super::LatencySummary;

/// Largest relative error of a quantile.
pub const QUANTILE_RELATIVE_ERROR: f64 = 0.001;

/// Exact moments and a histogram of one latency.
#[derive(Debug, Clone)]
pub struct LatencyMetric {
    tally: Tally,
    /// In nanoseconds.
    histogram: Histogram<u64>,
}

impl Default for LatencyMetric {
    fn default() -> Self {
        let histogram = Histogram::new(3).expect("three significant figures are allowed");
        Self { tally: Tally::new(), histogram }
    }
}

impl LatencyMetric {
    /// Adds `n` equal observations.
    pub fn record_n(&mut self, value: SimDuration, n: u64) {
        self.tally.record_n(value, n);
        let grown = self.histogram.record_n(value.as_ps() / 1_000, n);
        grown.expect("a histogram without bounds grows up to any value");
    }

    /// Adds every value of a progression `n` times.
    pub(super) fn record_progression(&mut self, values: &Progression, n: u64) {
        self.tally.record_progression(values, n);
        let mut i = 0;
        while i < values.count {
            let ns = values.value(i).as_ps() / 1_000;
            // All values up to the end of this bucket go into it together.
            let bucket_end_ps = (self.histogram.highest_equivalent(ns) + 1).saturating_mul(1_000);
            let in_bucket = match values.growth.as_ps() {
                0 => values.count - i,
                growth => (bucket_end_ps - values.value(i).as_ps()).div_ceil(growth).min(values.count - i),
            };
            let grown = self.histogram.record_n(ns, in_bucket * n);
            grown.expect("a histogram without bounds grows up to any value");
            i += in_bucket;
        }
    }

    /// Exact count, sum and extremes.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The `q`-quantile in milliseconds (0 <= q <= 1), interpolated linearly between order statistics; `None` without
    /// observations.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let (min, max) = (self.tally.min()?.as_millis_f64(), self.tally.max()?.as_millis_f64());
        let rank = q * (self.tally.count() - 1) as f64;
        let below = libm::floor(rank);
        let low = self.order_statistic_ms(below as u64);
        let value = if rank > below {
            low + (self.order_statistic_ms(below as u64 + 1) - low) * (rank - below)
        } else {
            low
        };
        Some(value.clamp(min, max))
    }

    /// The middle of the bucket of the observation with this rank, from 0.
    fn order_statistic_ms(&self, rank: u64) -> f64 {
        let mut seen = 0;
        for bucket in self.histogram.iter_recorded() {
            seen += bucket.count_since_last_iteration();
            if seen > rank {
                let highest = bucket.value_iterated_to();
                let lowest = self.histogram.lowest_equivalent(highest);
                return (lowest + (highest - lowest) / 2) as f64 / 1e6;
            }
        }
        self.histogram.max() as f64 / 1e6
    }

    pub(super) fn summary(&self) -> LatencySummary {
        let ms = |secs: Option<f64>| secs.map(|secs| secs * 1e3);
        LatencySummary {
            count: self.tally.count(),
            mean: ms(self.tally.mean_secs()),
            std: ms(self.tally.std_dev_secs()),
            min: self.tally.min().map(SimDuration::as_millis_f64),
            p50: self.quantile_ms(0.5),
            p90: self.quantile_ms(0.9),
            p95: self.quantile_ms(0.95),
            p99: self.quantile_ms(0.99),
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
