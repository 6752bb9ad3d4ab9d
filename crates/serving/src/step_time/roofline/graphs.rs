//! CUDA graphs: small batches run as recorded for the next larger recorded size, with rows that nobody asked for.
//!
//! Such a row costs next to nothing where weights are read for the whole batch, but it is sent to experts of its own.
//! Source: vLLM 0.19 to 0.23, `vllm/config/vllm.py`, `_set_cudagraph_sizes`.

/// Beyond this many tokens no engine records a graph.
const LARGEST: u64 = 512;

/// Steps of up to this many tokens are recorded every 8 tokens, larger ones every 16.
const FINE: u64 = 256;

/// Tokens of the graph that plays a step of so many tokens; as many where none does.
pub(super) fn padded(tokens: u64, max_num_seqs: u32) -> u64 {
    let size = match tokens {
        0..=2 => tokens,
        3..=4 => 4,
        5..FINE => tokens.next_multiple_of(8),
        _ => tokens.next_multiple_of(16),
    };
    if size <= LARGEST.min(2 * u64::from(max_num_seqs)) { size } else { tokens }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[1, 2, 4] + range(8, 256, 8) + range(256, max + 1, 16)`.
    #[test]
    fn the_recorded_sizes_are_vllm_s() {
        let sizes = |max_num_seqs| {
            let mut sizes: Vec<u64> = (1..=600).map(|tokens| padded(tokens, max_num_seqs)).collect();
            sizes.dedup();
            sizes.retain(|&size| size <= u64::from(2 * max_num_seqs).min(512));
            sizes
        };
        let expected = |largest: u64| {
            let all = [1, 2, 4].into_iter().chain((8..256).step_by(8)).chain((256..=largest).step_by(16));
            all.filter(|&size| size <= largest).collect::<Vec<u64>>()
        };
        assert_eq!(sizes(256), expected(512));
        assert_eq!(sizes(1_024), expected(512));
        assert_eq!(sizes(64), expected(128));
        assert_eq!((padded(500, 100), padded(513, 256), padded(0, 256)), (500, 513, 0));
    }
}
