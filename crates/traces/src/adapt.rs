//! From a recorded trace to the requests of a simulation: a slice of it, its time scaled, played once or again and again.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::{RequestSpec, RequestStream, WorkloadError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{TraceError, TraceErrorKind};
use crate::scale::TimeScale;
use crate::source::{Records, TraceSource};
use crate::{TraceReader, TraceRecord};
use kendall_serving::scenario::OnEmpty;

/// Which part of a trace to replay, how fast, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TraceOptions {
    /// Arrivals are multiplied by this, after slicing: 0.5 replays twice as fast. Finite and above 0. How long a client
    /// waits before it gives up is not scaled.
    pub time_scale: f64,
    /// Stops after this many requests, at least 1, repeated ones included; `null` for all.
    pub max_requests: Option<u64>,
    /// Leaves out requests that arrive earlier, in seconds of the trace; those left arrive this much sooner.
    pub start_s: Option<f64>,
    /// Leaves out requests that arrive at this time or later, in seconds of the trace.
    pub end_s: Option<f64>,
    /// How often the slice is played; once if `null`. A round lasts from `start_s` to `end_s`, or, without `end_s`, to one mean gap
    /// after the last arrival.
    pub repeat: Option<u64>,
    /// Instead of `repeat`: plays rounds until this time, in seconds after `time_scale`.
    pub repeat_for_s: Option<f64>,
    /// What to do with requests that have no tokens.
    pub on_empty: OnEmpty,
}

impl Default for TraceOptions {
    /// The whole trace, as fast as it was recorded.
    fn default() -> Self {
        Self {
            time_scale: 1.0,
            max_requests: None,
            start_s: None,
            end_s: None,
            repeat: None,
            repeat_for_s: None,
            on_empty: OnEmpty::default(),
        }
    }
}

/// The options, checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    time_scale: TimeScale,
    max_requests: u64,
    start: SimDuration,
    end: Option<SimDuration>,
    rounds: u64,
    /// No request arrives at this time or later.
    until: Option<SimTime>,
}

impl TraceReader {
    /// The requests of a simulation, read from the trace as it goes on. `options.on_empty` replaces what the reader was
    /// set to.
    ///
    /// The stream ends after its first error, and is in error if it leaves no request at all.
    ///
    /// # Errors
    /// If an option is out of its range. A reader cannot begin again: repetition takes a [`TraceSource`].
    pub fn into_requests(self, options: &TraceOptions) -> Result<RequestStream, TraceError> {
        let plan = Plan::check(options).map_err(|kind| TraceError::of_file(self.file(), kind))?;
        if plan.repeats() {
            let kind = TraceErrorKind::value("repeat", "more than once", "a trace opened by its path");
            return Err(TraceError::of_file(self.file(), kind));
        }
        let records = Records::Lines(Box::new(self.on_empty(options.on_empty)));
        Ok(Box::new(Replay::new(records, plan, None, options.on_empty)))
    }
}

impl Plan {
    pub(crate) fn check(options: &TraceOptions) -> Result<Self, TraceErrorKind> {
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
        if options.repeat.is_some() && options.repeat_for_s.is_some() {
            return Err(TraceErrorKind::value(
                "repeat_for_s",
                "given",
                "either repeat or repeat_for_s, not both",
            ));
        }
        if options.repeat == Some(0) {
            return Err(TraceErrorKind::value("repeat", "0", "at least 1"));
        }
        let until = match options.repeat_for_s {
            None => None,
            Some(value) => match seconds("repeat_for_s", value)? {
                SimDuration::ZERO => return Err(bad("repeat_for_s", value, "a number of seconds above 0")),
                duration => Some(SimTime::ZERO + duration),
            },
        };
        let rounds = options.repeat.unwrap_or(if until.is_some() { u64::MAX } else { 1 });
        Ok(Self { time_scale, max_requests, start, end, rounds, until })
    }

