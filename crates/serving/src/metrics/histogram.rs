//! Counts of whole numbers in buckets whose width is at most 1/1024 of their values.
//!
//! The buckets are those of an HDR histogram with three significant figures (G. Tene, `HdrHistogram`): numbers below 2048
//! have one each, and every further power of two is divided into 1024. Ours, because recording is a tenth of a run's time
//! with the library's checks and running totals, which a run does not need.

/// Numbers from a power of two up to the next share this many buckets.
const BUCKETS_PER_DOUBLING: u64 = 1 << BITS;
const BITS: u32 = 10;

/// Counts by bucket, as many buckets as the largest number needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
}

/// By how many bits numbers of this size are shifted to leave eleven.
fn shift(value: u64) -> u32 {
    (u64::BITS - BITS - 1).saturating_sub(value.leading_zeros())
}

impl Histogram {
    /// Counts `value` `n` times.
    #[inline]
    pub(super) fn record_n(&mut self, value: u64, n: u64) {
        let shift = shift(value);
        let bucket = (u64::from(shift) * BUCKETS_PER_DOUBLING + (value >> shift)) as usize;
        match self.counts.get_mut(bucket) {
            Some(count) => *count += n,
            None => self.open(bucket, n),
        }
    }

    /// The first count of a bucket beyond all others.
    #[cold]
    #[inline(never)]
    fn open(&mut self, bucket: usize, n: u64) {
        self.counts.resize(bucket + 1, 0);
        self.counts[bucket] = n;
    }

    /// The largest number in the bucket of `value`.
    pub(super) fn highest_equivalent(value: u64) -> u64 {
        value | ((1 << shift(value)) - 1)
    }

    /// Buckets with something in them: smallest number, largest number and count, in rising order.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        let counted = (0..).zip(&self.counts).filter(|&(_, &count)| count > 0);
        counted.map(|(bucket, &count)| {
            let shift = (bucket / BUCKETS_PER_DOUBLING).saturating_sub(1);
            let lowest = (bucket - shift * BUCKETS_PER_DOUBLING) << shift;
            (lowest, lowest | ((1 << shift) - 1), count)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_size() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0_u32..64).prop_map(|(value, shift)| value >> shift)
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_number_and_is_narrow(value in any_size(), n in 1_u64..9) {
            let mut histogram = Histogram::default();
            histogram.record_n(value, n);
            let buckets: Vec<_> = histogram.buckets().collect();
            let [(lowest, highest, count)] = buckets[..] else { panic!("{buckets:?}") };
            prop_assert!(lowest <= value && value <= highest && count == n);
            prop_assert_eq!(highest, Histogram::highest_equivalent(value));
            prop_assert!((highest - lowest) * BUCKETS_PER_DOUBLING <= lowest);
        }

        #[test]
        fn buckets_come_in_order_and_do_not_overlap(values in prop::collection::vec(0_u64..1 << 40, 1..50)) {
            let mut histogram = Histogram::default();
            for &value in &values {
                histogram.record_n(value, 1);
            }
            let buckets: Vec<_> = histogram.buckets().collect();
            prop_assert!(buckets.windows(2).all(|pair| pair[0].1 < pair[1].0));
            prop_assert_eq!(buckets.iter().map(|bucket| bucket.2).sum::<u64>(), values.len() as u64);
        }
    }
}
