//! Counts of whole numbers in buckets whose width is at most 1/1024 of their values.
//!
//! The buckets are those of an HDR histogram with three significant figures (G. Tene, `HdrHistogram`): numbers below 2048
//! have one each, and every further power of two is divided into 1024. Ours, because recording is a tenth of a run's time
//! with the library's checks and running totals, which a run does not need.

/// Numbers from a power of two up to the next share this many buckets.
const BUCKETS_PER_DOUBLING: u64 = 1 << BITS;
const BITS: u32 = 10;
/// Buckets in a coarse one.
const COARSER: u64 = 8;

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

    /// Counts on a coarser grid, none of whose numbers is below `lowest`: of all below 1024; the smallest number of the
    /// first bucket above; and the counts of it and of those that follow, 128 to a power of two.
    pub(super) fn coarse(&self, lowest: u64) -> (u64, u64, impl Iterator<Item = u64> + '_) {
        let shift = u64::from(shift(lowest));
        let bucket = (shift * BUCKETS_PER_DOUBLING + (lowest >> shift)) / COARSER * COARSER;
        let (first, end) = (bucket.max(BUCKETS_PER_DOUBLING), self.counts.len());
        let below = &self.counts[(bucket as usize).min(end)..(first as usize).min(end)];
        let above = &self.counts[(first as usize).min(end)..];
        let shift = (first / BUCKETS_PER_DOUBLING).saturating_sub(1);
        let number = (first - shift * BUCKETS_PER_DOUBLING) << shift;
        (below.iter().sum(), number, above.chunks(COARSER as usize).map(|counts| counts.iter().sum()))
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
        fn coarse_counts_are_those_of_their_grid(values in prop::collection::vec(any_size(), 1..50)) {
            let mut histogram = Histogram::default();
            for &value in &values {
                histogram.record_n(value, 1);
            }
            let lowest = values.iter().copied().min().unwrap_or(0);
            let (below, first, counts) = histogram.coarse(lowest);
            let in_range = |low: u64, end: u128| {
                values.iter().filter(|&&value| value >= low && u128::from(value) < end).count() as u64
            };
            prop_assert_eq!(below, in_range(0, 1024));
            let mut low = u128::from(first);
            for count in counts {
                // The next multiple of 1/128 of the power of two below.
                let end = low + (1 << (low.ilog2() - 7));
                prop_assert_eq!(count, in_range(low as u64, end), "{}", low);
                low = end;
            }
            prop_assert_eq!(in_range(first, low) + below, values.len() as u64);
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
