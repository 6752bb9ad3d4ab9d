//! What an engine of the zoo sees and does: requests, waiting queue, running list, KV account, and the step that is being
//! put together.
//!
//! A policy is called between two steps, when nothing is in flight. It looks (`waiting`, `running`, `kv`), acts on requests
//! (`admit`, `reserve`, `preempt`, `swap_out`) and says what the next step computes (`prefill`, `decode`).

use kendall_des::{SimDuration, SimTime};

use crate::engine::{Arrival, EngineConfig, EngineGauges, EngineTotals};
use crate::record::RowKind;
use crate::request::RequestSpec;
use crate::step_time::{BatchShape, StepTimeModel};

use super::admission::Pace;
use super::decoding::Decoding;
use super::draft::{Chunk, Draft, Padding};
use super::kv::{KvAccount, KvGrowth};
use super::queue::Queue;
use super::request::{Request, Stage};
use super::{Rejection, Slot, ZooConfig};

/// One engine between two steps.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) now: SimTime,
    pub(super) longest: u32,
    pub(super) step_time: StepTimeModel,
    pub(super) requests: Vec<Request>,
    free_slots: Vec<Slot>,
    pub(super) queue: Queue,
    pub(super) pace: Pace,
    running: Vec<Slot>,
    swapped: Vec<Slot>,
    /// Requests that the policy gave up in its last call.
    pub(super) failed: Vec<Slot>,
    pub(super) decoding: Decoding,
    pub(super) kv: KvAccount,
    pub(super) padding: Padding,
    pub(super) draft: Draft,
    pub(super) totals: EngineTotals,
    next_stamp: u64,
}

impl State {
    pub(super) fn new(
        config: &EngineConfig,
        zoo: &ZooConfig,
        growth: KvGrowth,
        step_time: StepTimeModel,
    ) -> Self {
        Self {
            now: SimTime::ZERO,
            longest: config.max_model_len,
            step_time,
            requests: Vec::new(),
            free_slots: Vec::new(),
            queue: Queue::new(zoo),
            pace: Pace::default(),
            running: Vec::new(),
            swapped: Vec::new(),
            failed: Vec::new(),
            decoding: Decoding::default(),
            kv: KvAccount::new(config.block_size, config.usable_blocks(), growth),
            padding: Padding::default(),
            draft: Draft::default(),
            totals: EngineTotals::default(),
            next_stamp: 0,
        }
    }

    // ---- what a policy sees ----

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
    fn held_with(&self, slot: Slot, computed: u32) -> u32 {
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

    // ---- what a policy does ----

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

    /// Reserves blocks for so many tokens in all; a policy looks at [`KvAccount::free_blocks`] first. An engine that takes
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
    pub(super) fn renew_stamp(&mut self, slot: Slot) {
        self.requests[slot as usize].stamp = self.next_stamp;
        self.next_stamp += 1;
    }

    pub(super) fn throw_out(&mut self, slot: Slot) {
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

    // ---- what the framework does ----

    /// Why the server's front door refuses the request: nothing to compute, or no room for an output token.
    pub(super) fn too_long(&self, spec: &RequestSpec) -> Option<Rejection> {
        (spec.num_prompt_tokens == 0 || spec.num_prompt_tokens >= self.longest).then_some(Rejection::TooLong)
    }

    /// A request reaches the input queue.
    pub(super) fn insert(&mut self, arrival: Arrival) -> Slot {
        let request = Request::new(arrival, self.longest);
        if let Some(slot) = self.free_slots.pop() {
            self.requests[slot as usize] = request;
            slot
        } else {
            self.requests.push(request);
            (self.requests.len() - 1) as Slot
        }
    }

    /// It leaves the input queue and joins the waiting queue.
    pub(super) fn enqueue(&mut self, slot: Slot) {
        let request = &mut self.requests[slot as usize];
        request.stage = Stage::Waiting;
        request.life.queued = Some(self.now);
        self.queue.count_steps(self.decoding.launched);
        self.queue.push_back(slot, request);
    }

    /// It decodes from the next decode step on.
    pub(super) fn join_decoding(&mut self, slot: Slot) {
        let request = &mut self.requests[slot as usize];
        request.stage = Stage::Decoding;
        request.joined = self.decoding.launched;
        if self.kv.is_paged() {
            // From here on its blocks follow its tokens.
            let reserved = std::mem::take(&mut request.blocks);
            assert!(reserved <= self.kv.blocks_for(request.computed), "reserved beyond the prompt by page");
        }
        self.kv.join(request.joined, request.computed);
        self.decoding.join(slot, request);
        self.queue.joined(&self.requests[slot as usize], self.decoding.launched);
    }

    /// Writes down what decoding did to a request, which stops.
    pub(super) fn part_decoding(&mut self, slot: Slot) {
        let (computed, outputs) = (self.computed(slot), self.outputs(slot));
        let request = &mut self.requests[slot as usize];
        self.kv.part(request.joined, request.computed);
        self.decoding.part(request, computed);
        (request.computed, request.outputs) = (computed, outputs);
        if self.decoding.landed > request.joined {
            request.life.last_token = self.decoding.last_end;
        }
        request.stage = Stage::Prefilling;
        self.queue.parted(&self.requests[slot as usize], self.decoding.launched);
    }

    /// Takes a request out of the running list, its counts written down.
    pub(super) fn leave_batch(&mut self, slot: Slot) {
        if self.request(slot).stage == Stage::Decoding {
            self.part_decoding(slot);
        }
        let place = self.running.iter().position(|&other| other == slot).expect("a running request");
        self.running.remove(place);
    }

    /// A request leaves the engine. Its blocks are still there: the policy says what becomes of them.
    pub(super) fn withdraw(&mut self, slot: Slot) {
        match self.request(slot).stage {
            Stage::Prefilling | Stage::Decoding => self.leave_batch(slot),
            Stage::Waiting => self.queue.remove(slot, &self.requests[slot as usize], false),
            Stage::SwappedOut => self.swapped.retain(|&other| other != slot),
            Stage::Inbox | Stage::Gone => {}
        }
    }

    /// Its slot is free again.
    pub(super) fn forget(&mut self, slot: Slot) {
        let request = &mut self.requests[slot as usize];
        debug_assert_eq!(request.blocks, 0, "request {} leaves and holds blocks", request.index);
        request.stage = Stage::Gone;
        self.totals.num_departed += 1;
        self.free_slots.push(slot);
    }

    pub(super) fn has_unfinished(&self) -> bool {
        self.queue.len() + self.running.len() + self.swapped.len() > 0
    }

    pub(super) fn gauges(&self) -> EngineGauges {
        EngineGauges {
            num_waiting: (self.queue.len() + self.swapped.len()) as u32,
            num_running: self.running.len() as u32,
            used_blocks: self.kv.used_blocks(),
            held_blocks: self.kv.held_blocks(),
            held_tokens: self.kv.held_tokens(),
        }
    }

    /// The slots of all requests that have not left.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        (0..self.requests.len() as Slot).filter(|&slot| self.request(slot).stage != Stage::Gone)
    }
}
