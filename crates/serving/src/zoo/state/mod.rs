//! What an engine of the zoo sees and does: requests, waiting queue, running list, KV account, and the step that is being
//! put together.
//!
//! A policy is called between two steps, when nothing is in flight. It looks (`waiting`, `running`, `kv`), acts on requests
//! (`admit`, `reserve`, `preempt`, `swap_out`) and says what the next step computes (`prefill`, `decode`). What it sees is in
//! `view`, what it does in `actions`; here is what the framework does.

mod actions;
mod view;

use kendall_des::SimTime;

use crate::engine::{Arrival, EngineConfig, EngineGauges, EngineTotals};
use crate::request::RequestSpec;
use crate::step_time::StepTimeModel;

use super::admission::Pace;
use super::decoding::Decoding;
use super::draft::{Draft, Padding};
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
