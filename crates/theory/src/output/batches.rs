//! Adjacent batches of the observations of one run: what the intervals of a run are made of.

use super::histogram::Histogram;

/// The least number of batches for an interval.
pub(super) const FEWEST_BATCHES: usize = 64;
/// Batches are paired when there are so many.
pub(super) const MOST_BATCHES: usize = 2 * FEWEST_BATCHES;

/// One batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Batch {
    pub(super) count: u64,
    pub(super) sum: u128,
    /// Sum of squares about [`Batches::origin`].
    pub(super) squares: f64,
    pub(super) histogram: Histogram,
}

impl Batch {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.histogram.add(&other.histogram);
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum as f64 / self.count as f64
    }
}

/// Batches of a run, in order; 128 at most. None is empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Batches {
    all: Vec<Batch>,
    /// Squares are taken about this, so that nearly equal observations keep their variance.
    pub(super) origin: f64,
}

impl Batches {
    /// Adds the next batch; says whether batches were paired to make room.
    pub(super) fn push(&mut self, batch: Batch) -> bool {
        if batch.count > 0 {
            self.all.push(batch);
        }
        let full = self.all.len() == MOST_BATCHES;
        if full {
            let mut pairs = std::mem::take(&mut self.all).into_iter();
            while let Some((mut first, second)) = pairs.next().zip(pairs.next()) {
                first.add(&second);
                self.all.push(first);
            }
        }
        full
    }

    pub(super) fn as_slice(&self) -> &[Batch] {
        &self.all
    }

    pub(super) fn count(&self) -> u64 {
        self.all.iter().map(|batch| batch.count).sum()
    }

    pub(super) fn means(&self) -> Vec<f64> {
        self.all.iter().map(Batch::mean).collect()
    }

    /// Variance of one observation, over the batches from number `cut` on.
    pub(super) fn variance(&self, cut: usize) -> f64 {
        let kept = &self.all[cut..];
        let n = kept.iter().map(|batch| batch.count).sum::<u64>() as f64;
        let offset = kept.iter().map(|batch| batch.sum as f64).sum::<f64>() / n - self.origin;
        kept.iter().map(|batch| batch.squares).sum::<f64>() / n - offset * offset
    }
}

/// Ratios of sums over groups of unequal sizes, as values whose mean is the ratio over all groups and whose spread is that
/// of the ratio (Law & Kelton, section 9.5.3, on regenerative cycles): r + (part - r * size) / mean size. For groups of equal
/// size they are the groups' own ratios.
pub(super) fn ratio_values(groups: &[(f64, f64)]) -> Vec<f64> {
    let (parts, sizes) =
        groups.iter().fold((0.0, 0.0), |(parts, sizes), (part, size)| (parts + part, sizes + size));
    let (ratio, mean_size) = (parts / sizes, sizes / groups.len() as f64);
    groups.iter().map(|(part, size)| ratio + (part - ratio * size) / mean_size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_of_unequal_groups_average_to_the_ratio_of_sums() {
        let values = ratio_values(&[(10.0, 5.0), (30.0, 5.0), (2.0, 10.0)]);
        assert!((values.iter().sum::<f64>() / 3.0 - 42.0 / 20.0).abs() < 1e-12);
        let equal = ratio_values(&[(10.0, 4.0), (30.0, 4.0)]);
        assert!((equal[0] - 2.5).abs() < 1e-12 && (equal[1] - 7.5).abs() < 1e-12);
    }
}
