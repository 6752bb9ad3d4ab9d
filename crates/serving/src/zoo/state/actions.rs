//! What a policy does.

use kendall_des::SimDuration;

use crate::record::RowKind;
use crate::zoo::Slot;
use crate::zoo::draft::{Chunk, Padding};
use crate::zoo::request::Stage;

use super::State;

impl State {
    /// Takes a waiting request into the batch; `cached` tokens of its prompt need not be computed.
    ///
    /// # Panics
    /// If it does not wait, or the cache holds all of it: the last token is always computed.
    pub fn admit(&mut self, slot: Slot, cached: u32) {
        let request = &mut self.requests[slot as usize];
        assert_eq!(request.stage, Stage::Waiting, "request {} does not wait", request.index);
        assert!(cached < request.num_prompt_tokens + request.outputs, "the last token is always computed");
        self.queue.remove(slot, request, true);
        self.pace.admitted(self.now, self.queue.len() > 0);
        request.stage = Stage::Prefilling;
        request.stamp = self.next_stamp;
        request.computed = cached;
        self.next_stamp += 1;
        let life = &mut request.life;
        let elapsed = life.elapsed(self.now);
        if life.first_scheduled.is_none() {
            request.kind = RowKind::Admitted;
            life.first_scheduled = Some(self.now);
            life.num_cached_tokens = cached;
            life.ttft.queue = elapsed;
            self.totals.prefix_cache_queries += u64::from(request.num_prompt_tokens);
            self.totals.prefix_cache_hits += u64::from(cached);
        } else {
            request.kind = RowKind::Resumed;
            life.wait_of_preempted(elapsed);
        }
        self.kv.add_tokens(u64::from(cached));
        self.running.push(slot);
    }

    /// Reserves blocks for so many tokens in all; a policy looks at [`KvAccount::free_blocks`](crate::zoo::KvAccount::free_blocks) first. An engine that takes
    /// blocks by page may reserve those of a prompt that it computes in parts, and no more.
    ///
    /// # Panics
    /// If they are not free.
    pub fn reserve(&mut self, slot: Slot, tokens: u32) {
        let held = self.blocks(slot);
        let more = self.kv.blocks_for(tokens).saturating_sub(held);
        self.kv.take(more);
        self.requests[slot as usize].blocks = held + more;
    }

    /// The next step computes so many tokens of a request that runs, from where it stands.
    ///
    /// # Panics
    /// If there is not so much to compute, or (by page) there are no blocks for it.
    pub fn prefill(&mut self, slot: Slot, tokens: u32) {
        let to_compute = self.uncomputed(slot);
        let request = &mut self.requests[slot as usize];
        assert_eq!(request.stage, Stage::Prefilling, "request {} is not in its prompt", request.index);
        assert!((1..=to_compute).contains(&tokens), "{tokens} of {to_compute} tokens to compute");
        let before = request.computed;
        request.computed += tokens;
        self.kv.take(self.held_with(slot, before + tokens) - self.held_with(slot, before));
        self.kv.add_tokens(u64::from(tokens));
        let request = &mut self.requests[slot as usize];
        let kind = std::mem::replace(&mut request.kind, RowKind::Running);
        let is_last = tokens == to_compute;
        self.draft.chunks.push(Chunk { slot, stamp: request.stamp, tokens, before, is_last, kind });
    }

    /// The same for a whole prompt in a rectangular batch, filled up to `padded` tokens; its row stays as long as the batch.
    pub fn prefill_padded(&mut self, slot: Slot, padded: u32) {
        let tokens = self.uncomputed(slot);
        self.prefill(slot, tokens);
        let (own, padded) = (u64::from(tokens), u64::from(padded));
        let waste = &mut self.draft.padding;
        waste.prefill_tokens += padded - own;
        waste.prefill_context_tokens += padded - own;
        waste.prefill_attention += padded * padded - own * own;
        waste.prefill_squares += padded * padded - own * own;
        self.padding.context += padded - own;
    }