    fn repeats(&self) -> bool {
        self.rounds > 1
    }
}

/// The stream behind [`TraceReader::into_requests`] and [`TraceSource::requests`].
pub(crate) struct Replay {
    records: Records,
    plan: Plan,
    /// Where to begin again.
    source: Option<TraceSource>,
    on_empty: OnEmpty,
    num_requests: u64,
    /// Requests of this round.
    in_round: u64,
    round: u64,
    /// When this round begins, in the slice's time.
    round_start: SimDuration,
    /// The last arrival of this round, since its start.
    last: SimDuration,
    has_ended: bool,
}

impl Replay {
    pub(crate) fn new(records: Records, plan: Plan, source: Option<TraceSource>, on_empty: OnEmpty) -> Self {
        Self {
            records,
            plan,
            source,
            on_empty,
            num_requests: 0,
            in_round: 0,
            round: 0,
            round_start: SimDuration::ZERO,
            last: SimDuration::ZERO,
            has_ended: false,
        }
    }

    fn advance(&mut self) -> Result<Option<RequestSpec>, TraceError> {
        if self.num_requests == self.plan.max_requests {
            return Ok(None);
        }
        let Plan { start, end, .. } = self.plan;
        loop {
            for record in &mut self.records {
                let record = record?;
                if end.is_some_and(|end| record.arrival >= end) {
                    break;
                }
                if record.arrival >= start {
                    return self.request(record);
                }
            }
            if self.in_round == 0 {
                return Err(TraceError::of_file(self.records.file(), TraceErrorKind::EmptySlice));
            }
            if !self.begin_again()? {
                return Ok(None);
            }
        }
    }

    /// Begins the next round; `false` if there is none.
    fn begin_again(&mut self) -> Result<bool, TraceError> {
        self.round += 1;
        let Some(source) = self.source.as_ref().filter(|_| self.round < self.plan.rounds) else {
            return Ok(false);
        };
        let period = if let Some(end) = self.plan.end {
            end - self.plan.start
        } else {
            // One mean gap after the last arrival: (n - 1) gaps lie between n arrivals.
            let gap = self.last.as_ps() / (self.in_round - 1).max(1);
            SimDuration::from_ps(self.last.as_ps().saturating_add(gap))
        };
        if period == SimDuration::ZERO {
            return Err(TraceError::of_file(self.records.file(), TraceErrorKind::NoPeriod));
        }
        let Some(next_start) = self.round_start.as_ps().checked_add(period.as_ps()) else {
            return Err(self.beyond_horizon(period));
        };
        self.round_start = SimDuration::from_ps(next_start);
        self.records = source.records(self.on_empty)?;
        self.in_round = 0;
        Ok(true)
    }

    /// The request of a record; `None` if it comes too late.
    fn request(&mut self, record: TraceRecord) -> Result<Option<RequestSpec>, TraceError> {
        let in_round = record.arrival - self.plan.start;
        let Some(sliced) = self.round_start.as_ps().checked_add(in_round.as_ps()).map(SimDuration::from_ps)
        else {
            return Err(self.beyond_horizon(in_round));
        };
        let arrival = self.plan.time_scale.apply(sliced).map(|scaled| SimTime::ZERO + scaled);
        let arrival = arrival.ok_or_else(|| self.beyond_horizon(sliced))?;
        if self.plan.until.is_some_and(|until| arrival >= until) {
            return Ok(None);
        }
        let abort = match record.abort {
            Some(abort) => {
                let patience = abort - record.arrival;
                Some(arrival.checked_add(patience).ok_or_else(|| self.beyond_horizon(sliced))?)
            }
            None => None,
        };
        self.num_requests += 1;
        self.in_round += 1;
        self.last = in_round;
        Ok(Some(RequestSpec {
            prompt: record.prompt,
            priority: record.priority,
            abort,
            ..RequestSpec::new(arrival, record.num_prompt_tokens, record.num_output_tokens)
        }))
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
