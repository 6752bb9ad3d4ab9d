//! Clients that together have at most so many requests outstanding, as with `vllm bench serve --max-concurrency`.

use kendall_des::SimTime;

use crate::record::RequestRecord;
use crate::request::{RequestSpec, Workload, WorkloadError};

/// Holds back requests of another workload while `limit` are outstanding. A request that was held back arrives when one
/// departs; its latency counts from there, as the benchmark's does.
pub struct ConcurrencyLimited {
    inner: Box<dyn Workload + Send>,
    limit: u64,
    outstanding: u64,
    /// The request that is held back.
    held: Option<RequestSpec>,
    /// No request arrives before this.
    now: SimTime,
}

impl ConcurrencyLimited {
    /// At most `limit` (at least 1) requests of `inner` outstanding.
    pub fn new(inner: Box<dyn Workload + Send>, limit: u64) -> Self {
        Self { inner, limit: limit.max(1), outstanding: 0, held: None, now: SimTime::ZERO }
    }

    fn send(&mut self, mut spec: RequestSpec) -> RequestSpec {
        self.outstanding += 1;
        let sent = spec.arrival.max(self.now);
        // A client's patience begins when it sends.
        let held_back = sent - spec.arrival;
        spec.abort = spec.abort.map(|abort| abort.checked_add(held_back).unwrap_or(SimTime::MAX));
        spec.arrival = sent;
        self.now = sent;
        spec
    }
}

impl Workload for ConcurrencyLimited {
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>> {
        if self.held.is_none() {
            match self.inner.next_request()? {
                Ok(spec) => self.held = Some(spec),
                Err(error) => return Some(Err(error)),
            }
        }
        if self.outstanding >= self.limit {
            return None;
        }
        let spec = self.held.take()?;
        Some(Ok(self.send(spec)))
    }

    fn departed(&mut self, record: &RequestRecord) -> Option<RequestSpec> {
        self.outstanding -= 1;
        self.now = self.now.max(record.finish);
        if let Some(follow_up) = self.inner.departed(record) {
            // A conversation keeps its place: the client thinks and goes on.
            self.outstanding += 1;
            return Some(follow_up);
        }
        let spec = self.held.take()?;
        Some(self.send(spec))
    }

    fn shares_tokens(&self) -> bool {
        self.inner.shares_tokens()
    }
}
