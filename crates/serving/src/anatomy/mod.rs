//! Where the latency of a request went: the anatomy of single requests, from the steps of a run.
//!
//! A run reports the parts of each TTFT ([`crate::TtftParts`]). What a request waited for, and where its time after the
//! first token went, follows from the steps around it. They are too many to keep for every request, and a run is
//! deterministic; so it is played twice: first at full speed to choose requests, then step by step, with an [`Anatomist`]
//! that follows those.

mod choice;
mod follow;
mod parts;

pub use choice::{Ranking, RequestChoice};
pub use parts::{LatencyPart, LatencyParts};

use kendall_des::{SimDuration, SimTime};

use crate::engine::EngineGauges;
use crate::observe::Observer;
use crate::record::{RequestRecord, StepRecord};
use crate::simulation::{FrontEndParts, SimulationConfig};

use follow::{Followed, Rules};

/// Where the time of one request went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anatomy {
    /// What the run says of it.
    pub record: RequestRecord,
    /// From the client's send to the first token; to the departure if there was none.
    pub to_first_token: LatencyParts,
    /// The front end's part of it.
    pub front_end: FrontEndParts,
    /// From the first token to the departure.
    pub after: LatencyParts,
    /// What happened to it, in order.
    pub events: Vec<LifeEvent>,
    /// Steps that computed tokens of it.
    pub num_steps: u64,
    /// Those of them that had prompt chunks of others.
    pub num_steps_with_chunks: u64,
    /// Sum over its steps of the sequences in them, itself included.
    pub sum_of_batch_sizes: u64,
}

impl Anatomy {
    /// The whole life, from the client's send to the departure.
    pub fn whole(&self) -> LatencyParts {
        self.to_first_token.and(&self.after)
    }

    /// From the client's send to the departure.
    pub fn sojourn(&self) -> SimDuration {
        self.record.finish - self.record.arrival
    }
}

/// A turn in the life of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifeEvent {
    /// When.
    pub at: SimTime,
    /// What.
    pub what: Turn,
    /// Requests in the running list after the scheduling step in which it happened.
    pub num_running: u32,
    /// Requests in the waiting queue after it.
    pub num_waiting: u32,
    /// Free KV blocks after it.
    pub free_blocks: u32,
}

/// What can happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It joined the batch, with so many prompt tokens found in the prefix cache.
    Admitted {
        /// Those tokens.
        cached_tokens: u32,
    },
    /// It lost its blocks, with so many computed tokens in them.
    Preempted {
        /// Those tokens.
        lost_tokens: u32,
    },
    /// It joined the batch again.
    Resumed,
}

/// Follows chosen requests through the steps of a run.
pub struct Anatomist<'a> {
    config: &'a SimulationConfig,
    requests: Vec<Followed>,
    /// The last step of each replica, whose result has not been accounted.
    held: Vec<Option<StepRecord>>,
    /// When the last of the requests left.
    until: SimTime,
    is_past: bool,
}

impl<'a> Anatomist<'a> {
    /// Follows the requests with these records, which an earlier play of the same run left.
    pub fn new(config: &'a SimulationConfig, records: Vec<RequestRecord>) -> Self {
        let until = records.iter().map(|record| record.finish).max().unwrap_or(SimTime::ZERO);
        let is_past = records.is_empty();
        Self {
            config,
            requests: records.into_iter().map(|record| Followed::new(record, &config.front_end)).collect(),
            held: vec![None; config.replicas as usize],
            until,
            is_past,
        }
    }

    /// What was found, in the order in which the records were given.
    pub fn finish(mut self) -> Vec<Anatomy> {
        let rules = Rules::of(self.config);
        for step in self.held.iter().flatten() {
            self.requests.iter_mut().for_each(|request| request.result(step, &rules));
        }
        self.requests.into_iter().map(Followed::finish).collect()
    }
}

impl Observer for Anatomist<'_> {
    fn token_gaps(&mut self, _gap: SimDuration, _n: u64) {}

    fn departed(&mut self, _record: &RequestRecord) {}

    fn gauges(&mut self, _replica: u32, _now: SimTime, _gauges: EngineGauges) {}

    fn wants_steps(&self) -> bool {
        true
    }

    fn wants_to_stop(&self) -> bool {
        self.is_past
    }

    fn step(&mut self, step: StepRecord) {
        self.is_past = step.end > self.until;
        self.follow(&step);
        let replica = step.replica as usize;
        self.held[replica] = Some(step);
    }

    fn step_cut_off(&mut self, step: StepRecord) {
        self.follow(&step);
    }
}

impl Anatomist<'_> {
    /// What a step decided, and the result of the one before: steps come when their results are processed, and with asynchronous
    /// scheduling the next one was scheduled before.
    fn follow(&mut self, step: &StepRecord) {
        let rules = Rules::of(self.config);
        let held = self.held[step.replica as usize].take();
        let overlap = held.as_ref().is_some_and(|held| step.scheduled < held.end);
        let replica = step.replica;
        for request in self.requests.iter_mut().filter(|request| request.is_on(replica)) {
            if overlap {
                request.scheduling(step, &rules);
            }
            if let Some(held) = &held {
                request.result(held, &rules);
            }
            if !overlap {
                request.scheduling(step, &rules);
            }
        }
    }
}