    /// The next step gives a token to everybody who decodes.
    pub fn decode(&mut self) {
        self.draft.decode = self.decoding.rows > 0;
    }

    /// Whether the next step computes part of a prompt.
    pub fn has_prefill(&self) -> bool {
        !self.draft.chunks.is_empty()
    }

    /// The next step takes so much longer: a transfer over `PCIe`, the CPU's work.
    pub fn delay(&mut self, extra: SimDuration) {
        self.draft.extra += extra;
    }

    /// Throws a running request out; what was computed of it is lost, and it waits at the front of the queue.
    pub fn preempt(&mut self, slot: Slot) {
        self.leave_batch(slot);
        let computed = self.requests[slot as usize].computed;
        self.free_kv(slot);
        let request = &mut self.requests[slot as usize];
        request.computed = 0;
        request.stage = Stage::Waiting;
        request.life.num_lost_tokens += u64::from(computed);
        request.life.recompute_until = request.life.recompute_until.max(computed);
        self.kv.remove_tokens(u64::from(computed));
        self.throw_out(slot);
        self.queue.push_front(slot, &self.requests[slot as usize]);
    }

    /// Moves the KV of a running request to host memory.
    pub fn swap_out(&mut self, slot: Slot) {
        self.leave_batch(slot);
        self.free_kv(slot);
        let request = &mut self.requests[slot as usize];
        request.stage = Stage::SwappedOut;
        let computed = request.computed;
        self.kv.remove_tokens(u64::from(computed));
        self.throw_out(slot);
        self.swapped.push(slot);
    }

    /// Brings it back: it decodes, or goes on with its prompt, in the next step.
    ///
    /// # Panics
    /// If it is not in host memory, or there are no blocks for it.
    pub fn swap_in(&mut self, slot: Slot) {
        let place = self.swapped.iter().position(|&other| other == slot).expect("a request in host memory");
        self.swapped.remove(place);
        let to_compute = self.uncomputed(slot);
        self.renew_stamp(slot);
        let request = &mut self.requests[slot as usize];
        if self.kv.is_paged() {
            self.kv.take(self.kv.blocks_for(request.computed));
        }
        self.kv.add_tokens(u64::from(request.computed));
        self.running.push(slot);
        let elapsed = request.life.elapsed(self.now);
        request.life.wait_of_preempted(elapsed);
        request.stage = Stage::Prefilling;
        if to_compute == 1 && request.outputs > 0 {
            self.join_decoding(slot);
        }
    }

    /// What was noted about the request's latest admission no longer holds.
    pub(in crate::zoo) fn renew_stamp(&mut self, slot: Slot) {
        self.requests[slot as usize].stamp = self.next_stamp;
        self.next_stamp += 1;
    }

    pub(in crate::zoo) fn throw_out(&mut self, slot: Slot) {
        let request = &mut self.requests[slot as usize];
        request.life.num_preemptions += 1;
        request.life.thrown_out.get_or_insert(self.now);
        self.totals.num_preemptions += 1;
        self.draft.preempted.push(request.index);
    }

    /// Gives back the blocks of a request; the default of what happens when one leaves.
    pub fn free_kv(&mut self, slot: Slot) {
        if self.request(slot).stage == Stage::SwappedOut {
            return;
        }
        let blocks = self.held_with(slot, self.request(slot).computed);
        self.requests[slot as usize].blocks = 0;
        self.kv.give_back(blocks);
    }

    /// The row of a request that leaves goes on computing for nobody, and keeps its blocks, until [`Self::end_batch`].
    pub fn keep_row(&mut self, slot: Slot) {
        let request = &mut self.requests[slot as usize];
        self.padding.rows += 1;
        self.padding.context += u64::from(request.computed) + 1;
        self.padding.blocks += std::mem::take(&mut request.blocks);
    }

    /// The rectangular batch is over: rows that computed for nobody vanish and give back their blocks.
    pub fn end_batch(&mut self) {
        let Padding { blocks, .. } = std::mem::take(&mut self.padding);
        self.kv.give_back(blocks);
    }
}
