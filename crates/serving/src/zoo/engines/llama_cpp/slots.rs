//! The slots of llama.cpp's server: who is in which, and what its KV cache still knows of the one before.

use crate::zoo::tokens::{Tokens, common_prefix};
use crate::zoo::{Slot, State};

/// What a slot's part of the KV cache contains.
#[derive(Debug, Clone)]
struct Content {
    tokens: Tokens,
    len: u32,
}

/// One of `--parallel`.
#[derive(Debug, Clone, Default)]
struct Place {
    request: Option<Slot>,
    content: Option<Content>,
    /// When it was released last, in releases; 0 if never.
    used_at: u64,
}

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    places: Vec<Place>,
    releases: u64,
    /// Blocks of contents in slots without a request.
    idle_blocks: u64,
    /// Whether requests look for what they share with a slot's content, and what share of their prompt that must be at least.
    cache_prompt: bool,
    similarity: f64,
}

impl Slots {
    pub(super) fn new(parallel: u32, cache_prompt: bool, similarity: f64) -> Self {
        Self {
            places: vec![Place::default(); parallel as usize],
            releases: 0,
            idle_blocks: 0,
            cache_prompt,
            similarity,
        }
    }

    pub(super) fn have_room(&self) -> bool {
        self.places.iter().any(|place| place.request.is_none())
    }

    /// The requests in the order of their slots.
    pub(super) fn requests(&self) -> impl Iterator<Item = Slot> + '_ {
        self.places.iter().filter_map(|place| place.request)
    }

    /// Puts a request into a slot without one, that with the most similar content or the one unused for longest
    /// (`get_available_slot`); returns how many tokens of its prompt are there.
    pub(super) fn launch(&mut self, state: &State, slot: Slot) -> u32 {
        let request = state.request(slot);
        let tokens = Tokens::new(request);
        let prompt = request.num_prompt_tokens;
        let shared = |place: &Place| {
            place.content.as_ref().map_or(0, |content| {
                common_prefix(content.tokens.runs(0, content.len), tokens.runs(0, prompt))
            })
        };
        let (mut chosen, mut best) = (None, 0.0);
        for (number, place) in self.places.iter().enumerate().filter(|(_, place)| place.request.is_none()) {
            let similarity = f64::from(shared(place)) / f64::from(prompt);
            if self.similarity > 0.0 && similarity > self.similarity && similarity > best {
                (chosen, best) = (Some(number), similarity);
            }
        }
        let idle = || self.places.iter().enumerate().filter(|(_, place)| place.request.is_none());
        // The last one of equals, as in the loop of the server.
        let least_recent = || idle().rev().min_by_key(|(_, place)| place.used_at).map(|(number, _)| number);
        let Some(number) = chosen.or_else(least_recent) else { return 0 };
        let cached = if self.cache_prompt { shared(&self.places[number]) } else { 0 };
        let place = &mut self.places[number];
        place.request = Some(slot);
        if let Some(old) = place.content.replace(Content { tokens, len: 0 }) {
            self.idle_blocks -= u64::from(state.kv().blocks_for(old.len));
        }
        // The last token is always computed: it gives the first of the output.
        cached.min(prompt - 1)
    }

    /// A request leaves its slot; what it computed stays, unless it failed.
    pub(super) fn release(&mut self, state: &State, slot: Slot) {
        let Some(place) = self.places.iter_mut().find(|place| place.request == Some(slot)) else { return };
        place.request = None;
        self.releases += 1;
        place.used_at = self.releases;
        let len = state.computed(slot);
        if len == 0 || state.request(slot).has_failed() {
            place.content = None;
        } else if let Some(content) = &mut place.content {
            content.len = len;
            self.idle_blocks += u64::from(state.kv().blocks_for(len));
        }
    }

    /// Clears slots without a request, the first one first, until their contents fit into the free blocks
    /// (`try_clear_idle_slots`). What is cleared depends on who left before, so that it may be made up for at the next look.
    pub(super) fn clear_idle(&mut self, state: &State) {
        let free = u64::from(state.kv().free_blocks());
        for place in self.places.iter_mut().filter(|place| place.request.is_none()) {
            if self.idle_blocks <= free {
                return;
            }
            if let Some(content) = place.content.take() {
                self.idle_blocks -= u64::from(state.kv().blocks_for(content.len));
            }
        }
    }
}
