//! Does the queue grow? The mean wait over time, in few numbers however long the run is.

use kendall_serving::{RequestRecord, RequestStatus};

/// Most batches; when they are full, neighbours are joined.
const MAX_BATCHES: usize = 128;

/// Fewest batches that say anything.
const MIN_BATCHES: usize = 16;

/// A queue at exactly the capacity grows with the square root of time; from empty, the means of two halves of what is left
/// after the first quarter differ by 0.31 of their mean. One that grows in proportion to time has 0.60.
pub(crate) const CRITICAL_GROWTH: f64 = 0.31;

/// Batches of equal numbers of requests in the order in which they left: the time to the first token, or, of a request
/// that never got one, its time in the system.
#[derive(Debug, Clone)]
pub(crate) struct Trend {
    batches: Vec<f64>,
    /// Requests of a batch.
    size: u64,
    /// Of the batch that is being filled.
    count: u64,
    sum_s: f64,
}

impl Trend {
    pub(crate) fn new() -> Self {
        Self { batches: Vec::with_capacity(MAX_BATCHES), size: 1, count: 0, sum_s: 0.0 }
    }

    pub(crate) fn departed(&mut self, record: &RequestRecord) {
        if record.status == RequestStatus::Rejected {
            return;
        }
        let wait = record.ttft().unwrap_or(record.finish - record.arrival);
        self.add(wait.as_secs_f64());
    }

    fn add(&mut self, wait_s: f64) {
        self.sum_s += wait_s;
        self.count += 1;
        if self.count < self.size {
            return;
        }
        self.batches.push(self.sum_s / self.size as f64);
        (self.count, self.sum_s) = (0, 0.0);
        if self.batches.len() == MAX_BATCHES {
            self.batches = self.batches.chunks_exact(2).map(|pair| f64::midpoint(pair[0], pair[1])).collect();
            self.size *= 2;
        }
    }

    /// Difference of the means of the two halves of what is left after the first quarter, over their mean; `None` of a
    /// run too short to say.
    pub(crate) fn growth(&self) -> Option<f64> {
        let kept = &self.batches[self.batches.len() / 4..];
        if self.batches.len() < MIN_BATCHES {
            return None;
        }
        let (first, second) = kept.split_at(kept.len() / 2);
        let mean = |batches: &[f64]| batches.iter().sum::<f64>() / batches.len() as f64;
        let (first, second) = (mean(first), mean(second));
        let whole = f64::midpoint(first, second);
        Some(if whole > 0.0 { (second - first) / whole } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(n: u64, wait: fn(f64) -> f64) -> f64 {
        let mut trend = Trend::new();
        for i in 0..n {
            trend.add(wait((i as f64 + 0.5) / n as f64));
        }
        trend.growth().expect("long enough")
    }

    #[test]
    fn a_level_a_root_and_a_line_are_told_apart_at_any_length() {
        for n in [3_000, 100_000, 1_000_003] {
            assert!(growth(n, |_| 2.0).abs() < 1e-12);
            assert!((growth(n, f64::sqrt) - CRITICAL_GROWTH).abs() < 0.02, "{}", growth(n, f64::sqrt));
            assert!((growth(n, |t| t) - 0.6).abs() < 0.03);
        }
        assert_eq!(Trend::new().growth(), None);
    }
}
