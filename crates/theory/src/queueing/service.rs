//! Laws of the service time, with what the M/G/1 formulas ask of them.

use nalgebra::Complex;

use super::error::{Result, parameter, positive};
use super::phase_type::PhaseType;

/// The law of a service time; times in the unit of the caller.
#[derive(Debug, Clone, PartialEq)]
pub enum Service {
    /// Always this long.
    Deterministic(f64),
    /// Phase type; Erlang and hyperexponential laws are made by [`Service::erlang`] and [`Service::hyperexponential`].
    PhaseType(PhaseType),
    /// `exp(mu_log + sigma Z)` with a standard normal `Z`.
    Lognormal {
        /// Mean of the logarithm.
        mu_log: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// Each of these values with its weight.
    Empirical(Empirical),
}

/// A law on finitely many values.
#[derive(Debug, Clone, PartialEq)]
pub struct Empirical {
    values: Vec<f64>,
    probabilities: Vec<f64>,
}

impl Empirical {
    /// # Errors
    /// Values must be positive, weights at least 0 with a positive sum, one for each value.
    pub fn new(values: &[f64], weights: &[f64]) -> Result<Self> {
        if values.is_empty() || values.len() != weights.len() {
            return Err(parameter("weights", weights.len(), "as many as values, at least 1"));
        }
        for &value in values {
            positive("values", value)?;
        }
        let total: f64 = weights.iter().sum();
        if weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0)
            || !(total.is_finite() && total > 0.0)
        {
            return Err(parameter("weights", format!("{weights:?}"), "at least 0 with a positive sum"));
        }
        let probabilities = weights.iter().map(|weight| weight / total).collect();
        Ok(Self { values: values.to_vec(), probabilities })
    }

    /// Values with their probabilities.
    pub fn atoms(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.values.iter().copied().zip(self.probabilities.iter().copied())
    }
}

impl Service {
    /// # Errors
    /// `value` must be positive.
    pub fn deterministic(value: f64) -> Result<Self> {
        positive("value", value).map(Self::Deterministic)
    }

    /// # Errors
    /// `mean` must be positive.
    pub fn exponential(mean: f64) -> Result<Self> {
        PhaseType::erlang(1, mean).map(Self::PhaseType)
    }

    /// # Errors
    /// As [`PhaseType::erlang`].
    pub fn erlang(stages: u32, mean: f64) -> Result<Self> {
        PhaseType::erlang(stages, mean).map(Self::PhaseType)
    }

    /// # Errors
    /// As [`PhaseType::hyperexponential`].
    pub fn hyperexponential(probabilities: &[f64], rates: &[f64]) -> Result<Self> {
        PhaseType::hyperexponential(probabilities, rates).map(Self::PhaseType)
    }

    /// # Errors
    /// `mu_log` must be finite and `sigma` positive.
    pub fn lognormal(mu_log: f64, sigma: f64) -> Result<Self> {
        if !mu_log.is_finite() {
            return Err(parameter("mu_log", mu_log, "finite"));
        }
        Ok(Self::Lognormal { mu_log, sigma: positive("sigma", sigma)? })
    }

    /// `E[S]`, `E[S^2]`, `E[S^3]`.
    ///
    /// # Errors
    /// When they are not finite in double precision.
    pub fn moments(&self) -> Result<[f64; 3]> {
        let moments = match self {
            Self::Deterministic(value) => [*value, value * value, value * value * value],
            Self::PhaseType(law) => law.moments()?,
            Self::Lognormal { mu_log, sigma } => [1.0, 2.0, 3.0].map(|k| {
                let spread = k * sigma;
                libm::exp(k * mu_log + spread * spread / 2.0)
            }),
            Self::Empirical(law) => {
                [1.0, 2.0, 3.0].map(|k| law.atoms().map(|(x, p)| p * libm::pow(x, k)).sum())
            }
        };
        if moments.iter().all(|moment| moment.is_finite() && *moment > 0.0) {
            return Ok(moments);
        }
        Err(parameter("service", format!("{moments:?}"), "a law with finite moments up to the third"))
    }
}

