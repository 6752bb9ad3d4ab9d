//! Distributions that can be sampled, with the moments that theory needs.
//!
//! Everything but the gamma is sampled by inversion: one uniform draw gives one variate and a larger draw a larger
//! variate, which is what common random numbers and antithetic variates ask for (Law & Kelton, sections 8.2 and 11.2).
//! All functions come from `libm`, never from the platform, so that one seed gives the same bits everywhere.

use thiserror::Error;

use crate::EntityRng;

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

impl Distribution {
    /// Draws one variate.
    pub fn sample(&self, rng: &mut EntityRng) -> f64 {
        match &self.0 {
            Kind::Constant(value) => *value,
            Kind::Gamma { shape, scale } => scale * standard_gamma(*shape, rng),
            kind => kind.quantile(rng.next_open01()),
        }
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
            Kind::Gamma { .. } => {
                unreachable!("the gamma distribution is sampled by rejection, not by inversion")
            }
        }
    }
}

/// The quantile function of the standard normal distribution for `u` in (0, 1), to about 1e-16.
///
/// Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37 (1988), 477-484.
pub fn standard_normal_quantile(u: f64) -> f64 {
    fn ratio(numerator: [f64; 8], denominator: [f64; 8], x: f64) -> f64 {
        let horner = |c: [f64; 8]| c.iter().rev().fold(0.0, |sum, &coefficient| sum * x + coefficient);
        horner(numerator) / horner(denominator)
    }
    let q = u - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(CENTRE.0, CENTRE.1, 0.180_625 - q * q);
    }
    let tail = if q < 0.0 { u } else { 1.0 - u };
    let r = libm::sqrt(-libm::log(tail));
    let size = if r <= 5.0 { ratio(MIDDLE.0, MIDDLE.1, r - 1.6) } else { ratio(FAR.0, FAR.1, r - 5.0) };
    if q < 0.0 { -size } else { size }
}

/// Coefficients of the two polynomials (numerator, denominator), lowest power first.
type Rational = ([f64; 8], [f64; 8]);

/// |u - 0.5| <= 0.425.
const CENTRE: Rational = (
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
);

/// sqrt(-ln tail) <= 5.
const MIDDLE: Rational = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);

/// Beyond that.
const FAR: Rational = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_7e-15,
    ],
);

/// Gamma with scale 1, by rejection from a cubed normal. Marsaglia & Tsang, ACM TOMS 26 (2000), 363-372; below shape 1
/// through `Gamma(shape) = Gamma(shape + 1) * U^(1/shape)`.
fn standard_gamma(shape: f64, rng: &mut EntityRng) -> f64 {
    if shape < 1.0 {
        let boost = libm::pow(rng.next_open01(), 1.0 / shape);
        return boost * standard_gamma(shape + 1.0, rng);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = standard_normal_quantile(rng.next_open01());
        let v = 1.0 + c * x;
        let v = v * v * v;
        if v > 0.0 && libm::log(rng.next_open01()) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
}

#[cfg(test)]
#[path = "distribution_tests.rs"]
mod tests;
