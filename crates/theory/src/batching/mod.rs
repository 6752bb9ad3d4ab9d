//! Models of continuous batching.
//!
//! [`study`] holds the three models of the study that kendall grew from, as the base line to beat; [`single`] is the
//! one case with an exact classical answer, a batch of one request.

pub mod lengths;
pub mod single;
pub mod step_times;
pub mod study;

pub use lengths::{LengthLaw, LengthLawError};
pub use step_times::{BatchStep, StepTimes, StepTimesError};
