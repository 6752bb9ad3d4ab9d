//! Blocks that decoding sequences take in a run of steps, in closed form.

/// Blocks taken in a run of steps. A sequence needs one whenever its tokens fill whole blocks, so the needs of one block
/// size of steps repeat.
#[derive(Debug, Clone, Copy)]
pub struct NewBlocks<'a> {
    /// Sequences that need a block, by step of a round.
    by_step: &'a [u32],
    /// How many are taken.
    pub count: u64,
    /// Sum over them of the number, from 1, of the result at which each was taken.
    pub sum_of_results: u64,
    /// Sum over them of n (n - 1) / 2 for that number n.
    pub sum_of_pairs: u64,
}

/// The last, unfinished round of a run of batches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unfinished {
    /// Fewer than a round has.
    pub batches: u32,
    pub blocks: Moments,
}

impl<'a> NewBlocks<'a> {
    /// What is taken in so many steps, few enough for the sums to fit, by what is taken in each step of a round.
    pub(crate) fn new(by_step: &'a [u32], steps: u64) -> Self {
        Self::of_rounds(by_step, Moments::of_first(by_step.len() as u32, by_step), steps).0
    }

    /// The same, where what a round takes is known; and the part of the last round.
    #[inline]
    pub(crate) fn of_rounds(by_step: &'a [u32], round: Moments, steps: u64) -> (Self, Unfinished) {
        // Division of 32 bits is faster, and enough for the length of a run.
        let (block_size, steps) = (by_step.len() as u32, steps as u32);
        let (rounds, rest) = (i64::from(steps / block_size), steps % block_size);
        let block_size = i64::from(block_size);
        let blocks = Moments::of_first(rest, by_step);
        let all = round.repeated(rounds, block_size).plus(blocks.later(rounds * block_size));
        let new = Self {
            by_step,
            count: all.count as u64,
            sum_of_results: all.first as u64,
            // 1 + ... + (n - 1) is n less than 1 + ... + n.
            sum_of_pairs: (all.triangles - all.first) as u64,
        };
        (new, Unfinished { batches: rest, blocks })
    }

    /// What is taken in the first so many of these steps.
    pub(crate) fn in_first(self, steps: u64) -> Self {
        Self::new(self.by_step, steps)
    }

    /// Blocks taken at the result with this number, from 0.
    pub fn at(&self, step: u64) -> u32 {
        self.by_step[(step % self.by_step.len() as u64) as usize]
    }
}

/// Sums over blocks of 1, of n and of 1 + 2 + ... + n, where n is the number of the batch in which each is taken, the next
/// one being 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Moments {
    pub count: i64,
    pub first: i64,
    pub triangles: i64,
}

impl Moments {
    /// `blocks` of them in batch `n`.
    pub(crate) fn of(blocks: i64, n: i64) -> Self {
        Self { count: blocks, first: n * blocks, triangles: n * (n + 1) / 2 * blocks }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            first: self.first + other.first,
            triangles: self.triangles + other.triangles,
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            count: self.count - other.count,
            first: self.first - other.first,
            triangles: self.triangles - other.triangles,
        }
    }

    /// The same blocks, each so many batches later; earlier if negative.
    pub(crate) fn later(self, by: i64) -> Self {
        let Self { count, first, triangles } = self;
        Self {
            count,
            first: first + by * count,
            triangles: triangles + by * first + by * (by + 1) / 2 * count,
        }
    }

    /// What is taken in batches that follow each other, the first so many of these.
    #[inline]
    fn of_first(batches: u32, by_batch: &[u32]) -> Self {
        // How many nobody can predict, so this loop has always the same length. From the last batch to the first, all blocks so
        // far come one later each time: sums of sums need no products.
        let mut sums = Self::default();
        for (batch, &blocks) in by_batch.iter().enumerate().rev() {
            sums.count += i64::from(if (batch as u32) < batches { blocks } else { 0 });
            sums.first += sums.count;
            sums.triangles += sums.first;
        }
        sums
    }

    /// The same blocks in each of so many rounds.
    fn repeated(self, rounds: i64, block_size: i64) -> Self {
        let Self { count, first, triangles } = self;
        let sum_of_rounds = rounds * (rounds - 1) / 2;
        let squares_of_rounds = sum_of_rounds * (2 * rounds - 1) / 3;
        // (n + k s) (n + k s + 1) = n (n + 1) + 2 n k s + k s + (k s)^2, summed over rounds k.
        Self {
            count: rounds * count,
            first: rounds * first + block_size * sum_of_rounds * count,
            triangles: rounds * triangles
                + block_size * sum_of_rounds * first
                + block_size * (sum_of_rounds + block_size * squares_of_rounds) / 2 * count,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_of_a_run_add_up(by_step in prop::collection::vec(0_u32..50, 1..40), steps in 0_u64..500) {
            let new = NewBlocks::new(&by_step, steps);
            let sum = |weight: fn(u64) -> u64| (1..=steps).map(|n| u64::from(new.at(n - 1)) * weight(n)).sum::<u64>();
            prop_assert_eq!(new.count, sum(|_| 1));
            prop_assert_eq!(new.sum_of_results, sum(|n| n));
            prop_assert_eq!(new.sum_of_pairs, sum(|n| n * (n - 1) / 2));
        }
    }
}
