//! When the members of a cohort need blocks: a member needs one whenever its tokens fill whole ones, so in every batch of
//! one phase modulo the block size, and a run of batches takes a number of blocks that has a closed form.

use crate::new_blocks::{Moments, NewBlocks, Unfinished};

/// How many members need a block in which batch, by phase: in batch `b` those of phase `b` modulo the block size.
#[derive(Debug, Clone)]
pub(super) struct BlockNeeds {
    /// Twice the same, so that a round from any phase on is one piece.
    twice: Vec<u32>,
    block_size: u32,
    /// Phase of the next batch.
    phase: u32,
    /// What one round from the next batch on takes.
    round: Moments,
}

impl BlockNeeds {
    pub(super) fn new(block_size: u32) -> Self {
        Self { twice: vec![0; 2 * block_size as usize], block_size, phase: 0, round: Moments::default() }
    }

    pub(super) fn clear(&mut self) {
        self.twice.fill(0);
        self.round = Moments::default();
    }

    /// A member joins that first needs a block so many batches after the next one, fewer than a block has tokens. Returns
    /// its phase.
    pub(super) fn add(&mut self, batches: u32) -> u32 {
        let phase = self.wrapped(self.phase + batches);
        self.twice[phase as usize] += 1;
        self.twice[(phase + self.block_size) as usize] += 1;
        self.round = self.round.plus(Moments::of(1, i64::from(batches) + 1));
        phase
    }

    /// A member of this phase ends.
    pub(super) fn remove(&mut self, phase: u32) {
        self.twice[phase as usize] -= 1;
        self.twice[(phase + self.block_size) as usize] -= 1;
        let batches = self.wrapped(phase + self.block_size - self.phase);
        self.round = self.round.minus(Moments::of(1, i64::from(batches) + 1));
    }

    /// Blocks needed in the next batch.
    #[inline]
    pub(super) fn next(&self) -> u32 {
        self.twice[self.phase as usize]
    }

    /// What so many batches take, few enough for the sums to fit, and what [`Self::skip`] asks for.
    pub(super) fn run(&self, batches: u64) -> (NewBlocks<'_>, Unfinished) {
        let by_batch = &self.twice[self.phase as usize..][..self.block_size as usize];
        NewBlocks::of_rounds(by_batch, self.round, batches)
    }

    /// The batches of a run are over.
    pub(super) fn skip(&mut self, run: Unfinished) {
        let (batches, block_size) = (i64::from(run.batches), i64::from(self.block_size));
        // Those of the unfinished round come a round later.
        let due_again = run.blocks.later(block_size).minus(run.blocks);
        self.round = self.round.plus(due_again).later(-batches);
        self.phase = self.wrapped(self.phase + run.batches);
    }

    /// One batch is over.
    #[inline]
    pub(super) fn skip_one(&mut self) {
        // As `skip` of one batch, worked out.
        let (blocks, block_size) = (i64::from(self.next()), i64::from(self.block_size));
        let first = self.round.first + block_size * blocks;
        self.round.triangles += block_size * (block_size + 3) / 2 * blocks - first;
        self.round.first = first - self.round.count;
        self.phase = self.wrapped(self.phase + 1);
    }

    fn wrapped(&self, phase: u32) -> u32 {
        if phase < self.block_size { phase } else { phase - self.block_size }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Change {
        Join(u32),
        End(usize),
        Skip(u64),
        SkipOne,
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            3 => any::<u32>().prop_map(Change::Join),
            2 => any::<usize>().prop_map(Change::End),
            2 => (0_u64..500).prop_map(Change::Skip),
            2 => Just(Change::SkipOne),
        ]
    }

    proptest! {
        /// Members are kept by the number of the batch in which they need a block first.
        #[test]
        fn sums_are_those_of_the_members(
            block_size in 1_u32..40, changes in prop::collection::vec(change(), 0..60), batches in 0_u64..500,
        ) {
            let mut needs = BlockNeeds::new(block_size);
            let (mut members, mut next) = (Vec::new(), 0);
            for change in changes {
                match change {
                    Change::Join(after) => {
                        let after = after % block_size;
                        members.push((next + u64::from(after), needs.add(after)));
                    }
                    Change::End(which) if !members.is_empty() => {
                        let (_, phase) = members.remove(which % members.len());
                        needs.remove(phase);
                    }
                    Change::End(_) => {}
                    Change::Skip(count) => {
                        let (_, unfinished) = needs.run(count);
                        needs.skip(unfinished);
                        next += count;
                    }
                    Change::SkipOne => {
                        needs.skip_one();
                        next += 1;
                    }
                }
                for (first, _) in &mut members {
                    while *first < next {
                        *first += u64::from(block_size);
                    }
                }
            }
            let taken = |n: u64| {
                let needs = |first: u64| {
                    let since = (next + n - 1).checked_sub(first);
                    since.is_some_and(|since| since.is_multiple_of(u64::from(block_size)))
                };
                members.iter().filter(|(first, _)| needs(*first)).count() as u64
            };
            prop_assert_eq!(u64::from(needs.next()), taken(1));
            let (new, _) = needs.run(batches);
            let sum = |weight: fn(u64) -> u64| (1..=batches).map(|n| taken(n) * weight(n)).sum::<u64>();
            prop_assert_eq!(new.count, sum(|_| 1));
            prop_assert_eq!(new.sum_of_results, sum(|n| n));
            prop_assert_eq!(new.sum_of_pairs, sum(|n| n * (n - 1) / 2));
            for n in 1..=batches {
                prop_assert_eq!(u64::from(new.at(n - 1)), taken(n));
            }
        }
    }
}
