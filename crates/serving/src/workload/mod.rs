//! Synthetic workloads: arrivals, lengths, contents, conversations and impatient clients, drawn lazily from addressed random
//! streams.
//!
//! | module | holds |
//! |---|---|
//! | `arrivals`, `mmpp`, `fluctuation` | arrival processes as a scenario names them, with their moments |
//! | `clock`, `rate`, `gaps` | when request number `i` arrives |
//! | `lengths`, `contents`, `sessions`, `clients` | what a request is: tokens, shared text, later turns, patience and retries |
//! | `body`, `mixture` | a class of requests; several with one arrival process |
//! | `superposed`, `closed_loop`, `concurrency` | workloads made of others, and of clients that wait for answers |

mod arrivals;
mod body;
mod clients;
mod clock;
mod closed_loop;
mod concurrency;
mod contents;
mod extent;
mod field_error;
mod fluctuation;
mod gaps;
mod lengths;
mod mixture;
mod mmpp;
mod rate;
mod sessions;
mod superposed;

pub use arrivals::{Arrivals, Periods, Stage};
pub use body::RequestClass;
pub use clients::{ClientPlan, RetryPlan};
pub use closed_loop::{ClosedLoop, ClosedLoopConfig};
pub use concurrency::ConcurrencyLimited;
pub use contents::Contents;
pub use extent::{Extent, SyntheticError};
pub use field_error::FieldError;
pub use fluctuation::Fluctuation;
pub(crate) use gaps::by_mean_and_cv;
pub use lengths::{LengthSource, Lengths, OutOfBounds};
pub use mmpp::MmppState;
pub use sessions::SessionPlan;
pub use superposed::Superposed;

use kendall_des::{Purpose, SimDuration, SimTime, Streams};

use crate::record::RequestRecord;
use crate::request::{RequestSpec, Workload, WorkloadError};

use clock::{Clock, Next};
use mixture::Mixture;

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
const ARRIVAL_STATES: Purpose = Purpose(10);
const CLASSES: Purpose = Purpose(11);
const PATIENCE: Purpose = Purpose(12);
const TURN_PATIENCE: Purpose = Purpose(13);
const RETRY_JITTER: Purpose = Purpose(14);
const CLIENT_THINK_TIMES: Purpose = Purpose(15);

/// The purpose for one class of requests: class 0, the only one of most workloads, has the plain numbers, and each further class a
/// block of its own above them.
fn class_purpose(purpose: Purpose, class: u16) -> Purpose {
    Purpose(purpose.0 + (u32::from(class) << 16))
}

/// The parts of a synthetic workload with one arrival process.
#[derive(Debug, Clone)]
pub struct SyntheticConfig {
    /// How many requests.
    pub extent: Extent,
    /// When they arrive; not a closed loop.
    pub arrivals: Arrivals,
    /// What the rate of arrivals is multiplied by.
    pub fluctuation: Option<Fluctuation>,
    /// Whether arrivals are stretched so that the last one comes at requests / rate. Needs a number of requests.
    pub rescale: bool,
    /// What arrives: one class, or several by their weights.
    pub classes: Vec<RequestClass>,
    /// Number of the first of these classes among all classes of the workload.
    pub first_class: u16,
}

impl SyntheticConfig {
    /// One class of requests with this arrival process.
    pub fn new(extent: Extent, arrivals: Arrivals, class: RequestClass) -> Self {
        Self { extent, arrivals, fluctuation: None, rescale: false, classes: vec![class], first_class: 0 }
    }
}

/// A synthetic workload. Request `i` has the same gap, lengths and content whatever else happens; so has turn `t` of
/// conversation `i`, except for what was said before.
#[derive(Debug)]
pub struct SyntheticWorkload {
    extent: Extent,
    clock: Clock,
    classes: Mixture,
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
        let clock = || Clock::new(&config.arrivals, config.fluctuation.as_ref(), config.first_class, streams);
        let rate = config.arrivals.rate_per_s();
        let first = clock()?;
        config.extent.check(rate, config.arrivals.expected_requests())?;
        let mut workload = Self {
            extent: config.extent,
            clock: first,
            classes: Mixture::new(&config.classes, config.first_class, false, streams)?,
            next: 0,
            drawn: SimTime::ZERO,
            stretch: None,
        };
        if let (true, Extent::Requests(requests), Some(rate)) = (config.rescale, config.extent, rate) {
            workload.stretch = stretch(clock()?, requests, requests as f64 / rate);
        }
        Ok(workload)
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

/// Draws all arrivals once to learn when the last one comes; `None` if they cannot be stretched.
fn stretch(mut clock: Clock, requests: u64, wanted_s: f64) -> Option<(u64, u64)> {
    let wanted = SimDuration::from_secs_f64(wanted_s).ok()?;
    let mut last = SimTime::ZERO;
    for index in 0..requests {
        let Next::At(arrival) = clock.next(last, index) else { return None };
        last = arrival;
    }
    (last > SimTime::ZERO).then(|| (wanted.as_ps(), last.as_ps()))
}

impl Workload for SyntheticWorkload {
    fn next_request(&mut self) -> Option<Result<RequestSpec, WorkloadError>> {
        let index = self.next;
        if matches!(self.extent, Extent::Requests(n) if index >= n) {
            return None;
        }
        let drawn = match self.clock.next(self.drawn, index) {
            Next::At(drawn) => drawn,
            Next::Ended => {
                self.extent = Extent::Requests(0);
                return None;
            }
            Next::BeyondHorizon => {
                self.extent = Extent::Requests(0);
                return Some(Err(WorkloadError(Box::new(SyntheticError::BeyondHorizon(index)))));
            }
        };
        if matches!(self.extent, Extent::Duration(horizon) if drawn - SimTime::ZERO > horizon) {
            self.extent = Extent::Requests(0);
            return None;
        }
        self.drawn = drawn;
        self.next += 1;
        Some(Ok(self.classes.request(index, self.stretched(drawn))))
    }

    fn departed(&mut self, record: &RequestRecord) -> Option<RequestSpec> {
        self.classes.departed(record)
    }

    fn shares_tokens(&self) -> bool {
        self.classes.shares_tokens()
    }
}

#[cfg(test)]
mod arrivals_tests;
#[cfg(test)]
mod classes_tests;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;
