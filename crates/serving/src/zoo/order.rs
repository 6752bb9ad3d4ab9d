//! Who of the waiting requests comes first: the orders that every engine of the zoo takes as an argument.
//!
//! An order ranks the waiting queue and no more: which request a full engine throws out is the engine's own rule, and nobody is
//! thrown out because somebody better ranked arrives.

use std::fmt;

use kendall_des::{Distribution, Purpose, SimDuration, Streams};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::Request;

/// Errors of predicted lengths.
const PREDICTIONS: Purpose = Purpose(110);

/// Who of the waiting requests comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// First come, first served; who was preempted comes back to the front.
    #[default]
    Fcfs,
    /// The smallest `priority` first, then the earliest.
    Priority,
    /// The shortest prompt first, then the earliest.
    ShortestPrompt,
    /// The shortest job, prompt and true output together, first. No server knows it: a bound on what a prediction can gain.
    OracleSjf,
    /// The fewest output tokens still to come first: differs from the shortest output once somebody was preempted.
    OracleSrpt,
    /// As `oracle_sjf` by a predicted output: the true one times a lognormal error of median 1.
    PredictedSjf,
    /// The earliest deadline first: arrival plus the limit on the time to first token of the request's class.
    EarliestDeadline,
    /// The class that was served least: virtual token counters (Sheng et al., OSDI 2024).
    FairShare,
    /// One request of each class in turn.
    RoundRobin,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fcfs => "fcfs",
            Self::Priority => "priority",
            Self::ShortestPrompt => "shortest_prompt",
            Self::OracleSjf => "oracle_sjf",
            Self::OracleSrpt => "oracle_srpt",
            Self::PredictedSjf => "predicted_sjf",
            Self::EarliestDeadline => "earliest_deadline",
            Self::FairShare => "fair_share",
            Self::RoundRobin => "round_robin",
        })
    }
}

/// What orders can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// `predicted_sjf`: standard deviation of the logarithm of predicted over true output length; 0 predicts perfectly.
    pub prediction_sigma: f64,
    /// `fair_share`: what a prompt token counts.
    pub prompt_weight: u32,
    /// `fair_share`: what an output token counts.
    pub output_weight: u32,
}

impl Default for QueueSettings {
    /// Weights of Sheng et al., section 5.1; an error of a factor of 1.6 as often as not within one sigma.
    fn default() -> Self {
        Self { prediction_sigma: 0.5, prompt_weight: 1, output_weight: 2 }
    }
}

/// Limits on the time to first token, by class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TtftLimits {
    /// For classes that are not listed.
    pub default: Option<SimDuration>,
    /// By class, in the order of the scenario.
    pub by_class: Vec<Option<SimDuration>>,
}

impl TtftLimits {
    /// The limit of a class, if it has one.
    pub fn of(&self, class: u16) -> Option<SimDuration> {
        self.by_class.get(usize::from(class)).copied().unwrap_or(self.default)
    }

    /// Whether any class has one.
    pub fn is_empty(&self) -> bool {
        self.default.is_none() && self.by_class.iter().all(Option::is_none)
    }
}

/// An order that sorts by a number which a request has when it begins to wait.
#[derive(Debug, Clone)]
pub(super) struct Ranking {
    pub order: Order,
    pub limits: TtftLimits,
    /// Of the error of a prediction; `None` for a perfect one.
    pub error: Option<Distribution>,
    pub streams: Streams,
}

impl Ranking {
    /// What the order sorts by.
    pub(super) fn rank(&self, request: &Request) -> i128 {
        let prompt = i128::from(request.num_prompt_tokens);
        match self.order {
            Order::Fcfs | Order::FairShare | Order::RoundRobin => 0,
            Order::Priority => i128::from(request.priority),
            Order::ShortestPrompt => prompt,
            Order::OracleSjf => prompt + oracle_output(request),
            Order::OracleSrpt => oracle_output(request) - i128::from(request.outputs),
            Order::PredictedSjf => prompt + self.oracle_prediction(request),
            Order::EarliestDeadline => self
                .limits
                .of(request.class())
                .map_or(i128::MAX, |limit| i128::from(request.arrival.as_ps()) + i128::from(limit.as_ps())),
        }
    }

    /// A predicted output length, the same for a request whatever happened before: its error is drawn by its number.
    fn oracle_prediction(&self, request: &Request) -> i128 {
        let error = self
            .error
            .as_ref()
            .map_or(1.0, |error| error.sample(&mut self.streams.stream(PREDICTIONS).entity(request.index)));
        let predicted = f64::from(request.output_tokens) * error;
        // Saturates; a prediction is at least a token.
        i128::from((predicted.round() as u64).max(1))
    }
}

fn oracle_output(request: &Request) -> i128 {
    i128::from(request.output_tokens)
}
