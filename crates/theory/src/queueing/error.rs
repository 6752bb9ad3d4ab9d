//! Why a formula has no value for some parameters. A queue outside its domain is an error, never a number.

/// Reasons why a model has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QueueingError {
    /// A parameter outside its domain.
    #[error("{name} = {value}: must be {must}")]
    Parameter {
        /// The parameter, by the name of the formula.
        name: &'static str,
        /// The value given.
        value: String,
        /// What it must be.
        must: &'static str,
    },
    /// The load reaches the capacity: no stationary distribution exists.
    #[error(
        "utilization {utilization} is not below 1: the queue grows without bound; lower the arrival rate or add capacity"
    )]
    Unstable {
        /// Offered work per unit of capacity.
        utilization: f64,
    },
    /// The model does not hold for these parameters.
    #[error("not applicable: {0}")]
    NotApplicable(&'static str),
    /// A numerical method did not reach its precision.
    #[error("{method} did not converge within {limit}; the parameters are too extreme for it")]
    NoConvergence {
        /// The method.
        method: &'static str,
        /// Its bound.
        limit: String,
    },
}

/// What the functions of this module return.
pub type Result<T> = std::result::Result<T, QueueingError>;

#[allow(clippy::needless_pass_by_value, reason = "call sites pass what they just made")]
pub(crate) fn parameter(
    name: &'static str,
    value: impl std::fmt::Display,
    must: &'static str,
) -> QueueingError {
    QueueingError::Parameter { name, value: value.to_string(), must }
}

/// A rate, mean or size: finite and above zero.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(parameter(name, value, "a finite number above 0"))
    }
}

/// A load or cost: finite and at least zero.
pub(crate) fn not_negative(name: &'static str, value: f64) -> Result<f64> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(parameter(name, value, "a finite number, at least 0"))
    }
}

/// A number of servers or places: at least one.
pub(crate) fn at_least_one(name: &'static str, value: u32) -> Result<u32> {
    if value >= 1 { Ok(value) } else { Err(parameter(name, value, "at least 1")) }
}

/// The level of a quantile: strictly between 0 and 1.
pub(crate) fn level(p: f64) -> Result<f64> {
    if p > 0.0 && p < 1.0 { Ok(p) } else { Err(parameter("p", p, "above 0 and below 1")) }
}

/// Fails when the load reaches the capacity.
pub(crate) fn stable(load: f64, capacity: f64) -> Result<()> {
    if load < capacity { Ok(()) } else { Err(QueueingError::Unstable { utilization: load / capacity }) }
}
