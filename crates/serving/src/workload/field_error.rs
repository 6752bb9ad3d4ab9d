//! A mistake in one key of a workload, with the way to it.

use kendall_des::DistributionError;
use thiserror::Error;

/// A value that a key of a workload cannot have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{field}`: {message}")]
pub struct FieldError {
    /// The key with the keys that it stands in, such as `stages.1.duration_s`; places in arrays count from 0. Empty for the
    /// whole value.
    pub field: String,
    /// What is wrong with its value, and the remedy.
    pub message: String,
}

impl FieldError {
    /// A mistake in the value of `field`.
    pub fn at(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same mistake, seen from the table that holds `outer`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field = if self.field.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.field) };
        self
    }
}

impl From<DistributionError> for FieldError {
    fn from(error: DistributionError) -> Self {
        match error {
            DistributionError::NotPositive { parameter, value } => not_positive(parameter, value),
            DistributionError::NotFinite { parameter, value } => {
                Self::at(parameter, format!("{value:?}: it must be a finite number"))
            }
            error => Self::at("", error.to_string()),
        }
    }
}

fn not_positive(field: &str, value: f64) -> FieldError {
    FieldError::at(field, format!("{value:?}: it must be a finite number above 0"))
}

/// The value, if it is a finite number above 0.
pub(super) fn positive(field: &str, value: f64) -> Result<f64, FieldError> {
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err(not_positive(field, value)) }
}

/// The value, if it is a finite number that is not negative.
pub(super) fn not_negative(field: &str, value: f64) -> Result<f64, FieldError> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(FieldError::at(field, format!("{value:?}: it must be a finite number, at least 0")))
    }
}

/// The value, if it lies between 0 and 1.
pub(super) fn fraction(field: &str, value: f64) -> Result<f64, FieldError> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(FieldError::at(field, format!("{value:?}: it must lie between 0 and 1")))
    }
}
