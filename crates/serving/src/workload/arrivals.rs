//! Arrival processes as a scenario names them.

use kendall_des::{Distribution, DistributionError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When requests arrive. Gaps between arrivals are independent (a renewal process); the first request arrives after one
/// gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "process", rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// Exponential gaps: mean `1 / rate_per_s`, coefficient of variation 1.
    Poisson {
        /// Mean arrival rate in requests per second.
        rate_per_s: f64,
    },
    /// Equal gaps.
    Constant {
        /// Arrival rate in requests per second.
        rate_per_s: f64,
    },
    /// Gamma gaps with shape `burstiness`, as in `vllm bench serve`: the coefficient of variation is
    /// `1 / sqrt(burstiness)`, so that values below 1 are burstier than Poisson.
    Gamma {
        /// Mean arrival rate in requests per second.
        rate_per_s: f64,
        /// Shape of the gamma distribution of gaps.
        burstiness: f64,
    },
    /// All requests arrive at time 0 (`--request-rate inf`).
    AtOnce {},
}

impl Arrivals {
    /// The distribution of gaps in seconds; `None` if there are no gaps.
    ///
    /// # Errors
    /// If a parameter is not above 0.
    pub fn gap(&self) -> Result<Option<Distribution>, DistributionError> {
        let mean_gap = |rate_per_s: f64| {
            if rate_per_s.is_finite() && rate_per_s > 0.0 {
                Ok(1.0 / rate_per_s)
            } else {
                Err(DistributionError::NotPositive { parameter: "rate_per_s", value: rate_per_s })
            }
        };
        match *self {
            Self::Poisson { rate_per_s } => Distribution::exponential(mean_gap(rate_per_s)?).map(Some),
            Self::Constant { rate_per_s } => Distribution::constant(mean_gap(rate_per_s)?).map(Some),
            Self::Gamma { rate_per_s, burstiness } => {
                let mean = mean_gap(rate_per_s)?;
                if !(burstiness.is_finite() && burstiness > 0.0) {
                    return Err(DistributionError::NotPositive {
                        parameter: "burstiness",
                        value: burstiness,
                    });
                }
                Distribution::gamma(burstiness, mean / burstiness).map(Some)
            }
            Self::AtOnce {} => Ok(None),
        }
    }

    /// Long-run arrival rate in requests per second; `None` if all arrive at once.
    pub fn rate_per_s(&self) -> Option<f64> {
        match *self {
            Self::Poisson { rate_per_s } | Self::Constant { rate_per_s } | Self::Gamma { rate_per_s, .. } => {
                Some(rate_per_s)
            }
            Self::AtOnce {} => None,
        }
    }
}
