//! The paged KV cache of one engine.

mod block_pool;
mod content;
mod manager;

pub use block_pool::{BlockId, BlockKey, BlockPool};
pub(crate) use content::{TokenKeys, key_of, mix, prompt_runs};
pub(crate) use manager::{Allocation, KvCacheManager, PrefixHit, RequestBlocks};
