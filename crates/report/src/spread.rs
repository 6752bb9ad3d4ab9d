//! Histograms of latencies in a line each, for a terminal.

use std::fmt::Write as _;

use kendall_serving::LatencyMetric;

use crate::number::significant;
use crate::paint::{Screen, sparkline};

/// Most columns of a line: beyond it they show noise.
const MOST_COLUMNS: usize = 48;
const FEWEST_COLUMNS: usize = 10;
/// Characters of a line beside its columns.
const BESIDE: usize = 36;
/// Buckets of a metric to a power of two.
const BUCKETS_PER_DOUBLING: i32 = 128;

/// How often a latency had which size.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    /// Sizes (ms) with their counts, in rising order.
    counts: Vec<(f64, u64)>,
    /// Smallest and largest size (ms).
    ends: (f64, f64),
}

impl Spread {
    /// The counts of a metric.
    pub fn of(metric: &LatencyMetric) -> Self {
        let Some((low, high)) = metric.tally().min().zip(metric.tally().max()) else {
            return Self::default();
        };
        let (below, first_ns, above) = metric.coarse_counts_ns();
        let mut counts = Vec::new();
        if below > 0 {
            // All below 1024 ns: no latency of a server tells them apart.
            counts.push((0.001, below));
        }
        let ratio = |bucket: i32| libm::exp2(f64::from(bucket) / f64::from(BUCKETS_PER_DOUBLING));
        let above = (0..).zip(above).filter(|&(_, count)| count > 0);
        counts.extend(above.map(|(bucket, count)| (first_ns as f64 * ratio(bucket) / 1e6, count)));
        Self { counts, ends: (low.as_millis_f64(), high.as_millis_f64()) }
    }

    /// Counts in columns between the smallest and the largest size, of equal ratios; `None` without counts.
    fn columns(&self, columns: usize) -> Option<Vec<u64>> {
        let ((low, _), (high, _)) = (self.counts.first()?, self.counts.last()?);
        let mut sums = vec![0; columns];
        for (size, count) in &self.counts {
            let place = if high > low { libm::log(size / low) / libm::log(high / low) } else { 0.0 };
            sums[((place * columns as f64) as usize).min(columns - 1)] += count;
        }
        Some(sums)
    }
}

/// A line for each latency, with its smallest and largest size; empty without any.
pub(crate) fn lines(named: &[(&str, &Spread)], screen: Screen) -> String {
    let columns = screen.width.saturating_sub(BESIDE).clamp(FEWEST_COLUMNS, MOST_COLUMNS);
    let mut text = String::new();
    for (name, spread) in named {
        if let Some(counts) = spread.columns(columns) {
            let (low, high) = (significant(Some(spread.ends.0)), significant(Some(spread.ends.1)));
            let _ =
                writeln!(text, " {:<5} {low:>8} ms \u{2595}{}\u{258f} {high} ms", name, sparkline(&counts));
        }
    }
    if text.is_empty() { text } else { format!("spread, in columns of equal ratios\n{text}\n") }
}

#[cfg(test)]
mod tests {
    use kendall_des::SimDuration;

    use super::*;

    fn spread(ms: &[(u64, u64)]) -> Spread {
        let mut metric = LatencyMetric::default();
        for &(size, n) in ms {
            metric.record_n(SimDuration::from_millis(size), n);
        }
        Spread::of(&metric)
    }

    #[test]
    fn every_request_is_in_a_column() {
        let spread = spread(&[(10, 50), (20, 100), (40, 1)]);
        let columns = spread.columns(12).unwrap();
        assert!(
            (spread.ends.0 - 10.0).abs() < 1e-9 && (spread.ends.1 - 40.0).abs() < 1e-9,
            "{:?}",
            spread.ends
        );
        assert_eq!(columns.iter().sum::<u64>(), 151);
        assert_eq!((columns[0], columns[11]), (50, 1));
        assert!(columns[5..8].contains(&100), "the middle of equal ratios: {columns:?}");
        let text = lines(&[("TTFT", &spread)], Screen { width: 48, ..Screen::default() });
        assert!(text.contains("TTFT") && text.lines().all(|line| line.chars().count() <= 48), "{text}");
    }

    #[test]
    fn nothing_and_one_value_are_drawn_too() {
        assert_eq!(lines(&[("TTFT", &spread(&[]))], Screen::default()), "");
        assert_eq!(spread(&[(5, 3)]).columns(4).unwrap(), [3, 0, 0, 0]);
    }
}
