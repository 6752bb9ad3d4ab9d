//! One engine in time: its input queue, the batches in flight, and when it looks at what.
//!
//! Rules: vLLM 0.32, `vllm/v1/engine/core.py`, `EngineCore.step` and `step_with_batch_queue`. The engine sleeps while a
//! batch runs. At a step boundary it drains its input queue, schedules, and sleeps again; with asynchronous scheduling
//! it keeps two batches in flight and wakes when the older one ends.

use std::collections::VecDeque;

use kendall_des::SimTime;
use rustc_hash::FxHashMap;

use crate::observe::Observer;
use crate::record::{RequestStatus, RowKind, StepRecord, StepRow};
use crate::router::ReplicaLoad;

use super::in_flight::{Flight, InFlight};
use super::request::Status;
use super::scheduler::SchedulerOutput;
use super::{Arrival, Engine, Slot};

/// What a replica waits for after it was driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// For a request: nothing is in flight and nothing can be scheduled.
    OnArrival,
    /// For the end of its oldest batch.
    At(SimTime),
    /// For nothing: it schedules again and again without delivering a token (invariant 8).
    Stalled,
    /// For nothing: its next step would end beyond the horizon of simulated time.
    BeyondHorizon,
}

/// One engine, its input queue and its batches in flight.
#[derive(Debug, Clone)]
pub struct Replica {
    pub(super) id: u32,
    pub(super) engine: Engine,
    pub(super) inbox: VecDeque<Input>,
    pub(super) in_flight: InFlight,
    /// Where the requests are that a client may still abort.
    abortable: FxHashMap<u64, Slot>,
    /// Number of recorded steps.
    num_recorded: u64,
    /// Steps since a token was delivered.
    pub(super) fruitless_steps: u64,
    /// Whether it sleeps through several ends of batches.
    pub(super) in_run: bool,
    /// Whether a batch in a run would have ended beyond the horizon.
    pub(super) beyond_horizon: bool,
    /// Who left at the last result.
    finished: Vec<u64>,
}

#[derive(Debug, Clone)]
pub(super) enum Input {
    Add(Arrival),
    Abort(u64),
}

impl Replica {
    /// A replica with number `id` around an idle engine.
    pub fn new(id: u32, engine: Engine) -> Self {
        Self {
            id,
            engine,
            inbox: VecDeque::new(),
            in_flight: InFlight::default(),
            abortable: FxHashMap::default(),
            num_recorded: 0,
            fruitless_steps: 0,
            in_run: false,
            beyond_horizon: false,
            finished: Vec::new(),
        }
    }

