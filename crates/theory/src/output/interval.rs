//! The interval that stands beside every estimate.

use serde::{Deserialize, Serialize};

use super::student_t::student_t_quantile;

/// A confidence interval of a mean: `mean` plus or minus `half_width`, in the unit of the observations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate, in the unit of the observations.
    pub mean: f64,
    /// Half the length of the interval, in the unit of the observations.
    pub half_width: f64,
    /// Probability with which such an interval contains the true value, for example 0.95.
    pub confidence: f64,
    /// Number of independent values (replications, or batches treated as such) behind the interval.
    pub replications: u64,
}

impl Interval {
    /// Lower end.
    pub fn low(&self) -> f64 {
        self.mean - self.half_width
    }

    /// Upper end.
    pub fn high(&self) -> f64 {
        self.mean + self.half_width
    }

    /// Whether `value` lies in the interval, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low() <= value && value <= self.high()
    }

    /// Half-width as a share of the estimate; `None` where the estimate is 0.
    pub fn relative_half_width(&self) -> Option<f64> {
        (self.mean != 0.0).then(|| self.half_width / self.mean.abs())
    }
}

/// Student-t interval of the mean of independent values. Law & Kelton, equation 4.12.
///
/// `None` below two values, for a value that is not finite, or for a confidence outside (0, 1).
pub fn t_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let (mean, variance) = mean_and_variance(values)?;
    let t = two_sided_t(confidence, values.len() as f64 - 1.0)?;
    let half_width = t * (variance / values.len() as f64).sqrt();
    half_width.is_finite().then_some(Interval {
        mean,
        half_width,
        confidence,
        replications: values.len() as u64,
    })
}

/// The degrees of freedom of the sample variance of `values`: fewer than k - 1 where a few values lie far out, as batch
/// means of a busy queue do. The variance of a sample variance is (kurtosis excess / k + 2 / (k - 1)) of its square;
/// matched to a chi-square distribution (Satterthwaite 1946).
pub(super) fn effective_dof(values: &[f64]) -> Option<f64> {
    let (mean, variance) = mean_and_variance(values)?;
    let k = values.len() as f64;
    if variance <= 0.0 {
        return Some(k - 1.0);
    }
    let fourth = |x: &f64| (x - mean) * (x - mean) * (x - mean) * (x - mean);
    let excess = values.iter().map(fourth).sum::<f64>() / k / (variance * variance) - 3.0;
    Some((2.0 * k / (2.0 + excess.max(0.0))).min(k - 1.0))
}

/// Interval of the mean of batches, with [`effective_dof`]; `None` where [`t_interval`] has none.
pub(super) fn skewed_interval(values: &[f64], confidence: f64) -> Option<Interval> {
    let plain = t_interval(values, confidence)?;
    let widening = two_sided_t(confidence, effective_dof(values)?)?
        / two_sided_t(confidence, values.len() as f64 - 1.0)?;
    Some(Interval { half_width: plain.half_width * widening, ..plain })
}

/// The factor t of a two-sided interval; `None` for a confidence outside (0, 1) or no degree of freedom.
pub(super) fn two_sided_t(confidence: f64, dof: f64) -> Option<f64> {
    let sane = confidence > 0.0 && confidence < 1.0;
    if sane { student_t_quantile(f64::midpoint(1.0, confidence), dof) } else { None }
}

/// Mean and unbiased variance in two passes; `None` below two values.
pub(super) fn mean_and_variance(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    Some((mean, squares / (n - 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_example() {
        // Law & Kelton, section 4.5: ten values, mean 1.34, 90 % interval 1.34 +- 0.24.
        let values = [1.20, 1.50, 1.68, 1.89, 0.95, 1.49, 1.58, 1.55, 0.50, 1.09];
        let interval = t_interval(&values, 0.9).unwrap();
        assert!((interval.mean - 1.343).abs() < 1e-12);
        assert!((interval.half_width - 0.24).abs() < 0.005, "{interval:?}");
        assert_eq!(interval.replications, 10);
        assert!(interval.contains(1.2) && !interval.contains(1.0));
        assert!((interval.relative_half_width().unwrap() - interval.half_width / 1.343).abs() < 1e-12);
    }

    #[test]
    fn no_interval_without_grounds() {
        assert_eq!(t_interval(&[], 0.95), None);
        assert_eq!(t_interval(&[3.0], 0.95), None);
        assert_eq!(t_interval(&[3.0, f64::NAN], 0.95), None);
        assert_eq!(t_interval(&[3.0, f64::INFINITY], 0.95), None);
        assert_eq!(t_interval(&[3.0, 4.0], 1.0), None);
    }
}
