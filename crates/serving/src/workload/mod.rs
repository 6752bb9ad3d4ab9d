//! Synthetic workloads: arrivals, lengths, contents and conversations, drawn lazily from addressed random streams.

mod arrivals;
mod concurrency;
mod contents;
mod extent;
mod lengths;
mod sessions;

pub use arrivals::Arrivals;
pub use concurrency::ConcurrencyLimited;
pub use contents::Contents;
pub use extent::{Extent, SyntheticError};
pub use lengths::{LengthSource, Lengths};
pub use sessions::SessionPlan;

use kendall_des::{Distribution, Purpose, SimDuration, SimTime, Stream, Streams};

use crate::record::RequestRecord;
use crate::request::{RequestSpec, SessionTurn, Workload, WorkloadError};

use contents::ContentDraws;
use lengths::LengthDraws;
use sessions::OpenSessions;

/// What the workload's random numbers are for. Appended, never reused.
const ARRIVAL_GAPS: Purpose = Purpose(1);
const PROMPT_LENGTHS: Purpose = Purpose(2);
const OUTPUT_LENGTHS: Purpose = Purpose(3);
const LENGTH_ORDER: Purpose = Purpose(4);
const PREFIX_GROUPS: Purpose = Purpose(5);
const SESSION_TURNS: Purpose = Purpose(6);
const THINK_TIMES: Purpose = Purpose(7);
const TURN_PROMPTS: Purpose = Purpose(8);
const TURN_OUTPUTS: Purpose = Purpose(9);

/// The parts of a synthetic workload.
#[derive(Debug, Clone)]
pub struct SyntheticConfig {
    /// How many requests.
    pub extent: Extent,
    /// When they arrive.
    pub arrivals: Arrivals,
    /// Whether arrivals are stretched so that the last one comes at requests / rate. Needs a number of requests.
    pub rescale: bool,
    /// How long they are.
    pub lengths: LengthSource,
    /// What they share.
    pub contents: Contents,
    /// Whether each arrival opens a conversation.
    pub sessions: Option<SessionPlan>,
}

/// A synthetic workload. Request `i` has the same gap, lengths and content whatever else happens; so has turn `t` of
/// conversation `i`, except for what was said before.
#[derive(Debug)]
pub struct SyntheticWorkload {
    extent: Extent,
    /// Gap between two arrivals in seconds; `None` if all requests arrive at time 0.
    gap: Option<Distribution>,
    gaps: Stream,
    lengths: LengthDraws,
    contents: ContentDraws,
    sessions: Option<OpenSessions>,
    next: u64,
    /// Arrival of the last request before stretching.
    drawn: SimTime,
    /// Stretch of arrivals: wanted and drawn time of the last one (ps).
    stretch: Option<(u64, u64)>,
}

impl SyntheticWorkload {
    /// The workload of these parts under the replication's streams.
    ///
    /// # Errors
    /// If a parameter lies outside its domain, or the workload is too much for one run.
    pub fn new(config: &SyntheticConfig, streams: Streams) -> Result<Self, SyntheticError> {
        let gap = config.arrivals.gap()?;
        config.extent.check(config.arrivals.rate_per_s())?;
        let mut workload = Self {
            extent: config.extent,
            gap,
            gaps: streams.stream(ARRIVAL_GAPS),
            lengths: LengthDraws::new(&config.lengths, streams)?,
            contents: ContentDraws::new(&config.contents, streams)?,
            sessions: config
                .sessions
                .as_ref()
                .map(|plan| OpenSessions::new(plan, &config.lengths, streams))
                .transpose()?,
            next: 0,
            drawn: SimTime::ZERO,
            stretch: None,
        };
        if let (true, Extent::Requests(requests), Some(rate)) =
            (config.rescale, config.extent, config.arrivals.rate_per_s())
        {
            workload.stretch = workload.stretch_to(requests, requests as f64 / rate);
        }
        Ok(workload)
    }

    /// Draws all arrivals once to learn when the last one comes; `None` if they cannot be stretched.
    fn stretch_to(&mut self, requests: u64, wanted_s: f64) -> Option<(u64, u64)> {
        let wanted = SimDuration::from_secs_f64(wanted_s).ok()?;
        let mut last = SimTime::ZERO;
        for index in 0..requests {
            last = self.after_gap(last, index)?;
        }
        (last > SimTime::ZERO).then(|| (wanted.as_ps(), last.as_ps()))
    }

    /// Arrival of request `index` after the one before; `None` beyond the horizon.
    fn after_gap(&mut self, previous: SimTime, index: u64) -> Option<SimTime> {
        match &self.gap {
            None => Some(previous),
            Some(gap) => {
                let gap = SimDuration::from_secs_f64(gap.sample(&mut self.gaps.entity(index)));
                gap.ok().and_then(|gap| previous.checked_add(gap))
            }
        }
    }

    fn stretched(&self, drawn: SimTime) -> SimTime {
        match self.stretch {
            None => drawn,
            Some((wanted, last)) => {
                let ps = u128::from(drawn.as_ps()) * u128::from(wanted) / u128::from(last);
                SimTime::from_ps(u64::try_from(ps).unwrap_or(u64::MAX))
            }
        }
    }
}

impl Workload for SyntheticWorkload {
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>> {
        let index = self.next;
        if matches!(self.extent, Extent::Requests(n) if index >= n) {
            return None;
        }
        let Some(drawn) = self.after_gap(self.drawn, index) else {
            self.extent = Extent::Requests(0);
            return Some(Err(WorkloadError(Box::new(SyntheticError::BeyondHorizon(index)))));
        };
        if matches!(self.extent, Extent::Duration(horizon) if drawn - SimTime::ZERO > horizon) {
            self.extent = Extent::Requests(0);
            return None;
        }
        self.drawn = drawn;
        self.next += 1;
        let content = self.contents.draw(index);
        let (prompt, output) = self.lengths.draw(content.length_entity, index);
        let mut spec = RequestSpec::new(self.stretched(drawn), prompt, output);
        content.apply(&mut spec);
        if let Some(sessions) = &mut self.sessions {
            spec.session = Some(SessionTurn { session: index, turn: 0 });
            sessions.open(index, &mut spec);
        }
        Some(Ok(spec))
    }

    fn departed(&mut self, record: &RequestRecord) -> Option<RequestSpec> {
        self.sessions.as_mut()?.next_turn(record)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
