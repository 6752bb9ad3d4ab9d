//! A closed system: clients that send, wait for the answer, think, and send again.

use kendall_des::{Distribution, SimDuration, SimTime, Stream, Streams};

use crate::record::{RequestRecord, RequestStatus};
use crate::request::{RequestSpec, SessionTurn, Workload, WorkloadError};

use super::body::RequestClass;
use super::extent::{Extent, SyntheticError};
use super::mixture::Mixture;

/// A client whose request was refused waits at least so long: without it, one that never thinks and whose requests are all too long
/// would send for ever at one instant.
const AFTER_REFUSAL: SimDuration = SimDuration::from_millis(1);

/// The parts of a closed system.
#[derive(Debug, Clone)]
pub struct ClosedLoopConfig {
    /// Requests in all, or the time after which none is sent.
    pub extent: Extent,
    /// Number of clients, at least 1.
    pub concurrency: u32,
    /// Time between an answer and the next request (s); none if absent.
    pub think_time: Option<Distribution>,
    /// Time over which clients send their first requests, at equal distances.
    pub ramp_up: SimDuration,
    /// What they send.
    pub classes: Vec<RequestClass>,
}

/// Client `c` of `n` sends requests `c`, `c + n`, `c + 2 n`, ...: each request has its numbers whatever the server did. A client whose
/// next number is beyond the number of requests is done, so that at the end of a run fewer and fewer send.
#[derive(Debug)]
pub struct ClosedLoop {
    classes: Mixture,
    concurrency: u64,
    requests: u64,
    /// No request is sent after this.
    last_send: SimTime,
    think_time: Option<Distribution>,
    think_times: Stream,
    ramp_up: SimDuration,
    /// The next client to send its first request.
    next: u64,
}

impl ClosedLoop {
    /// The clients under the replication's streams.
    ///
    /// # Errors
    /// If a parameter lies outside its domain, or there is no end.
    pub fn new(config: &ClosedLoopConfig, streams: Streams) -> Result<Self, SyntheticError> {
        config.extent.check(None, None)?;
        let (requests, last_send) = match config.extent {
            Extent::Requests(requests) => (requests, SimTime::MAX),
            Extent::Duration(duration) => (u64::MAX, SimTime::ZERO + duration),
            Extent::Everything | Extent::Unbounded => return Err(SyntheticError::Endless),
        };
        Ok(Self {
            classes: Mixture::new(&config.classes, 0, true, streams)?,
            concurrency: u64::from(config.concurrency.max(1)),
            requests,
            last_send,
            think_time: config.think_time.clone(),
            think_times: streams.stream(super::CLIENT_THINK_TIMES),
            ramp_up: config.ramp_up,
            next: 0,
        })
    }

    /// When the client that sent request `number`, and has its answer, sends the next one; `None` beyond the horizon.
    fn after_thinking(&mut self, number: u64, answered: SimTime) -> Option<SimTime> {
        let Some(think_time) = &self.think_time else { return Some(answered) };
        let thinking =
            SimDuration::from_secs_f64(think_time.sample(&mut self.think_times.entity(number))).ok()?;
        answered.checked_add(thinking)
    }
}

impl Workload for ClosedLoop {
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>> {
        let client = self.next;
        if client >= self.concurrency.min(self.requests) {
            return None;
        }
        let offset = u128::from(self.ramp_up.as_ps()) * u128::from(client) / u128::from(self.concurrency);
        // At most the ramp-up time itself.
        let arrival = SimTime::from_ps(u64::try_from(offset).unwrap_or(u64::MAX));
        if arrival > self.last_send {
            self.next = self.concurrency;
            return None;
        }
        self.next += 1;
        Some(Ok(self.classes.request(client, arrival)))
    }

    fn departed(&mut self, record: &RequestRecord) -> Option<RequestSpec> {
        if let Some(follow_up) = self.classes.departed(record) {
            return Some(follow_up);
        }
        let SessionTurn { session, .. } = record.session?;
        let number = session.checked_add(self.concurrency).filter(|&number| number < self.requests)?;
        let mut arrival = self.after_thinking(session, record.finish)?;
        if record.status == RequestStatus::Rejected {
            arrival = arrival.max(record.finish.checked_add(AFTER_REFUSAL)?);
        }
        (arrival <= self.last_send).then(|| self.classes.request(number, arrival))
    }

    fn shares_tokens(&self) -> bool {
        self.classes.shares_tokens()
    }
}
