//! The KV account of one engine: how many blocks are taken, and how many tokens are in them.
//!
//! Engines of the zoo count blocks and do not name them. An engine *reserves* a request's blocks when it admits it, or
//! takes them *by page* as its tokens fill them. The difference between the two gauges `held_blocks` and `held_tokens` is
//! internal fragmentation.

use crate::new_blocks::NewBlocks;

/// How blocks come to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvGrowth {
    /// All at once, by [`super::State::reserve`]; decoding takes no further ones.
    Reserved,
    /// One when the tokens have filled the ones before.
    Paged,
}

/// Blocks and tokens of one engine.
#[derive(Debug, Clone)]
pub struct KvAccount {
    block_size: u32,
    num_blocks: u32,
    growth: KvGrowth,
    used_blocks: u32,
    held_blocks: u64,
    held_tokens: u64,
    /// By phase: decoding requests that need a block at decode steps whose number has this remainder by the block size. Twice
    /// the same, so that a round from any phase on is one piece.
    needs: Vec<u32>,
}

impl KvAccount {
    pub(super) fn new(block_size: u32, num_blocks: u32, growth: KvGrowth) -> Self {
        let phases = if growth == KvGrowth::Paged { block_size as usize } else { 1 };
        let needs = vec![0; 2 * phases];
        Self { block_size, num_blocks, growth, used_blocks: 0, held_blocks: 0, held_tokens: 0, needs }
    }

    /// Tokens in a block.
    pub fn block_size(&self) -> u32 {
        self.block_size
    }

    /// Blocks that requests can use.
    pub fn num_blocks(&self) -> u32 {
        self.num_blocks
    }

    /// Blocks that nobody uses.
    pub fn free_blocks(&self) -> u32 {
        self.num_blocks - self.used_blocks
    }

    /// Blocks in use.
    pub fn used_blocks(&self) -> u32 {
        self.used_blocks
    }

    /// Sum over requests of the blocks that they hold: more than are in use where requests share blocks.
    pub fn held_blocks(&self) -> u64 {
        self.held_blocks
    }

    /// Tokens stored in them.
    pub fn held_tokens(&self) -> u64 {
        self.held_tokens
    }

    /// Whether decoding requests take blocks as they grow.
    pub fn is_paged(&self) -> bool {
        self.growth == KvGrowth::Paged
    }

    /// Blocks for so many tokens.
    pub fn blocks_for(&self, tokens: u32) -> u32 {
        tokens.div_ceil(self.block_size)
    }

    /// Blocks are taken.
    ///
    /// # Panics
    /// If there are fewer: the policy must look before it takes.
    pub fn take(&mut self, blocks: u32) {
        assert!(blocks <= self.free_blocks(), "{blocks} blocks are wanted, {} are free", self.free_blocks());
        self.used_blocks += blocks;
        self.held_blocks += u64::from(blocks);
    }

    /// Blocks are given back.
    ///
    /// # Panics
    /// If so many were never taken.
    pub fn give_back(&mut self, blocks: u32) {
        self.used_blocks = self.used_blocks.checked_sub(blocks).expect("blocks that were taken");
        self.held_blocks -= u64::from(blocks);
    }

    /// A request holds blocks that are in use already: those of a prefix that it shares.
    pub fn share(&mut self, blocks: u32) {
        self.held_blocks += u64::from(blocks);
    }

    /// It holds them no longer; others still do.
    pub fn unshare(&mut self, blocks: u32) {
        self.held_blocks -= u64::from(blocks);
    }

    pub(super) fn add_tokens(&mut self, tokens: u64) {
        self.held_tokens += tokens;
    }

    pub(super) fn remove_tokens(&mut self, tokens: u64) {
        self.held_tokens -= tokens;
    }

    /// The remainder at which a request needs a block that has `computed` tokens before decode step `step`.
    fn phase(&self, step: u64, computed: u32) -> usize {
        let size = u64::from(self.block_size);
        ((step + size - u64::from(computed) % size) % size) as usize
    }

    /// A request decodes from step `step` on, with `computed` tokens before it.
    pub(super) fn join(&mut self, step: u64, computed: u32) {
        if self.is_paged() {
            let phase = self.phase(step, computed);
            self.needs[phase] += 1;
            self.needs[phase + self.block_size as usize] += 1;
        }
    }

    /// It decodes no longer.
    pub(super) fn part(&mut self, joined: u64, computed: u32) {
        if self.is_paged() {
            let phase = self.phase(joined, computed);
            self.needs[phase] -= 1;
            self.needs[phase + self.block_size as usize] -= 1;
        }
    }

    /// Blocks that the decode step with this number needs.
    pub(super) fn needed_at(&self, step: u64) -> u32 {
        if self.is_paged() { self.needs[(step % u64::from(self.block_size)) as usize] } else { 0 }
    }

    /// Blocks that so many decode steps take, from number `step` on.
    pub(super) fn needed_in(&self, step: u64, steps: u64) -> NewBlocks<'_> {
        let round = self.needs.len() / 2;
        let phase = (step % round as u64) as usize;
        NewBlocks::new(&self.needs[phase..][..round], steps)
    }

    /// Decode steps of `rows` requests, from number `step` on, after each of which a block is still free: some engines want one
    /// in hand.
    pub(super) fn steps_with_blocks(&self, step: u64, rows: u64) -> u64 {
        if !self.is_paged() || rows == 0 {
            return u64::MAX;
        }
        // In as many steps as a block has tokens every request takes one.
        let size = u64::from(self.block_size);
        let Some(spare) = self.free_blocks().checked_sub(1).map(u64::from) else { return 0 };
        let (rounds, mut left) = (spare / rows, spare % rows);
        let mut steps = rounds * size;
        for &needed in &self.needs[(step % size) as usize..][..size as usize] {
            if u64::from(needed) > left {
                break;
            }
            left -= u64::from(needed);
            steps += 1;
        }
        steps
    }
}
