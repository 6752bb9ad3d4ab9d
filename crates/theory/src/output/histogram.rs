//! Counts of whole numbers in buckets of bounded relative width: what a batch keeps of its distribution.
//!
//! The buckets are those of `hdrhistogram` (linear within an octave). They are here because a closed batch is kept as a
//! short sorted list, not as a table over all values, and the lists of two batches must merge.

/// Buckets in an octave, as a power of two: a bucket is at most 2^-7 = 0.8 % of its value wide.
const BITS: u32 = 7;
/// Number of buckets for all values of 64 bits.
const BUCKETS: usize = ((64 - BITS as usize - 1) << BITS) + (2 << BITS);

/// Values below 2^8 have a bucket each.
fn bucket_of(value: u64) -> usize {
    let octave = (value | 1).ilog2();
    let shift = octave.saturating_sub(BITS);
    ((shift as usize) << BITS) + (value >> shift) as usize
}

/// The smallest value in a bucket.
fn lower_edge(bucket: usize) -> f64 {
    if bucket < 2 << BITS {
        return bucket as f64;
    }
    let shift = (bucket >> BITS) - 1;
    let mantissa = (bucket & ((1 << BITS) - 1)) + (1 << BITS);
    // Exact: eight significant bits.
    (mantissa as u64) as f64 * (1_u64 << shift) as f64
}

/// The batch that is being filled: a table over all buckets, 59 kB.
#[derive(Debug, Clone)]
pub(super) struct OpenHistogram {
    counts: Vec<u64>,
    /// The buckets in use, in order of first use.
    used: Vec<u32>,
}

impl OpenHistogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], used: Vec::new() }
    }

    pub(super) fn record(&mut self, value: u64, times: u64) {
        let bucket = bucket_of(value);
        if self.counts[bucket] == 0 {
            self.used.push(bucket as u32);
        }
        self.counts[bucket] += times;
    }

    /// Empties the table into a list.
    pub(super) fn take(&mut self) -> Histogram {
        self.used.sort_unstable();
        let count = |bucket: u32| (bucket, std::mem::take(&mut self.counts[bucket as usize]));
        Histogram(self.used.drain(..).map(count).collect())
    }
}

/// Counts of the buckets that hold anything, in ascending order: 16 bytes each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Histogram(Vec<(u32, u64)>);

impl Histogram {
    /// The counts of both.
    pub(super) fn merged(&self, other: &Self) -> Self {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut sum: Vec<(u32, u64)> = Vec::with_capacity(self.0.len() + other.0.len());
        while let Some(&(bucket, count)) = match (left.peek(), right.peek()) {
            (Some(l), Some(r)) if l.0 <= r.0 => left.next(),
            (Some(_), None) => left.next(),
            _ => right.next(),
        } {
            match sum.last_mut() {
                Some(last) if last.0 == bucket => last.1 += count,
                _ => sum.push((bucket, count)),
            }
        }
        sum.shrink_to_fit();
        Self(sum)
    }

    /// The counts of all, merged in pairs so that no list is copied more than log2 times.
    pub(super) fn sum(parts: &[&Self]) -> Self {
        match parts {
            [] => Self::default(),
            [one] => (*one).clone(),
            _ => {
                let (left, right) = parts.split_at(parts.len() / 2);
                Self::sum(left).merged(&Self::sum(right))
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|&(_, count)| count).sum()
    }

    /// How many values lie in `bucket` and above.
    pub(super) fn count_from(&self, bucket: u32) -> u64 {
        self.0.iter().rev().take_while(|&&(b, _)| b >= bucket).map(|&(_, count)| count).sum()
    }

    /// The first bucket up to which the share of values reaches `p`, with the counts below it and in it; `None` if empty.
    pub(super) fn bucket_at(&self, p: f64) -> Option<(u32, u64, u64)> {
        let wanted = p * self.count() as f64;
        let mut below = 0;
        for &(bucket, count) in &self.0 {
            if (below + count) as f64 >= wanted {
                return Some((bucket, below, count));
            }
            below += count;
        }
        None
    }

    /// The `p` quantile, spread evenly within its bucket; off by at most the width of the bucket, 0.8 %.
    pub(super) fn quantile(&self, p: f64) -> Option<f64> {
        let (bucket, below, count) = self.bucket_at(p)?;
        let within = (p * self.count() as f64 - below as f64) / count as f64;
        let (low, high) = (lower_edge(bucket as usize), lower_edge(bucket as usize + 1));
        // A bucket of one whole number holds that number, not numbers up to the next.
        Some(if high - low <= 1.0 { low } else { low + within * (high - low) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_adjoin_and_reach_the_largest_number() {
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        for bucket in 0..BUCKETS - 1 {
            let edge = lower_edge(bucket + 1) as u64;
            assert_eq!((bucket_of(edge - 1), bucket_of(edge)), (bucket, bucket + 1));
            let width = lower_edge(bucket + 1) - lower_edge(bucket);
            assert!(width <= 1.0 || width <= lower_edge(bucket) / 128.0);
        }
    }

    proptest! {
        #[test]
        fn merging_is_recording_together(a in prop::collection::vec(any::<u64>(), 0..200),
                                         b in prop::collection::vec(0_u64..2000, 0..200)) {
            let mut open = OpenHistogram::new();
            let mut of = |values: &[u64]| {
                for &value in values {
                    open.record(value, 1);
                }
                open.take()
            };
            let (first, second) = (of(&a), of(&b));
            let both = of(&[a.clone(), b.clone()].concat());
            prop_assert_eq!(first.merged(&second), both.clone());
            prop_assert_eq!(second.merged(&first), both);
        }

        #[test]
        fn quantiles_are_within_a_bucket(values in prop::collection::vec(0_u64..1 << 40, 1..300), p in 0.0_f64..1.0) {
            let mut open = OpenHistogram::new();
            for &value in &values {
                open.record(value, 1);
            }
            let mut sorted = values;
            sorted.sort_unstable();
            let exact = sorted[((p * sorted.len() as f64).ceil() as usize).max(1) - 1] as f64;
            let quantile = open.take().quantile(p).unwrap();
            prop_assert!((quantile - exact).abs() <= exact / 128.0 + 1e-9, "{quantile} {exact}");
        }
    }
}
