//! One long run, observed value by value in bounded memory: batches whose size doubles as the run grows.

use super::batches::{Batch, Batches};
use super::histogram::OpenHistogram;
use super::wide_sum::WideSum;

/// Equal batches of consecutive observations of one run, each with its exact sum and its histogram.
///
/// Observations are whole numbers in a unit of the caller's, such as picoseconds. The batch size starts at 1 and
/// doubles whenever 128 batches are closed, so from 128 observations on there are 64 to 127.
///
/// Memory: a table of 59 kB, and 8 bytes for each bucket between the smallest and the largest value of each batch.
/// Latencies that spread over three decades have some 1,300 buckets: at most 1.3 MB in all, whatever the length of the
/// run. Means are exact; a quantile is off by at most 0.8 % (one bucket), usually far less.
#[derive(Debug, Clone)]
pub struct BatchAccumulator {
    closed: Batches,
    batch_size: u64,
    open: OpenHistogram,
    open_count: u64,
    open_sum: u128,
    open_squares: WideSum,
    /// The first observation.
    origin: Option<u64>,
}

impl Default for BatchAccumulator {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchAccumulator {
    /// No observation yet.
    pub fn new() -> Self {
        Self {
            closed: Batches::default(),
            batch_size: 1,
            open: OpenHistogram::new(),
            open_count: 0,
            open_sum: 0,
            open_squares: WideSum::default(),
            origin: None,
        }
    }

    /// Adds the next observation of the run.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Adds `times` equal observations, one after the other.
    pub fn record_n(&mut self, value: u64, mut times: u64) {
        if times == 0 {
            return;
        }
        let origin = *self.origin.get_or_insert(value);
        while times > 0 {
            let now = times.min(self.batch_size - self.open_count);
            self.open.record(value, now);
            self.open_sum += u128::from(value) * u128::from(now);
            self.open_squares.add_square(value.abs_diff(origin), now);
            self.open_count += now;
            times -= now;
            if self.open_count == self.batch_size {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let batch = Batch {
            count: self.open_count,
            sum: self.open_sum,
            squares: self.open_squares.as_f64(),
            histogram: self.open.take(),
        };
        (self.open_count, self.open_sum, self.open_squares) = (0, 0, WideSum::default());
        self.closed.origin = self.origin.map_or(0.0, |origin| origin as f64);
        if self.closed.push(batch) {
            self.batch_size *= 2;
        }
    }

    /// Observations so far.
    pub fn count(&self) -> u64 {
        self.closed.count() + self.open_count
    }

    /// Observations in each closed batch.
    pub fn batch_size(&self) -> u64 {
        self.batch_size
    }

    pub(super) fn batch_means(&self) -> Vec<f64> {
        self.closed.means()
    }

    /// The closed batches.
    pub(super) fn batches(&self) -> &Batches {
        &self.closed
    }
}
