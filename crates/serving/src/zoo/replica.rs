//! An engine of the zoo in time: its input queue, the step in flight, and when it looks at what.
//!
//! The same life as [`crate::engine::Replica`], scheduled synchronously: it sleeps while a step runs, and at a step boundary
//! takes in what has arrived and plans the next one.

use std::collections::VecDeque;

use kendall_des::{SimDuration, SimTime, Streams};
use rustc_hash::FxHashMap;

use crate::engine::{Arrival, EngineConfig, EngineTotals, Wake};
use crate::observe::Observer;
use crate::record::{RequestStatus, StepRecord};
use crate::request::RequestSpec;
use crate::router::ReplicaLoad;
use crate::step_time::{BatchShape, StepTimeModel};

use super::admission::Door;
use super::engines::AnyPolicy;
use super::policy::{Plan, Policy};
use super::request::Stage;
use super::{Rejection, Slot, State, ZooConfig};

/// The step that runs.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub start: SimTime,
    pub end: SimTime,
    pub shape: BatchShape,
    pub decodes: bool,
    /// Whether it decodes, computes no prompt, and took no extra time.
    pub is_plain: bool,
    pub record: Option<Box<StepRecord>>,
}

#[derive(Debug, Clone)]
enum Input {
    Add(Slot),
    Abort(u64),
}

/// One engine of the zoo.
#[derive(Debug, Clone)]
pub struct ZooReplica {
    pub(super) id: u32,
    pub(super) state: State,
    pub(super) policy: AnyPolicy,
    door: Door,
    one_by_one: bool,
    inbox: VecDeque<Input>,
    /// Requests in the input queue that are not aborts.
    num_inbox: u32,
    pub(super) flight: Option<Flight>,
    /// Where the requests are that a client may still abort.
    abortable: FxHashMap<u64, Slot>,
    num_recorded: u64,
    /// Steps since a token was delivered.
    pub(super) fruitless_steps: u64,
    /// Whether it sleeps through several ends of steps.
    pub(super) in_run: bool,
    /// For how many further steps the plan of the one in flight holds.
    pub(super) holds: u64,
    /// When it wants to be asked again although nothing is in flight.
    sleeps_until: Option<SimTime>,
    beyond_horizon: bool,
    pub(super) finished: Vec<u64>,
}

impl ZooReplica {
    /// A replica with number `id` of the engine that the configuration names.
    pub fn new(id: u32, zoo: &ZooConfig, engine: &EngineConfig, step_time: StepTimeModel) -> Self {
        let policy = zoo.engine.policy();
        Self {
            id,
            state: State::new(engine, zoo, policy.kv_growth(), step_time),
            policy,
            door: Door::new(&zoo.admission, &zoo.ttft_limits),
            one_by_one: engine.one_by_one,
            inbox: VecDeque::new(),
            num_inbox: 0,
            flight: None,
            abortable: FxHashMap::default(),
            num_recorded: 0,
            fruitless_steps: 0,
            in_run: false,
            holds: 0,
            sleeps_until: None,
            beyond_horizon: false,
            finished: Vec::new(),
        }
    }

    /// Predicted lengths err by these streams; without this, by those of seed 0.
    pub fn draw_from(&mut self, streams: Streams) {
        self.state.queue.draw_from(streams);
    }

    /// What the policy sees.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Counts so far.
    pub fn totals(&self) -> EngineTotals {
        self.state.totals
    }

    /// Checks invariants 3 and 4 between two steps. Costs O(requests): for tests.
    ///
    /// # Errors
    /// Says which is broken.
    pub fn check(&self) -> Result<(), String> {
        self.state.check()
    }

    /// Whether nothing is in flight, so that an input must wake it.
    pub fn is_idle(&self) -> bool {
        self.flight.is_none()
    }

    /// Whether it sleeps through a step that ends at `now`. It must have been caught up.
    pub(crate) fn sleeps_through(&self, now: SimTime) -> bool {
        self.in_run && self.flight.as_ref().is_some_and(|flight| flight.end == now)
    }

    /// What it reports to a router. A sleeping replica must have been caught up.
    pub(crate) fn load(&self) -> ReplicaLoad {
        let gauges = self.state.gauges();
        ReplicaLoad {
            num_waiting: gauges.num_waiting + self.num_inbox,
            num_running: gauges.num_running,
            used_blocks: gauges.used_blocks,
        }
    }

    /// Why a request that arrives at `now` is turned away, if it is. A sleeping replica must have been caught up.
    pub fn refuse(&self, spec: &RequestSpec, now: SimTime) -> Option<Rejection> {
        let num_waiting = self.state.num_waiting() as u32 + self.num_inbox;
        self.state
            .too_long(spec)
            .or_else(|| self.door.refuses(spec, now, num_waiting, &self.state))
            .or_else(|| self.policy.refuse(&self.state, spec))
    }

