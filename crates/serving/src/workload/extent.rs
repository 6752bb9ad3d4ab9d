//! How much a synthetic workload is, and what is too much for one run.

use kendall_des::{DistributionError, SimDuration};
use thiserror::Error;

use super::field_error::FieldError;

/// How many requests a workload has; of a workload of conversations, how many of those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// So many.
    Requests(u64),
    /// All that arrive up to and including this time.
    Duration(SimDuration),
    /// All that arrive: for arrivals that end by themselves.
    Everything,
    /// As many as are asked for: whoever asks knows when to stop.
    Unbounded,
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
    #[error(
        "{0:?}: at most {MAX_RATE_PER_S} requests a second can be told apart; `process = \"at_once\"` has no gaps"
    )]
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
    /// Arrivals without an end.
    #[error("it is missing: these arrivals go on for ever; give it, or `duration_s`")]
    Endless,
    /// A parameter outside its domain.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl From<DistributionError> for SyntheticError {
    fn from(error: DistributionError) -> Self {
        Self::Field(error.into())
    }
}

impl SyntheticError {
    /// The key of `[workload]` that is at fault.
    pub fn key(&self, extent: Extent) -> &str {
        match (self, extent) {
            (Self::Field(error), _) => &error.field,
            (Self::BeyondHorizon(_), _) => "arrivals",
            (Self::RateTooHigh(_), _) => "arrivals.rate_per_s",
            (Self::Endless, _) | (_, Extent::Requests(_)) => "requests",
            (_, Extent::Duration(_)) => "duration_s",
            (_, Extent::Everything | Extent::Unbounded) => "arrivals",
        }
    }

    /// What is wrong with its value, and the remedy.
    pub fn message(&self) -> String {
        match self {
            Self::Field(error) => error.message.clone(),
            error => error.to_string(),
        }
    }
}

impl Extent {
    /// Checks that so much can be played at this long-run rate. `ends_after` is the expected number of requests of arrivals that end
    /// by themselves.
    pub(crate) fn check(
        self,
        rate_per_s: Option<f64>,
        ends_after: Option<f64>,
    ) -> Result<(), SyntheticError> {
        if self == Self::Everything && ends_after.is_none() {
            return Err(SyntheticError::Endless);
        }
        if let Some(rate) = rate_per_s.filter(|&rate| rate > MAX_RATE_PER_S) {
            return Err(SyntheticError::RateTooHigh(rate));
        }
        let expected = match (self, rate_per_s) {
            (Self::Requests(requests), _) => requests as f64,
            (Self::Duration(duration), Some(rate)) => duration.as_secs_f64() * rate,
            (Self::Duration(_), None) | (Self::Unbounded, _) => 0.0,
            (Self::Everything, _) => ends_after.unwrap_or(f64::INFINITY),
        };
        if expected > MAX_REQUESTS as f64 {
            return Err(SyntheticError::TooManyRequests(expected));
        }
        match (self, rate_per_s) {
            (Self::Requests(requests), Some(rate_per_s))
                if ends_after.is_none() && requests as f64 / rate_per_s > HORIZON_S =>
            {
                let most = libm::floor(HORIZON_S * rate_per_s) as u64;
                Err(SyntheticError::TooLong { requests, rate_per_s, most })
            }
            _ => Ok(()),
        }
    }
}
