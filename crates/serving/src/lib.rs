//! Continuous batching as state machines: requests, the paged KV cache, vLLM's scheduler, step times, replicas.
//!
//! A [`Simulation`] plays a stream of requests ([`RequestStream`]) against replicas of an engine and tells an
//! [`Observer`] what happens. It does no I/O, reads no clock and spawns no thread: the same inputs give the same
//! outputs, bit for bit.
//!
//! The rules of the engine follow vLLM V1; each module names the file that it mirrors.

pub mod anatomy;
pub mod catalog;
mod cost;
mod engine;
mod goodput;
pub mod kv;
mod metrics;
mod new_blocks;
mod observe;
mod record;
mod request;
mod router;
pub mod scenario;
mod simulation;
pub mod step_time;
pub mod workload;
pub mod zoo;

pub use cost::{Cost, CostModel, IDLE_SHARE};
pub use engine::{
    Arrival, BatchDefaults, BatchSettings, ConfigError, Engine, EngineConfig, EngineGauges, EngineTotals,
    EngineVersion, Replica, SchedulingPolicy, SelfPreemption, VersionDefaults, VersionError, Wake,
};
pub use goodput::{ClassGoodput, ClassSummary};
pub use kv::{BlockId, BlockKey, BlockPool};
pub use metrics::{
    GaugeSummary, GoodputLimits, LatencyMetric, LatencySummary, MetricsSummary, QUANTILE_RELATIVE_ERROR,
    RunMetrics, TtftPartsSummary,
};
pub use new_blocks::NewBlocks;
pub use observe::{DecodeRun, Observer};
pub use record::{RequestRecord, RequestStatus, RowKind, StepRecord, StepRow, TtftParts};
pub use request::{
    PromptContent, RequestSpec, RequestStream, SessionTurn, TokenSegment, TokenStream, Workload,
    WorkloadError,
};
pub use router::{RouterConfig, RouterPolicy};
pub use simulation::{
    FrontEnd, FrontEndParts, FrontEndSummary, RunEnd, Simulation, SimulationConfig, SimulationError,
    StalledRequests,
};
pub use step_time::{
    BatchShape, CurveCoefficients, CurveSteps, LinearCoefficients, RooflineSteps, StepTimeModel,
};
pub use zoo::{Rejection, ZooConfig, ZooReplica};
