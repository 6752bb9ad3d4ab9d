//! Histograms with fixed bounds, as Prometheus keeps them.

use std::fmt::Write as _;

/// Observations by upper bound.
#[derive(Debug, Clone)]
pub(super) struct Buckets {
    bounds: Vec<f64>,
    /// One more than bounds: those above the last.
    counts: Vec<u64>,
    sum: f64,
}

impl Buckets {
    pub(super) fn new(bounds: &[f64]) -> Self {
        Self { bounds: bounds.to_vec(), counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// 1, 2, 5, 10, ... up to `most`: vLLM's `build_1_2_5_buckets`.
    pub(super) fn one_two_five(most: u32) -> Self {
        let bounds = (0..10_u32).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)));
        let bounds: Vec<f64> =
            bounds.take_while(|&bound| bound <= u64::from(most)).map(|bound| bound as f64).collect();
        Self::new(&bounds)
    }

    /// `n` observations of the same value.
    pub(super) fn observe(&mut self, value: f64, n: u64) {
        let place = self.bounds.partition_point(|&bound| bound < value);
        self.counts[place] += n;
        self.sum += value * n as f64;
    }

    /// The samples of this histogram: cumulative buckets, sum and count.
    pub(super) fn write(&self, text: &mut String, name: &str, labels: &str) {
        let mut total = 0;
        let bounds = self.bounds.iter().map(|&bound| number(bound)).chain(std::iter::once("+Inf".to_owned()));
        for (bound, count) in bounds.zip(&self.counts) {
            total += count;
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\",{labels}}} {}", number(total as f64));
        }
        let _ = writeln!(text, "{name}_count{{{labels}}} {}", number(total as f64));
        let _ = writeln!(text, "{name}_sum{{{labels}}} {}", number(self.sum));
    }
}

/// As Python writes a float: `1.0`, `0.25`.
pub(super) fn number(value: f64) -> String {
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_counts_cumulative() {
        let mut buckets = Buckets::new(&[1.0, 2.5]);
        for value in [0.5, 1.0, 2.0, 9.0] {
            buckets.observe(value, 1);
        }
        let mut text = String::new();
        buckets.write(&mut text, "x", "a=\"b\"");
        let expected = "x_bucket{le=\"1.0\",a=\"b\"} 2.0\nx_bucket{le=\"2.5\",a=\"b\"} 3.0\nx_bucket{le=\"+Inf\",a=\"b\"} 4.0\n\
                        x_count{a=\"b\"} 4.0\nx_sum{a=\"b\"} 12.5\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn token_bounds_end_at_the_longest() {
        assert_eq!(Buckets::one_two_five(100).bounds, [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
    }
}
