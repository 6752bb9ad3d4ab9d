//! Normal and log-normal distributions within bounds: draws outside are drawn again, or moved to the nearest bound.

use super::DistributionError;
use super::normal::{standard_normal_cdf, standard_normal_density, standard_normal_quantile};

/// What becomes of a draw outside the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// It is drawn again: the truncated distribution.
    Truncate,
    /// It becomes the nearest bound, which thereby has a probability of its own: the censored distribution.
    Clip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Law {
    Normal,
    LogNormal,
}

/// A (log-)normal distribution within bounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bounded {
    law: Law,
    mu: f64,
    sigma: f64,
    low: f64,
    high: f64,
    /// The bounds in standard deviations from `mu`; infinite where there is none.
    z: (f64, f64),
    outside: Outside,
}

/// Less probability than this within the bounds, and quantiles lose their digits.
const LEAST_WITHIN: f64 = 1e-200;

impl Bounded {
    pub(super) fn new(
        law: Law,
        mu: f64,
        sigma: f64,
        (low, high): (f64, f64),
        outside: Outside,
    ) -> Result<Self, DistributionError> {
        if low.is_nan() || high.is_nan() || low >= high {
            return Err(DistributionError::EmptyInterval { low, high });
        }
        let standard = |bound: f64| match law {
            Law::Normal => (bound - mu) / sigma,
            Law::LogNormal if bound <= 0.0 => f64::NEG_INFINITY,
            Law::LogNormal => (libm::log(bound) - mu) / sigma,
        };
        let bounded = Self { law, mu, sigma, low, high, z: (standard(low), standard(high)), outside };
        if outside == Outside::Truncate && between(bounded.z.0, bounded.z.1) < LEAST_WITHIN {
            return Err(DistributionError::NothingWithin { low, high });
        }
        Ok(bounded)
    }

    pub(super) fn quantile(&self, u: f64) -> f64 {
        let z = match self.outside {
            Outside::Clip => standard_normal_quantile(u),
            Outside::Truncate => {
                let (below, up_to) = mirrored(self.z.0, self.z.1);
                if self.z.0 > 0.0 {
                    -standard_normal_quantile(up_to - u * (up_to - below))
                } else {
                    standard_normal_quantile(below + u * (up_to - below))
                }
            }
        };
        let value = match self.law {
            Law::Normal => self.mu + self.sigma * z,
            Law::LogNormal => libm::exp(self.mu + self.sigma * z),
        };
        // Rounding can leave a truncated draw a hair outside.
        value.clamp(self.low, self.high)
    }

    /// The first two moments. Johnson, Kotz & Balakrishnan, Continuous Univariate Distributions I, sections 13.10 and 14.
    pub(super) fn moments(&self) -> (f64, f64) {
        let (low, high) = self.z;
        let within = between(low, high);
        let (first, second) = self.partial_moments(within);
        match self.outside {
            Outside::Truncate => (first / within, second / within),
            Outside::Clip => {
                let at_low = if self.low.is_finite() { standard_normal_cdf(low) } else { 0.0 };
                let at_high = if self.high.is_finite() { standard_normal_cdf(-high) } else { 0.0 };
                let term = |bound: f64, weight: f64| {
                    if weight > 0.0 { (bound * weight, bound * bound * weight) } else { (0.0, 0.0) }
                };
                let (l, h) = (term(self.low, at_low), term(self.high, at_high));
                (first + l.0 + h.0, second + l.1 + h.1)
            }
        }
    }

    /// Integrals of x and its square over the values within the bounds.
    fn partial_moments(&self, within: f64) -> (f64, f64) {
        let (low, high) = self.z;
        let (mu, sigma) = (self.mu, self.sigma);
        match self.law {
            Law::Normal => {
                let density = |z: f64| {
                    if z.is_finite() {
                        (standard_normal_density(z), z * standard_normal_density(z))
                    } else {
                        (0.0, 0.0)
                    }
                };
                let (l, h) = (density(low), density(high));
                let slope = h.0 - l.0;
                let first = mu * within - sigma * slope;
                let second = (mu * mu + sigma * sigma) * within
                    - 2.0 * mu * sigma * slope
                    - sigma * sigma * (h.1 - l.1);
                (first, second)
            }
            Law::LogNormal => {
                let moment = |k: f64| {
                    let shifted = between(low - k * sigma, high - k * sigma);
                    libm::exp(k * mu + k * k * sigma * sigma / 2.0) * shifted
                };
                (moment(1.0), moment(2.0))
            }
        }
    }
}

/// Probabilities of standard normal values below two bounds, counted from the upper tail where both lie above the mean: there
/// they have more digits.
fn mirrored(low: f64, high: f64) -> (f64, f64) {
    if low > 0.0 {
        (standard_normal_cdf(-high), standard_normal_cdf(-low))
    } else {
        (standard_normal_cdf(low), standard_normal_cdf(high))
    }
}

/// The probability of a standard normal value between two bounds.
fn between(low: f64, high: f64) -> f64 {
    let (below, up_to) = mirrored(low, high);
    up_to - below
}