    /// A request reaches the input queue.
    pub fn submit(&mut self, arrival: Arrival) {
        let abortable = arrival.spec.abort.map(|_| arrival.index);
        let slot = self.state.insert(arrival);
        if let Some(index) = abortable {
            self.abortable.insert(index, slot);
        }
        self.door.entered(self.state.request(slot), &self.state);
        self.policy.arrived(&mut self.state, slot);
        self.inbox.push_back(Input::Add(slot));
        self.num_inbox += 1;
    }

    /// A client gives up on request `index`. Returns whether that request is still here.
    pub fn abort(&mut self, index: u64) -> bool {
        let is_here = self.abortable.contains_key(&index);
        if is_here {
            self.inbox.push_back(Input::Abort(index));
        }
        is_here
    }

    pub(super) fn inbox_is_empty(&self) -> bool {
        self.inbox.is_empty()
    }

    /// Something has reached the replica: it wakes at the end of its step. Returns when that is, if it would have slept
    /// through it.
    pub fn interrupt(&mut self) -> Option<SimTime> {
        let in_run = std::mem::replace(&mut self.in_run, false);
        self.flight.as_ref().filter(|_| in_run).map(|flight| flight.end)
    }

    /// Advances a sleeping replica over all steps that ended before `now`.
    pub fn catch_up(&mut self, now: SimTime, observer: &mut impl Observer) {
        while self.in_run && self.flight.as_ref().is_some_and(|flight| flight.end < now) {
            if self.leap(now, observer) {
                continue;
            }
            let Some(end) = self.flight.as_ref().map(|flight| flight.end) else { return };
            self.complete(end, observer);
            if !self.launch(end, observer) {
                self.beyond_horizon = true;
                return;
            }
        }
    }

    /// The step in flight, if there is one, ended at `now`. The replica must be told to advance at the same instant.
    pub fn complete(&mut self, now: SimTime, observer: &mut impl Observer) {
        self.state.now = now;
        let aborted = if self.abortable.is_empty() { Vec::new() } else { self.abort_known(now, observer) };
        let Some(flight) = self.flight.take() else { return };
        self.finished.clear();
        if self.land(&flight, now, observer) || !aborted.is_empty() {
            self.fruitless_steps = 0;
        }
        if !self.abortable.is_empty() {
            for index in &self.finished {
                self.abortable.remove(index);
            }
        }
        if let Some(mut record) = flight.record {
            record.end = now;
            record.finished.clone_from(&self.finished);
            record.aborted = aborted;
            record.free_blocks_end = self.state.kv.free_blocks();
            observer.step(*record);
        }
        observer.inspect_zoo(self.id, self);
    }

    /// The engine is awake at `now`: it takes in what has arrived and plans a step.
    pub fn advance(&mut self, now: SimTime, observer: &mut impl Observer) -> Wake {
        self.state.now = now;
        self.drain(now, observer);
        if self.beyond_horizon || !self.launch(now, observer) {
            return Wake::BeyondHorizon;
        }
        self.in_run = false;
        let Some(end) = self.flight.as_ref().map(|flight| flight.end) else {
            return match self.sleeps_until {
                Some(until) => Wake::At(until),
                None if self.state.has_unfinished() => Wake::Stalled,
                None => Wake::OnArrival,
            };
        };
        if self.fruitless_steps > 10_000 + 4 * u64::from(self.state.longest) {
            return Wake::Stalled;
        }
        match self.end_of_run(observer.wants_steps() || self.one_by_one) {
            Some(end) => {
                self.in_run = true;
                Wake::At(end)
            }
            None => Wake::At(end),
        }
    }

    /// Plans a step and hands it to the device, if none is in flight; `false` beyond the horizon.
    fn launch(&mut self, now: SimTime, observer: &mut impl Observer) -> bool {
        if self.flight.is_none() {
            self.state.now = now;
            self.sleeps_until = None;
            let something_to_do = self.state.has_unfinished() || self.state.padding.blocks > 0;
            let idle = Plan::Sleep { until: None };
            match if something_to_do { self.plan(now, observer) } else { idle } {
                Plan::Run { holds } => {
                    self.holds = holds;
                    if !self.take_off(now, observer.wants_steps()) {
                        return false;
                    }
                }
                Plan::Sleep { until } => self.sleeps_until = until.filter(|&until| until > now),
            }
        }
        observer.gauges(self.id, now, self.state.gauges());
        observer.inspect_zoo(self.id, self);
        true
    }

