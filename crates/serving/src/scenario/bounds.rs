//! Bounds far above any real server, so that sums stay within 32 bits and a run within memory.

use crate::simulation::SimulationConfig;

use super::{ScenarioError, Server};

/// Most KV blocks that are held in memory one by one, 64 bytes each while they are set up: half a gigabyte.
const MAX_CACHED_BLOCKS: u64 = 1 << 23;

/// Checks the sizes that a scenario gives.
pub(super) fn check_sizes(server: &Server) -> Result<(), ScenarioError> {
    for (key, given, most) in [
        ("max_num_seqs", server.max_num_seqs, 1 << 24),
        ("max_num_batched_tokens", server.max_num_batched_tokens, 1 << 27),
        ("max_model_len", server.max_model_len, 1 << 27),
        ("block_size", server.block_size, 1 << 16),
        ("num_gpu_blocks", server.num_gpu_blocks, 1 << 28),
        ("reserve.kv_tokens", server.reserve.as_ref().and_then(|flags| flags.kv_tokens), 1 << 28),
    ] {
        if let Some(value) = given.filter(|&value| value > most) {
            return Err(ScenarioError::at(
                format!("server.{key}"),
                format!("{value}: it must be at most {most}"),
            ));
        }
    }
    Ok(())
}

/// Checks that the KV blocks of all replicas can be held in memory, where they are held one by one.
pub(super) fn check_memory(config: &SimulationConfig) -> Result<(), ScenarioError> {
    let (replicas, of_each) = (config.replicas, config.engine.num_gpu_blocks);
    let blocks = u64::from(replicas) * u64::from(of_each);
    if !config.engine.enable_prefix_caching || blocks <= MAX_CACHED_BLOCKS {
        return Ok(());
    }
    let message = format!(
        "prefix caching holds every block in memory, and {replicas} x {of_each} blocks are more than \
         {MAX_CACHED_BLOCKS}: lower `replicas` or `num_gpu_blocks`, or set `enable_prefix_caching = false`"
    );
    Err(ScenarioError::at("server.enable_prefix_caching", message))
}
