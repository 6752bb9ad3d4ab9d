//! What prompts share: a beginning of their own or of their group, or the whole prompt with an earlier request.

use kendall_des::{Distribution, DistributionError, Stream, Streams};

use crate::request::{PromptContent, RequestSpec, TokenSegment, TokenStream};

/// Numbers of shared token streams: the kind stands in the upper bits.
const PREFIX_STREAMS: u64 = 1 << 62;
const PROMPT_STREAMS: u64 = 1 << 61;
const REPEATABLE_STREAMS: u64 = 1 << 60;
/// Classes share nothing with each other: a class has numbers of its own, of these bits.
const CLASS_SHIFT: u32 = 44;

/// What prompts share.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Tokens that all requests of a group begin with, on top of their own; 0 for none.
    pub prefix_tokens: u32,
    /// Number of groups.
    pub prefix_groups: u32,
    /// Group `k` (1, 2, ...) has weight `k^-zipf`.
    pub zipf: f64,
    /// Number of different prompts, taken in turn; all differ if `None`.
    pub distinct_prompts: Option<u64>,
}

/// Draws contents by the number of the request.
#[derive(Debug)]
pub(super) struct ContentDraws {
    contents: Contents,
    groups: Option<Distribution>,
    stream: Stream,
    /// The class, at its place in the number of a stream.
    class_bits: u64,
    /// Whether a request may be sent again, and the same prompt with it.
    repeatable: bool,
}

/// The content of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    /// The number that the prompt's length is drawn with.
    pub length_entity: u64,
    prefix: Option<(u64, u32)>,
    /// The shared stream of the part after the prefix.
    own: Option<u64>,
}

impl ContentDraws {
    pub(super) fn new(
        contents: &Contents,
        class: u16,
        repeatable: bool,
        streams: Streams,
    ) -> Result<Self, DistributionError> {
        let groups = if contents.prefix_tokens > 0 && contents.prefix_groups > 1 {
            let weight = |k: u32| (f64::from(k), libm::pow(f64::from(k), -contents.zipf));
            let table: Vec<_> = (1..=contents.prefix_groups).map(weight).collect();
            Some(Distribution::empirical(&table)?)
        } else {
            None
        };
        Ok(Self {
            contents: contents.clone(),
            groups,
            stream: streams.stream(super::class_purpose(super::PREFIX_GROUPS, class)),
            class_bits: u64::from(class) << CLASS_SHIFT,
            repeatable,
        })
    }

    /// Whether two requests may have tokens in common.
    pub(super) fn share(&self) -> bool {
        self.contents.prefix_tokens > 0 || self.contents.distinct_prompts.is_some() || self.repeatable
    }

    pub(super) fn draw(&mut self, index: u64) -> Content {
        // A repeated prompt is repeated whole: its group and length are those of its first sending.
        let entity = self.contents.distinct_prompts.map_or(index, |n| index % n);
        let tokens = self.contents.prefix_tokens;
        let prefix = (tokens > 0).then(|| {
            let group = self
                .groups
                .as_ref()
                .map_or(1, |groups| groups.sample(&mut self.stream.entity(entity)) as u64);
            (PREFIX_STREAMS | self.class_bits | group, tokens)
        });
        let own = if self.contents.distinct_prompts.is_some() {
            Some(PROMPT_STREAMS | self.class_bits | entity)
        } else {
            self.repeatable.then_some(REPEATABLE_STREAMS | self.class_bits | entity)
        };
        Content { length_entity: entity, prefix, own }
    }
}

impl Content {
    /// Puts the prefix in front of the request's prompt and gives both their content.
    pub(super) fn apply(self, spec: &mut RequestSpec) {
        if self.prefix.is_none() && self.own.is_none() {
            return;
        }
        let mut segments = Vec::with_capacity(2);
        if let Some((stream, len)) = self.prefix {
            segments.push(TokenSegment { stream: TokenStream::Shared(stream), start: 0, len });
        }
        // A unique part needs a stream that nobody else names: its place after the prefix keeps it apart.
        let own = self.own.map_or(TokenStream::Own, TokenStream::Shared);
        let prefix_tokens = self.prefix.map_or(0, |(_, len)| len);
        segments.push(TokenSegment { stream: own, start: prefix_tokens, len: spec.num_prompt_tokens });
        spec.num_prompt_tokens += prefix_tokens;
        spec.prompt = PromptContent::Segments(segments.into());
    }
}
