//! Models of continuous batching.
//!
//! [`study`] holds the three models of the study that kendall grew from, as the base line to beat; [`single`] is the
//! one case with an exact classical answer, a batch of one request.

mod attempts;
mod best;
mod chain;
mod closed_form;
mod first_token;
mod grid;
mod kernels;
mod kv;
pub mod lengths;
mod linear;
pub mod paged;
mod phase_kv;
mod phase_type;
mod phases;
mod prediction;
mod reserved;
mod rounds;
mod seen;
mod services;
pub mod single;
pub mod step_times;
pub mod study;
mod system;
mod transient;
mod waits;

pub use best::best;
pub use closed_form::closed_form;
pub use grid::TimeLaw;
pub use lengths::{LengthLaw, LengthLawError};
pub use phase_type::{ShortRun, phase_type, short_run};
pub use prediction::{Model, NotApplicable, Prediction};
pub use reserved::reserved_kv;
pub use step_times::{BatchStep, StepTimes, StepTimesError};
pub use system::{System, SystemError};
