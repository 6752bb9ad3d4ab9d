//! Counts of whole numbers in buckets of bounded relative width: what a batch keeps of its distribution.
//!
//! The buckets are those of `hdrhistogram` (linear within an octave). They are here because a run keeps over a hundred of
//! these: only the buckets between the smallest and the largest value are stored, and two batches are merged by adding.

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
    /// The lowest and the highest bucket in use; the first above the second if there is none.
    used: (usize, usize),
}

const NOTHING: (usize, usize) = (usize::MAX, 0);

impl OpenHistogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], used: NOTHING }
    }

    pub(super) fn record(&mut self, value: u64, times: u64) {
        let bucket = bucket_of(value);
        self.counts[bucket] += times;
        self.used = (self.used.0.min(bucket), self.used.1.max(bucket));
    }

    /// Empties the table into a histogram.
    pub(super) fn take(&mut self) -> Histogram {
        let (first, last) = std::mem::replace(&mut self.used, NOTHING);
        if first > last {
            return Histogram::default();
        }
        let used = &mut self.counts[first..=last];
        let counts = used.to_vec();
        used.fill(0);
        Histogram { first, counts }
    }
}

/// Counts of the buckets from the first to the last one that holds anything: 8 bytes each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Histogram {
    /// Number of the first bucket.
    first: usize,
    counts: Vec<u64>,
}

impl Histogram {
    /// Of these values.
    pub(super) fn of(values: &[u64]) -> Self {
        let ends = values.iter().fold(None, |ends: Option<(u64, u64)>, &value| {
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let Some((low, high)) = ends else { return Self::default() };
        let first = bucket_of(low);
        let mut counts = vec![0; bucket_of(high) - first + 1];
        for &value in values {
            counts[bucket_of(value) - first] += 1;
        }
        Self { first, counts }
    }

    /// Of so many zeros, and so many values in each bucket from that of `first` on.
    pub(super) fn on_grid(zeros: u64, first: u64, in_order: impl Iterator<Item = u64>) -> Self {
        let start = bucket_of(first);
        let (first, mut counts) = if zeros > 0 { (0, vec![0; start]) } else { (start, Vec::new()) };
        if let Some(zero) = counts.first_mut() {
            *zero = zeros;
        }
        counts.extend(in_order);
        Self { first, counts }
    }

    /// What was counted since `earlier`, when this was a part of what it is now.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        let offset = earlier.first.saturating_sub(self.first).min(counts.len());
        for (count, before) in counts[offset..].iter_mut().zip(&earlier.counts) {
            *count -= before;
        }
        let Some(first) = counts.iter().position(|&count| count > 0) else { return Self::default() };
        counts.truncate(counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1));
        counts.drain(..first);
        counts.shrink_to_fit();
        Self { first: self.first + first, counts }
    }

    /// Adds the counts of another.
    pub(super) fn add(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            self.clone_from(other);
            return;
        }
        let first = self.first.min(other.first);
        let end = (self.first + self.counts.len()).max(other.first + other.counts.len());
        if first < self.first {
            self.counts.splice(0..0, std::iter::repeat_n(0, self.first - first));
            self.first = first;
        }
        self.counts.resize(end - first, 0);
        for (sum, count) in self.counts[other.first - first..].iter_mut().zip(&other.counts) {
            *sum += count;
        }
    }

    /// The counts of all.
    pub(super) fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for part in parts {
            sum.add(part);
        }
        sum
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many values lie in `bucket`.
    pub(super) fn count_in(&self, bucket: usize) -> u64 {
        bucket.checked_sub(self.first).and_then(|place| self.counts.get(place)).copied().unwrap_or(0)
    }

    /// How many values lie in `bucket` and above.
    pub(super) fn count_from(&self, bucket: usize) -> u64 {
        let skipped = bucket.saturating_sub(self.first).min(self.counts.len());
        self.counts[skipped..].iter().sum()
    }

    /// The first bucket up to which the share of values reaches `p`, with the counts below it and in it; `None` if empty.
    pub(super) fn bucket_at(&self, p: f64) -> Option<(usize, u64, u64)> {
        let wanted = p * self.count() as f64;
        let mut below = 0;
        for (bucket, &count) in (self.first..).zip(&self.counts) {
            if count > 0 && (below + count) as f64 >= wanted {
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
        let (low, high) = (lower_edge(bucket), lower_edge(bucket + 1));
        // A bucket of one whole number holds that number, not numbers up to the next.
        Some(if high - low <= 1.0 { low } else { low + within * (high - low) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one_by_one(values: &[u64]) -> Histogram {
        let mut open = OpenHistogram::new();
        for &value in values {
            open.record(value, 1);
        }
        open.take()
    }

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
            let (first, second, both) = (one_by_one(&a), one_by_one(&b), one_by_one(&[a.clone(), b.clone()].concat()));
            prop_assert_eq!(&Histogram::sum([&first, &second]), &both);
            prop_assert_eq!(&Histogram::sum([&second, &first]), &both);
            prop_assert_eq!(both.since(&first), second);
            prop_assert_eq!(both.since(&both), Histogram::default());
            prop_assert_eq!(Histogram::of(&a), first);
        }

        #[test]
        fn counts_on_the_grid_are_those_of_values(zeros in 0_u64..9, values in prop::collection::vec(1_000_u64..1 << 30, 1..99)) {
            let whole = one_by_one(&values);
            let low = values.iter().copied().min().unwrap_or(0);
            let mut all = values;
            all.extend((0..zeros).map(|_| 0));
            prop_assert_eq!(Histogram::on_grid(zeros, low, whole.counts.into_iter()), one_by_one(&all));
        }

        #[test]
        fn quantiles_are_within_a_bucket(values in prop::collection::vec(0_u64..1 << 40, 1..300), p in 0.0_f64..1.0) {
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let exact = sorted[((p * sorted.len() as f64).ceil() as usize).max(1) - 1] as f64;
            let quantile = one_by_one(&values).quantile(p).unwrap();
            prop_assert!((quantile - exact).abs() <= exact / 128.0 + 1e-9, "{quantile} {exact}");
        }
    }
}
