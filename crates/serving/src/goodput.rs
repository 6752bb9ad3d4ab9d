//! Who gets good service: goodput and attainment by class of requests.

use std::collections::BTreeMap;

use kendall_des::SimDuration;
use serde::Serialize;

use crate::metrics::GoodputLimits;
use crate::record::{RequestRecord, RequestStatus};
use crate::scenario::ClassInfo;
use crate::zoo::Rejection;

/// Counts by class as requests leave.
#[derive(Debug, Clone)]
pub struct ClassGoodput {
    classes: Vec<Class>,
}

#[derive(Debug, Clone)]
struct Class {
    name: String,
    limits: Option<GoodputLimits>,
    requests: u64,
    rejected: u64,
    rejections: BTreeMap<Rejection, u64>,
    longest_wait: Option<SimDuration>,
    preempted: u64,
    preempted_for: Option<SimDuration>,
    preemptions: u64,
    lost_tokens: u64,
    completed: u64,
    good: u64,
    output_tokens: u64,
}

/// What one class got.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassSummary {
    /// Name in the scenario.
    pub class: String,
    /// Requests that arrived.
    pub num_requests: u64,
    /// Requests that were turned away.
    pub rejected: u64,
    /// Their share; `None` without requests.
    pub blocking_probability: Option<f64>,
    /// Requests that were turned away, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejections: BTreeMap<Rejection, u64>,
    /// Longest time from the engine's input queue to the first admission, or to leaving without one (ms): starvation shows here.
    pub longest_wait_ms: Option<f64>,
    /// Requests that were preempted.
    pub num_preempted_requests: u64,
    /// Time that they waited and computed again until their next token, summed (s); `None` of vLLM V1, where it is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preempted_time_s: Option<f64>,
    /// Preemptions of its requests.
    pub num_preemptions: u64,
    /// Computed tokens that these threw away.
    pub num_lost_tokens: u64,
    /// Requests whose tokens were all delivered.
    pub completed: u64,
    /// Output tokens of those.
    pub output_tokens: u64,
    /// Requests per second that kept every limit of their class; `None` without limits.
    pub request_goodput: Option<f64>,
    /// Share of requests that kept them; `None` without limits or requests.
    pub slo_attainment: Option<f64>,
}

impl ClassGoodput {
    /// Empty counts of these classes. `limits` hold for those that have none of their own.
    pub fn new(classes: &[ClassInfo], limits: Option<GoodputLimits>) -> Self {
        let class = |info: &ClassInfo| Class {
            name: info.name.clone(),
            limits: info.goodput.or(limits),
            requests: 0,
            rejected: 0,
            rejections: BTreeMap::new(),
            longest_wait: None,
            preempted: 0,
            preempted_for: None,
            preemptions: 0,
            lost_tokens: 0,
            completed: 0,
            good: 0,
            output_tokens: 0,
        };
        Self { classes: classes.iter().map(class).collect() }
    }

    /// A request left.
    pub fn departed(&mut self, record: &RequestRecord) {
        // A workload without classes has none to count.
        let Some(class) = self.classes.get_mut(usize::from(record.class())) else { return };
        class.requests += 1;
        if record.status == RequestStatus::Rejected {
            class.rejected += 1;
            if let Some(reason) = record.rejection {
                *class.rejections.entry(reason).or_default() += 1;
            }
        } else {
            let waited = record.first_scheduled.unwrap_or(record.finish) - record.received;
            class.longest_wait = class.longest_wait.max(Some(waited));
        }
        class.preempted += u64::from(record.num_preemptions > 0);
        if let Some(lost) = record.preempted_for {
            *class.preempted_for.get_or_insert(SimDuration::ZERO) += lost;
        }
        class.preemptions += u64::from(record.num_preemptions);
        class.lost_tokens += record.num_lost_tokens;
        if record.status == RequestStatus::Finished {
            class.completed += 1;
            class.output_tokens += u64::from(record.num_output_tokens);
            class.good += u64::from(class.limits.is_some_and(|limits| limits.kept_by(record)));
        }
    }

    /// What the classes got in a run of `duration_s`, in the order of the scenario; empty if it names no classes.
    pub fn summary(&self, duration_s: f64) -> Vec<ClassSummary> {
        self.classes.iter().map(|class| class.summary(duration_s)).collect()
    }
}

impl Class {
    fn summary(&self, duration_s: f64) -> ClassSummary {
        let limited = self.limits.is_some();
        ClassSummary {
            class: self.name.clone(),
            num_requests: self.requests,
            rejected: self.rejected,
            blocking_probability: (self.requests > 0).then(|| self.rejected as f64 / self.requests as f64),
            rejections: self.rejections.clone(),
            longest_wait_ms: self.longest_wait.map(|wait| wait.as_secs_f64() * 1e3),
            num_preempted_requests: self.preempted,
            preempted_time_s: self.preempted_for.map(SimDuration::as_secs_f64),
            num_preemptions: self.preemptions,
            num_lost_tokens: self.lost_tokens,
            completed: self.completed,
            output_tokens: self.output_tokens,
            request_goodput: (limited && duration_s > 0.0).then(|| self.good as f64 / duration_s),
            slo_attainment: (limited && self.requests > 0).then(|| self.good as f64 / self.requests as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use kendall_des::{SimDuration, SimTime};

    use super::*;
    use crate::record::TtftParts;
    use crate::request::SessionTurn;

    fn record(class: u16, ttft_ms: u64, status: RequestStatus) -> RequestRecord {
        let first_token = SimTime::ZERO + SimDuration::from_millis(ttft_ms);
        RequestRecord {
            index: 0,
            replica: 0,
            status,
            rejection: None,
            arrival: SimTime::ZERO,
            received: SimTime::ZERO,
            queued: None,
            first_scheduled: None,
            first_token: Some(first_token),
            last_token: Some(first_token),
            finish: first_token,
            num_prompt_tokens: 1,
            num_output_tokens: 7,
            num_cached_tokens: 0,
            num_preemptions: 0,
            num_lost_tokens: 0,
            preempted_for: None,
            session: Some(SessionTurn { class, ..SessionTurn::new(0, 0) }),
            priority: 0,
            ttft_parts: TtftParts::default(),
        }
    }

    /// The second class has a limit of its own; a request that gave up is good for nobody.
    #[test]
    fn each_class_is_held_to_its_own_limits() {
        let limits =
            |ms| GoodputLimits { ttft: Some(SimDuration::from_millis(ms)), ..GoodputLimits::default() };
        let info = |name: &str, goodput| ClassInfo { name: name.into(), priority: 0, goodput };
        let classes = [info("chat", None), info("batch", Some(limits(1_000)))];
        let mut goodput = ClassGoodput::new(&classes, Some(limits(100)));
        for (class, ttft_ms, status) in [
            (0, 50, RequestStatus::Finished),
            (0, 500, RequestStatus::Finished),
            (1, 500, RequestStatus::Finished),
            (1, 10, RequestStatus::Aborted),
            (1, 10, RequestStatus::Finished),
        ] {
            goodput.departed(&record(class, ttft_ms, status));
        }
        let summary = goodput.summary(2.0);
        let counts = |class: &ClassSummary| (class.num_requests, class.completed, class.output_tokens);
        assert_eq!(summary.iter().map(counts).collect::<Vec<_>>(), [(2, 2, 14), (3, 2, 14)]);
        assert_eq!(summary[0].slo_attainment, Some(0.5));
        assert_eq!(summary[1].slo_attainment, Some(2.0 / 3.0));
        assert_eq!(summary[1].request_goodput, Some(1.0));
    }
}
