//! How long a step takes, as a function of the shape of its batch.
//!
//! | model | from |
//! |---|---|
//! | [`LinearCoefficients`] | coefficients, fitted to one GPU and model |
//! | [`RooflineSteps`] | GPU datasheet, model architecture, efficiencies of kernels: any GPU and model |
//! | [`CurveSteps`] | the latency curve of the EE384S study: contention between the requests of a batch |
//!
//! All give steps that can be summed exactly: `n` decoding sequences of together `c` context tokens take
//! `A(n) + D(n) c` picoseconds, with integer `A` and `D`.

mod curve;
mod linear;
pub mod roofline;
mod shape;

use kendall_des::SimDuration;
use serde::Serialize;

pub use curve::{CurveCoefficients, CurveError, CurveSteps};
pub use linear::LinearCoefficients;
pub use roofline::RooflineSteps;
pub use shape::BatchShape;

/// How long the steps of an engine take.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum StepTimeModel {
    /// Linear in the shape of the batch.
    Linear(LinearCoefficients),
    /// Operator by operator.
    Roofline(RooflineSteps),
    /// The curve of the EE384S study.
    Curve(CurveSteps),
}

impl StepTimeModel {
    /// The duration of a step of this shape; a step without tokens takes no time.
    ///
    /// # Panics
    /// Beyond the horizon of 213 days for one step.
    #[inline]
    pub fn step_time(&self, shape: &BatchShape) -> SimDuration {
        match self {
            Self::Linear(coefficients) => coefficients.step_time(shape),
            Self::Roofline(steps) => steps.step_time(shape),
            Self::Curve(steps) => steps.step_time(shape),
        }
    }

    /// `A(n)` and `D(n)`: a step that only decodes `num_rows` sequences takes so long, and so much longer for each token
    /// of their contexts (ps).
    ///
    /// # Panics
    /// Beyond the horizon of 213 days for one step.
    #[inline]
    pub fn decode_ps(&self, num_rows: u64) -> (u64, u64) {
        match self {
            Self::Linear(coefficients) => coefficients.decode_ps(num_rows),
            Self::Roofline(steps) => steps.decode_ps(num_rows),
            Self::Curve(steps) => steps.decode_ps(num_rows),
        }
    }

    /// What a step that only decodes saves for each of its [`BatchShape::shared_tokens`] (ps).
    #[inline]
    pub fn shared_token_ps(&self) -> u64 {
        match self {
            Self::Roofline(steps) => steps.shared_token_ps(),
            Self::Linear(_) | Self::Curve(_) => 0,
        }
    }

    /// Coefficients of steps that are never longer than this model's, where sequences share nothing: for bounds on what a server
    /// can do. Less [`Self::shared_token_ps`] for each shared token they are bounds in any case.
    pub fn at_least(&self) -> LinearCoefficients {
        match self {
            Self::Linear(coefficients) => *coefficients,
            Self::Roofline(steps) => steps.at_least(),
            Self::Curve(steps) => steps.at_least(),
        }
    }

    /// The model with every step `share` times as long, up to rounding to picoseconds.
    #[must_use]
    pub fn scaled(&self, share: f64) -> Self {
        match self {
            Self::Linear(coefficients) => Self::Linear(coefficients.scaled(share)),
            Self::Roofline(steps) => Self::Roofline(steps.scaled(share)),
            Self::Curve(steps) => Self::Curve(steps.scaled(share)),
        }
    }

    /// The coefficients of a linear model.
    pub fn as_linear(&self) -> Option<&LinearCoefficients> {
        match self {
            Self::Linear(coefficients) => Some(coefficients),
            Self::Roofline(_) | Self::Curve(_) => None,
        }
    }
}

impl From<LinearCoefficients> for StepTimeModel {
    fn from(coefficients: LinearCoefficients) -> Self {
        Self::Linear(coefficients)
    }
}

impl From<RooflineSteps> for StepTimeModel {
    fn from(steps: RooflineSteps) -> Self {
        Self::Roofline(steps)
    }
}

impl From<CurveSteps> for StepTimeModel {
    fn from(steps: CurveSteps) -> Self {
        Self::Curve(steps)
    }
}