/// Quadrature nodes of a lognormal in its normal variable: the trapezoid rule, which is exponentially precise here.
pub(crate) struct LognormalNodes {
    mu_log: f64,
    sigma: f64,
    step: f64,
    count: i32,
}

impl LognormalNodes {
    const REACH: f64 = 9.5;

    /// Nodes for an integrand that varies over `detail` in the normal variable.
    pub(crate) fn new(mu_log: f64, sigma: f64, detail: f64) -> Self {
        let step = detail.min(0.08);
        // Moments shift the weight upward by sigma.
        let count = ((Self::REACH + sigma) / step).ceil() as i32;
        Self { mu_log, sigma, step, count }
    }

    /// `(x, weight)` with `E[f(X)] = sum weight f(x)`.
    pub(crate) fn real(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        (-self.count..=self.count).map(move |k| {
            let z = f64::from(k) * self.step;
            let weight = self.step * libm::exp(-z * z / 2.0) / (2.0 * std::f64::consts::PI).sqrt();
            (libm::exp(self.mu_log + self.sigma * z), weight)
        })
    }

    /// `E[f(X)]` for analytic `f`, along the path `z -> z - i psi / sigma`. It turns `s x` towards the positive axis, where a
    /// transform does not oscillate, at the price of `exp(psi^2 / 2 sigma^2)` in round-off; psi is bounded to keep that
    /// below `e^2`.
    pub(crate) fn turned(&self, s: Complex<f64>, f: impl Fn(Complex<f64>) -> Complex<f64>) -> Complex<f64> {
        let bound = (2.0 * self.sigma).min(1.0);
        let psi = libm::atan2(s.im, s.re).clamp(-bound, bound);
        let turn = Complex::new(libm::cos(psi), -libm::sin(psi));
        let shift = psi / self.sigma;
        let lift = libm::exp(shift * shift / 2.0);
        self.real()
            .enumerate()
            .map(|(index, (x, weight))| {
                let z = (index as f64 - f64::from(self.count)) * self.step;
                let phase = Complex::new(libm::cos(z * shift), libm::sin(z * shift));
                f(turn * x) * phase * (weight * lift)
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Empirical, LognormalNodes, Service};
    use nalgebra::Complex;

    #[test]
    fn moments_of_a_lognormal_by_quadrature() {
        for sigma in [0.1, 0.7, 1.0, 2.0] {
            let exact = Service::lognormal(-0.5, sigma).unwrap().moments().unwrap();
            let nodes = LognormalNodes::new(-0.5, sigma, 0.08);
            let mean: f64 = nodes.real().map(|(x, weight)| x * weight).sum();
            assert!((mean / exact[0] - 1.0).abs() < 1e-12, "{sigma}: {mean}");
        }
    }

    // The turned path gives the same integral as the straight one.
    #[test]
    fn turning_the_path_changes_nothing() {
        let s = Complex::new(0.3, 1.1);
        let decay = |y: Complex<f64>| Complex::new(libm::cos(y.im), -libm::sin(y.im)) * libm::exp(-y.re);
        let nodes = LognormalNodes::new(0.2, 0.8, 0.08);
        let fine = LognormalNodes::new(0.2, 0.8, 0.0005);
        let straight: Complex<f64> = fine.real().map(|(x, weight)| decay(s * x) * weight).sum();
        let turned = nodes.turned(s, |x| decay(s * x));
        assert!((straight - turned).norm_sqr() < 1e-26, "{straight} {turned}");
    }

    #[test]
    fn what_is_no_law_is_refused() {
        assert!(Service::deterministic(0.0).is_err());
        assert!(Service::lognormal(0.0, -1.0).is_err());
        assert!(Empirical::new(&[1.0, 2.0], &[0.0, 0.0]).is_err());
        assert!(Empirical::new(&[1.0, -2.0], &[0.5, 0.5]).is_err());
        assert!(Service::lognormal(0.0, 40.0).unwrap().moments().is_err());
    }
}
