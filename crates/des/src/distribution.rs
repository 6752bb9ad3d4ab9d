//! Distributions that can be sampled, with the moments that theory needs.
//!
//! Everything but the gamma is sampled by inversion: one uniform draw gives one variate and a larger draw a larger
//! variate, which is what common random numbers and antithetic variates ask for (Law & Kelton, sections 8.2 and 11.2).
//! All functions come from `libm`, never from the platform, so that one seed gives the same bits everywhere.

mod bounded;
mod gamma;
mod normal;

use thiserror::Error;

use crate::{EntityRng, Stream};

pub use bounded::Outside;
pub use normal::{standard_normal_cdf, standard_normal_quantile};

use bounded::{Bounded, Law};

/// A probability distribution on the real line, checked when it is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Constant(f64),
    Uniform { low: f64, high: f64 },
    Exponential { mean: f64 },
    Normal { mean: f64, std_dev: f64 },
    LogNormal { mu: f64, sigma: f64 },
    Gamma { shape: f64, scale: f64 },
    Weibull { shape: f64, scale: f64 },
    Pareto { shape: f64, minimum: f64 },
    Empirical { values: Vec<f64>, cumulative: Vec<f64> },
    Bounded(Bounded),
}

/// A parameter that no distribution can have.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum DistributionError {
    /// A parameter must be a finite number above zero.
    #[error("`{parameter}` is {value}: it must be a finite number above 0")]
    NotPositive {
        /// Name of the parameter.
        parameter: &'static str,
        /// The value given.
        value: f64,
    },
    /// A parameter must be a finite number.
    #[error("`{parameter}` is {value}: it must be a finite number")]
    NotFinite {
        /// Name of the parameter.
        parameter: &'static str,
        /// The value given.
        value: f64,
    },
    /// A uniform distribution whose ends are the wrong way round.
    #[error("the interval from {low} to {high} is empty: `low` must not exceed `high`")]
    EmptyInterval {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Bounds between which a distribution has (almost) no probability.
    #[error(
        "between {low} and {high} there is next to no probability: widen the bounds, or move the distribution"
    )]
    NothingWithin {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// A Zipf distribution with no rank, or more than fit in memory.
    #[error("it has {ranks} ranks: it must have at least 1 and at most {MAX_RANKS}")]
    TooManyRanks {
        /// As asked for.
        ranks: u32,
    },
    /// An empirical table without values, or with weights that are not probabilities.
    #[error("an empirical table needs at least one value, and weights that are finite, >= 0 and not all 0")]
    BadTable,
}

fn positive(parameter: &'static str, value: f64) -> Result<f64, DistributionError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(DistributionError::NotPositive { parameter, value })
    }
}

fn finite(parameter: &'static str, value: f64) -> Result<f64, DistributionError> {
    if value.is_finite() { Ok(value) } else { Err(DistributionError::NotFinite { parameter, value }) }
}

/// Constructors. Each fails with a [`DistributionError`] on a parameter outside its domain.
#[allow(clippy::missing_errors_doc, reason = "said once for all, in the line above")]
impl Distribution {
    /// Always `value`.
    pub fn constant(value: f64) -> Result<Self, DistributionError> {
        Ok(Self(Kind::Constant(finite("value", value)?)))
    }

    /// Uniform on [`low`, `high`].
    pub fn uniform(low: f64, high: f64) -> Result<Self, DistributionError> {
        let (low, high) = (finite("low", low)?, finite("high", high)?);
        if low > high {
            return Err(DistributionError::EmptyInterval { low, high });
        }
        Ok(Self(Kind::Uniform { low, high }))
    }

    /// Exponential with the given mean.
    pub fn exponential(mean: f64) -> Result<Self, DistributionError> {
        Ok(Self(Kind::Exponential { mean: positive("mean", mean)? }))
    }

    /// Normal.
    pub fn normal(mean: f64, std_dev: f64) -> Result<Self, DistributionError> {
        Ok(Self(Kind::Normal { mean: finite("mean", mean)?, std_dev: positive("std_dev", std_dev)? }))
    }

    /// Log-normal by its median (`exp(mu)`) and the standard deviation `sigma` of the logarithm.
    pub fn log_normal(median: f64, sigma: f64) -> Result<Self, DistributionError> {
        let mu = libm::log(positive("median", median)?);
        Ok(Self(Kind::LogNormal { mu, sigma: positive("sigma", sigma)? }))
    }

    /// Gamma; its mean is `shape * scale`.
    pub fn gamma(shape: f64, scale: f64) -> Result<Self, DistributionError> {
        Ok(Self(Kind::Gamma { shape: positive("shape", shape)?, scale: positive("scale", scale)? }))
    }

