//! The paged KV cache block by block: reference counts, the free list in vLLM's order, and the prefix index.
//!
//! Rules: vLLM 0.32, `vllm/v1/core/block_pool.py` and `kv_cache_utils.py` (`FreeKVCacheBlockQueue`).

use rustc_hash::FxHashMap;

/// Number of a KV block; 0 is the null block, which is never handed out.
pub type BlockId = u32;

/// Key of a full block: a hash of its content and of everything before it. 64 bits: among a million cached blocks two
/// different contents meet with probability 3e-8.
pub type BlockKey = u64;

const NONE: u32 = u32::MAX;
/// The null block stands at both ends of the circular free list.
const NULL_BLOCK: BlockId = 0;

#[derive(Debug, Clone)]
struct Block {
    ref_cnt: u32,
    key: Option<BlockKey>,
    /// Neighbours in the free list while the block is free.
    prev: BlockId,
    next: BlockId,
    /// The next younger block with the same key.
    younger: BlockId,
}

/// All blocks of one engine.
#[derive(Debug, Clone)]
pub struct BlockPool {
    blocks: Vec<Block>,
    num_free: u32,
    /// Oldest cached block of each key.
    index: FxHashMap<BlockKey, BlockId>,
    lifo_unhashed: bool,
}

impl BlockPool {
    /// A pool of `num_gpu_blocks`, the null block included. With `lifo_unhashed`, freed blocks without a key are
    /// reused first (vLLM 0.24 and later).
    ///
    /// # Panics
    /// Without any block.
    pub fn new(num_gpu_blocks: u32, lifo_unhashed: bool) -> Self {
        assert!(num_gpu_blocks > 0, "a pool has at least the null block");
        let block = |id: BlockId| Block {
            ref_cnt: 0,
            key: None,
            prev: if id == 0 { num_gpu_blocks - 1 } else { id - 1 },
            next: if id + 1 == num_gpu_blocks { NULL_BLOCK } else { id + 1 },
            younger: NONE,
        };
        let blocks = (0..num_gpu_blocks).map(block).collect();
        Self { blocks, num_free: num_gpu_blocks - 1, index: FxHashMap::default(), lifo_unhashed }
    }

    /// Blocks that can be handed out; cached blocks that nobody uses are among them.
    pub fn num_free(&self) -> u32 {
        self.num_free
    }

    /// The oldest cached block with this key.
    pub fn lookup(&self, key: BlockKey) -> Option<BlockId> {
        self.index.get(&key).copied()
    }

    /// How many requests use the block.
    pub fn ref_cnt(&self, id: BlockId) -> u32 {
        self.blocks[id as usize].ref_cnt
    }

    /// Takes the block at the head of the free list and evicts what it had cached.
    ///
    /// # Panics
    /// If no block is free.
    pub fn allocate(&mut self) -> BlockId {
        let id = self.blocks[NULL_BLOCK as usize].next;
        assert!(id != NULL_BLOCK, "allocation from an empty pool");
        self.unlink(id);
        self.evict(id);
        self.blocks[id as usize].ref_cnt = 1;
        id
    }

    /// One more request uses a cached block; a free one leaves the free list.
    pub fn touch(&mut self, id: BlockId) {
        if self.blocks[id as usize].ref_cnt == 0 {
            self.unlink(id);
        }
        self.blocks[id as usize].ref_cnt += 1;
    }

    /// A request lets go of its table. Blocks that nobody uses any more go to the free list as one group, the last
    /// block of the table first: those with a key to the tail, those without to the head.
    ///
    /// # Panics
    /// If a block of the table is not in use.
    pub fn free(&mut self, table: &[BlockId]) {
        for &id in table.iter().rev() {
            let block = &mut self.blocks[id as usize];
            assert!(block.ref_cnt > 0, "block {id} was freed more often than it was taken");
            block.ref_cnt -= 1;
            if block.ref_cnt == 0 && !self.reused_first(id) {
                self.link_after(self.blocks[NULL_BLOCK as usize].prev, id);
            }
        }
        // Linked at the head one by one, the last of the table comes to stand first.
        for &id in table {
            if self.blocks[id as usize].ref_cnt == 0 && self.reused_first(id) {
                self.link_after(NULL_BLOCK, id);
            }
        }
    }

    fn reused_first(&self, id: BlockId) -> bool {
        self.lifo_unhashed && self.blocks[id as usize].key.is_none()
    }

    /// Enters a full block under its key, as the youngest of its kind.
    ///
    /// # Panics
    /// If the block already has a key.
    pub fn insert(&mut self, id: BlockId, key: BlockKey) {
        assert!(self.blocks[id as usize].key.is_none(), "block {id} is cached twice");
        self.blocks[id as usize].key = Some(key);
        let oldest = *self.index.entry(key).or_insert(id);
        if oldest != id {
            let youngest = self.same_key(oldest).last().expect("a chain holds its oldest block");
            self.blocks[youngest as usize].younger = id;
        }
    }

