//! What a request's tokens are, as far as a prefix cache can tell: runs of named streams.

use crate::kv::{key_of, prompt_runs};
use crate::request::{TokenSegment, TokenStream};

use super::Request;

/// The tokens of one request: its prompt, then its output.
#[allow(clippy::struct_field_names, reason = "the name of the field of a request")]
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    prompt: Box<[TokenSegment]>,
    prompt_len: u32,
    output: TokenStream,
}

impl Tokens {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            prompt: prompt_runs(request.index, request.num_prompt_tokens, &request.prompt),
            prompt_len: request.num_prompt_tokens,
            output: TokenStream::Output(request.index),
        }
    }

    /// The runs of its tokens number `from` to `to`, the last one excluded.
    pub(super) fn runs(&self, from: u32, to: u32) -> impl Iterator<Item = TokenSegment> + '_ {
        let output = TokenSegment { stream: self.output, start: 0, len: u32::MAX - self.prompt_len };
        let mut position = 0;
        self.prompt.iter().copied().chain(std::iter::once(output)).filter_map(move |run| {
            let begins = position;
            position += run.len;
            let (first, last) = (begins.max(from), position.min(to));
            let start = run.start + (first - begins);
            (first < last).then(|| TokenSegment { stream: run.stream, start, len: last - first })
        })
    }
}

/// How many tokens two sequences have in common before they differ.
pub(super) fn common_prefix(
    mut one: impl Iterator<Item = TokenSegment>,
    mut other: impl Iterator<Item = TokenSegment>,
) -> u32 {
    let mut length = 0;
    let (mut left, mut right) = (one.next(), other.next());
    while let (Some(a), Some(b)) = (left, right) {
        if (a.stream, a.start) != (b.stream, b.start) {
            break;
        }
        let same = a.len.min(b.len);
        length += same;
        left = after(a, same).or_else(|| one.next());
        right = after(b, same).or_else(|| other.next());
    }
    length
}

/// The runs of a sequence cut in two after `at` tokens.
pub(super) fn cut(runs: &[TokenSegment], at: u32) -> (Box<[TokenSegment]>, Box<[TokenSegment]>) {
    let (mut head, mut tail, mut missing) = (Vec::new(), Vec::new(), at);
    for &run in runs {
        let taken = missing.min(run.len);
        missing -= taken;
        if taken > 0 {
            head.push(TokenSegment { len: taken, ..run });
        }
        tail.extend(after(run, taken));
    }
    (head.into(), tail.into())
}

/// The key of the first `len` tokens of a sequence.
pub(super) fn key_of_first(runs: impl Iterator<Item = TokenSegment>, len: u32) -> u64 {
    let mut missing = len;
    key_of(runs.map_while(move |run| {
        let taken = missing.min(run.len);
        missing -= taken;
        (taken > 0).then_some(TokenSegment { len: taken, ..run })
    }))
}

/// What is left of a run after some of its tokens.
fn after(run: TokenSegment, tokens: u32) -> Option<TokenSegment> {
    (tokens < run.len).then(|| TokenSegment {
        stream: run.stream,
        start: run.start + tokens,
        len: run.len - tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: u64, start: u32, len: u32) -> TokenSegment {
        TokenSegment { stream: TokenStream::Shared(id), start, len }
    }

    #[test]
    fn prefixes_are_compared_token_by_token() {
        let long = [run(1, 0, 10), run(2, 5, 5)];
        let pieces = [run(1, 0, 4), run(1, 4, 6), run(2, 5, 2)];
        assert_eq!(common_prefix(long.iter().copied(), pieces.iter().copied()), 12);
        let other = [run(1, 0, 10), run(2, 6, 5)];
        assert_eq!(common_prefix(long.iter().copied(), other.iter().copied()), 10);
    }

    #[test]
    fn a_cut_loses_nothing() {
        let runs = [run(1, 0, 10), run(2, 5, 5)];
        for at in 0..=15 {
            let (head, tail) = cut(&runs, at);
            assert_eq!(head.iter().map(|run| run.len).sum::<u32>(), at);
            let joined = head.iter().chain(&tail).copied();
            assert_eq!(common_prefix(joined, runs.iter().copied()), 15);
        }
    }

    #[test]
    fn the_key_of_the_first_tokens_is_that_of_no_others() {
        let runs = [run(1, 0, 3), run(2, 5, 5)];
        let key = |len| key_of_first(runs.iter().copied(), len);
        assert_eq!(key(4), key_of_first([run(1, 0, 3), run(2, 5, 1)].into_iter(), 4));
        assert_ne!(key(4), key(5));
    }
}