    /// Weibull with survival function `exp(-(x / scale)^shape)`.
    pub fn weibull(shape: f64, scale: f64) -> Result<Self, DistributionError> {
        Ok(Self(Kind::Weibull { shape: positive("shape", shape)?, scale: positive("scale", scale)? }))
    }

    /// Pareto with survival function `(minimum / x)^shape` from `minimum` on.
    pub fn pareto(shape: f64, minimum: f64) -> Result<Self, DistributionError> {
        Ok(Self(Kind::Pareto { shape: positive("shape", shape)?, minimum: positive("minimum", minimum)? }))
    }

    /// Normal, within `low` and `high`.
    pub fn bounded_normal(
        mean: f64,
        std_dev: f64,
        (low, high): (f64, f64),
        outside: Outside,
    ) -> Result<Self, DistributionError> {
        let (mean, std_dev) = (finite("mean", mean)?, positive("std_dev", std_dev)?);
        Bounded::new(Law::Normal, mean, std_dev, (low, high), outside)
            .map(|bounded| Self(Kind::Bounded(bounded)))
    }

    /// Log-normal by its median and `sigma`, within `low` and `high`.
    pub fn bounded_log_normal(
        median: f64,
        sigma: f64,
        (low, high): (f64, f64),
        outside: Outside,
    ) -> Result<Self, DistributionError> {
        let (mu, sigma) = (libm::log(positive("median", median)?), positive("sigma", sigma)?);
        Bounded::new(Law::LogNormal, mu, sigma, (low, high), outside)
            .map(|bounded| Self(Kind::Bounded(bounded)))
    }

    /// Zipf's law on 1, 2, ..., `ranks`: rank `k` has probability proportional to `k^-exponent`.
    pub fn zipf(exponent: f64, ranks: u32) -> Result<Self, DistributionError> {
        let exponent = finite("exponent", exponent)?;
        if ranks == 0 || ranks > MAX_RANKS {
            return Err(DistributionError::TooManyRanks { ranks });
        }
        let table: Vec<_> = (1..=ranks).map(f64::from).map(|k| (k, libm::pow(k, -exponent))).collect();
        Self::empirical(&table)
    }

    /// A table of (value, weight); weights need not sum to one.
    pub fn empirical(table: &[(f64, f64)]) -> Result<Self, DistributionError> {
        let total: f64 = table.iter().map(|&(_, weight)| weight).sum();
        let sane = |&(value, weight): &(f64, f64)| value.is_finite() && weight.is_finite() && weight >= 0.0;
        if !table.iter().all(sane) || !total.is_finite() || total <= 0.0 {
            return Err(DistributionError::BadTable);
        }
        let mut sorted = table.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut running = 0.0;
        let cumulative = sorted.iter().map(|&(_, weight)| {
            running += weight / total;
            running
        });
        let cumulative = cumulative.collect();
        Ok(Self(Kind::Empirical { values: sorted.iter().map(|&(value, _)| value).collect(), cumulative }))
    }
}

/// Most ranks of a Zipf distribution: its table is held in memory, 16 bytes each.
const MAX_RANKS: u32 = 1 << 20;

impl Distribution {
    /// Draws one variate.
    #[inline]
    pub fn sample(&self, rng: &mut EntityRng) -> f64 {
        match &self.0 {
            Kind::Constant(value) => *value,
            Kind::Gamma { shape, scale } => scale * gamma::standard_gamma(*shape, rng),
            kind => kind.quantile(rng.next_open01()),
        }
    }

    /// The variates of entities that follow each other, `first` being the number of the first: of each the first one that
    /// [`Self::sample`] draws from its random numbers.
    pub(crate) fn of_entities(&self, stream: &mut Stream, first: u64, variates: &mut [f64]) {
        match &self.0 {
            Kind::Constant(value) => variates.fill(*value),
            Kind::Gamma { .. } => {
                for (variate, entity) in variates.iter_mut().zip(first..) {
                    *variate = self.sample(&mut stream.entity(entity));
                }
            }
            kind => {
                for (variate, entity) in variates.iter_mut().zip(first..) {
                    *variate = stream.first_open01(entity);
                }
                kind.quantiles(variates);
            }
        }
    }

    /// The inverse distribution function at `u` in (0, 1): the smallest value whose distribution function reaches `u`.
    ///
    /// All families but the gamma are sampled as this of one uniform draw.
    pub fn quantile(&self, u: f64) -> f64 {
        self.0.quantile(u)
    }

