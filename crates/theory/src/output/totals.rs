//! One long run whose sums and histogram are kept elsewhere: batches are the differences between what they are at the ends
//! of batches. Nothing has to be done for the observations in between.

use super::batches::{Batch, Batches, FEWEST_BATCHES};
use super::histogram::Histogram;
use super::interval::Interval;
use super::no_interval::NoInterval;
use super::quantile_interval::QuantileInterval;

/// What has been observed of one quantity since the run began, in a unit of the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// Number of observations.
    pub count: u64,
    /// Their sum.
    pub sum: u128,
    /// The sum of their squares.
    pub sum_of_squares: f64,
}

/// How often each value has been seen since the run began, on a grid of 128 buckets to a power of two.
#[derive(Debug, Clone, Copy)]
pub struct GridCounts<I> {
    /// Values that are taken as 0.
    pub zeros: u64,
    /// The lower end of the first bucket: from 256 on, a power of two or a multiple of 1/128 of one.
    pub first: u64,
    /// The counts of that bucket and of those that follow.
    pub in_order: I,
}

impl<I: Iterator<Item = u64>> GridCounts<I> {
    fn histogram(self) -> Histogram {
        Histogram::on_grid(self.zeros, self.first, self.in_order)
    }
}

/// The percentiles that [`RunIntervals`] has.
pub const PERCENTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// Intervals of one quantity of a run, or why there are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunIntervals {
    /// Observations left out as warm-up.
    pub warm_up: Result<u64, NoInterval>,
    /// Of the mean.
    pub mean: Result<Interval, NoInterval>,
    /// Of [`PERCENTILES`].
    pub percentiles: [Result<QuantileInterval, NoInterval>; 4],
}

/// Batches of one quantity of a run, whose intervals follow the rules of [`BatchAccumulator`](super::BatchAccumulator).
///
/// Batches may hold unequal numbers of observations: means and shares are then those of sums over the run, with the
/// spread of such ratios.
#[derive(Debug, Clone, Default)]
pub struct RunBatches {
    batches: Batches,
    totals: Totals,
    histogram: Histogram,
}

impl RunBatches {
    /// The first observations of a run, in order, as 64 to 127 batches (fewer if there are fewer), the rest left out.
    pub fn of_values(values: &[u64]) -> Self {
        let mut batch_size = 1;
        while values.len() / batch_size >= 2 * FEWEST_BATCHES {
            batch_size *= 2;
        }
        let mut run = Self::default();
        for values in values.chunks_exact(batch_size) {
            let sum = values.iter().map(|&value| u128::from(value)).sum();
            let squares = values.iter().map(|&value| value as f64 * value as f64).sum();
            run.batches.push(Batch {
                count: batch_size as u64,
                sum,
                squares,
                histogram: Histogram::of(values),
            });
        }
        run
    }

    /// The next batch begins here: what `totals` holds and was not given before is left out.
    pub fn begin(&mut self, totals: Totals, counts: GridCounts<impl Iterator<Item = u64>>) {
        (self.totals, self.histogram) = (totals, counts.histogram());
    }

    /// A batch ends here. Says whether batches were paired to make room: from then on they should be twice as long.
    pub fn close(&mut self, totals: Totals, counts: GridCounts<impl Iterator<Item = u64>>) -> bool {
        let (before, earlier) = (self.totals, std::mem::take(&mut self.histogram));
        self.begin(totals, counts);
        self.batches.push(Batch {
            count: totals.count - before.count,
            sum: totals.sum - before.sum,
            squares: totals.sum_of_squares - before.sum_of_squares,
            histogram: self.histogram.since(&earlier),
        })
    }

    /// The intervals, in units of `unit` of the observations' own: 1e6 for milliseconds from nanoseconds.
    pub fn intervals(&self, confidence: f64, unit: f64) -> RunIntervals {
        let mean = self.batches.mean_interval(confidence).map(|interval| Interval {
            mean: interval.mean / unit,
            half_width: interval.half_width / unit,
            ..interval
        });
        let quantiles = self.batches.quantile_intervals(PERCENTILES, confidence);
        let percentiles = quantiles.unwrap_or_else(|reason| [Err(reason); 4]).map(|interval| {
            interval.map(|interval| QuantileInterval {
                estimate: interval.estimate / unit,
                low: interval.low / unit,
                high: interval.high / unit,
                ..interval
            })
        });
        RunIntervals { warm_up: self.batches.warm_up(), mean, percentiles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::BatchAccumulator;

    /// A stream that is told of totals at the ends of batches knows what one that is told of every value knows.
    #[test]
    fn differences_of_totals_are_batches() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            1_024 + (state >> 33) % 4_096 / 64 * 64
        };
        let values: Vec<u64> = (0..50_000).map(|_| next()).collect();
        let mut one_by_one = BatchAccumulator::new();
        for &value in &values {
            one_by_one.record(value);
        }
        let begun = 16_384;
        let mut run = RunBatches::of_values(&values[..begun]);
        // From 1,024 to 5,119: buckets of 8, 16 and 32, of which only multiples of 64 are used.
        let edges: Vec<u64> = (1_024..2_048)
            .step_by(8)
            .chain((2_048..4_096).step_by(16))
            .chain((4_096..5_120).step_by(32))
            .collect();
        let mut counts = vec![0_u64; edges.len()];
        let (mut totals, mut every, mut next_end) = (Totals::default(), 256, begun + 256);
        for (i, &value) in values.iter().enumerate() {
            counts[edges.partition_point(|&edge| edge <= value) - 1] += 1;
            totals.count += 1;
            totals.sum += u128::from(value);
            totals.sum_of_squares += (value * value) as f64;
            let so_far = || GridCounts { zeros: 0, first: 1_024, in_order: counts.iter().copied() };
            if i + 1 == begun {
                run.begin(totals, so_far());
            } else if i + 1 == next_end {
                if run.close(totals, so_far()) {
                    every *= 2;
                }
                next_end += every;
            }
        }
        let intervals = run.intervals(0.95, 2.0);
        let (a, b) = (intervals.mean.unwrap(), one_by_one.mean_interval(0.95).unwrap());
        assert_eq!((a.replications, intervals.warm_up), (b.replications, Ok(512)));
        assert!((2.0 * a.mean / b.mean - 1.0).abs() < 1e-12);
        assert!((2.0 * a.half_width / b.half_width - 1.0).abs() < 1e-6);
        for (p, quantile) in PERCENTILES.into_iter().zip(intervals.percentiles) {
            let (quantile, expected) = (quantile.unwrap(), one_by_one.quantile_interval(p, 0.95).unwrap());
            assert!((2.0 * quantile.low / expected.low - 1.0).abs() < 1e-9, "{quantile:?} {expected:?}");
            assert!((2.0 * quantile.high / expected.high - 1.0).abs() < 1e-9, "{quantile:?} {expected:?}");
        }
    }

    #[test]
    fn few_values_give_no_interval() {
        let short = RunBatches::of_values(&[5; 63]).intervals(0.95, 1.0);
        assert!(matches!(short.mean, Err(NoInterval::FewObservations { observations: 63, .. })));
        assert!(short.percentiles.iter().all(Result::is_err) && short.warm_up.is_err());
        assert!(RunBatches::default().intervals(0.95, 1.0).mean.is_err());
    }
}
