//! Who holds which KV blocks: allocation on demand, admission checks, prefix hits, and what paging wastes.
//!
//! Rules: vLLM 0.32, `vllm/v1/core/kv_cache_manager.py`, `allocate_slots` and `get_computed_blocks`.

use crate::engine::EngineConfig;

use super::{BlockId, BlockPool, TokenKeys};

/// The blocks that one request holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestBlocks {
    /// How many blocks it holds.
    pub num_blocks: u32,
    /// Which ones, in order of the tokens; empty where only counts are kept.
    pub table: Vec<BlockId>,
    /// Leading blocks that are already in the prefix index, or would be if blocks were kept one by one.
    num_cached: u32,
}

/// Cached blocks that begin like a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct PrefixHit {
    blocks: Vec<BlockId>,
}

impl PrefixHit {
    /// Tokens found in the cache: a multiple of the block size.
    pub(crate) fn num_tokens(&self, block_size: u32) -> u32 {
        self.blocks.len() as u32 * block_size
    }
}

/// What a request asks room for. Lengths in tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allocation {
    /// Leading tokens whose KV it has already, prefix hits not counted.
    pub num_computed_tokens: u32,
    /// Tokens that it will compute in this step.
    pub num_new_tokens: u32,
    /// Tokens whose values are known.
    pub num_known_tokens: u32,
    /// Whether there must be room for all known tokens, although only the new ones are taken.
    pub reserve_full: bool,
    /// Whether the watermark must stay free.
    pub keep_watermark: bool,
}

/// The KV cache of one engine.
#[derive(Debug, Clone)]
pub(crate) struct KvCacheManager {
    block_size: u32,
    max_model_len: u32,
    num_usable: u32,
    lifo_unhashed: bool,
    watermark_blocks: u32,
    caching: bool,
    pool: Pool,
    /// Sum over requests of blocks held; a shared block counts once for each holder.
    held_blocks: u64,
}

/// Without prefix caching every block is like another, and counting them is enough. So it is with prefix caching as long as
/// nobody can find a cached block: where requests have no tokens in common, until one of them is preempted.
#[derive(Debug, Clone)]
enum Pool {
    Counted { num_free: u32 },
    Blocks(BlockPool),
}

