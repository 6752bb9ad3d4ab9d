//! Keys of full blocks: a hash of a block's tokens chained on the key of the block before it.
//!
//! Tokens are known by identity only, as runs of a named stream, so a block's key hashes its few runs and not its
//! tokens. Two blocks have equal keys if and only if their runs and their predecessors' are equal (up to a collision).

use crate::request::{PromptContent, TokenSegment, TokenStream};

use super::BlockKey;

/// First parent of every chain.
const ROOT: BlockKey = 0x6b65_6e64_616c_6c31;

/// The keys of the full blocks of one request's known tokens.
#[derive(Debug, Clone)]
pub(crate) struct TokenKeys {
    prompt: Box<[TokenSegment]>,
    output: TokenStream,
    keys: Vec<BlockKey>,
    /// Where the next block begins: index of the segment and tokens of it already used.
    segment: usize,
    offset: u32,
}

impl TokenKeys {
    /// No keys, where none are asked for.
    pub(crate) fn none() -> Self {
        Self { prompt: Box::default(), output: TokenStream::Own, keys: Vec::new(), segment: 0, offset: 0 }
    }

    /// The keys of request number `index` in the workload before any token is known.
    pub(crate) fn new(index: u64, num_prompt_tokens: u32, content: &PromptContent) -> Self {
        let prompt = prompt_runs(index, num_prompt_tokens, content);
        Self { prompt, output: TokenStream::Output(index), keys: Vec::new(), segment: 0, offset: 0 }
    }

    /// Makes the keys of all full blocks among the first `known` tokens.
    pub(crate) fn extend_to(&mut self, known: u32, block_size: u32) {
        while (self.keys.len() as u32 + 1) * block_size <= known {
            let mut key = self.keys.last().copied().unwrap_or(ROOT);
            let mut missing = block_size;
            while missing > 0 {
                let (stream, start, left) = match self.prompt.get(self.segment) {
                    Some(run) => (run.stream, run.start, run.len),
                    // The last prompt run may end where the output begins: the output is a run without end.
                    None => (self.output, 0, u32::MAX),
                };
                let take = missing.min(left - self.offset);
                key = chain(key, stream, start + self.offset, take);
                missing -= take;
                self.offset += take;
                if self.offset == left {
                    (self.segment, self.offset) = (self.segment + 1, 0);
                }
            }
            self.keys.push(key);
        }
    }

    /// The keys made so far, first block first.
    pub(crate) fn keys(&self) -> &[BlockKey] {
        &self.keys
    }
}

/// The runs of tokens that the prompt of request number `index` in the workload consists of: equal tokens, equal runs.
pub(crate) fn prompt_runs(
    index: u64,
    num_prompt_tokens: u32,
    content: &PromptContent,
) -> Box<[TokenSegment]> {
    match content {
        PromptContent::Unique => {
            Box::new([TokenSegment { stream: TokenStream::Prompt(index), start: 0, len: num_prompt_tokens }])
        }
        PromptContent::Segments(segments) => {
            debug_assert_eq!(segments.iter().map(|s| s.len).sum::<u32>(), num_prompt_tokens);
            merge(index, segments)
        }
    }
}

/// The key of the tokens of some runs alone, as that of a first block.
pub(crate) fn key_of(runs: impl Iterator<Item = TokenSegment>) -> BlockKey {
    runs.fold(ROOT, |key, run| chain(key, run.stream, run.start, run.len))
}

/// Drops empty runs, numbers the request's own ones and joins runs that continue each other, so that equal tokens have
/// one description.
fn merge(index: u64, segments: &[TokenSegment]) -> Box<[TokenSegment]> {
    let mut runs: Vec<TokenSegment> = Vec::with_capacity(segments.len());
    for &(mut segment) in segments.iter().filter(|segment| segment.len > 0) {
        if segment.stream == TokenStream::Own {
            segment.stream = TokenStream::Prompt(index);
        }
        match runs.last_mut() {
            Some(last) if last.stream == segment.stream && last.start + last.len == segment.start => {
                last.len += segment.len;
            }
            _ => runs.push(segment),
        }
    }
    runs.into()
}

fn chain(key: BlockKey, stream: TokenStream, start: u32, len: u32) -> BlockKey {
    let (kind, id) = match stream {
        TokenStream::Shared(id) => (1, id),
        TokenStream::Prompt(id) => (2, id),
        TokenStream::Own => unreachable!("`merge` numbered the request's own tokens"),
        TokenStream::Output(id) => (3, id),
    };
    mix(mix(mix(key, kind), id), u64::from(start) << 32 | u64::from(len))
}

/// One round of a multiplicative hash with the finaliser of `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).
pub(crate) fn mix(state: u64, word: u64) -> u64 {
    let mut z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(segments: &[(u64, u32, u32)], block_size: u32) -> Vec<BlockKey> {
        let segments: Box<[_]> = segments
            .iter()
            .map(|&(id, start, len)| TokenSegment { stream: TokenStream::Shared(id), start, len })
            .collect();
        let total = segments.iter().map(|s| s.len).sum();
        let mut keys = TokenKeys::new(0, total, &PromptContent::Segments(segments));
        keys.extend_to(total, block_size);
        keys.keys().to_vec()
    }

    #[test]
    fn equal_tokens_have_equal_keys_however_they_are_written() {
        assert_eq!(keys(&[(1, 0, 32)], 8), keys(&[(1, 0, 5), (1, 5, 0), (1, 5, 27)], 8));
        assert_ne!(keys(&[(1, 0, 32)], 8)[1], keys(&[(1, 1, 32)], 8)[1]);
    }

    #[test]
    fn a_key_depends_on_everything_before_it() {
        let (a, b) = (keys(&[(1, 0, 8), (9, 0, 8)], 8), keys(&[(2, 0, 8), (9, 0, 8)], 8));
        assert_ne!(a[1], b[1]);
    }

    #[test]
    fn output_tokens_continue_the_prompt() {
        let mut generated = TokenKeys::new(3, 6, &PromptContent::Unique);
        generated.extend_to(15, 8);
        assert_eq!(generated.keys().len(), 1, "15 tokens fill one block of 8");
        generated.extend_to(16, 8);
        let quoted = PromptContent::Segments(Box::new([
            TokenSegment { stream: TokenStream::Prompt(3), start: 0, len: 6 },
            TokenSegment { stream: TokenStream::Output(3), start: 0, len: 10 },
        ]));
        let mut next_turn = TokenKeys::new(4, 16, &quoted);
        next_turn.extend_to(16, 8);
        assert_eq!(generated.keys(), next_turn.keys());
    }
}
