//! Synthetic workloads: arrival processes and length distributions, drawn lazily from addressed random streams.

mod arrivals;
mod lengths;

pub use arrivals::Arrivals;
pub use lengths::Lengths;

use kendall_des::{Distribution, DistributionError, Purpose, SimDuration, SimTime, Stream, Streams};
use thiserror::Error;

use crate::request::{RequestSpec, WorkloadError};

/// What the workload's random numbers are for. Appended, never reused.
const ARRIVAL_GAPS: Purpose = Purpose(1);
const PROMPT_LENGTHS: Purpose = Purpose(2);
const OUTPUT_LENGTHS: Purpose = Purpose(3);
const LENGTH_ORDER: Purpose = Purpose(4);

/// How many requests a workload has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// So many.
    Requests(u64),
    /// All that arrive up to and including this time.
    Duration(SimDuration),
}

/// Where prompt and output lengths come from.
#[derive(Debug, Clone)]
pub enum LengthSource {
    /// Independent draws.
    Distributions {
        /// Prompt tokens.
        prompt: Distribution,
        /// Output tokens.
        output: Distribution,
    },
    /// Recorded pairs of prompt and output tokens.
    Pairs {
        /// The pairs; never empty.
        pairs: Vec<(u32, u32)>,
        /// Whether each request draws one at random, or they are taken in turn, again and again.
        random: bool,
    },
}

/// A synthetic workload. Request `i` has the same gap and lengths whatever else happens.
#[derive(Debug)]
pub struct SyntheticWorkload {
    extent: Extent,
    /// Gap between two arrivals in seconds; `None` if all requests arrive at time 0.
    gap: Option<Distribution>,
    lengths: LengthSource,
    gaps: Stream,
    prompts: Stream,
    outputs: Stream,
    order: Stream,
    next: u64,
    now: SimTime,
}

/// Highest arrival rate: beyond it gaps are below the clock's picosecond.
const MAX_RATE_PER_S: f64 = 1e12;

/// Most requests of one run: hours of computing.
const MAX_REQUESTS: u64 = 10_000_000_000;

/// Longest representable time, in seconds.
const HORIZON_S: f64 = u64::MAX as f64 / 1e12;

/// Why a workload cannot be generated.
#[derive(Debug, Error)]
pub enum SyntheticError {
    /// Gaps that the clock cannot tell from none.
    #[error("{0:?}: at most {MAX_RATE_PER_S} requests a second can be told apart; `process = \"at_once\"` has no gaps")]
    RateTooHigh(f64),
    /// More requests than a run can play.
    #[error("it makes {0:?} requests: a run has at most {MAX_REQUESTS}")]
    TooManyRequests(f64),
    /// So many requests cannot all arrive within the horizon.
    #[error(
        "{requests}: at {rate_per_s:?} requests a second the last one would arrive beyond the simulated horizon of 213 days: \
         use at most {most} requests, or a higher rate"
    )]
    TooLong {
        /// As asked for.
        requests: u64,
        /// As asked for.
        rate_per_s: f64,
        /// Requests in 213 days at this rate.
        most: u64,
    },
    /// Arrivals ran beyond the horizon of simulated time.
    #[error(
        "request {0} arrives beyond the simulated horizon of 213 days: use fewer requests or a higher rate"
    )]
    BeyondHorizon(u64),
    /// A parameter outside its domain.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
}

impl SyntheticError {
    /// The key of `[workload]` that is at fault.
    pub const fn key(&self, extent: Extent) -> &'static str {
        match (self, extent) {
            (Self::Distribution(_) | Self::BeyondHorizon(_), _) => "arrivals",
            (Self::RateTooHigh(_), _) => "arrivals.rate_per_s",
            (_, Extent::Requests(_)) => "requests",
            (_, Extent::Duration(_)) => "duration_s",
        }
    }
}

impl Extent {
    /// Checks that so much can be played at this rate.
    fn check(self, rate_per_s: Option<f64>) -> Result<(), SyntheticError> {
        if let Some(rate) = rate_per_s.filter(|&rate| rate > MAX_RATE_PER_S) {
            return Err(SyntheticError::RateTooHigh(rate));
        }
        let expected = match (self, rate_per_s) {
            (Self::Requests(requests), _) => requests as f64,
            (Self::Duration(duration), Some(rate)) => duration.as_secs_f64() * rate,
            (Self::Duration(_), None) => 0.0,
        };
        if expected > MAX_REQUESTS as f64 {
            return Err(SyntheticError::TooManyRequests(expected));
        }
        match (self, rate_per_s) {
            (Self::Requests(requests), Some(rate_per_s)) if requests as f64 / rate_per_s > HORIZON_S => {
                let most = libm::floor(HORIZON_S * rate_per_s) as u64;
                Err(SyntheticError::TooLong { requests, rate_per_s, most })
            }
            _ => Ok(()),
        }
    }
}

impl SyntheticWorkload {
    /// The workload of these parts under the replication's streams.
    ///
    /// # Errors
    /// If a parameter lies outside its domain, or the workload is too much for one run.
    pub fn new(
        extent: Extent,
        arrivals: &Arrivals,
        lengths: LengthSource,
        streams: Streams,
    ) -> Result<Self, SyntheticError> {
        if matches!(&lengths, LengthSource::Pairs { pairs, .. } if pairs.is_empty()) {
            return Err(DistributionError::BadTable.into());
        }
        let gap = arrivals.gap()?;
        extent.check(arrivals.rate_per_s())?;
        Ok(Self {
            extent,
            gap,
            lengths,
            gaps: streams.stream(ARRIVAL_GAPS),
            prompts: streams.stream(PROMPT_LENGTHS),
            outputs: streams.stream(OUTPUT_LENGTHS),
            order: streams.stream(LENGTH_ORDER),
            next: 0,
            now: SimTime::ZERO,
        })
    }

    fn lengths(&mut self, index: u64) -> (u32, u32) {
        match &self.lengths {
            LengthSource::Distributions { prompt, output } => (
                whole_tokens(prompt.sample(&mut self.prompts.entity(index))),
                whole_tokens(output.sample(&mut self.outputs.entity(index))),
            ),
            LengthSource::Pairs { pairs, random: false } => pairs[(index % pairs.len() as u64) as usize],
            LengthSource::Pairs { pairs, random: true } => {
                let at = self.order.entity(index).next_open01() * pairs.len() as f64;
                pairs[at as usize]
            }
        }
    }
}

/// Lengths are whole: the floor of the draw, at least 1 token and at most 2^31.
fn whole_tokens(draw: f64) -> u32 {
    libm::floor(draw).clamp(1.0, f64::from(1_u32 << 31)) as u32
}

impl Iterator for SyntheticWorkload {
    type Item = Result<RequestSpec, WorkloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        if matches!(self.extent, Extent::Requests(n) if index >= n) {
            return None;
        }
        if let Some(gap) = &self.gap {
            let gap = SimDuration::from_secs_f64(gap.sample(&mut self.gaps.entity(index)));
            let Some(arrival) = gap.ok().and_then(|gap| self.now.checked_add(gap)) else {
                return Some(Err(WorkloadError(Box::new(SyntheticError::BeyondHorizon(index)))));
            };
            self.now = arrival;
        }
        if matches!(self.extent, Extent::Duration(horizon) if self.now - SimTime::ZERO > horizon) {
            return None;
        }
        self.next += 1;
        let (prompt, output) = self.lengths(index);
        Some(Ok(RequestSpec::new(self.now, prompt, output)))
    }
}