impl KvCacheManager {
    /// The empty cache of an engine with this configuration.
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let pool = if config.enable_prefix_caching || config.track_block_ids {
            Pool::Blocks(BlockPool::new(config.num_gpu_blocks, config.lifo_unhashed))
        } else {
            Pool::Counted { num_free: config.usable_blocks() }
        };
        Self {
            block_size: config.block_size,
            max_model_len: config.max_model_len,
            num_usable: config.usable_blocks(),
            lifo_unhashed: config.lifo_unhashed,
            // vLLM rounds the share of ALL blocks down.
            watermark_blocks: (config.watermark * f64::from(config.num_gpu_blocks)) as u32,
            caching: config.enable_prefix_caching,
            pool,
            held_blocks: 0,
        }
    }

    /// Blocks that can be handed out now; cached blocks that nobody holds are among them.
    pub(crate) fn num_free(&self) -> u32 {
        match &self.pool {
            Pool::Counted { num_free } => *num_free,
            Pool::Blocks(pool) => pool.num_free(),
        }
    }

    /// Blocks held by at least one request.
    pub(crate) fn num_used(&self) -> u32 {
        self.num_usable - self.num_free()
    }

    /// Sum over requests of blocks held; with prefix caching a shared block counts once for each holder.
    pub(crate) fn held_blocks(&self) -> u64 {
        self.held_blocks
    }

    /// Tokens in blocks that are held by more than one request, once for each holder but the first.
    pub(crate) fn shared_tokens(&self) -> u64 {
        (self.held_blocks - u64::from(self.num_used())) * u64::from(self.block_size)
    }

    /// Whether only the number of blocks is kept, not which they are.
    pub(crate) fn counts_only(&self) -> bool {
        matches!(self.pool, Pool::Counted { .. })
    }

    /// Whether cached blocks are looked up by the keys of requests.
    pub(crate) fn wants_keys(&self) -> bool {
        self.caching && !self.counts_only()
    }

    /// From now on only the number of blocks is kept. Nobody may look for a block that is cached now.
    pub(crate) fn forget_names(&mut self) {
        self.pool = Pool::Counted { num_free: self.num_free() };
    }

    /// Blocks are kept one by one again. `holders` are all requests that hold some, with the keys of their full blocks. What the
    /// free ones had cached is forgotten, and with it their order, which decides about nothing else: nobody may have looked for it.
    pub(crate) fn name_blocks<'a>(
        &mut self,
        holders: impl Iterator<Item = (&'a mut RequestBlocks, &'a TokenKeys)>,
    ) {
        let mut pool = BlockPool::new(self.num_usable + 1, self.lifo_unhashed);
        for (holder, keys) in holders {
            holder.table = (0..holder.num_blocks).map(|_| pool.allocate()).collect();
            for (&id, &key) in holder.table.iter().zip(&keys.keys()[..holder.num_cached as usize]) {
                pool.insert(id, key);
            }
        }
        debug_assert_eq!(pool.num_free(), self.num_free());
        self.pool = Pool::Blocks(pool);
    }

    /// Takes blocks for several requests at once, where only their number is kept.
    ///
    /// # Panics
    /// If so many are not free, or blocks are kept one by one.
    pub(crate) fn take_counted(&mut self, num_blocks: u32) {
        let Pool::Counted { num_free } = &mut self.pool else { panic!("blocks are kept one by one") };
        *num_free = num_free.checked_sub(num_blocks).expect("the blocks were counted before");
        self.held_blocks += u64::from(num_blocks);
    }

    /// The longest run of cached blocks from the start of a request whose first `known` tokens have `keys`. The last
    /// known token is always left to compute.
    pub(crate) fn prefix_hit(&self, keys: &TokenKeys, known: u32) -> PrefixHit {
        let Pool::Blocks(pool) = &self.pool else { return PrefixHit::default() };
        if !self.caching {
            return PrefixHit::default();
        }
        let longest = ((known - 1) / self.block_size) as usize;
        let blocks = keys.keys().iter().take(longest).map_while(|&key| pool.lookup(key)).collect();
        PrefixHit { blocks }
    }

    /// Takes the blocks that the request needs for its next tokens, or changes nothing and returns `false`. Blocks
    /// that become full enter the prefix index at once, before they are computed.
    pub(crate) fn allocate(
        &mut self,
        holder: &mut RequestBlocks,
        keys: &TokenKeys,
        hit: &PrefixHit,
        want: Allocation,
    ) -> bool {
        let have = holder.num_blocks + hit.blocks.len() as u32;
        let base = want.num_computed_tokens + hit.num_tokens(self.block_size);
        let slots = (base + want.num_new_tokens).min(self.max_model_len);
        // Hits that nobody holds sit in the free list: taking them makes it shorter.
        let from_free_list = match &self.pool {
            Pool::Blocks(pool) => hit.blocks.iter().filter(|&&id| pool.ref_cnt(id) == 0).count() as u32,
            Pool::Counted { .. } => 0,
        };
        let watermark = if want.keep_watermark { self.watermark_blocks } else { 0 };
        let needed =
            |tokens: u32| tokens.div_ceil(self.block_size).saturating_sub(have) + from_free_list + watermark;
        let free = self.num_free();
        if want.reserve_full && needed(want.num_known_tokens.min(self.max_model_len)) > free
            || needed(slots) > free
        {
            return false;
        }
        let new_blocks = slots.div_ceil(self.block_size).saturating_sub(have);
        self.held_blocks += u64::from(new_blocks) + hit.blocks.len() as u64;
        holder.num_blocks = have + new_blocks;
        match &mut self.pool {
            Pool::Counted { num_free } => *num_free -= new_blocks,
            Pool::Blocks(pool) => {
                if !hit.blocks.is_empty() {
                    for &id in &hit.blocks {
                        pool.touch(id);
                    }
                    holder.table.clone_from(&hit.blocks);
                    holder.num_cached = hit.blocks.len() as u32;
                }
                for _ in 0..new_blocks {
                    holder.table.push(pool.allocate());
                }
            }
        }
        self.cache_full_blocks(holder, keys, (base + want.num_new_tokens).min(want.num_known_tokens));
        true
    }

    /// How many leading blocks of a request are in the prefix index.
    pub(crate) fn num_cached_tokens(&self, holder: &RequestBlocks) -> u32 {
        holder.num_cached * self.block_size
    }

    /// Enters the full blocks among the request's first `num_tokens` tokens into the prefix index.
    pub(crate) fn cache_full_blocks(
        &mut self,
        holder: &mut RequestBlocks,
        keys: &TokenKeys,
        num_tokens: u32,
    ) {
        if !self.caching {
            return;
        }
        let full = num_tokens / self.block_size;
        if let Pool::Blocks(pool) = &mut self.pool {
            for block in holder.num_cached..full {
                pool.insert(holder.table[block as usize], keys.keys()[block as usize]);
            }
        }
        holder.num_cached = holder.num_cached.max(full);
    }

    /// Takes all blocks back from a request.
    pub(crate) fn free(&mut self, holder: &mut RequestBlocks) {
        self.held_blocks -= u64::from(holder.num_blocks);
        match &mut self.pool {
            Pool::Counted { num_free } => *num_free += holder.num_blocks,
            Pool::Blocks(pool) => pool.free(&holder.table),
        }
        holder.table.clear();
        holder.num_blocks = 0;
        holder.num_cached = 0;
    }

    /// Checks conservation of blocks (invariant 4) against all requests that hold some.
    ///
    /// # Errors
    /// Says which rule is broken. Costs O(blocks): for tests.
    pub(crate) fn check<'a>(
        &self,
        holders: impl Iterator<Item = &'a RequestBlocks> + Clone,
    ) -> Result<(), String> {
        let held: u64 = holders.clone().map(|holder| u64::from(holder.num_blocks)).sum();
        if held != self.held_blocks {
            return Err(format!("{} held blocks are counted, requests hold {held}", self.held_blocks));
        }
        match &self.pool {
            Pool::Counted { num_free } if u64::from(*num_free) + held != u64::from(self.num_usable) => Err(
                format!("{num_free} free and {held} held blocks are not the {} usable ones", self.num_usable),
            ),
            Pool::Counted { .. } => Ok(()),
            Pool::Blocks(pool) => {
                let repeats: u64 =
                    (1..=self.num_usable).map(|id| u64::from(pool.ref_cnt(id).saturating_sub(1))).sum();
                if repeats * u64::from(self.block_size) != self.shared_tokens() {
                    return Err(format!(
                        "{repeats} blocks are held once more, {} tokens are counted as shared",
                        self.shared_tokens()
                    ));
                }
                pool.check(holders.map(|holder| holder.table.as_slice()))
            }
        }
    }
}
