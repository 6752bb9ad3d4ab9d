//! Who gets good service: goodput and attainment by class of requests, and how evenly it is shared.

use serde::Serialize;

use crate::metrics::GoodputLimits;
use crate::record::{RequestRecord, RequestStatus};
use crate::scenario::ClassInfo;

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
    /// Requests whose tokens were all delivered.
    pub completed: u64,
    /// Output tokens of those.
    pub output_tokens: u64,
    /// Requests per second that kept every limit of their class; `None` without limits.
    pub request_goodput: Option<f64>,
    /// Share of requests that kept them; `None` without limits or requests.
    pub slo_attainment: Option<f64>,
}

/// What the classes of a run got.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoodputByClass {
    /// In the order of the scenario.
    pub classes: Vec<ClassSummary>,
    /// Jain's index of the attainments: 1 if every class attains the same, 1/n if one attains all. `None` below two classes
    /// with requests and limits, or if nobody attains anything.
    pub jain_fairness: Option<f64>,
}

impl ClassGoodput {
    /// Empty counts of these classes. `limits` hold for those that have none of their own.
    pub fn new(classes: &[ClassInfo], limits: Option<GoodputLimits>) -> Self {
        let class = |info: &ClassInfo| Class {
            name: info.name.clone(),
            limits: info.goodput.or(limits),
            requests: 0,
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
        if record.status == RequestStatus::Finished {
            class.completed += 1;
            class.output_tokens += u64::from(record.num_output_tokens);
            class.good += u64::from(class.limits.is_some_and(|limits| limits.kept_by(record)));
        }
    }

    /// What the classes got in a run of `duration_s`; `None` if the scenario names no classes.
    pub fn summary(&self, duration_s: f64) -> Option<GoodputByClass> {
        let classes: Vec<ClassSummary> = self.classes.iter().map(|class| class.summary(duration_s)).collect();
        let attainments: Vec<f64> = classes.iter().filter_map(|class| class.slo_attainment).collect();
        let jain_fairness = jain_index(&attainments).filter(|_| attainments.len() > 1);
        (!classes.is_empty()).then_some(GoodputByClass { classes, jain_fairness })
    }
}

impl Class {
    fn summary(&self, duration_s: f64) -> ClassSummary {
        let limited = self.limits.is_some();
        ClassSummary {
            class: self.name.clone(),
            num_requests: self.requests,
            completed: self.completed,
            output_tokens: self.output_tokens,
            request_goodput: (limited && duration_s > 0.0).then(|| self.good as f64 / duration_s),
            slo_attainment: (limited && self.requests > 0).then(|| self.good as f64 / self.requests as f64),
        }
    }
}

/// Jain's index of fairness of what each party got: 1 if all got the same, 1/n if one got everything. `None` if nobody
/// got anything. Jain, Chiu & Hawe, DEC TR-301, 1984.
pub fn jain_index(shares: &[f64]) -> Option<f64> {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    (squares > 0.0).then(|| sum * sum / (shares.len() as f64 * squares))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two ends, and 1 and 1/2 by hand: 1.5^2 / (2 * 1.25).
    #[test]
    fn jain_runs_from_one_nth_to_one() {
        assert_eq!(jain_index(&[0.5; 4]), Some(1.0));
        assert_eq!(jain_index(&[1.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert!((jain_index(&[1.0, 0.5]).expect("shares") - 0.9).abs() < 1e-12);
        assert_eq!(jain_index(&[0.0, 0.0]), None);
    }
}