    /// The mean; `None` where it is infinite.
    pub fn mean(&self) -> Option<f64> {
        match &self.0 {
            Kind::Constant(value) => Some(*value),
            Kind::Uniform { low, high } => Some(low + (high - low) / 2.0),
            Kind::Exponential { mean } | Kind::Normal { mean, .. } => Some(*mean),
            Kind::LogNormal { mu, sigma } => Some(libm::exp(mu + sigma * sigma / 2.0)),
            Kind::Gamma { shape, scale } => Some(shape * scale),
            Kind::Weibull { shape, scale } => Some(scale * libm::tgamma(1.0 + 1.0 / shape)),
            Kind::Pareto { shape, minimum } => (*shape > 1.0).then(|| shape * minimum / (shape - 1.0)),
            Kind::Empirical { .. } => Some(self.table_moment(|x| x)),
            Kind::Bounded(bounded) => Some(bounded.moments().0),
        }
    }

    /// The variance; `None` where it is infinite.
    pub fn variance(&self) -> Option<f64> {
        match &self.0 {
            Kind::Constant(_) => Some(0.0),
            Kind::Uniform { low, high } => Some((high - low) * (high - low) / 12.0),
            Kind::Exponential { mean } => Some(mean * mean),
            Kind::Normal { std_dev, .. } => Some(std_dev * std_dev),
            Kind::LogNormal { mu, sigma } => {
                let s2 = sigma * sigma;
                Some(libm::expm1(s2) * libm::exp(2.0 * mu + s2))
            }
            Kind::Gamma { shape, scale } => Some(shape * scale * scale),
            Kind::Weibull { shape, scale } => {
                let first = libm::tgamma(1.0 + 1.0 / shape);
                Some(scale * scale * (libm::tgamma(1.0 + 2.0 / shape) - first * first))
            }
            Kind::Pareto { shape, minimum } => (*shape > 2.0)
                .then(|| minimum * minimum * shape / ((shape - 1.0) * (shape - 1.0) * (shape - 2.0))),
            Kind::Empirical { .. } => {
                let mean = self.table_moment(|x| x);
                Some(self.table_moment(|x| (x - mean) * (x - mean)))
            }
            Kind::Bounded(bounded) => {
                let (mean, square) = bounded.moments();
                Some((square - mean * mean).max(0.0))
            }
        }
    }

    fn table_moment(&self, of: impl Fn(f64) -> f64) -> f64 {
        let Kind::Empirical { values, cumulative } = &self.0 else { return f64::NAN };
        let mut below = 0.0;
        let terms = values.iter().zip(cumulative).map(|(&value, &up_to)| {
            let weight = up_to - below;
            below = up_to;
            weight * of(value)
        });
        terms.sum()
    }
}

impl Kind {
    /// Each number between 0 and 1 becomes the inverse distribution function at it. The steps of one function wait for each
    /// other, those of several calls in a row do not: function by function takes less time than number by number.
    fn quantiles(&self, values: &mut [f64]) {
        match self {
            Kind::LogNormal { mu, sigma } => {
                for value in &mut *values {
                    *value = mu + sigma * standard_normal_quantile(*value);
                }
                for value in values {
                    *value = libm::exp(*value);
                }
            }
            kind => {
                for value in values {
                    *value = kind.quantile(*value);
                }
            }
        }
    }

    /// The inverse distribution function at `u` in (0, 1).
    fn quantile(&self, u: f64) -> f64 {
        match self {
            Kind::Constant(value) => *value,
            Kind::Uniform { low, high } => low + (high - low) * u,
            Kind::Exponential { mean } => -mean * libm::log1p(-u),
            Kind::Normal { mean, std_dev } => mean + std_dev * standard_normal_quantile(u),
            Kind::LogNormal { mu, sigma } => libm::exp(mu + sigma * standard_normal_quantile(u)),
            Kind::Weibull { shape, scale } => scale * libm::pow(-libm::log1p(-u), 1.0 / shape),
            Kind::Pareto { shape, minimum } => minimum * libm::exp(-libm::log1p(-u) / shape),
            Kind::Empirical { values, cumulative } => {
                let at = cumulative.partition_point(|&up_to| up_to < u);
                // Rounding can leave the last cumulative weight a hair below u.
                values[at.min(values.len() - 1)]
            }
            Kind::Gamma { shape, scale } => scale * gamma::quantile(*shape, u),
            Kind::Bounded(bounded) => bounded.quantile(u),
        }
    }
}

#[cfg(test)]
#[path = "distribution_tests.rs"]
mod tests;