    pub(crate) fn expect_unshared_tokens(&mut self) {
        self.engine.expect_unshared_tokens();
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether nothing is in flight, so that an input must wake it.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Whether it sleeps through a batch that ends at `now`. It must have been caught up.
    pub(crate) fn sleeps_through(&self, now: SimTime) -> bool {
        self.in_run && self.in_flight.oldest().is_some_and(|oldest| oldest.end == now)
    }

    /// What it reports to a router. A sleeping replica must have been caught up.
    pub(crate) fn load(&self) -> ReplicaLoad {
        let gauges = self.engine.gauges();
        let queued = self.inbox.iter().filter(|input| matches!(input, Input::Add(_))).count() as u32;
        ReplicaLoad {
            num_waiting: gauges.num_waiting + queued,
            num_running: gauges.num_running,
            used_blocks: gauges.used_blocks,
        }
    }

    /// A request reaches the input queue.
    #[inline]
    pub fn submit(&mut self, arrival: Arrival) {
        self.inbox.push_back(Input::Add(arrival));
    }

    /// A client gives up on request `index`. Returns whether that request is still here.
    pub fn abort(&mut self, index: u64) -> bool {
        let queued = |input: &Input| matches!(input, Input::Add(arrival) if arrival.index == index);
        let is_here = self.abortable.contains_key(&index) || self.inbox.iter().any(queued);
        if is_here {
            self.inbox.push_back(Input::Abort(index));
        }
        is_here
    }

    /// The oldest batch ended at `now`. The replica must be told to advance at the same instant.
    ///
    /// # Panics
    /// If nothing was in flight.
    #[inline]
    pub fn complete(&mut self, now: SimTime, observer: &mut impl Observer) {
        let goes_on = self.in_flight.oldest().and_then(Flight::rows_that_go_on);
        if let Some(count) = goes_on.filter(|_| self.abortable.is_empty()) {
            self.engine.deliver_to_members(count, now, observer);
            self.fruitless_steps = 0;
        } else {
            self.process_result(now, observer);
        }
        self.in_flight.pop();
        observer.inspect(self.id, &self.engine);
    }

    /// The result of the oldest batch, of whatever kind.
    #[inline(never)]
    fn process_result(&mut self, now: SimTime, observer: &mut impl Observer) {
        let aborted = if self.abortable.is_empty() { Vec::new() } else { self.abort_known(now, observer) };
        let flight = self.in_flight.oldest_mut().expect("a batch was in flight");
        let batch = &flight.batch;
        self.finished.clear();
        self.engine.update_from_output(batch, self.id, now, &mut self.finished, observer);
        if batch.cohort.count > 0 || batch.rows.iter().any(|row| row.delivers) || !aborted.is_empty() {
            self.fruitless_steps = 0;
        }
        if !self.abortable.is_empty() {
            for index in &self.finished {
                self.abortable.remove(index);
            }
        }
        if let Some(mut record) = flight.record.take() {
            record.end = now;
            record.finished.clone_from(&self.finished);
            record.aborted = aborted;
            record.free_blocks_end = self.engine.kv.num_free();
            observer.step(*record);
        }
    }

    /// The engine is awake at `now`: it takes in what has arrived and schedules as far as it can.
    pub fn advance(&mut self, now: SimTime, observer: &mut impl Observer) -> Wake {
        self.drain(now, observer);
        if self.beyond_horizon || !self.launch_all(now, observer) {
            return Wake::BeyondHorizon;
        }
        if self.fruitless_steps > 10_000 + 4 * u64::from(self.engine.config.max_model_len) {
            return Wake::Stalled;
        }
        self.in_run = false;
        let Some(oldest) = self.in_flight.oldest() else { return Wake::OnArrival };
        match self.end_of_run(observer.wants_steps()) {
            Some(end) => {
                self.in_run = true;
                Wake::At(end)
            }
            None => Wake::At(oldest.end),
        }
    }

    /// Schedules as far as the engine can; `false` beyond the horizon.
    pub(super) fn launch_all(&mut self, now: SimTime, observer: &mut impl Observer) -> bool {
        let depth = if self.engine.config.async_scheduling { 2 } else { 1 };
        while self.in_flight.len() < depth && self.engine.has_unfinished() {
            if !self.launch(now, observer) {
                return false;
            }
            self.fruitless_steps += 1;
        }
        observer.gauges(self.id, now, self.engine.gauges());
        observer.inspect(self.id, &self.engine);
        true
    }

    /// Schedules one batch and hands it to the device, which runs batches one after another; `false` beyond the horizon.
    fn launch(&mut self, now: SimTime, observer: &impl Observer) -> bool {
        let start = self.in_flight.newest().map_or(now, |newest| newest.end.max(now));
        let (flight, before) = self.in_flight.next_place();
        let batch = &mut flight.batch;
        self.engine.schedule(now, batch, before.map(|flight| &mut flight.batch));
        let Some(end) = start.checked_add(self.engine.step_time.step_time(&batch.shape)) else {
            return false;
        };
        flight.end = end;
        let totals = &mut self.engine.totals;
        totals.num_steps += u64::from(batch.has_rows());
        totals.num_prefill_tokens += batch.shape.prefill_tokens;
        totals.num_decode_tokens += batch.shape.decode_seqs;
        let worth_recording = batch.has_rows() || !batch.preempted.is_empty();
        if observer.wants_steps() && worth_recording {
            let record = record(self.id, self.num_recorded, &self.engine, batch, now, (start, end));
            flight.record = Some(Box::new(record));
            self.num_recorded += 1;
        }
        self.in_flight.push();
        true
    }

    /// Takes in everything that has arrived, in order.
    fn drain(&mut self, now: SimTime, observer: &mut impl Observer) {
        while let Some(input) = self.inbox.pop_front() {
            self.fruitless_steps = 0;
            match input {
                Input::Add(arrival) => {
                    let slot = self.engine.add_request(&arrival, now);
                    if arrival.spec.abort.is_some() {
                        self.abortable.insert(arrival.index, slot);
                    }
                }
                Input::Abort(index) => {
                    self.engine.dissolve_cohort(self.in_flight.iter_mut().map(|flight| &mut flight.batch));
                    self.abort_now(index, now, observer);
                }
            }
        }
    }

    /// Carries out the aborts that arrived during a step, of requests that the engine has taken in.
    fn abort_known(&mut self, now: SimTime, observer: &mut impl Observer) -> Vec<u64> {
        let mut aborted = Vec::new();
        for _ in 0..self.inbox.len() {
            match self.inbox.pop_front() {
                Some(Input::Abort(index)) if self.abortable.contains_key(&index) => {
                    self.engine.dissolve_cohort(self.in_flight.iter_mut().map(|flight| &mut flight.batch));
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
            debug_assert_ne!(self.engine.requests[slot as usize].status, Status::Finished);
            self.engine.abort(slot, self.id, now, observer);
        }
    }

    /// The run is over. Reports the steps that are in flight, and the requests that have not left, in order of their number: first
    /// those in the engine, then those in its input queue.
    pub fn report_unfinished(&mut self, now: SimTime, observer: &mut impl Observer) {
        for flight in self.in_flight.iter_mut() {
            if let Some(record) = flight.record.take() {
                observer.step_cut_off(*record);
            }
        }
        self.engine.report_unfinished(self.id, now, observer);
        for input in &self.inbox {
            if let Input::Add(arrival) = input {
                observer.departed(&arrival.record(RequestStatus::Unfinished, self.id, now));
            }
        }
    }
}

/// The record of the batch that the engine has just scheduled, without its outcome.
fn record(
    replica: u32,
    step: u64,
    engine: &Engine,
    batch: &SchedulerOutput,
    scheduled: SimTime,
    (start, end): (SimTime, SimTime),
) -> StepRecord {
    let number = |&slot: &Slot| engine.requests[slot as usize].index;
    // The batch is the one before the next.
    let of_members = engine.running.iter().filter_map(|&slot| engine.member_row(slot, engine.next_batch - 1));
    let rows = of_members.chain(batch.rows.iter().copied()).map(|row| {
        let table = &engine.requests[row.slot as usize].blocks.table;
        let already = if row.kind == RowKind::Running { row.blocks_before as usize } else { 0 };
        StepRow {
            request: number(&row.slot),
            num_tokens: row.num_tokens,
            num_computed_tokens: row.num_computed_tokens,
            kind: row.kind,
            delivers: row.delivers,
            blocks: table.get(already..).unwrap_or_default().to_vec(),
        }
    });
    let gauges = engine.gauges();
    StepRecord {
        replica,
        step,
        scheduled,
        start,
        end,
        rows: rows.collect(),
        preempted: batch.preempted.iter().map(number).collect(),
        finished: Vec::new(),
        aborted: Vec::new(),
        num_waiting: gauges.num_waiting,
        num_running: gauges.num_running,
        free_blocks: engine.kv.num_free(),
        free_blocks_end: 0,
        shape: batch.shape,
    }
}
