//! Times by their mean and their coefficient of variation: gaps between arrivals, think times, patience.

use kendall_des::Distribution;

use super::field_error::{FieldError, not_negative, positive};

/// Positive times with this mean and coefficient of variation (standard deviation over mean): equal at 0, exponential at 1,
/// else gamma.
pub(crate) fn by_mean_and_cv(
    (mean_field, mean): (&str, f64),
    (cv_field, cv): (&str, f64),
) -> Result<Distribution, FieldError> {
    let mean = positive(mean_field, mean)?;
    let cv = not_negative(cv_field, cv)?;
    let times = if cv == 0.0 {
        Distribution::constant(mean)
    } else if cv.total_cmp(&1.0).is_eq() {
        Distribution::exponential(mean)
    } else {
        let shape = 1.0 / (cv * cv);
        Distribution::gamma(shape, mean / shape)
    };
    times.map_err(|_| FieldError::at(cv_field, format!("{cv:?}: it is too far from 1 to be represented")))
}

/// The shape of the Weibull distribution with this coefficient of variation, by bisection; `None` below 0.01 and above 100.
///
/// `1 + cv^2 = Gamma(1 + 2/k) / Gamma(1 + 1/k)^2`, which decreases in the shape `k`.
pub(super) fn weibull_shape(cv: f64) -> Option<f64> {
    if !(0.01..=100.0).contains(&cv) {
        return None;
    }
    let wanted = libm::log1p(cv * cv);
    let excess =
        |shape: f64| libm::lgamma(1.0 + 2.0 / shape) - 2.0 * libm::lgamma(1.0 + 1.0 / shape) - wanted;
    let (mut low, mut high) = (0.05_f64, 200.0_f64);
    for _ in 0..200 {
        let middle = libm::sqrt(low * high);
        if excess(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(libm::sqrt(low * high))
}

/// Coefficient of variation of the Weibull distribution with this shape.
pub(super) fn weibull_cv(shape: f64) -> f64 {
    libm::sqrt(libm::expm1(libm::lgamma(1.0 + 2.0 / shape) - 2.0 * libm::lgamma(1.0 + 1.0 / shape)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weibull_shape_has_the_cv_that_was_asked_for() {
        for cv in [0.02, 0.5, 1.0, 3.0, 50.0] {
            let shape = weibull_shape(cv).unwrap();
            assert!((weibull_cv(shape) - cv).abs() < 1e-9 * cv, "cv {cv}: shape {shape}");
        }
        assert!((weibull_shape(1.0).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(weibull_shape(0.0), None);
    }

    #[test]
    fn mean_and_cv_are_those_asked_for() {
        for cv in [0.0, 0.3, 1.0, 2.5] {
            let times = by_mean_and_cv(("mean", 4.0), ("cv", cv)).unwrap();
            assert!((times.mean().unwrap() - 4.0).abs() < 1e-12);
            assert!((times.variance().unwrap().sqrt() - 4.0 * cv).abs() < 1e-12);
        }
    }
}
