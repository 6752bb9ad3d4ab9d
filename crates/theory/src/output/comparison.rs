//! Fewer runs for the same precision: paired differences, antithetic pairs, control variates. Law & Kelton, chapters 10
//! and 11.

use super::interval::{Interval, mean_and_variance, t_interval, two_sided_t};

/// Interval of the mean difference a - b of two systems that met the same random numbers, replication by replication.
/// Law & Kelton, section 10.2.1.
///
/// `None` for unequal or too few replications, or where [`t_interval`] has none.
pub fn paired_interval(a: &[f64], b: &[f64], confidence: f64) -> Option<Interval> {
    if a.len() != b.len() {
        return None;
    }
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    t_interval(&differences, confidence)
}

/// Interval of a mean from antithetic pairs: replication i of `first` used uniforms u, of `second` 1 - u. The pairs are
/// independent, their members are not. Law & Kelton, section 11.3.
///
/// `None` as for [`paired_interval`].
pub fn antithetic_interval(first: &[f64], second: &[f64], confidence: f64) -> Option<Interval> {
    if first.len() != second.len() {
        return None;
    }
    let averages: Vec<f64> = first.iter().zip(second).map(|(a, b)| f64::midpoint(*a, *b)).collect();
    t_interval(&averages, confidence)
}

/// A mean corrected by a quantity whose true mean is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ControlVariate {
    /// Interval of the corrected mean.
    pub interval: Interval,
    /// Regression coefficient of the value on the control, in units of the one per unit of the other.
    pub coefficient: f64,
    /// Share of the variance that the control takes away, from 0 to 1; may be used to decide whether it helps.
    pub variance_removed: f64,
}

/// Regression-adjusted mean: `controls` (such as the mean service work of each replication) with their exact mean.
/// Law & Kelton, section 11.4; the interval is that of Lavenberg & Welch, Management Science 27 (1981), exact where
/// value and control are jointly normal.
///
/// `None` below four replications, for unequal lengths, for a control that does not vary, or for values that are not
/// finite.
pub fn control_variate(
    values: &[f64],
    controls: &[f64],
    control_mean: f64,
    confidence: f64,
) -> Option<ControlVariate> {
    if values.len() != controls.len() || values.len() < 4 {
        return None;
    }
    let n = values.len() as f64;
    let (value_mean, value_variance) = mean_and_variance(values)?;
    let (sample_mean, control_variance) = mean_and_variance(controls)?;
    let products = values.iter().zip(controls).map(|(y, c)| (y - value_mean) * (c - sample_mean));
    let coefficient = products.sum::<f64>() / (n - 1.0) / control_variance;
    let offset = sample_mean - control_mean;
    let residual = |(y, c): (&f64, &f64)| y - value_mean - coefficient * (c - sample_mean);
    let squares: f64 = values.iter().zip(controls).map(residual).map(|r| r * r).sum();
    let residual_variance = squares / (n - 2.0);
    let leverage = 1.0 / n + offset * offset / ((n - 1.0) * control_variance);
    let half_width = two_sided_t(confidence, n - 2.0)? * (residual_variance * leverage).sqrt();
    let mean = value_mean - coefficient * offset;
    let variance_removed = 1.0 - squares / ((n - 1.0) * value_variance);
    (mean.is_finite() && half_width.is_finite()).then_some(ControlVariate {
        interval: Interval { mean, half_width, confidence, replications: values.len() as u64 },
        coefficient,
        variance_removed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paired_worked_example() {
        // Law & Kelton, example 10.1: (s, S) policies, five replications, 90 % interval 4.98 +- 2.28 from the differences.
        let a = [126.97, 124.31, 126.68, 122.66, 127.23];
        let b = [118.21, 120.22, 122.45, 122.68, 119.40];
        let interval = paired_interval(&a, &b, 0.9).unwrap();
        assert!((interval.mean - 4.98).abs() < 0.005, "{interval:?}");
        let by_hand = t_interval(&[8.76, 4.09, 4.23, -0.02, 7.83], 0.9).unwrap();
        assert!((interval.half_width - by_hand.half_width).abs() < 1e-9);
        assert_eq!(paired_interval(&a, &b[1..], 0.9), None);
    }

    #[test]
    fn opposite_noise_cancels() {
        let noise = [0.3, -0.1, 0.7, 0.2];
        let first: Vec<f64> = noise.iter().map(|e| 5.0 + e).collect();
        let second: Vec<f64> = noise.iter().map(|e| 5.0 - e).collect();
        let interval = antithetic_interval(&first, &second, 0.95).unwrap();
        assert!((interval.mean - 5.0).abs() < 1e-12 && interval.half_width < 1e-12);
    }

    #[test]
    fn a_perfect_control_leaves_no_error() {
        let controls = [1.0, 2.0, 4.0, 3.0, 7.0];
        let values = controls.map(|c| 10.0 + 2.0 * c);
        let adjusted = control_variate(&values, &controls, 3.0, 0.95).unwrap();
        assert!((adjusted.interval.mean - 16.0).abs() < 1e-12 && adjusted.interval.half_width < 1e-9);
        assert!((adjusted.coefficient - 2.0).abs() < 1e-12 && adjusted.variance_removed > 0.999_999);
        assert_eq!(control_variate(&values, &[1.0; 5], 1.0, 0.95), None);
        assert_eq!(control_variate(&values[..3], &controls[..3], 3.0, 0.95), None);
    }

    #[test]
    fn the_interval_of_a_control_variate_is_that_of_the_regression_line() {
        // The mean that a regression line predicts at x = 6.
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let y = [2.0, 4.0, 5.0, 4.0, 5.0, 8.0, 8.0, 9.0];
        let line = control_variate(&y, &x, 6.0, 0.95).unwrap();
        // By hand: Sxx = 42, Sxy = 39.5, Syy = 41.875, means 4.5 and 5.625.
        let slope = 39.5 / 42.0;
        let residual: f64 = (41.875 - 39.5 * 39.5 / 42.0) / 6.0;
        let half_width = 2.446_911_851 * (residual * (1.0 / 8.0 + 1.5 * 1.5 / 42.0)).sqrt();
        assert!((line.interval.mean - (5.625 + 1.5 * slope)).abs() < 1e-12);
        assert!((line.interval.half_width - half_width).abs() < 1e-8);
    }
}
