//! What a policy sees.

use kendall_des::{SimDuration, SimTime};

use crate::request::RequestSpec;
use crate::step_time::BatchShape;
use crate::zoo::Slot;
use crate::zoo::decoding::Decoding;
use crate::zoo::kv::KvAccount;
use crate::zoo::queue::Queue;
use crate::zoo::request::{Request, Stage};

use super::State;

impl State {
    /// The time.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Longest sequence, prompt and output together.
    pub fn max_model_len(&self) -> u32 {
        self.longest
    }

    /// Requests in the waiting queue.
    pub fn num_waiting(&self) -> usize {
        self.queue.len()
    }

    /// The first of them in the order of the queue.
    pub fn head(&self) -> Option<Slot> {
        self.queue.head()
    }

    /// The one that has waited longest, whatever the order.
    pub fn oldest_waiting(&self) -> Option<Slot> {
        match &self.queue {
            Queue::Fcfs(queue) => queue.front().copied(),
            Queue::Ranked(_) | Queue::ByClass(_) => {
                self.queue.iter().min_by_key(|&slot| self.request(slot).index)
            }
        }
    }

    /// All of them, in order.
    pub fn waiting(&self) -> impl Iterator<Item = Slot> + '_ {
        self.queue.iter()
    }

    /// Requests in the batch, in order of admission.
    pub fn running(&self) -> &[Slot] {
        &self.running
    }

    /// Requests in host memory, in the order in which they were swapped out.
    pub fn swapped(&self) -> &[Slot] {
        &self.swapped
    }

    /// Requests that will be given a token by a decode step.
    pub fn num_decoding(&self) -> u64 {
        self.decoding.rows
    }

    /// Whether a request is given a token by a decode step.
    pub fn is_decoding(&self, slot: Slot) -> bool {
        self.request(slot).stage == Stage::Decoding
    }

    /// The shape of a step in which everybody decodes and nothing else happens.
    pub fn decode_shape(&self) -> BatchShape {
        BatchShape {
            decode_seqs: self.decoding.rows,
            decode_context_tokens: self.decoding.context,
            ..BatchShape::default()
        }
    }

    /// How long a step takes.
    pub fn step_time(&self, shape: &BatchShape) -> SimDuration {
        self.step_time.step_time(shape)
    }

    /// Decode steps so far: for policies that count them. (Calls of `plan` are no measure: runs of steps are skipped.)
    pub fn decode_steps(&self) -> u64 {
        self.decoding.launched
    }

    /// A request.
    pub fn request(&self, slot: Slot) -> &Request {
        &self.requests[slot as usize]
    }

    /// Tokens of it whose KV is computed.
    pub fn computed(&self, slot: Slot) -> u32 {
        let request = self.request(slot);
        request.computed + Decoding::steps_of(request, self.decoding.launched)
    }

    /// Tokens that it was given.
    pub fn outputs(&self, slot: Slot) -> u32 {
        let request = self.request(slot);
        request.outputs + Decoding::steps_of(request, self.decoding.landed)
    }

    /// Tokens that must be computed before it can be given its next one: its prompt and, after a preemption, its output.
    pub fn uncomputed(&self, slot: Slot) -> u32 {
        self.request(slot).num_prompt_tokens + self.outputs(slot) - self.computed(slot)
    }

    /// Blocks that it holds.
    pub fn blocks(&self, slot: Slot) -> u32 {
        self.held_with(slot, self.computed(slot))
    }

    /// Blocks that it holds with so many computed tokens: what was reserved for it, or, by page, what they fill if that is more.
    pub(super) fn held_with(&self, slot: Slot, computed: u32) -> u32 {
        let reserved = self.request(slot).blocks;
        if self.kv.is_paged() { self.kv.blocks_for(computed).max(reserved) } else { reserved }
    }

    /// Its true output length: for the textbook and for policies named `oracle_*` only (invariant 7).
    pub fn oracle_output_tokens(&self, slot: Slot) -> u32 {
        self.request(slot).output_tokens
    }

    /// The same of a request at the door.
    pub fn oracle_output_of(&self, spec: &RequestSpec) -> u32 {
        spec.max_tokens.min(self.longest.saturating_sub(spec.num_prompt_tokens))
    }

    /// The KV account.
    pub fn kv(&self) -> &KvAccount {
        &self.kv
    }

    /// The KV account, for what belongs to no request: a prefix cache, the partition of a slot.
    pub fn kv_mut(&mut self) -> &mut KvAccount {
        &mut self.kv
    }

    /// Blocks that the next decode step takes, of an engine that takes them by page.
    pub fn blocks_to_decode(&self) -> u32 {
        self.kv.needed_at(self.decoding.launched)
    }
}
