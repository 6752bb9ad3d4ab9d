//! What `vllm bench serve` keeps of a run beyond its metrics.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{RequestRecord, RequestStatus, StepRecord};

/// A request as the client saw it.
#[derive(Debug, Clone)]
pub(super) struct SentRequest {
    pub record: RequestRecord,
    /// Time that it waited at the client for `--max-concurrency`.
    pub client_queue: SimDuration,
    /// When its tokens were delivered; only of detailed results.
    pub tokens: Vec<SimTime>,
}

/// Keeps the requests of a run and when tokens were delivered. Memory grows with requests and steps, and for detailed
/// results with tokens.
#[derive(Debug, Default)]
pub struct BenchRecorder {
    detailed: bool,
    /// When requests would have been sent without `--max-concurrency`, by number; empty if that is when they were sent.
    planned: Vec<SimTime>,
    /// By number; `None` while in the system.
    records: Vec<Option<RequestRecord>>,
    /// Delivery times by number of the request.
    tokens: Vec<Vec<SimTime>>,
    /// Ends of steps and tokens delivered then.
    deliveries: Vec<(SimTime, u64)>,
}

impl BenchRecorder {
    /// An empty recorder; `planned` are the times at which requests would have been sent without `--max-concurrency`, if
    /// that is not when they were sent.
    pub fn new(detailed: bool, planned: Vec<SimTime>) -> Self {
        Self { detailed, planned, ..Self::default() }
    }

    /// A request left the system.
    pub fn departed(&mut self, record: &RequestRecord) {
        let index = record.index as usize;
        if self.records.len() <= index {
            self.records.resize_with(index + 1, || None);
        }
        self.records[index] = Some(record.clone());
    }

    /// A step ended.
    pub fn step(&mut self, step: &StepRecord) {
        let mut delivered = 0;
        for row in step.rows.iter().filter(|row| row.delivers) {
            delivered += 1;
            if self.detailed {
                let index = row.request as usize;
                if self.tokens.len() <= index {
                    self.tokens.resize_with(index + 1, Vec::new);
                }
                self.tokens[index].push(step.end);
            }
        }
        self.deliveries.push((step.end, delivered));
    }

    /// Most tokens delivered, and most requests open, in any second counted from the first send. A request counts in
    /// every second that it touches, so that vLLM's figure may exceed the true concurrency.
    pub(super) fn peaks(&self) -> (u64, u64) {
        let finished =
            || self.records.iter().flatten().filter(|record| record.status == RequestStatus::Finished);
        let Some(first) = finished().map(|record| record.arrival).min() else { return (0, 0) };
        let last = finished().map(|record| record.finish).max().unwrap_or(first);
        let second = |time: SimTime| (time - first).as_ps() / SimDuration::from_secs(1).as_ps();
        let seconds = second(last) as usize + 1;
        let mut tokens = vec![0; seconds];
        for (end, delivered) in &self.deliveries {
            if *end >= first && *end <= last {
                tokens[second(*end) as usize] += delivered;
            }
        }
        // Differences of the number of open requests from second to second.
        let mut changes = vec![0_i64; seconds + 1];
        for record in finished() {
            changes[second(record.arrival) as usize] += 1;
            changes[second(record.finish) as usize + 1] -= 1;
        }
        let (mut open, mut most) = (0, 0);
        for change in changes {
            open += change;
            most = most.max(open);
        }
        (tokens.into_iter().max().unwrap_or(0), most.unsigned_abs())
    }

    /// All requests that have left, in order of their number.
    pub(super) fn into_requests(self) -> Vec<SentRequest> {
        let Self { planned, records, mut tokens, .. } = self;
        let sent = |(index, record): (usize, Option<RequestRecord>)| {
            let record = record?;
            let planned = planned.get(index).copied().unwrap_or(record.arrival);
            let tokens = tokens.get_mut(index).map(std::mem::take).unwrap_or_default();
            Some(SentRequest { client_queue: record.arrival - planned, record, tokens })
        };
        records.into_iter().enumerate().filter_map(sent).collect()
    }
}
