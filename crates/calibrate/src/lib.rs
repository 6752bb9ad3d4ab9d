//! Measured results in; a step-time model with its residuals and hold-out error out.
//!
//! [`read_file`] recognises what a load generator, a server or kendall itself wrote and turns it into [`Measured`]:
//! seconds, one definition a metric, the tool's traps as [`Caveat`]s.
//!
//! [`fit::fit`] fits the linear step-time model of `kendall_serving` to measured steps, with standard errors, hold-out
//! errors, the range and what the steps cannot tell apart.
//!
//! Architecture invariant: nothing here simulates or looks at a scenario's result. Where measured requests are to be
//! matched by simulated ones, the caller brings the simulator.

mod content;
mod error;
pub mod fit;
pub mod formats;
mod matching;
mod measured;
mod node;
mod number;
mod profile;
mod rebuild;
mod solo;
mod steps;
mod summary;

pub use error::{ReadError, ReadErrorKind};
pub use formats::{Format, read_bytes, read_file};
pub use matching::{
    Alike, Guess, Match, MatchError, Matched, Simulate, Target, Untold, latencies, match_latencies,
};
pub use measured::{Caveat, CaveatKind, Measured, MeasuredRequest, Setting};
pub use profile::{
    ProfileFacts, matched_profile, plain_profile_toml, profile, profile_toml, remark, unfitted_profile,
};
pub use solo::{FrontEnd, front_end, solo_steps};
pub use steps::{MeasuredStep, ServerFacts, StepLog};
pub use summary::{MeasuredSummary, Quantile, Statistic, SummaryOrigin};
