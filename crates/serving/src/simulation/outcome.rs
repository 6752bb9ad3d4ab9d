//! How a run ends, or why it cannot.

use kendall_des::{SimTime, TimeWeighted};
use thiserror::Error;

use crate::engine::{ConfigError, EngineTotals};
use crate::request::WorkloadError;

use super::MAX_IN_SYSTEM;

/// Why a run could not start or go on.
#[derive(Debug, Error)]
pub enum SimulationError {
    /// vLLM would refuse the engine configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The workload could not deliver its next request.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// A request arrived before the one in front of it.
    #[error(
        "request {index} arrives at {arrival}, before the request in front of it at {previous}: sort the workload by arrival time"
    )]
    Unsorted {
        /// Number of the request.
        index: u64,
        /// Its arrival time.
        arrival: SimTime,
        /// Arrival time of the request before.
        previous: SimTime,
    },
    /// Requests pile up without bound.
    #[error(
        "overloaded at {at}: {MAX_IN_SYSTEM} requests are in the system and more arrive than leave: lower the arrival rate \
         or the number of requests, or add `replicas`"
    )]
    Overloaded {
        /// When that many were reached.
        at: SimTime,
    },
    /// Simulated time ran out.
    #[error("the run went beyond the simulated horizon of 213 days")]
    BeyondHorizon,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEnd {
    /// Simulated time at which something last happened.
    pub end: SimTime,
    /// Requests that arrived, rejected ones included.
    pub num_arrived: u64,
    /// Present if a replica could make no progress (invariant 8).
    pub stalled: Option<StalledRequests>,
    /// Whether the observer asked to stop.
    pub interrupted: bool,
    /// Counts of each replica.
    pub totals: Vec<EngineTotals>,
    /// Requests in the system over time, counted from the engine's input queue.
    pub in_system: TimeWeighted,
}

/// Which requests were in a replica that stopped making progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StalledRequests {
    /// Number of the replica.
    pub replica: u32,
    /// Numbers of the requests in it.
    pub requests: Vec<u64>,
}
