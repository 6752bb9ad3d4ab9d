//! Why there is no interval.

use thiserror::Error;

/// The reason for which an interval cannot be had, with what would help.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
pub enum NoInterval {
    /// Too few observations to form batches.
    #[error("run too short: {observations} observations, at least {needed} are needed")]
    FewObservations {
        /// Observations in the run.
        observations: u64,
        /// The least number that could do.
        needed: u64,
    },
    /// Even the longest batches are correlated, so the run spans only a few correlation times.
    #[error(
        "run too short: batches of {batch_size} of the {observations} observations still depend on each other; run at least 4 times longer"
    )]
    Correlated {
        /// Observations in the run.
        observations: u64,
        /// Observations in the longest batches that were tried.
        batch_size: u64,
    },
    /// Too few independent observations behind the mean.
    #[error(
        "run too short: {observations} observations are worth about {effective:.0} independent ones, {needed:.0} are needed; run longer"
    )]
    FewEffective {
        /// Observations in the run.
        observations: u64,
        /// Number of independent observations that would give the mean the same standard error.
        effective: f64,
        /// How many the interval needs.
        needed: f64,
    },
    /// MSER finds its minimum at the end of its search: the series still moves.
    #[error(
        "not settled: the mean keeps moving through the {observations} observations; run longer, or check that the load is below capacity"
    )]
    NotSettled {
        /// Observations in the run.
        observations: u64,
    },
    /// Too few independent excursions beyond the quantile.
    #[error(
        "run too short for p{percent}: about {independent_events:.1} independent events beyond it, {needed:.0} are needed; run longer, or ask for a lower percentile", percent = 100.0 * .p
    )]
    RareEvents {
        /// The quantile asked for, from 0 to 1.
        p: f64,
        /// Estimated number of independent events on the rarer side of the quantile.
        independent_events: f64,
        /// How many the interval needs.
        needed: f64,
    },
    /// Too few replications.
    #[error("{replications} replications: at least {needed} are needed")]
    FewReplications {
        /// Replications given.
        replications: u64,
        /// The least number that could do.
        needed: u64,
    },
    /// A probability, a confidence or an observation that cannot be.
    #[error("`{name}` is {value}: it must be {domain}")]
    Invalid {
        /// Name of the argument.
        name: &'static str,
        /// The value given.
        value: f64,
        /// What it may be.
        domain: &'static str,
    },
}

/// Checks that `value` lies strictly between 0 and 1.
pub(super) fn open_unit(name: &'static str, value: f64) -> Result<f64, NoInterval> {
    if value > 0.0 && value < 1.0 {
        Ok(value)
    } else {
        Err(NoInterval::Invalid { name, value, domain: "above 0 and below 1" })
    }
}
