//! From a recorded trace to the requests of a simulation: a slice of it, its time scaled, its records numbered.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{RequestSpec, RequestStream, WorkloadError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{TraceError, TraceErrorKind};
use crate::scale::TimeScale;
use crate::{TraceReader, TraceRecord};
use kendall_serving::scenario::OnEmpty;

/// Which part of a trace to replay, and how fast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TraceOptions {
    /// Arrivals are multiplied by this, after slicing: 0.5 replays twice as fast. Finite and above 0. How long a client
    /// waits before it gives up is not scaled.
    pub time_scale: f64,
    /// Stops after this many requests, at least 1; `null` for all.
    pub max_requests: Option<u64>,
    /// Leaves out requests that arrive earlier, in seconds of the trace; those left arrive this much sooner.
    pub start_s: Option<f64>,
    /// Leaves out requests that arrive at this time or later, in seconds of the trace.
    pub end_s: Option<f64>,
    /// What to do with requests that have no tokens.
    pub on_empty: OnEmpty,
}

impl Default for TraceOptions {
    /// The whole trace, as fast as it was recorded.
    fn default() -> Self {
        Self { time_scale: 1.0, max_requests: None, start_s: None, end_s: None, on_empty: OnEmpty::default() }
    }
}

/// The options, checked.
#[derive(Debug, Clone, Copy)]
struct Plan {
    time_scale: TimeScale,
    max_requests: u64,
    start: SimDuration,
    end: Option<SimDuration>,
}

impl TraceReader {
    /// The requests of a simulation, read from the trace as it goes on. `options.on_empty` replaces what the reader was
    /// set to.
    ///
    /// The stream ends after its first error, and is in error if it leaves no request at all.
    ///
    /// # Errors
    /// If an option is out of its range.
    pub fn into_requests(self, options: &TraceOptions) -> Result<RequestStream, TraceError> {
        let plan = Plan::check(options).map_err(|kind| TraceError::of_file(self.file(), kind))?;
        let records = self.on_empty(options.on_empty);
        Ok(Box::new(Replay { records, plan, num_requests: 0, has_ended: false }))
    }
}

impl Plan {
    fn check(options: &TraceOptions) -> Result<Self, TraceErrorKind> {
        let bad =
            |field: &str, value: f64, expected| TraceErrorKind::value(field, &value.to_string(), expected);
        let time_scale = TimeScale::new(options.time_scale)
            .ok_or_else(|| bad("time_scale", options.time_scale, "a finite number above 0"))?;
        let seconds = |field: &str, value: f64| {
            SimDuration::from_secs_f64(value)
                .map_err(|_| bad(field, value, "a number of seconds from 0 to 18446744 (213 days)"))
        };
        let start = options.start_s.map_or(Ok(SimDuration::ZERO), |value| seconds("start_s", value))?;
        let end = options.end_s.map(|value| seconds("end_s", value)).transpose()?;
        if end.is_some_and(|end| end <= start) {
            return Err(bad("end_s", options.end_s.unwrap_or_default(), "a time after start_s"));
        }
        let max_requests = options.max_requests.unwrap_or(u64::MAX);
        if max_requests == 0 {
            return Err(TraceErrorKind::value("max_requests", "0", "at least 1"));
        }
        Ok(Self { time_scale, max_requests, start, end })
    }
}

/// The stream behind [`TraceReader::into_requests`].
struct Replay {
    records: TraceReader,
    plan: Plan,
    num_requests: u64,
    has_ended: bool,
}

impl Replay {
    fn advance(&mut self) -> Result<Option<RequestSpec>, TraceError> {
        if self.num_requests == self.plan.max_requests {
            return Ok(None);
        }
        let Plan { start, end, .. } = self.plan;
        for record in &mut self.records {
            let record = record?;
            if end.is_some_and(|end| record.arrival >= end) {
                break;
            }
            if record.arrival >= start {
                return self.request(record).map(Some);
            }
        }
        if self.num_requests > 0 {
            return Ok(None);
        }
        Err(TraceError::of_file(self.records.file(), TraceErrorKind::EmptySlice))
    }

    fn request(&mut self, record: TraceRecord) -> Result<RequestSpec, TraceError> {
        let sliced = record.arrival - self.plan.start;
        let arrival = self.plan.time_scale.apply(sliced).map(|scaled| SimTime::ZERO + scaled);
        let arrival = arrival.ok_or_else(|| self.beyond_horizon(sliced))?;
        let abort = match record.abort {
            Some(abort) => {
                let patience = abort - record.arrival;
                Some(arrival.checked_add(patience).ok_or_else(|| self.beyond_horizon(sliced))?)
            }
            None => None,
        };
        self.num_requests += 1;
        Ok(RequestSpec {
            prompt: record.prompt,
            priority: record.priority,
            abort,
            ..RequestSpec::new(arrival, record.num_prompt_tokens, record.num_output_tokens)
        })
    }

    fn beyond_horizon(&self, since_start: SimDuration) -> TraceError {
        let time_scale = self.plan.time_scale.factor();
        let kind = TraceErrorKind::ScaledBeyondHorizon { since_start, time_scale };
        TraceError::at_line(self.records.file(), self.records.line(), kind)
    }
}

impl Iterator for Replay {
    type Item = Result<RequestSpec, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = self.advance();
        self.has_ended = !matches!(next, Ok(Some(_)));
        next.map_err(|error| WorkloadError(Box::new(error))).transpose()
    }
}
