//! Which prompts, or parts of one, the next batch computes (`get_new_batch_prefill` in `scheduler.py`, `PrefillAdder` in
//! `schedule_policy.py`).

use crate::zoo::{Slot, State};

use super::Scheduler;

/// Why the next request is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Continue,
    /// The KV cache is full: nothing is admitted until somebody ends.
    NoToken,
    /// This batch is full.
    Other,
}

/// What is left for prompts in this batch, in tokens.
#[derive(Debug, Clone, Copy)]
struct Budget {
    /// Of the KV cache, less what those who run are expected to need.
    total: f64,
    /// Of the KV cache now.
    current: i64,
    /// Of `max_prefill_tokens`.
    input: i64,
    /// Of `chunked_prefill_size`, if prompts are computed in chunks.
    chunk: Option<i64>,
    page: i64,
    /// Blocks that those who decode in the same step take.
    decode_blocks: u32,
}

impl Budget {
    fn paged(&self, tokens: u32) -> i64 {
        i64::from(tokens.next_multiple_of(self.page as u32))
    }

    /// Books so many tokens to compute, with `prefix` tokens that were free and are in use now.
    fn charge(&mut self, extend: u32, max_new: u32, prefix: u32) {
        let tokens = self.paged(extend);
        let at_once = tokens + self.page + i64::from(prefix);
        self.total -= (at_once + i64::from(max_new)) as f64;
        self.current -= at_once;
        self.input -= tokens;
        self.chunk = self.chunk.map(|left| left - tokens);
    }

    fn verdict(&self) -> Verdict {
        if self.total <= 0.0 || self.current <= 0 {
            Verdict::NoToken
        } else if self.input <= 0 || self.chunk.is_some_and(|left| left <= 0) {
            Verdict::Other
        } else {
            Verdict::Continue
        }
    }

    /// Blocks that prompts can have.
    fn free_blocks(&self, state: &State) -> u32 {
        state.kv().free_blocks().saturating_sub(self.decode_blocks)
    }
}

impl Scheduler {
    /// Puts prompts into the next step; `false` if there are none for it.
    pub(super) fn prefill(&mut self, state: &mut State) -> bool {
        let running = state.num_decoding() as usize;
        let places = (self.settings.max_running_requests as usize).saturating_sub(running);
        if places == 0 && self.chunked.is_none() {
            self.is_full = true;
            return false;
        }
        let mut budget = self.budget(state);
        if budget.decode_blocks > state.kv().free_blocks() {
            return false;
        }
        if let Some(slot) = self.chunked {
            self.go_on(state, slot, &mut budget);
        }
        let order = self.order(state);
        let mut place = 0;
        while let Some(slot) = match &order {
            Some(order) => order.get(place).copied(),
            None => state.head(),
        } {
            place += 1;
            if self.fresh.len() >= places {
                self.is_full = true;
                break;
            }
            let is_alone = running + self.fresh.len() == 0 && self.chunked.is_none();
            let verdict = self.add(state, slot, &mut budget, is_alone);
            if verdict != Verdict::Continue {
                self.is_full |= verdict == Verdict::NoToken;
                break;
            }
        }
        !self.fresh.is_empty()
    }

    fn budget(&self, state: &State) -> Budget {
        let settings = &self.settings;
        let ratio = self.ratio.at(self.decode_only_steps(state));
        let expected: u64 = state
            .running()
            .iter()
            .filter(|&&slot| state.is_decoding(slot))
            .map(|&slot| {
                let left = settings.max_new_tokens.tokens(state, slot).saturating_sub(state.outputs(slot));
                u64::from(left.min(settings.clip_max_new_tokens_estimation))
            })
            .sum();
        let mixed = if settings.mixes() { state.num_decoding().cast_signed() } else { 0 };
        let free = i64::from(state.kv().free_blocks()) * i64::from(state.kv().block_size());
        Budget {
            total: (free - mixed) as f64 - expected as f64 * ratio,
            current: free - mixed,
            input: i64::from(settings.max_prefill_tokens) - mixed,
            chunk: settings.chunk().map(|size| i64::from(size) - mixed),
            page: i64::from(state.kv().block_size()),
            decode_blocks: if mixed > 0 { state.blocks_to_decode() } else { 0 },
        }
    }

    /// Goes on with a prompt of which a part was computed (`add_chunked_req`).
    fn go_on(&mut self, state: &mut State, slot: Slot, budget: &mut Budget) {
        let Some(chunk) = budget.chunk.filter(|&left| left > 0) else { return };
        let within = (budget.total.max(0.0) as i64).min(chunk);
        // It must make progress, or it would hold its blocks for ever.
        let most = if within > 0 { within } else { chunk };
        let (computed, left) = (state.computed(slot), state.uncomputed(slot));
        let room = u64::from(state.blocks(slot) + budget.free_blocks(state)) * budget.page as u64;
        let room = (room - u64::from(computed)).min(most as u64);
        let tokens = u64::from(left).min(room) as u32;
        if tokens == 0 {
            return;
        }
        state.prefill(slot, tokens);
        let is_last = tokens == left;
        let max_new = if is_last { self.declared(state, slot) } else { 0 };
        budget.charge(tokens, max_new, 0);
        self.fresh.push((slot, state.request(slot).index));
        if is_last {
            self.chunked = None;
        }
    }

    fn declared(&self, state: &State, slot: Slot) -> u32 {
        let tokens = self.settings.max_new_tokens.tokens(state, slot);
        tokens.min(self.settings.clip_max_new_tokens_estimation)
    }

    /// Adds a waiting request if it fits (`add_one_req`).
    fn add(&mut self, state: &mut State, slot: Slot, budget: &mut Budget, is_alone: bool) -> Verdict {
        let hit = self.cache.look_up(state, slot);
        let outputs = state.outputs(slot);
        let mut extend = state.request(slot).num_prompt_tokens + outputs - hit.tokens;
        let left = self.settings.max_new_tokens.tokens(state, slot).saturating_sub(outputs);
        let max_new = left.min(self.settings.clip_max_new_tokens_estimation);
        let prefix = self.cache.unused(hit);
        let needed = i64::from(extend) + i64::from(max_new) + budget.page + i64::from(prefix);
        if !is_alone && needed as f64 >= budget.total {
            return Verdict::NoToken;
        }
        let input = budget.paged(extend);
        if budget.chunk.is_none() && !self.fresh.is_empty() && input >= budget.input {
            return Verdict::Other;
        }
        let mut is_chunked = false;
        if let Some(chunk) = budget.chunk.filter(|&chunk| input > chunk) {
            let tokens = chunk - chunk.rem_euclid(budget.page);
            if tokens <= 0 {
                return Verdict::Other;
            }
            (extend, is_chunked) = (tokens as u32, true);
        }
        if extend.div_ceil(budget.page as u32) + prefix / budget.page as u32 > budget.free_blocks(state) {
            return Verdict::NoToken;
        }
        self.cache.admit(state, slot, hit);
        state.prefill(slot, extend);
        self.fresh.push((slot, state.request(slot).index));
        let max_new = if is_chunked { 0 } else { self.declared(state, slot) };
        budget.charge(extend, max_new, prefix);
        if is_chunked {
            self.chunked = Some(slot);
        }
        budget.verdict()
    }
}