    /// What the policy decides, once whoever it gave up has left.
    fn plan(&mut self, now: SimTime, observer: &mut impl Observer) -> Plan {
        loop {
            let plan = self.policy.plan(&mut self.state);
            let failed = std::mem::take(&mut self.state.failed);
            if failed.is_empty() {
                return plan;
            }
            for slot in failed {
                self.abortable.remove(&self.state.request(slot).index);
                self.depart(slot, RequestStatus::Rejected, now, observer);
            }
        }
    }

    /// The step that was put together runs.
    fn take_off(&mut self, now: SimTime, recorded: bool) -> bool {
        let (shape, extra) = self.state.shape();
        let record = recorded.then(|| {
            let step = self.num_recorded;
            self.num_recorded += 1;
            Box::new(self.state.record_step(self.id, step, shape, self.policy.first_token_from_prefill()))
        });
        self.state.launch_decoding();
        let draft = &mut self.state.draft;
        let (decodes, has_chunks) = (std::mem::take(&mut draft.decode), !draft.chunks.is_empty());
        draft.preempted.clear();
        draft.padding = BatchShape::default();
        draft.extra = SimDuration::ZERO;
        let duration = self.state.step_time.step_time(&shape);
        let Some(end) = now.checked_add(duration).and_then(|end| end.checked_add(extra)) else {
            return false;
        };
        if !decodes && !has_chunks && extra == SimDuration::ZERO {
            // Nothing to do: the policy should have said so.
            return true;
        }
        let is_plain = decodes && !has_chunks && extra == SimDuration::ZERO;
        self.flight = Some(Flight { start: now, end, shape, decodes, is_plain, record });
        let totals = &mut self.state.totals;
        totals.num_steps += 1;
        totals.num_prefill_tokens += shape.prefill_tokens;
        totals.num_decode_tokens += shape.decode_seqs;
        self.fruitless_steps += 1;
        true
    }

    /// Takes in everything that has arrived, in order.
    fn drain(&mut self, now: SimTime, observer: &mut impl Observer) {
        while let Some(input) = self.inbox.pop_front() {
            match input {
                Input::Add(slot) => {
                    self.num_inbox -= 1;
                    self.state.enqueue(slot);
                }
                Input::Abort(index) => self.abort_now(index, now, observer),
            }
        }
    }

    /// Carries out the aborts that arrived during a step, of requests that the engine has taken in.
    fn abort_known(&mut self, now: SimTime, observer: &mut impl Observer) -> Vec<u64> {
        let mut aborted = Vec::new();
        for _ in 0..self.inbox.len() {
            match self.inbox.pop_front() {
                Some(Input::Abort(index))
                    if self
                        .abortable
                        .get(&index)
                        .is_some_and(|&slot| self.state.request(slot).stage() != Stage::Inbox) =>
                {
                    self.abort_now(index, now, observer);
                    aborted.push(index);
                }
                Some(other) => self.inbox.push_back(other),
                None => break,
            }
        }
        aborted
    }

    fn abort_now(&mut self, index: u64, now: SimTime, observer: &mut impl Observer) {
        if let Some(slot) = self.abortable.remove(&index) {
            self.depart(slot, RequestStatus::Aborted, now, observer);
        }
    }

    /// A request leaves and is reported.
    pub(super) fn depart(
        &mut self,
        slot: Slot,
        status: RequestStatus,
        now: SimTime,
        observer: &mut impl Observer,
    ) {
        self.state.withdraw(slot);
        self.door.left(self.state.request(slot), &self.state);
        let computed = self.state.request(slot).computed;
        if self.state.request(slot).stage() != Stage::SwappedOut {
            self.state.kv.remove_tokens(u64::from(computed));
        }
        self.policy.leaves(&mut self.state, slot);
        let request = &mut self.state.requests[slot as usize];
        request.computed = 0;
        observer.departed(&request.record(status, self.id, now, request.outputs));
        self.state.forget(slot);
    }

    /// Reports the requests that have not left, in order of their number.
    pub fn report_unfinished(&mut self, now: SimTime, observer: &mut impl Observer) {
        let mut slots: Vec<_> = self.state.slots().collect();
        slots.sort_unstable_by_key(|&slot| self.state.request(slot).index);
        for slot in slots {
            let outputs = self.state.outputs(slot);
            let mut request = self.state.request(slot).clone();
            if outputs > request.outputs {
                request.life.last_token = self.state.decoding.last_end;
            }
            observer.departed(&request.record(RequestStatus::Unfinished, self.id, now, outputs));
        }
    }

    /// Numbers of the requests that wait or run, in order.
    pub fn requests_in_system(&self) -> Vec<u64> {
        let mut numbers: Vec<_> = self.state.slots().map(|slot| self.state.request(slot).index).collect();
        numbers.sort_unstable();
        numbers
    }
}