    fn same_key(&self, oldest: BlockId) -> impl Iterator<Item = BlockId> + '_ {
        std::iter::successors(Some(oldest), |&id| {
            Some(self.blocks[id as usize].younger).filter(|&next| next != NONE)
        })
    }

    fn evict(&mut self, id: BlockId) {
        let younger = std::mem::replace(&mut self.blocks[id as usize].younger, NONE);
        let Some(key) = self.blocks[id as usize].key.take() else { return };
        let oldest = self.index[&key];
        if oldest != id {
            let older = self.same_key(oldest).find(|&other| self.blocks[other as usize].younger == id);
            let older = older.expect("a cached block is in the chain of its key");
            self.blocks[older as usize].younger = younger;
        } else if younger == NONE {
            self.index.remove(&key);
        } else {
            self.index.insert(key, younger);
        }
    }

    fn unlink(&mut self, id: BlockId) {
        let Block { prev, next, .. } = self.blocks[id as usize];
        self.blocks[prev as usize].next = next;
        self.blocks[next as usize].prev = prev;
        self.num_free -= 1;
    }

    fn link_after(&mut self, prev: BlockId, id: BlockId) {
        let next = std::mem::replace(&mut self.blocks[prev as usize].next, id);
        self.blocks[next as usize].prev = id;
        let block = &mut self.blocks[id as usize];
        (block.prev, block.next) = (prev, next);
        self.num_free += 1;
    }

    /// Checks the pool from first principles (invariant 4): every block is either free or in use, the free list is
    /// whole in both directions, every key is found, and `tables` hold exactly the references counted.
    ///
    /// # Errors
    /// Says which rule is broken. Costs O(blocks): for tests.
    pub fn check<'a>(&self, tables: impl Iterator<Item = &'a [BlockId]>) -> Result<(), String> {
        let mut held = vec![0_u32; self.blocks.len()];
        for &id in tables.flatten() {
            held[id as usize] += 1;
        }
        let mut free = vec![false; self.blocks.len()];
        let (mut id, mut steps) = (self.blocks[NULL_BLOCK as usize].next, 0);
        while id != NULL_BLOCK {
            if free[id as usize] || self.blocks[self.blocks[id as usize].next as usize].prev != id {
                return Err(format!("the free list is broken at block {id}"));
            }
            free[id as usize] = true;
            id = self.blocks[id as usize].next;
            steps += 1;
        }
        if steps != self.num_free {
            return Err(format!("{} blocks are counted as free, {steps} are in the list", self.num_free));
        }
        for (id, block) in self.blocks.iter().enumerate().skip(1) {
            if block.ref_cnt != held[id] || free[id] != (block.ref_cnt == 0) {
                return Err(format!(
                    "block {id}: {} references counted, {} held, in the free list: {}",
                    block.ref_cnt, held[id], free[id]
                ));
            }
            if let Some(key) = block.key
                && !self
                    .index
                    .get(&key)
                    .is_some_and(|&oldest| self.same_key(oldest).any(|other| other as usize == id))
            {
                return Err(format!("block {id} has a key but cannot be found by it"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks 1 to 4 are taken; 1 and 2 are full and cached, 3 and 4 are not: these are reused first, the last one
    /// before the other, then the never used 5, then the deepest cached block.
    #[test]
    fn the_free_list_has_two_ends() {
        let mut pool = BlockPool::new(6, true);
        let table = [pool.allocate(), pool.allocate(), pool.allocate(), pool.allocate()];
        assert_eq!(table, [1, 2, 3, 4]);
        pool.insert(1, 100);
        pool.insert(2, 200);
        pool.free(&table);
        assert_eq!(pool.num_free(), 5);
        let order: Vec<_> = (0..5).map(|_| pool.allocate()).collect();
        assert_eq!(order, [4, 3, 5, 2, 1]);
        assert_eq!((pool.lookup(100), pool.lookup(200)), (None, None));
    }

    #[test]
    fn before_0_24_every_freed_block_went_to_the_tail() {
        let mut pool = BlockPool::new(5, false);
        let table = [pool.allocate(), pool.allocate()];
        pool.free(&table);
        assert_eq!((0..4).map(|_| pool.allocate()).collect::<Vec<_>>(), [3, 4, 2, 1]);
    }

    #[test]
    fn the_oldest_copy_of_a_block_is_found() {
        let mut pool = BlockPool::new(4, true);
        let (first, second) = (pool.allocate(), pool.allocate());
        pool.insert(first, 7);
        pool.insert(second, 7);
        assert_eq!(pool.lookup(7), Some(first));
        pool.free(&[first]);
        assert_eq!([pool.allocate(), pool.allocate()], [3, first], "block 3 was free for longer");
        assert_eq!(pool.lookup(7), Some(second));
    }
}
